//! What state everything is in. Honest above all: "in sync" only where digests were compared, "unknown" where
//! a side cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::diff::{Drift, Finding};
use evenfold_core::safety::Halt;
use evenfold_core::{Blocked, Reason, Side};
use evenfold_engine::driver::State;
use evenfold_engine::{CycleError, CycleReport, Ending, EndpointError};
use evenfold_ssh::PeerKey;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::api::{
    ApiError, DriftInfo, EndpointStatus, ErrorInfo, HaltInfo, PathText, RelationshipStatus, Status,
};
use crate::clocks::FAR_APART;
use crate::local::lock;
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::plans::halt_info;
use crate::record::now_micros;
use crate::relationship::{Relationship, Spoke};
use crate::work::{Work, together};

/// What a spoke tells its hub about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpokeState {
    pub(crate) state: String,
    pub(crate) drift: Option<DriftInfo>,
    pub(crate) verified_at: Option<i64>,
    pub(crate) conflicts: u64,
    pub(crate) problems: u64,
    /// Why nothing goes on until a person decides, where that is so.
    #[serde(default)]
    pub(crate) halt: Option<HaltInfo>,
}

/// What travels to the hub: the state, which it keeps, and the work, which is true only now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpokeReport {
    #[serde(flatten)]
    pub(crate) state: SpokeState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) work: Option<Work>,
}

impl Node {
    pub(crate) async fn status(self: &Arc<Self>, wanted: Option<&str>) -> Result<Status, ApiError> {
        let chosen = match wanted {
            Some(wanted) => vec![self.find(wanted)?],
            None => self.all(),
        };
        // Nobody waits for a clock; what it shows is told the next time.
        let peers = self.store.peers().list().await.map_err(db)?;
        let keys: Vec<PeerKey> = peers.iter().map(|peer| PeerKey::from_bytes(peer.key)).collect();
        self.measure_clocks(&keys, Duration::ZERO).await;
        let mut relationships = Vec::new();
        for relationship in chosen {
            relationships.push(self.relationship_status(&relationship).await?);
        }
        Ok(Status { node: self.info(), relationships })
    }

    /// Returns the state of one relationship.
    pub(crate) async fn relationship_status(
        &self,
        relationship: &Relationship,
    ) -> Result<RelationshipStatus, ApiError> {
        if let Some(delivery) = relationship.delivery() {
            return self.delivery_status(relationship, &delivery).await;
        }
        match relationship.spoke() {
            Some(spoke) => self.spoke_status(relationship, spoke).await,
            None => self.hub_status(relationship).await,
        }
    }

    async fn spoke_status(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
    ) -> Result<RelationshipStatus, ApiError> {
        let row = relationship.row();
        let state = spoke.driver.state().borrow().clone();
        let theirs = spoke.hub_name.as_str();
        let told = spoke_state(&state, relationship.source(), [&self.name, theirs]);
        let peer = match &spoke.hub {
            Some(hub) => self.store.peers().get(hub.as_bytes()).await.map_err(db)?,
            None => None,
        };
        let last_seen = peer.and_then(|peer| peer.last_seen);
        let folder = match spoke.hub {
            Some(_) => self.hub_folder(&row.id.to_string()).await?,
            None => row.hub_share.clone(),
        };
        let progress = if state.running { spoke.meter.read_unless_idle() } else { None };
        let known = told.state != "unknown" && (told.halt.is_none() || told.drift.is_some());
        let way = match &spoke.hub {
            Some(hub) => self.unusual_way_to(hub).await?,
            None => lock(&spoke.way).clone(),
        };
        Ok(RelationshipStatus {
            id: row.id.to_string(),
            name: row.name.clone(),
            kind: row.kind.clone(),
            role: row.role.clone(),
            state: if progress.is_some() && spoke.meter.moves() { busy(&told.state) } else { &told.state }
                .to_owned(),
            halt: told.halt,
            verified_at: told.verified_at.or(row.last_verified).and_then(time_text),
            unknown_since: (!known)
                .then(|| told.verified_at.or(row.last_verified).or(Some(row.created)).and_then(time_text))
                .flatten(),
            endpoints: vec![
                EndpointStatus { access: own_access(relationship), ..self.own_endpoint(&row) },
                EndpointStatus {
                    node: theirs.to_owned(),
                    role: match (row.role.as_str(), &spoke.hub) {
                        ("destination", _) => "source",
                        ("source", None) => "destination",
                        (_, None) => "host",
                        (_, Some(_)) => "hub",
                    }
                    .to_owned(),
                    path: folder.map(|path| PathText { path, path_bytes: None }),
                    online: state.online,
                    last_seen: if state.online {
                        time_text(now_micros())
                    } else {
                        last_seen.and_then(time_text)
                    },
                    way,
                    access: None,
                },
            ],
            drift: known.then_some(told.drift).flatten(),
            waiting: if state.paused || !state.online { state.waiting.as_deref().map(summary) } else { None },
            progress,
            conflicts: told.conflicts,
            problems: told.problems,
            error: match self.error_of(spoke, &state).or_else(|| hook_error(relationship)) {
                None => self.clock_error(spoke.hub.as_slice()).await,
                error => error,
            },
            retry_at: state.retry_in.and_then(|wait| time_text(now_micros() + wait.as_micros() as i64)),
            paused_until: paused_until(&row),
            deliveries: None,
        })
    }

    fn own_endpoint(&self, row: &evenfold_store::RelationshipRow) -> EndpointStatus {
        EndpointStatus {
            node: self.name.clone(),
            role: row.role.clone(),
            path: Some(PathText::from(row.root.as_path())),
            online: true,
            last_seen: time_text(now_micros()),
            way: None,
            access: None,
        }
    }

    fn error_of(&self, spoke: &Spoke, state: &State) -> Option<ErrorInfo> {
        if !state.online {
            let failure = spoke.hub.as_ref().and_then(|hub| self.network.failure(hub));
            if let Some(evenfold_ssh::DialError::HostKeyChanged { addr, expected, actual }) = &failure {
                return Some(ErrorInfo {
                    code: "key-changed".to_owned(),
                    message: format!(
                        "{addr} shows the key {actual}, but {} has the key {expected}; nothing was sent",
                        spoke.hub_name
                    ),
                    hint: "if that machine was set up anew, remove it and pair again; otherwise somebody may stand \
                           between you: do not connect"
                        .to_owned(),
                });
            }
            let why = spoke.why_offline(&self.network);
            let why = why.unwrap_or_else(|| crate::network::describe(None));
            return Some(ErrorInfo {
                code: "offline".to_owned(),
                message: format!("{} cannot be reached: {why}", spoke.hub_name),
                hint: "it is tried again by itself; changes here wait".to_owned(),
            });
        }
        let error = state.error.as_ref()?;
        let machine = match error {
            CycleError::Endpoint(Side::Theirs, _) => spoke.hub_name.as_str(),
            _ => self.name.as_str(),
        };
        Some(ErrorInfo {
            code: error_code(error).to_owned(),
            message: format!("on {machine}: {error}; what was done is recorded"),
            hint: "it is tried again by itself".to_owned(),
        })
    }

    /// Warns of the clock that is furthest from ours, where that may surprise somebody.
    async fn clock_error(&self, peers: &[PeerKey]) -> Option<ErrorInfo> {
        let far = |ahead: &i64| ahead.unsigned_abs() > FAR_APART.as_secs();
        let clocks = peers.iter().filter_map(|peer| Some((peer, self.clocks.ahead(peer).filter(far)?)));
        let (peer, ahead) = clocks.max_by_key(|(_, ahead)| ahead.unsigned_abs())?;
        let name = self.name_of(crate::delivery::party(peer)).await;
        Some(ErrorInfo {
            code: "clock".to_owned(),
            message: format!("the clock of {name} is {}; syncing goes on", crate::clocks::words(ahead)),
            hint: "set the clocks right on both machines (NTP): the newer of two versions is told by them"
                .to_owned(),
        })
    }

    async fn hub_status(&self, relationship: &Relationship) -> Result<RelationshipStatus, ApiError> {
        use evenfold_engine::Endpoint as _;
        let row = relationship.row();
        let mut endpoints = vec![self.own_endpoint(&row)];
        let mut told: Vec<SpokeState> = Vec::new();
        let mut works: Vec<Work> = Vec::new();
        let mut members = Vec::new();
        for member in self.store.members().list(row.id).await.map_err(db)? {
            let key = PeerKey::from_bytes(member.peer);
            let online = self.network.connection(&key).is_some();
            members.push(key);
            let peer = self.store.peers().get(&member.peer).await.map_err(db)?;
            let reported =
                member.state.as_deref().and_then(|text| serde_json::from_str::<SpokeState>(text).ok());
            let mut state =
                reported.unwrap_or_else(|| SpokeState { state: "unknown".to_owned(), ..Default::default() });
            if !online {
                // What it said last was true then.
                state.state = "unknown".to_owned();
            } else if let Some(work) = relationship.members_work.of(&key) {
                if work.moves() {
                    state.state = busy(&state.state).to_owned();
                }
                works.push(work);
            }
            let access =
                access::shown(access::access_of(member.permission), &member.role, &relationship.settings());
            endpoints.push(EndpointStatus {
                node: peer.as_ref().map_or_else(|| key.fingerprint(), |peer| peer.name.clone()),
                role: member.role,
                path: Some(PathText { path: member.endpoint, path_bytes: None }),
                online,
                last_seen: if online {
                    time_text(now_micros())
                } else {
                    peer.and_then(|peer| peer.last_seen).or(member.last_seen).and_then(time_text)
                },
                way: self.unusual_way_to(&key).await?,
                access,
            });
            told.push(state);
        }
        let own = relationship.local.scan(evenfold_core::snapshot::Extent::Paths(Vec::new()), &[]).await;
        let (halt, copies, unknown) = match &own {
            Ok(snapshot) => {
                let totals = snapshot.tree.totals();
                (None, totals.conflict_copies, totals.unknown)
            }
            Err(error) => (Some(own_folder_halt(error, &self.name)), 0, 0),
        };
        let paused = row.pause != evenfold_store::Pause::Running;
        let state = match () {
            () if paused => "paused",
            () if halt.is_some() => "held",
            () if told.is_empty() => "waiting",
            () => worst_state(&told),
        };
        let verified_at = told.iter().map(|state| state.verified_at).min().flatten();
        let drift = told.iter().filter_map(|state| state.drift.clone()).reduce(add_drift);
        let known = match state {
            "unknown" | "waiting" => false,
            "held" => halt.is_none() && told.iter().all(|state| state.drift.is_some()),
            _ => true,
        };
        let halt = halt.or_else(|| halt_of_a_member(&told, &endpoints, &row.name));
        Ok(RelationshipStatus {
            id: row.id.to_string(),
            name: row.name.clone(),
            kind: row.kind.clone(),
            role: row.role.clone(),
            state: state.to_owned(),
            halt,
            verified_at: verified_at.and_then(time_text),
            unknown_since: (!known).then(|| verified_at.or(Some(row.created)).and_then(time_text)).flatten(),
            endpoints,
            drift: if known { drift } else { None },
            waiting: None,
            progress: together(works.into_iter().map(|work| work.progress)),
            conflicts: told.iter().map(|state| state.conflicts).max().unwrap_or(0).max(copies),
            problems: told.iter().fold(0u64, |sum, state| sum.saturating_add(state.problems)).max(unknown),
            error: match hook_error(relationship) {
                None => self.clock_error(&members).await,
                error => error,
            },
            retry_at: None,
            paused_until: paused_until(&row),
            deliveries: None,
        })
    }
}

/// Returns the state of a pair while contents travel: what was true before they did is not any more, and what a person
/// has to decide stays to be decided.
fn busy(state: &str) -> &str {
    match state {
        "in-sync" | "differs" | "scanning" | "unknown" => "syncing",
        other => other,
    }
}

fn add_drift(a: DriftInfo, b: DriftInfo) -> DriftInfo {
    DriftInfo {
        files: a.files.saturating_add(b.files),
        bytes: a.bytes.saturating_add(b.bytes),
        oldest_seconds: a.oldest_seconds.max(b.oldest_seconds),
    }
}

/// Returns why a member waits for a person, and where that person decides. `endpoints` are this node's and those of the
/// members, in their order.
fn halt_of_a_member(told: &[SpokeState], endpoints: &[EndpointStatus], name: &str) -> Option<HaltInfo> {
    let (member, halt) = endpoints
        .iter()
        .skip(1)
        .zip(told)
        .filter(|(_, state)| state.state == "held")
        .find_map(|(member, state)| Some((member, state.halt.clone()?)))?;
    let hint =
        format!("decide on {}, which looks after this pair: 'evenfold status {name}' there", member.node);
    Some(HaltInfo { hint, plan: None, ..halt })
}

fn worst_state(told: &[SpokeState]) -> &'static str {
    const ORDER: [&str; 8] =
        ["held", "unknown", "syncing", "scanning", "conflicts", "differs", "paused", "in-sync"];
    ORDER.into_iter().find(|state| told.iter().any(|told| told.state == *state)).unwrap_or("unknown")
}

/// Says why this node's own folder cannot be used.
pub(crate) fn own_folder_halt(error: &EndpointError, machine: &str) -> HaltInfo {
    let halt =
        error.as_halt(Side::Ours).unwrap_or_else(|| Halt::RootUnreadable(Side::Ours, error.to_string()));
    halt_info(&halt, None, machine, machine)
}

/// Summarises a spoke's loop; the machines are its own and the hub.
pub(crate) fn spoke_state(state: &State, source: Side, [ours, theirs]: [&str; 2]) -> SpokeState {
    let last = state.last.as_deref();
    let conflicts = last.map_or(0, |report| report.conflict_copies + report.plan.conflicts.len() as u64);
    // What only has to hold still is no problem.
    let is_problem = |blocked: &&Blocked| blocked.reason != Reason::Settling;
    let problems = last.map_or(0, |report| report.blocked.iter().filter(is_problem).count() as u64);
    let word = if state.paused {
        "paused"
    } else if state.halt.is_some() {
        "held"
    } else if !state.online || state.error.is_some() {
        "unknown"
    } else if state.running && last.is_none() {
        "scanning"
    } else {
        match last.map(|report| &report.ending) {
            None => "unknown",
            Some(Ending::Equal) => "in-sync",
            Some(Ending::Conflicts) => "conflicts",
            Some(_) => "differs",
        }
    };
    SpokeState {
        state: word.to_owned(),
        // What differs from a folder that is missing or unreadable is not known, whatever was found before.
        drift: last
            .filter(|_| state.halt.as_ref().is_none_or(|(halt, _)| halt.approvable()))
            .map(|report| drift_of(report, source)),
        verified_at: state.verified_at,
        conflicts,
        problems,
        halt: state.halt.as_ref().map(|(halt, plan)| halt_info(halt, *plan, ours, theirs)),
    }
}

fn drift_of(report: &CycleReport, source: Side) -> DriftInfo {
    if report.ending == Ending::Equal {
        return DriftInfo { files: 0, bytes: 0, oldest_seconds: None };
    }
    let drift = report.drift(source);
    summary(&drift)
}

fn summary(drift: &Drift) -> DriftInfo {
    // What takes no part, such as a socket, is a problem to show, not content that would have to travel.
    let counted: Vec<_> = drift
        .items
        .iter()
        .filter(|item| !matches!(item.finding, Finding::Error(_, kind) if kind.takes_no_part()))
        .collect();
    let now = now_micros() / 1_000_000;
    let oldest = counted.iter().filter_map(|item| item.changed).map(|changed| changed.secs).min();
    DriftInfo {
        files: counted.len() as u64,
        bytes: counted.iter().map(|item| item.bytes).sum(),
        oldest_seconds: oldest.map(|oldest| u64::try_from(now - oldest).unwrap_or(0)),
    }
}

pub(crate) fn error_code(error: &CycleError) -> &'static str {
    match error {
        CycleError::Endpoint(_, EndpointError::Offline(_)) => "offline",
        CycleError::Endpoint(_, EndpointError::Refused(_)) => "refused",
        CycleError::Endpoint(..) => "endpoint",
        CycleError::Store(_) => "store",
        CycleError::PlanOutdated => "plan-outdated",
        CycleError::Paused => "paused",
    }
}

fn hook_error(relationship: &Relationship) -> Option<ErrorInfo> {
    let (path, error) = relationship.hooks.get()?.failing().into_iter().next()?;
    let about = if path.is_root() { "the relationship".to_owned() } else { path.to_string() };
    Some(ErrorInfo {
        code: "hook".to_owned(),
        message: format!("a hook for {about} failed: {error}; what was synced stays synced"),
        hint: "it is tried again by itself".to_owned(),
    })
}

/// Returns what this node may do with the hub's folder, where there is a hub.
pub(crate) fn own_access(relationship: &Relationship) -> Option<String> {
    let row = relationship.row();
    let access = *lock(&relationship.access);
    row.hub.and_then(|_| access::shown(access, &row.role, &relationship.settings()))
}

/// Returns when the pause of a relationship ends by itself, RFC 3339.
pub(crate) fn paused_until(row: &evenfold_store::RelationshipRow) -> Option<String> {
    match row.pause {
        evenfold_store::Pause::Until(until) => time_text(until),
        evenfold_store::Pause::Running | evenfold_store::Pause::Paused => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_whose_folder_is_not_known_says_null_and_is_read_back() {
        let endpoint = |path| EndpointStatus {
            node: "nas".to_owned(),
            role: "hub".to_owned(),
            path,
            online: true,
            last_seen: None,
            way: None,
            access: None,
        };
        let unknown = serde_json::to_value(endpoint(None)).unwrap();
        assert_eq!(unknown.get("path"), Some(&serde_json::Value::Null), "{unknown}");
        let read: EndpointStatus = serde_json::from_value(unknown).unwrap();
        assert_eq!(read.path, None);
        let path = PathText { path: "/srv".to_owned(), path_bytes: None };
        let known = serde_json::to_value(endpoint(Some(path.clone()))).unwrap();
        assert_eq!(known.get("path").and_then(|path| path.as_str()), Some("/srv"));
        assert_eq!(serde_json::from_value::<EndpointStatus>(known).unwrap().path, Some(path));
    }
}
