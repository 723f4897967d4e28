//! Choosing by hand what is sent (kind manual): marks on paths, kept in the database.

use std::path::Path;
use std::sync::Arc;

use evenfold_core::RelPath;
use evenfold_core::tracking::Tracking;

use crate::api::{ApiError, ErrorCode, Event, PathText, Tracked};
use crate::local::lock;
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::text::path_text;
use crate::versions::rel_path;

/// Most marks of a relationship: each is typed by somebody, and every path of a scan is held against them.
const MOST_MARKS: usize = 10_000;

impl Node {
    /// Tracks paths, or stops tracking them; without paths, says what is tracked.
    ///
    /// # Errors
    /// Where this node does not push and pull by hand, or a path does not exist (unless `missing`) or lies outside the folder; nothing is
    /// changed then.
    pub(crate) async fn track(
        self: &Arc<Self>,
        wanted: &str,
        paths: &[PathText],
        tracked: bool,
        missing: bool,
    ) -> Result<Tracked, ApiError> {
        let relationship = self.find(wanted)?;
        by_hand(&relationship)?;
        let mut tracking = relationship.tracking().map(|known| (*known).clone()).unwrap_or_default();
        let (mut changed, mut already) = (Vec::new(), Vec::new());
        for text in paths {
            let path = below(&relationship, text)?;
            if tracked && !missing {
                exists(&relationship, &path)?;
            }
            let list = if tracking.mark(&path, tracked) { &mut changed } else { &mut already };
            list.push(shown(&path));
        }
        if tracking.marks().count() > MOST_MARKS {
            let message =
                format!("more than {MOST_MARKS} paths cannot be tracked one by one; nothing was changed");
            return Err(
                ApiError::new(ErrorCode::Usage, message).with_hint("track the folders that hold them")
            );
        }
        if !changed.is_empty() {
            self.keep_tracking(&relationship, tracking.clone()).await?;
        }
        let of = |wanted: bool| {
            tracking.marks().filter(|(_, mark)| *mark == wanted).map(|(path, _)| shown(path)).collect()
        };
        Ok(Tracked { changed, already, tracked: of(true), untracked: of(false) })
    }

    async fn keep_tracking(&self, relationship: &Relationship, tracking: Tracking) -> Result<(), ApiError> {
        let id = relationship.row().id;
        let marks: Vec<_> = tracking.marks().map(|(path, mark)| (path.clone(), mark)).collect();
        self.store.tracking().replace(id, &marks, now_micros()).await.map_err(db)?;
        *lock(&relationship.tracking) = Some(Arc::new(tracking));
        relationship.adopt(relationship.settings(), &self.name, self.serves()).await?;
        self.tell(Event::Relationship { id: id.to_string() });
        Ok(())
    }
}

/// Makes sure that this node pushes and pulls by hand in a relationship.
pub(crate) fn by_hand(relationship: &Relationship) -> Result<(), ApiError> {
    let row = relationship.row();
    if relationship.tracking().is_none() {
        let message =
            format!("'{}' is of the kind {}, which syncs by itself; nothing was changed", row.name, row.kind);
        let hint = format!(
            "'evenfold sync {}' runs a cycle now; track, push and pull belong to the kind manual",
            row.name
        );
        return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
    }
    if relationship.spoke().is_none() {
        let message =
            format!("this node is the hub of '{}', which only serves; nothing was changed", row.name);
        let hint = "everything in its folder is offered; push and pull on the machines that joined";
        return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
    }
    Ok(())
}

/// Reads a path below the folder; `.` is the folder itself.
pub(crate) fn below(relationship: &Relationship, text: &PathText) -> Result<RelPath, ApiError> {
    let whole = text.path_bytes.is_none() && matches!(text.path.as_str(), "." | "");
    let path = if whole { Ok(RelPath::root()) } else { rel_path(text) };
    path.map_err(|error| {
        let name = relationship.row().name;
        ApiError { message: format!("{}; nothing of '{name}' was changed", error.message), ..error }
    })
}

fn exists(relationship: &Relationship, path: &RelPath) -> Result<(), ApiError> {
    use std::os::unix::ffi::OsStrExt as _;
    let full = relationship.local.root().join(Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())));
    std::fs::symlink_metadata(&full).map(drop).map_err(|error| {
        let message = format!("{} cannot be tracked: {error}; nothing was changed", full.display());
        ApiError::new(ErrorCode::NotFound, message).with_hint("check the spelling")
    })
}

fn shown(path: &RelPath) -> PathText {
    if path.is_root() { path_text(b".") } else { path_text(path.as_bytes()) }
}
