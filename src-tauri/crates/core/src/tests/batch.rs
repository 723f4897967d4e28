use crate::batch::{Limit, Step, steps};
use crate::notation::{change, tree};
use crate::plan::Change;
use crate::policy::{ConflictRule, Deletion, Flow, Policy};
use crate::reconcile::reconcile;

/// What changes at their side when ours goes from one tree to another.
fn planned(from: &str, to: &str) -> Vec<Change> {
    let policy = Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
    reconcile(&tree(from), &tree(to), &tree(from), &policy).theirs
}

fn print(steps: &[Step]) -> String {
    let step = |step: &Step| {
        let moves = step.moves.iter().map(|mv| format!("{}>{}", mv.from, mv.to));
        moves.chain(step.changes.iter().map(change)).collect::<Vec<_>>().join(" ")
    };
    steps.iter().map(step).collect::<Vec<_>>().join(" | ")
}

#[track_caller]
fn check(limit: Limit, cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        assert_eq!(print(&steps(&planned(from, to), limit)), *expected, "[{from}] [{to}]");
    }
}

const ALL: Limit = Limit { files: u64::MAX, bytes: u64::MAX };

#[test]
fn what_fits_is_one_step_with_deletions_last() {
    check(
        ALL,
        &[
            ("", "", ""),
            ("a:1 c:1", "b:2 c:2", "+b ~c -a"),
            ("a:1 b:1", "", "-b -a"),
            ("", "d/a:1 d/e/b:2", "+d"),
        ],
    );
}

#[test]
fn large_creations_are_split_folder_first() {
    let limit = Limit { files: 2, bytes: u64::MAX };
    check(
        limit,
        &[
            ("", "d/a:1 d/b:2 d/c:3", "+d +d/a | +d/b +d/c"),
            ("", "d/a:1 d/e/a:1 d/e/b:2 d/e/c:3", "+d +d/a | +d/e +d/e/a | +d/e/b +d/e/c"),
            ("d:1", "d/a:1 d/b:2 d/c:3", "~d +d/a | +d/b +d/c"),
            ("x:1 y:1 z:1", "d/a:2", "+d -z | -y -x"),
        ],
    );
    check(Limit { files: 9, bytes: 10 }, &[("", "a:1*6 b:2*6 c:3*60 d:4*4", "+a | +b | +c | +d")]);
}

#[test]
fn renames_come_first_and_into_folders_that_stand() {
    check(
        ALL,
        &[
            ("a:1*99999", "b:1*99999", "a>b"),
            ("d/a:1 d/b:2", "e/a:1 e/b:2", "d>e"),
            ("a:1*99999", "n/b:1*99999 n/c:2", "+n | a>n/b +n/c"),
            ("d/a:1*99999 d/b:2", "c:1*99999", "d/a>c -d"),
            ("a:1", "b:1", "+b -a"),
        ],
    );
}

#[test]
fn own_bits_that_lock_a_folder_come_last() {
    check(
        ALL,
        &[
            ("d/a:1 d/b:1", "d/!555 d/b:2", "~d/b -d/a md"),
            ("d/!555 d/a:1", "d/!755 d/a:2", "md ~d/a"),
            ("a:1*99999", "n/!555 n/b:1*99999", "+n | a>n/b mn"),
        ],
    );
    let limit = Limit { files: 1, bytes: u64::MAX };
    let made = steps(&planned("", "d/!555 d/a:1 d/b:2"), limit);
    assert_eq!(print(&made), "+d | +d/a | +d/b | md");
    assert_eq!(made[0].changes[0].new.as_ref().unwrap().as_dir().unwrap().mode().bits(), 0o755);
    assert_eq!(made[3].changes[0].new.as_ref().unwrap().as_dir().unwrap().mode().bits(), 0o555);
}

#[test]
fn many_single_renames_are_found_quickly() {
    let names = |dir: &str| (0..4000).map(|n| format!("{dir}/f{n}:{n}*99999 ")).collect::<String>();
    let (from, to) = (names("old") + "old/x:x", names("new") + "new/y:y");
    let made = steps(&planned(&from, &to), ALL);
    assert_eq!(made.iter().map(|step| step.moves.len()).sum::<usize>(), 4000);
}
