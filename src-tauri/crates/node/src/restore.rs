//! Bringing earlier contents back.

use evenfold_core::RelPath;
use evenfold_core::snapshot::Extent;
use evenfold_engine::Endpoint as _;
use evenfold_fs::restore::RestoreError;
use evenfold_fs::versions::Version;
use evenfold_store::Event;

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
        let (from, target, wanted) = (path.clone(), to.clone(), id.clone());
        let done = relationship.local.on_disk(move |replica| replica.restore(&wanted, &from, &target)).await;
        let done = done.map_err(|error| folder_failed(&relationship, error))?.map_err(failed)?;
        // The restored file stands already; where this look fails, the next one finds it.
        if let Err(error) = relationship.local.scan(Extent::Paths(vec![to.clone()]), &[]).await {
            tracing::warn!(%error, "what was restored could not be looked at yet");
        }
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
            (None, Some(_)) => format!("'{path}' was not replaced since then, so what stood there stands there still"),
            (None, None) => format!("there are no earlier versions of '{path}' on this node"),
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
