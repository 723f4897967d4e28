//! Sharing a folder, joining a share, and the preview before.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::Dir;
use evenfold_core::batch::Limit;
use evenfold_core::scope::{Direction, Scope};
use evenfold_engine::pair::{PairSettings, Permission};
use evenfold_engine::ports::{Commit, Intent, Record, Store as RecordPort, StoreError};
use evenfold_engine::{Endpoint, Look, Pair, Progress};
use evenfold_fs::apply::Rules;
use evenfold_ssh::PeerKey;
use evenfold_store::{Pause, PeerRow, RelationshipRow};
use evenfold_wire::{Role, Share, ShareRef};
use uuid::Uuid;

use crate::access::access_told;
use crate::api::{ApiError, ErrorCode, Join, PathText, PlanInfo, RelationshipInfo, Setting};
use crate::limits::Limits;
use crate::local::{LocalEndpoint, LocalSettings, Mark};
use crate::node::{Node, db};
use crate::plans::plan_info;
use crate::record::now_micros;
use crate::relationship::{SystemClock, source_of};
use crate::remote::RemoteEndpoint;
use crate::serving::node_client;
use crate::settings::{Access, Flow, Kind, Part, Settings, Stage, check_endpoint_keys};
use crate::text::path_bytes;

/// How long joining waits for the other machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maps an error of settings.
pub(crate) fn wrong_setting(error: crate::settings::SettingError) -> ApiError {
    ApiError::new(ErrorCode::Setting, error.to_string()).with_hint(error.hint())
}

impl Node {
    /// Offers a folder as the hub of a new relationship.
    pub(crate) async fn share(
        self: &Arc<Self>,
        path: &PathText,
        name: &str,
        kind: &str,
        pairs: &[Setting],
        pause: Pause,
    ) -> Result<RelationshipInfo, ApiError> {
        let kind: Kind = kind.parse().map_err(wrong_setting)?;
        let settings = Settings::parse(kind, pairs).map_err(wrong_setting)?;
        settings.check_effect(pairs, Stage::New).map_err(wrong_setting)?;
        self.check_new_name(name).await?;
        let root = folder(path)?;
        self.check_root_free(&root)?;
        let role = match kind {
            Kind::Relay => "hub",
            _ if settings.flow == Flow::OneWay => "source",
            _ => "hub",
        };
        let row = RelationshipRow {
            id: Uuid::new_v4(),
            name: name.to_owned(),
            kind: kind.name().to_owned(),
            role: role.to_owned(),
            root,
            hub: None,
            hub_share: None,
            settings: to_json(&settings.overrides())?,
            pause,
            created: now_micros(),
            root_identity: None,
            last_verified: None,
        };
        self.begin(row).await
    }

    /// Marks the folder as ours, unless nothing may be written into it, records the relationship and starts it.
    pub(crate) async fn begin(self: &Arc<Self>, row: RelationshipRow) -> Result<RelationshipInfo, ApiError> {
        let id = row.id;
        let settings = crate::relationship::read_settings(&row)?;
        let reads = settings.flow == Flow::None || crate::delivery::only_reads(&row, &settings);
        let mark = if reads { Mark::Look } else { Mark::Create };
        self.store.relationships().add(&row).await.map_err(db)?;
        let root = row.root.display().to_string();
        let relationship = self.start(row, mark).await?;
        if let Err(error) = relationship.local.replica().await {
            self.stop(id);
            self.store.relationships().remove(id).await.map_err(db)?;
            let message = format!("{root} on {} cannot be used: {error}; nothing was changed", self.name);
            return Err(ApiError::new(ErrorCode::Folder, message));
        }
        self.remember_root(&relationship).await?;
        self.relationship_info(&relationship).await
    }

    /// Records by what the folder is recognised after a restart.
    pub(crate) async fn remember_root(
        &self,
        relationship: &crate::relationship::Relationship,
    ) -> Result<(), ApiError> {
        let failed =
            |error: evenfold_engine::EndpointError| ApiError::new(ErrorCode::Folder, error.to_string());
        let replica = relationship.local.replica().await.map_err(failed)?;
        let row = relationship.row();
        let text = match (relationship.local.mark(), replica.identity()) {
            (Mark::Expect(Some(replica)), _) => replica.to_string(),
            (_, evenfold_fs::marker::Identity::FileSystem { ino, .. })
                if crate::delivery::only_reads(&row, &relationship.settings()) =>
            {
                relationship.local.set_mark(Mark::Inode(ino));
                format!("inode:{ino}")
            }
            _ => return Ok(()),
        };
        self.store.relationships().set_root_identity(row.id, Some(&text)).await.map_err(db)
    }

    pub(crate) async fn check_new_name(&self, name: &str) -> Result<(), ApiError> {
        if name.is_empty() || name.len() > 128 || name.chars().any(|c| c.is_control() || c == ':' || c == '/')
        {
            let message = format!("'{}' cannot be the name of a relationship", name.escape_debug());
            let hint = "use 1 to 128 characters without ':', '/' and control characters";
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
        }
        match self.store.relationships().by_name(name).await.map_err(db)? {
            None => Ok(()),
            Some(_) => {
                let message = format!("this node has a relationship '{name}' already; nothing was changed");
                Err(ApiError::new(ErrorCode::Exists, message).with_hint("choose another name"))
            }
        }
    }

    /// A folder inside another synced folder would be synced twice, and its own `.evenfold` would travel.
    pub(crate) fn check_root_free(&self, root: &std::path::Path) -> Result<(), ApiError> {
        for other in self.all() {
            let row = other.row();
            if row.root != root && (row.root.starts_with(root) || root.starts_with(&row.root)) {
                let message = format!(
                    "{} lies in one line with {}, the folder of '{}'; nothing was changed",
                    root.display(),
                    row.root.display(),
                    row.name
                );
                let hint = "choose a folder that neither holds nor lies in another relationship's folder";
                return Err(ApiError::new(ErrorCode::Folder, message).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Finds out what is joined and where.
    async fn invitation(self: &Arc<Self>, join: &Join) -> Result<Invitation, ApiError> {
        let root = folder(&join.path)?;
        check_endpoint_keys(&join.settings).map_err(wrong_setting)?;
        let usage = |message: &str| ApiError::new(ErrorCode::Usage, message);
        let peer = self.peer(join.peer.as_deref().ok_or_else(|| usage("no machine was named"))?).await?;
        let wanted = join.share.clone().ok_or_else(|| usage("no relationship was named"))?;
        let connection = self.reach(&peer, PATIENCE).await?;
        let unreachable = |error: String| {
            ApiError::new(
                ErrorCode::Unreachable,
                format!("'{}' broke off: {error}; nothing was changed", peer.name),
            )
        };
        let client = node_client(self, &connection).await.map_err(unreachable)?;
        let shares = client.list_shares().await.map_err(|error| unreachable(error.to_string()))?;
        let names: Vec<_> = shares.iter().map(|share| share.name.clone()).collect();
        let share = shares.into_iter().find(|share| share.name == wanted).ok_or_else(|| {
            let hint = if names.is_empty() {
                format!("'{}' shares nothing yet: 'evenfold share PATH --name NAME' there", peer.name)
            } else {
                format!("'{}' shares: {}", peer.name, names.join(", "))
            };
            let message = format!("'{}' shares no '{wanted}'; nothing was changed", peer.name);
            ApiError::new(ErrorCode::NotFound, message).with_hint(hint)
        })?;
        let kind: Kind = share.kind.parse().map_err(wrong_setting)?;
        let shared: Vec<Setting> = serde_json::from_str(&share.settings).map_err(|error| {
            ApiError::new(
                ErrorCode::Setting,
                format!("the settings of '{wanted}' cannot be understood: {error}"),
            )
        })?;
        let theirs = Settings::parse(kind, &shared).map_err(wrong_setting)?;
        let settings = theirs.with(&join.settings).map_err(wrong_setting)?;
        settings.check_effect(&join.settings, Stage::Running(&theirs)).map_err(wrong_setting)?;
        let role = role_of(join.role.as_deref(), &settings)?;
        Ok(Invitation { root, peer, connection, client, share, kind, settings, role })
    }

    /// Says what joining would do, without writing anything anywhere.
    pub(crate) async fn join_preview(self: &Arc<Self>, join: &Join) -> Result<PlanInfo, ApiError> {
        let invitation = self.invitation(join).await?;
        let settings = &invitation.settings;
        let local = LocalEndpoint::passing(
            self.name.clone(),
            invitation.root.clone(),
            Uuid::from_u128(invitation.share.id),
            Arc::clone(&self.store),
            LocalSettings {
                select: settings.select(),
                rules: Rules { reserve: 0, whole: false },
                mark: Mark::Look,
                watch: false,
            },
        );
        let broke = |error: &dyn std::fmt::Display| {
            let message = format!("the preview could not be made: {error}; nothing was changed");
            ApiError::new(ErrorCode::Io, message)
        };
        let limits = Limits::new(settings);
        let theirs = RemoteEndpoint::open(
            &invitation.connection,
            &self.name,
            invitation.peer.name.clone(),
            invitation.share.id,
            &limits,
        );
        let theirs: Arc<dyn Endpoint> = Arc::new(theirs.await.map_err(|error| broke(&error))?);
        let part = Part {
            ours: &self.name,
            theirs: &invitation.peer.name,
            source: source_of(invitation.role),
            may_write: access_told(&invitation.share) == Access::Write,
        };
        let matcher = local.matcher().map_err(|error| ApiError::new(ErrorCode::Setting, error))?;
        let by_hand = invitation.kind == Kind::Manual;
        let pair = PairSettings {
            tracking: by_hand.then(Arc::default),
            policy: settings.policy(part),
            guard: settings.guard(),
            takes_part: Arc::new(move |path: &evenfold_core::RelPath, is_dir| {
                matcher.takes_part(path, is_dir)
            }),
            limit: Limit { files: u64::MAX, bytes: u64::MAX },
            habits: evenfold_engine::Habits::default(),
        };
        let ours: Arc<dyn Endpoint> = Arc::clone(&local) as Arc<dyn Endpoint>;
        let progress = Arc::new(Progress::default());
        let mut pair = Pair::new(ours, Arc::new(Nothing), Arc::new(SystemClock), progress, pair);
        // By hand, joining is a first pull.
        let direction = if by_hand { Direction::Pull } else { Direction::Both };
        let scope = Scope { direction, ..Scope::whole() };
        let report = pair.cycle_within(&theirs, Look::Current, Permission::PlanOnly, &scope).await;
        let report = report.map_err(|error| broke(&error))?;
        let mut info = plan_info(&report, None, &self.name, &invitation.peer.name);
        info.kind = invitation.kind.name().to_owned();
        info.free_here = local.free_space().await;
        Ok(info)
    }

    /// Joins a shared folder and begins to sync.
    pub(crate) async fn join(self: &Arc<Self>, join: &Join) -> Result<RelationshipInfo, ApiError> {
        let invitation = self.invitation(join).await?;
        let name = self.free_relationship_name(&invitation.share.name, &invitation.peer.name).await?;
        self.check_root_free(&invitation.root)?;
        let id = Uuid::from_u128(invitation.share.id);
        if let Some(known) = self.by_id(id) {
            let row = known.row();
            let message = format!(
                "this node takes part in '{}' already, with {}; nothing was changed",
                row.name,
                row.root.display()
            );
            return Err(ApiError::new(ErrorCode::Exists, message));
        }
        let role = match invitation.role {
            "source" => Role::Source,
            "destination" => Role::Destination,
            _ => Role::Both,
        };
        let shown = invitation.root.display().to_string();
        let joined = invitation.client.join(ShareRef::Id(invitation.share.id), role, shown).await;
        let joined = joined.map_err(|error| {
            let message = format!("'{}' does not let this node join: {error}", invitation.peer.name);
            ApiError::new(ErrorCode::Refused, message)
        })?;
        let row = RelationshipRow {
            id,
            name,
            kind: invitation.kind.name().to_owned(),
            role: invitation.role.to_owned(),
            root: invitation.root,
            hub: Some(invitation.peer.key),
            hub_share: Some(invitation.share.name),
            settings: to_json(&invitation.settings.overrides())?,
            pause: begin(join.paused),
            created: now_micros(),
            root_identity: None,
            last_verified: None,
        };
        self.remember_access(id, access_told(&joined)).await?;
        self.remember_shared_settings(&id.to_string(), &invitation.share.settings).await?;
        self.remember_hub_folder(&id.to_string(), &invitation.share.folder).await?;
        let info = self.begin(row).await?;
        self.network.keep(PeerKey::from_bytes(invitation.peer.key), invitation.peer.addresses, true);
        Ok(info)
    }

    async fn free_relationship_name(&self, share: &str, peer: &str) -> Result<String, ApiError> {
        let taken = self.store.relationships().by_name(share).await.map_err(db)?;
        let name = if taken.is_none() { share.to_owned() } else { format!("{share}@{peer}") };
        self.check_new_name(&name).await?;
        Ok(name)
    }
}

struct Invitation {
    root: PathBuf,
    peer: PeerRow,
    connection: Arc<evenfold_ssh::Connection>,
    client: evenfold_wire::NodeClient,
    share: Share,
    kind: Kind,
    settings: Settings,
    role: &'static str,
}

/// A record of nothing, for a preview: both sides are compared as if for the first time.
struct Nothing;

#[async_trait]
impl RecordPort for Nothing {
    async fn load(&self, _ours: &Arc<Dir>) -> Result<Record, StoreError> {
        let epochs = evenfold_engine::ports::Epochs { ours_intended: u64::MAX, ..Default::default() };
        Ok(Record { ancestor: Arc::new(Dir::empty()), intents: Vec::new(), epochs })
    }

    async fn intend(&self, _intents: Vec<Intent>, _ours_intended: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit(&self, _commit: Commit) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Reads the path of a folder that must exist.
pub(crate) fn folder(path: &PathText) -> Result<PathBuf, ApiError> {
    let bytes = path_bytes(path).map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()))?;
    let given = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let shown = given.display().to_string();
    let wrong = |what: &str| {
        ApiError::new(ErrorCode::Folder, format!("{shown} {what}; nothing was changed"))
            .with_hint("a folder is never created silently: make it first, or correct the path")
    };
    if !given.is_absolute() {
        return Err(ApiError::new(ErrorCode::Usage, format!("{shown} is not an absolute path")));
    }
    let root = given.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("does not exist"),
        _ => wrong(&format!("cannot be used: {error}")),
    })?;
    if root.is_dir() { Ok(root) } else { Err(wrong("is not a folder")) }
}

fn role_of(wanted: Option<&str>, settings: &Settings) -> Result<&'static str, ApiError> {
    match (wanted, settings.flow) {
        (None, Flow::OneWay) => Ok("destination"),
        (None | Some("spoke"), Flow::Both | Flow::None) => Ok("spoke"),
        (Some("source"), Flow::OneWay | Flow::None) => Ok("source"),
        (Some("destination"), Flow::OneWay | Flow::None) => Ok("destination"),
        (Some(other), _) => {
            let message = format!(
                "the role '{other}' does not exist in a relationship of the kind '{}'",
                settings.kind
            );
            let hint = "roles: spoke where changes travel both ways; source or destination where they travel one way";
            Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint))
        }
    }
}

/// How a new relationship begins.
pub(crate) fn begin(paused: bool) -> Pause {
    if paused { Pause::Paused } else { Pause::Running }
}

/// Writes settings as they are stored.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
}
