//! Earlier contents of a path.

use std::collections::HashMap;

use evenfold_core::snapshot::Extent;
use evenfold_core::{Mtime, RelPath};
use evenfold_engine::Endpoint as _;
use evenfold_fs::disk::Kind;
use evenfold_fs::versions::Version;

use crate::api::{ApiError, ErrorCode, PathText, VersionInfo};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::relationship::Relationship;
use crate::text::{path_bytes, path_text};

/// Reads a path below a root as somebody wrote it.
///
/// # Errors
/// [`ErrorCode::Usage`] with what is wrong with it.
pub(crate) fn rel_path(text: &PathText) -> Result<RelPath, ApiError> {
    let wrong = |why: String| {
        ApiError::new(
            ErrorCode::Usage,
            format!("'{}' is no path below the folder: {why}", text.path.escape_debug()),
        )
        .with_hint("give it as it stands below the folder, such as notes/todo.txt")
    };
    let bytes = path_bytes(text).map_err(|error| wrong(error.to_string()))?;
    RelPath::new(&bytes).map_err(|error| wrong(error.to_string()))
}

/// Says that the folder of a relationship could not be used.
pub(crate) fn folder_failed(relationship: &Relationship, error: impl std::fmt::Display) -> ApiError {
    let root = relationship.local.root().display().to_string();
    ApiError::new(ErrorCode::Folder, format!("{root}: {error}; nothing was changed"))
        .with_hint("see 'evenfold doctor'")
}

impl Node {
    /// Returns the versions that are kept of a path on this node, newest first.
    ///
    /// # Errors
    /// Where the folder cannot be listed or the database fails.
    pub(crate) async fn versions(&self, wanted: &str, path: &PathText) -> Result<Vec<VersionInfo>, ApiError> {
        let relationship = self.find(wanted)?;
        let path = rel_path(path)?;
        let kept = self.kept(&relationship, &path).await?;
        let mut reasons: HashMap<String, String> = HashMap::new();
        // What was deleted with a folder is noted for the folder.
        let wanted_path = path.clone();
        let mut place = Some(path);
        while let Some(path) = place {
            let rows = self.store.versions().of_path(relationship.row().id, &path).await.map_err(db)?;
            for row in rows {
                reasons.entry(row.version).or_insert(row.reason);
            }
            place = path.parent();
        }
        // Until its reason is noted, what happened is told by what stands there now.
        let tree = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
        let stands = tree.is_ok_and(|snapshot| snapshot.tree.get(&wanted_path).is_some());
        let guess = if stands { "replaced" } else { "deleted" };
        Ok(kept
            .iter()
            .map(|version| shown(version, reasons.get(&version.id).map_or(guess, String::as_str)))
            .collect())
    }

    /// Lists versions on the disk, which is the truth.
    pub(crate) async fn kept(
        &self,
        relationship: &Relationship,
        path: &RelPath,
    ) -> Result<Vec<Version>, ApiError> {
        let wanted = path.clone();
        let listed = relationship.local.on_disk(move |replica| replica.versions(&wanted)).await;
        let listed = listed.map_err(|error| folder_failed(relationship, error))?;
        listed.map_err(|error| folder_failed(relationship, format!("its versions cannot be listed: {error}")))
    }
}

fn shown(version: &Version, reason: &str) -> VersionInfo {
    let kind = match version.kind {
        Kind::Dir => "folder",
        Kind::Symlink => "link",
        Kind::File | Kind::Special => "file",
    };
    VersionInfo {
        id: version.id.clone(),
        time: time_text(micros(version.at)).unwrap_or_default(),
        path: path_text(version.path.as_bytes()),
        kind: kind.to_owned(),
        size: Some(version.size),
        mtime: time_text(micros(version.mtime)),
        reason: reason.to_owned(),
    }
}

/// Returns a file's time in microseconds since 1970.
pub(crate) fn micros(time: Mtime) -> i64 {
    time.secs.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos / 1000))
}
