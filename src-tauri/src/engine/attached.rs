//! The node of a daemon, over the control socket of its home.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_node::api::{ApiError, ErrorCode, Event, Reply, Request};
use evenfold_node::control::{Client, Service};
use evenfold_node::home::Home;
use tokio::sync::{Semaphore, mpsc};

use super::{Engine, Order};
use crate::tray::state::Link;

/// Requests under way at the same time, each on a connection of its own: a window asks far fewer, and the daemon admits
/// four times as many.
const MOST_CALLS: usize = 16;

/// A node that answers over the control socket.
struct Remote {
    home: Home,
    places: Semaphore,
}

#[async_trait]
impl Service for Remote {
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError> {
        // The semaphore is never closed.
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let Some(mut client) = Client::connect(&self.home).await? else {
            let message = "the Evenfold service has just ended; nothing was done";
            return Err(ApiError::new(ErrorCode::Unreachable, message).with_hint("try again in a moment"));
        };
        // A full channel drops events: they are nudges.
        client.call(request, &mut |event| _ = events.try_send(event)).await
    }
}

impl Engine {
    /// Uses the daemon until it goes away. Returns whether we were asked to end.
    pub(super) async fn attach(self: &Arc<Self>, orders: &mut mpsc::Receiver<Order>) -> bool {
        let mut listener = match Client::connect(&self.home).await {
            Ok(Some(client)) => client,
            Ok(None) | Err(_) => return false,
        };
        tracing::info!(home = %self.home.dir().display(), "attached to the daemon that runs");
        let remote = Remote { home: self.home.clone(), places: Semaphore::new(MOST_CALLS) };
        self.serve(Some(Arc::new(remote)), Link::Running { attached: true });
        let mut pass = |event| _ = self.events.send(event);
        let listening = listener.call(Request::Subscribe, &mut pass);
        tokio::pin!(listening);
        loop {
            tokio::select! {
                outcome = &mut listening => {
                    tracing::info!(?outcome, "the daemon does not answer any more");
                    return false;
                }
                order = orders.recv() => match order {
                    Some(Order::TakeOver) => {}
                    Some(Order::End) | None => return true,
                },
            }
        }
    }
}
