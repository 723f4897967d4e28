//! The way to the node: hosted in this process, or that of a daemon which already runs on the home. Never two.
//!
//! Whoever holds the home's lock runs the node; the others talk to it over the control socket. When the daemon goes
//! away, nobody knows whether it was meant: a restart is waited for, then it is said, and a person decides.

mod attached;
mod hosted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenfold_node::api::{ApiError, ErrorCode, Event, Reply, Request};
use evenfold_node::control::{Client, EVENTS, Service};
use evenfold_node::home::Home;
use tokio::sync::{broadcast, mpsc, watch};

use crate::tray::state::Link;

/// How long a daemon that went away may take to come back, as after an update or a crash, before it counts as ended.
const COMING_BACK: Duration = Duration::from_secs(10);

/// How often a daemon is looked for that may come back at any moment.
const SOON: Duration = Duration::from_millis(200);

/// How often it is looked for later.
const LATER: Duration = Duration::from_secs(3);

/// Events that a slow listener may lag behind; they are nudges to read again.
const LISTENERS: usize = 256;

/// What a person or the end of the process asks for. Few of them can be under way: the queue holds a handful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    TakeOver,
    End,
}

/// The node, wherever it runs.
pub(crate) struct Engine {
    home: Home,
    link: watch::Sender<Link>,
    service: Mutex<Option<Arc<dyn Service>>>,
    events: broadcast::Sender<Event>,
    orders: mpsc::Sender<Order>,
    ended: watch::Sender<bool>,
}

impl Engine {
    /// Begins to look for the node of `home`, or to host it. Call it within the runtime.
    pub(crate) fn start(home: Home) -> Arc<Engine> {
        let (orders, received) = mpsc::channel(4);
        let engine = Arc::new(Engine {
            home,
            link: watch::Sender::new(Link::Starting),
            service: Mutex::new(None),
            events: broadcast::Sender::new(LISTENERS),
            orders,
            ended: watch::Sender::new(false),
        });
        let running = Arc::clone(&engine);
        tokio::spawn(async move {
            running.supervise(received).await;
            running.ended.send_replace(true);
        });
        engine
    }

    /// Returns the home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Returns where the node stands, now and from now on.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Returns what happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Asks the node one thing. Dropping the future cancels it.
    ///
    /// # Errors
    /// What the node says, or that there is none.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, ApiError> {
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(service) = service else { return Err(self.absent()) };
        let (sender, mut events) = mpsc::channel(EVENTS);
        let call = service.call(request, sender);
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                // What happens while a request runs concerns everybody who looks.
                Some(event) = events.recv() => { _ = self.events.send(event); }
                outcome = &mut call => return outcome,
            }
        }
    }

    /// Runs the node here after its daemon has ended, or tries again what failed.
    pub(crate) fn take_over(&self) {
        // Full means that this was asked for already.
        _ = self.orders.try_send(Order::TakeOver);
    }

    /// Ends the node in an orderly way, if it runs here, and waits for it.
    pub(crate) async fn end(&self) {
        let mut ended = self.ended.subscribe();
        _ = self.orders.send(Order::End).await;
        // An error means that nothing runs any more.
        _ = ended.wait_for(|ended| *ended).await;
    }

    /// Waits until the node was asked to end by somebody else and has ended.
    pub(crate) async fn ended(&self) {
        _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn absent(&self) -> ApiError {
        match &*self.link.borrow() {
            Link::Lost => ApiError::new(
                ErrorCode::Unreachable,
                "the Evenfold service has ended; nothing was done",
            )
            .with_hint(
                "start it again, or let this application sync: \u{201c}Sync from here\u{201d} in the tray",
            ),
            Link::Failed { message, hint } => {
                let error = ApiError::new(ErrorCode::Io, message.clone());
                hint.iter().fold(error, |error, hint| error.with_hint(hint))
            }
            Link::Starting | Link::Running { .. } => {
                ApiError::new(ErrorCode::Timeout, "Evenfold is still starting; nothing was done")
                    .with_hint("try again in a moment")
            }
        }
    }

    fn serve(&self, service: Option<Arc<dyn Service>>, link: Link) {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner) = service;
        self.link.send_replace(link);
    }

    async fn supervise(self: &Arc<Self>, mut orders: mpsc::Receiver<Order>) {
        // Whether the home may be taken; not while a daemon may come back to it.
        let mut may_host = true;
        let mut gone_since = None;
        loop {
            let wait = match Client::connect(&self.home).await {
                Ok(Some(client)) => {
                    drop(client);
                    if self.attach(&mut orders).await {
                        return;
                    }
                    (may_host, gone_since) = (false, Some(tokio::time::Instant::now()));
                    self.serve(None, Link::Starting);
                    SOON
                }
                Ok(None) if may_host => match self.host(&mut orders).await {
                    hosted::Ending::Asked => return,
                    hosted::Ending::Taken => SOON,
                    hosted::Ending::Failed(error) => {
                        tracing::error!(%error, "the node cannot be run here");
                        self.serve(None, Link::Failed { message: error.message, hint: error.hint });
                        LATER
                    }
                },
                Ok(None) => match gone_since {
                    Some(since) if since.elapsed() < COMING_BACK => SOON,
                    _ => {
                        if *self.link.borrow() != Link::Lost {
                            tracing::warn!("the daemon has ended; nothing syncs until somebody decides");
                            self.serve(None, Link::Lost);
                        }
                        LATER
                    }
                },
                Err(error) => {
                    self.serve(None, Link::Failed { message: error.message, hint: error.hint });
                    LATER
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::TakeOver) => may_host = true,
                    Some(Order::End) | None => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
