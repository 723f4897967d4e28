//! When to look after the watcher reported something: at once for a single save, batched under a burst.

use std::time::Duration;

/// Quiet time after the last report of a single save: editors write, rename and set times within it.
const QUIET_SINGLE: Duration = Duration::from_millis(3);
/// Quiet time under a burst.
const QUIET_BURST: Duration = Duration::from_millis(40);
/// From so many reports within one wait on, it is a burst.
const BURST: u32 = 24;
/// However long the reports go on, they are looked at after this time.
const MAX_WAIT: Duration = Duration::from_millis(120);

/// Decides when reports of a watcher are acted on. Pure: it is passed the time, as a duration since any fixed
/// moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Debouncer {
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    first: Duration,
    last: Duration,
    reports: u32,
}

impl Debouncer {
    /// Notes one report at `now`.
    pub fn report(&mut self, now: Duration) {
        let waiting = self.waiting.get_or_insert(Waiting { first: now, last: now, reports: 0 });
        waiting.last = now;
        waiting.reports = waiting.reports.saturating_add(1);
    }

    /// Returns when to act on what was reported, or `None` if nothing was.
    pub fn due(&self) -> Option<Duration> {
        self.waiting.map(|waiting| {
            let quiet = if waiting.reports >= BURST { QUIET_BURST } else { QUIET_SINGLE };
            (waiting.last + quiet).min(waiting.first + MAX_WAIT)
        })
    }

    /// Forgets what was reported, because it is acted on now.
    pub fn clear(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn single_save_is_acted_on_within_milliseconds() {
        let mut debouncer = Debouncer::default();
        assert_eq!(debouncer.due(), None);
        debouncer.report(ms(1000));
        debouncer.report(ms(1001));
        assert_eq!(debouncer.due(), Some(ms(1004)));
        debouncer.clear();
        assert_eq!(debouncer.due(), None);
    }

    #[test]
    fn burst_waits_for_quiet_but_not_for_ever() {
        let mut debouncer = Debouncer::default();
        for n in 0..30 {
            debouncer.report(ms(n));
        }
        assert_eq!(debouncer.due(), Some(ms(69)));
        for n in 30..1000 {
            debouncer.report(ms(n));
        }
        assert_eq!(debouncer.due(), Some(ms(120)));
    }
}
