use std::sync::Arc;

use crate::notation::{plan, tree};
use crate::policy::{ConflictRule, Deletion, Flow, Policy};
use crate::reconcile::reconcile;
use crate::select::filter;

#[test]
fn left_out_paths_are_gone_with_everything_below() {
    for (all, left_out, expected) in [
        ("a:1 b:2", "b", "a:1"),
        ("d/a:1 d/b:2", "d", ""),
        ("d/a:1 d/b:2", "d/b", "d/a:1"),
        ("d/a:1", "d/a", "d/"),
        ("a? b:1", "a", "b:1"),
        ("a:1", "x", "a:1"),
    ] {
        let kept = filter(&tree(all), &|path, _| path.as_bytes() != left_out.as_bytes());
        assert_eq!(kept, tree(expected), "[{all}] without {left_out}");
    }
}

#[test]
fn untouched_subtrees_are_shared() {
    let all = tree("d/a:1 e/b:2");
    let kept = filter(&all, &|path, _| path.as_bytes() != b"e/b");
    assert!(Arc::ptr_eq(
        kept.child(b"d").unwrap().as_dir().unwrap(),
        all.child(b"d").unwrap().as_dir().unwrap()
    ));
    assert!(Arc::ptr_eq(&filter(&all, &|_, _| true), &all));
}

#[test]
fn directories_are_asked_as_such() {
    let kept = filter(&tree("d/a:1 f:1"), &|_, is_dir| is_dir);
    assert_eq!(kept, tree("d/"));
}

#[test]
fn changed_rule_deletes_nothing() {
    let both = tree("a:1 secret:2");
    let kept = filter(&both, &|path, _| path.as_bytes() != b"secret");
    let policy = Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
    assert_eq!(plan(&reconcile(&kept, &kept, &kept, &policy)), "");
}
