//! The deepest tree that a path can name: 2048 levels, with less than the stack of an ordinary thread.

use std::collections::HashSet;
use std::sync::Arc;

use crate::batch::{Limit, assemble, steps};
use crate::commit::agreed;
use crate::diff::compare;
use crate::edit::{Edit, edit};
use crate::entry::{Dir, Entry, ProblemKind};
use crate::notation::{path, tree};
use crate::policy::{ConflictRule, Deletion, Flow, Guard, Policy, Side};
use crate::reconcile::reconcile;
use crate::safety::{Trees, approve};
use crate::select::filter;
use crate::settle::{Authors, settle};

const LEVELS: usize = 2048;

/// Less than the 2 MiB of a thread, because others are on its stack, too.
const STACK: usize = 1536 << 10;

/// Nests `LEVELS - 1` directories, one in the other, around `leaves`.
fn nested(leaves: &str) -> Arc<Dir> {
    wrapped(tree(leaves), LEVELS - 1)
}

fn wrapped(mut dir: Arc<Dir>, levels: usize) -> Arc<Dir> {
    for _ in 0..levels {
        let name = crate::path::Name::new(b"d").unwrap();
        dir = Arc::new(Dir::new(dir.mode(), vec![crate::entry::Child { name, entry: Entry::Dir(dir) }]));
    }
    dir
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

fn whole_cycle(ancestor: &Arc<Dir>, ours: &Arc<Dir>, theirs: &Arc<Dir>, flow: Flow) {
    let policy = Policy { flow, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
    let mut plan = reconcile(ancestor, ours, theirs, &policy);
    let authors = Authors { ours: "one".to_owned(), theirs: "two".to_owned() };
    settle(&mut plan, policy.conflict, ours, theirs, &mut |_| authors.clone());
    let _ = plan.id();
    let trees = Trees { ancestor, ours, theirs };
    let _ = approve(plan.clone(), trees, &Guard { percent: Some(1), count: Some(1) }, None);
    // One folder each: some of them, because thousands take their time.
    for step in steps(&plan.theirs, Limit { files: 1, bytes: 1 }).into_iter().step_by(700) {
        let edits: Vec<Edit> = step
            .changes
            .iter()
            .map(|change| Edit { path: change.path.clone(), entry: change.new.clone(), shallow: false })
            .collect();
        let records = agreed(ancestor, ours, theirs, &[], &edits);
        drop(edit(ancestor, records));
        let _ = assemble(1, step, ours, theirs, &HashSet::new());
    }
    let _ = compare(Some(ancestor), ours, theirs, Side::Ours);
}

#[test]
fn deepest_trees_survive_every_walk() {
    on_a_small_stack(|| {
        let empty = tree("");
        let states = ["", "a:1", "a:2", "b:3*99999", "a?", "a:1 b?"]
            .map(|leaves| if leaves.is_empty() { empty.clone() } else { nested(leaves) });
        for ours in &states {
            for theirs in &states {
                for flow in [Flow::Both, Flow::From(Side::Ours), Flow::None] {
                    whole_cycle(&states[1], ours, theirs, flow);
                }
            }
            let _ = filter(ours, &|path, _| path.as_bytes().last() != Some(&b'a'));
            let _ = Entry::Dir(Arc::clone(ours)).without_unknown();
        }
    });
}

#[test]
fn renames_are_found_in_the_deepest_trees() {
    on_a_small_stack(|| {
        let old = nested("a:1*99999 b:2");
        let new = nested("c:1*99999 b:2");
        whole_cycle(&old, &new, &old, Flow::Both);
        whole_cycle(
            &edit(&old, [Edit { path: path("x"), entry: Some(Entry::Dir(old.clone())), shallow: false }]),
            &new,
            &old,
            Flow::Both,
        );
    });
}

#[test]
fn dropping_a_tree_needs_no_stack() {
    on_a_small_stack(|| drop(wrapped(tree("a:1"), 200_000)));
}

#[test]
fn peers_tree_deeper_than_any_path_is_blocked_not_walked() {
    on_a_small_stack(|| {
        let (ours, theirs) = (wrapped(tree("a:1"), 100_000), wrapped(tree("a:2"), 100_000));
        let policy =
            Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
        let plan = reconcile(&tree(""), &ours, &theirs, &policy);
        assert!(plan.moves_nothing());
        assert_eq!(plan.blocked.len(), 1);
        assert_eq!(plan.blocked[0].reason, crate::Reason::Problem(Side::Ours, ProblemKind::TooLong));
    });
}
