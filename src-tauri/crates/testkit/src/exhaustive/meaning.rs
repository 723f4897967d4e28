//! What a cycle must mean for the contents at each path: nothing lost, nothing invented, edits win, all equal.

use std::sync::Arc;

use evenfold_core::conflict::is_conflict_name;
use evenfold_core::{Conflict, ConflictRule, Deletion, Dir, Entry, Flow, Policy, RelPath, Side};

use super::world::parent_dir;
use super::{Property, Triple, Violation};

/// The states before and after one or more cycles under a policy.
pub(crate) struct Meaning<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) settled: &'a [Conflict],
    pub(crate) before: &'a Triple,
    pub(crate) after: &'a Triple,
}

/// What stands at one path of one side: before, afterwards, and what the rest of the world held before.
struct Row<'a> {
    side: Side,
    agreed: Option<&'a Entry>,
    mine: Option<&'a Entry>,
    other: Option<&'a Entry>,
    mine_after: Option<&'a Entry>,
    other_after: Option<&'a Entry>,
}

impl Meaning<'_> {
    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.below(&RelPath::root(), self.trees().map(Some))?;
        let complete = self.policy.flow == Flow::Both
            && self.policy.deletion == Deletion::Propagate
            && self.policy.conflict != ConflictRule::Refuse
            && ![&self.before.ours, &self.before.theirs].iter().any(|tree| tree.has_unknown());
        let (a, o, t) = (&self.after.ancestor, &self.after.ours, &self.after.theirs);
        if complete && (o != t || a != o) {
            return Violation::new(Property::Converges, self.after);
        }
        Ok(())
    }

    fn below(&self, path: &RelPath, dirs: [Option<&Arc<Dir>>; 5]) -> Result<(), Violation> {
        let mut names: Vec<_> =
            dirs.iter().flatten().flat_map(|dir| dir.children()).map(|child| &child.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let entries = dirs.map(|dir| dir.and_then(|dir| dir.child(name.as_bytes())));
            let [a, o, t, o2, t2] = entries;
            if a == o && o == t && t == o2 && o2 == t2 {
                continue;
            }
            let below = path.join(name);
            let ours =
                Row { side: Side::Ours, agreed: a, mine: o, other: t, mine_after: o2, other_after: t2 };
            let theirs =
                Row { side: Side::Theirs, agreed: a, mine: t, other: o, mine_after: t2, other_after: o2 };
            for row in [ours, theirs] {
                self.nothing_lost(&below, &row)?;
                self.only_propagated(&below, &row)?;
                self.edit_wins(&below, &row)?;
                self.deletion(&below, &row)?;
            }
            let inner = entries.map(|entry| entry.and_then(Entry::as_dir));
            if inner.iter().any(Option::is_some) {
                self.below(&below, inner)?;
            }
        }
        Ok(())
    }

    fn trees(&self) -> [&Arc<Dir>; 5] {
        let (before, after) = (self.before, self.after);
        [&before.ancestor, &before.ours, &before.theirs, &after.ours, &after.theirs]
    }

    /// What one side holds and was never agreed on has not been seen by the other side's user.
    fn nothing_lost(&self, path: &RelPath, row: &Row<'_>) -> Result<(), Violation> {
        let Some(mine) = row.mine else { return Ok(()) };
        if kind_and_content(Some(mine), row.agreed) || kind_and_content(Some(mine), row.mine_after) {
            return Ok(());
        }
        let told = match (self.policy.flow, self.policy.conflict) {
            (Flow::From(source), ConflictRule::Prefer(side)) => source == side && side != row.side,
            (Flow::From(source), ConflictRule::Newest) => {
                source != row.side
                    && matches!((mine, row.other), (Entry::File(old), Some(Entry::File(new))) if new.mtime > old.mtime)
            }
            (Flow::Both, ConflictRule::Newest | ConflictRule::Prefer(_)) => self.is_settled(path),
            _ => false,
        };
        let kept = |tree: &Arc<Dir>| {
            parent_dir(tree, path).is_some_and(|dir| {
                dir.children().iter().any(|child| {
                    is_conflict_name(child.name.as_bytes())
                        && kind_and_content(Some(mine), Some(&child.entry))
                })
            })
        };
        if told || (!matches!(mine, Entry::Dir(_)) && kept(&self.after.ours) && kept(&self.after.theirs)) {
            return Ok(());
        }
        Violation::new(Property::NothingLost, format!("{path} of {:?} after {}", row.side, self.after))
    }

    fn is_settled(&self, path: &RelPath) -> bool {
        self.settled.iter().any(|conflict| path.starts_with(&conflict.path))
    }

    fn only_propagated(&self, path: &RelPath, row: &Row<'_>) -> Result<(), Violation> {
        let stayed = kind_and_content(row.mine_after, row.mine);
        let came = kind_and_content(row.mine_after, row.other);
        let named = path.file_name().is_some_and(|name| is_conflict_name(name.as_bytes()));
        let kept = named && row.mine_after.is_some() && row.mine.is_none() && {
            let lose = |conflict: &Conflict| {
                [&conflict.ours, &conflict.theirs]
                    .iter()
                    .any(|entry| kind_and_content(entry.as_ref(), row.mine_after))
            };
            self.settled.iter().any(lose)
        };
        // The known part of a directory that is partly unknown may be all that goes or comes.
        let metadata = match (row.mine_after, row.mine, row.other) {
            (Some(Entry::File(now)), m, o) if !kept => {
                let from = |entry: Option<&Entry>| {
                    entry.and_then(Entry::as_file).is_some_and(|file| file.mtime == now.mtime)
                };
                from(m) || from(o)
            }
            _ => true,
        };
        if (stayed || came || kept) && metadata {
            return Ok(());
        }
        Violation::new(Property::OnlyPropagated, format!("{path} of {:?} after {}", row.side, self.after))
    }

    fn edit_wins(&self, path: &RelPath, row: &Row<'_>) -> Result<(), Violation> {
        let two_way = self.policy.flow == Flow::Both;
        let edited = matches!(row.mine, Some(Entry::File(_) | Entry::Symlink(_)))
            && row.agreed.is_some()
            && !kind_and_content(row.mine, row.agreed);
        if !two_way || !edited || row.other.is_some() {
            return Ok(());
        }
        if self.is_in_the_way(path, row.side.other()) || kind_and_content(row.other_after, row.mine) {
            return Ok(());
        }
        Violation::new(Property::EditWins, format!("{path} of {:?} after {}", row.side, self.after))
    }

    /// Tells whether `side` put something else in place of a directory above: then that is what is decided.
    fn is_in_the_way(&self, path: &RelPath, side: Side) -> bool {
        let tree = if side == Side::Ours { &self.before.ours } else { &self.before.theirs };
        std::iter::successors(path.parent(), RelPath::parent)
            .any(|above| tree.get(&above).is_some_and(|entry| !matches!(entry, Entry::Dir(_))))
    }

    fn deletion(&self, path: &RelPath, row: &Row<'_>) -> Result<(), Violation> {
        if row.mine.is_none() || row.other.is_some() {
            return Ok(());
        }
        let ignored = self.policy.deletion == Deletion::Ignore;
        let travels = match self.policy.flow {
            Flow::Both => true,
            Flow::From(source) => source != row.side,
            Flow::None => false,
        };
        let wrong = match ignored {
            true => row.mine_after.is_none(),
            false => travels && row.mine == row.agreed && row.mine_after.is_some(),
        };
        if !wrong || self.is_in_the_way(path, row.side.other()) {
            return Ok(());
        }
        let property = if ignored { Property::DeletionIgnored } else { Property::DeletionTravels };
        Violation::new(property, format!("{path} of {:?} after {}", row.side, self.after))
    }
}

/// Tells whether both are absent, or both directories, or have the same content.
fn kind_and_content(one: Option<&Entry>, two: Option<&Entry>) -> bool {
    match (one, two) {
        (None, None) | (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => true,
        (Some(Entry::Unknown(one)), Some(Entry::Unknown(two))) => one == two,
        (Some(one), Some(two)) => one.same_content(two),
        _ => false,
    }
}
