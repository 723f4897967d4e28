//! The keys of the settings: one table that commands, files, help and checks read.

use std::fmt;
use std::str::FromStr;

use super::SettingError;
use crate::api::Setting;
use crate::text::nearest;

/// Where a setting may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// For the whole relationship only, where it is shared.
    Relationship,
    /// For the whole relationship, and otherwise for one endpoint.
    Endpoint,
}

macro_rules! keys {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $scope:ident, $list:literal, $allowed:literal, $example:literal;)+) => {
        /// A setting's key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Key { $($(#[$doc])* $variant,)+ }

        impl Key {
            /// All keys, in the order in which they are shown.
            pub const ALL: &'static [Key] = &[$(Key::$variant,)+];

            /// Returns the key as it is written.
            pub fn name(self) -> &'static str {
                match self { $(Key::$variant => $name,)+ }
            }

            /// Tells where it may be set.
            pub fn scope(self) -> Scope {
                match self { $(Key::$variant => Scope::$scope,)+ }
            }

            /// Tells whether it may be given several times.
            pub fn is_list(self) -> bool {
                match self { $(Key::$variant => $list,)+ }
            }

            /// Says which values it takes.
            pub fn allowed(self) -> &'static str {
                match self { $(Key::$variant => $allowed,)+ }
            }

            /// Returns a value that makes sense.
            pub fn example(self) -> &'static str {
                match self { $(Key::$variant => $example,)+ }
            }
        }
    };
}

keys! {
    /// In which direction changes travel.
    Flow = "flow", Relationship, false, "both, one-way or none", "both";
    /// What begins a cycle.
    Trigger = "trigger", Relationship, false, "watch, manual, or a duration of at least a second", "30s";
    /// Whether endpoints are kept identical or items are delivered once.
    Deliver = "deliver", Relationship, false, "identical or once", "identical";
    /// Whether a delivered item is sent again when it changed.
    Resend = "resend", Relationship, false, "never or changed", "changed";
    /// Whether deletions travel.
    Delete = "delete", Relationship, false, "propagate or ignore", "ignore";
    /// What becomes of a path that both sides changed differently.
    Conflict = "conflict", Relationship, false, "keep-both, newest, refuse, or prefer: and the name of a node", "prefer:nas";
    /// What travels as a whole.
    Unit = "unit", Relationship, false, "file or entry", "entry";
    /// What takes part.
    Include = "include", Relationship, true, "one pattern in gitignore syntax, or nothing to clear the list", "*.jpg";
    /// What takes no part.
    Exclude = "exclude", Relationship, true, "one pattern in gitignore syntax, or nothing to clear the list", "node_modules/";
    /// Whether names that begin with a dot take part.
    Hidden = "hidden", Endpoint, false, "true or false", "false";
    /// Size below which files take no part.
    SizeMin = "size.min", Relationship, false, "a size, or off", "1kB";
    /// Size above which files take no part.
    SizeMax = "size.max", Relationship, false, "a size, or off", "4GiB";
    /// How long an item must be unchanged before it is considered.
    Settle = "settle", Relationship, false, "a duration", "2s";
    /// Who carries an item over.
    Executor = "executor", Relationship, false, "builtin, or a command as a JSON array of strings", r#"["rsync","-a","{path}","nas:/in/"]"#;
    /// How much a comparison trusts.
    Verify = "verify", Relationship, false, "fast or full", "full";
    /// How long a hub keeps what was delivered to all.
    Retention = "retention", Relationship, false, "a duration", "10s";
    /// Disk space that a hub leaves free.
    Reserve = "reserve", Relationship, false, "a share such as 5% (below 100) or a size", "5%";
    /// How long a hub keeps a partial upload whose source has vanished.
    Lease = "lease", Relationship, false, "a duration", "1d";
    /// How long replaced and deleted content is kept.
    VersionsKeep = "versions.keep", Endpoint, false, "a duration", "30d";
    /// How much of it is kept.
    VersionsMax = "versions.max", Endpoint, false, "a size, or off", "5GiB";
    /// Command to run after an item has arrived here.
    HookAfterArrival = "hook.after_arrival", Endpoint, true, "a command as a JSON array of strings, or nothing to clear the list", r#"["notify-send","{name}"]"#;
    /// Command to run after an item that left here has arrived.
    HookAfterDelivery = "hook.after_delivery", Endpoint, true, "a command as a JSON array of strings, or nothing to clear the list", r#"["mv","{path}","/done/"]"#;
    /// Command to run when a conflict waits.
    HookOnConflict = "hook.on_conflict", Endpoint, true, "a command as a JSON array of strings, or nothing to clear the list", r#"["notify-send","{relationship}"]"#;
    /// Command to run when something failed.
    HookOnError = "hook.on_error", Endpoint, true, "a command as a JSON array of strings, or nothing to clear the list", r#"["logger","{relationship}"]"#;
    /// After how long a hook is killed.
    HookTimeout = "hook.timeout", Endpoint, false, "a duration of at least a second", "5m";
    /// How many transfers run at the same time.
    Parallel = "parallel", Endpoint, false, "a number from 1 to 64", "4";
    /// How fast this endpoint sends.
    LimitUp = "limit.up", Endpoint, false, "off or a rate, then a timetable if wanted", "off, mon-fri 08:00-18:00 2MB/s";
    /// How fast this endpoint receives.
    LimitDown = "limit.down", Endpoint, false, "off or a rate, then a timetable if wanted", "20MB/s";
    /// What one failing item means for the others.
    OnError = "on_error", Relationship, false, "continue or stop", "continue";
    /// Share of deletions above which a person is asked.
    GuardPercent = "guard.percent", Relationship, false, "a share from 1 to 100, or off; 100 means off", "25";
    /// Number of deletions above which a person is asked.
    GuardCount = "guard.count", Relationship, false, "a number, or off", "500";
    /// How often the whole folder is scanned.
    Rescan = "rescan", Relationship, false, "a duration of at least a second, or off", "10m";
    /// The program that is started on a host with SSH.
    HostProgram = "host.program", Relationship, false, "the name or path of Evenfold on a host reached as ssh://, or off to use SFTP only", "~/.local/bin/evenfold";
    /// How often all contents are hashed again.
    Scrub = "scrub", Relationship, false, "a duration of at least a minute, or off", "30d";
    /// What a machine that joins may do.
    Access = "access", Relationship, false, "write or read", "read";
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Key {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let known = || Key::ALL.iter().copied();
        known().find(|key| key.name() == text).ok_or_else(|| SettingError::UnknownKey {
            key: text.to_owned(),
            nearest: nearest(text, known().map(Key::name)),
        })
    }
}

/// Makes sure that all of `pairs` may be set at one endpoint, apart from the relationship.
///
/// # Errors
/// The first key that is unknown or belongs to the whole relationship.
pub fn check_endpoint_keys(pairs: &[Setting]) -> Result<(), SettingError> {
    for (name, _) in pairs {
        let key: Key = name.parse()?;
        if key.scope() == Scope::Relationship {
            return Err(SettingError::WholeRelationship { key });
        }
    }
    Ok(())
}
