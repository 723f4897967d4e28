//! Both sides and the record between them, in memory, and one cycle of the loop over them.

use std::sync::Arc;

use evenfold_core::batch::{Limit, steps};
use evenfold_core::edit::{Edit, edit};
use evenfold_core::plan::{Agreement, Change};
use evenfold_core::settle::{Authors, hold_back};
use evenfold_core::{Child, Conflict, Dir, Entry, Name, Plan, Policy, RelPath, Side};

use super::{Property, Subject, Triple, Violation};

/// A plan before and after its conflicts were settled.
pub struct Planned {
    /// As the reconcile returned it, where settling changed it.
    unsettled: Option<Plan>,
    /// With the changes that settle its conflicts.
    pub plan: Plan,
    /// The conflicts that were settled.
    pub settled: Vec<Conflict>,
}

impl Planned {
    /// Returns the plan as the reconcile returned it.
    pub fn found(&self) -> &Plan {
        self.unsettled.as_ref().unwrap_or(&self.plan)
    }
}

impl Subject {
    /// Reconciles and settles. The machines are called "one" and "two".
    pub fn plan(&self, triple: &Triple, policy: &Policy) -> Planned {
        let mut plan = (self.reconcile)(&triple.ancestor, &triple.ours, &triple.theirs, policy);
        let unsettled = (!plan.conflicts.is_empty()).then(|| plan.clone());
        let settled = self.settle_as(&mut plan, triple, policy, ["one", "two"]);
        Planned { unsettled, plan, settled }
    }

    pub(crate) fn settle_as(
        &self,
        plan: &mut Plan,
        triple: &Triple,
        policy: &Policy,
        [ours, theirs]: [&str; 2],
    ) -> Vec<Conflict> {
        let mut authors = |_: &Conflict| Authors { ours: ours.to_owned(), theirs: theirs.to_owned() };
        (self.settle)(plan, policy.conflict, &triple.ours, &triple.theirs, &mut authors)
    }
}

/// Carries a whole plan out, in the steps in which it would be carried out, and commits it. Without a limit for
/// steps the changes are carried out as the plan lists them.
///
/// # Errors
/// [`Property::ChangesApply`], if a change does not find what it expects.
pub fn carry_out(
    subject: &Subject,
    triple: &Triple,
    plan: &Plan,
    limit: Option<Limit>,
) -> Result<Triple, Violation> {
    let mut sides = [Arc::clone(&triple.ours), Arc::clone(&triple.theirs)];
    let mut done = [Vec::new(), Vec::new()];
    for ((side, tree), done) in [Side::Ours, Side::Theirs].into_iter().zip(&mut sides).zip(&mut done) {
        for change in plan.copies(side) {
            *tree = apply(tree, change)?;
            done.push(edit_of(change));
        }
        let Some(limit) = limit else {
            for change in plan.changes(side) {
                *tree = apply(tree, change)?;
                done.push(edit_of(change));
            }
            continue;
        };
        for step in steps(plan.changes(side), limit) {
            for mv in step.moves {
                let taken = Change { path: mv.from, old: Some(mv.entry.clone()), new: None };
                let placed = Change { path: mv.to, old: None, new: Some(mv.entry) };
                *tree = apply(tree, &taken).and_then(|tree| apply(&tree, &placed))?;
                done.extend([edit_of(&taken), edit_of(&placed)]);
            }
            for change in &step.changes {
                *tree = apply(tree, change)?;
                done.push(edit_of(change));
            }
        }
    }
    Ok(commit(subject, triple, &plan.agreed, sides, done))
}

/// Carries out those parts of a plan whose number `chosen` accepts, and commits exactly these. Changes that
/// need a conflict copy which was not made are held back, as the loop does.
///
/// # Errors
/// [`Property::ChangesApply`], if a change does not find what it expects.
pub fn carry_out_part(
    subject: &Subject,
    triple: &Triple,
    planned: &Planned,
    chosen: impl Fn(usize) -> bool,
) -> Result<Triple, Violation> {
    let mut plan = planned.plan.clone();
    let mut sides = [Arc::clone(&triple.ours), Arc::clone(&triple.theirs)];
    let mut done = [Vec::new(), Vec::new()];
    let mut failed = Vec::new();
    let mut number = 0;
    let mut next = || {
        number += 1;
        chosen(number - 1)
    };
    for ((side, tree), done) in [Side::Ours, Side::Theirs].into_iter().zip(&mut sides).zip(&mut done) {
        for change in plan.copies(side) {
            if next() {
                *tree = apply(tree, change)?;
                done.push(edit_of(change));
            } else {
                failed.push(change.clone());
            }
        }
    }
    hold_back(&mut plan, &planned.settled, &failed);
    for ((side, tree), done) in [Side::Ours, Side::Theirs].into_iter().zip(&mut sides).zip(&mut done) {
        for change in plan.changes(side) {
            if next() {
                *tree = apply(tree, change)?;
                done.push(edit_of(change));
            }
        }
    }
    Ok(commit(subject, triple, &plan.agreed, sides, done))
}

fn commit(
    subject: &Subject,
    triple: &Triple,
    agreements: &[Agreement],
    sides: [Arc<Dir>; 2],
    done: [Vec<Edit>; 2],
) -> Triple {
    let [ours, theirs] = sides;
    let [done_ours, done_theirs] = done;
    let mut ancestor = Arc::clone(&triple.ancestor);
    if !agreements.is_empty() {
        ancestor = edit(
            &ancestor,
            agreements.iter().map(|a| Edit {
                path: a.path.clone(),
                entry: a.entry.clone(),
                shallow: a.shallow,
            }),
        );
    }
    let records = (subject.record)(&ancestor, &ours, &theirs, &[done_ours, done_theirs].concat());
    Triple { ancestor: edit(&ancestor, records), ours, theirs }
}

fn edit_of(change: &Change) -> Edit {
    let shallow = matches!((&change.old, &change.new), (Some(Entry::Dir(_)), Some(Entry::Dir(_))));
    Edit { path: change.path.clone(), entry: change.new.clone(), shallow }
}

/// Carries out one change, if the tree holds what it expects.
fn apply(tree: &Arc<Dir>, change: &Change) -> Result<Arc<Dir>, Violation> {
    let now = tree.get(&change.path);
    let new = match (&change.old, &change.new, now) {
        (Some(Entry::Dir(old)), Some(Entry::Dir(new)), Some(Entry::Dir(now))) if old.mode() == now.mode() => {
            Some(Entry::dir(new.mode(), now.children().to_vec()))
        }
        (old, new, now) if old.as_ref() == now => new.clone(),
        (old, ..) => {
            return Violation::new(
                Property::ChangesApply,
                format!("{} should hold {old:?} and holds {now:?}", change.path),
            );
        }
    };
    let components: Vec<&[u8]> = change.path.components().collect();
    match put(tree, &components, new) {
        Some(dir) => Ok(Arc::new(dir)),
        None => Violation::new(Property::ChangesApply, format!("{} has no directory above it", change.path)),
    }
}

fn put(dir: &Dir, path: &[&[u8]], new: Option<Entry>) -> Option<Dir> {
    let (first, rest) = path.split_first()?;
    let entry = if rest.is_empty() {
        new
    } else {
        Some(Entry::Dir(Arc::new(put(dir.child(first)?.as_dir()?, rest, new)?)))
    };
    let mut children = Vec::with_capacity(dir.children().len() + 1);
    children.extend(dir.children().iter().filter(|child| child.name.as_bytes() != *first).cloned());
    if let Some(entry) = entry {
        let at = children.partition_point(|child: &Child| child.name.as_bytes() < *first);
        children.insert(at, Child { name: Name::new(first).ok()?, entry });
    }
    Some(Dir::new(dir.mode(), children))
}

/// Returns what stands at `path`; the root is never asked for.
pub(crate) fn parent_dir(tree: &Arc<Dir>, path: &RelPath) -> Option<Arc<Dir>> {
    tree.dir_at(&path.parent()?)
}
