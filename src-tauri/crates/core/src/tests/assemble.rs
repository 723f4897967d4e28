use std::collections::HashSet;

use crate::apply::Batch;
use crate::batch::{Limit, assemble, steps};
use crate::notation::{path, tree};
use crate::policy::{ConflictRule, Deletion, Flow, Policy};
use crate::reconcile::reconcile;
use crate::settle::{Authors, settle};

/// Assembles what `supplier` sends to `receiver` where both last agreed on `ancestor`.
fn assembled(ancestor: &str, supplier: &str, receiver: &str, unstable: &[&str]) -> Batch {
    let policy = Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
    let (supplier, receiver) = (tree(supplier), tree(receiver));
    let mut plan = reconcile(&tree(ancestor), &supplier, &receiver, &policy);
    let authors = Authors { ours: "one".to_owned(), theirs: "two".to_owned() };
    settle(&mut plan, policy.conflict, &supplier, &receiver, &mut |_| authors.clone());
    let changes = [plan.copies_theirs, plan.theirs].concat();
    let unstable: HashSet<_> = unstable.iter().map(|at| path(at)).collect();
    let mut steps = steps(&changes, Limit { files: u64::MAX, bytes: u64::MAX });
    assemble(7, steps.pop().unwrap(), &supplier, &receiver, &unstable)
}

fn print(batch: &Batch) -> String {
    let items = batch.items.iter().map(|item| format!("<{}", item.path));
    let copies = batch.copies.iter().map(|copy| format!("={}", copy.path));
    let bases = batch.bases.iter().map(|basis| format!("~{}:{}", basis.item, basis.path));
    items.chain(copies).chain(bases).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(cases: &[(&str, &str, &str, &[&str], &str)]) {
    for (ancestor, supplier, receiver, unstable, expected) in cases {
        let batch = assembled(ancestor, supplier, receiver, unstable);
        assert_eq!(print(&batch), *expected, "[{ancestor}] [{supplier}] [{receiver}]");
        assert_eq!(batch.id, 7);
    }
}

#[test]
fn each_content_is_sent_once_from_where_the_supplier_holds_it() {
    check(&[
        ("", "a:1", "", &[], "<a"),
        ("", "a:1 b:1 d/c:1", "", &[], "<a"),
        ("", "a>x d/", "", &[], ""),
        ("a:1@1", "a:1@2", "a:1@1", &[], ""),
    ]);
}

#[test]
fn content_that_the_receiver_holds_is_copied_there() {
    let same = "x:1*300000";
    check(&[
        (same, "x:1*300000 y:1*300000", same, &[], "=x"),
        ("d/x:1*300000", "d/x:1*300000 y:1*300000", "d/x:1*300000", &["d/x"], "<y"),
        ("d/x:1*300000", "d/x:1*300000 y:1*300000", "d/x:1*300000", &["d"], "<y"),
        // A handful of small files is sent: looking for them costs more.
        ("x:1", "x:1 y:1", "x:1", &[], "<y"),
    ]);
}

#[test]
fn older_version_of_a_large_file_is_its_basis() {
    check(&[
        ("a:1*2000000", "a:2*2000000", "a:1*2000000", &[], "<a ~0:a"),
        ("a:1*100", "a:2*2000000", "a:1*100", &[], "<a"),
        ("a:1*2000000", "a:2*1000", "a:1*2000000", &[], "<a"),
        ("a:1*9 b:3*2000000", "a:2*9 b:4*2000000", "a:1*9 b:3*2000000", &[], "<a <b ~1:b"),
    ]);
}

#[test]
fn conflict_copy_is_supplied_from_where_the_loser_stands() {
    // Ours is older and loses: their side gets our content under a name that we do not hold yet.
    let batch = assembled("d/a:1", "d/a:2@1", "d/a:3@2", &[]);
    assert_eq!(print(&batch), "<d/a");
    assert_eq!(batch.changes.len(), 1);
}
