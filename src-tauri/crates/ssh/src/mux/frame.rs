//! The frames that streams are cut into: eight bytes of header, then a body.
//!
//! ```text
//! kind: u8 | length of the body: u24, big-endian | stream: u32, big-endian | body
//! ```

use bytes::{Buf, Bytes};

/// Length of a header.
pub(super) const HEADER: usize = 8;
/// Largest body that a header can announce.
pub(super) const LARGEST_BODY: usize = (1 << 24) - 1;

/// What a frame says about its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The sender opened it. No body.
    Open = 1,
    /// The body is content.
    Data = 2,
    /// The other side may send so many bytes more. The body is a `u32`, big-endian.
    Credit = 3,
    /// The sender will write no more. No body.
    Finish = 4,
    /// The sender dropped the stream: it neither writes nor reads any more. No body.
    Close = 5,
}

/// What the other side did against the rules; the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("unknown frame")]
    UnknownFrame,
    #[error("frame of a wrong length")]
    WrongLength,
    #[error("stream opened under a number that is not the next one")]
    WrongStream,
    #[error("more data than there was room for")]
    WindowExceeded,
    #[error("credit beyond four gigabytes")]
    CreditOverflow,
    #[error("data after the end of a stream")]
    DataAfterFinish,
    #[error("hundreds of streams opened beyond the limit")]
    TooManyRefusals,
}

pub(super) fn header(kind: Kind, length: usize, stream: u32) -> [u8; HEADER] {
    debug_assert!(length <= LARGEST_BODY, "callers cut their data smaller");
    let [_, l1, l2, l3] = (length as u32).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [kind as u8, l1, l2, l3, s0, s1, s2, s3]
}

/// A frame, or a part of a data frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Open {
        stream: u32,
    },
    /// A data frame begins; so many bytes follow as `Content`.
    Data {
        stream: u32,
        length: usize,
    },
    /// The next bytes of the data frame that began last. Never empty.
    Content(Bytes),
    Credit {
        stream: u32,
        amount: u32,
    },
    Finish {
        stream: u32,
    },
    Close {
        stream: u32,
    },
}

/// Cuts what arrives into pieces, without copying content and without keeping more than a header.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The header of the next frame, and the body of a credit frame.
    head: [u8; HEADER + 4],
    filled: usize,
    content_left: usize,
}

impl Parser {
    /// Takes the next piece from the front of `input`; `None` if it has been used up.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Piece>, Violation> {
        if self.content_left > 0 {
            if input.is_empty() {
                return Ok(None);
            }
            let content = input.split_to(self.content_left.min(input.len()));
            self.content_left -= content.len();
            return Ok(Some(Piece::Content(content)));
        }
        if !self.fill(HEADER, input) {
            return Ok(None);
        }
        let [kind, l1, l2, l3, s0, s1, s2, s3, ..] = self.head;
        let length = u32::from_be_bytes([0, l1, l2, l3]) as usize;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        let bare = |piece| if length == 0 { Ok(piece) } else { Err(Violation::WrongLength) };
        let piece = match kind {
            k if k == Kind::Open as u8 => bare(Piece::Open { stream })?,
            k if k == Kind::Finish as u8 => bare(Piece::Finish { stream })?,
            k if k == Kind::Close as u8 => bare(Piece::Close { stream })?,
            k if k == Kind::Data as u8 => {
                self.content_left = length;
                Piece::Data { stream, length }
            }
            k if k == Kind::Credit as u8 => {
                if length != 4 {
                    return Err(Violation::WrongLength);
                }
                if !self.fill(HEADER + 4, input) {
                    return Ok(None);
                }
                let [.., a0, a1, a2, a3] = self.head;
                Piece::Credit { stream, amount: u32::from_be_bytes([a0, a1, a2, a3]) }
            }
            _ => return Err(Violation::UnknownFrame),
        };
        self.filled = 0;
        Ok(Some(piece))
    }

    /// Fills the head up to `want` bytes; tells whether that many are there.
    fn fill(&mut self, want: usize, input: &mut Bytes) -> bool {
        let missing = want.saturating_sub(self.filled).min(input.len());
        if let Some(space) = self.head.get_mut(self.filled..self.filled + missing) {
            input.copy_to_slice(space);
            self.filled += missing;
        }
        self.filled >= want
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(pieces: &[Piece]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Open { stream } => bytes.extend(header(Kind::Open, 0, *stream)),
                Piece::Data { stream, length } => bytes.extend(header(Kind::Data, *length, *stream)),
                Piece::Content(content) => bytes.extend_from_slice(content),
                Piece::Credit { stream, amount } => {
                    bytes.extend(header(Kind::Credit, 4, *stream));
                    bytes.extend(amount.to_be_bytes());
                }
                Piece::Finish { stream } => bytes.extend(header(Kind::Finish, 0, *stream)),
                Piece::Close { stream } => bytes.extend(header(Kind::Close, 0, *stream)),
            }
        }
        bytes
    }

    fn parse(chunks: impl Iterator<Item = Vec<u8>>) -> Result<Vec<Piece>, Violation> {
        let mut parser = Parser::default();
        let mut pieces: Vec<Piece> = Vec::new();
        for chunk in chunks {
            let mut input = Bytes::from(chunk);
            while let Some(piece) = parser.next(&mut input)? {
                match (pieces.last_mut(), piece) {
                    // Joined again, so that results do not depend on the cuts.
                    (Some(Piece::Content(before)), Piece::Content(more)) => {
                        *before = [before.as_ref(), more.as_ref()].concat().into();
                    }
                    (_, piece) => pieces.push(piece),
                }
            }
        }
        Ok(pieces)
    }

    fn any_frame() -> impl Strategy<Value = Vec<Piece>> {
        let stream = any::<u32>();
        prop_oneof![
            stream.prop_map(|stream| vec![Piece::Open { stream }]),
            stream.prop_map(|stream| vec![Piece::Finish { stream }]),
            stream.prop_map(|stream| vec![Piece::Close { stream }]),
            (stream, any::<u32>()).prop_map(|(stream, amount)| vec![Piece::Credit { stream, amount }]),
            stream.prop_map(|stream| vec![Piece::Data { stream, length: 0 }]),
            (stream, prop::collection::vec(any::<u8>(), 1..70)).prop_map(|(stream, content)| {
                vec![Piece::Data { stream, length: content.len() }, Piece::Content(content.into())]
            }),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(frames in prop::collection::vec(any_frame(), 0..20), cut in 1usize..40) {
            let pieces: Vec<Piece> = frames.into_iter().flatten().collect();
            let bytes = encode(&pieces);
            prop_assert_eq!(parse(bytes.chunks(cut).map(<[u8]>::to_vec)), Ok(pieces));
        }

        #[test]
        fn any_bytes_give_pieces_or_a_violation(bytes: Vec<u8>, cut in 1usize..40) {
            let _ = parse(bytes.chunks(cut).map(<[u8]>::to_vec));
        }
    }

    #[test]
    fn wrong_kinds_and_lengths_are_violations() {
        for (bytes, violation) in [
            ([0, 0, 0, 0, 0, 0, 0, 1], Violation::UnknownFrame),
            ([6, 0, 0, 0, 0, 0, 0, 1], Violation::UnknownFrame),
            ([1, 0, 0, 1, 0, 0, 0, 1], Violation::WrongLength),
            ([3, 0, 0, 5, 0, 0, 0, 1], Violation::WrongLength),
            ([5, 1, 0, 0, 0, 0, 0, 1], Violation::WrongLength),
        ] {
            assert_eq!(parse([bytes.to_vec()].into_iter()), Err(violation), "{bytes:?}");
        }
    }
}
