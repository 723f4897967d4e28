use crate::notation::{path, plan as printed, tree};
use crate::plan::Plan;
use crate::policy::{ConflictRule, Deletion, Flow, Policy};
use crate::reconcile::reconcile;
use crate::scope::{Direction, Scope, forced, moved_on, narrow, spare};

const BY_HAND: Policy =
    Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::Refuse };

fn plan(ancestor: &str, ours: &str, theirs: &str, scope: &Scope) -> Plan {
    let [a, o, t] = [ancestor, ours, theirs].map(|text| scope.within(&tree(text)));
    let mut plan = reconcile(&a, &o, &t, &BY_HAND);
    spare(&mut plan, &tree(ours), &tree(theirs));
    plan
}

fn scope(direction: Direction, paths: &[&str]) -> Scope {
    Scope { direction, paths: paths.iter().map(|text| path(text)).collect(), force: false }
}

#[test]
fn one_direction_of_some_paths() {
    for (situation, direction, paths, ancestor, ours, theirs, expected) in [
        ("push leaves out what comes", Direction::Push, &[][..], "a:1 b:1", "a:2 b:1", "a:1 b:2", "t~a"),
        ("pull leaves out what goes", Direction::Pull, &[], "a:1 b:1", "a:2 b:1", "a:1 b:2", "o~b"),
        ("both", Direction::Both, &[], "a:1 b:1", "a:2 b:1", "a:1 b:2", "o~b t~a"),
        ("conflicts stay visible", Direction::Pull, &[], "a:1", "a:2", "a:3", "!a"),
        ("only one file", Direction::Push, &["a"], "a:1 b:1", "a:2 b:2", "a:1 b:1", "t~a"),
        ("a file in a new folder", Direction::Push, &["d/a"], "", "d/a:1 d/b:2", "", "t+d"),
        ("a removal", Direction::Push, &["a"], "a:1 b:1", "b:2", "a:1 b:1", "t-a"),
        (
            "one file of a folder that went there",
            Direction::Pull,
            &["d/a"],
            "d/a:1 d/b:1",
            "d/a:1 d/b:1",
            "",
            "o-d/a",
        ),
        (
            "one of a folder that went here",
            Direction::Push,
            &["d/a"],
            "d/a:1 d/b:1",
            "",
            "d/a:1 d/b:1",
            "t-d/a",
        ),
    ] {
        let scope = scope(direction, paths);
        let narrowed = narrow(plan(ancestor, ours, theirs, &scope), direction);
        assert_eq!(printed(&narrowed), expected, "{situation}");
    }
    let scope = scope(Direction::Push, &["d/a"]);
    let change = plan("", "d/a:1 d/b:2", "", &scope).theirs.remove(0);
    assert_eq!(
        change.new.as_ref(),
        tree("d/a:1").get(&path("d")),
        "a chosen file travels without its siblings"
    );
}

#[test]
fn side_that_moved_on_is_told_from_one_that_did_not() {
    for (situation, first, ancestor, ours, theirs, expected) in [
        ("nothing happened there", false, "a:1", "a:2", "a:1", false),
        ("an edit there", false, "a:1 b:1", "a:2 b:1", "a:1 b:2", true),
        ("a deletion there", false, "a:1 b:1", "a:2 b:1", "a:1", true),
        ("a new file there", false, "a:1", "a:2", "a:1 b:2", true),
        ("both edited one", false, "a:1", "a:2", "a:3", true),
        ("they were never equal, and it has others", true, "", "a:2", "b:1", false),
        ("they were never equal, and it has another one", true, "", "a:2", "a:1", true),
        ("it was touched there", false, "a:1@1 b:1", "a:1@1 b:2", "a:1@9 b:1", false),
        ("both did the same", false, "a:1", "a:2", "a:2", false),
    ] {
        assert_eq!(moved_on(&plan(ancestor, ours, theirs, &Scope::whole()), first), expected, "{situation}");
    }
}

#[test]
fn forced_push_sends_all_again_and_lets_ours_win() {
    for (situation, ancestor, ours, theirs, expected) in [
        ("nothing changed", "a:1 d/b:2", "a:1 d/b:2", "a:1 d/b:2", "t~a t~d/b"),
        ("both edited it", "a:1", "a:2", "a:3", "t~a"),
        ("only they edited it", "a:1", "a:1", "a:3", "t~a"),
        ("only they deleted it", "a:1 b:1", "a:1 b:1", "b:1", "t+a t~b"),
        ("we deleted it", "a:1 b:1", "b:1", "a:1 b:1", "t-a t~b"),
        ("they have one that we never saw", "a:1", "a:1", "a:1 x:9", "t~a"),
        ("we deleted what they edited", "a:1", "", "a:2", ""),
        ("part of it cannot be looked at", "d/a:1", "d:2", "d/a? d/b:1", ""),
    ] {
        let (ours_tree, theirs_tree) = (tree(ours), tree(theirs));
        let plan = forced(plan(ancestor, ours, theirs, &Scope::whole()), &ours_tree, &theirs_tree);
        assert_eq!(printed(&Plan { blocked: Vec::new(), ..plan }), expected, "{situation}");
    }
}

#[test]
fn folder_that_holds_more_than_the_plan_knows_is_spared() {
    let seen = tree("d/a:1 d/e/b:2");
    let whole = tree("d/a:1 d/own:9 d/e/b:2");
    let mut plan = reconcile(&seen, &seen, &tree(""), &BY_HAND);
    spare(&mut plan, &whole, &tree(""));
    assert_eq!(printed(&plan), "o-d/a o-d/e");
    let mut plan = reconcile(&seen, &seen, &tree("d:5"), &BY_HAND);
    spare(&mut plan, &whole, &tree("d:5"));
    assert_eq!(printed(&plan), "#d(holds-untracked)");
}
