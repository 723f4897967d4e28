//! `evenfold daemon`: the node, in the foreground, until it is told to end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenfold_node::api::{ApiError, ConfigEntry, ErrorCode, Event, Reply, Request};
use evenfold_node::config::{Flags, LogLevel, Origin};
use evenfold_node::control::{self, Listener, Service};
use evenfold_node::home::Home;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::DaemonArgs;
use crate::context::Context;
use crate::embed;
use crate::exit::Exit;
use crate::logging;

/// How long a short command may hold the home before we give up. Together with the start-up itself it stays below the
/// second within which a second daemon has to say who holds the home.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long an orderly end may take; after that the process just ends, which loses nothing.
const ORDERLY: Duration = Duration::from_secs(8);

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
        let name = (config.name.origin != Origin::Default).then(|| config.name.value.clone());
        let node = embed::open_daemon(home, config.listen.value.clone(), name).await?;
        let listener = Listener::bind(home, &lock).map_err(|error| {
            let message = format!("the control socket of {} cannot be made: {error}", home.dir().display());
            ApiError::new(ErrorCode::Io, message).with_hint("Give a home on a local disk with --home DIR.")
        })?;
        let service = Daemon { node: node.service(), home: home.clone(), config: config.entries() };
        notify(NotifyState::Ready);
        tracing::info!(home = %home.dir().display(), socket = %listener.path().display(), "the daemon is ready");
        let asked = async {
            tokio::select! {
                () = signals.any() => tracing::info!("a signal asks the daemon to end"),
                () = node.ended() => tracing::info!("a command asks the daemon to end"),
            }
            notify(NotifyState::Stopping);
        };
        control::serve(listener, Arc::new(service), asked).await;
        if tokio::time::timeout(ORDERLY, node.shutdown()).await.is_err() {
            tracing::warn!("the node did not end in time; nothing is lost, the next start looks at everything");
        }
        tracing::info!("the daemon has ended");
        Ok(Exit::Done)
    });
    if let Err(error) = &outcome {
        tracing::error!("{error}");
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    outcome
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

/// The node, with what only its process knows: its settings and its log.
struct Daemon<S> {
    node: S,
    home: Home,
    config: Vec<ConfigEntry>,
}

#[async_trait]
impl<S: Service> Service for Daemon<S> {
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError> {
        match request {
            Request::ConfigShow => Ok(Reply::Config(self.config.clone())),
            Request::Log { lines } => {
                let home = self.home.clone();
                let read = tokio::task::spawn_blocking(move || logging::newest_lines(&home, lines as usize));
                match read.await {
                    Ok(read) => read.map(Reply::Log),
                    Err(error) => Err(ApiError::new(ErrorCode::Internal, error.to_string())),
                }
            }
            other => self.node.call(other, events).await,
        }
    }
}
