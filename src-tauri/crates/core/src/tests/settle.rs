use crate::notation::{change, changes, path, plan, tree};
use crate::plan::{Conflict, Plan};
use crate::policy::{ConflictRule, Deletion, Flow, Policy, Side};
use crate::reconcile::reconcile;
use crate::settle::{Authors, hold_back, settle};

fn settled(rule: ConflictRule, ancestor: &str, ours: &str, theirs: &str) -> Plan {
    settled_with(rule, ancestor, ours, theirs).0
}

fn settled_with(rule: ConflictRule, ancestor: &str, ours: &str, theirs: &str) -> (Plan, Vec<Conflict>) {
    let policy = Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: rule };
    let (ours, theirs) = (tree(ours), tree(theirs));
    let mut plan = reconcile(&tree(ancestor), &ours, &theirs, &policy);
    let authors = Authors { ours: "one".to_owned(), theirs: "two".to_owned() };
    let settled = settle(&mut plan, rule, &ours, &theirs, &mut |_| authors.clone());
    (plan, settled)
}

#[track_caller]
fn check(rule: ConflictRule, cases: &[(&str, &str, &str, &str)]) {
    for (ancestor, ours, theirs, expected) in cases {
        let made = plan(&settled(rule, ancestor, ours, theirs));
        let expected = expected.replace("COPY", "conflict-19700101T000001Z");
        assert_eq!(made, expected, "[{ancestor}] [{ours}] [{theirs}]");
    }
}

#[test]
fn keep_both_keeps_the_loser_beside_the_winner_on_both_sides() {
    check(
        ConflictRule::KeepBoth,
        &[
            ("a.t:1", "a.t:2@2", "a.t:3@1", "co+a.COPY-two.t ct+a.COPY-two.t t~a.t"),
            ("a.t:1", "a.t:2@1", "a.t:3@2", "co+a.COPY-one.t ct+a.COPY-one.t o~a.t"),
            ("a:1", "a/b:2", "a:3@1", "co+a.COPY-two ct+a.COPY-two t~a"),
            ("d/a:1", "d/a:2@2", "d/a:3@1", "co+d/a.COPY-two ct+d/a.COPY-two t~d/a"),
            (
                "a:1",
                "a:2@1",
                "a>x",
                "co+a.conflict-19700101T000000Z-two ct+a.conflict-19700101T000000Z-two t~a",
            ),
        ],
    );
}

#[test]
fn copy_of_an_interrupted_cycle_is_used_again() {
    let there = "a.t:2@2 a.conflict-19700101T000001Z-two.t:3@1";
    check(
        ConflictRule::KeepBoth,
        &[
            ("a.t:1", there, "a.t:3@1", "ct+a.COPY-two.t t~a.t"),
            ("a.t:1", there, "a.t:3@1 a.conflict-19700101T000001Z-two.t:3@1", "t~a.t =a.COPY-two.t"),
        ],
    );
}

#[test]
fn other_content_under_the_name_of_the_copy_is_left_alone() {
    let made = settled(ConflictRule::KeepBoth, "a:1", "a:2@2 a.conflict-19700101T000001Z-two:9", "a:3@1");
    assert_eq!(made.copies_ours.len(), 1);
    assert_ne!(made.copies_ours[0].path, path("a.conflict-19700101T000001Z-two"));
    assert_eq!(made.copies_ours, made.copies_theirs);
    assert_eq!(changes(&made.theirs), "+a.conflict-19700101T000001Z-two ~a");
}

#[test]
fn other_rules_overwrite_or_wait() {
    check(ConflictRule::Newest, &[("a:1", "a:2@2", "a:3@1", "t~a"), ("a:1", "a:2@1", "a:3@2", "o~a")]);
    check(
        ConflictRule::Prefer(Side::Theirs),
        &[
            ("a:1", "a:2@2", "a:3@1", "o~a"),
            ("a/b:1", "a/b:2", "a:1", "o~a"),
            ("", "a:1", "a/b?", "o~a #a/b(unreadable)"),
        ],
    );
    check(ConflictRule::Refuse, &[("a:1", "a:2", "a:3", "!a")]);
    check(ConflictRule::Prefer(Side::Ours), &[("", "a:1", "a/b?", "!a")]);
}

#[test]
fn name_stays_with_its_content_while_the_copy_is_missing() {
    let (mut plan, settled) = settled_with(
        ConflictRule::KeepBoth,
        "a:1 b:1 c:3 d/a:1",
        "a:2@2 b:2 c:4 d/a:2@2",
        "a:3@1 b:1 c:3 d/a:3@1",
    );
    let failed = vec![plan.copies_theirs[0].clone()];
    assert_eq!(change(&failed[0]), "+a.conflict-19700101T000001Z-two");
    let waiting = hold_back(&mut plan, &settled, &failed);
    assert_eq!(waiting.iter().map(|held| change(&held.change)).collect::<Vec<_>>(), ["~a"]);
    assert_eq!(waiting[0].copy, failed[0].path);
    // An edit of the same content that nobody disputes goes on, and so do other conflicts.
    assert_eq!(changes(&plan.theirs), "~b ~c ~d/a");
}
