//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with jitter: "full jitter" of Marc Brooker, "Exponential Backoff And Jitter" (2015),
/// with a floor of half the step so that retries never bunch at zero.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Starts with a wait of about `first`, doubling up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Backoff { first, most, attempts: 0 }
    }

    /// Returns the next wait. `random` is uniform in `0.0..1.0`.
    pub fn next(&mut self, random: f64) -> Duration {
        let step = self.first.saturating_mul(1 << self.attempts.min(20)).min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        step.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }

    /// Returns how many attempts failed since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<_> = (0..10).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(500));
        for _ in 0..100 {
            assert!(backoff.next(0.5) <= Duration::from_secs(60));
        }
    }
}
