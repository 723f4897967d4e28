//! Settings of a relationship: the same keys for `--set`, `rel edit`, files and the desktop.
//!
//! A [`Kind`] is a preset over them; a relationship stores only what differs ([`Settings::overrides`]). Some keys may
//! also be set for one endpoint ([`Key::scope`]); its settings are laid over those of the relationship with
//! [`Settings::with`].

mod effect;
mod error;
mod key;
mod kind;
mod pairs;
mod policy;
mod rate;
mod value;

use std::time::Duration;

pub use effect::Stage;
pub use error::SettingError;
pub use key::{Key, Scope, check_endpoint_keys};
pub use kind::Kind;
pub use policy::Part;
pub use rate::{Days, Rate, Timetable};
pub use value::{
    Access, Argv, Conflict, Deliver, Executor, Flow, Hooks, OnError, Program, Resend, Reserve, Trigger, Unit,
    Verify,
};

use evenfold_core::{Deletion, Guard};

/// All settings of a relationship as one endpoint has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The preset over which the others were laid.
    pub kind: Kind,
    /// In which direction changes travel.
    pub flow: Flow,
    /// What begins a cycle.
    pub trigger: Trigger,
    /// Whether endpoints are kept identical or items are delivered once.
    pub deliver: Deliver,
    /// Whether a delivered item is sent again when it changed.
    pub resend: Resend,
    /// Whether deletions travel.
    pub delete: Deletion,
    /// What becomes of a path that both sides changed differently.
    pub conflict: Conflict,
    /// What travels as a whole.
    pub unit: Unit,
    /// Patterns in gitignore syntax; if any is given, only what matches takes part.
    pub include: Vec<String>,
    /// Patterns in gitignore syntax; what matches takes no part.
    pub exclude: Vec<String>,
    /// Whether names that begin with a dot take part.
    pub hidden: bool,
    /// Files of fewer bytes take no part; no limit if `None`.
    pub size_min: Option<u64>,
    /// Files of more bytes take no part; no limit if `None`.
    pub size_max: Option<u64>,
    /// How long an item must be unchanged before it is considered.
    pub settle: Duration,
    /// Who carries an item over.
    pub executor: Executor,
    /// How much a comparison trusts sizes and times.
    pub verify: Verify,
    /// How long a hub keeps what was delivered to all (relay).
    pub retention: Duration,
    /// Disk space that a hub leaves free (relay).
    pub reserve: Reserve,
    /// How long a hub keeps a partial upload whose source has vanished (relay).
    pub lease: Duration,
    /// How long replaced and deleted content is kept.
    pub versions_keep: Duration,
    /// How much of it is kept, in bytes; without a limit if `None`.
    pub versions_max: Option<u64>,
    /// Commands to run when something has happened.
    pub hooks: Hooks,
    /// After how long a hook is killed.
    pub hook_timeout: Duration,
    /// How many transfers run at the same time, 1 to 64.
    pub parallel: u16,
    /// How fast this endpoint sends.
    pub limit_up: Timetable,
    /// How fast this endpoint receives.
    pub limit_down: Timetable,
    /// What one failing item means for the others.
    pub on_error: OnError,
    /// How many deletions a batch may hold before a person is asked.
    pub guard: Guard,
    /// How often the whole folder is scanned whatever the watcher said; never if `None`.
    pub rescan: Option<Duration>,
    /// How often all contents are hashed again to find rot; never if `None`.
    pub scrub: Option<Duration>,
    /// What is started on a host that is reached as `ssh://`; only SFTP is used if `None`.
    pub host_program: Option<Program>,
    /// What a machine that joins from now on may do, until its access is changed.
    pub access: Access,
}

impl Settings {
    /// Returns the settings that the kind stands for.
    pub fn preset(kind: Kind) -> Settings {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let two_way = Settings {
            kind,
            flow: Flow::Both,
            trigger: Trigger::Watch,
            deliver: Deliver::Identical,
            resend: Resend::Never,
            delete: Deletion::Propagate,
            conflict: Conflict::KeepBoth,
            unit: Unit::File,
            include: Vec::new(),
            exclude: Vec::new(),
            hidden: true,
            size_min: None,
            size_max: None,
            settle: Duration::ZERO,
            executor: Executor::Builtin,
            verify: Verify::Fast,
            retention: DAY,
            reserve: Reserve::Percent(5),
            lease: DAY,
            versions_keep: 30 * DAY,
            versions_max: None,
            hooks: Hooks::default(),
            hook_timeout: Duration::from_secs(300),
            parallel: 4,
            limit_up: Timetable::default(),
            limit_down: Timetable::default(),
            on_error: OnError::Continue,
            guard: Guard::default(),
            rescan: Some(Duration::from_secs(600)),
            scrub: None,
            host_program: Some(Program::default()),
            access: Access::Write,
        };
        // What lands in a drop folder is often still being written when it is first seen.
        let once = Settings {
            flow: Flow::OneWay,
            deliver: Deliver::Once,
            delete: Deletion::Ignore,
            settle: Duration::from_secs(2),
            ..two_way.clone()
        };
        match kind {
            Kind::TwoWay => two_way,
            Kind::Mirror => Settings { flow: Flow::OneWay, conflict: Conflict::Refuse, ..two_way },
            Kind::Manual => Settings { trigger: Trigger::Manual, conflict: Conflict::Refuse, ..two_way },
            Kind::SendOnce => once,
            Kind::Relay => Settings { unit: Unit::Entry, resend: Resend::Changed, ..once },
            Kind::Compare => Settings { flow: Flow::None, ..two_way },
        }
    }
}
