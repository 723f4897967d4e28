//! The node in this process.

use std::sync::Arc;
use std::time::Duration;

use evenfold_node::api::{ApiError, Request};
use evenfold_node::config::{Config, Flags};
use evenfold_node::control::EVENTS;
use evenfold_node::home::{HomeLock, LockError};
use evenfold_node::host::Host;
use tokio::sync::mpsc;

use super::{Engine, Order};
use crate::logging;
use crate::tray::state::Link;

/// How long a short command may hold the home before we look again.
const PATIENCE: Duration = Duration::from_millis(800);

/// How the hosting ended.
pub(super) enum Ending {
    /// We, or a request, asked for it.
    Asked,
    /// Somebody else holds the home and will answer, or give it back.
    Taken,
    /// It could not begin.
    Failed(ApiError),
}

impl Engine {
    /// Runs the node here until it is asked to end.
    pub(super) async fn host(self: &Arc<Self>, orders: &mut mpsc::Receiver<Order>) -> Ending {
        let lock = match self.lock().await {
            Ok(lock) => lock,
            // A daemon that starts answers soon.
            Err(LockError::Held { .. }) if self.home.has_daemon() => return Ending::Taken,
            Err(error) => return Ending::Failed(error.into()),
        };
        let opened = async {
            let config = Config::load(&self.home, &Flags::default(), &|name| std::env::var_os(name))?;
            logging::to_home(&self.home, config.log_size.value)?;
            Host::open(&self.home, &config, lock).await
        };
        let host = match opened.await {
            Ok(host) => host,
            Err(error) => return Ending::Failed(error),
        };
        let service = host.service();
        let (sender, mut events) = mpsc::channel(EVENTS);
        let (listening, everybody) = (Arc::clone(&service), self.events.clone());
        let listener = tokio::spawn(async move {
            let call = listening.call(Request::Subscribe, sender);
            tokio::pin!(call);
            loop {
                tokio::select! {
                    Some(event) = events.recv() => { _ = everybody.send(event); }
                    _ = &mut call => return,
                }
            }
        });
        self.serve(Some(service), Link::Running { attached: false });
        let ended = host.ended();
        let asked = async {
            tokio::pin!(ended);
            loop {
                tokio::select! {
                    () = &mut ended => return,
                    order = orders.recv() => match order {
                        Some(Order::TakeOver) => {}
                        Some(Order::End) | None => return,
                    },
                }
            }
        };
        let lock = host.run(asked).await;
        listener.abort();
        self.serve(None, Link::Starting);
        drop(lock);
        Ending::Asked
    }

    async fn lock(&self) -> Result<HomeLock, LockError> {
        let home = self.home.clone();
        let taken = tokio::task::spawn_blocking(move || home.lock_to_host("desktop", PATIENCE)).await;
        taken.unwrap_or_else(|error| {
            let error = std::io::Error::other(error);
            Err(LockError::Unusable { path: self.home.dir().to_path_buf(), error })
        })
    }
}
