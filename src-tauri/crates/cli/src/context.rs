//! What every command has: the global options, the home, where it writes, and its way to the node.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::config::{Config, Flags, LogLevel, Origin};
use evenfold_node::control::Client;
use evenfold_node::home::{HOME_VARIABLE, Home};

use crate::args::Global;
use crate::embed::Options;
use crate::engine::{self, Engine, Own};
use crate::out::{Out, safe};

/// Whether an engine of our own lets peers in while the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// The command makes no sense without.
    Needed,
    /// It helps where this node is a hub, and is not missed where it is not.
    IfPossible,
    /// We only dial.
    DialOnly,
}

/// What every command has.
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) out: Out,
    no_input: bool,
    verbose: u8,
    command: &'static str,
    /// An engine of our own, to be ended before the process ends, also when the user breaks the command off.
    own: Arc<Mutex<Option<Own>>>,
}

impl Context {
    pub(crate) fn new(global: &Global, command: &'static str) -> Result<Context, ApiError> {
        let home = Home::locate(global.home.clone(), std::env::var_os(HOME_VARIABLE))
            .map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()).with_hint(error.hint()))?;
        Ok(Context {
            home,
            out: Out::new(global.json),
            no_input: global.no_input,
            verbose: global.verbose,
            command,
            own: Arc::new(Mutex::new(None)),
        })
    }

    /// Returns the settings of the node.
    pub(crate) fn config(&self, flags: Flags) -> Result<Config, ApiError> {
        Ok(Config::load(&self.home, &flags, &|name| std::env::var_os(name))?)
    }

    /// Returns the level that `-v` stands for, beyond `usual`.
    pub(crate) fn log_level(&self, usual: LogLevel) -> Option<LogLevel> {
        match (self.verbose, usual) {
            (0, _) => None,
            (1, LogLevel::Error | LogLevel::Warn) => Some(LogLevel::Info),
            (1, _) | (2, LogLevel::Error | LogLevel::Warn) => Some(LogLevel::Debug),
            _ => Some(LogLevel::Trace),
        }
    }

    /// Connects to the daemon, or opens an engine in this process.
    pub(crate) async fn engine(&self, network: Network) -> Result<Engine, ApiError> {
        let config = self.config(Flags::default())?;
        let name = (config.name.origin != Origin::Default).then_some(config.name.value);
        // A command that may do without does not open a port that nobody chose, nor tell peers about it.
        let network = match network {
            Network::IfPossible if config.listen.origin == Origin::Default => Network::DialOnly,
            other => other,
        };
        let options = Options { listen: config.listen.value, name, network };
        let engine = engine::open(&self.home, self.command, options).await?;
        if let Engine::Own(own) = &engine {
            *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own.clone());
        }
        Ok(engine)
    }

    /// Connects to the daemon for something that only it can do.
    pub(crate) async fn daemon(&self, why: &str) -> Result<Client, ApiError> {
        engine::daemon(&self.home).await?.ok_or_else(|| {
            let message = format!("{why}, and no daemon runs on the home {}", self.home.dir().display());
            ApiError::new(ErrorCode::Unreachable, message).with_hint("Start it with `evenfold daemon`.")
        })
    }

    /// Returns the handle with which an engine of our own is ended.
    pub(crate) fn own_engine(&self) -> Arc<Mutex<Option<Own>>> {
        Arc::clone(&self.own)
    }

    /// Whether somebody is there to answer.
    pub(crate) fn can_ask(&self) -> bool {
        !self.no_input && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question on the terminal; no answer means no.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool, ApiError> {
        let prompt = format!("{} [y/N] ", safe(question));
        let answer = tokio::task::spawn_blocking(move || {
            let mut stderr = io::stderr().lock();
            stderr.write_all(prompt.as_bytes())?;
            stderr.flush()?;
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let answer = answer.map_err(|error| {
            ApiError::new(
                ErrorCode::Io,
                format!("the answer could not be read, so nothing was done: {error}"),
            )
        })?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}
