//! How fast the streams of one relationship send and receive on this machine.
//!
//! One bucket for each direction is shared by all streams of the relationship, whoever opened them. What is counted is
//! what the streams carry, compressed as it is.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::local::lock;
use crate::settings::{Rate, Settings, Timetable};

/// What may go at once after a pause, as time at the rate: long enough for a timer to be late, too short to be seen.
const BURST: Duration = Duration::from_millis(50);

/// How often the timetable is asked for the rate of the hour.
const ASK: Duration = Duration::from_secs(1);

/// Bytes that go between two looks at the bucket, at the least and at the most: at the least so that slow rates do not
/// cut data into crumbs, at the most so that several streams take turns.
const PIECE: (u64, u64) = (512, 64 * 1024);

/// How fast this machine sends and receives for one relationship.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    up: Bucket,
    down: Bucket,
}

impl Limits {
    /// Makes the limits that the settings say.
    pub(crate) fn new(settings: &Settings) -> Arc<Self> {
        let limits = Arc::new(Limits::default());
        limits.set(settings);
        limits
    }

    /// Makes limits that are the same in each direction.
    pub(crate) fn same(rate: Timetable) -> Arc<Self> {
        let limits = Limits::default();
        limits.up.set(rate.clone());
        limits.down.set(rate);
        Arc::new(limits)
    }

    /// Takes new limits, for streams that stand, too.
    pub(crate) fn set(&self, settings: &Settings) {
        self.up.set(settings.limit_up.clone());
        self.down.set(settings.limit_down.clone());
    }
}

impl Limits {
    /// Waits until bytes may be sent, and counts them.
    pub(crate) async fn sending(&self, bytes: usize) {
        self.up.pass(bytes).await;
    }

    /// Waits until bytes may be received, and counts them.
    pub(crate) async fn receiving(&self, bytes: usize) {
        self.down.pass(bytes).await;
    }
}

/// A bucket that is filled at a rate. Whoever takes from it may leave it in debt, which the next one waits for.
#[derive(Debug, Default)]
struct Bucket(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    timetable: Timetable,
    rate: Rate,
    /// When the timetable was asked for it.
    asked: Option<Instant>,
    /// When the bucket is out of debt.
    free: Option<Instant>,
}

impl Bucket {
    fn set(&self, timetable: Timetable) {
        *lock(&self.0) = State { timetable, ..State::default() };
    }

    /// Returns how many bytes may go now, or until when to wait.
    fn look(&self) -> Result<usize, Instant> {
        let mut state = lock(&self.0);
        let now = Instant::now();
        if state.asked.is_none_or(|asked| now.duration_since(asked) >= ASK) {
            state.rate = state.timetable.at(jiff::Zoned::now().datetime());
            state.asked = Some(now);
        }
        let Some(rate) = state.rate else { return Ok(usize::MAX) };
        match state.free {
            Some(free) if free > now => Err(free),
            _ => {
                let piece = (rate.get() / 50).clamp(PIECE.0, PIECE.1);
                Ok(usize::try_from(piece).unwrap_or(usize::MAX))
            }
        }
    }

    async fn pass(&self, bytes: usize) {
        while let Err(until) = self.look() {
            tokio::time::sleep_until(until).await;
        }
        self.take(bytes);
    }

    fn take(&self, bytes: usize) {
        let mut state = lock(&self.0);
        let Some(rate) = state.rate else { return };
        let now = Instant::now();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = state.free.map_or(earliest, |free| free.max(earliest));
        state.free = Some(from + Duration::from_secs_f64(bytes as f64 / rate.get() as f64));
    }
}

/// A stream of a relationship that keeps to its limits.
pub(crate) struct Limited<S> {
    stream: S,
    limits: Arc<Limits>,
    reading: Pause,
    writing: Pause,
}

/// A wait that is under way.
#[derive(Default)]
struct Pause(Option<Pin<Box<Sleep>>>);

impl Pause {
    /// Returns how many bytes may go, once some may.
    fn poll(&mut self, bucket: &Bucket, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(sleep) = &mut self.0 {
                ready!(sleep.as_mut().poll(cx));
                self.0 = None;
            }
            match bucket.look() {
                Ok(bytes) => return Poll::Ready(bytes),
                Err(until) => self.0 = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
    }
}

impl<S> Limited<S> {
    pub(crate) fn new(stream: S, limits: Arc<Limits>) -> Self {
        Limited { stream, limits, reading: Pause::default(), writing: Pause::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = ready!(this.reading.poll(&this.limits.down, cx));
        if most >= buf.remaining() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            this.limits.down.take(buf.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        this.limits.down.take(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let most = ready!(this.writing.poll(&this.limits.up, cx)).min(buf.len());
        let part = buf.get(..most).unwrap_or(buf);
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.limits.up.take(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::settings::Kind;

    fn limits(up: &str, down: &str) -> Arc<Limits> {
        let pairs =
            [("limit.up", up), ("limit.down", down)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Limits::new(&Settings::parse(Kind::TwoWay, &pairs).unwrap())
    }

    /// Sends bytes over as many streams as there are, all of which keep to `limits`, and returns the seconds it took.
    async fn seconds(limits: &Arc<Limits>, streams: usize, bytes: usize, limited_sender: bool) -> f64 {
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..streams {
            let (mut a, mut b) = tokio::io::duplex(16 * 1024);
            let limits = Arc::clone(limits);
            tasks.push(tokio::spawn(async move {
                let content = vec![7; bytes];
                let mut arrived = vec![0; bytes];
                if limited_sender {
                    let mut a = Limited::new(a, limits);
                    tokio::try_join!(a.write_all(&content), b.read_exact(&mut arrived)).unwrap();
                } else {
                    let mut b = Limited::new(b, limits);
                    tokio::try_join!(a.write_all(&content), b.read_exact(&mut arrived)).unwrap();
                }
                assert!(arrived == content);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        began.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn rate_holds_within_a_tenth_however_many_streams_share_it() {
        for (rate, bytes, streams) in [
            ("20kB/s", 100_000, 1),
            ("1MB/s", 5_000_000, 1),
            ("1MB/s", 1_000_000, 5),
            ("20MB/s", 40_000_000, 3),
        ] {
            let per_second: f64 = match rate {
                "20kB/s" => 20e3,
                "1MB/s" => 1e6,
                _ => 20e6,
            };
            for limited_sender in [true, false] {
                let limits = if limited_sender { limits(rate, "off") } else { limits("off", rate) };
                let expected = (bytes * streams) as f64 / per_second;
                let took = seconds(&limits, streams, bytes, limited_sender).await;
                let share = took / expected;
                assert!((0.9..1.1).contains(&share), "{rate}, {streams} streams: {took} s, not {expected} s");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_of_other_ways_keep_to_the_same_rate() {
        let limits = limits("1MB/s", "2MB/s");
        let began = Instant::now();
        for _ in 0..20 {
            limits.sending(100_000).await;
            limits.receiving(100_000).await;
        }
        let took = began.elapsed().as_secs_f64();
        assert!((1.7..2.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn stream_without_limit_waits_for_nothing_and_a_new_limit_holds_at_once() {
        let limits = limits("off", "off");
        assert!(seconds(&limits, 2, 10_000_000, true).await < 0.01);
        let pairs = [("limit.up".to_owned(), "1MB/s".to_owned())];
        limits.set(&Settings::parse(Kind::TwoWay, &pairs).unwrap());
        assert!(seconds(&limits, 1, 1_000_000, true).await > 0.9);
        limits.set(&Settings::preset(Kind::TwoWay));
        assert!(seconds(&limits, 1, 10_000_000, true).await < 0.01);
    }
}
