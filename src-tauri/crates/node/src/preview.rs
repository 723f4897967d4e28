//! What a new relationship would do, before anything is made, and what peers offer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::snapshot::Extent;
use evenfold_core::{Entry, RelPath};
use evenfold_engine::Endpoint as _;
use evenfold_fs::apply::Rules;
use evenfold_ssh::PeerKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{ApiError, ChangeInfo, ErrorCode, Movement, PathText, PeerShare, PlanInfo, Setting};
use crate::join::{folder, wrong_setting};
use crate::local::{LocalEndpoint, LocalSettings, Mark};
use crate::node::Node;
use crate::serving::node_client;
use crate::settings::{Flow, Kind, Settings};
use crate::text::path_text;

/// How long the other machine may take to be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// Entries at the top of the folder that are listed one by one.
const LISTED: usize = 1000;

/// Asks a peer whether a folder there could take part, and how much room it has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoomRequest {
    pub(crate) path: PathText,
}

/// The answer: free bytes of the file system that holds the folder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) free: Option<u64>,
}

/// Says whether a folder here could be taken into a relationship because a peer asks for it, as `adopt` does.
///
/// # Errors
/// Where it is not there or holds something.
pub(crate) fn room(node: &Node, peer: &str, request: &RoomRequest) -> Result<Room, ApiError> {
    let root = folder(&request.path)?;
    let mut entries = std::fs::read_dir(&root)
        .map_err(|error| ApiError::new(ErrorCode::Folder, format!("{}: {error}", root.display())))?;
    if entries.next().is_some() {
        let message =
            format!("{} on {} is not empty, so only its owner can join with it", root.display(), node.name);
        let hint = format!("share it on {}, or choose an empty folder there for {peer}", node.name);
        return Err(ApiError::new(ErrorCode::Refused, message).with_hint(hint));
    }
    Ok(Room { free: free_space(&root) })
}

/// Returns the free bytes of the file system that holds `path`, where they can be told.
fn free_space(path: &Path) -> Option<u64> {
    let disk = evenfold_fs::platform::RealDisk::open(path).ok()?;
    evenfold_fs::disk::Disk::space(&disk).ok().map(|(free, _)| free)
}

impl Node {
    /// Says what [`Node::rel_add`] with the same words would do, without writing anything anywhere. The folder there
    /// has to be empty, so everything that takes part here is new there.
    pub(crate) async fn rel_preview(
        self: &Arc<Self>,
        kind: &str,
        path: &PathText,
        target: &str,
        settings: &[Setting],
    ) -> Result<PlanInfo, ApiError> {
        let kind: Kind = kind.parse().map_err(wrong_setting)?;
        let settings = Settings::parse(kind, settings).map_err(wrong_setting)?;
        let root = folder(path)?;
        self.check_root_free(&root)?;
        let (peer, there) = crate::requests::machine_and_path(target)?;
        let row = self.peer(peer).await?;
        self.reach(&row, PATIENCE).await?;
        let request = RoomRequest { path: PathText { path: there.to_owned(), path_bytes: None } };
        let answer = self.ask(&PeerKey::from_bytes(row.key), "room", &request).await?;
        let room: Room = serde_json::from_slice(&answer)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let local = LocalEndpoint::passing(
            self.name.clone(),
            root,
            Uuid::nil(),
            Arc::clone(&self.store),
            LocalSettings {
                select: settings.select(),
                rules: Rules { reserve: 0, whole: false },
                mark: Mark::Look,
                watch: false,
            },
        );
        let looked = local.scan(Extent::Full, &[]).await;
        let snapshot = looked.map_err(|error| ApiError::new(ErrorCode::Folder, error.to_string()))?;
        let totals = snapshot.tree.totals();
        let moves = settings.flow != Flow::None;
        let there = Movement { new: totals.files, bytes: totals.bytes, ..Movement::default() };
        let change = |(name, entry): (&evenfold_core::Name, &Entry)| ChangeInfo {
            node: row.name.clone(),
            path: path_text(RelPath::root().join(name).as_bytes()),
            act: "create".to_owned(),
            bytes: entry.totals().bytes,
            files: entry.totals().files,
        };
        let children = snapshot.tree.children().iter().map(|child| (&child.name, &child.entry));
        Ok(PlanInfo {
            id: None,
            kind: kind.name().to_owned(),
            ours: self.name.clone(),
            theirs: row.name.clone(),
            here: Movement::default(),
            there: if moves { there } else { Movement::default() },
            conflicts: 0,
            blocked: snapshot.problems.len() as u64,
            free_here: local.free_space().await,
            free_there: room.free,
            changes: if moves { children.map(change).take(LISTED).collect() } else { Vec::new() },
            halt: None,
        })
    }

    /// Lists what a peer offers this node.
    ///
    /// # Errors
    /// Where the peer is not known or cannot be reached.
    pub(crate) async fn peer_shares(self: &Arc<Self>, peer: &str) -> Result<Vec<PeerShare>, ApiError> {
        let row = self.peer(peer).await?;
        let connection = self.reach(&row, PATIENCE).await?;
        let gone = |error: String| {
            ApiError::new(ErrorCode::Unreachable, format!("'{peer}' broke off: {error}; nothing was changed"))
        };
        let client = node_client(self, &connection).await.map_err(gone)?;
        let shares = client.list_shares().await.map_err(|error| gone(error.to_string()))?;
        Ok(shares
            .into_iter()
            .map(|share| PeerShare {
                joined: self.by_id(Uuid::from_u128(share.id)).is_some(),
                role: match share.kind.parse::<Kind>().ok().and_then(|kind| Settings::parse(kind, &[]).ok()) {
                    Some(settings) if settings.flow == Flow::OneWay => "destination".to_owned(),
                    _ => "spoke".to_owned(),
                },
                name: share.name,
                kind: share.kind,
            })
            .collect())
    }
}
