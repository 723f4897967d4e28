//! `evenfold daemon`: the node, in the foreground, until it is told to end.

use std::time::Duration;

use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::config::{Flags, LogLevel};
use evenfold_node::host::Host;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::DaemonArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::logging;

/// How long a short command may hold the home before we give up. Together with the start-up itself it stays below the
/// second within which a second daemon has to say who holds the home.
const PATIENCE: Duration = Duration::from_millis(800);

/// Runs the daemon.
///
/// # Errors
/// When the home is taken, or the node cannot be opened.
pub(crate) fn run(context: &Context, arguments: &DaemonArgs) -> Result<Exit, ApiError> {
    let home = &context.home;
    let flags = Flags {
        name: arguments.name.clone(),
        listen: arguments.listen.clone(),
        log: context.log_level(LogLevel::Info),
    };
    let config = context.config(flags)?;
    home.create().map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
    let lock = home.lock_for_daemon(PATIENCE)?;
    logging::for_daemon(home, config.log.value, config.log_size.value)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| ApiError::new(ErrorCode::Io, format!("the daemon could not start: {error}")))?;
    let outcome = runtime.block_on(async {
        // Asked for first, so that a signal during the start is not lost.
        let signals = Signals::new()?;
        let host = Host::open(home, &config, lock).await?;
        notify(NotifyState::Ready);
        let ended = host.ended();
        let asked = async {
            tokio::select! {
                () = signals.any() => tracing::info!("a signal asks the daemon to end"),
                () = ended => tracing::info!("a command asks the daemon to end"),
            }
            notify(NotifyState::Stopping);
        };
        Ok(host.run(asked).await)
    });
    if let Err(error) = &outcome {
        tracing::error!("{error}");
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    // Others may have the home only now that nothing of ours runs any more.
    outcome.map(drop).map(|()| Exit::Done)
}

/// Tells systemd, if it started us.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Signals, ApiError> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                ApiError::new(ErrorCode::Io, format!("the daemon cannot listen for signals: {error}"))
            })
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn any(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
