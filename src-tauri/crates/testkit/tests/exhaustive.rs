//! Every triple of small trees, under every policy.

use evenfold_core::{ConflictRule, Deletion, Flow, Policy, Side};
use evenfold_testkit::exhaustive::run::{check_depth_2, check_space};
use evenfold_testkit::exhaustive::space::{self, Space};
use evenfold_testkit::exhaustive::{Subject, TWO_WAY, policies};

/// The policies under which parts of plans are tried, too.
fn partial() -> Vec<Policy> {
    vec![
        TWO_WAY,
        Policy { deletion: Deletion::Ignore, ..TWO_WAY },
        Policy { flow: Flow::From(Side::Ours), conflict: ConflictRule::Prefer(Side::Ours), ..TWO_WAY },
    ]
}

#[track_caller]
fn check(space: &Space, triples: usize) {
    assert_eq!(space.len(), triples);
    let policies = policies();
    let checked = check_space(&Subject::CORE, space, &policies, &partial()).map_err(|failure| {
        format!("{:?}: {}\n{}", failure.violation.property, failure.violation.detail, failure.case)
    });
    assert_eq!(checked, Ok((triples * policies.len()) as u64));
}

#[test]
fn all_triples_of_depth_1_hold_every_property() {
    check(&space::shallow(), 15_625);
}

#[test]
fn all_triples_of_depth_2_below_one_name_hold_every_property() {
    check(&space::deep_below_one_name(), 24_389);
}

#[test]
fn unreadable_children_are_never_touched() {
    check(&space::with_unknown(), 10_000);
}

#[test]
fn unreadable_grandchildren_are_never_touched() {
    check(&space::with_unknown_below(), 14_896);
}

#[test]
fn times_and_permissions_travel_without_conflicts() {
    check(&space::with_metadata(), 3_375);
}

#[test]
fn a_sample_of_depth_2_holds_every_property() {
    let counts = check_depth_2(&Subject::CORE, 200, &|_, _| {}).unwrap();
    assert!(counts.checked > 1_000, "{counts:?}");
}
