//! The way from a command to the node: the daemon that runs on the home, or else an engine of our own for this command.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenfold_node::api::{ApiError, ErrorCode, Event, Reply, Request};
use evenfold_node::control::{Client, EVENTS, Service};
use evenfold_node::home::{Home, HomeLock, LockError};
use tokio::sync::mpsc;

use crate::embed::{self, Embedded, Options};

/// How long another short command may hold the home before we give up.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long a daemon may take to start before its socket answers.
const STARTING: Duration = Duration::from_secs(15);

/// Whatever answers requests.
pub(crate) enum Engine {
    /// The daemon of the home.
    Daemon(Client),
    /// An engine in this process, which holds the home's lock.
    Own(Own),
}

/// An engine in this process.
#[derive(Clone)]
pub(crate) struct Own {
    node: Embedded,
    // Ends after the node.
    _lock: Arc<HomeLock>,
}

impl Own {
    /// Ends the engine in an orderly way.
    pub(crate) async fn shutdown(&self) {
        self.node.shutdown().await;
    }
}

/// Connects to the daemon of `home`, if one runs. Waits for one that is starting.
///
/// # Errors
/// When a daemon holds the home but cannot be talked to.
pub(crate) async fn daemon(home: &Home) -> Result<Option<Client>, ApiError> {
    let began = Instant::now();
    loop {
        if let Some(client) = Client::connect(home).await? {
            return Ok(Some(client));
        }
        if !home.has_daemon() {
            return Ok(None);
        }
        if began.elapsed() > STARTING {
            let message = format!("a daemon holds the home {} but does not answer", home.dir().display());
            let hint = "Look into its log with `evenfold log`, or end it and start it again.";
            return Err(ApiError::new(ErrorCode::Timeout, message).with_hint(hint));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Connects to the daemon, or opens an engine in this process. `what` is the command, for others who find the home
/// taken.
///
/// # Errors
/// When the home is taken by something that is no daemon, or the node cannot be opened.
pub(crate) async fn open(home: &Home, what: &str, options: Options) -> Result<Engine, ApiError> {
    loop {
        if let Some(client) = daemon(home).await? {
            return Ok(Engine::Daemon(client));
        }
        home.create()
            .map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
        let (taken, asked) = (home.clone(), what.to_owned());
        let lock = tokio::task::spawn_blocking(move || taken.lock_within(&asked, PATIENCE)).await;
        match lock.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))? {
            Ok(lock) => {
                let node = embed::open_node(home, options).await?;
                return Ok(Engine::Own(Own { node, _lock: Arc::new(lock) }));
            }
            Err(LockError::Held { .. }) if home.has_daemon() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Engine {
    /// Asks one thing and waits for the answer; `on_event` sees what happens meanwhile.
    ///
    /// # Errors
    /// What the node says.
    pub(crate) async fn call(
        &mut self,
        request: Request,
        on_event: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Reply, ApiError> {
        match self {
            Engine::Daemon(client) => client.call(request, on_event).await,
            Engine::Own(own) => call_service(&own.node.service(), request, on_event).await,
        }
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// What the node says.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Reply, ApiError> {
        self.call(request, &mut |_| {}).await
    }

    /// Tells whether a daemon answers, which goes on when the command ends.
    pub(crate) fn is_daemon(&self) -> bool {
        matches!(self, Engine::Daemon(_))
    }
}

async fn call_service(
    service: &impl Service,
    request: Request,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<Reply, ApiError> {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let call = service.call(request, sender);
    tokio::pin!(call);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => on_event(event),
            outcome = &mut call => return outcome,
        }
    }
}

/// A reply of another kind than the request has. Cannot happen between equal versions.
pub(crate) fn unexpected() -> ApiError {
    ApiError::new(ErrorCode::Internal, "the running daemon answered something else than was asked")
        .with_hint("If Evenfold was updated, restart the daemon.")
}

/// Asks and takes the answer out of its variant: `ask!(engine, Request::PeerList, Peers)`.
macro_rules! ask {
    ($engine:expr, $request:expr, $variant:ident) => {
        match $engine.ask($request).await? {
            evenfold_node::api::Reply::$variant(data) => Ok(data),
            _ => Err(crate::engine::unexpected()),
        }
    };
}
pub(crate) use ask;
