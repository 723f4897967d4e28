use std::sync::Arc;

use crate::notation::{path, tree};
use crate::tracking::Tracking;

/// Marks as `+path` and `-path`.
fn marks(text: &str) -> Tracking {
    Tracking::new(text.split_whitespace().map(|word| (path(&word[1..]), word.starts_with('+'))))
}

#[test]
fn what_takes_part_of_our_tree() {
    for (situation, tracked, ancestor, ours, theirs, expected) in [
        ("nothing is chosen", "", "", "a:1 d/b:2", "", ""),
        ("a file is", "+a", "", "a:1 b:2", "", "a:1"),
        ("a folder is", "+d", "", "a:1 d/b:2 d/e/c:3", "", "d/b:2 d/e/c:3"),
        ("a file far below is", "+d/e/c", "", "d/b:2 d/e/c:3 d/e/x:4", "", "d/e/c:3"),
        ("both agreed on it before", "", "a:1", "a:2 b:3", "a:1", "a:2"),
        ("they deleted it since", "", "a:1", "a:1 b:3", "", "a:1"),
        ("they offer another one", "", "", "a:2 b:3", "a:1", "a:2"),
        ("new beside what is known", "", "d/a:1", "d/a:1 d/b:2", "d/a:1", "d/a:1"),
        ("it was untracked", "-a", "a:1", "a:2 b:3", "a:1", ""),
        ("part of a tracked folder is not", "+d -d/x", "", "d/a:1 d/x:2", "", "d/a:1"),
        ("part of an untracked folder is", "-d +d/x", "d/a:1", "d/a:1 d/x:2", "d/a:1", "d/x:2"),
        ("folder with nothing of ours, gone there", "", "d/", "d/own:1", "", ""),
        ("empty folder, gone there", "", "d/", "d/", "", "d/"),
        ("folder where they have a file", "", "", "d/own:1", "d:2", "d/"),
        ("a tracked folder is empty", "+d", "", "d/", "", "d/"),
        ("everything is", "+", "", "a:1 d/b:2", "", "a:1 d/b:2"),
    ] {
        let chosen = marks(tracked).choose(&tree(ours), &tree(ancestor), &tree(theirs));
        assert_eq!(chosen, tree(expected), "{situation}");
    }
}

#[test]
fn tree_that_takes_part_as_a_whole_is_shared() {
    let ours = tree("d/a:1 d/b:2");
    assert!(Arc::ptr_eq(&marks("+d").choose(&ours, &tree(""), &tree("")), &ours));
}

#[test]
fn marks_are_said_once_and_the_nearest_decides() {
    let mut tracking = marks("+d/a -d/b");
    assert!(!tracking.mark(&path("d/a"), true), "tracked already");
    assert!(tracking.mark(&path("d"), true));
    assert_eq!(tracking, marks("+d"));
    assert!(!tracking.mark(&path("d/b"), true), "tracked with its folder");
    assert!(tracking.mark(&path("d/b"), false));
    assert_eq!(tracking, marks("+d -d/b"));
    assert_eq!((tracking.of(&path("d/b/c")), tracking.of(&path("d/x"))), (Some(false), Some(true)));
    assert!(tracking.mark(&path("d/b"), true));
    assert_eq!(tracking, marks("+d"));
    assert_eq!(tracking.of(&path("e")), None);
}

#[test]
fn untracked_paths_are_left_out_of_the_other_trees() {
    let tracking = marks("-d +d/x");
    assert_eq!(tracking.without_untracked(&tree("a:1 d/x:1 d/y:2")), tree("a:1 d/x:1"));
    let whole = tree("a:1");
    assert!(Arc::ptr_eq(&marks("+a").without_untracked(&whole), &whole));
}
