//! Showing something again whenever it may have changed.

use std::time::Duration;

use evenfold_node::api::{ApiError, Reply, Request};
use evenfold_node::control::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::context::Context;

/// Shortest time between two showings: more is flicker, and each costs the daemon a look.
const AT_MOST: Duration = Duration::from_millis(250);

/// Longest time between two showings: ages grow, and a nudge may have been lost.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Nudges of the daemon that something may have changed.
pub(super) struct Changes {
    nudges: mpsc::Receiver<()>,
    subscription: JoinHandle<Result<Reply, ApiError>>,
    last: Instant,
}

impl Changes {
    /// Subscribes with a connection of its own.
    pub(super) async fn subscribe(context: &Context) -> Result<Changes, ApiError> {
        let mut client: Client = context.daemon("watching needs somebody who watches").await?;
        // One is enough: it stands for all that came before the next look.
        let (nudge, nudges) = mpsc::channel(1);
        let subscription = tokio::spawn(async move {
            let mut on_event = |_| {
                // Full means that a nudge waits already.
                let _ = nudge.try_send(());
            };
            client.call(Request::Subscribe, &mut on_event).await
        });
        Ok(Changes { nudges, subscription, last: Instant::now() })
    }

    /// Waits until it is time to look again.
    ///
    /// # Errors
    /// When the daemon has ended.
    pub(super) async fn next(&mut self) -> Result<(), ApiError> {
        sleep_until(self.last + AT_MOST).await;
        let nudged = timeout(AT_LEAST, self.nudges.recv()).await;
        self.last = Instant::now();
        if matches!(nudged, Ok(None)) {
            return match (&mut self.subscription).await {
                Ok(Err(error)) => Err(error),
                _ => Err(crate::engine::unexpected()),
            };
        }
        Ok(())
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.subscription.abort();
    }
}

/// Clears the screen, so that what follows is shown in place of what stood there.
pub(super) fn clear(context: &mut Context) -> Result<(), ApiError> {
    if context.out.is_terminal() && !context.out.is_json() {
        context.out.raw(b"\x1b[H\x1b[2J")
    } else {
        Ok(())
    }
}
