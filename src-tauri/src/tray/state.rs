//! What the tray says: one state, one line and the list of what needs a person, from the status of the node.
//!
//! Pure. Green means that every relationship was compared and is equal, and that nothing waits; the worst state wins.

use evenfold_node::api::{RelationshipStatus, Status};
use jiff::Timestamp;

/// Where the node stands, as far as the tray is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// It is being started, or looked for.
    #[default]
    Starting,
    /// It answers; `attached` when it runs in another process.
    Running {
        /// Whether it is a daemon's.
        attached: bool,
    },
    /// The daemon that we were attached to has ended; nothing syncs until somebody decides.
    Lost,
    /// It cannot be started here.
    Failed {
        /// What happened.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// The states of the tray icon, from the least to the most urgent. Each has a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TrayState {
    /// Everything is verified equal.
    Ok,
    /// Something differs, as it may: compared only, or synced by hand.
    Drifted,
    /// Something is paused.
    Paused,
    /// A machine that is needed cannot be reached.
    Apart,
    /// A folder is being looked at.
    Scanning,
    /// Content travels.
    Busy,
    /// No other machine can be reached.
    Offline,
    /// Nothing is known yet.
    Starting,
    /// A person has to decide something.
    Attention,
    /// Something does not work.
    Error,
}

/// Something that needs a person. One per cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// The daemon has ended.
    EngineLost,
    /// The node cannot be started.
    EngineFailed {
        /// What happened.
        message: String,
    },
    /// A relationship fails, or something beside it.
    Fault {
        /// UUID.
        id: String,
        /// Its name.
        name: String,
        /// Stable code of the error.
        code: String,
        /// What happened.
        message: String,
        /// Whether syncing goes on all the same, as after a hook that failed or with a clock that is wrong.
        goes_on: bool,
    },
    /// A relationship is held.
    Held {
        /// UUID.
        id: String,
        /// Its name.
        name: String,
        /// Stable code of the halt.
        code: String,
        /// What happened.
        message: String,
        /// Whether a person may let it go on as it is; otherwise something has to be mended.
        approvable: bool,
    },
    /// Conflicts wait.
    Conflicts {
        /// UUID.
        id: String,
        /// Name of the relationship.
        name: String,
        /// How many.
        count: u64,
    },
    /// Paths do not converge for another reason.
    Problems {
        /// UUID.
        id: String,
        /// Name of the relationship.
        name: String,
        /// How many.
        count: u64,
    },
}

impl Need {
    /// Tells whether something does not work, beyond waiting for a decision.
    pub(crate) fn is_error(&self) -> bool {
        match self {
            Need::EngineLost | Need::EngineFailed { .. } => true,
            Need::Fault { goes_on, .. } => !goes_on,
            Need::Held { approvable, .. } => !approvable,
            Need::Conflicts { .. } | Need::Problems { .. } => false,
        }
    }

    /// Returns the page of the window where it can be seen to.
    pub(crate) fn route(&self) -> String {
        match self {
            Need::EngineLost | Need::EngineFailed { .. } => "/needs-you".to_owned(),
            Need::Fault { id, .. } | Need::Held { id, .. } => format!("/relationships/{id}"),
            Need::Conflicts { id, .. } => format!("/relationships/{id}/conflicts"),
            Need::Problems { id, .. } => format!("/relationships/{id}/changes"),
        }
    }

    /// Returns by what it is recognised as the same cause, whatever the numbers say.
    pub(crate) fn cause(&self) -> String {
        match self {
            Need::EngineLost => "engine-lost".to_owned(),
            Need::EngineFailed { .. } => "engine-failed".to_owned(),
            Need::Fault { id, .. } => format!("fault:{id}"),
            Need::Held { id, code, .. } => format!("held:{id}:{code}"),
            Need::Conflicts { id, .. } => format!("conflicts:{id}"),
            Need::Problems { id, .. } => format!("problems:{id}"),
        }
    }
}

/// The line that says why the tray shows its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing is known yet.
    Starting,
    /// One thing needs a person.
    Need(Need),
    /// Several things do.
    Needs(usize),
    /// No other machine can be reached.
    NobodyReachable {
        /// Changes of this machine that wait to travel.
        waiting: u64,
    },
    /// Content travels.
    Syncing {
        /// Relationships.
        count: usize,
        /// Bytes that are left.
        bytes_left: u64,
        /// Estimate.
        seconds: Option<u64>,
    },
    /// A folder is being looked at.
    Checking {
        /// Name of the relationship.
        name: String,
        /// Files seen.
        files: u64,
    },
    /// A machine that a relationship needs cannot be reached.
    Unreachable {
        /// Its name.
        machine: String,
        /// Name of the relationship.
        name: String,
    },
    /// Nobody has joined yet.
    Waiting {
        /// Name of the relationship.
        name: String,
    },
    /// Something is paused, until a time if it ends by itself.
    Paused {
        /// When it goes on by itself.
        until: Option<Timestamp>,
    },
    /// Something differs.
    Drifted {
        /// Name of the first such relationship.
        name: String,
        /// Files, over all.
        files: u64,
    },
    /// Everything was compared and is equal.
    UpToDate {
        /// When the oldest of the comparisons was made.
        verified: Option<Timestamp>,
    },
    /// There are no relationships.
    Nothing,
}

/// What the tray says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Its shape.
    pub(crate) state: TrayState,
    /// Why.
    pub(crate) line: Line,
    /// What needs a person, errors first.
    pub(crate) needs: Vec<Need>,
}

/// Sums up where the node stands.
pub(crate) fn summarise(link: &Link, status: Option<&Status>) -> Summary {
    let all = status.map(|status| status.relationships.as_slice()).unwrap_or_default();
    let mut needs: Vec<Need> = match link {
        Link::Lost => vec![Need::EngineLost],
        Link::Failed { message, .. } => vec![Need::EngineFailed { message: message.clone() }],
        Link::Starting | Link::Running { .. } => Vec::new(),
    };
    if needs.is_empty() {
        needs.extend(all.iter().flat_map(needs_of));
    }
    needs.sort_by_key(|need| !need.is_error());
    let (state, line) = match (needs.as_slice(), link, status) {
        ([first, others @ ..], ..) => {
            let state = if first.is_error() { TrayState::Error } else { TrayState::Attention };
            let line = if others.is_empty() { Line::Need(first.clone()) } else { Line::Needs(needs.len()) };
            (state, line)
        }
        ([], Link::Running { .. }, Some(_)) => quiet(all),
        ([], ..) => (TrayState::Starting, Line::Starting),
    };
    Summary { state, line, needs }
}

/// What a relationship needs from a person.
fn needs_of(one: &RelationshipStatus) -> Vec<Need> {
    let (id, name) = (one.id.clone(), one.name.clone());
    if one.state == "paused" {
        return Vec::new();
    }
    if let Some(halt) = &one.halt {
        let approvable = halt.plan.is_some();
        let (code, message) = (halt.code.clone(), halt.message.clone());
        return vec![Need::Held { id, name, code, message, approvable }];
    }
    let mut needs = Vec::new();
    // That a machine is away is no error, and an outdated plan is simply made anew.
    if let Some(error) = one
        .error
        .as_ref()
        .filter(|error| !matches!(error.code.as_str(), "offline" | "plan-outdated" | "paused"))
    {
        let goes_on = matches!(error.code.as_str(), "hook" | "clock");
        let (id, name, code, message) = (id.clone(), name.clone(), error.code.clone(), error.message.clone());
        needs.push(Need::Fault { id, name, code, message, goes_on });
    }
    if one.conflicts > 0 {
        needs.push(Need::Conflicts { id: id.clone(), name: name.clone(), count: one.conflicts });
    }
    // What takes no part by its nature, such as a socket, is listed as a problem of folders that are in sync, too.
    if one.problems > 0 && one.state == "differs" {
        needs.push(Need::Problems { id, name, count: one.problems });
    }
    needs
}

/// The state where nothing needs a person.
fn quiet(all: &[RelationshipStatus]) -> (TrayState, Line) {
    if all.is_empty() {
        return (TrayState::Ok, Line::Nothing);
    }
    let active: Vec<_> = all.iter().filter(|one| one.state != "paused").collect();
    let apart = |one: &&&RelationshipStatus| {
        !one.endpoints.iter().skip(1).any(|endpoint| endpoint.online) && one.endpoints.len() > 1
    };
    if !active.is_empty() && active.iter().all(|one| apart(&one)) {
        let waiting = active.iter().filter_map(|one| one.waiting.as_ref()).map(|waiting| waiting.files).sum();
        return (TrayState::Offline, Line::NobodyReachable { waiting });
    }
    let moving = |one: &RelationshipStatus| one.progress.as_ref().is_some_and(|p| p.phase != "scanning");
    if active.iter().any(|one| moving(one)) {
        return (TrayState::Busy, syncing(&active.into_iter().filter(|one| moving(one)).collect::<Vec<_>>()));
    }
    let scanning = |one: &RelationshipStatus| {
        one.progress.is_some()
            || one.state == "scanning"
            || one.state == "unknown" && one.endpoints.iter().all(|endpoint| endpoint.online)
    };
    if let Some(one) = active.iter().find(|one| scanning(one)) {
        let files = one.progress.as_ref().map_or(0, |progress| progress.files_done);
        return (TrayState::Scanning, Line::Checking { name: one.name.clone(), files });
    }
    if let Some(one) = active.iter().find(|one| one.state == "unknown") {
        let away = one.endpoints.iter().find(|endpoint| !endpoint.online);
        let machine = away.map(|endpoint| endpoint.node.clone()).unwrap_or_default();
        return (TrayState::Apart, Line::Unreachable { machine, name: one.name.clone() });
    }
    if active.len() < all.len() {
        let ends = all
            .iter()
            .filter(|one| one.state == "paused")
            .map(|one| one.paused_until.as_deref()?.parse().ok());
        // The first that goes on by itself; without a time for one there is none for all.
        return (
            TrayState::Paused,
            Line::Paused { until: ends.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min()) },
        );
    }
    if let Some(one) = active.iter().find(|one| one.state == "waiting") {
        return (TrayState::Apart, Line::Waiting { name: one.name.clone() });
    }
    let drifted: Vec<_> = active.iter().filter(|one| one.state != "in-sync").collect();
    if let Some(first) = drifted.first() {
        let files = drifted.iter().filter_map(|one| one.drift.as_ref()).map(|drift| drift.files).sum();
        return (TrayState::Drifted, Line::Drifted { name: first.name.clone(), files });
    }
    let verified = active.iter().map(|one| one.verified_at.as_deref().and_then(|time| time.parse().ok()));
    (TrayState::Ok, Line::UpToDate { verified: verified.min().flatten() })
}

fn syncing(moving: &[&RelationshipStatus]) -> Line {
    let parts: Vec<_> = moving.iter().filter_map(|one| one.progress.as_ref()).collect();
    Line::Syncing {
        count: parts.len(),
        bytes_left: parts.iter().map(|one| one.bytes_total.saturating_sub(one.bytes_done)).sum(),
        // They run side by side; without an estimate for one there is none for all.
        seconds: parts
            .iter()
            .map(|one| one.eta_seconds)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max()),
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
pub(crate) mod tests;
