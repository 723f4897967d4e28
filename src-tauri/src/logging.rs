//! What is logged: to standard error, and, while the node runs here, to the files of its home, which `evenfold log` shows.
//! While a daemon runs it, those files are the daemon's.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use evenfold_node::api::ApiError;
use evenfold_node::config::{Config, Flags};
use evenfold_node::home::Home;
use evenfold_node::log::{Line, LogFiles, filter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::OptionalWriter;
use tracing_subscriber::prelude::*;

static FILES: OnceLock<LogFiles> = OnceLock::new();

/// The files of the home, once they are ours to write.
struct OnceHosting;

impl MakeWriter<'_> for OnceHosting {
    type Writer = OptionalWriter<Line<'static>>;

    fn make_writer(&self) -> Self::Writer {
        FILES.get().map_or_else(OptionalWriter::none, |files| OptionalWriter::some(files.make_writer()))
    }
}

/// Begins to log to standard error.
///
/// # Errors
/// When the settings of the node are wrong.
pub(crate) fn begin(home: &Home) -> Result<(), ApiError> {
    let config = Config::load(home, &Flags::default(), &|name| std::env::var_os(name))?;
    let stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let file = tracing_subscriber::fmt::layer().with_writer(OnceHosting).with_ansi(false);
    tracing_subscriber::registry().with(filter(config.log.value)).with(stderr).with(file).init();
    Ok(())
}

/// Logs to the files of the home from now on. Whoever calls it holds the home's lock.
///
/// # Errors
/// When the log cannot be written.
pub(crate) fn to_home(home: &Home, size: u64) -> Result<(), ApiError> {
    if FILES.get().is_none() {
        // Another thread that was quicker has opened the same files.
        _ = FILES.set(LogFiles::open(home, size)?);
    }
    Ok(())
}

/// Says why the process ends, where whoever started it can see.
pub(crate) fn last_words(error: &ApiError) {
    let hint = error.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
    // There is nobody left to tell that this failed.
    _ = writeln!(io::stderr(), "evenfold-desktop: {error}{hint}");
}
