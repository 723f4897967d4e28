use crate::notation::{plan, tree};
use crate::policy::{ConflictRule, Deletion, Flow, Policy, Side};
use crate::reconcile::reconcile;

const TWO_WAY: Policy =
    Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
const KEEPING: Policy = Policy { deletion: Deletion::Ignore, ..TWO_WAY };
const MIRROR: Policy = Policy { flow: Flow::From(Side::Ours), ..TWO_WAY };
const FORCED: Policy = Policy { conflict: ConflictRule::Prefer(Side::Ours), ..MIRROR };
const NEWEST: Policy = Policy { conflict: ConflictRule::Newest, ..MIRROR };
const COMPARE: Policy = Policy { flow: Flow::None, ..TWO_WAY };

/// Ancestor, ours, theirs, the expected plan; and the same with the sides exchanged gives the exchanged plan.
#[track_caller]
fn check(policy: &Policy, cases: &[(&str, &str, &str, &str)]) {
    for (ancestor, ours, theirs, expected) in cases {
        let made = reconcile(&tree(ancestor), &tree(ours), &tree(theirs), policy);
        assert_eq!(plan(&made), *expected, "[{ancestor}] [{ours}] [{theirs}]");
    }
}

#[test]
fn two_way_carries_each_change_to_the_other_side() {
    check(
        &TWO_WAY,
        &[
            ("", "", "", ""),
            ("a:1", "a:1", "a:1", ""),
            ("", "a:1", "", "t+a"),
            ("", "", "d/a:1 d/b:2", "o+d"),
            ("a:1", "a:2", "a:1", "t~a"),
            ("a:1", "", "a:1", "t-a"),
            ("d/a:1", "", "d/a:1", "t-d"),
            ("a:1", "a>b", "a:1", "t~a"),
            ("a:1", "a/b:1", "a:1", "t~a"),
            ("a/b:1", "a:1", "a/b:1", "t~a"),
            ("a:1 b:1", "b:1", "a:1", "o-b t-a"),
            ("", "d/a:1", "d/b:2", "o+d/b t+d/a =d"),
        ],
    );
}

#[test]
fn what_both_did_alike_is_only_recorded() {
    check(
        &TWO_WAY,
        &[
            ("", "a:1", "a:1", "=a"),
            ("a:1", "", "", "=a"),
            ("a:1", "a:2", "a:2", "=a"),
            ("d/a:1", "d/", "d/", "=d"),
            ("a:1", "a>x", "a>x", "=a"),
        ],
    );
}

#[test]
fn different_edits_conflict_and_nothing_below_moves() {
    check(
        &TWO_WAY,
        &[
            ("a:1", "a:2", "a:3", "!a"),
            ("", "a:2", "a:3", "!a"),
            ("", "a>x", "a>y", "!a"),
            ("a:1", "a/b:2", "a:3", "!a"),
            ("a/b:1 a/c:1", "a/b:2 a/c:1", "a:3", "!a"),
        ],
    );
}

#[test]
fn edits_and_additions_survive_a_deletion() {
    check(
        &TWO_WAY,
        &[
            ("a:1", "", "a:2", "o+a"),
            ("d/a:1 d/b:1", "", "d/a:2 d/b:1", "o+d t-d/b"),
            ("d/a:1", "", "d/a:1 d/n:1", "o+d t-d/a"),
            ("d/a:1 d/e/x:1", "", "d/a:1 d/e/x:2", "o+d t-d/a"),
            ("d/a:1", "", "d/!700 d/a:1", "t-d"),
            ("d/a:1 d/b:1", "", "d/a:1", "t-d"),
            ("d/a:1", "", "d/a:1 d/e/", "o+d t-d/a"),
        ],
    );
}

#[test]
fn ignored_deletions_stay_where_they_are() {
    check(
        &KEEPING,
        &[
            ("a:1", "", "a:1", "#a(deletion-ignored)"),
            ("d/a:1", "d/", "d/a:1", "#d/a(deletion-ignored)"),
            ("a:1", "", "a:2", "o+a"),
            ("a:1", "", "", "=a"),
        ],
    );
}

#[test]
fn unknown_is_neither_present_nor_absent() {
    check(
        &TWO_WAY,
        &[
            ("a:1", "a?", "a:1", "#a(unreadable)"),
            ("a:1", "a?", "", "#a(unreadable)"),
            ("", "a?", "", "#a(unreadable)"),
            ("a:1", "a?", "a?", "#a(unreadable)"),
            ("d/a:1", "", "d/a?", "#d/a(unreadable)"),
            ("d/a:1 d/b:1", "", "d/a? d/b:1", "t-d/b #d/a(unreadable)"),
            ("", "d/a? d/b:1", "", "t+d #d/a(unreadable)"),
            ("", "d/a? d/b:1", "d/a? d/b:1", "=d =d/b #d/a(unreadable)"),
            ("d:1", "d:1", "d/a? d/b:1", "o~d #d/a(unreadable)"),
            ("d/a:1", "d:1", "d/a?", "!d"),
        ],
    );
    check(
        &FORCED,
        &[
            ("d/a:1", "d:1", "d/a? d/b:2 d/c?", "#d(unreadable)"),
            ("", "", "d/a? d/b:2", "t-d/b #d/a(unreadable)"),
        ],
    );
}

#[test]
fn times_and_permissions_merge() {
    check(
        &TWO_WAY,
        &[
            ("a:1@1", "a:1@2", "a:1@1", "t~a"),
            ("a:1@1", "a:1@2", "a:1@3", "o~a"),
            ("a:1@1", "a:1@1!600", "a:1@2", "o~a t~a"),
            ("", "a:1@2", "a:1@3", "o~a"),
            ("d/", "d/!700", "d/", "tmd"),
            ("d/", "d/!700", "d/!555", "omd tmd"),
            ("d/!700", "d/", "d/", "=d"),
            ("", "d/!700", "d/", "tmd"),
        ],
    );
}

#[test]
fn one_way_changes_only_the_target() {
    check(
        &MIRROR,
        &[
            ("", "a:1", "", "t+a"),
            ("a:1", "a:2", "a:1", "t~a"),
            ("a:1", "", "a:1", "t-a"),
            ("a:1", "a:1", "a:2", "#a(destination-changed)"),
            ("a:1", "a:1", "", "#a(destination-changed)"),
            ("a:1", "a:2", "", "t+a"),
            ("", "", "a:1", "#a(destination-extra)"),
            ("a:1", "", "a:2", "#a(destination-changed)"),
            ("a:1@1", "a:1@1", "a:1@2", "t~a"),
            ("d/a:1 d/b:1", "", "d/a:2 d/b:1", "t-d/b #d/a(destination-changed)"),
            ("d/a:1", "", "d/a:1 d/n:1", "t-d/a #d/n(destination-extra)"),
            ("d/a:1", "", "d/!700 d/a:1", "t-d"),
            ("d/a:1", "", "d/", "t-d"),
            ("d/", "d/", "d/!700", "tmd"),
        ],
    );
    check(
        &Policy { deletion: Deletion::Ignore, ..MIRROR },
        &[("a:1", "", "a:1", "#a(deletion-ignored)"), ("", "", "a:1", "#a(destination-extra)")],
    );
}

#[test]
fn target_gives_way_only_if_told_so() {
    check(
        &FORCED,
        &[
            ("a:1", "a:1", "a:2", "t~a"),
            ("a:1", "a:1", "", "t+a"),
            ("", "", "a:1", "t-a"),
            ("a:1", "", "a:2", "t-a"),
            ("", "a:1", "a/b:1", "t~a"),
        ],
    );
    check(&NEWEST, &[("a:1", "a:1@5", "a:2@4", "t~a"), ("a:1", "a:1@4", "a:2@5", "#a(destination-changed)")]);
}

#[test]
fn comparison_moves_nothing() {
    check(
        &COMPARE,
        &[
            ("", "a:1", "", "#a(compare-only)"),
            ("a:1", "", "a:1", "#a(compare-only)"),
            ("", "a:1", "a:1", "=a"),
            ("", "d/a:1", "d/b:1", "=d #d/a(compare-only) #d/b(compare-only)"),
            ("d/", "d/!700", "d/", "#d(compare-only)"),
        ],
    );
}

#[test]
fn reserved_folder_in_a_peers_tree_takes_no_part() {
    use crate::entry::{Child, Dir, Entry};
    use crate::path::{Name, RESERVED};
    let own = Child { name: Name::new(RESERVED).unwrap(), entry: Entry::Dir(tree("staging/x:1")) };
    let theirs = std::sync::Arc::new(Dir::new(tree("").mode(), vec![own]));
    for policy in [TWO_WAY, FORCED, COMPARE] {
        assert_eq!(plan(&reconcile(&tree(""), &tree(""), &theirs, &policy)), "");
    }
}
