//! What a history is made of, drawn from its seed.

use std::time::Duration;

use evenfold_core::ConflictRule;
use evenfold_core::delivery::{Resend, Terms, UnitKind};
use evenfold_engine::delivery::CourierSettings;
use evenfold_engine::driver::Trigger;

use super::host::Role;
use crate::disk::Habits;
use crate::sim::Rng;

/// Troubles that a history may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    pub(crate) crashes: bool,
    pub(crate) power_cuts: bool,
    pub(crate) cuts: bool,
    pub(crate) delays: bool,
    pub(crate) damage: bool,
    pub(crate) full_disks: bool,
    pub(crate) failures: bool,
    pub(crate) hooks: bool,
    pub(crate) unseen: bool,
}

/// The settings of a history.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The hub first.
    pub(crate) roles: Vec<Role>,
    /// Whether the hub's copies are temporary.
    pub(crate) transit: bool,
    /// Whether the hub hands its own items to a command.
    pub(crate) command: bool,
    pub(crate) courier: CourierSettings,
    /// In microseconds.
    pub(crate) retention: i64,
    /// In microseconds.
    pub(crate) lease: i64,
    pub(crate) troubles: Troubles,
    pub(crate) habits: Habits,
    pub(crate) steps: Vec<Step>,
}

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    pub(crate) host: usize,
    pub(crate) seed: u64,
}

/// Kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// A user does something.
    User,
    /// Time goes by.
    Wait,
    /// The machine stops at one of its next calls.
    Kill,
    /// One of its next calls fails.
    Fail,
    /// The line to the hub breaks after some messages.
    Cut,
    /// A user or the disk changes what stands in the hub's folder.
    Damage,
    /// The disk has little room left for a while.
    Full,
    /// A person has something sent again.
    Forget,
}

impl Settings {
    /// Draws the settings of the history with this seed.
    pub(crate) fn draw(seed: u64) -> Settings {
        use Role::{Destination, Hub, Source};
        let mut rng = Rng::part(seed, 0);
        /// Its machines, whether the hub passes on, and whether a command carries.
        type Shape = (&'static [Role], bool, bool);
        let shapes: [(u64, Shape); 8] = [
            (8, (&[Hub, Source, Destination], true, false)),
            (3, (&[Hub, Source, Source, Destination], true, false)),
            (3, (&[Hub, Source, Destination, Destination], true, false)),
            (1, (&[Hub, Source, Source, Destination, Destination], true, false)),
            (5, (&[Hub, Destination], false, false)),
            (2, (&[Hub, Destination, Destination], false, false)),
            (4, (&[Hub, Source], false, false)),
            (1, (&[Hub], false, true)),
        ];
        let (roles, transit, command) = rng.weighted(&shapes, shapes[0].1);
        let share = rng.weighted(&[(2, 0), (4, 20), (4, 40), (2, 80)], 20);
        let mut some = || rng.percent(share);
        let troubles = Troubles {
            crashes: some(),
            power_cuts: some(),
            cuts: some(),
            delays: some(),
            damage: some(),
            full_disks: some(),
            failures: some(),
            hooks: some(),
            unseen: some(),
        };
        let unit = if rng.percent(60) { UnitKind::Entry } else { UnitKind::File };
        let resend = if rng.percent(70) { Resend::Changed } else { Resend::Never };
        let settle = rng.weighted(&[(1, 0), (4, 1_000_000), (2, 3_000_000)], 1_000_000);
        let courier = CourierSettings {
            unit,
            terms: Terms { settle, resend },
            parallel: rng.weighted(&[(2, 1), (3, 2), (2, 4)], 2),
            stop_on_error: rng.percent(10),
            thorough: false,
            conflict: ConflictRule::KeepBoth,
            transit,
            trigger: Trigger::Watch,
            rescan: Duration::from_secs(30),
        };
        let second = 1_000_000;
        let habits = Habits {
            tick: rng.weighted(&[(4, 1), (3, 4_000_000)], 1),
            stored: 1,
            skew: 0,
            reuses_numbers: rng.percent(50),
            power_cuts: troubles.power_cuts,
            ordered: rng.percent(50),
            flaw: None,
        };
        let length = 5 + rng.below(18);
        let hosts = roles.len() as u64;
        let steps = (0..length).map(|_| step(&mut rng, hosts, &troubles)).collect();
        Settings {
            roles: roles.to_vec(),
            transit,
            command,
            courier,
            retention: rng.weighted(&[(1, 0), (3, 3 * second), (2, 20 * second)], 3 * second),
            lease: rng.weighted(&[(2, 5 * second), (2, 60 * second)], 60 * second),
            troubles,
            habits,
            steps,
        }
    }
}

fn step(rng: &mut Rng, hosts: u64, troubles: &Troubles) -> Step {
    let when = |on: bool, weight: u64| if on { weight } else { 0 };
    let kind = rng.weighted(
        &[
            (40, StepKind::User),
            (25, StepKind::Wait),
            (when(troubles.crashes || troubles.power_cuts, 14), StepKind::Kill),
            (when(troubles.failures, 6), StepKind::Fail),
            (when(troubles.cuts, 10), StepKind::Cut),
            (when(troubles.damage, 6), StepKind::Damage),
            (when(troubles.full_disks, 6), StepKind::Full),
            (2, StepKind::Forget),
        ],
        StepKind::User,
    );
    Step { kind, host: rng.below(hosts) as usize, seed: rng.draw() }
}
