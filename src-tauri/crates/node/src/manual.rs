//! Push and pull by hand (kind manual): one direction of the engine's cycle, now.

use std::sync::Arc;

use evenfold_core::scope::{Direction, Scope};
use evenfold_core::{Entry, Reason, RelPath};
use evenfold_engine::pair::Permission;
use evenfold_engine::{CycleError, CycleReport, Ending, EndpointError, Look};
use tokio::sync::mpsc;

use crate::api::{ApiError, ErrorCode, Event, LeftPath, PathText, Transfer};
use crate::local::lock;
use crate::node::Node;
use crate::plans::plan_info;
use crate::reasons::reason_words;
use crate::relationship::{Relationship, Spoke};
use crate::settings::Access;
use crate::text::path_text;
use crate::tracked::{below, by_hand};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransferRequest {
    pub(crate) direction: Direction,
    pub(crate) paths: Vec<PathText>,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

impl Node {
    /// Sends or fetches what is chosen. A push is carried out as a whole or not at all, and only onto a hub that has not
    /// moved on; a pull replaces nothing that was edited here.
    ///
    /// # Errors
    /// Where this node does not push and pull by hand, a path takes no part, or the cycle failed.
    pub(crate) async fn transfer(
        self: &Arc<Self>,
        wanted: &str,
        request: TransferRequest,
        events: mpsc::Sender<Event>,
    ) -> Result<Transfer, ApiError> {
        let relationship = self.find(wanted)?;
        by_hand(&relationship)?;
        let Some(spoke) = relationship.spoke() else {
            return Err(ApiError::new(ErrorCode::Internal, "a hub has no pair of its own"));
        };
        if request.direction == Direction::Push && *lock(&relationship.access) == Access::Read {
            let (hub, name) = (&spoke.hub_name, relationship.row().name);
            let message = format!("{} may only read what is on {hub}; nothing was pushed", self.name);
            let hint = format!("on {hub}: evenfold rel access {name} {} write", self.name);
            return Err(ApiError::new(ErrorCode::Refused, message).with_hint(hint));
        }
        let mut paths = Vec::with_capacity(request.paths.len());
        for text in &request.paths {
            paths.push(below(&relationship, text)?);
        }
        paths.retain(|path| !path.is_root());
        if paths.len() < request.paths.len() {
            // The whole folder is among them.
            paths.clear();
        }
        self.make_sure_that_they_take_part(&relationship, spoke, &paths).await?;
        let scope = Scope { direction: request.direction, paths, force: request.force };
        let permission = if request.dry_run { Permission::PlanOnly } else { Permission::Normal };
        match self.run_cycle(&relationship, Look::Full, permission, scope.clone(), events).await {
            Ok(report) => self.transferred(&relationship, spoke, &scope, &report).await,
            Err(
                CycleError::Endpoint(_, EndpointError::Offline(_) | EndpointError::Refused(_))
                | CycleError::Paused,
            ) => {
                let status = self.relationship_status(&relationship).await?;
                Ok(Transfer {
                    outcome: "unknown".to_owned(),
                    files: 0,
                    bytes: 0,
                    left: Vec::new(),
                    plan: None,
                    status,
                })
            }
            Err(error) => Err(self.cycle_failed(&relationship, spoke, error)),
        }
    }

    /// Refuses paths that would silently match nothing.
    async fn make_sure_that_they_take_part(
        &self,
        relationship: &Arc<Relationship>,
        spoke: &Spoke,
        paths: &[RelPath],
    ) -> Result<(), ApiError> {
        if paths.is_empty() {
            return Ok(());
        }
        let state = spoke.driver.state().borrow().clone();
        let compared = match state.last {
            Some(last) => Some(last),
            // What cannot be asked now is found out by the cycle itself.
            None => spoke.driver.cycle(Look::Current, Permission::PlanOnly).await.ok(),
        };
        let Some(compared) = compared else { return Ok(()) };
        let tracking = relationship.tracking().unwrap_or_default();
        let known = |path: &RelPath| {
            let trees = [&compared.ancestor, &compared.ours, &compared.theirs];
            tracking.of(path) == Some(true)
                || tracking.marks().any(|(at, mark)| mark && at.starts_with(path))
                || (tracking.takes_part(path) && trees.iter().any(|tree| tree.get(path).is_some()))
        };
        match paths.iter().find(|path| !known(path)) {
            None => Ok(()),
            Some(path) => {
                let message = format!("{path} is not tracked; nothing was changed");
                let hint = format!("track it first: evenfold track {} {path}", relationship.row().name);
                Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint))
            }
        }
    }

    async fn transferred(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        scope: &Scope,
        report: &CycleReport,
    ) -> Result<Transfer, ApiError> {
        let left = left(report, scope, &self.name, &spoke.hub_name);
        let plan = matches!(report.ending, Ending::Held(_) | Ending::Planned).then(|| {
            let mut info = plan_info(report, Some(report.plan.id()), &self.name, &spoke.hub_name);
            info.kind = relationship.row().kind;
            info
        });
        if plan.is_some() {
            self.keep_plan(relationship, report, scope).await?;
        }
        let done = if scope.direction == Direction::Push { "pushed" } else { "pulled" };
        let outcome = match &report.ending {
            Ending::Held(_) => "held",
            Ending::Planned => "planned",
            Ending::MovedOn => "refused",
            _ if left.iter().any(|path| path.reason == CONFLICT) || !report.settled.is_empty() => "conflicts",
            _ if !left.is_empty() => "incomplete",
            _ if report.files == 0 => "unchanged",
            _ => done,
        };
        let status = self.relationship_status(relationship).await?;
        let (files, bytes) = (report.files, report.bytes);
        Ok(Transfer { outcome: outcome.to_owned(), files, bytes, left, plan, status })
    }
}

const CONFLICT: &str = "conflict";
const CHANGED_THERE: &str = "changed-there";

/// Lists what of the chosen paths did not travel.
fn left(report: &CycleReport, scope: &Scope, ours: &str, theirs: &str) -> Vec<LeftPath> {
    let mut left = Vec::new();
    let mut add = |path: &RelPath, reason: &str, detail: String| {
        if scope.covers(path) {
            left.push(LeftPath { path: path_text(path.as_bytes()), reason: reason.to_owned(), detail });
        }
    };
    // Some a rule would settle, but not onto a side that moved on.
    let settled = if report.ending == Ending::MovedOn { report.settled.as_slice() } else { &[] };
    for conflict in report.plan.conflicts.iter().chain(settled) {
        let detail = format!("changed on {ours} and on {theirs}; both are as they were");
        add(&conflict.path, CONFLICT, detail);
    }
    if report.ending == Ending::MovedOn {
        for change in &report.plan.ours {
            let what = match (&change.old, &change.new) {
                (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => continue,
                (None, _) => "new",
                (_, None) => "deleted",
                (Some(old), Some(new)) if old.same_content(new) => continue,
                _ => "changed",
            };
            add(&change.path, CHANGED_THERE, format!("{what} on {theirs} since the last pull"));
        }
        return left;
    }
    let refused = |reason: &Reason| match reason {
        Reason::Problem(_, kind) => !kind.takes_no_part(),
        Reason::Refused(..) => true,
        _ => false,
    };
    for blocked in report.blocked.iter().filter(|blocked| refused(&blocked.reason)) {
        let machine = |side| if side == evenfold_core::Side::Ours { ours } else { theirs };
        add(&blocked.path, blocked.reason.code(), reason_words(&blocked.reason, machine));
    }
    // What only waited for another says nothing of its own.
    let others = "waits-for-others";
    if left.iter().any(|path| path.reason != others) {
        left.retain(|path| path.reason != others);
    }
    left
}
