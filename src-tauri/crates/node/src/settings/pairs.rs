//! Settings as `KEY=VALUE` pairs: reading, laying over, showing.

use std::str::FromStr as _;
use std::time::Duration;

use evenfold_core::Deletion;

use super::{Access, Deliver, Flow, OnError, Resend, Unit, Verify};
use super::{Argv, Conflict, Executor, Key, Kind, Program, Reserve, SettingError, Settings, Trigger};
use crate::api::Setting;
use crate::text::{format_duration, format_size, parse_duration, parse_size};

/// Longest list that a key may hold; a pattern list of a large repository has some hundreds.
const LONGEST_LIST: usize = 10_000;

/// Gives any key the preset's value again.
const DEFAULT: &str = "default";

impl Settings {
    /// Lays `pairs` over the kind's preset.
    ///
    /// # Errors
    /// The first pair that is unknown, wrong, or given twice.
    pub fn parse(kind: Kind, pairs: &[Setting]) -> Result<Settings, SettingError> {
        Settings::preset(kind).with(pairs)
    }

    /// Lays `pairs` over these settings. A list-valued key replaces the list with all values given for it here; an
    /// empty value clears it. `default` gives any other key the preset's value again.
    ///
    /// # Errors
    /// The first pair that is unknown, wrong, or given twice.
    pub fn with(&self, pairs: &[Setting]) -> Result<Settings, SettingError> {
        let mut settings = self.clone();
        let preset = Settings::preset(self.kind);
        let mut given: Vec<Key> = Vec::new();
        for (name, value) in pairs {
            let key: Key = name.parse()?;
            let wrong = || SettingError::WrongValue { key, value: value.clone() };
            let again = given.contains(&key);
            if key.is_list() {
                if !again {
                    settings.clear(key);
                }
                if !value.is_empty() {
                    settings.push(key, value).ok_or_else(wrong)?;
                }
            } else if again {
                return Err(SettingError::GivenTwice { key });
            } else if value == DEFAULT {
                let usual = preset.get(key);
                settings.set(key, usual.first().map_or("", String::as_str)).ok_or_else(wrong)?;
            } else {
                settings.set(key, value).ok_or_else(wrong)?;
            }
            given.push(key);
        }
        Ok(settings)
    }

    /// Returns all settings, those of the preset included; an empty list is one pair with an empty value.
    pub fn to_pairs(&self) -> Vec<Setting> {
        Key::ALL.iter().flat_map(|key| self.pairs_of(*key)).collect()
    }

    /// Returns what differs from the kind's preset: what needs to be stored.
    pub fn overrides(&self) -> Vec<Setting> {
        self.overrides_of(&Settings::preset(self.kind))
    }

    /// Returns what differs from `base`, so that `base.with(…)` gives these settings again.
    pub fn overrides_of(&self, base: &Settings) -> Vec<Setting> {
        let differing = Key::ALL.iter().filter(|key| self.get(**key) != base.get(**key));
        differing.flat_map(|key| self.pairs_of(*key)).collect()
    }

    fn pairs_of(&self, key: Key) -> Vec<Setting> {
        let mut values = self.get(key);
        if values.is_empty() {
            values.push(String::new());
        }
        values.into_iter().map(|value| (key.name().to_owned(), value)).collect()
    }

    /// Returns the values of a key as text: one, or for a list any number.
    pub fn get(&self, key: Key) -> Vec<String> {
        let argvs = |list: &[Argv]| list.iter().map(argv_text).collect();
        let one = match key {
            Key::Include => return self.include.clone(),
            Key::Exclude => return self.exclude.clone(),
            Key::HookAfterArrival => return argvs(&self.hooks.after_arrival),
            Key::HookAfterDelivery => return argvs(&self.hooks.after_delivery),
            Key::HookOnConflict => return argvs(&self.hooks.on_conflict),
            Key::HookOnError => return argvs(&self.hooks.on_error),
            Key::Flow => self.flow.word().to_owned(),
            Key::Trigger => match self.trigger {
                Trigger::Watch => "watch".to_owned(),
                Trigger::Manual => "manual".to_owned(),
                Trigger::Every(duration) => format_duration(duration),
            },
            Key::Deliver => self.deliver.word().to_owned(),
            Key::Resend => self.resend.word().to_owned(),
            Key::Delete => match self.delete {
                Deletion::Propagate => "propagate".to_owned(),
                Deletion::Ignore => "ignore".to_owned(),
            },
            Key::Conflict => match &self.conflict {
                Conflict::KeepBoth => "keep-both".to_owned(),
                Conflict::Newest => "newest".to_owned(),
                Conflict::Refuse => "refuse".to_owned(),
                Conflict::Prefer(node) => format!("prefer:{node}"),
            },
            Key::Unit => self.unit.word().to_owned(),
            Key::Hidden => self.hidden.to_string(),
            Key::SizeMin => self.size_min.map_or_else(off, format_size),
            Key::SizeMax => self.size_max.map_or_else(off, format_size),
            Key::Settle => format_duration(self.settle),
            Key::Executor => match &self.executor {
                Executor::Builtin => "builtin".to_owned(),
                Executor::Command(argv) => argv_text(argv),
            },
            Key::Verify => self.verify.word().to_owned(),
            Key::Retention => format_duration(self.retention),
            Key::Reserve => match self.reserve {
                Reserve::Percent(percent) => format!("{percent}%"),
                Reserve::Bytes(bytes) => format_size(bytes),
            },
            Key::Lease => format_duration(self.lease),
            Key::VersionsKeep => format_duration(self.versions_keep),
            Key::VersionsMax => self.versions_max.map_or_else(off, format_size),
            Key::HookTimeout => format_duration(self.hook_timeout),
            Key::Parallel => self.parallel.to_string(),
            Key::LimitUp => self.limit_up.to_string(),
            Key::LimitDown => self.limit_down.to_string(),
            Key::OnError => self.on_error.word().to_owned(),
            Key::GuardPercent => self.guard.percent.map_or_else(off, |percent| percent.to_string()),
            Key::GuardCount => self.guard.count.map_or_else(off, |count| count.to_string()),
            Key::Rescan => self.rescan.map_or_else(off, format_duration),
            Key::HostProgram => {
                self.host_program.as_ref().map_or_else(off, |program| program.as_str().to_owned())
            }
            Key::Scrub => self.scrub.map_or_else(off, format_duration),
            Key::Access => self.access.word().to_owned(),
        };
        vec![one]
    }

    /// Sets a key that holds one value. Returns `None` where the value is wrong.
    fn set(&mut self, key: Key, value: &str) -> Option<()> {
        match key {
            Key::Flow => self.flow = Flow::from_word(value)?,
            Key::Trigger => {
                self.trigger = match value {
                    "watch" => Trigger::Watch,
                    "manual" => Trigger::Manual,
                    every => Trigger::Every(at_least(Duration::from_secs(1), every)?),
                }
            }
            Key::Deliver => self.deliver = Deliver::from_word(value)?,
            Key::Resend => self.resend = Resend::from_word(value)?,
            Key::Delete => {
                self.delete = match value {
                    "propagate" => Deletion::Propagate,
                    "ignore" => Deletion::Ignore,
                    _ => return None,
                }
            }
            Key::Conflict => {
                self.conflict = match value {
                    "keep-both" => Conflict::KeepBoth,
                    "newest" => Conflict::Newest,
                    "refuse" => Conflict::Refuse,
                    other => {
                        let node = other.strip_prefix("prefer:")?;
                        crate::config::valid_name(node).then(|| Conflict::Prefer(node.to_owned()))?
                    }
                }
            }
            Key::Unit => self.unit = Unit::from_word(value)?,
            Key::Hidden => self.hidden = value.parse().ok()?,
            Key::SizeMin => self.size_min = or_off(value, |text| parse_size(text).ok())?,
            Key::SizeMax => self.size_max = or_off(value, |text| parse_size(text).ok())?,
            Key::Settle => self.settle = parse_duration(value).ok()?,
            Key::Executor => {
                self.executor = match value {
                    "builtin" => Executor::Builtin,
                    command => Executor::Command(argv(command)?),
                }
            }
            Key::Verify => self.verify = Verify::from_word(value)?,
            Key::Retention => self.retention = parse_duration(value).ok()?,
            Key::Reserve => self.reserve = reserve(value)?,
            Key::Lease => self.lease = parse_duration(value).ok()?,
            Key::VersionsKeep => self.versions_keep = parse_duration(value).ok()?,
            Key::VersionsMax => self.versions_max = or_off(value, |text| parse_size(text).ok())?,
            Key::HookTimeout => self.hook_timeout = at_least(Duration::from_secs(1), value)?,
            Key::Parallel => self.parallel = value.parse().ok().filter(|number| (1..=64).contains(number))?,
            Key::LimitUp => self.limit_up = value.parse().ok()?,
            Key::LimitDown => self.limit_down = value.parse().ok()?,
            Key::OnError => self.on_error = OnError::from_word(value)?,
            Key::GuardPercent => {
                let percent = or_off(value.strip_suffix('%').unwrap_or(value), |text| {
                    u8::from_str(text).ok().filter(|percent| (1..=100).contains(percent))
                })?;
                // More than everything cannot be deleted.
                self.guard.percent = percent.filter(|percent| *percent < 100);
            }
            Key::GuardCount => self.guard.count = or_off(value, |text| u64::from_str(text).ok())?,
            Key::Rescan => self.rescan = or_off(value, |text| at_least(Duration::from_secs(1), text))?,
            Key::HostProgram => self.host_program = or_off(value, Program::new)?,
            Key::Scrub => self.scrub = or_off(value, |text| at_least(Duration::from_secs(60), text))?,
            Key::Access => self.access = Access::from_word(value)?,
            Key::Include
            | Key::Exclude
            | Key::HookAfterArrival
            | Key::HookAfterDelivery
            | Key::HookOnConflict
            | Key::HookOnError => self.push(key, value)?,
        }
        Some(())
    }

    /// Adds to a list. Returns `None` where the value is wrong or the key holds no list.
    fn push(&mut self, key: Key, value: &str) -> Option<()> {
        match key {
            Key::Include => pattern(&mut self.include, value),
            Key::Exclude => pattern(&mut self.exclude, value),
            Key::HookAfterArrival => hook(&mut self.hooks.after_arrival, value),
            Key::HookAfterDelivery => hook(&mut self.hooks.after_delivery, value),
            Key::HookOnConflict => hook(&mut self.hooks.on_conflict, value),
            Key::HookOnError => hook(&mut self.hooks.on_error, value),
            _ => None,
        }
    }

    fn clear(&mut self, key: Key) {
        match key {
            Key::Include => self.include.clear(),
            Key::Exclude => self.exclude.clear(),
            Key::HookAfterArrival => self.hooks.after_arrival.clear(),
            Key::HookAfterDelivery => self.hooks.after_delivery.clear(),
            Key::HookOnConflict => self.hooks.on_conflict.clear(),
            Key::HookOnError => self.hooks.on_error.clear(),
            _ => {}
        }
    }
}

fn pattern(list: &mut Vec<String>, value: &str) -> Option<()> {
    let one_line = !value.trim().is_empty() && !value.contains(['\n', '\r', '\0']);
    let fits = list.len() < LONGEST_LIST && value.len() <= 4096;
    (one_line && fits).then(|| list.push(value.to_owned()))
}

fn hook(list: &mut Vec<Argv>, value: &str) -> Option<()> {
    let argv = argv(value)?;
    (list.len() < LONGEST_LIST).then(|| list.push(argv))
}

fn argv(text: &str) -> Option<Argv> {
    let argv: Argv = serde_json::from_str(text).ok()?;
    let program = argv.first().is_some_and(|program| !program.is_empty());
    (program && argv.iter().all(|argument| !argument.contains('\0'))).then_some(argv)
}

fn argv_text(argv: &Argv) -> String {
    serde_json::Value::from(argv.clone()).to_string()
}

fn reserve(text: &str) -> Option<Reserve> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|percent| *percent < 100).map(Reserve::Percent),
        None => parse_size(text).ok().map(Reserve::Bytes),
    }
}

fn at_least(least: Duration, text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|duration| *duration >= least)
}

fn or_off<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "off" { Some(None) } else { read(text).map(Some) }
}

fn off() -> String {
    "off".to_owned()
}

#[cfg(test)]
mod tests;
