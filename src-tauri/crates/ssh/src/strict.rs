//! Demands strict key exchange of the other side.
//!
//! Without the extension `kex-strict-{c,s}-v00@openssh.com` a man in the middle can drop messages from the
//! start of the encrypted part unnoticed (the Terrapin attack, CVE-2023-48795). russh uses the extension
//! where both sides offer it, but goes on without where one does not, and its server does not say
//! which. So the other side's first bytes, which are in the clear, are read along here: an
//! identification line, and then at once the KEXINIT packet (strict key exchange allows nothing before
//! it) whose list of key exchanges must name the extension. russh decides from the very same bytes, and
//! they enter the exchange hash, so nobody in between can show different ones to the two of us.

/// What the other side must announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// It dialled us.
    Client,
    /// We dialled it.
    Server,
}

impl Other {
    fn marker(self) -> &'static [u8] {
        match self {
            Other::Client => b"kex-strict-c-v00@openssh.com",
            Other::Server => b"kex-strict-s-v00@openssh.com",
        }
    }
}

/// Why the other side's first bytes end the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStrict {
    #[error("the other side does not speak SSH 2.0")]
    NoSsh,
    #[error("the other side's first packet is not a key exchange")]
    OtherPacket,
    #[error("the other side does not offer strict key exchange")]
    Missing,
}

/// Longest identification line, from RFC 4253.
const LONGEST_LINE: usize = 255;
/// Longest packet that everyone must support, from RFC 4253; a KEXINIT has about one kilobyte.
const LONGEST_PACKET: usize = 35_000;
/// `SSH_MSG_KEXINIT`.
const KEXINIT: u8 = 20;

/// Reads along until the announcement has been seen.
#[derive(Debug)]
pub(crate) struct StrictCheck {
    other: Other,
    seen: Vec<u8>,
    done: bool,
}

impl StrictCheck {
    pub(crate) fn new(other: Other) -> Self {
        Self { other, seen: Vec::new(), done: false }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Takes the next bytes that arrived. Once done, further bytes are ignored.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), NotStrict> {
        if self.done {
            return Ok(());
        }
        // One read brings at most some kilobytes, and the verdict below falls within LONGEST_PACKET.
        self.seen.extend_from_slice(bytes);
        if let Some(offered) = announced(&self.seen, self.other.marker())? {
            self.seen = Vec::new();
            self.done = true;
            if !offered {
                return Err(NotStrict::Missing);
            }
        }
        Ok(())
    }
}

/// Tells whether the marker is announced in the first packet; `None` if more bytes are needed.
fn announced(seen: &[u8], marker: &[u8]) -> Result<Option<bool>, NotStrict> {
    let prefix = b"SSH-2.0-";
    let known = seen.len().min(prefix.len());
    if seen.get(..known) != prefix.get(..known) {
        return Err(NotStrict::NoSsh);
    }
    let Some(line_end) = seen.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if seen.len() >= LONGEST_LINE { Err(NotStrict::NoSsh) } else { Ok(None) };
    };
    let packet = seen.get(line_end + 1..).unwrap_or_default();
    let Some((length, rest)) = take_u32(packet) else { return Ok(None) };
    if length > LONGEST_PACKET {
        return Err(NotStrict::OtherPacket);
    }
    // padding length, message number, 16 bytes of cookie, then the list of key exchanges
    match rest.get(1) {
        None => return Ok(None),
        Some(&KEXINIT) => {}
        Some(_) => return Err(NotStrict::OtherPacket),
    }
    let Some((names_length, names)) = rest.get(18..).and_then(take_u32) else { return Ok(None) };
    if names_length > length {
        return Err(NotStrict::OtherPacket);
    }
    let Some(names) = names.get(..names_length) else { return Ok(None) };
    Ok(Some(names.split(|byte| *byte == b',').any(|name| name == marker)))
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*head)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(kex: &str) -> Vec<u8> {
        let mut bytes = b"SSH-2.0-Other\r\n".to_vec();
        let mut body = vec![4, KEXINIT];
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&(kex.len() as u32).to_be_bytes());
        body.extend_from_slice(kex.as_bytes());
        body.extend_from_slice(&[0; 60]);
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    fn check(other: Other, bytes: &[u8]) -> Result<bool, NotStrict> {
        let mut whole = StrictCheck::new(other);
        let result = whole.feed(bytes).map(|()| whole.is_done());
        let mut single = StrictCheck::new(other);
        let stepwise = bytes.iter().try_for_each(|byte| single.feed(&[*byte])).map(|()| single.is_done());
        assert_eq!(result, stepwise, "how the bytes are cut makes no difference");
        result
    }

    #[test]
    fn announced_marker_passes() {
        let list = "curve25519-sha256,kex-strict-c-v00@openssh.com,ext-info-c";
        assert_eq!(check(Other::Client, &greeting(list)), Ok(true));
        assert_eq!(check(Other::Server, &greeting("kex-strict-s-v00@openssh.com")), Ok(true));
    }

    #[test]
    fn missing_foreign_or_lengthened_marker_is_refused() {
        for list in ["curve25519-sha256", "", "kex-strict-s-v00@openssh.com", "xkex-strict-c-v00@openssh.com"]
        {
            assert_eq!(check(Other::Client, &greeting(list)), Err(NotStrict::Missing), "{list}");
        }
    }

    #[test]
    fn other_packets_before_the_key_exchange_are_refused() {
        let mut bytes = b"SSH-2.0-Other\r\n".to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 12, 4, 2, 0, 0, 0, 0]); // SSH_MSG_IGNORE
        assert_eq!(check(Other::Client, &bytes), Err(NotStrict::OtherPacket));
    }

    #[test]
    fn other_protocols_and_endless_lines_are_refused() {
        assert_eq!(check(Other::Client, b"GET / HTTP/1.1\r\n"), Err(NotStrict::NoSsh));
        assert_eq!(check(Other::Client, b"SSH-1.99-Old\r\n"), Err(NotStrict::NoSsh));
        let endless = [b"SSH-2.0-".as_slice(), &[b'x'; 300]].concat();
        assert_eq!(check(Other::Client, &endless), Err(NotStrict::NoSsh));
        assert_eq!(check(Other::Client, b"SSH-2.0-Other\r\n\xff\xff\xff\xff"), Err(NotStrict::OtherPacket));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_verdict_without_a_panic(bytes: Vec<u8>, cut in 0usize..2000) {
            let mut greeting = greeting("kex-strict-c-v00@openssh.com");
            greeting.truncate(cut);
            greeting.extend_from_slice(&bytes);
            let _ = StrictCheck::new(Other::Client).feed(&greeting);
            let _ = StrictCheck::new(Other::Server).feed(&bytes);
        }
    }
}
