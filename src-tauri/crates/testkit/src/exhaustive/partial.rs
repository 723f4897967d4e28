//! What remains true when only a part of a plan is carried out.

use evenfold_core::Policy;

use super::check::summary;
use super::meaning::Meaning;
use super::world::{carry_out, carry_out_part};
use super::{Property, Subject, Triple, Violation};

/// With more changes than this, not every subset is tried but each change alone and all but each.
const MOST_FOR_ALL_SUBSETS: usize = 6;

/// Later cycles that may be needed after a part.
const CYCLES: usize = 4;

/// Carries out parts of the plan for `triple`, then whole cycles until nothing moves, and checks that they
/// arrive at `whole`, the state that the whole plan led to.
///
/// # Errors
/// The first property that does not hold.
pub(crate) fn check_partial(
    subject: &Subject,
    triple: &Triple,
    policy: &Policy,
    whole: &Triple,
) -> Result<(), Violation> {
    let planned = subject.plan(triple, policy);
    let plan = &planned.plan;
    let number = plan.copies_ours.len() + plan.copies_theirs.len() + plan.ours.len() + plan.theirs.len();
    for part in parts(number) {
        let mut state = carry_out_part(subject, triple, &planned, |at| part >> at & 1 == 1)?;
        let mut settled = planned.settled.clone();
        let mut cycles = 0;
        loop {
            let next = subject.plan(&state, policy);
            settled.extend(next.settled);
            if next.plan.is_empty() {
                break;
            }
            cycles += 1;
            if cycles > CYCLES {
                return Violation::new(Property::PartsConverge, format!("no end: {}", summary(&next.plan)));
            }
            state = carry_out(subject, &state, &next.plan, None)?;
        }
        Meaning { policy, settled: &settled, before: triple, after: &state }.check()?;
        if state.ours != whole.ours || state.theirs != whole.theirs || state.ancestor != whole.ancestor {
            let detail = format!("part {part:b} led to {state} and the whole to {whole}");
            return Violation::new(Property::PartsConverge, detail);
        }
    }
    Ok(())
}

fn parts(number: usize) -> Vec<u64> {
    let all = (1u64 << number.min(63)) - 1;
    if number <= MOST_FOR_ALL_SUBSETS {
        return (0..all).collect();
    }
    let single = (0..number.min(63)).map(|at| 1 << at);
    let missing = (0..number.min(63)).map(|at| all & !(1 << at));
    single.chain(missing).collect()
}
