//! A live connection to a pinned peer, the same whichever side dialled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::{Channel, ChannelId, ChannelMsg, Disconnect};

use crate::mux::carrier::{ChannelInward, ChannelOutward};
use crate::mux::{Mux, OpenError, Stream};
use crate::socket::Line;
use crate::{Limits, PeerKey, Remote};

/// How long a goodbye may take to reach the other side before the socket is closed without it.
const GOODBYE: Duration = Duration::from_secs(2);

/// An encrypted connection to a peer that has proven to hold its pinned key.
///
/// It ends by [`Connection::close`], when it is dropped, when the other side closes it, when the line
/// fails, or when the other side breaks the protocol. Its streams end with it.
#[derive(Debug)]
pub struct Connection {
    peer: PeerKey,
    remote: Remote,
    dialled: bool,
    mux: Mux,
    line: Arc<Line>,
}

/// What both ways to a connection (dial and serve) have found out when they are through.
pub(crate) struct Established<S: From<(ChannelId, ChannelMsg)>> {
    pub(crate) peer: PeerKey,
    pub(crate) remote: Remote,
    pub(crate) dialled: bool,
    pub(crate) channel: Channel<S>,
    pub(crate) line: Arc<Line>,
}

impl Connection {
    /// Starts the tasks of a connection. `goodbye` sends SSH's disconnect message with a reason.
    pub(crate) fn start<S, F, Fut>(established: Established<S>, limits: &Limits, goodbye: F) -> Self
    where
        S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
        F: FnOnce(Disconnect, String) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let Established { peer, remote, dialled, channel, line } = established;
        let (read, write) = channel.split();
        let inward = ChannelInward::new(read, Some(line.clone()), Bytes::new());
        let outward = ChannelOutward::new(write, Some(line.clone()));
        let mux = Mux::start(inward, outward, dialled, limits);
        let (ended, socket) = (mux.watch_end(), line.clone());
        tokio::spawn(async move {
            let reason = ended.await;
            tracing::debug!(%peer, %remote, %reason, "connection ended");
            let leave = async {
                goodbye(Disconnect::ByApplication, reason.to_string()).await;
                socket.ended().await;
            };
            if tokio::time::timeout(GOODBYE, leave).await.is_err() {
                socket.cut("the other side did not let the connection end");
            }
        });
        Self { peer, remote, dialled, mux, line }
    }

    /// Returns the key that the other side has proven to hold.
    pub fn peer(&self) -> PeerKey {
        self.peer
    }

    /// Returns where the other side is.
    pub fn remote(&self) -> Remote {
        self.remote
    }

    /// Tells whether this side dialled.
    pub fn dialled(&self) -> bool {
        self.dialled
    }

    /// Opens a stream to the other side, at no round trip: it may be written at once.
    ///
    /// The other side gets it from [`Connection::accept`]; should it refuse, because too many are open
    /// there, reading gives `ConnectionReset`.
    pub async fn open(&self) -> Result<Stream, OpenError> {
        self.mux.open()
    }

    /// Waits for the next stream that the other side opened; `None` once the connection has ended.
    ///
    /// At most [`Limits::streams`] wait here, each with at most its first window of content. Safe to
    /// cancel; several callers each get streams of their own.
    pub async fn accept(&self) -> Option<Stream> {
        self.mux.accept().await
    }

    /// Ends the connection and tells the other side why. Returns at once; what streams have written and
    /// the network has not taken is lost, so finish them first.
    pub fn close(&self, reason: &str) {
        self.mux.end(reason);
    }

    /// Waits until the connection has ended, for whatever reason.
    pub async fn closed(&self) {
        self.mux.ended().await;
    }

    /// Waits until the connection has ended and returns why, in words for a log.
    pub async fn close_reason(&self) -> String {
        self.mux.ended().await.to_string()
    }

    /// Returns the bytes (sent, received) over the socket so far, all overhead of SSH included.
    pub fn bytes(&self) -> (u64, u64) {
        self.line.bytes()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.mux.end("no longer needed");
    }
}
