//! One triple, one policy, all properties of a whole cycle.

use std::sync::Arc;

use evenfold_core::batch::Limit;
use evenfold_core::plan::{Agreement, Blocked, Reason};
use evenfold_core::{Change, Conflict, ConflictRule, Dir, Entry, Flow, Plan, Policy, RelPath, Side};

use super::meaning::Meaning;
use super::partial::check_partial;
use super::world::{Planned, carry_out};
use super::{Property, Subject, Triple, Violation};

/// Steps of one file each, so that large creations are split and everything is ordered.
const SMALL_STEPS: Limit = Limit { files: 1, bytes: u64::MAX };

/// Checks one triple under all of `policies`, and parts of its plans under those that are in `partial`, too.
///
/// Rules for conflicts mostly lead to one and the same plan. What was checked for a plan under one rule is not
/// checked again under another, except that a second reconcile stays quiet.
///
/// # Errors
/// The first property that does not hold, and under which policy.
pub fn check_all(
    subject: &Subject,
    triple: &Triple,
    policies: &[Policy],
    partial: &[Policy],
) -> Result<(), Box<(Violation, Policy)>> {
    let mut checked: Vec<(Policy, Planned, Triple)> = Vec::new();
    for policy in policies {
        let blame = |violation| Box::new((violation, *policy));
        let planned = subject.plan(triple, policy);
        let like = checked.iter().find(|(p, like, _)| {
            (p.flow, p.deletion) == (policy.flow, policy.deletion)
                && like.plan == planned.plan
                && like.found() == planned.found()
        });
        if let Some((.., after)) = like {
            quiet(subject, after, policy).map_err(blame)?;
            continue;
        }
        let after = check_plan(subject, triple, policy, &planned, Some(SMALL_STEPS)).map_err(blame)?;
        if partial.contains(policy) {
            check_partial(subject, triple, policy, &after).map_err(blame)?;
        }
        checked.push((*policy, planned, after));
    }
    Ok(())
}

/// Checks one cycle of a triple under one policy; see [`Property`](super::Property) for what must hold.
///
/// # Errors
/// The first property that does not hold.
pub fn check(subject: &Subject, triple: &Triple, policy: &Policy) -> Result<Triple, Violation> {
    check_plan(subject, triple, policy, &subject.plan(triple, policy), None)
}

fn check_plan(
    subject: &Subject,
    triple: &Triple,
    policy: &Policy,
    planned: &Planned,
    limit: Option<Limit>,
) -> Result<Triple, Violation> {
    symmetric(subject, triple, policy, planned)?;
    untouched_sides(&planned.plan, policy)?;
    below_conflicts(planned.found())?;
    let after = carry_out(subject, triple, &planned.plan, limit)?;
    if !planned.found().conflicts.is_empty() {
        conflicts_stay(&planned.plan.conflicts, triple, &after)?;
    }
    Meaning { policy, settled: &planned.settled, before: triple, after: &after }.check()?;
    if triple.ours.has_unknown() || triple.theirs.has_unknown() {
        unknown_stays(triple, &after)?;
    }
    reasons(&planned.plan, &after)?;
    quiet(subject, &after, policy)?;
    Ok(after)
}

/// What is left after a cycle stays as it is, and keeps its reasons.
fn quiet(subject: &Subject, after: &Triple, policy: &Policy) -> Result<(), Violation> {
    let again = subject.plan(after, policy);
    if !again.plan.is_empty() {
        return Violation::new(
            Property::Idempotent,
            format!("again: {:?} after {after}", summary(&again.plan)),
        );
    }
    reasons(&again.plan, after)
}

/// What a plan does, on one line.
pub(crate) fn summary(plan: &Plan) -> String {
    let paths = |changes: &[Change]| {
        let one = |change: &Change| {
            let sign = match (&change.old, &change.new) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            format!("{sign}{}", change.path)
        };
        changes.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    format!(
        "copies [{}] [{}] ours [{}] theirs [{}] agreed {:?} conflicts {:?} blocked {:?}",
        paths(&plan.copies_ours),
        paths(&plan.copies_theirs),
        paths(&plan.ours),
        paths(&plan.theirs),
        plan.agreed.iter().map(|a| &a.path).collect::<Vec<_>>(),
        plan.conflicts.iter().map(|c| &c.path).collect::<Vec<_>>(),
        plan.blocked.iter().map(|b| (&b.path, b.reason.code())).collect::<Vec<_>>(),
    )
}

fn symmetric(
    subject: &Subject,
    triple: &Triple,
    policy: &Policy,
    planned: &Planned,
) -> Result<(), Violation> {
    let exchanged = Triple {
        ancestor: Arc::clone(&triple.ancestor),
        ours: Arc::clone(&triple.theirs),
        theirs: Arc::clone(&triple.ours),
    };
    let policy = Policy {
        flow: match policy.flow {
            Flow::From(side) => Flow::From(side.other()),
            flow => flow,
        },
        conflict: match policy.conflict {
            ConflictRule::Prefer(side) => ConflictRule::Prefer(side.other()),
            rule => rule,
        },
        ..*policy
    };
    let mut other = (subject.reconcile)(&exchanged.ancestor, &exchanged.ours, &exchanged.theirs, &policy);
    mirrored(planned.found(), &other, triple)?;
    if !other.conflicts.is_empty() {
        subject.settle_as(&mut other, &exchanged, &policy, ["two", "one"]);
        mirrored(&planned.plan, &other, triple)?;
    }
    Ok(())
}

fn mirrored(plan: &Plan, other: &Plan, triple: &Triple) -> Result<(), Violation> {
    let conflict = |(one, two): (&Conflict, &Conflict)| {
        (&one.path, &one.ancestor, &one.ours, &one.theirs)
            == (&two.path, &two.ancestor, &two.theirs, &two.ours)
    };
    let blocked = |(one, two): (&Blocked, &Blocked)| {
        // Where neither side can be read, our side's problem is named.
        let both = || {
            let mut trees = [&triple.ours, &triple.theirs].into_iter();
            trees.all(|tree| matches!(tree.get(&one.path), Some(Entry::Unknown(_))))
        };
        let same = match (&one.reason, &two.reason) {
            (Reason::Problem(one, _), Reason::Problem(two, _)) => *one == two.other() || both(),
            (one, two) => one == two,
        };
        one.path == two.path && same
    };
    let mirrored = plan.copies_ours == other.copies_theirs
        && plan.copies_theirs == other.copies_ours
        && plan.ours == other.theirs
        && plan.theirs == other.ours
        && plan.agreed == other.agreed
        && plan.conflicts.len() == other.conflicts.len()
        && plan.blocked.len() == other.blocked.len()
        && plan.conflicts.iter().zip(&other.conflicts).all(conflict)
        && plan.blocked.iter().zip(&other.blocked).all(blocked);
    if mirrored {
        return Ok(());
    }
    let detail = format!("{} but exchanged {}", summary(plan), summary(other));
    Violation::new(Property::Symmetric, detail)
}

fn untouched_sides(plan: &Plan, policy: &Policy) -> Result<(), Violation> {
    let untouched = match policy.flow {
        Flow::Both => return Ok(()),
        Flow::From(side) => vec![side],
        Flow::None => vec![Side::Ours, Side::Theirs],
    };
    if untouched.iter().any(|side| !plan.changes(*side).is_empty() || !plan.copies(*side).is_empty()) {
        return Violation::new(Property::SourceUntouched, summary(plan));
    }
    Ok(())
}

fn below_conflicts(plan: &Plan) -> Result<(), Violation> {
    let changed = plan.ours.iter().chain(&plan.theirs).map(|change| &change.path);
    let paths = changed.chain(plan.agreed.iter().map(|Agreement { path, .. }| path));
    for path in paths {
        if plan.conflicts.iter().any(|conflict| path.starts_with(&conflict.path)) {
            return Violation::new(Property::ConflictUntouched, format!("{path} in {}", summary(plan)));
        }
    }
    Ok(())
}

fn conflicts_stay(conflicts: &[Conflict], before: &Triple, after: &Triple) -> Result<(), Violation> {
    for conflict in conflicts {
        let path = &conflict.path;
        if before.ours.get(path) != after.ours.get(path) || before.theirs.get(path) != after.theirs.get(path)
        {
            return Violation::new(Property::ConflictUntouched, path);
        }
    }
    Ok(())
}

fn unknown_stays(before: &Triple, after: &Triple) -> Result<(), Violation> {
    let (o, t) = ((&before.ours, &after.ours), (&before.theirs, &after.theirs));
    for ((mine, mine_after), (other, other_after)) in [(o, t), (t, o)] {
        each_unknown(mine, &RelPath::root(), &mut |path| {
            if mine.get(path) != mine_after.get(path) || other.get(path) != other_after.get(path) {
                return Violation::new(Property::UnknownUntouched, path);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn each_unknown(
    dir: &Dir,
    path: &RelPath,
    visit: &mut dyn FnMut(&RelPath) -> Result<(), Violation>,
) -> Result<(), Violation> {
    for child in dir.children() {
        let below = path.join(&child.name);
        match &child.entry {
            Entry::Unknown(_) => visit(&below)?,
            Entry::Dir(inner) => each_unknown(inner, &below, visit)?,
            _ => {}
        }
    }
    Ok(())
}

/// Every path that differs after the cycle has exactly one conflict or reason, at it or above it; and each of
/// them stands where something differs or is unknown.
fn reasons(plan: &Plan, after: &Triple) -> Result<(), Violation> {
    let none = plan.conflicts.is_empty() && plan.blocked.is_empty();
    if none && after.ours == after.theirs && !after.ours.has_unknown() {
        return Ok(());
    }
    let conflicts = plan.conflicts.iter().map(|conflict| &conflict.path);
    let given: Vec<&RelPath> = conflicts.chain(plan.blocked.iter().map(|blocked| &blocked.path)).collect();
    for (at, path) in given.iter().enumerate() {
        let (o, t) = (after.ours.get(path), after.theirs.get(path));
        let void = o == t && !o.is_some_and(Entry::has_unknown);
        if void || given.iter().enumerate().any(|(other, p)| other != at && p == path) {
            return Violation::new(Property::ReasonTwice, format!("{path} in {}", summary(plan)));
        }
    }
    let reasons = Reasons { given, after };
    reasons.below(&RelPath::root(), Some(&after.ours), Some(&after.theirs), 0)
}

struct Reasons<'a> {
    given: Vec<&'a RelPath>,
    after: &'a Triple,
}

impl Reasons<'_> {
    fn below(
        &self,
        path: &RelPath,
        o: Option<&Arc<Dir>>,
        t: Option<&Arc<Dir>>,
        above: usize,
    ) -> Result<(), Violation> {
        let mut names: Vec<_> =
            [o, t].into_iter().flatten().flat_map(|dir| dir.children()).map(|child| &child.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let child = |dir: Option<&Arc<Dir>>| dir.and_then(|dir| dir.child(name.as_bytes())).cloned();
            self.at(&path.join(name), child(o), child(t), above)?;
        }
        Ok(())
    }

    fn at(&self, path: &RelPath, o: Option<Entry>, t: Option<Entry>, above: usize) -> Result<(), Violation> {
        if o == t && !o.as_ref().is_some_and(Entry::has_unknown) {
            return Ok(());
        }
        let here = self.given.iter().filter(|given| **given == path).count();
        if above + here > 1 {
            return Violation::new(Property::ReasonTwice, format!("{path} after {}", self.after));
        }
        match (&o, &t) {
            (Some(Entry::Dir(o)), Some(Entry::Dir(t))) => {
                if o.mode() != t.mode() && above + here == 0 {
                    return Violation::new(
                        Property::ReasonMissing,
                        format!("bits of {path} after {}", self.after),
                    );
                }
                // A reason at a directory that both sides have is about its own permission bits.
                self.below(path, Some(o), Some(t), above)
            }
            // A directory that one side has only for what is in it: that has the reasons.
            (Some(Entry::Dir(dir)), None) if above + here == 0 && !dir.children().is_empty() => {
                self.below(path, Some(dir), None, 0)
            }
            (None, Some(Entry::Dir(dir))) if above + here == 0 && !dir.children().is_empty() => {
                self.below(path, None, Some(dir), 0)
            }
            _ if above + here == 0 => {
                Violation::new(Property::ReasonMissing, format!("{path} after {}", self.after))
            }
            (o, t) => {
                let dir = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::as_dir).cloned();
                self.below(path, dir(o).as_ref(), dir(t).as_ref(), above + here)
            }
        }
    }
}
