//! Reaching a peer: several addresses, one expected key.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{self, AuthResult};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::algorithms::{PEER_SUBSYSTEM, PEER_USER, client_config};
use crate::connection::Established;
use crate::mux::Stream;
use crate::socket::{Line, Socket};
use crate::strict::Other;
use crate::transport::Transport;
use crate::{Connection, Identity, Limits, PeerKey, Remote};

/// Head start of each address before the next one is tried beside it, from RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried at most, after names have been resolved: names with many addresses must not
/// make one dial last for minutes.
const MOST_ADDRESSES: usize = 16;

/// Why no connection came about. With several addresses, the most telling failure is reported:
/// a changed key before a refusal before a broken protocol before silence before unreachability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No address could be connected to, or there was none.
    #[error("unreachable: {why}")]
    Unreachable {
        /// Each address with its failure.
        why: String,
    },
    /// No answer within the time allowed.
    #[error("no answer from {addr} in time")]
    Timeout {
        /// The address that did not answer.
        addr: String,
    },
    /// Something answered that does not speak the protocol, or stopped speaking it.
    #[error("{addr} does not speak Evenfold's protocol: {why}")]
    Protocol {
        /// The address that answered.
        addr: String,
        /// What went wrong.
        why: String,
    },
    /// The host does not know this node's key, or knows it no longer.
    #[error("{addr} refused this node's key")]
    Refused {
        /// The address that refused.
        addr: String,
    },
    /// Another key than the pinned one answered: another machine has the address, the peer was set up
    /// anew, or someone is in between. Nothing but the key exchange took place.
    #[error("{addr} has the host key {actual}, expected {expected}")]
    HostKeyChanged {
        /// The address that answered.
        addr: String,
        /// The pinned key.
        expected: PeerKey,
        /// The key that was shown.
        actual: PeerKey,
    },
}

impl DialError {
    fn rank(&self) -> u8 {
        match self {
            DialError::Unreachable { .. } => 0,
            DialError::Timeout { .. } => 1,
            DialError::Protocol { .. } => 2,
            DialError::Refused { .. } => 3,
            DialError::HostKeyChanged { .. } => 4,
        }
    }
}

/// Connects to the peer that holds the `expected` key, at the first of `addrs` where it answers.
///
/// An address is `host:port`, `192.0.2.1:port` or `[::1]:port`. All are resolved, then tried in order,
/// each a quarter of a second after the one before or as soon as that has failed; where TCP stands, SSH
/// follows, and if that fails (as when an address now belongs to another machine) the rest is tried.
/// Cancelling leaves nothing behind.
pub async fn dial(
    addrs: &[String],
    identity: Arc<Identity>,
    expected: &PeerKey,
    limits: Limits,
) -> Result<Arc<Connection>, DialError> {
    let mut race = Race::start(addrs, limits.dial_deadline).await;
    let mut worst: Option<DialError> = None;
    let mut unreachable = std::mem::take(&mut race.failures);
    while let Some((addr, tcp)) = race.next().await {
        unreachable.append(&mut race.failures);
        match login(Transport::Tcp(tcp), Remote::Address(addr), &identity, *expected, &limits).await {
            Ok(connection) => return Ok(Arc::new(connection)),
            Err(error) => {
                tracing::debug!(%addr, %error, "address failed");
                if worst.as_ref().is_none_or(|worst| worst.rank() < error.rank()) {
                    worst = Some(error);
                }
            }
        }
    }
    unreachable.append(&mut race.failures);
    Err(worst.unwrap_or_else(|| match race.timed_out.take() {
        Some(addr) => DialError::Timeout { addr: addr.to_string() },
        None if unreachable.is_empty() => DialError::Unreachable { why: "no address is known".to_owned() },
        None => DialError::Unreachable { why: unreachable.join("; ") },
    }))
}

/// Returns the key of the node that answers at an address, so that it can be compared with what a person was told of it.
/// Nothing but the key exchange takes place.
///
/// # Errors
/// See [`DialError`]; also where the node at the address is this one.
pub async fn host_key(addr: &str, identity: Arc<Identity>, limits: Limits) -> Result<PeerKey, DialError> {
    let ours = identity.key();
    // Our own key is nobody else's: whatever is shown ends the attempt as soon as it is seen.
    match dial(&[addr.to_owned()], identity, &ours, limits).await {
        Err(DialError::HostKeyChanged { actual, .. }) => Ok(actual),
        Err(DialError::Refused { addr }) => {
            Err(DialError::Unreachable { why: format!("{addr} is this node itself") })
        }
        Err(error) => Err(error),
        Ok(connection) => {
            connection.close("not a peer");
            Err(DialError::Unreachable { why: format!("{addr} is this node itself") })
        }
    }
}

/// Connects to the peer that holds the `expected` key over a stream that the node `middle` passes on to it.
///
/// That node sees what any router sees: encrypted bytes, their number and when they travel.
///
/// # Errors
/// See [`DialError`]; addresses in it read `via:` and the middle node's fingerprint.
pub async fn dial_through(
    stream: Stream,
    middle: PeerKey,
    identity: Arc<Identity>,
    expected: &PeerKey,
    limits: Limits,
) -> Result<Arc<Connection>, DialError> {
    let dialled = login(Transport::Stream(stream), Remote::Through(middle), &identity, *expected, &limits);
    dialled.await.map(Arc::new)
}

async fn login(
    below: Transport,
    remote: Remote,
    identity: &Identity,
    expected: PeerKey,
    limits: &Limits,
) -> Result<Connection, DialError> {
    let dialled = SshDial { below, remote, identity, expected: Some(expected), limits };
    let Dialled { session, host_key: peer, channel, line } = dialled.run(PEER_USER, PEER_SUBSYSTEM).await?;
    let established = Established { peer, remote, dialled: true, channel, line };
    Ok(Connection::start(established, limits, |reason, text| async move {
        // Fails only if the session has ended, which is what is wanted.
        let _ = session.disconnect(reason, &text, "en").await;
    }))
}

/// One attempt at one address where TCP stands, or over a stream through another node.
pub(crate) struct SshDial<'a> {
    pub(crate) below: Transport,
    pub(crate) remote: Remote,
    pub(crate) identity: &'a Identity,
    /// `None` accepts any host key, which only pairing does.
    pub(crate) expected: Option<PeerKey>,
    pub(crate) limits: &'a Limits,
}

/// What such an attempt gives.
pub(crate) struct Dialled {
    pub(crate) session: client::Handle<ClientHandler>,
    pub(crate) host_key: PeerKey,
    pub(crate) channel: Channel<client::Msg>,
    pub(crate) line: Arc<Line>,
}

impl SshDial<'_> {
    /// Logs in and asks for the subsystem. Cancelling it, or the deadline, closes the socket.
    pub(crate) async fn run(self, user: &str, subsystem: &str) -> Result<Dialled, DialError> {
        let Self { below, remote: addr, identity, expected, limits } = self;
        let protocol = |why: String| DialError::Protocol { addr: addr.to_string(), why };
        let (socket, line) =
            Socket::new(below, Other::Server).map_err(|error| protocol(error.to_string()))?;
        let guard = CutOnDrop(Some(line.clone()));

        let shown = Arc::new(OnceLock::new());
        let handler = ClientHandler { expected, shown: shown.clone() };
        let attempt = async {
            let mut session = client::connect_stream(client_config(limits), socket, handler).await?;
            let login = session.authenticate_publickey(user, identity.login_key()).await?;
            if !matches!(login, AuthResult::Success) {
                return Ok(None);
            }
            let mut channel = session.channel_open_session().await?;
            channel.request_subsystem(true, subsystem).await?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(Some((session, channel))),
                    Some(ChannelMsg::WindowAdjusted { .. }) => {}
                    _ => return Err(russh::Error::RequestDenied),
                }
            }
        };
        let outcome: Result<_, russh::Error> = match timeout(limits.dial_deadline, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(DialError::Timeout { addr: addr.to_string() }),
        };
        let host_key = shown.get().copied();
        match (outcome, host_key, expected) {
            // Every machine calls itself by some of its addresses; that says nothing of the peer.
            (Err(_), Some(actual), Some(expected)) if actual == identity.key() && actual != expected => {
                Err(DialError::Unreachable { why: format!("{addr} is this node itself") })
            }
            (Err(_), Some(actual), Some(expected)) if actual != expected => {
                Err(DialError::HostKeyChanged { addr: addr.to_string(), expected, actual })
            }
            (Err(error), ..) => Err(protocol(match line.cut_reason() {
                Some(reason) => reason.to_owned(),
                None => error.to_string(),
            })),
            (Ok(None), ..) => Err(DialError::Refused { addr: addr.to_string() }),
            (Ok(Some(_)), None, _) => Err(protocol("no host key was shown".to_owned())),
            (Ok(Some((session, channel))), Some(host_key), _) => {
                guard.keep();
                Ok(Dialled { session, host_key, channel, line })
            }
        }
    }
}

/// Cuts the line unless told to keep it: russh's session would otherwise live on in its task.
pub(crate) struct CutOnDrop(pub(crate) Option<Arc<Line>>);

impl CutOnDrop {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            line.cut("given up");
        }
    }
}

/// The part of a client's handler that denies all channels which the server may want to open to us: russh would accept
/// most of them by itself.
macro_rules! deny_channels {
    () => {
        async fn server_channel_open_session(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_forwarded_tcpip(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            _: &str,
            _: u32,
            _: &str,
            _: u32,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_forwarded_streamlocal(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            _: &str,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_agent_forward(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_direct_tcpip(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            _: &str,
            _: u32,
            _: &str,
            _: u32,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_direct_streamlocal(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            _: &str,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }

        async fn server_channel_open_x11(
            &mut self,
            _: russh::Channel<russh::client::Msg>,
            _: &str,
            _: u32,
            reply: russh::client::ChannelOpenHandle,
            _: &mut russh::client::Session,
        ) -> Result<(), russh::Error> {
            $crate::dial::deny(reply)
        }
    };
}
pub(crate) use deny_channels;

/// What russh asks the dialling side: whether the host key is the right one, and, which we all deny,
/// whether the server may open channels to us (russh would accept most of them by itself).
pub(crate) struct ClientHandler {
    expected: Option<PeerKey>,
    shown: Arc<OnceLock<PeerKey>>,
}

impl client::Handler for ClientHandler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let Some(key) = PeerKey::from_russh(key) else { return Ok(false) };
        // Called once per connection; a rekey that shows another key must not pass either.
        let first = *self.shown.get_or_init(|| key);
        Ok(key == first && self.expected.is_none_or(|expected| expected == key))
    }

    deny_channels!();
}

/// Dropping russh's handle without an answer is a refusal: "administratively prohibited".
pub(crate) fn deny(reply: client::ChannelOpenHandle) -> Result<(), russh::Error> {
    drop(reply);
    Ok(())
}

/// TCP connections to several addresses, started one after the other.
pub(crate) struct Race {
    waiting: VecDeque<SocketAddr>,
    running: JoinSet<(SocketAddr, Option<io::Result<TcpStream>>)>,
    next_start: Instant,
    deadline: Duration,
    /// Failures since this was last taken, in words.
    pub(crate) failures: Vec<String>,
    /// The last address that did not answer in time.
    pub(crate) timed_out: Option<SocketAddr>,
}

impl Race {
    /// Resolves the addresses, all at once; connects to none yet.
    pub(crate) async fn start(addrs: &[String], deadline: Duration) -> Self {
        let mut lookups = JoinSet::new();
        for (index, addr) in addrs.iter().take(MOST_ADDRESSES).enumerate() {
            let addr = addr.clone();
            lookups.spawn(async move {
                let found = timeout(deadline, tokio::net::lookup_host(addr.as_str())).await;
                let found = match found {
                    Ok(Ok(found)) => Ok(found.collect::<Vec<_>>()),
                    Ok(Err(error)) => Err(format!("{addr}: {error}")),
                    Err(_) => Err(format!("{addr}: its name was not resolved in time")),
                };
                (index, found)
            });
        }
        let mut found = lookups.join_all().await;
        found.sort_by_key(|(index, _)| *index);
        let (mut waiting, mut failures) = (VecDeque::new(), Vec::new());
        for (_, found) in found {
            match found {
                Ok(found) => {
                    for addr in found {
                        if !waiting.contains(&addr) && waiting.len() < MOST_ADDRESSES {
                            waiting.push_back(addr);
                        }
                    }
                }
                Err(failure) => failures.push(failure),
            }
        }
        let running = JoinSet::new();
        Self { waiting, running, next_start: Instant::now(), deadline, failures, timed_out: None }
    }

    /// Waits for the next address where TCP stands; `None` when there are no more.
    pub(crate) async fn next(&mut self) -> Option<(SocketAddr, TcpStream)> {
        loop {
            if self.running.is_empty() {
                self.next_start = Instant::now();
            }
            tokio::select! {
                () = sleep_until(self.next_start), if !self.waiting.is_empty() => {
                    if let Some(addr) = self.waiting.pop_front() {
                        let deadline = self.deadline;
                        self.running.spawn(async move {
                            (addr, timeout(deadline, TcpStream::connect(addr)).await.ok())
                        });
                        self.next_start = Instant::now() + HEAD_START;
                    }
                }
                Some(done) = self.running.join_next() => match done {
                    Ok((addr, Some(Ok(tcp)))) => return Some((addr, tcp)),
                    Ok((addr, Some(Err(error)))) => {
                        self.failures.push(format!("{addr}: {error}"));
                        self.next_start = Instant::now();
                    }
                    Ok((addr, None)) => {
                        self.failures.push(format!("{addr}: no answer in time"));
                        self.timed_out = Some(addr);
                    }
                    Err(error) => self.failures.push(error.to_string()),
                },
                else => return None,
            }
        }
    }
}
