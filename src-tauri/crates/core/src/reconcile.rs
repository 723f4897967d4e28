//! The three-way reconcile: `(ancestor, ours, theirs, policy) → plan`, a pure function.
//!
//! It walks the three trees together and stops wherever they agree, so its cost is that of the differences.
//! It emits, for every path that does not converge, exactly one change, conflict or typed reason. The two sides
//! are treated alike: exchanging them exchanges the two halves of the plan and nothing else.
//!
//! The walk relies on what a scan guarantees: a path that is missing from a tree is absent with proof, and a
//! path that could not be looked at is [`Entry::Unknown`] and never missing.

use std::sync::Arc;

use crate::entry::{Child, Dir, Entry, File, Mode, ProblemKind};
use crate::path::{MAX_PATH, Name, RESERVED, RelPath};
use crate::plan::{Agreement, Blocked, Change, Conflict, Plan, Reason};
use crate::policy::{ConflictRule, Deletion, Flow, Policy, Side};

/// Reconciles two trees with the last tree on which they agreed.
///
/// The permission bits of the roots themselves take no part: each machine's root folder is its owner's.
/// Conflicts are only found here; [`crate::settle`] turns them into changes where the policy says how.
pub fn reconcile(ancestor: &Arc<Dir>, ours: &Arc<Dir>, theirs: &Arc<Dir>, policy: &Policy) -> Plan {
    let mut walk = Walk { policy, plan: Plan::default() };
    walk.children(&RelPath::root(), Some(ancestor), ours, theirs);
    walk.plan
}

// What does not descend is kept out of line: the frames of the walk itself must be small, because paths may have
// 2048 levels and the stack 2 MiB.
struct Walk<'a> {
    policy: &'a Policy,
    plan: Plan,
}

impl Walk<'_> {
    fn children(&mut self, path: &RelPath, ancestor: Option<&Arc<Dir>>, ours: &Arc<Dir>, theirs: &Arc<Dir>) {
        let none: &[Child] = &[];
        let lists = [ancestor.map_or(none, |dir| dir.children()), ours.children(), theirs.children()];
        for (name, [a, o, t]) in merge_by_name(lists) {
            // Equal digests all around: agreed, recorded and, without unknown entries, completely so.
            if a == o && o == t && !o.is_some_and(Entry::has_unknown) {
                continue;
            }
            // A peer may name Evenfold's own folder in its tree. It never takes part.
            if path.is_root() && name.as_bytes() == RESERVED {
                continue;
            }
            let below = path.join(name);
            // No disk holds such a path. It also bounds how deep a peer's tree makes this walk descend.
            if below.as_bytes().len() > MAX_PATH {
                let side = if o.is_some() { Side::Ours } else { Side::Theirs };
                self.blocked(&below, Reason::Problem(side, ProblemKind::TooLong));
                continue;
            }
            self.path(&below, a, o, t);
        }
    }

    fn path(&mut self, path: &RelPath, a: Option<&Entry>, o: Option<&Entry>, t: Option<&Entry>) {
        // What could not be looked at is neither equal nor different nor deleted. Nothing at or below it moves.
        for (side, entry) in [(Side::Ours, o), (Side::Theirs, t)] {
            if let Some(Entry::Unknown(kind)) = entry {
                return self.blocked(path, Reason::Problem(side, *kind));
            }
        }
        match (o, t) {
            // Both directories: each child is decided by itself, also where the digests agree but something
            // below is unknown on both sides.
            (Some(Entry::Dir(ours)), Some(Entry::Dir(theirs))) if ours != theirs || ours.has_unknown() => {
                self.both_directories(path, a, ours, theirs);
            }
            // Equal on both sides and completely known, or absent on both with proof: only the record is old.
            _ if o == t => {
                if a != o {
                    self.plan.agreed.push(Agreement {
                        path: path.clone(),
                        entry: o.cloned(),
                        shallow: false,
                    });
                }
            }
            _ => match self.policy.flow {
                Flow::Both => self.two_way(path, a, o, t),
                Flow::From(source) => self.one_way(path, a, o, t, source),
                Flow::None => self.blocked(path, Reason::CompareOnly),
            },
        }
    }

    fn both_directories(&mut self, path: &RelPath, a: Option<&Entry>, ours: &Arc<Dir>, theirs: &Arc<Dir>) {
        let ancestor = a.and_then(Entry::as_dir);
        self.directory_modes(path, ancestor.map(|dir| dir.mode()), ours, theirs);
        self.children(path, ancestor, ours, theirs);
    }

    /// Permission bits merge bit by bit, so they never conflict: a bit on which the sides differ takes the
    /// value that is not the ancestor's. Without an ancestor the stricter value holds.
    #[inline(never)]
    fn directory_modes(&mut self, path: &RelPath, a: Option<Mode>, ours: &Arc<Dir>, theirs: &Arc<Dir>) {
        let (o, t) = (ours.mode(), theirs.mode());
        let target = match self.policy.flow {
            Flow::Both => merge_modes(a, o, t),
            Flow::From(Side::Ours) => o,
            Flow::From(Side::Theirs) => t,
            // Compare only, and the bits differ: that is the finding; equal bits need nothing.
            Flow::None if o != t => return self.blocked(path, Reason::CompareOnly),
            Flow::None => o,
        };
        let shell = Entry::dir(target, Vec::new());
        for (side, dir) in [(Side::Ours, ours), (Side::Theirs, theirs)] {
            if dir.mode() != target {
                let old = Some(Entry::Dir(Arc::clone(dir)));
                self.change(side, path, old, Some(shell.clone()));
            }
        }
        if o == t && a != Some(target) {
            self.plan.agreed.push(Agreement { path: path.clone(), entry: Some(shell), shallow: true });
        }
    }

    /// The sides differ at `path`, are not both directories, and changes travel both ways.
    #[inline(never)]
    fn two_way(&mut self, path: &RelPath, a: Option<&Entry>, o: Option<&Entry>, t: Option<&Entry>) {
        match (o, t) {
            (None, Some(theirs)) => self.only_on(Side::Theirs, path, a, theirs),
            (Some(ours), None) => self.only_on(Side::Ours, path, a, ours),
            (Some(ours), Some(theirs)) => {
                if a == t {
                    // Their side still holds the agreed state, so our user saw it and replaced it.
                    self.replace(Side::Theirs, path, theirs, ours);
                } else if a == o {
                    // The same with the sides exchanged.
                    self.replace(Side::Ours, path, ours, theirs);
                } else if let (Entry::File(x), Entry::File(y)) = (ours, theirs)
                    && x.same_content(y)
                {
                    // The same bytes: only times and permissions differ, and those merge.
                    let merged = merge_metadata(a.and_then(Entry::as_file), x, y);
                    for (side, file) in [(Side::Ours, x), (Side::Theirs, y)] {
                        if *file != merged {
                            self.change(side, path, Some(Entry::File(*file)), Some(Entry::File(merged)));
                        }
                    }
                } else {
                    // Both differ from the agreed state and from each other: neither user saw the other's.
                    self.plan.conflicts.push(Conflict {
                        path: path.clone(),
                        ancestor: a.cloned(),
                        ours: o.cloned(),
                        theirs: t.cloned(),
                    });
                }
            }
            (None, None) => {}
        }
    }

    /// `entry` stands on `side` only; on the other side the path is absent with proof.
    fn only_on(&mut self, side: Side, path: &RelPath, a: Option<&Entry>, entry: &Entry) {
        let Some(ancestor) = a else {
            // Never agreed on: it is new here, so it is created over there.
            return self.create(side.other(), path, entry);
        };
        if self.policy.deletion == Deletion::Ignore {
            if ancestor == entry {
                return self.blocked(path, Reason::DeletionIgnored);
            }
            // Edited here after the deletion there that does not travel: the edit brings it back.
            return self.create(side.other(), path, entry);
        }
        match (ancestor, entry) {
            // Unchanged since agreed and deleted over there by someone who had seen it.
            _ if ancestor == entry => self.delete(side, path, entry),
            // A directory that was deleted over there while something in it changed here.
            (Entry::Dir(was), Entry::Dir(is)) => self.deleted_directory(side, path, was, is),
            // Edited here, deleted there: the edit wins, because a deletion can be repeated and an edit not.
            _ => self.create(side.other(), path, entry),
        }
    }

    /// The directory was deleted on the other side, and differs from the agreed state on `side`. What is
    /// unchanged is deleted; what was edited or added survives, with the directories that lead to it.
    fn deleted_directory(&mut self, side: Side, path: &RelPath, was: &Arc<Dir>, is: &Arc<Dir>) {
        if !survives(was, is) {
            return self.delete(side, path, &Entry::Dir(Arc::clone(is)));
        }
        if let Some(survivors) = self.delete_unchanged(side, path, was, is) {
            let new = Entry::Dir(Arc::new(survivors));
            self.change(side.other(), path, None, Some(new));
        }
    }

    /// Deletes what is unchanged below `is` and returns what the other side gets back, if anything.
    fn delete_unchanged(&mut self, side: Side, path: &RelPath, was: &Arc<Dir>, is: &Arc<Dir>) -> Option<Dir> {
        let mut survivors = Vec::new();
        for child in is.children() {
            let below = path.join(&child.name);
            let survivor = match (was.child(child.name.as_bytes()), &child.entry) {
                (_, Entry::Unknown(kind)) => {
                    // It stays where it is, and keeps the directories above it.
                    self.blocked(&below, Reason::Problem(side, *kind));
                    None
                }
                (Some(old), entry) if old == entry => {
                    self.delete(side, &below, entry);
                    None
                }
                (Some(Entry::Dir(old)), Entry::Dir(dir)) => {
                    if survives(old, dir) {
                        self.delete_unchanged(side, &below, old, dir).map(|dir| Entry::Dir(Arc::new(dir)))
                    } else {
                        self.delete(side, &below, &child.entry);
                        None
                    }
                }
                (_, entry) => {
                    self.plan.report_unknown(side, &below, entry);
                    entry.without_unknown()
                }
            };
            survivors.extend(survivor.map(|entry| Child { name: child.name.clone(), entry }));
        }
        (!survivors.is_empty()).then(|| Dir::new(is.mode(), survivors))
    }

    /// The sides differ at `path`, are not both directories, and changes travel from `source` only.
    #[inline(never)]
    fn one_way(
        &mut self,
        path: &RelPath,
        a: Option<&Entry>,
        o: Option<&Entry>,
        t: Option<&Entry>,
        source: Side,
    ) {
        let target = source.other();
        let (s, d) = match source {
            Side::Ours => (o, t),
            Side::Theirs => (t, o),
        };
        // "Told so" means that the person said that the source's state is to win over the target's own changes.
        let told = self.policy.conflict == ConflictRule::Prefer(source);
        let untouched = a == d;
        match (s, d) {
            (Some(entry), None) if untouched || told || a != s => {
                // Nothing stands there, so nothing can be lost by creating.
                self.create(target, path, entry);
            }
            // The target's user deleted what the source still has unchanged: reported, not forced back.
            (Some(_), None) => self.blocked(path, Reason::DestinationChanged),
            (Some(entry), Some(old)) if untouched || told => self.replace(target, path, old, entry),
            (Some(Entry::File(new)), Some(Entry::File(old))) if new.same_content(old) => {
                // The same bytes: taking over the source's times and permissions loses nothing.
                self.change(target, path, Some(Entry::File(*old)), Some(Entry::File(*new)));
            }
            (Some(Entry::File(new)), Some(Entry::File(old)))
                if self.policy.conflict == ConflictRule::Newest && new.mtime > old.mtime =>
            {
                self.replace(target, path, &Entry::File(*old), &Entry::File(*new));
            }
            (Some(_), Some(_)) => self.blocked(path, Reason::DestinationChanged),
            (None, Some(entry)) => self.gone_at_source(target, path, a, entry, told),
            (None, None) => {}
        }
    }

    /// One way: `entry` stands at the target, and nothing at the source.
    fn gone_at_source(&mut self, target: Side, path: &RelPath, a: Option<&Entry>, entry: &Entry, told: bool) {
        let untouched = a == Some(entry);
        if self.policy.deletion == Deletion::Ignore {
            let reason = if a.is_some() { Reason::DeletionIgnored } else { Reason::DestinationExtra };
            return self.blocked(path, reason);
        }
        match (a, entry) {
            _ if untouched || (told && !entry.has_unknown()) => self.delete(target, path, entry),
            // Only its own permission bits changed, or parts of it went: nothing of the target's own would go.
            (Some(Entry::Dir(was)), Entry::Dir(is)) if !survives(was, is) => self.delete(target, path, entry),
            (_, Entry::Dir(is)) if told || matches!(a, Some(Entry::Dir(_))) => {
                // Part of it is the source's to delete, part is the target's own or unknown: child by child.
                let was = a.and_then(Entry::as_dir);
                for child in is.children() {
                    let below = path.join(&child.name);
                    let old = was.and_then(|dir| dir.child(child.name.as_bytes()));
                    match &child.entry {
                        Entry::Unknown(kind) => self.blocked(&below, Reason::Problem(target, *kind)),
                        entry => self.gone_at_source(target, &below, old, entry, told),
                    }
                }
            }
            (Some(_), _) => self.blocked(path, Reason::DestinationChanged),
            (None, _) => self.blocked(path, Reason::DestinationExtra),
        }
    }

    fn create(&mut self, on: Side, path: &RelPath, entry: &Entry) {
        self.plan.report_unknown(on.other(), path, entry);
        if let Some(known) = entry.without_unknown() {
            self.change(on, path, None, Some(known));
        }
    }

    /// `old` was compared with the agreed state or the person said that it may go, so replacing it is safe;
    /// unless something below it is unknown, which nothing may touch.
    fn replace(&mut self, on: Side, path: &RelPath, old: &Entry, new: &Entry) {
        if let Some(kind) = first_unknown(old) {
            return self.blocked(path, Reason::Problem(on, kind));
        }
        self.plan.report_unknown(on.other(), path, new);
        if let Some(known) = new.without_unknown() {
            self.change(on, path, Some(old.clone()), Some(known));
        }
    }

    fn delete(&mut self, on: Side, path: &RelPath, old: &Entry) {
        self.change(on, path, Some(old.clone()), None);
    }

    fn change(&mut self, on: Side, path: &RelPath, old: Option<Entry>, new: Option<Entry>) {
        let changes = match on {
            Side::Ours => &mut self.plan.ours,
            Side::Theirs => &mut self.plan.theirs,
        };
        changes.push(Change { path: path.clone(), old, new });
    }

    fn blocked(&mut self, path: &RelPath, reason: Reason) {
        self.plan.blocked.push(Blocked { path: path.clone(), reason });
    }
}

fn first_unknown(entry: &Entry) -> Option<ProblemKind> {
    match entry {
        Entry::Unknown(kind) => Some(*kind),
        Entry::Dir(dir) if dir.has_unknown() => {
            dir.children().iter().find_map(|child| first_unknown(&child.entry))
        }
        _ => None,
    }
}

/// Tells whether anything below `is` would survive the deletion of `was`: something edited, added or unknown.
/// A directory whose permission bits alone changed does not.
fn survives(was: &Arc<Dir>, is: &Arc<Dir>) -> bool {
    is.children().iter().any(|child| match (was.child(child.name.as_bytes()), &child.entry) {
        (Some(old), entry) if old == entry => false,
        (Some(Entry::Dir(old)), Entry::Dir(dir)) => survives(old, dir),
        _ => true,
    })
}

fn merge_modes(a: Option<Mode>, o: Mode, t: Mode) -> Mode {
    let a = a.map_or(0o777, Mode::bits);
    let (o, t) = (o.bits(), t.bits());
    let differ = o ^ t;
    Mode::new((o & !differ) | (!a & differ))
}

/// Merges times and permissions of two files with the same content: a field that only one side changed takes
/// that side's value; a time that both changed takes the later one.
fn merge_metadata(a: Option<&File>, o: &File, t: &File) -> File {
    let mtime = match a {
        Some(a) if a.mtime == o.mtime => t.mtime,
        Some(a) if a.mtime == t.mtime => o.mtime,
        _ => o.mtime.max(t.mtime),
    };
    File { mtime, mode: merge_modes(a.map(|a| a.mode), o.mode, t.mode), ..*o }
}

/// Walks three sorted listings together and yields each name once with what stands there in each.
fn merge_by_name(lists: [&[Child]; 3]) -> impl Iterator<Item = (&Name, [Option<&Entry>; 3])> {
    let mut rest = lists;
    std::iter::from_fn(move || {
        let name = rest.iter().filter_map(|list| list.first()).map(|child| &child.name).min()?;
        let mut row = [None; 3];
        for (slot, list) in row.iter_mut().zip(rest.iter_mut()) {
            if let Some((first, tail)) = list.split_first()
                && first.name == *name
            {
                *slot = Some(&first.entry);
                *list = tail;
            }
        }
        Some((name, row))
    })
}
