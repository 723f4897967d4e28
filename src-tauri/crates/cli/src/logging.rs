//! What is logged, and where: a command to standard error, the daemon also into the files of its home.

use std::io::{self, IsTerminal as _};

use evenfold_node::api::ApiError;
use evenfold_node::config::LogLevel;
use evenfold_node::home::Home;
use evenfold_node::log::{LogFiles, filter};
use tracing_subscriber::prelude::*;

use crate::context::Context;

/// Logs to standard error what `-v` asks for; without it, nothing: errors are told as such.
pub(crate) fn for_command(context: &Context) {
    let Some(level) = context.log_level(LogLevel::Warn) else { return };
    let stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(is_coloured());
    tracing_subscriber::registry().with(filter(level)).with(stderr).init();
}

/// Logs to standard error, for whoever started the daemon, and into the home.
///
/// # Errors
/// When the log file cannot be written.
pub(crate) fn for_daemon(home: &Home, level: LogLevel, size: u64) -> Result<(), ApiError> {
    let files = LogFiles::open(home, size)?;
    let stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(is_coloured());
    let file = tracing_subscriber::fmt::layer().with_writer(files).with_ansi(false);
    tracing_subscriber::registry().with(filter(level)).with(stderr).with(file).init();
    Ok(())
}

fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
