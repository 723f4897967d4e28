//! Deciding conflicts.
//!
//! A decision is an ordinary change of our own folder (or, where a rule left the conflict alone and our version
//! is to stay, of the hub's), carried out like any batch: the expected old content is checked again, what is
//! replaced or removed becomes a version, and the next cycle carries it to the others.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::apply::{Batch, LocalCopy, Move, Outcome, Report};
use evenfold_core::batch::{Step, assemble};
use evenfold_core::path::MAX_NAME;
use evenfold_core::scope::Scope;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::Piece;
use evenfold_core::{Change, Conflict, Dir, Entry, Name, RelPath, Side};
use evenfold_engine::pair::Permission;
use evenfold_engine::{Endpoint as _, Look};
use evenfold_store::Event;
use tokio::sync::mpsc;

use crate::api::{ApiError, ErrorCode, Event as Nudge};
use crate::conflicts::{Case, Dispute, Version, label};
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::{Relationship, Spoke};
use crate::versions::folder_failed;

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// The version with this index stays.
    Keep(usize),
    /// All versions stay, under plain names.
    Both,
}

impl Node {
    /// Decides a conflict: `keep` is the machine whose version stays, or `both`. What does not stay is kept as
    /// a version.
    ///
    /// # Errors
    /// Where there is no such conflict or machine, or something changed meanwhile; nothing is lost then.
    pub(crate) async fn resolve(&self, id: &str, keep: &str) -> Result<(), ApiError> {
        let case = self.case(id).await?;
        match &case.dispute {
            Dispute::Copies => self.resolve_copies(&case, keep).await?,
            Dispute::Refused(conflict) => self.resolve_refused(&case, conflict, keep).await?,
        }
        self.note_decision(&case, format!("kept {keep}")).await?;
        self.carry_on(&case.relationship, &case.path).await;
        Ok(())
    }

    /// Finds the conflict that is meant by an id, or by the beginning of one.
    ///
    /// # Errors
    /// Where none or several are meant.
    pub(crate) async fn case(&self, id: &str) -> Result<Case, ApiError> {
        let cases = self.all_cases().await?;
        let mut hits =
            cases.into_iter().filter(|case| case.id == id || (id.len() >= 4 && case.id.starts_with(id)));
        match (hits.next(), hits.next()) {
            (Some(case), None) => Ok(case),
            _ => {
                let message = format!("no conflict '{}' waits here; nothing was changed", id.escape_debug());
                Err(ApiError::new(ErrorCode::NotFound, message)
                    .with_hint("list them with 'evenfold conflicts'"))
            }
        }
    }

    async fn resolve_copies(&self, case: &Case, keep: &str) -> Result<(), ApiError> {
        let relationship = &case.relationship;
        let paths = case.versions.iter().map(|version| version.at.clone()).chain([case.path.clone()]);
        let Snapshot { tree, epoch, .. } = look(relationship, paths.collect()).await?;
        if case.versions.iter().any(|version| tree.get(&version.at) != Some(&version.entry)) {
            return Err(moved_on(&case.path));
        }
        match decide(&case.versions, keep).ok_or_else(|| no_such_version(case, keep))? {
            Decision::Both => {
                let batch = both(&case.path, &case.versions, &tree).ok_or_else(|| no_name(&case.path))?;
                self.carry_out(relationship, batch, epoch).await
            }
            Decision::Keep(kept) => {
                let mut epoch = epoch;
                // The name is given to the kept version first; only then the copies go.
                if let Some(batch) = promote(&case.path, &case.versions, kept) {
                    self.carry_out(relationship, batch, epoch).await?;
                    epoch += 1;
                }
                let batch = clear(&case.path, &case.versions, kept);
                if batch.changes.is_empty() {
                    Ok(())
                } else {
                    self.carry_out(relationship, batch, epoch).await
                }
            }
        }
    }

    async fn resolve_refused(&self, case: &Case, conflict: &Conflict, keep: &str) -> Result<(), ApiError> {
        let relationship = &case.relationship;
        let Some(spoke) = relationship.spoke() else { return Err(moved_on(&case.path)) };
        let Snapshot { tree, epoch, .. } = look(relationship, vec![case.path.clone()]).await?;
        if tree.get(&case.path) != conflict.ours.as_ref() {
            return Err(moved_on(&case.path));
        }
        let batch = |moves, changes| Batch { id: rand::random(), moves, changes, ..Batch::default() };
        if keep == "both" {
            let Some(ours) = &conflict.ours else { return Err(no_such_version(case, keep)) };
            let to =
                beside(&case.path, &self.name, &tree, &HashSet::new()).ok_or_else(|| no_name(&case.path))?;
            let step = Move { from: case.path.clone(), to, entry: ours.clone() };
            return self.carry_out(relationship, batch(vec![step], Vec::new()), epoch).await;
        }
        if names(keep, &self.name) {
            return self.overwrite_hub(relationship, spoke, conflict, &tree).await;
        }
        if !names(keep, &spoke.hub_name) {
            return Err(no_such_version(case, keep));
        }
        // Without the hub our file would be gone and theirs not there yet.
        connected(spoke)?;
        let change = Change { path: case.path.clone(), old: conflict.ours.clone(), new: None };
        if change.old.is_none() {
            return Ok(());
        }
        self.carry_out(relationship, batch(Vec::new(), vec![change]), epoch).await
    }

    /// Puts our version in the place of the hub's, which the hub keeps as a version. `ours` is our folder as it is now.
    pub(crate) async fn overwrite_hub(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        conflict: &Conflict,
        ours: &Arc<Dir>,
    ) -> Result<(), ApiError> {
        let remote = connected(spoke)?;
        let Some(theirs) =
            relationship.state().and_then(|state| state.last).map(|report| report.theirs.clone())
        else {
            return Err(moved_on(&conflict.path));
        };
        let path = conflict.path.clone();
        let new = conflict.ours.as_ref().and_then(Entry::without_unknown);
        let change = Change { path, old: conflict.theirs.clone(), new };
        let step = Step { moves: Vec::new(), changes: vec![change] };
        let batch = Arc::new(assemble(rand::random(), step, ours, &theirs, &HashSet::new()));
        let failed = |error: evenfold_engine::EndpointError| {
            let message = format!("{} did not take our version: {error}; nothing was lost", spoke.hub_name);
            ApiError::new(ErrorCode::Unreachable, message).with_hint("decide again when it can be reached")
        };
        let mut pieces = mpsc::channel(1).1;
        if !batch.items.is_empty() {
            let needs = remote.prepare(&batch, Vec::new()).await.map_err(failed)?;
            pieces = relationship.local.supply(&batch, needs).await.map_err(failed)?;
        }
        let report = remote.apply(&batch, pieces).await.map_err(failed)?;
        accomplished(&batch, &report, &spoke.hub_name)
    }

    /// Carries out a batch in our own folder that needs nothing from elsewhere. `epoch` is that of the folder
    /// before it.
    async fn carry_out(&self, relationship: &Relationship, batch: Batch, epoch: u64) -> Result<(), ApiError> {
        // Its sender is gone before the batch is carried out: nothing comes.
        let nothing = mpsc::channel(1).1;
        self.carry_out_with(relationship, batch, nothing, epoch).await
    }

    /// Carries out a batch in our own folder whose contents come as `pieces`. `epoch` is that of the folder before it.
    ///
    /// # Errors
    /// What could not be done; nothing is lost then.
    pub(crate) async fn carry_out_with(
        &self,
        relationship: &Relationship,
        batch: Batch,
        pieces: mpsc::Receiver<Piece>,
        epoch: u64,
    ) -> Result<(), ApiError> {
        if relationship.spoke().is_some() {
            // A folder that is ahead of the record looks like a database that was restored from a backup.
            let (intents, id) = (self.store.intents(), relationship.row().id);
            intents.record(id, Side::Ours, &[], Some(epoch + 1)).await.map_err(db)?;
        }
        let batch = Arc::new(batch);
        let applied = relationship.local.carry_out(&batch, pieces).await;
        let applied = applied.map_err(|error| folder_failed(relationship, error))?;
        accomplished(&batch, &applied.report, &self.name)
    }

    /// Writes a decision into the history; `what` says which, such as `kept nas`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn note_decision(&self, case: &Case, what: String) -> Result<(), ApiError> {
        let id = case.relationship.row().id;
        let event = Event {
            time: now_micros(),
            relationship: Some(id),
            batch: None,
            node: self.name.clone(),
            peer: Some(self.name.clone()),
            kind: "resolve".to_owned(),
            path: Some(case.path.clone()),
            digest: None,
            size: None,
            detail: Some(what),
        };
        self.store.history().add(&[event]).await.map_err(db)?;
        self.tell(Nudge::Relationship { id: id.to_string() });
        Ok(())
    }

    /// Lets the decision travel. Where the hub cannot be reached it does so later, like any edit.
    pub(crate) async fn carry_on(&self, relationship: &Relationship, path: &RelPath) {
        let Some(spoke) = relationship.spoke() else { return };
        let idle = {
            let state = spoke.driver.state();
            let state = state.borrow();
            state.paused || !state.online
        };
        if idle {
            return;
        }
        // By hand, only what was decided travels.
        let by_hand = relationship.tracking().is_some();
        let paths = if by_hand { vec![path.clone()] } else { Vec::new() };
        let scope = Scope { paths, ..Scope::whole() };
        if let Err(error) = spoke.driver.cycle_within(Look::Current, Permission::Normal, scope).await {
            tracing::info!(%error, "a decision has not travelled yet");
        }
    }
}

pub(crate) async fn look(relationship: &Relationship, paths: Vec<RelPath>) -> Result<Snapshot, ApiError> {
    let looked = relationship.local.scan(Extent::Paths(paths), &[]).await;
    looked.map_err(|error| folder_failed(relationship, error))
}

pub(crate) fn connected(spoke: &Spoke) -> Result<Arc<dyn evenfold_engine::Endpoint>, ApiError> {
    spoke.link.borrow().clone().ok_or_else(|| {
        let message = format!("{} cannot be reached now; nothing was changed", spoke.hub_name);
        ApiError::new(ErrorCode::Unreachable, message)
            .with_hint("decide again when it is connected, or keep both")
    })
}

pub(crate) fn moved_on(path: &RelPath) -> ApiError {
    let message = format!("'{path}' or one of its versions has changed meanwhile; nothing was changed");
    ApiError::new(ErrorCode::PlanOutdated, message).with_hint("list conflicts again and decide anew")
}

fn no_such_version(case: &Case, keep: &str) -> ApiError {
    let mut machines: Vec<_> = case.versions.iter().map(|version| version.machine.as_str()).collect();
    machines.sort_unstable();
    machines.dedup();
    let message = format!("'{}' has no version of '{}'; nothing was changed", keep.escape_debug(), case.path);
    ApiError::new(ErrorCode::Usage, message).with_hint(format!("keep one of: {}, both", machines.join(", ")))
}

fn no_name(path: &RelPath) -> ApiError {
    let message = format!("there is no free name beside '{path}'; nothing was changed");
    ApiError::new(ErrorCode::Io, message).with_hint("rename one of the versions by hand")
}

/// Says what a batch could not do; what it replaced or removed before is kept as a version.
fn accomplished(batch: &Batch, report: &Report, machine: &str) -> Result<(), ApiError> {
    let paths =
        batch.moves.iter().map(|step| &step.from).chain(batch.changes.iter().map(|change| &change.path));
    for (path, outcome) in paths.zip(&report.outcomes) {
        let why = match outcome {
            Outcome::Refused(refusal) => refusal.to_string(),
            Outcome::Applied { short, .. } => match short.first() {
                Some((below, refusal)) => format!("{below}: {refusal}"),
                None => continue,
            },
        };
        let message = format!("'{path}' could not be decided on {machine}: {why}; nothing was lost");
        return Err(ApiError::new(ErrorCode::Io, message)
            .with_hint("mend the cause, list conflicts again, decide anew"));
    }
    Ok(())
}

/// Tells whether `wanted` means this machine, as it calls itself or as names of conflict copies write it.
fn names(wanted: &str, machine: &str) -> bool {
    wanted == machine || wanted == label(machine)
}

/// Finds the version that is meant. Of several by one machine, the one that has the name, else the newest.
fn decide(versions: &[Version], keep: &str) -> Option<Decision> {
    if keep == "both" {
        return Some(Decision::Both);
    }
    let written = |version: &Version| version.entry.as_file().map(|file| file.mtime);
    let of_machine = versions.iter().enumerate().filter(|(_, version)| names(keep, &version.machine));
    of_machine
        .max_by_key(|(_, version)| (version.current, written(version)))
        .map(|(at, _)| Decision::Keep(at))
}

/// Gives the original name to the kept version, unless it has it.
fn promote(path: &RelPath, versions: &[Version], kept: usize) -> Option<Batch> {
    let chosen = versions.get(kept).filter(|version| !version.current)?;
    let mut batch = Batch { id: rand::random(), ..Batch::default() };
    match versions.iter().find(|version| version.current) {
        None => {
            let entry = chosen.entry.clone();
            batch.moves.push(Move { from: chosen.at.clone(), to: path.clone(), entry });
        }
        Some(current) => {
            let (old, new) = (Some(current.entry.clone()), Some(chosen.entry.clone()));
            batch.changes.push(Change { path: path.clone(), old, new });
            if let Entry::File(file) = chosen.entry {
                batch.copies.push(LocalCopy { digest: file.digest, path: chosen.at.clone() });
            }
        }
    }
    Some(batch)
}

/// Takes away the copies, after the kept version has its name.
pub(crate) fn clear(path: &RelPath, versions: &[Version], kept: usize) -> Batch {
    let has_moved = |at: usize| at == kept && !versions.iter().any(|version| version.current);
    let gone = versions.iter().enumerate().filter(|(at, version)| version.at != *path && !has_moved(*at));
    let changes = gone.map(|(_, version)| Change {
        path: version.at.clone(),
        old: Some(version.entry.clone()),
        new: None,
    });
    Batch { id: rand::random(), changes: changes.collect(), ..Batch::default() }
}

/// Gives plain names to all copies, so that they are conflicts no more; `None` where a name is not to be had.
fn both(path: &RelPath, versions: &[Version], tree: &Arc<Dir>) -> Option<Batch> {
    let mut claimed = HashSet::new();
    let mut moves = Vec::new();
    for version in versions.iter().filter(|version| !version.current) {
        let to = beside(path, &version.machine, tree, &claimed)?;
        claimed.insert(to.clone());
        moves.push(Move { from: version.at.clone(), to, entry: version.entry.clone() });
    }
    Some(Batch { id: rand::random(), moves, ..Batch::default() })
}

/// Finds a free name `STEM-MACHINE.EXT`, or with `-2`, `-3`, … after the machine.
fn beside(path: &RelPath, machine: &str, tree: &Arc<Dir>, claimed: &HashSet<RelPath>) -> Option<RelPath> {
    let (parent, name) = path.split_last()?;
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|b| *b == b'.').filter(|at| *at > 0 && bytes.len() - at <= 32);
    let (stem, extension) = bytes.split_at(dot.unwrap_or(bytes.len()));
    (1..1000).find_map(|number| {
        let mut middle = format!("-{}", label(machine));
        if number > 1 {
            middle.push_str(&format!("-{number}"));
        }
        let stem = shorten(stem, MAX_NAME.saturating_sub(middle.len() + extension.len()));
        let name = Name::new(&[stem, middle.as_bytes(), extension].concat()).ok()?;
        let free = parent.join(&name);
        (tree.get(&free).is_none() && !claimed.contains(&free)).then_some(free)
    })
}

fn shorten(stem: &[u8], room: usize) -> &[u8] {
    let mut end = room.min(stem.len());
    while end > 0 && stem.get(end).is_some_and(|b| b & 0xC0 == 0x80) {
        end -= 1;
    }
    stem.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflicts::tests::{dir, file, path};

    fn version(machine: &str, at: &str, content: &str, current: bool) -> Version {
        Version { machine: machine.to_owned(), at: path(at), entry: file(content), current }
    }

    const COPY: &str = "a.conflict-20261121T140207Z-My-Mac.txt";

    fn two() -> Vec<Version> {
        vec![version("nas", "a.txt", "theirs", true), version("My.Mac", COPY, "mine", false)]
    }

    #[test]
    fn version_is_chosen_by_the_machine_that_wrote_it() {
        for (keep, expected) in [
            ("nas", Some(Decision::Keep(0))),
            ("My.Mac", Some(Decision::Keep(1))),
            ("My-Mac", Some(Decision::Keep(1))),
            ("both", Some(Decision::Both)),
            ("desk", None),
        ] {
            assert_eq!(decide(&two(), keep), expected, "{keep}");
        }
    }

    #[test]
    fn of_two_versions_by_one_machine_the_current_one_is_meant() {
        let versions = [version("nas", COPY, "old", false), version("nas", "a.txt", "new", true)];
        assert_eq!(decide(&versions, "nas"), Some(Decision::Keep(1)));
    }

    #[test]
    fn keeping_a_copy_replaces_the_current_version_from_it_and_clears_it() {
        let batch = promote(&path("a.txt"), &two(), 1).unwrap();
        assert_eq!(batch.changes[0].old, Some(file("theirs")));
        assert_eq!(batch.changes[0].new, Some(file("mine")));
        assert_eq!(batch.copies[0].path, path(COPY));
        let batch = clear(&path("a.txt"), &two(), 1);
        assert_eq!(batch.changes.len(), 1);
        assert_eq!((&batch.changes[0].path, &batch.changes[0].new), (&path(COPY), &None));
    }

    #[test]
    fn keeping_the_current_version_only_clears_the_copies() {
        assert!(promote(&path("a.txt"), &two(), 0).is_none());
        assert_eq!(clear(&path("a.txt"), &two(), 0).changes[0].path, path(COPY));
    }

    #[test]
    fn copy_whose_original_is_gone_is_renamed_back() {
        let versions = [version("nas", COPY, "only", false)];
        let batch = promote(&path("a.txt"), &versions, 0).unwrap();
        assert_eq!((&batch.moves[0].from, &batch.moves[0].to), (&path(COPY), &path("a.txt")));
        assert!(clear(&path("a.txt"), &versions, 0).changes.is_empty());
    }

    #[test]
    fn keeping_both_finds_names_that_are_free() {
        let tree =
            dir(vec![("a.txt", file("theirs")), (COPY, file("mine")), ("a-My-Mac.txt", file("taken"))]);
        let mut versions = two();
        versions.push(version("My.Mac", "a.conflict-20261121T140208Z-My-Mac.txt", "more", false));
        let names: Vec<_> =
            both(&path("a.txt"), &versions, &tree).unwrap().moves.into_iter().map(|mv| mv.to).collect();
        assert_eq!(names, [path("a-My-Mac-2.txt"), path("a-My-Mac-3.txt")]);
    }

    #[test]
    fn longest_names_leave_room_for_the_machine() {
        let long = "é".repeat(125) + ".txt";
        let name = beside(&path(&long), "nas", &dir(vec![]), &HashSet::new()).unwrap();
        assert!(name.as_bytes().len() <= MAX_NAME && name.to_string().ends_with("é-nas.txt"));
    }
}
