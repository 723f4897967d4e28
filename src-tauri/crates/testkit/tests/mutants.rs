//! Tests the exhaustive check: every mistake that `build.rs` seeds into the core must be caught.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenfold_core::commit::common;
use evenfold_core::conflict::is_conflict_name;
use evenfold_core::edit::Edit;
use evenfold_testkit::exhaustive::space::{self, Space};
use evenfold_testkit::exhaustive::{Property, Subject, TWO_WAY, check_all, policies};

#[allow(warnings, clippy::all, missing_docs)]
mod mutants {
    use evenfold_testkit::exhaustive::Subject;

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

/// Finds the first case that catches `subject`. Most mistakes show in a sample already.
fn caught(subject: &Subject, spaces: &[Space]) -> Option<(Property, String)> {
    let partial = [TWO_WAY];
    for stride in [97, 1] {
        for space in spaces {
            for triple in (0..space.len()).step_by(stride).filter_map(|index| space.triple(index)) {
                if let Err(broken) = check_all(subject, &triple, &policies(), &partial) {
                    let (violation, policy) = *broken;
                    return Some((violation.property, format!("{}: {triple} under {policy:?}", space.name)));
                }
            }
        }
    }
    None
}

#[test]
fn every_seeded_mistake_is_caught() {
    let spaces = [
        space::with_metadata(),
        space::with_unknown(),
        space::shallow(),
        space::deep_below_one_name(),
        space::with_unknown_below(),
    ];
    let next = AtomicUsize::new(0);
    let survivors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, subject)) = mutants::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match caught(subject, &spaces) {
                        Some((property, case)) => println!("{name}: {property:?} in {case}"),
                        None => survivors.lock().unwrap().push(*name),
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner().unwrap();
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
    assert!(mutants::ALL.len() >= 12);
}

/// A record of what one side did alone looks to the next cycle like an act of the other side's user.
#[test]
fn recording_what_only_one_side_holds_is_caught() {
    let everything = Subject { record: |_, _, _, touched| touched.to_vec(), ..Subject::CORE };
    let everything_but_copies = Subject {
        record: |ancestor, ours, theirs, touched| {
            let is_copy = |edit: &Edit| edit.path.components().last().is_some_and(is_conflict_name);
            let (copies, mut others): (Vec<Edit>, Vec<Edit>) = touched.iter().cloned().partition(is_copy);
            others.extend(common(ancestor, ours, theirs, &copies));
            others
        },
        ..Subject::CORE
    };
    let spaces = [space::deep_below_one_name(), space::with_metadata()];
    for subject in [everything, everything_but_copies] {
        let (property, case) = caught(&subject, &spaces).unwrap();
        println!("{property:?} in {case}");
    }
}
