//! Places at which a debug build can be told to die, so that tests kill real processes between any two effects.
//!
//! Present wherever debug assertions are on, rather than behind a feature: tests then run the very binary that is
//! built anyway, and a release build has neither the code nor the variable.

/// Ends the process as a kill from outside does, if `EVENFOLD_CRASH_AT` names this place: `LABEL`, or `LABEL:N` for the
/// Nth time that it is reached. Nothing is flushed and nothing is cleaned up. Without debug assertions this is nothing.
#[inline(always)]
pub fn point(label: &str) {
    #[cfg(debug_assertions)]
    armed::reached(label);
    #[cfg(not(debug_assertions))]
    let _ = label;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Plan {
        label: String,
        left: AtomicU64,
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

    pub(super) fn reached(label: &str) {
        let Some(plan) = PLAN.get_or_init(read) else { return };
        if plan.label == label && plan.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // The signal that cannot be caught: no destructor runs, no buffer is written.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort();
        }
    }

    fn read() -> Option<Plan> {
        let wanted = std::env::var("EVENFOLD_CRASH_AT").ok()?;
        let (label, times) = match wanted.rsplit_once(':') {
            Some((label, times)) => (label.to_owned(), times.parse().ok()?),
            None => (wanted, 1),
        };
        Some(Plan { label, left: AtomicU64::new(times) })
    }
}
