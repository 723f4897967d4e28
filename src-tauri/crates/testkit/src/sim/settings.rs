//! What a history is made of, drawn from its seed.

use evenfold_core::batch::Limit;
use evenfold_core::{ConflictRule, Deletion, Flow, Policy, Side};

use super::acts::{ACTS, Act};
use super::rng::Rng;
use crate::disk::{Flaw, Habits};

/// Troubles that a history may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Troubles {
    pub(crate) crashes: bool,
    pub(crate) power_cuts: bool,
    pub(crate) users_meanwhile: bool,
    pub(crate) broken_links: bool,
    pub(crate) damage: bool,
    pub(crate) disk_errors: bool,
    pub(crate) full_disks: bool,
    pub(crate) backups_of_folders: bool,
    pub(crate) backups_of_databases: bool,
    pub(crate) unmounts: bool,
    pub(crate) restores: bool,
}

/// The settings of a history.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) spokes: usize,
    pub(crate) policy: Policy,
    pub(crate) limit: Limit,
    pub(crate) acts: Vec<(u64, Act)>,
    pub(crate) odd_names: bool,
    pub(crate) troubles: Troubles,
    pub(crate) habits: Vec<Habits>,
    pub(crate) steps: Vec<Step>,
}

/// One step of a history. What exactly happens follows from the seed and from the state of the world, so a step
/// can be left out without changing the dice of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    pub(crate) node: usize,
    pub(crate) seed: u64,
}

/// Kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    Users,
    Cycle,
    Restart,
    Pass,
    BackUpFolder,
    RestoreFolder,
    BackUpDatabase,
    RestoreDatabase,
    Unmount,
    Mount,
    RestoreVersion,
}

impl Settings {
    /// Draws the settings of the history with this seed.
    pub(crate) fn draw(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut rng = Rng::part(seed, 0);
        let policy = policy(&mut rng);
        let one = matches!(policy.flow, Flow::From(Side::Ours));
        let spokes = if one { 1 } else { rng.weighted(&[(45, 1), (35, 2), (13, 3), (7, 4)], 1) };
        // Most histories are calm in most respects, so that each trouble also comes up alone.
        let share = rng.weighted(&[(2, 0), (4, 15), (4, 35), (1, 80)], 15);
        let mut some = || rng.percent(share);
        let troubles = Troubles {
            crashes: some(),
            power_cuts: some(),
            users_meanwhile: some(),
            broken_links: some(),
            damage: some(),
            disk_errors: some(),
            full_disks: some(),
            backups_of_folders: some(),
            backups_of_databases: some(),
            unmounts: some(),
            restores: some(),
        };
        let acts: Vec<_> =
            ACTS.into_iter().filter(|(_, act)| *act == Act::Create || rng.percent(55)).collect();
        let odd_names = rng.percent(30);
        let power_cuts = troubles.power_cuts;
        let ordered = rng.percent(50);
        let habits = (0..=spokes).map(|_| habits(&mut rng, power_cuts, ordered, flaw)).collect::<Vec<_>>();
        let habits = whole_times(habits, &policy);
        let files = rng.weighted(&[(5, 8), (2, 3), (1, 2), (1, 1)], 8);
        let limit = Limit { files, bytes: 1 << 20 };
        let length = 6 + rng.below(22);
        let steps = (0..length).map(|_| step(&mut rng, spokes, &troubles)).collect();
        Settings { spokes, policy, limit, acts, odd_names, troubles, habits, steps }
    }

    /// Tells whether an own content is never replaced against the will of whoever wrote it.
    pub(crate) fn keeps_all(&self) -> bool {
        matches!(self.policy.conflict, ConflictRule::KeepBoth | ConflictRule::Refuse)
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let both = |conflict, deletion| Policy { flow: Flow::Both, deletion, conflict };
    let from = |side, conflict| Policy { flow: Flow::From(side), deletion: Deletion::Propagate, conflict };
    let plain = both(ConflictRule::KeepBoth, Deletion::Propagate);
    let choices = [
        (58, plain),
        (8, both(ConflictRule::Newest, Deletion::Propagate)),
        (6, both(ConflictRule::Refuse, Deletion::Propagate)),
        (3, both(ConflictRule::Prefer(Side::Ours), Deletion::Propagate)),
        (3, both(ConflictRule::Prefer(Side::Theirs), Deletion::Propagate)),
        (6, both(ConflictRule::KeepBoth, Deletion::Ignore)),
        (4, from(Side::Ours, ConflictRule::KeepBoth)),
        (4, from(Side::Ours, ConflictRule::Prefer(Side::Ours))),
        (4, from(Side::Theirs, ConflictRule::Refuse)),
        (4, from(Side::Theirs, ConflictRule::Prefer(Side::Theirs))),
    ];
    rng.weighted(&choices, plain)
}

fn habits(rng: &mut Rng, power_cuts: bool, ordered: bool, flaw: Option<Flaw>) -> Habits {
    let second = 1_000_000_000;
    Habits {
        tick: rng.weighted(&[(4, 1), (2, 1_000_000), (3, 4_000_000), (2, 10_000_000)], 1),
        stored: rng.weighted(&[(16, 1), (2, second), (1, 2 * second)], 1),
        skew: rng.weighted(&[(6, 0), (1, 2 * second), (1, -3 * second), (1, -7200 * second)], 0),
        reuses_numbers: rng.percent(60),
        power_cuts,
        ordered,
        flaw,
    }
}

/// A mirror on a file system with coarse times would be written to again and again; this is known.
fn whole_times(mut habits: Vec<Habits>, policy: &Policy) -> Vec<Habits> {
    if policy.flow != Flow::Both {
        habits.iter_mut().for_each(|habits| habits.stored = 1);
    }
    habits
}

fn step(rng: &mut Rng, spokes: usize, troubles: &Troubles) -> Step {
    let when = |on: bool, weight: u64| if on { weight } else { 0 };
    let kind = rng.weighted(
        &[
            (40, StepKind::Users),
            (40, StepKind::Cycle),
            (when(troubles.crashes || troubles.power_cuts, 6), StepKind::Restart),
            (4, StepKind::Pass),
            (when(troubles.backups_of_folders, 5), StepKind::BackUpFolder),
            (when(troubles.backups_of_folders, 5), StepKind::RestoreFolder),
            (when(troubles.backups_of_databases, 5), StepKind::BackUpDatabase),
            (when(troubles.backups_of_databases, 5), StepKind::RestoreDatabase),
            (when(troubles.unmounts, 3), StepKind::Unmount),
            (when(troubles.unmounts, 5), StepKind::Mount),
            (when(troubles.restores, 6), StepKind::RestoreVersion),
        ],
        StepKind::Cycle,
    );
    let node = rng.below(spokes as u64 + 1) as usize;
    Step { kind, node, seed: rng.draw() }
}
