//! Settings of the node itself, each with where it comes from: flag, environment, `config.toml`, default.

mod edit;
mod file;

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use crate::api::{ApiError, ConfigEntry, ErrorCode};
use crate::home::Home;
use crate::settings::Timetable;
use crate::text::{format_duration, format_size, parse_duration, parse_size};

/// Port on which nodes listen unless told otherwise.
pub const DEFAULT_PORT: u16 = 22722;

/// Most addresses that a node listens on.
const MOST_ADDRESSES: usize = 32;

/// Bytes per second that a node passes on for others unless told otherwise.
const FORWARD_LIMIT: u64 = 20_000_000;

/// How long a machine may be silent at least and at most before it counts as gone. Below that, a busy machine would.
const SILENCE: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(600);

/// Longest name of a node, in bytes: it becomes part of file names.
const LONGEST_NAME: usize = 48;

/// Tells whether a node or relationship may have this name: 1 to 48 ASCII letters, digits, `-`, `_` or `.`, beginning
/// with a letter or digit. Names become parts of file names and of `PEER:NAME`.
pub fn valid_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    first && rest && name.len() <= LONGEST_NAME
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Given with the command.
    Flag,
    /// Given in a variable.
    Environment,
    /// Given in `config.toml`.
    File,
    /// Nobody gave one.
    Default,
}

impl Origin {
    /// Returns how it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "config.toml",
            Origin::Default => "default",
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what may need somebody.
    Warn,
    /// And what was done.
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    const ALL: [LogLevel; 5] =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// Returns how it is written.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// What was given with the command.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--name`.
    pub name: Option<String>,
    /// `--listen`, any number of times.
    pub listen: Vec<String>,
    /// Level that `-v` stands for.
    pub log: Option<LogLevel>,
}

/// Settings of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name; that of the machine unless given.
    pub name: Sourced<String>,
    /// Where it listens; port 0 picks a free one.
    pub listen: Sourced<Vec<SocketAddr>>,
    /// How much is logged.
    pub log: Sourced<LogLevel>,
    /// How large a log file grows before the next begins, in bytes (64 kB to 1 GB). Three are kept.
    pub log_size: Sourced<u64>,
    /// Whether it tells the local network of itself and listens for others there, if it listens beyond this machine.
    pub nearby: Sourced<bool>,
    /// Whether it connects its peers with each other through itself.
    pub forward: Sourced<bool>,
    /// How fast it does so, for all together and in each direction.
    pub forward_limit: Sourced<Timetable>,
    /// How long a machine may be silent before it counts as gone (5 s to 10 min).
    pub silence: Sourced<Duration>,
}

/// Where a wrong value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A flag.
    Flag(&'static str),
    /// A variable.
    Variable(&'static str),
    /// A line of a file (from 1).
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// What somebody asks to be written into the file.
    Asked,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag(flag) => f.write_str(flag),
            Place::Variable(variable) => write!(f, "the variable {variable}"),
            Place::Line { file, line } => write!(f, "{file}, line {line}"),
            Place::Asked => f.write_str("nothing was changed"),
        }
    }
}

/// What is wrong with the settings of the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// The file cannot be written.
    #[error("{file} cannot be written: {reason}; nothing was changed")]
    Unwritable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place}: {reason}")]
    NotToml {
        /// Where.
        place: Place,
        /// What the parser says.
        reason: String,
    },
    /// There is no such key.
    #[error("{place}: there is no setting {key:?}{}", nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        place: Place,
        /// What was given.
        key: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The value makes no sense.
    #[error("{place}: {} cannot be {value:?}: it takes {}", key.name(), key.allowed())]
    WrongValue {
        /// Where.
        place: Place,
        /// The key.
        key: ConfigKey,
        /// What was given.
        value: String,
    },
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::UnknownKey { .. } => {
                let names: Vec<&str> = ConfigKey::ALL.iter().map(|key| key.name()).collect();
                format!("The settings of a node are {}.", names.join(", "))
            }
            ConfigError::WrongValue { key, .. } => format!("For example: {} = {}", key.name(), key.example()),
            ConfigError::NotToml { .. } => "Each line is KEY = VALUE, text in quotes.".to_owned(),
            ConfigError::Unwritable { .. } => {
                "Make the file and its folder writable for this user.".to_owned()
            }
            ConfigError::Unreadable { .. } => {
                "Make the file readable for this user, or remove it.".to_owned()
            }
        };
        ApiError::new(ErrorCode::Setting, error.to_string()).with_hint(hint)
    }
}

/// The keys of `config.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKey {
    /// Name of the node.
    Name,
    /// Where it listens.
    Listen,
    /// How much is logged.
    Log,
    /// How large a log file grows.
    LogSize,
    /// Whether nodes find each other on the local network.
    Nearby,
    /// Whether peers are connected with each other through this node.
    Forward,
    /// How fast.
    ForwardLimit,
    /// How long a machine may be silent before it counts as gone.
    Silence,
}

impl ConfigKey {
    /// All keys.
    pub const ALL: &'static [ConfigKey] = &[
        Self::Name,
        Self::Listen,
        Self::Log,
        Self::LogSize,
        Self::Nearby,
        Self::Forward,
        Self::ForwardLimit,
        Self::Silence,
    ];

    /// Returns the key as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Listen => "listen",
            Self::Log => "log",
            Self::LogSize => "log_size",
            Self::Nearby => "nearby",
            Self::Forward => "forward",
            Self::ForwardLimit => "forward_limit",
            Self::Silence => "silence",
        }
    }

    /// Returns the variable that stands for it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Name => "EVENFOLD_NAME",
            Self::Listen => "EVENFOLD_LISTEN",
            Self::Log => "EVENFOLD_LOG",
            Self::LogSize => "EVENFOLD_LOG_SIZE",
            Self::Nearby => "EVENFOLD_NEARBY",
            Self::Forward => "EVENFOLD_FORWARD",
            Self::ForwardLimit => "EVENFOLD_FORWARD_LIMIT",
            Self::Silence => "EVENFOLD_SILENCE",
        }
    }

    /// Says which values it takes.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Name => "1 to 48 letters, digits, -, _ or ., beginning with a letter or digit",
            Self::Listen => "addresses with a port, such as [::]:22722, 127.0.0.1:0 or [::1]:22722",
            Self::Log => "error, warn, info, debug or trace",
            Self::LogSize => "a size from 64kB to 1GB",
            Self::Nearby => "on or off",
            Self::Forward => "peers or off",
            Self::ForwardLimit => "off or a rate, then a timetable if wanted",
            Self::Silence => "a duration from 5s to 10m",
        }
    }

    /// Returns a line's right half that makes sense.
    pub fn example(self) -> &'static str {
        match self {
            Self::Name => r#""desk""#,
            Self::Listen => r#"["[::]:22722"]"#,
            Self::Log => r#""info""#,
            Self::LogSize => r#""10MB""#,
            Self::Nearby => r#""off""#,
            Self::Forward => r#""peers""#,
            Self::ForwardLimit => r#""20MB/s""#,
            Self::Silence => r#""15s""#,
        }
    }
}

impl Config {
    /// Puts the settings together. `variable` reads the environment. A missing file is an empty one.
    ///
    /// # Errors
    /// The first value that is wrong, with its place.
    pub fn load(
        home: &Home,
        flags: &Flags,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for (key, values, place) in file::read(&home.config_file())? {
            config.set(key, &values, Origin::File, place)?;
        }
        for key in ConfigKey::ALL {
            let Some(text) = variable(key.variable()).filter(|text| !text.is_empty()) else { continue };
            let text = text.to_string_lossy();
            let values = match key {
                ConfigKey::Listen => text.split(',').map(|part| part.trim().to_owned()).collect(),
                _ => vec![text.into_owned()],
            };
            config.set(*key, &values, Origin::Environment, Place::Variable(key.variable()))?;
        }
        if let Some(name) = &flags.name {
            config.set(ConfigKey::Name, std::slice::from_ref(name), Origin::Flag, Place::Flag("--name"))?;
        }
        if !flags.listen.is_empty() {
            config.set(ConfigKey::Listen, &flags.listen, Origin::Flag, Place::Flag("--listen"))?;
        }
        if let Some(log) = flags.log {
            config.log = Sourced { value: log, origin: Origin::Flag };
        }
        Ok(config)
    }

    /// Writes one setting into `config.toml`, or takes it out where `value` is empty; of several values each stands
    /// between commas. It holds from the next start on, unless a variable or flag says otherwise. Blocks.
    ///
    /// # Errors
    /// When the key or value makes no sense, the file is wrong in another place, or cannot be written. Nothing was
    /// changed then.
    pub fn change(home: &Home, key: &str, value: &str) -> Result<(), ConfigError> {
        edit::change(home, key, value)
    }

    fn set(
        &mut self,
        key: ConfigKey,
        values: &[String],
        origin: Origin,
        place: Place,
    ) -> Result<(), ConfigError> {
        let wrong =
            |value: &str| ConfigError::WrongValue { place: place.clone(), key, value: value.to_owned() };
        let all = || values.join(", ");
        let one = || match values {
            [value] => Ok(value.as_str()),
            _ => Err(wrong(&all())),
        };
        match key {
            ConfigKey::Name => {
                let value = one()?;
                valid_name(value).then_some(()).ok_or_else(|| wrong(value))?;
                self.name = Sourced { value: value.to_owned(), origin };
            }
            ConfigKey::Listen => {
                let read = |text: &String| text.parse::<SocketAddr>().map_err(|_| wrong(text));
                let value: Vec<SocketAddr> = values.iter().map(read).collect::<Result<_, _>>()?;
                if value.is_empty() || value.len() > MOST_ADDRESSES {
                    return Err(wrong(&all()));
                }
                self.listen = Sourced { value, origin };
            }
            ConfigKey::Log => {
                let text = one()?;
                let found = LogLevel::ALL.into_iter().find(|level| level.name() == text);
                self.log = Sourced { value: found.ok_or_else(|| wrong(text))?, origin };
            }
            ConfigKey::LogSize => {
                let text = one()?;
                let size = parse_size(text).ok().filter(|size| (64_000..=1_000_000_000).contains(size));
                self.log_size = Sourced { value: size.ok_or_else(|| wrong(text))?, origin };
            }
            ConfigKey::Nearby => {
                let value = match one()? {
                    "on" => true,
                    "off" => false,
                    other => return Err(wrong(other)),
                };
                self.nearby = Sourced { value, origin };
            }
            ConfigKey::Forward => {
                let value = match one()? {
                    "peers" => true,
                    "off" => false,
                    other => return Err(wrong(other)),
                };
                self.forward = Sourced { value, origin };
            }
            ConfigKey::ForwardLimit => {
                let text = one()?;
                let value = text.parse().map_err(|_| wrong(text))?;
                self.forward_limit = Sourced { value, origin };
            }
            ConfigKey::Silence => {
                let text = one()?;
                let silence = parse_duration(text).ok().filter(|silence| SILENCE.contains(silence));
                self.silence = Sourced { value: silence.ok_or_else(|| wrong(text))?, origin };
            }
        }
        Ok(())
    }

    /// Returns all settings for showing.
    pub fn entries(&self) -> Vec<ConfigEntry> {
        let listen: Vec<String> = self.listen.value.iter().map(ToString::to_string).collect();
        let entry = |key: ConfigKey, value: String, origin: Origin| ConfigEntry {
            key: key.name().to_owned(),
            value,
            origin: origin.name().to_owned(),
        };
        vec![
            entry(ConfigKey::Name, self.name.value.clone(), self.name.origin),
            entry(ConfigKey::Listen, listen.join(", "), self.listen.origin),
            entry(ConfigKey::Log, self.log.value.name().to_owned(), self.log.origin),
            entry(ConfigKey::LogSize, format_size(self.log_size.value), self.log_size.origin),
            entry(
                ConfigKey::Nearby,
                if self.nearby.value { "on" } else { "off" }.to_owned(),
                self.nearby.origin,
            ),
            entry(
                ConfigKey::Forward,
                if self.forward.value { "peers" } else { "off" }.to_owned(),
                self.forward.origin,
            ),
            entry(ConfigKey::ForwardLimit, self.forward_limit.value.to_string(), self.forward_limit.origin),
            entry(ConfigKey::Silence, format_duration(self.silence.value), self.silence.origin),
        ]
    }
}

impl Default for Config {
    fn default() -> Self {
        fn usual<T>(value: T) -> Sourced<T> {
            Sourced { value, origin: Origin::Default }
        }
        Config {
            name: usual(machine_name()),
            listen: usual(vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT))]),
            log: usual(LogLevel::Info),
            log_size: usual(10_000_000),
            nearby: usual(true),
            forward: usual(false),
            forward_limit: usual(Timetable::always(NonZeroU64::new(FORWARD_LIMIT))),
            silence: usual(Duration::from_secs(15)),
        }
    }
}

/// Returns the machine's name, made fit to be a node's: its first label, other characters replaced.
fn machine_name() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_default().to_lowercase();
    let label = host.split('.').next().unwrap_or_default();
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = label.chars().take(LONGEST_NAME).map(fit).collect();
    let name = name.trim_matches('-').to_owned();
    if valid_name(&name) { name } else { "node".to_owned() }
}

#[cfg(test)]
mod tests;
