//! The SSH server that every node runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::algorithms::server_config;
use crate::connection::Established;
use crate::dial::CutOnDrop;
use crate::mux::Stream;
use crate::pairing::{Offers, Visitor};
use crate::socket::Socket;
use crate::strict::Other;
use crate::transport::Transport;
use crate::{Connection, Identity, Limits, PeerKey, Remote};

mod admission;
mod handler;

use admission::{Admission, Place};
use handler::{Entered, Role, ServerHandler};

/// Logged-in connections that wait for [`Server::accept`]. More of them wait in their own tasks, which
/// the limits on connections bound; this is only what can be handed over without a switch of tasks.
const HANDED_OVER: usize = 16;
/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 128;
/// Pause after a failed accept: running out of descriptors does not end by trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Decides who may log in. Asked at every login, so removing a pin shuts its holder out at once;
/// connections that exist are the owner's to close.
pub trait Gate: Send + Sync + 'static {
    /// Tells whether a peer with this key may log in now. Must not block.
    fn is_pinned(&self, key: &PeerKey) -> bool;
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct BindError {
    /// The address that could not be used.
    pub addr: SocketAddr,
    /// The system's reason.
    pub source: io::Error,
}

/// A listening SSH server. Dropping it shuts it down.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    incoming: Mutex<mpsc::Receiver<Arc<Connection>>>,
    sender: mpsc::Sender<Arc<Connection>>,
    pub(crate) core: Arc<Core>,
}

/// What the tasks of a server share.
pub(crate) struct Core {
    pub(crate) identity: Arc<Identity>,
    gate: Arc<dyn Gate>,
    limits: Limits,
    config: Arc<russh::server::Config>,
    admission: Arc<Admission>,
    pub(crate) offers: Arc<Offers>,
    shutdown: watch::Sender<bool>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on all of `addrs`, or on none if one of them fails. Port 0 chooses a free one.
    ///
    /// IPv6 addresses take IPv6 only: to listen on everything, name `0.0.0.0` and `[::]`.
    pub async fn bind(
        addrs: &[SocketAddr],
        identity: Arc<Identity>,
        gate: Arc<dyn Gate>,
        limits: Limits,
    ) -> Result<Server, BindError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for addr in addrs {
            let fail = |source| BindError { addr: *addr, source };
            let listener = listen(*addr).map_err(fail)?;
            addresses.push(listener.local_addr().map_err(fail)?);
            listeners.push(listener);
        }
        let core = Arc::new(Core {
            config: server_config(&identity, &limits),
            admission: Admission::new(limits.clone()),
            offers: Arc::default(),
            shutdown: watch::Sender::new(false),
            identity,
            gate,
            limits,
        });
        let (sender, receiver) = mpsc::channel(HANDED_OVER);
        for listener in listeners {
            tokio::spawn(serve(core.clone(), listener, sender.clone()));
        }
        Ok(Server { addresses, incoming: Mutex::new(receiver), sender, core })
    }

    /// Returns the addresses listened on, with their actual ports, in the order of `bind`.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Waits for the next peer that has logged in; `None` after a shutdown. Safe to cancel.
    pub async fn accept(&self) -> Option<Arc<Connection>> {
        let mut incoming = self.incoming.lock().await;
        tokio::select! {
            biased;
            next = incoming.recv() => next,
            () = self.core.shut_down() => None,
        }
    }

    /// Takes in whoever is at the other end of a stream that the node `middle` passes on, exactly as if it had
    /// connected by itself: it logs in with a pinned key, or with a pairing code, and counts against the same limits.
    pub fn welcome_through(&self, stream: Stream, middle: PeerKey) {
        let Some(place) = self.core.admission.enter() else {
            return tracing::warn!(%middle, "turned away through another node: too many connections");
        };
        let (below, remote) = (Transport::Stream(stream), Remote::Through(middle));
        tokio::spawn(welcome(self.core.clone(), below, remote, place, self.sender.clone()));
    }

    /// Stops listening and drops logins under way. Connections already accepted live on.
    pub fn shutdown(&self) {
        self.core.shutdown.send_replace(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Core {
    async fn shut_down(&self) {
        // An error would mean that the sender is gone; it lives in `self`.
        let _ = self.shutdown.subscribe().wait_for(|down| *down).await;
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections to time out. On Windows the option means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn serve(core: Arc<Core>, listener: TcpListener, sender: mpsc::Sender<Arc<Connection>>) {
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((tcp, addr)) => match core.admission.enter() {
                    Some(place) => {
                        let (below, remote) = (Transport::Tcp(tcp), Remote::Address(addr));
                        tokio::spawn(welcome(core.clone(), below, remote, place, sender.clone()));
                    }
                    None => tracing::warn!(%addr, "turned away: too many connections"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = core.shut_down() => {}
    }
}

/// Sees one connection through its login, and keeps its place until it has ended.
async fn welcome(
    core: Arc<Core>,
    below: Transport,
    addr: Remote,
    mut place: Place,
    sender: mpsc::Sender<Arc<Connection>>,
) {
    let deadline = Instant::now() + core.limits.login_deadline;
    let (socket, line) = match Socket::new(below, Other::Client) {
        Ok(made) => made,
        Err(error) => return tracing::debug!(%addr, %error, "lost before it began"),
    };
    let guard = CutOnDrop(Some(line.clone()));
    let (entered_sender, entered) = oneshot::channel();
    let handler = ServerHandler::new(core.gate.clone(), core.offers.clone(), entered_sender);
    let login = async {
        let session = russh::server::run_stream(core.config.clone(), socket, handler).await?;
        // russh drops the handler, and with it the sender, when the session ends.
        let entered = entered.await.map_err(|_| russh::Error::Disconnect)?;
        Ok::<_, russh::Error>((session, entered))
    };
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, login) => outcome,
        () = core.shut_down() => return,
    };
    let (session, entered) = match outcome {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            let why = line.cut_reason().map_or_else(|| error.to_string(), str::to_owned);
            return tracing::info!(%addr, why, "no login");
        }
        Err(_) => {
            line.cut("not logged in in time");
            return tracing::info!(%addr, "not logged in in time");
        }
    };

    let Entered { role, key, channel } = entered;
    let handle = session.handle();
    if role == Role::Pairing {
        // Keeps its place among the strangers: pairing does not make it a peer yet.
        let visitor = Visitor { key, own_key: core.identity.key(), addr, channel };
        core.offers.receive(visitor).await;
        // Lets the last message out; the guard cuts whatever remains.
        let _ =
            handle.disconnect(Disconnect::ByApplication, "pairing ended".to_owned(), "en".to_owned()).await;
        let _ = timeout_at(Instant::now() + Duration::from_secs(2), line.ended()).await;
        return;
    }
    // Once more: the pin may have been removed while the channel was being opened.
    if !core.gate.is_pinned(&key) {
        return tracing::info!(%addr, peer = %key, "unpinned while logging in");
    }
    if !place.logged_in(key) {
        tracing::warn!(%addr, peer = %key, "turned away: too many connections from this peer");
        return;
    }
    let established = Established { peer: key, remote: addr, dialled: false, channel, line: line.clone() };
    let connection = Connection::start(established, &core.limits, move |reason, text| async move {
        // Fails only if the session has ended, which is what is wanted.
        let _ = handle.disconnect(reason, text, "en".to_owned()).await;
    });
    guard.keep();
    tokio::select! {
        // An error means that the server is gone; the connection that comes back in it is dropped.
        _ = sender.send(Arc::new(connection)) => {}
        () = core.shut_down() => {}
    }
    drop(sender);
    line.ended().await;
    drop(place);
}
