//! Frames: a head with a bounded length, then messages back to back or one part of a content.
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | length of the body, little-endian |
//! | 1 | kind (0 messages, 1 part), plus 0x80 if the body is compressed |
//! | 12 | only for a part: item (4) and offset (8), little-endian |
//! | 4 | only if compressed: length of the body before compression |
//! | … | body |

use bytes::{Buf, BufMut, BytesMut};
use evenfold_core::transfer::MAX_PART;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::WireError;

/// The longest body of a frame in bytes, compressed or not. A stream never holds more than one frame per
/// direction beyond its bounded queues, so this bounds what a peer can make us allocate for it.
pub const MAX_FRAME: usize = 1024 * 1024;

/// The longest single message, in bytes: with [`PACK`] it always fits into a frame.
pub(crate) const MAX_MESSAGE: usize = 512 * 1024;

/// Messages are gathered into frames of about this size: large enough to amortise a write, small enough that
/// a reader begins early and few frames in flight bound memory.
pub(crate) const PACK: usize = 256 * 1024;

/// How much is read ahead to save reads of small frames. Longer bodies are read straight into their buffer.
const READ_AHEAD: usize = 16 * 1024;

const KIND_PART: u8 = 1;
const COMPRESSED: u8 = 0x80;
/// Length of the longest head.
pub(crate) const MAX_HEAD: usize = 21;

/// One frame as received.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Messages back to back.
    Messages(Vec<u8>),
    /// A stretch of a content.
    Part { item: u32, offset: u64, bytes: Vec<u8> },
}

/// What stands before the body of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Length of the body in bytes.
    pub(crate) len: u32,
    /// Item and offset, if it is a part.
    pub(crate) part: Option<(u32, u64)>,
    /// Length before compression, if it is compressed.
    pub(crate) raw: Option<u32>,
}

impl Head {
    /// Appends the encoded head.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut kind = if self.part.is_some() { KIND_PART } else { 0 };
        if self.raw.is_some() {
            kind |= COMPRESSED;
        }
        out.put_u32_le(self.len);
        out.put_u8(kind);
        if let Some((item, offset)) = self.part {
            out.put_u32_le(item);
            out.put_u64_le(offset);
        }
        if let Some(raw) = self.raw {
            out.put_u32_le(raw);
        }
    }

    /// Takes a head from `buf`, or returns `None` while it is incomplete.
    fn decode(buf: &mut BytesMut) -> Result<Option<Head>, WireError> {
        let Some((kind, len)) = buf.get(4).copied().zip(buf.first_chunk::<4>()) else { return Ok(None) };
        let len = u32::from_le_bytes(*len);
        if kind & !(KIND_PART | COMPRESSED) != 0 {
            return Err(WireError::Malformed("kind of a frame"));
        }
        let (is_part, compressed) = (kind & KIND_PART != 0, kind & COMPRESSED != 0);
        let limit = if is_part { MAX_PART } else { MAX_FRAME };
        if len as usize > limit {
            return Err(WireError::FrameTooLong(u64::from(len)));
        }
        if buf.len() < 5 + if is_part { 12 } else { 0 } + if compressed { 4 } else { 0 } {
            return Ok(None);
        }
        buf.advance(5);
        let part = is_part.then(|| (buf.get_u32_le(), buf.get_u64_le()));
        let raw = compressed.then(|| buf.get_u32_le());
        match raw {
            Some(raw) if raw as usize > limit => Err(WireError::FrameTooLong(u64::from(raw))),
            _ => Ok(Some(Head { len, part, raw })),
        }
    }
}

/// Reads frames. [`FrameReader::next`] may be dropped at any point without losing bytes.
pub(crate) struct FrameReader<R> {
    stream: R,
    buf: BytesMut,
    body: Option<(Head, Vec<u8>)>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        FrameReader { stream, buf: BytesMut::new(), body: None, zstd: None }
    }

    /// Returns the next frame, or `None` where the stream ends between frames.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, WireError> {
        loop {
            if let Some((head, bytes)) = self.take_body()? {
                return self.finish(head, bytes).map(Some);
            }
            let read = match &mut self.body {
                Some((head, bytes)) => {
                    let missing = (head.len as usize).saturating_sub(bytes.len());
                    self.stream.read_buf(&mut bytes.limit(missing)).await?
                }
                None => {
                    self.buf.reserve(READ_AHEAD);
                    self.stream.read_buf(&mut (&mut self.buf).limit(READ_AHEAD)).await?
                }
            };
            if read == 0 {
                let between = self.body.is_none() && self.buf.is_empty();
                return if between { Ok(None) } else { Err(WireError::Truncated) };
            }
        }
    }

    /// Returns head and body if the body is complete; begins a body where a head is complete.
    fn take_body(&mut self) -> Result<Option<(Head, Vec<u8>)>, WireError> {
        if self.body.is_none() {
            let Some(head) = Head::decode(&mut self.buf)? else { return Ok(None) };
            let len = head.len as usize;
            let mut bytes = Vec::with_capacity(len);
            let ready = self.buf.split_to(len.min(self.buf.len()));
            bytes.extend_from_slice(&ready);
            self.body = Some((head, bytes));
        }
        Ok(self.body.take_if(|(head, bytes)| bytes.len() >= head.len as usize))
    }

    fn finish(&mut self, head: Head, mut bytes: Vec<u8>) -> Result<Frame, WireError> {
        if let Some(raw) = head.raw {
            let zstd = match &mut self.zstd {
                Some(zstd) => zstd,
                none => none.insert(zstd::bulk::Decompressor::new()?),
            };
            // `raw` was bounded with the head, and decompression stops there.
            bytes = zstd
                .decompress(&bytes, raw as usize)
                .map_err(|_| WireError::Malformed("a compressed frame"))?;
            if bytes.len() != raw as usize {
                return Err(WireError::Malformed("length of a compressed frame"));
            }
        }
        Ok(match head.part {
            Some((item, offset)) => Frame::Part { item, offset, bytes },
            None => Frame::Messages(bytes),
        })
    }
}
