//! Whether compressing a frame pays, as a pure decision; and the packing that obeys it.
//!
//! zstd at level 1 makes some 400 MB/s of text on one core. Where the stream takes bytes faster than about
//! 150 MB/s, the time for compressing at one end and decompressing at the other exceeds what it saves.

use std::time::Duration;

/// Frames below this are not worth a call.
const MIN: usize = 512;
/// How much of a frame is tried before all of it is compressed.
const SAMPLE: usize = 64 * 1024;
/// Above this rate in bytes per second compression costs more than it saves.
const FAST: u128 = 150_000_000;
/// Before this many bytes were written the rate is unknown: buffers of the transport swallow the first ones.
const WARM_UP: u64 = 8 * 1024 * 1024;
/// The rate is taken over about this many bytes, so that it follows a line that changes.
const WINDOW: u64 = 16 * 1024 * 1024;
/// The most frames that are passed over after a run of incompressible ones, before another try.
const MAX_SKIP: u32 = 64;

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it as it is.
    Plain,
    /// Compress this many bytes from its start, then ask [`Compressor::sampled`].
    Sample(usize),
    /// Compress all of it.
    Pack,
}

/// Decides from what was seen on one stream whether the next frame shall be compressed. Pure: no clock, no I/O.
#[derive(Debug, Clone, Default)]
pub struct Compressor {
    /// The last frame shrank, so the next one is expected to.
    trusted: bool,
    /// Frames still to be passed over.
    skip: u32,
    /// How many frames are passed over after the next failure.
    penalty: u32,
    written: u64,
    window_bytes: u64,
    window_time: Duration,
}

impl Compressor {
    /// Decides about the next frame of `len` bytes.
    pub fn decide(&mut self, len: usize) -> Decision {
        if len < MIN || self.is_fast() {
            return Decision::Plain;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Decision::Plain;
        }
        if self.trusted || len <= SAMPLE { Decision::Pack } else { Decision::Sample(SAMPLE) }
    }

    /// Takes in how far a sample shrank and tells whether the whole frame shall be compressed.
    pub fn sampled(&mut self, raw: usize, packed: usize) -> bool {
        self.judge(raw, packed)
    }

    /// Takes in how far a frame shrank and tells whether the compressed form shall be sent.
    pub fn packed(&mut self, raw: usize, packed: usize) -> bool {
        self.judge(raw, packed)
    }

    /// Takes in that the stream took `bytes` within `time`.
    pub fn wrote(&mut self, bytes: usize, time: Duration) {
        self.written = self.written.saturating_add(bytes as u64);
        self.window_bytes += bytes as u64;
        self.window_time += time;
        if self.window_bytes > WINDOW {
            self.window_bytes /= 2;
            self.window_time /= 2;
        }
    }

    fn is_fast(&self) -> bool {
        self.written >= WARM_UP
            && u128::from(self.window_bytes) * 1_000_000_000 > FAST * self.window_time.as_nanos()
    }

    fn judge(&mut self, raw: usize, packed: usize) -> bool {
        // Worth it at 0.9 or below.
        let pays = packed.saturating_mul(10) <= raw.saturating_mul(9);
        self.trusted = pays;
        if pays {
            self.penalty = 0;
        } else {
            self.penalty = (self.penalty * 2).clamp(1, MAX_SKIP);
            self.skip = self.penalty;
        }
        pays
    }
}

/// Compresses bodies of frames as a [`Compressor`] decides.
pub(crate) struct Packer {
    pub(crate) policy: Compressor,
    zstd: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

impl Packer {
    /// # Errors
    /// Where zstd cannot allocate its context.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Packer {
            policy: Compressor::default(),
            zstd: zstd::bulk::Compressor::new(1)?,
            buffer: Vec::new(),
        })
    }

    /// Returns the compressed form of `body`, or `None` if it shall be sent as it is.
    pub(crate) fn pack(&mut self, body: &[u8]) -> Option<&[u8]> {
        match self.policy.decide(body.len()) {
            Decision::Plain => return None,
            Decision::Sample(len) => {
                let sample = body.get(..len).unwrap_or(body);
                let packed = self.compress(sample)?;
                if !self.policy.sampled(sample.len(), packed) {
                    return None;
                }
            }
            Decision::Pack => {}
        }
        let packed = self.compress(body)?;
        if self.policy.packed(body.len(), packed) { Some(&self.buffer) } else { None }
    }

    fn compress(&mut self, bytes: &[u8]) -> Option<usize> {
        self.buffer.clear();
        self.buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        // A failure of the compressor only means that the frame travels uncompressed.
        self.zstd.compress_to_buffer(bytes, &mut self.buffer).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 256 * 1024;

    #[test]
    fn short_frames_are_left_alone() {
        assert_eq!(Compressor::default().decide(100), Decision::Plain);
        assert_eq!(Compressor::default().decide(600), Decision::Pack);
    }

    #[test]
    fn a_long_frame_is_sampled_first_and_the_next_one_trusted() {
        let mut policy = Compressor::default();
        assert_eq!(policy.decide(FRAME), Decision::Sample(SAMPLE));
        assert!(policy.sampled(SAMPLE, SAMPLE / 3));
        assert_eq!(policy.decide(FRAME), Decision::Pack);
    }

    #[test]
    fn incompressible_frames_are_tried_ever_more_rarely() {
        let mut policy = Compressor::default();
        let mut tries = 0;
        for _ in 0..1000 {
            if let Decision::Sample(len) = policy.decide(FRAME) {
                tries += 1;
                assert!(!policy.sampled(len, len * 95 / 100));
            }
        }
        assert!((10..30).contains(&tries), "{tries}");
    }

    #[test]
    fn compressible_content_after_incompressible_is_found_again() {
        let mut policy = Compressor::default();
        for _ in 0..500 {
            if let Decision::Sample(len) = policy.decide(FRAME) {
                policy.sampled(len, len);
            }
        }
        let found = (0..=MAX_SKIP).any(|_| matches!(policy.decide(FRAME), Decision::Sample(_)));
        assert!(found);
    }

    #[test]
    fn a_fast_stream_is_not_compressed_and_a_slow_one_is() {
        for (rate, expected) in
            [(1_000_000_000, false), (160_000_000, false), (100_000_000, true), (4_000_000, true)]
        {
            let mut policy = Compressor::default();
            for _ in 0..100 {
                policy.wrote(1_000_000, Duration::from_nanos(1_000_000 * 1_000_000_000 / rate));
            }
            assert_eq!(policy.decide(FRAME) != Decision::Plain, expected, "{rate}");
        }
    }

    #[test]
    fn a_stream_that_becomes_slow_is_compressed() {
        let mut policy = Compressor::default();
        for _ in 0..100 {
            policy.wrote(1_000_000, Duration::from_millis(1));
        }
        assert_eq!(policy.decide(FRAME), Decision::Plain);
        for _ in 0..20 {
            policy.wrote(1_000_000, Duration::from_millis(100));
        }
        assert_ne!(policy.decide(FRAME), Decision::Plain);
    }
}
