//! Which notification is due: only for what needs a person, one for each cause, and never more than one a minute.
//!
//! Pure: it is told what needs a person now and what time it is.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::tray::state::Need;

/// After one notification, what comes within this time becomes one more.
const QUIET: Duration = Duration::from_secs(60);

/// A cause that went away and came back within this time is not told again.
const MEMORY: Duration = Duration::from_secs(600);

/// Something must need a person for this long before it is told: much passes by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// A cause.
#[derive(Debug)]
struct Cause {
    since: Instant,
    seen: Instant,
    told: bool,
}

/// Decides what is told.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    causes: BTreeMap<String, Cause>,
    last: Option<Instant>,
}

/// What comes of looking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// What is told now, as one notification; none if empty.
    pub(crate) tell: Vec<Need>,
    /// When to look again at the latest.
    pub(crate) again: Option<Instant>,
}

impl Notices {
    /// Takes what needs a person now.
    pub(crate) fn look(&mut self, needs: &[Need], now: Instant) -> Due {
        for need in needs {
            let cause =
                self.causes.entry(need.cause()).or_insert(Cause { since: now, seen: now, told: false });
            cause.seen = now;
        }
        self.causes.retain(|_, cause| cause.seen == now || cause.told && now < cause.seen + MEMORY);
        let waiting = |need: &&Need| self.causes.get(&need.cause()).is_some_and(|cause| !cause.told);
        let untold: Vec<&Need> = needs.iter().filter(waiting).collect();
        let quiet_until = self.last.map(|last| last + QUIET);
        let ripe = |need: &Need| self.causes.get(&need.cause()).map(|cause| cause.since + PATIENCE);
        let at = untold
            .iter()
            .filter_map(|need| ripe(need))
            .min()
            .map(|at| quiet_until.map_or(at, |quiet| quiet.max(at)));
        match at {
            None => Due { tell: Vec::new(), again: None },
            Some(at) if now < at => Due { tell: Vec::new(), again: Some(at) },
            Some(_) => {
                let tell: Vec<Need> = untold.into_iter().cloned().collect();
                for need in &tell {
                    if let Some(cause) = self.causes.get_mut(&need.cause()) {
                        cause.told = true;
                    }
                }
                self.last = Some(now);
                Due { tell, again: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflicts(id: &str, count: u64) -> Need {
        Need::Conflicts { id: id.to_owned(), name: id.to_owned(), count }
    }

    /// Looks at what is needed at each second, and returns when how many causes were told.
    fn told(script: &[(u64, &[Need])], end: u64) -> Vec<(u64, usize)> {
        let (mut notices, start, mut told) = (Notices::default(), Instant::now(), Vec::new());
        let mut now: &[Need] = &[];
        for second in 0..end {
            if let Some((_, needs)) = script.iter().find(|(at, _)| *at == second) {
                now = needs;
            }
            let due = notices.look(now, start + Duration::from_secs(second));
            if !due.tell.is_empty() {
                told.push((second, due.tell.len()));
            }
        }
        told
    }

    #[test]
    fn first_cause_is_told_soon_and_once() {
        assert_eq!(told(&[(10, &[conflicts("a", 1)]), (20, &[conflicts("a", 5)])], 1000), [(12, 1)]);
    }

    #[test]
    fn many_causes_become_two_notifications_a_minute_apart() {
        let some: Vec<Need> = (0..3).map(|n| conflicts(&n.to_string(), 1)).collect();
        let all: Vec<Need> = (0..5000).map(|n| conflicts(&n.to_string(), 1)).collect();
        assert_eq!(told(&[(0, &some), (5, &all)], 300), [(2, 3), (62, 4997)]);
    }

    #[test]
    fn what_passes_by_itself_is_not_told() {
        assert_eq!(told(&[(0, &[conflicts("a", 1)]), (1, &[])], 100), []);
    }

    #[test]
    fn flapping_cause_is_told_once_and_again_after_a_long_time() {
        let a = [conflicts("a", 1)];
        let flapping: Vec<(u64, &[Need])> =
            (0..20).map(|n| (n * 10, if n % 2 == 0 { &a[..] } else { &[] })).collect();
        assert_eq!(told(&flapping, 300), [(2, 1)]);
        assert_eq!(told(&[(0, &a), (10, &[]), (700, &a)], 900), [(2, 1), (702, 1)]);
    }

    #[test]
    fn next_look_is_named_so_that_nobody_has_to_poll() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        let first = notices.look(&[conflicts("a", 1)], start);
        assert_eq!(first, Due { tell: Vec::new(), again: Some(start + PATIENCE) });
        assert_eq!(notices.look(&[conflicts("a", 1)], start + PATIENCE).tell.len(), 1);
        let both = [conflicts("a", 1), conflicts("b", 1)];
        let due = notices.look(&both, start + PATIENCE * 2);
        assert_eq!(due, Due { tell: Vec::new(), again: Some(start + PATIENCE + QUIET) });
        assert_eq!(notices.look(&[], start + QUIET).again, None);
    }
}
