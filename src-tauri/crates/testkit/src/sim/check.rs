//! What must be true after every step, and of every cycle.

use std::collections::BTreeMap;

use evenfold_core::conflict::is_conflict_name;
use evenfold_core::{Digest, Dir, Entry, Flow, RelPath, Side};
use evenfold_engine::pair::{CycleError, CycleReport, Ending, Look, Permission};
use evenfold_fs::disk::Kind;

use super::node::lock;
use super::survey::{Found, live, present};
use super::world::World;
use super::{Broken, Promise};

/// How things were before a cycle.
pub(crate) struct Before {
    /// Of the spoke and of the hub.
    live: [BTreeMap<RelPath, Found>; 2],
    changes: [u64; 2],
    look: Look,
}

impl World {
    /// Checks what must be true at any time.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        for (at, node) in self.nodes.iter().enumerate() {
            let state = node.machine.lock();
            let root = self.covered[at].or(state.tree.root);
            let present = present(&state.tree, root);
            let ledger = lock(&self.ledger);
            if let Some(lost) = ledger.secured[at].difference(&present).next() {
                let what = ledger.written.get(lost).cloned().unwrap_or_default();
                return Err(Broken::new(
                    Promise::Kept,
                    format!("machine {at} has lost what was written as {what}"),
                ));
            }
            for (path, entry) in live(&state.tree, root) {
                let Some(digest) = entry.digest else { continue };
                if !ledger.is_a_users(&path, digest) {
                    let origin = ledger.written.get(&digest).cloned();
                    let detail = format!("machine {at} holds at {path:?} what was written as {origin:?}");
                    return Err(Broken::new(Promise::Invented, detail));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn before(&self, spoke: usize, how: Look) -> Before {
        let look = |at: usize| {
            let mut state = self.nodes[at].machine.lock();
            state.disturbed = false;
            state.failed = false;
            (live(&state.tree, state.tree.root), state.changes_of_users)
        };
        let (ours, theirs) = (look(spoke), look(0));
        Before { live: [ours.0, theirs.0], changes: [ours.1, theirs.1], look: how }
    }

    /// Checks what a cycle did.
    pub(crate) fn after(
        &self,
        spoke: usize,
        permission: Permission,
        before: Before,
        result: &Result<CycleReport, CycleError>,
    ) -> Result<(), Broken> {
        let mut calm = true;
        let mut changes = [0; 2];
        let after = [(0, spoke), (1, 0)].map(|(side, at)| {
            let state = self.nodes[at].machine.lock();
            calm &= !state.disturbed && !state.failed && !state.dead;
            changes[side] = state.changes_of_users;
            live(&state.tree, state.tree.root)
        });
        let source = match self.settings.policy.flow {
            Flow::Both => None,
            Flow::From(Side::Ours) => Some(0),
            Flow::From(Side::Theirs) => Some(1),
            Flow::None => None,
        };
        if let Some(side) = source.filter(|side| changes[*side] != before.changes[*side]) {
            return Err(Broken::new(
                Promise::Source,
                format!("side {side} is the source and was written to"),
            ));
        }
        // Without a look, a folder is known as it was before it went, which nothing speaks against.
        if before.look != Look::Current && (self.covered[spoke].is_some() || self.covered[0].is_some()) {
            for side in [0, 1] {
                if changes[side] != before.changes[side] {
                    let detail = format!("a folder was not mounted, and side {side} was changed");
                    return Err(Broken::new(Promise::Absent, detail));
                }
            }
        }
        // Without a look, shares are counted of folders as they were known, and what is seen later in the cycle is
        // another batch.
        if calm && permission == Permission::Normal && before.look != Look::Current {
            for side in [0, 1] {
                guarded(&before.live[side], &after[side])?;
            }
        }
        if let Ok(report) = result
            && calm
            && self.covered[spoke].is_none()
            && self.covered[0].is_none()
            && permission == Permission::Normal
        {
            self.judge(report, &after)?;
        }
        if let Ok(report) = result {
            // What the record says must be there for good.
            for (at, agreed) in [(spoke, &report.ancestor), (0, &report.ancestor)] {
                self.secure(at, agreed);
            }
        }
        self.echo(spoke, &before, &after, calm)
    }

    /// Whatever of `agreed` is present on a machine has to stay.
    fn secure(&self, at: usize, agreed: &Dir) {
        let state = self.nodes[at].machine.lock();
        let present = present(&state.tree, self.covered[at].or(state.tree.root));
        let mut ledger = lock(&self.ledger);
        each_content(agreed, &mut |digest| {
            if present.contains(&digest) {
                ledger.secured[at].insert(digest);
            }
        });
    }

    /// A report must say what is true.
    fn judge(&self, report: &CycleReport, after: &[BTreeMap<RelPath, Found>; 2]) -> Result<(), Broken> {
        let trees = [&report.ours, &report.theirs];
        if report.ending == Ending::Equal
            && report.plan.blocked.is_empty()
            && trees[0].digest() != trees[1].digest()
        {
            // The top directories' own permission bits take no part.
            let same = trees[0].children() == trees[1].children();
            if !same {
                return Err(Broken::new(Promise::Honest, "'equal' was said of trees that differ".to_owned()));
            }
        }
        // What was written by a cycle is what its report says stands there.
        for (side, tree) in trees.into_iter().enumerate() {
            for path in after[side]
                .keys()
                .filter(|path| path.file_name().is_some_and(|name| is_conflict_name(name.as_bytes())))
            {
                let unknown = tree.has_unknown();
                if !unknown && report.files > 0 && tree.get(path).is_none() {
                    let detail = format!("side {side} holds {path:?}, which the report does not know");
                    return Err(Broken::new(Promise::Honest, detail));
                }
            }
        }
        Ok(())
    }

    /// A conflict copy of what a user had replaced before, with that version before their eyes, is an echo: what
    /// Evenfold itself did was taken for somebody else's act.
    fn echo(
        &self,
        spoke: usize,
        before: &Before,
        after: &[BTreeMap<RelPath, Found>; 2],
        calm: bool,
    ) -> Result<(), Broken> {
        if self.rolled_back || !calm || !self.echoes_are_told() {
            return Ok(());
        }
        let ledger = lock(&self.ledger);
        // Whoever wrote it replaced it, and the record is theirs or the hub's: nobody else may have changed it.
        // Where it still stands on their own machine, they replaced another copy of it (that which Evenfold had kept of
        // a conflict, say), so what is disputed under its name is theirs, and a copy of it is no echo.
        let stands =
            |live: &BTreeMap<RelPath, Found>, digest| live.values().any(|entry| entry.digest == Some(digest));
        // Whoever moved it over something else has changed what stands there, so a conflict there is right.
        let moved =
            |digest: &Digest| ledger.pairs.iter().filter(|(_, stood)| stood == digest).nth(1).is_some();
        let ended = |digest: &Digest| {
            let on = ledger.ended_on.get(digest).copied().unwrap_or(0);
            [(spoke, &before.live[0]), (0, &before.live[1])].into_iter().any(|(at, live)| {
                on == 1 << at && ledger.authors.get(digest) == Some(&at) && !stands(live, *digest)
            })
        };
        for live in after {
            for (path, entry) in live {
                let is_copy = path.file_name().is_some_and(|name| is_conflict_name(name.as_bytes()));
                if !is_copy || before.live.iter().any(|live| live.contains_key(path)) {
                    continue;
                }
                // What a link says is part of the plan, so it can be copied although it is gone since the last look:
                // that is no other case than that of a user who removes it just after a look.
                if entry.kind == Kind::Symlink && before.look == Look::Current {
                    continue;
                }
                if let Some(digest) = entry.digest.filter(ended).filter(|digest| !moved(digest)) {
                    let what = ledger.written.get(&digest).cloned().unwrap_or_default();
                    let detail = format!("{path:?} is a conflict copy of {what}, which a user had replaced");
                    return Err(Broken::new(Promise::Echo, detail));
                }
            }
        }
        Ok(())
    }

    /// Acts on times, permission bits, names and copies make a replaced content count as changed again, so
    /// conflicts with it are right.
    fn echoes_are_told(&self) -> bool {
        use super::acts::Act::{Copy, Mode, Rename, Touch};
        let acts = &self.settings.acts;
        !acts.iter().any(|(_, act)| matches!(act, Copy | Mode | Rename | Touch))
            && !self.settings.troubles.restores
            && self.settings.habits.iter().all(|habits| habits.stored == 1)
    }
}

fn each_content(dir: &Dir, take: &mut dyn FnMut(Digest)) {
    for child in dir.children() {
        match &child.entry {
            Entry::File(file) if file.size > 0 => take(file.digest),
            Entry::Symlink(link) => take(Digest::of(&link.target)),
            Entry::Dir(dir) => each_content(dir, take),
            Entry::File(_) | Entry::Unknown(_) => {}
        }
    }
}

/// Nobody deletes more than a quarter without asking.
fn guarded(before: &BTreeMap<RelPath, Found>, after: &BTreeMap<RelPath, Found>) -> Result<(), Broken> {
    let leaf = |entry: &&Found| entry.kind != Kind::Dir;
    let gone = before.iter().filter(|(path, entry)| leaf(entry) && !after.contains_key(*path));
    let mut created: Vec<_> = after
        .iter()
        .filter(|(path, entry)| leaf(entry) && !before.contains_key(*path))
        .map(|(_, e)| e.digest)
        .collect();
    let mut deleted = 0;
    for (_, entry) in gone {
        match created.iter().position(|digest| *digest == entry.digest) {
            Some(at) => _ = created.swap_remove(at),
            None => deleted += 1,
        }
    }
    if deleted > 1 && deleted * 4 > before.len() {
        let detail = format!("{deleted} of {} items were deleted without asking", before.len());
        return Err(Broken::new(Promise::Guard, detail));
    }
    Ok(())
}
