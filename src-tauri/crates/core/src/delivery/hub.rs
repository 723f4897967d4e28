//! What a hub decides: what it takes in, and what it drops again.

use super::ledger::Row;
use super::state::{State, Wait};

/// Whether the hub takes something in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Yes; its size counts as taken from now on.
    Admitted,
    /// Not now, or never.
    Refused(Wait),
}

/// Decides whether `size` bytes fit beside what was promised. All in bytes: `free` and `total` of the file system,
/// `reserve` that must stay free, `promised` to others and not written yet.
pub fn admit(size: u64, free: u64, total: u64, reserve: u64, promised: u64) -> Admission {
    if size > total.saturating_sub(reserve) {
        return Admission::Refused(Wait::TooLarge);
    }
    if size > free.saturating_sub(reserve).saturating_sub(promised) {
        return Admission::Refused(Wait::NoSpace);
    }
    Admission::Admitted
}

/// Returns when the hub may drop its copy of one version, whose rows are given: `retention` (in microseconds) after the
/// last destination had it, durably. `None` as long as somebody does not have it, or nobody is to have it.
pub fn released<'a>(rows: impl IntoIterator<Item = &'a Row>, retention: i64) -> Option<i64> {
    let mut last: Option<i64> = None;
    for row in rows {
        let at = match (&row.state, row.delivered) {
            (state, Some(delivered)) if state.is_delivered() => delivered.saturating_add(retention),
            // Nobody wants it any more.
            (State::Skipped(_), _) => row.changed,
            _ => return None,
        };
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    last
}
