//! The messages of a pairing conversation: a kind, a length, a body, each with its own bound.
//!
//! ```text
//! dialler                              offerer
//! Hello { version, number, SPAKE2 } →
//!                                    ← Pake { SPAKE2 }                 or Refuse
//! Confirm { tag }                   →
//!                                    ← Welcome { tag, introduction }   or Refuse
//! Introduce { introduction }        →
//!                                    ← Done
//! ```

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Introduction;
use super::exchange::{PAKE_MESSAGE, TAG};

/// Version of this conversation; it is part of all derived keys, too.
pub(super) const VERSION: u8 = 1;
/// Longest name in an introduction, in bytes of UTF-8.
pub const LONGEST_NAME: usize = 256;
/// Most addresses in an introduction.
pub const MOST_ADDRESSES: usize = 16;
/// Longest address in an introduction, in bytes: a DNS name of 253, a colon, a port.
pub const LONGEST_ADDRESS: usize = 260;
/// Largest `extra` of an introduction, in bytes.
pub const LARGEST_EXTRA: usize = 64 * 1024;
const LARGEST_INTRODUCTION: usize =
    2 + LONGEST_NAME + 2 + MOST_ADDRESSES * (2 + LONGEST_ADDRESS) + 4 + LARGEST_EXTRA;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Pake = 2,
    Confirm = 3,
    Welcome = 4,
    Introduce = 5,
    Done = 6,
    Refuse = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        use Kind::*;
        [Hello, Pake, Confirm, Welcome, Introduce, Done, Refuse].into_iter().find(|kind| *kind as u8 == byte)
    }

    fn largest_body(self) -> usize {
        match self {
            Kind::Hello => 2 + PAKE_MESSAGE,
            Kind::Pake => PAKE_MESSAGE,
            Kind::Confirm => TAG,
            Kind::Welcome => 2 * TAG + LARGEST_INTRODUCTION,
            Kind::Introduce => TAG + LARGEST_INTRODUCTION,
            Kind::Done => 0,
            Kind::Refuse => 1,
        }
    }
}

/// Why the offerer ends the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Refusal {
    NoSuchOffer = 1,
    WrongCode = 2,
    Busy = 3,
    Version = 4,
}

impl Refusal {
    pub(super) fn from_body(body: &[u8]) -> Option<Self> {
        use Refusal::*;
        let [byte] = body else { return None };
        [NoSuchOffer, WrongCode, Busy, Version].into_iter().find(|refusal| *refusal as u8 == *byte)
    }
}

pub(super) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    parts: &[&[u8]],
) -> io::Result<()> {
    let body = parts.concat();
    let mut message = vec![kind as u8];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes());
    message.extend_from_slice(&body);
    stream.write_all(&message).await?;
    stream.flush().await
}

/// Receives the next message. Nothing is allocated beyond the bound of its kind.
pub(super) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Kind, Vec<u8>)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let kind = Kind::from_byte(stream.read_u8().await?).ok_or_else(|| invalid("unknown message"))?;
    let length = stream.read_u32().await? as usize;
    if length > kind.largest_body() {
        return Err(invalid("message too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

/// An introduction goes beyond what may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the introduction's {0}")]
pub struct IntroductionError(&'static str);

impl Introduction {
    /// Checks the bounds that hold on the wire: [`LONGEST_NAME`], [`MOST_ADDRESSES`], [`LONGEST_ADDRESS`],
    /// [`LARGEST_EXTRA`].
    pub fn check(&self) -> Result<(), IntroductionError> {
        if self.name.len() > LONGEST_NAME {
            return Err(IntroductionError("name is too long"));
        }
        if self.addresses.len() > MOST_ADDRESSES {
            return Err(IntroductionError("addresses are too many"));
        }
        if self.addresses.iter().any(|address| address.len() > LONGEST_ADDRESS) {
            return Err(IntroductionError("address is too long"));
        }
        if self.extra.len() > LARGEST_EXTRA {
            return Err(IntroductionError("extra data is too large"));
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, IntroductionError> {
        self.check()?;
        let mut bytes = Vec::new();
        put_text(&mut bytes, &self.name);
        bytes.extend_from_slice(&(self.addresses.len() as u16).to_be_bytes());
        for address in &self.addresses {
            put_text(&mut bytes, address);
        }
        bytes.extend_from_slice(&(self.extra.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&self.extra);
        Ok(bytes)
    }

    /// Reads what `encode` made; `None` if it is anything else.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let name = take_text(rest)?;
        let count = usize::from(take_u16(rest)?);
        if count > MOST_ADDRESSES {
            return None;
        }
        let addresses = (0..count).map(|_| take_text(rest)).collect::<Option<Vec<_>>>()?;
        let length = u32::from_be_bytes(*take::<4>(rest)?) as usize;
        let extra = rest.split_off(..length)?.to_vec();
        let introduction = Self { name, addresses, extra };
        (rest.is_empty() && introduction.check().is_ok()).then_some(introduction)
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Checked before: no text is longer than some hundred bytes.
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(head)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*take::<2>(bytes)?))
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(take_u16(bytes)?);
    let text = bytes.split_off(..length)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn introductions_survive(name in ".{0,60}", addresses in prop::collection::vec(".{0,60}", 0..=16), extra: Vec<u8>) {
            let introduction = Introduction { name, addresses, extra };
            prop_assert_eq!(Introduction::decode(&introduction.encode().unwrap()), Some(introduction));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(introduction) = Introduction::decode(&bytes) {
                prop_assert_eq!(introduction.encode().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn too_large_introductions_are_not_sent() {
        let fits = Introduction {
            name: "n".repeat(LONGEST_NAME),
            addresses: vec!["a".repeat(LONGEST_ADDRESS); MOST_ADDRESSES],
            extra: vec![7; LARGEST_EXTRA],
        };
        assert_eq!(fits.encode().unwrap().len(), LARGEST_INTRODUCTION);
        let mut longer = fits.clone();
        longer.name.push('n');
        assert!(longer.encode().is_err());
        let mut more = fits.clone();
        more.addresses.push(String::new());
        assert!(more.encode().is_err());
        let mut larger = fits;
        larger.extra.push(7);
        assert!(larger.encode().is_err());
    }

    #[tokio::test]
    async fn announced_length_beyond_the_bound_is_refused_unread() {
        for kind in 0..=255u8 {
            let mut message = &[kind, 0xff, 0xff, 0xff, 0xff][..];
            let error = receive(&mut message).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{kind}");
        }
    }
}
