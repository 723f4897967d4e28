//! Requests between nodes beyond the wire protocol's own: a name and JSON.
//!
//! | name | from | does |
//! |---|---|---|
//! | `cycle` | hub → spoke | runs a cycle of the spoke's pair and answers its [`Synced`] |
//! | `check` | hub → spoke | compares and answers its [`Check`] |
//! | `why` | hub → spoke | says why a path is, or is not, in sync: its [`Why`] |
//! | `heal` | hub → spoke | brings the spoke's healthy content to the hub, whose own is damaged: [`Restored`] |
//! | `scans` | any → peer | when the peer looked at its folder: a list of [`ScanInfo`] |
//! | `settle` | spoke → hub | has the hub ask all other spokes for a cycle |
//! | `settings` | hub → spoke | new settings of the relationship |
//! | `access` | hub → spoke | what the spoke may do with the hub's folder |
//! | `clock` | any → peer | what the peer's clock shows and which version it runs: its [`ClockAnswer`] |
//! | `delivery`, `delivery-news` | member ↔ hub | see `crate::delivery` |
//! | `neighbours` | any → peer | whom the peer would connect it with through itself: a list of `Neighbour` |
//! | `adopt` | any → peer | asks the peer to join a share with a folder of its own |

use std::sync::Arc;
use std::time::Duration;

use evenfold_ssh::PeerKey;
use evenfold_wire::RemoteError;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::access::AccessRequest;
use crate::api::{ApiError, Check, ErrorCode, Join, PathText, Restored, ScanInfo, Setting, Synced, Why};
use crate::clocks::ClockAnswer;
use crate::node::{Node, db};
use crate::preview::{RoomRequest, room};
use crate::relationship::Relationship;
use crate::remote::REFUSED;
use crate::serving::node_client;
use crate::settings::{Access, Kind, Settings};
use crate::windows::WindowRequest;

/// How long a hub waits for one spoke's cycle. A first sync may be long; whoever asked can stop waiting.
const CYCLE_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Scope in the store of what each hub set last, by relationship.
const SHARED_SETTINGS: &str = "shared-settings";

/// Scope in the store of the hub's folder, by relationship.
const HUB_FOLDER: &str = "hub-folder";

/// Scope in the store of what was set at this endpoint itself, by relationship.
const OWN_SETTINGS: &str = "own-settings";

#[derive(Debug, Serialize, Deserialize)]
struct CycleRequest {
    relationship: Uuid,
    full: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct CheckRequest {
    relationship: Uuid,
    deep: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct WhyRequest {
    relationship: Uuid,
    path: PathText,
}

#[derive(Debug, Serialize, Deserialize)]
struct ScansRequest {
    relationship: Uuid,
    limit: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct SettingsRequest {
    relationship: Uuid,
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AdoptRequest {
    share: String,
    path: PathText,
}

fn malformed(error: serde_json::Error) -> RemoteError {
    RemoteError::new("malformed", format!("the request cannot be understood: {error}"), "")
}

fn remote(error: ApiError) -> RemoteError {
    let code = serde_json::to_value(error.code).ok().and_then(|code| code.as_str().map(str::to_owned));
    RemoteError::new(code.unwrap_or_default(), error.message, error.hint.unwrap_or_default())
}

fn refused() -> RemoteError {
    RemoteError::new(REFUSED, "this machine does not take part in that relationship with you", "")
}

/// Answers a request of `peer`. A peer can only ask about relationships that it is part of.
pub(crate) async fn answer(
    node: &Arc<Node>,
    peer: &PeerKey,
    name: &str,
    payload: &[u8],
) -> Result<Vec<u8>, RemoteError> {
    match name {
        crate::forward::NEIGHBOURS => serde_json::to_vec(&node.neighbours(peer).await?).map_err(malformed),
        "cycle" => {
            let request: CycleRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let (events, _) = mpsc::channel(1);
            // What is pushed and pulled by hand is only compared when somebody else asks.
            let plan_only = relationship.tracking().is_some();
            let synced = node.sync_spoke(&relationship, request.full, plan_only, events).await;
            let mut synced = synced.map_err(remote)?;
            if plan_only {
                synced.outcome = synced.status.state.replace("in-sync", "equal");
            }
            serde_json::to_vec(&synced).map_err(malformed)
        }
        "check" => {
            let request: CheckRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let check = node.check(&relationship.row().id.to_string(), request.deep).await.map_err(remote)?;
            // The list may be longer than a message: the numbers count all, the items the first.
            let check = Check { items: check.items.into_iter().take(500).collect(), ..check };
            serde_json::to_vec(&check).map_err(malformed)
        }
        "why" => {
            let request: WhyRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let why = node.why(&relationship.row().id.to_string(), &request.path).await.map_err(remote)?;
            serde_json::to_vec(&why).map_err(malformed)
        }
        "heal" => {
            let request: WhyRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let path = crate::versions::rel_path(&request.path).map_err(remote)?;
            let restored = node.heal_hub(&relationship, &path).await.map_err(remote)?;
            serde_json::to_vec(&restored).map_err(malformed)
        }
        "scans" => {
            let request: ScansRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = match with_hub(node, peer, request.relationship) {
                Ok(relationship) => relationship,
                Err(_) => with_member(node, peer, request.relationship).await?,
            };
            // What does not fit into one message is of no interest.
            let scans = node.own_scans(&relationship, request.limit.min(500)).await.map_err(remote)?;
            serde_json::to_vec(&scans).map_err(malformed)
        }
        "settle" => {
            let request: CycleRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_member(node, peer, request.relationship).await?;
            let mut others = Vec::new();
            if relationship.delivery().is_some() {
                // A hub of deliveries sends and confirms like any other.
                let own = node.sync_spoke(&relationship, false, false, mpsc::channel(1).0);
                let asked = node.ask_members_cycle(&relationship, Some(peer), false);
                let (own, asked) = tokio::join!(own, asked);
                others.push(own.map_err(remote)?);
                others.extend(asked.map_err(remote)?);
            } else {
                others
                    .extend(node.ask_members_cycle(&relationship, Some(peer), false).await.map_err(remote)?);
            }
            serde_json::to_vec(&others).map_err(malformed)
        }
        "delivery" => crate::delivery::answer(node, peer, payload).await,
        "delivery-news" => crate::delivery::news(node, peer, payload),
        "settings" => {
            let request: SettingsRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let adopted = node.adopt_shared_settings(&relationship, &request.settings).await;
            adopted.map_err(remote)?;
            Ok(b"{}".to_vec())
        }
        "access" => {
            let request: AccessRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            // A word that is not known gives no right to write.
            let access = Access::from_word(&request.access).unwrap_or(Access::Read);
            node.adopt_access(&relationship, access).await.map_err(remote)?;
            Ok(b"{}".to_vec())
        }
        "clock" => {
            let answer = ClockAnswer::own();
            serde_json::to_vec(&answer).map_err(malformed)
        }
        "window" => {
            let request: WindowRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let relationship = with_hub(node, peer, request.relationship)?;
            let window = node.own_window(&relationship, &request.window).map_err(remote)?;
            serde_json::to_vec(&window).map_err(malformed)
        }
        "room" => {
            let request: RoomRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let row = node.store.peers().get(peer.as_bytes()).await.ok().flatten().ok_or_else(refused)?;
            serde_json::to_vec(&room(node, &row.name, &request).map_err(remote)?).map_err(malformed)
        }
        "adopt" => {
            let request: AdoptRequest = serde_json::from_slice(payload).map_err(malformed)?;
            let info = node.adopt(peer, request).await.map_err(remote)?;
            serde_json::to_vec(&info).map_err(malformed)
        }
        _ => {
            Err(RemoteError::new("unknown-request", format!("'{name}' is not known here"), "update Evenfold"))
        }
    }
}

/// Splits `MACHINE:/absolute/path`.
pub(crate) fn machine_and_path(target: &str) -> Result<(&str, &str), ApiError> {
    target.split_once(':').filter(|(_, path)| path.starts_with('/')).ok_or_else(|| {
        let message = format!("'{target}' is not MACHINE:/absolute/path");
        ApiError::new(ErrorCode::Usage, message).with_hint("for example nas:/srv/photos")
    })
}

fn with_hub(node: &Node, hub: &PeerKey, id: Uuid) -> Result<Arc<Relationship>, RemoteError> {
    node.by_id(id).filter(|r| r.row().hub == Some(*hub.as_bytes())).ok_or_else(refused)
}

async fn with_member(node: &Node, peer: &PeerKey, id: Uuid) -> Result<Arc<Relationship>, RemoteError> {
    let relationship = node.by_id(id).filter(|r| r.row().hub.is_none()).ok_or_else(refused)?;
    let member = node.store.members().get(id, peer.as_bytes()).await;
    match member {
        Ok(Some(_)) => Ok(relationship),
        _ => Err(refused()),
    }
}

impl Node {
    /// Asks a peer something and waits for the answer.
    pub(crate) async fn ask(
        &self,
        peer: &PeerKey,
        name: &str,
        request: &impl Serialize,
    ) -> Result<Vec<u8>, ApiError> {
        let gone = |error: String| ApiError::new(ErrorCode::Unreachable, error);
        let connection =
            self.network.connection(peer).ok_or_else(|| gone("it is not connected".to_owned()))?;
        let client = node_client(self, &connection).await.map_err(gone)?;
        let payload = serde_json::to_vec(request)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let asked = tokio::time::timeout(CYCLE_PATIENCE, client.custom(name.to_owned(), payload)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(evenfold_wire::CallError::Remote(error))) => {
                let code = serde_json::from_value(serde_json::Value::String(error.code));
                let mut api = ApiError::new(code.unwrap_or(ErrorCode::Refused), error.message);
                api.hint = (!error.hint.is_empty()).then_some(error.hint);
                Err(api)
            }
            Ok(Err(error)) => Err(gone(error.to_string())),
            Err(_) => Err(ApiError::new(ErrorCode::Timeout, "it did not answer")),
        }
    }

    /// Returns the online members of a relationship that this node is the hub of, and how many are offline.
    pub(crate) async fn members_online(
        &self,
        relationship: &Relationship,
        except: Option<&PeerKey>,
    ) -> Result<(Vec<(String, PeerKey)>, usize), ApiError> {
        let mut online = Vec::new();
        let mut offline = 0;
        for member in self.store.members().list(relationship.row().id).await.map_err(db)? {
            let key = PeerKey::from_bytes(member.peer);
            if except == Some(&key) {
                continue;
            }
            let peer = self.store.peers().get(&member.peer).await.map_err(db)?;
            match (peer, self.network.connection(&key)) {
                (Some(peer), Some(_)) => online.push((peer.name, key)),
                _ => offline += 1,
            }
        }
        Ok((online, offline))
    }

    /// Has every online member run a cycle with this hub, one after the other, so that what one brings reaches
    /// the next.
    pub(crate) async fn ask_members_cycle(
        &self,
        relationship: &Relationship,
        except: Option<&PeerKey>,
        full: bool,
    ) -> Result<Vec<Synced>, ApiError> {
        let request = CycleRequest { relationship: relationship.row().id, full };
        let (online, _) = self.members_online(relationship, except).await?;
        let mut answers = Vec::new();
        for (name, key) in online {
            match self.ask(&key, "cycle", &request).await {
                Ok(answer) => {
                    let parsed = serde_json::from_slice::<Synced>(&answer);
                    answers.extend(
                        parsed.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string())),
                    );
                }
                Err(error) => tracing::info!(%error, member = name, "a member did not run a cycle"),
            }
        }
        Ok(answers)
    }

    /// Has every online member compare itself with this hub.
    pub(crate) async fn ask_members_check(
        &self,
        relationship: &Relationship,
        deep: bool,
    ) -> Result<Vec<(String, Check)>, ApiError> {
        let request = CheckRequest { relationship: relationship.row().id, deep };
        let (online, _) = self.members_online(relationship, None).await?;
        let mut answers = Vec::new();
        for (name, key) in online {
            let answer = self.ask(&key, "check", &request).await?;
            let check = serde_json::from_slice(&answer);
            answers
                .push((name, check.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?));
        }
        Ok(answers)
    }

    /// Asks a member why a path is, or is not, in sync there.
    pub(crate) async fn ask_member_why(
        &self,
        member: &PeerKey,
        relationship: Uuid,
        path: &evenfold_core::RelPath,
    ) -> Result<Why, ApiError> {
        let request = WhyRequest { relationship, path: crate::text::path_text(path.as_bytes()) };
        let answer = self.ask(member, "why", &request).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
    }

    /// Asks a member to bring its healthy content of a path here.
    pub(crate) async fn ask_heal(
        &self,
        relationship: &Relationship,
        path: &evenfold_core::RelPath,
        member: &str,
    ) -> Result<Restored, ApiError> {
        let id = relationship.row().id;
        let (online, _) = self.members_online(relationship, None).await?;
        let Some((_, key)) = online.iter().find(|(name, _)| name == member) else {
            let names: Vec<&str> = online.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("no member '{member}' can be reached now; nothing was changed");
            let hint = format!("members that can be reached: {}", names.join(", "));
            return Err(ApiError::new(ErrorCode::Unreachable, message).with_hint(hint));
        };
        let request = WhyRequest { relationship: id, path: crate::text::path_text(path.as_bytes()) };
        let answer = self.ask(key, "heal", &request).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
    }

    /// Asks the other endpoints when they looked at their folders; what cannot be asked now has nothing to say.
    pub(crate) async fn ask_scans(&self, relationship: &Relationship, limit: u32) -> Vec<ScanInfo> {
        let request = ScansRequest { relationship: relationship.row().id, limit };
        let peers = match relationship.spoke() {
            // A host without Evenfold keeps no scans.
            Some(spoke) => spoke.hub.map(|hub| (spoke.hub_name.clone(), hub)).into_iter().collect(),
            None => match self.members_online(relationship, None).await {
                Ok((online, _)) => online,
                Err(_) => Vec::new(),
            },
        };
        let mut scans = Vec::new();
        for (name, key) in peers {
            match self.ask(&key, "scans", &request).await {
                Ok(answer) => {
                    let theirs = serde_json::from_slice::<Vec<ScanInfo>>(&answer).unwrap_or_default();
                    // Under the name by which it is known here.
                    scans.extend(theirs.into_iter().map(|scan| ScanInfo { node: name.clone(), ..scan }));
                }
                Err(error) => tracing::debug!(%error, peer = name, "its scans cannot be asked for"),
            }
        }
        scans
    }

    /// Asks the hub to have all other members run a cycle.
    pub(crate) async fn ask_hub_settle(&self, relationship: &Relationship) -> Result<Vec<Synced>, ApiError> {
        // A host without Evenfold has no others to ask.
        let Some(hub) = relationship.row().hub.map(PeerKey::from_bytes) else { return Ok(Vec::new()) };
        let request = CycleRequest { relationship: relationship.row().id, full: false };
        let answer = self.ask(&hub, "settle", &request).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
    }

    /// Tells online members the new settings; the others learn them when they connect.
    pub(crate) async fn tell_members(&self, relationship: &Relationship) {
        let request = SettingsRequest {
            relationship: relationship.row().id,
            settings: relationship.settings().overrides(),
        };
        let Ok((online, _)) = self.members_online(relationship, None).await else { return };
        for (name, key) in online {
            if let Err(error) = self.ask(&key, "settings", &request).await {
                tracing::warn!(%error, member = name, "a member could not be told new settings");
            }
        }
    }

    /// Remembers what the hub set, so that it is told from what was set at this endpoint when the hub changes it.
    pub(crate) async fn remember_shared_settings(
        &self,
        relationship: &str,
        shared: &str,
    ) -> Result<(), ApiError> {
        let now = crate::record::now_micros();
        self.store.settings().set(SHARED_SETTINGS, relationship, shared, now).await.map_err(db)
    }

    /// Remembers which folder the hub shares, to show it.
    pub(crate) async fn remember_hub_folder(&self, relationship: &str, folder: &str) -> Result<(), ApiError> {
        if self.hub_folder(relationship).await?.as_deref() == Some(folder) {
            return Ok(());
        }
        let now = crate::record::now_micros();
        self.store.settings().set(HUB_FOLDER, relationship, folder, now).await.map_err(db)
    }

    /// Returns the hub's folder as it said last.
    pub(crate) async fn hub_folder(&self, relationship: &str) -> Result<Option<String>, ApiError> {
        self.store.settings().get(HUB_FOLDER, relationship).await.map_err(db)
    }

    /// Takes over settings that the hub changed, keeping those of this endpoint.
    pub(crate) async fn adopt_shared_settings(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        shared: &[Setting],
    ) -> Result<(), ApiError> {
        let wrong = crate::join::wrong_setting;
        let kind: Kind = relationship.row().kind.parse().map_err(wrong)?;
        let id = relationship.row().id.to_string();
        let own = self.own_settings(relationship, Some(shared)).await?;
        let settings = Settings::parse(kind, shared).and_then(|s| s.with(&own)).map_err(wrong)?;
        self.remember_shared_settings(&id, &crate::join::to_json(shared)?).await?;
        if settings == relationship.settings() {
            return Ok(());
        }
        self.change_settings(relationship, settings).await
    }

    /// Returns the settings that belong to this endpoint alone. They are recorded when they are first changed here,
    /// because a value that equals the preset's is not seen in the settings; until then they are what
    /// `shared`, or what the hub said last, does not explain.
    async fn own_settings(
        &self,
        relationship: &Relationship,
        shared: Option<&[Setting]>,
    ) -> Result<Vec<Setting>, ApiError> {
        let id = relationship.row().id.to_string();
        let recorded = self.store.settings().get(OWN_SETTINGS, &id).await.map_err(db)?;
        if let Some(own) = recorded.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(own);
        }
        let before = self.store.settings().get(SHARED_SETTINGS, &id).await.map_err(db)?;
        let before: Option<Vec<Setting>> = before.and_then(|text| serde_json::from_str(&text).ok());
        let overrides = relationship.settings().overrides();
        let own = overrides
            .into_iter()
            .filter(|pair| crate::settings::check_endpoint_keys(std::slice::from_ref(pair)).is_ok())
            .filter(|pair| match (&before, shared) {
                (Some(before), _) => !before.contains(pair),
                (None, Some(shared)) => !shared.iter().any(|(key, _)| *key == pair.0),
                (None, None) => true,
            });
        Ok(own.collect())
    }

    /// Records that these settings were changed at this endpoint and are its own from now on.
    pub(crate) async fn record_own_settings(
        &self,
        relationship: &Relationship,
        changed: &[Setting],
    ) -> Result<(), ApiError> {
        let mut own = self.own_settings(relationship, None).await?;
        own.retain(|(key, _)| !changed.iter().any(|(other, _)| other == key));
        own.extend_from_slice(changed);
        let id = relationship.row().id.to_string();
        let json = crate::join::to_json(&own)?;
        let now = crate::record::now_micros();
        self.store.settings().set(OWN_SETTINGS, &id, &json, now).await.map_err(db)
    }

    /// Joins a share of `peer` because the peer asked for it. Allowed only into a folder that is there and
    /// empty: so nothing of this machine can be read or changed by asking.
    async fn adopt(self: &Arc<Self>, peer: &PeerKey, request: AdoptRequest) -> Result<Vec<String>, ApiError> {
        let row = self.store.peers().get(peer.as_bytes()).await.map_err(db)?;
        let row = row.ok_or_else(|| ApiError::new(ErrorCode::Refused, "not paired"))?;
        let root = crate::join::folder(&request.path)?;
        let empty = std::fs::read_dir(&root).map(|mut entries| entries.next().is_none());
        if !empty.map_err(|error| ApiError::new(ErrorCode::Folder, format!("{}: {error}", root.display())))? {
            let message = format!(
                "{} on {} is not empty, so only its owner can join with it",
                root.display(),
                self.name
            );
            let hint =
                format!("on {}: evenfold join {}:{} {}", self.name, row.name, request.share, root.display());
            return Err(ApiError::new(ErrorCode::Refused, message).with_hint(hint));
        }
        let join = Join {
            peer: Some(row.name),
            share: Some(request.share),
            path: request.path,
            role: None,
            settings: Vec::new(),
            paused: false,
        };
        Ok(vec![self.join(&join).await?.id])
    }

    /// Creates a relationship from this side: shares the folder here and has the peer join it.
    pub(crate) async fn rel_add(
        self: &Arc<Self>,
        name: &str,
        kind: &str,
        path: &PathText,
        target: &str,
        settings: &[Setting],
        pause: evenfold_store::Pause,
    ) -> Result<crate::api::RelationshipInfo, ApiError> {
        let (peer, there) = machine_and_path(target)?;
        let row = self.peer(peer).await?;
        self.reach(&row, Duration::from_secs(10)).await?;
        let info = self.share(path, name, kind, settings, pause).await?;
        let there = PathText { path: there.to_owned(), path_bytes: None };
        let request = AdoptRequest { share: name.to_owned(), path: there };
        if let Err(error) = self.ask(&PeerKey::from_bytes(row.key), "adopt", &request).await {
            self.rel_remove(name).await?;
            let message = format!("'{peer}' does not take part: {}; nothing was changed", error.message);
            return Err(ApiError { message, ..error });
        }
        self.rel_show(&info.id).await
    }
}
