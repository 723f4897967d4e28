//! Changes that wait until what causes them has held still for a while.

use std::collections::{HashMap, HashSet};

use crate::digest::Digest;
use crate::entry::Entry;
use crate::path::RelPath;
use crate::plan::{Blocked, Change, Plan, Reason};

/// What stands at a path on our side and on theirs, and since when it was seen to.
type Since = (Option<Entry>, Option<Entry>, i64);

/// What is remembered of changes that wait. Only the clock of whoever waits counts, so wrong clocks delay nothing, and
/// a restart begins anew. It holds no more than the last plan did.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    since: HashMap<RelPath, Since>,
}

impl Patience {
    /// Takes out of a plan the changes and conflicts that have not been the same for `settle` and blocks their paths
    /// instead ([`Reason::Settling`]). Returns when the first of them is due. Times are in microseconds.
    ///
    /// It belongs between the reconcile and the rule for conflicts, which makes copies of what stands there. A deletion
    /// waits, too, for as long as a content that it takes away waits elsewhere: it is half of a move.
    pub fn hold(&mut self, plan: &mut Plan, settle: i64, now: i64) -> Option<i64> {
        let before = std::mem::take(&mut self.since);
        if settle <= 0 {
            return None;
        }
        let mut due: Option<i64> = None;
        let mut held: HashSet<RelPath> = HashSet::new();
        let mut missing: HashSet<Digest> = HashSet::new();
        let mut observe = |path: &RelPath, ours: Option<&Entry>, theirs: Option<&Entry>| {
            let known = before.get(path).filter(|(a, b, _)| (a.as_ref(), b.as_ref()) == (ours, theirs));
            let since = known.map_or(now, |(.., since)| *since);
            self.since.insert(path.clone(), (ours.cloned(), theirs.cloned(), since));
            let at = since.saturating_add(settle);
            if at > now {
                due = Some(due.map_or(at, |other| other.min(at)));
                held.insert(path.clone());
                for entry in [ours, theirs].into_iter().flatten() {
                    entry.each_content(&mut |digest| _ = missing.insert(digest));
                }
            }
        };
        for change in plan.ours.iter().filter(|change| !is_mode(change)) {
            observe(&change.path, change.old.as_ref(), change.new.as_ref());
        }
        for change in plan.theirs.iter().filter(|change| !is_mode(change)) {
            observe(&change.path, change.new.as_ref(), change.old.as_ref());
        }
        for conflict in &plan.conflicts {
            observe(&conflict.path, conflict.ours.as_ref(), conflict.theirs.as_ref());
        }
        if held.is_empty() {
            return None;
        }
        let waits = |change: &Change| {
            (held.contains(&change.path) && !is_mode(change))
                || (change.new.is_none() && change.old.as_ref().is_some_and(|old| old.holds_any(&missing)))
        };
        let mut blocked = Vec::new();
        let mut block =
            |path: &RelPath| blocked.push(Blocked { path: path.clone(), reason: Reason::Settling });
        for changes in [&mut plan.ours, &mut plan.theirs] {
            changes.retain(|change| {
                let waits = waits(change);
                if waits {
                    block(&change.path);
                }
                !waits
            });
        }
        plan.conflicts.retain(|conflict| {
            let waits = held.contains(&conflict.path);
            if waits {
                block(&conflict.path);
            }
            !waits
        });
        plan.blocked.extend(blocked);
        due
    }
}

/// Tells whether only permission bits of a directory change, which nobody writes bit by bit. Both sides may have such a
/// change at one path.
fn is_mode(change: &Change) -> bool {
    matches!((&change.old, &change.new), (Some(Entry::Dir(_)), Some(Entry::Dir(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::{plan as shown, tree};
    use crate::policy::{ConflictRule, Deletion, Flow, Policy};
    use crate::reconcile::reconcile;

    /// Looks at each of the states, which are `ancestor | ours | theirs`, at its second, and says what may be done then.
    #[track_caller]
    fn check(looks: &[(i64, &str, &str)]) {
        let policy =
            Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
        let mut patience = Patience::default();
        for (at, state, expected) in looks {
            let trees: Vec<_> = state.split('|').map(tree).collect();
            let mut plan = reconcile(&trees[0], &trees[1], &trees[2], &policy);
            let due = patience.hold(&mut plan, 2, *at);
            let waits = plan.blocked.iter().any(|blocked| blocked.reason == Reason::Settling);
            assert_eq!(due.is_some(), waits);
            assert!(due.is_none_or(|due| due > *at && due <= at + 2));
            assert_eq!(shown(&plan), *expected, "at {at}: {state}");
        }
    }

    #[test]
    fn change_waits_until_it_was_seen_unchanged_for_a_while() {
        check(&[
            (0, "a:1 | a:2 | a:1", "#a(settling)"),
            (1, "a:1 | a:3 | a:1", "#a(settling)"),
            (2, "a:1 | a:3 | a:1", "#a(settling)"),
            (3, "a:1 | a:3 | a:1", "t~a"),
        ]);
    }

    #[test]
    fn what_holds_still_does_not_wait_for_what_does_not() {
        check(&[
            (0, " | a:1 b:1 | ", "#a(settling) #b(settling)"),
            (2, " | a:1 b:2 | ", "t+a #b(settling)"),
            (4, "a:1 | a:1 b:2 | a:1", "t+b"),
        ]);
    }

    #[test]
    fn changes_of_the_other_side_and_deletions_and_conflicts_wait_as_well() {
        check(&[
            (0, "a:1 b:1 | a:1 | a:2 b:1", "#a(settling) #b(settling)"),
            (2, "a:1 b:1 | a:1 | a:2 b:1", "o~a t-b"),
        ]);
        check(&[(0, "a:1 | a:2 | a:3", "#a(settling)"), (2, "a:1 | a:2 | a:3", "!a")]);
    }

    #[test]
    fn directory_waits_as_a_whole() {
        check(&[
            (0, " | d/a:1 | ", "#d(settling)"),
            (2, " | d/a:1 d/b:1 | ", "#d(settling)"),
            (4, " | d/a:1 d/b:1 | ", "t+d"),
        ]);
    }

    #[test]
    fn deletion_waits_for_the_other_half_of_its_move() {
        check(&[
            (0, "a:1 | | a:1", "#a(settling)"),
            // The same content turns up at another place while the deletion would be due.
            (2, "a:1 | b:1 | a:1", "#a(settling) #b(settling)"),
            (4, "a:1 | b:1 | a:1", "t-a t+b"),
        ]);
    }

    #[test]
    fn permission_bits_of_directories_do_not_wait() {
        check(&[(0, "d/!755 d/a:1 | d/!775 d/a:1 | d/!757 d/a:1", "omd tmd")]);
    }

    #[test]
    fn nothing_waits_without_a_time_to_wait() {
        let mut patience = Patience::default();
        let policy =
            Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
        let mut plan = reconcile(&tree(""), &tree("a:1"), &tree(""), &policy);
        assert_eq!(patience.hold(&mut plan, 0, 0), None);
        assert_eq!(shown(&plan), "t+a");
    }
}
