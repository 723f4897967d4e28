use crate::notation::tree;
use crate::policy::{ConflictRule, Deletion, Flow, Guard, Policy};
use crate::reconcile::reconcile;
use crate::safety::{Halt, Trees, approve};

const DEFAULT: Guard = Guard { percent: Some(25), count: Some(500) };
const OFF: Guard = Guard { percent: None, count: None };

/// Returns the code of the halt, with the numbers of deletions.
fn held(guard: &Guard, ancestor: &str, ours: &str, theirs: &str) -> String {
    let (ancestor, ours, theirs) = (tree(ancestor), tree(ours), tree(theirs));
    let policy = Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
    let plan = reconcile(&ancestor, &ours, &theirs, &policy);
    let id = plan.id();
    let trees = Trees { ancestor: &ancestor, ours: &ours, theirs: &theirs };
    let Err(held) = approve(plan, trees, guard, None) else { return String::new() };
    let (halt, plan) = *held;
    assert!(approve(plan, trees, guard, Some(id)).is_ok(), "what a person approved passes");
    match halt {
        Halt::TooManyDeletions { deleting, of, .. } => format!("{} {deleting}/{of}", halt.code()),
        _ => halt.code().to_owned(),
    }
}

fn files(numbers: std::ops::Range<usize>, prefix: &str) -> String {
    numbers.map(|n| format!("{prefix}{n}:{n} ")).collect()
}

#[test]
fn share_of_deletions_is_guarded() {
    let all = files(0..8, "f");
    for (left, expected) in [
        (files(0..7, "f"), ""),
        (files(0..6, "f"), ""),
        (files(0..5, "f"), "too-many-deletions 3/8"),
        (files(0..1, "f"), "too-many-deletions 7/8"),
        (String::new(), "root-emptied"),
    ] {
        assert_eq!(held(&DEFAULT, &all, &left, &all), expected, "{left}");
        assert_eq!(held(&DEFAULT, &all, &all, &left), expected, "{left}");
    }
}

#[test]
fn number_of_deletions_is_guarded() {
    let all = files(0..40, "f");
    let guard = Guard { percent: None, count: Some(3) };
    assert_eq!(held(&guard, &all, &files(0..37, "f"), &all), "");
    assert_eq!(held(&guard, &all, &files(0..36, "f"), &all), "too-many-deletions 4/40");
    assert_eq!(held(&OFF, &all, &files(0..1, "f"), &all), "");
    assert_eq!(held(&OFF, &all, "", &all), "root-emptied");
}

#[test]
fn single_deletion_is_no_batch() {
    assert_eq!(held(&DEFAULT, "a:1 b:2", "b:2", "a:1 b:2"), "");
    assert_eq!(held(&DEFAULT, "a:1 b:2 c:3", "c:3", "a:1 b:2 c:3"), "too-many-deletions 2/3");
}

#[test]
fn renames_are_no_deletions() {
    for (ancestor, ours) in [
        (files(0..8, "f"), files(0..8, "g")),
        (files(0..8, "d/f"), files(0..8, "e/f")),
        (files(0..8, "d/f"), files(0..8, "f")),
    ] {
        assert_eq!(held(&DEFAULT, &ancestor, &ours, &ancestor), "");
    }
    // Two of one content go, one comes: that is one rename and one deletion among others.
    assert_eq!(held(&DEFAULT, "a:1 b:1 c:2", "d:1", "a:1 b:1 c:2"), "too-many-deletions 2/3");
}

#[test]
fn folder_that_gives_way_to_a_file_counts_with_what_it_holds() {
    let all = files(0..8, "d/f");
    assert_eq!(held(&DEFAULT, &all, "d:x", &all), "too-many-deletions 8/9");
}

#[test]
fn empty_root_that_deletes_nothing_is_no_halt() {
    assert_eq!(held(&DEFAULT, "", "", "a:1"), "");
    assert_eq!(held(&DEFAULT, "a:1", "", ""), "");
    assert_eq!(held(&DEFAULT, "a:1", "", "a:2"), "");
}
