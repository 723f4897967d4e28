//! How much the other side may send on one stream before the reader here has taken it.
//!
//! A window starts at [`FIRST_WINDOW`], which both sides know, so the opener may send at once. It doubles
//! while its reader keeps up and the line delivers at least a window per second, so that it grows with
//! bandwidth times delay (as TCP's does) up to [`LARGEST_WINDOW`], as far as the connection's budget reaches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::frame::Violation;

/// What either side may send on a new stream before it has heard from the other: 256 KiB.
pub(super) const FIRST_WINDOW: u32 = 256 * 1024;
/// 16 MiB on the way: a gigabit per second at 130 ms round trip, on a single stream.
const LARGEST_WINDOW: u32 = 16 << 20;
/// Credit is given in steps of at most this. Small enough that on a slow line, too, it comes often and
/// so also shows to keep-alives that the other side lives; large enough to cost nothing.
const LARGEST_STEP: u32 = 256 * 1024;
/// A window that takes longer than this to be used has no need to grow.
const GROWTH_INTERVAL: Duration = Duration::from_secs(1);

/// What the windows of one connection may still grow by, all together.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: u32) -> bool {
        let take = |left: usize| left.checked_sub(bytes as usize);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: u32) {
        self.0.fetch_add(bytes as usize, Ordering::Relaxed);
    }
}

/// The receiving side of one stream's flow control.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    size: u32,
    /// What the other side may still send.
    open: u32,
    /// Taken by the reader, not yet given back as credit.
    taken: u32,
    /// Taken by the reader since `since`, for the decision to grow.
    used: u32,
    since: Instant,
}

impl ReceiveWindow {
    pub(super) fn new(now: Instant) -> Self {
        Self { size: FIRST_WINDOW, open: FIRST_WINDOW, taken: 0, used: 0, since: now }
    }

    /// Notes that so many bytes arrive.
    pub(super) fn receive(&mut self, bytes: usize) -> Result<(), Violation> {
        let bytes = u32::try_from(bytes).map_err(|_| Violation::WindowExceeded)?;
        self.open = self.open.checked_sub(bytes).ok_or(Violation::WindowExceeded)?;
        Ok(())
    }

    /// Notes that the reader took so many bytes, and tells how much credit to give now.
    ///
    /// `waiting`: the bytes that have arrived and are still to be read.
    pub(super) fn take(
        &mut self,
        bytes: usize,
        waiting: usize,
        now: Instant,
        budget: &Budget,
    ) -> Option<u32> {
        // Cannot be more than `size`, which was the most that could arrive.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.taken = self.taken.saturating_add(bytes);
        self.used = self.used.saturating_add(bytes);
        if self.taken < (self.size / 2).min(LARGEST_STEP) {
            return None;
        }
        let mut credit = std::mem::take(&mut self.taken);
        if self.used >= self.size / 2 {
            let quick = now.saturating_duration_since(self.since) < GROWTH_INTERVAL / 2;
            let keeps_up = waiting <= self.size as usize / 4;
            let growth = self.size.min(LARGEST_WINDOW - self.size);
            if quick && keeps_up && growth > 0 && budget.take(growth) {
                self.size += growth;
                credit = credit.saturating_add(growth);
            }
            (self.used, self.since) = (0, now);
        }
        self.open = self.open.saturating_add(credit);
        Some(credit)
    }

    /// Returns what the window had grown by to the connection; to be called once, at its end.
    pub(super) fn release(&mut self, budget: &Budget) {
        budget.give_back(self.size - FIRST_WINDOW);
        self.size = FIRST_WINDOW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: usize = 64 * 1024;

    /// Sends and takes `total` bytes, `pause` apart per step; returns the window's size in the end.
    fn run(total: usize, waiting: usize, pause: Duration, budget: &Budget) -> u32 {
        let mut now = Instant::now();
        let mut window = ReceiveWindow::new(now);
        for _ in 0..total / STEP {
            window.receive(STEP).unwrap();
            now += pause;
            window.take(STEP, waiting, now, budget);
            assert!(window.open <= window.size, "never more under way than the window");
        }
        window.size
    }

    #[test]
    fn quick_reader_gets_the_largest_window() {
        assert_eq!(run(256 << 20, 0, Duration::ZERO, &Budget::new(64 << 20)), LARGEST_WINDOW);
    }

    #[test]
    fn slow_line_or_slow_reader_keeps_the_first_window() {
        assert_eq!(run(256 << 20, 0, Duration::from_secs(1), &Budget::new(64 << 20)), FIRST_WINDOW);
        assert_eq!(run(256 << 20, 128 * 1024, Duration::ZERO, &Budget::new(64 << 20)), FIRST_WINDOW);
    }

    #[test]
    fn spent_budget_stops_the_growth_and_a_release_restores_it() {
        let budget = Budget::new(1 << 20);
        let now = Instant::now();
        let mut window = ReceiveWindow::new(now);
        for _ in 0..1000 {
            window.receive(STEP).unwrap();
            window.take(STEP, 0, now, &budget);
        }
        assert_eq!(window.size, 1 << 20, "256 KiB + 256 KiB + 512 KiB");
        window.release(&budget);
        assert!(budget.take(1 << 20));
        assert!(!budget.take(1));
    }

    #[test]
    fn sender_beyond_its_window_is_a_violation() {
        let mut window = ReceiveWindow::new(Instant::now());
        assert_eq!(window.receive(FIRST_WINDOW as usize), Ok(()));
        assert_eq!(window.receive(1), Err(Violation::WindowExceeded));
        assert_eq!(window.receive(usize::MAX), Err(Violation::WindowExceeded));
    }

    #[test]
    fn all_credit_that_was_used_comes_back_in_steps() {
        let budget = Budget::new(0);
        let mut window = ReceiveWindow::new(Instant::now());
        let mut credit = 0u64;
        for _ in 0..1024 {
            window.receive(1024).unwrap();
            credit += window.take(1024, 0, Instant::now(), &budget).map_or(0, u64::from);
        }
        assert_eq!(credit, 1 << 20);
    }
}
