//! What the exit code says.

use std::process::ExitCode;

use evenfold_node::api::{ApiError, Check, ErrorCode, PlanInfo, Synced};

/// How a command ended. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, and equal where that was the question.
    Done = 0,
    /// Something failed.
    Error = 1,
    /// The command makes no sense.
    Usage = 2,
    /// The sides differ.
    Differs = 3,
    /// Conflicts wait for a decision.
    Conflicts = 4,
    /// Held until a person approves.
    Held = 5,
    /// A side could not be verified.
    Unknown = 6,
    /// Another engine runs on this home.
    AlreadyRunning = 7,
    /// The user broke it off.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl From<&ApiError> for Exit {
    fn from(error: &ApiError) -> Self {
        match error.code {
            ErrorCode::Usage | ErrorCode::Setting => Exit::Usage,
            ErrorCode::Held => Exit::Held,
            ErrorCode::AlreadyRunning => Exit::AlreadyRunning,
            ErrorCode::Timeout => Exit::Unknown,
            ErrorCode::NotFound
            | ErrorCode::Exists
            | ErrorCode::Folder
            | ErrorCode::Unreachable
            | ErrorCode::KeyChanged
            | ErrorCode::KeyUnknown
            | ErrorCode::KeyEncrypted
            | ErrorCode::Refused
            | ErrorCode::PairingFailed
            | ErrorCode::PlanOutdated
            | ErrorCode::Store
            | ErrorCode::Io
            | ErrorCode::Internal => Exit::Error,
        }
    }
}

impl From<&Synced> for Exit {
    fn from(synced: &Synced) -> Self {
        match synced.outcome.as_str() {
            "equal" | "started" => Exit::Done,
            "differs" => Exit::Differs,
            "failed" => Exit::Error,
            "conflicts" => Exit::Conflicts,
            "held" => Exit::Held,
            "planned" => synced.plan.as_ref().map_or(Exit::Done, Exit::from),
            "timeout" => match &synced.status.drift {
                Some(drift) if drift.files > 0 => Exit::Differs,
                _ => Exit::Unknown,
            },
            // An outcome of a newer node is not known to be good.
            _ => Exit::Unknown,
        }
    }
}

impl From<&PlanInfo> for Exit {
    fn from(plan: &PlanInfo) -> Self {
        let moves = |side: &evenfold_node::api::Movement| side.new + side.replaced + side.deleted > 0;
        if plan.halt.is_some() {
            Exit::Held
        } else if plan.conflicts > 0 {
            Exit::Conflicts
        } else if moves(&plan.here) || moves(&plan.there) || !plan.changes.is_empty() || plan.blocked > 0 {
            Exit::Differs
        } else {
            Exit::Done
        }
    }
}

impl From<&Check> for Exit {
    fn from(check: &Check) -> Self {
        let counts = &check.counts;
        let differing =
            counts.missing + counts.stale + counts.orphaned + counts.moved + counts.corrupt + check.suspects;
        if !check.verified || counts.unknown > 0 {
            Exit::Unknown
        } else if counts.conflict > 0 {
            Exit::Conflicts
        } else if differing + counts.error > 0 {
            Exit::Differs
        } else {
            Exit::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use evenfold_node::api::Counts;

    use super::*;

    fn check(change: impl FnOnce(&mut Check), exit: Exit) {
        let mut check = Check {
            verified: true,
            unverified_reason: None,
            unknown_since: None,
            compared_at: None,
            counts: Counts { in_sync: 5, excluded: 2, ..Counts::default() },
            bytes: Counts::default(),
            suspects: 0,
            items: Vec::new(),
        };
        change(&mut check);
        assert_eq!(Exit::from(&check), exit, "{check:?}");
    }

    #[test]
    fn comparison_is_good_only_if_verified_and_equal() {
        check(|_| {}, Exit::Done);
        check(|check| check.counts.missing = 1, Exit::Differs);
        check(|check| check.counts.error = 1, Exit::Differs);
        check(|check| check.counts.corrupt = 1, Exit::Differs);
        check(|check| check.suspects = 1, Exit::Differs);
        check(
            |check| {
                check.counts.conflict = 1;
                check.counts.stale = 1;
            },
            Exit::Conflicts,
        );
        check(|check| check.counts.unknown = 1, Exit::Unknown);
        check(
            |check| {
                check.verified = false;
                check.counts.conflict = 1;
            },
            Exit::Unknown,
        );
    }

    #[test]
    fn numbers_are_what_scripts_know() {
        let numbers = [
            Exit::Done,
            Exit::Error,
            Exit::Usage,
            Exit::Differs,
            Exit::Conflicts,
            Exit::Held,
            Exit::Unknown,
            Exit::AlreadyRunning,
            Exit::Interrupted,
        ]
        .map(|exit| exit as u8);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    }

    #[test]
    fn errors_have_their_own_codes() {
        for (code, exit) in [
            (ErrorCode::Usage, Exit::Usage),
            (ErrorCode::Setting, Exit::Usage),
            (ErrorCode::Held, Exit::Held),
            (ErrorCode::AlreadyRunning, Exit::AlreadyRunning),
            (ErrorCode::Timeout, Exit::Unknown),
            (ErrorCode::Unreachable, Exit::Error),
            (ErrorCode::PlanOutdated, Exit::Error),
        ] {
            assert_eq!(Exit::from(&ApiError::new(code, "x")), exit, "{code:?}");
        }
    }
}
