//! Bringing earlier contents back.

use std::sync::Arc;

use evenfold_core::snapshot::Extent;
use evenfold_core::{Dir, RelPath};
use evenfold_engine::Endpoint as _;
use evenfold_fs::apply::Kept;
use evenfold_fs::restore::RestoreError;
use evenfold_fs::versions::Version;
use evenfold_store::{Event, Record, VersionRow};
use uuid::Uuid;

use crate::api::{ApiError, ErrorCode, PathText, Restored};
use crate::history_query::moment;
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::text::path_text;
use crate::versions::{folder_failed, micros, rel_path};

impl Node {
    /// Brings an earlier content back; what stands there becomes a version itself. It then travels like any edit.
    ///
    /// # Errors
    /// Where there is no such version, or it cannot be put in place.
    pub(crate) async fn restore(
        &self,
        wanted: &str,
        path: &PathText,
        at: Option<&str>,
        version: Option<&str>,
        to: Option<&PathText>,
    ) -> Result<Restored, ApiError> {
        let relationship = self.find(wanted)?;
        let path = rel_path(path)?;
        let to = to.map_or_else(|| Ok(path.clone()), rel_path)?;
        let kept = self.kept(&relationship, &path).await?;
        let id = choose(&kept, &path, at.map(moment).transpose()?, version)?.id.clone();
        let before = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
        let before = before.map_err(|error| folder_failed(&relationship, error))?.tree;
        let (from, target, wanted) = (path.clone(), to.clone(), id.clone());
        let done = relationship.local.on_disk(move |replica| replica.restore(&wanted, &from, &target)).await;
        let done = done.map_err(|error| folder_failed(&relationship, error))?.map_err(failed)?;
        // The restored file stands already; where this look fails, the next one finds it.
        if let Err(error) = relationship.local.scan(Extent::Paths(vec![to.clone()]), &[]).await {
            tracing::warn!(%error, "what was restored could not be looked at yet");
        }
        self.note_replaced(relationship.row().id, &before, &done.kept).await;
        let event = Event {
            time: now_micros(),
            relationship: Some(relationship.row().id),
            batch: None,
            node: self.name.clone(),
            peer: Some(self.name.clone()),
            kind: "restore".to_owned(),
            path: (!to.is_root()).then(|| to.clone()),
            digest: None,
            size: Some(done.bytes),
            detail: Some(id.clone()),
        };
        self.store.history().add(&[event]).await.map_err(db)?;
        let replaced = done.kept.iter().find(|kept| kept.path == to).or(done.kept.first());
        Ok(Restored {
            path: path_text(to.as_bytes()),
            version: id,
            replaced: replaced.map(|kept| kept.version.clone()),
        })
    }
}

impl Node {
    /// Notes what a restore replaced, where versions are listed from; the disk remains the truth.
    async fn note_replaced(&self, relationship: Uuid, before: &Arc<Dir>, kept: &[Kept]) {
        let time = now_micros();
        let rows = kept.iter().filter_map(|kept| {
            Some(VersionRow {
                path: kept.path.clone(),
                version: kept.version.clone(),
                time,
                entry: before.get(&kept.path).and_then(Record::of)?,
                reason: "restored-over".to_owned(),
                batch: None,
            })
        });
        let rows: Vec<_> = rows.collect();
        if let Err(error) = self.store.versions().add(relationship, &rows).await {
            tracing::warn!(%error, "versions could not be noted; they are found on the disk all the same");
        }
    }
}

/// Chooses the version that is meant. `kept` is newest first; `at` is in microseconds since 1970 and means the
/// content that stood there then: the first one that was replaced at or after that moment.
fn choose<'v>(
    kept: &'v [Version],
    path: &RelPath,
    at: Option<i64>,
    version: Option<&str>,
) -> Result<&'v Version, ApiError> {
    let found = match (version, at) {
        (Some(id), _) => kept.iter().find(|version| version.id == id),
        (None, Some(at)) => kept.iter().rev().find(|version| micros(version.at) >= at),
        (None, None) => kept.first(),
    };
    found.ok_or_else(|| {
        let hint = if kept.is_empty() {
            "versions are kept where the content was replaced or deleted: ask there, too".to_owned()
        } else {
            let ids: Vec<_> = kept.iter().take(20).map(|version| version.id.as_str()).collect();
            format!("versions of it here: {}", ids.join(", "))
        };
        let message = match (version, at) {
            (Some(id), _) => format!("there is no version '{}' of '{path}' on this node", id.escape_debug()),
            (None, Some(_)) if !kept.is_empty() => {
                format!("'{path}' was not replaced or deleted on this node since then")
            }
            (None, _) => format!("there are no earlier versions of '{path}' on this node"),
        };
        ApiError::new(ErrorCode::NotFound, message).with_hint(hint)
    })
}

fn failed(error: RestoreError) -> ApiError {
    match &error {
        RestoreError::NoSuchVersion { .. } => ApiError::new(ErrorCode::NotFound, error.to_string())
            .with_hint("list them with 'evenfold versions'; it may just have been dropped"),
        RestoreError::NotToRoot => ApiError::new(ErrorCode::Usage, error.to_string()),
        RestoreError::Copy(_) | RestoreError::Publish { .. } | RestoreError::NotDurable(_) => {
            ApiError::new(ErrorCode::Io, error.to_string())
                .with_hint("the version itself is kept; mend the cause or restore to another path with --to")
        }
    }
}

#[cfg(test)]
mod tests {
    use evenfold_core::Mtime;
    use evenfold_fs::disk::Kind;

    use super::*;

    fn version(id: &str, secs: i64) -> Version {
        let at = Mtime { secs, nanos: 0 };
        Version {
            id: id.to_owned(),
            path: RelPath::root(),
            at,
            kind: Kind::File,
            size: 1,
            mtime: Mtime::default(),
        }
    }

    #[test]
    fn version_is_chosen_by_id_by_time_or_as_the_newest() {
        let kept = [version("c", 30), version("b", 20), version("a", 10)];
        for (at, id, expected) in [
            (None, None, Some("c")),
            (None, Some("b"), Some("b")),
            (Some(5), Some("b"), Some("b")),
            (None, Some("x"), None),
            (Some(5), None, Some("a")),
            (Some(10), None, Some("a")),
            (Some(11), None, Some("b")),
            (Some(30), None, Some("c")),
            (Some(31), None, None),
        ] {
            let at = at.map(|secs: i64| secs * 1_000_000);
            let chosen = choose(&kept, &RelPath::root(), at, id).ok().map(|version| version.id.as_str());
            assert_eq!(chosen, expected, "{at:?} {id:?}");
        }
    }

    #[test]
    fn unknown_version_is_answered_with_those_that_exist() {
        let kept = [version("c", 30), version("b", 20)];
        let error = choose(&kept, &RelPath::root(), None, Some("x")).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
        assert_eq!(error.hint.as_deref(), Some("versions of it here: c, b"));
        assert!(choose(&[], &RelPath::root(), None, None).unwrap_err().hint.is_some());
    }
}
