//! The healthy copy of the other side in the place of a damaged one.
//!
//! A file that is suspected to be damaged (its content changed although size and times did not) is never sent. Here a
//! person says that the other side's content is the right one. It replaces the damaged file like any change: verified,
//! in one step, and the damaged content becomes a version.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::apply::{Batch, Outcome, Report};
use evenfold_core::batch::{Step, assemble};
use evenfold_core::snapshot::Extent;
use evenfold_core::{Change, Dir, Entry, ProblemKind, RelPath, Side};
use evenfold_engine::pair::Permission;
use evenfold_engine::{CycleReport, Endpoint, EndpointError, Look};
use evenfold_store::Event;
use tokio::sync::mpsc;

use crate::api::{ApiError, ErrorCode, PathText, Restored};
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::{Relationship, Spoke};
use crate::remote::RemoteEndpoint;
use crate::settings::Flow;
use crate::text::path_text;
use crate::versions::{folder_failed, rel_path};

const DAMAGED: Entry = Entry::Unknown(ProblemKind::SuspectedRot);

impl Node {
    /// Puts the content that `from` has in the place of a damaged file: here, or at the hub where that one is damaged.
    ///
    /// # Errors
    /// Where nothing is damaged, the other side has no healthy copy or cannot be reached; nothing is changed then.
    pub(crate) async fn heal(&self, wanted: &str, path: &PathText, from: &str) -> Result<Restored, ApiError> {
        let relationship = self.find(wanted)?;
        let path = rel_path(path)?;
        if relationship.settings().flow == Flow::None {
            let message = format!(
                "'{}' only compares, so nothing is written; nothing was changed",
                relationship.row().name
            );
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint("copy it by hand"));
        }
        match relationship.spoke() {
            Some(spoke) if from == spoke.hub_name || from == self.name => {
                let side = if from == self.name { Side::Theirs } else { Side::Ours };
                self.heal_from_spoke(&relationship, spoke, &path, side).await
            }
            Some(spoke) => {
                let message = format!("'{from}' does not take part here; nothing was changed");
                let hint = format!("give {} or {}", spoke.hub_name, self.name);
                Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint))
            }
            // Members drive: whoever has the healthy copy brings it.
            None => {
                let restored = self.ask_heal(&relationship, &path, from).await?;
                let looked = relationship.local.scan(Extent::Paths(vec![path]), &[]).await;
                looked.map_err(|error| folder_failed(&relationship, error))?;
                Ok(restored)
            }
        }
    }

    /// Brings the healthy copy of this spoke to the hub, where the hub's is damaged; asked for by the hub.
    pub(crate) async fn heal_hub(
        &self,
        relationship: &Relationship,
        path: &RelPath,
    ) -> Result<Restored, ApiError> {
        let Some(spoke) = relationship.spoke() else {
            return Err(ApiError::new(ErrorCode::Internal, "a hub has no pair of its own"));
        };
        self.heal_from_spoke(relationship, spoke, path, Side::Theirs).await
    }

    async fn heal_from_spoke(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        path: &RelPath,
        damaged: Side,
    ) -> Result<Restored, ApiError> {
        let (here, there) = match damaged {
            Side::Ours => (self.name.as_str(), spoke.hub_name.as_str()),
            Side::Theirs => (spoke.hub_name.as_str(), self.name.as_str()),
        };
        let unreachable = |error: &dyn std::fmt::Display| {
            let message = format!("{} could not be asked: {error}; nothing was changed", spoke.hub_name);
            ApiError::new(ErrorCode::Unreachable, message).with_hint("try again when it is connected")
        };
        let report = spoke.driver.cycle(Look::Current, Permission::PlanOnly).await;
        let report = report.map_err(|error| unreachable(&error))?;
        let remote = spoke.remote.borrow().clone().ok_or_else(|| unreachable(&"it is not connected"))?;
        let (broken, healthy) = sides(&report, damaged);
        if broken.get(path) != Some(&DAMAGED) {
            let message = format!("'{path}' on {here} is not suspected to be damaged; nothing was changed");
            let hint = format!("look with 'evenfold check {} --deep'", relationship.row().name);
            return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint));
        }
        let Some(entry @ Entry::File(file)) = healthy.get(path) else {
            let message = format!("{there} has no file at '{path}'; nothing was changed");
            let hint = format!("earlier contents: 'evenfold versions {} {path}'", relationship.row().name);
            return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint));
        };
        let change = Change { path: path.clone(), old: Some(DAMAGED), new: Some(entry.clone()) };
        let step = Step { moves: Vec::new(), changes: vec![change] };
        let batch = Arc::new(assemble(rand::random(), step, healthy, broken, &HashSet::new()));
        let failed = |error: EndpointError| {
            let message =
                format!("the content of {there} could not be brought to {here}: {error}; nothing was lost");
            ApiError::new(ErrorCode::Io, message).with_hint("try again")
        };
        let replaced = match damaged {
            Side::Ours => self.replace_here(relationship, &remote, &batch).await.map_err(failed)?,
            Side::Theirs => {
                let pieces = contents(&*relationship.local, &*remote, &batch).await.map_err(failed)?;
                let report = remote.apply(&batch, pieces).await.map_err(failed)?;
                refused(&report)
                    .map_err(|why| failed(EndpointError::Failed { code: "refused".into(), message: why }))?;
                None
            }
        };
        self.note_healing(relationship, path, here, there, file.size).await?;
        // Both sides agree again; the record follows with the next cycle.
        drop(spoke.driver.cycle(Look::Current, Permission::PlanOnly).await);
        Ok(Restored { path: path_text(path.as_bytes()), version: file.digest.short(16), replaced })
    }

    async fn replace_here(
        &self,
        relationship: &Relationship,
        remote: &RemoteEndpoint,
        batch: &Arc<Batch>,
    ) -> Result<Option<String>, EndpointError> {
        let epoch = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await?.epoch;
        // A folder that is ahead of the record looks like a database that was restored from a backup.
        let intents = self.store.intents();
        let intended = intents.record(relationship.row().id, Side::Ours, &[], Some(epoch + 1)).await;
        intended.map_err(|error| EndpointError::Failed {
            code: "store".to_owned(),
            message: error.to_string(),
        })?;
        let pieces = contents(remote, &*relationship.local, batch).await?;
        let applied = relationship.local.carry_out(batch, pieces).await?;
        refused(&applied.report)
            .map_err(|message| EndpointError::Failed { code: "refused".to_owned(), message })?;
        Ok(applied.kept.first().map(|kept| kept.version.clone()))
    }

    async fn note_healing(
        &self,
        relationship: &Relationship,
        path: &RelPath,
        here: &str,
        there: &str,
        size: u64,
    ) -> Result<(), ApiError> {
        let event = Event {
            time: now_micros(),
            relationship: Some(relationship.row().id),
            batch: None,
            node: there.to_owned(),
            peer: Some(here.to_owned()),
            kind: "restore".to_owned(),
            path: Some(path.clone()),
            digest: None,
            size: Some(size),
            detail: Some(format!("the content of {there} in the place of a damaged one")),
        };
        self.store.history().add(&[event]).await.map_err(db)
    }
}

/// Returns the tree of the damaged side and that of the other.
fn sides(report: &CycleReport, damaged: Side) -> (&Arc<Dir>, &Arc<Dir>) {
    match damaged {
        Side::Ours => (&report.ours, &report.theirs),
        Side::Theirs => (&report.theirs, &report.ours),
    }
}

/// Begins to bring what a batch needs from one endpoint to another.
async fn contents(
    from: &dyn Endpoint,
    to: &dyn Endpoint,
    batch: &Arc<Batch>,
) -> Result<mpsc::Receiver<evenfold_core::transfer::Piece>, EndpointError> {
    if batch.items.is_empty() {
        return Ok(mpsc::channel(1).1);
    }
    let needs = to.prepare(batch, Vec::new()).await?;
    from.supply(batch, needs).await
}

fn refused(report: &Report) -> Result<(), String> {
    match report.outcomes.first() {
        Some(Outcome::Refused(refusal)) => Err(refusal.to_string()),
        _ => Ok(()),
    }
}
