//! The side that types the code.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::exchange::{Exchange, Keys, Side, TAG, is_tag};
use super::message::{Kind, Refusal, VERSION, receive, send};
use super::offer::open_introduction;
use super::{Code, Introduction, IntroductionError, Paired};
use crate::algorithms::{PAIRING_SUBSYSTEM, PAIRING_USER};
use crate::dial::{CutOnDrop, DialError, Dialled, Race, SshDial};
use crate::mux::Stream;
use crate::transport::Transport;
use crate::{Identity, Limits, PeerKey, Remote};

/// Why pairing failed. Nobody was paired on this side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// No connection came about.
    #[error(transparent)]
    Dial(DialError),
    /// No offer with this number is open there: mistyped number, expired, used up, or another machine.
    #[error("{addr} has no open pairing offer for this code")]
    NoOffer {
        /// The address that answered.
        addr: String,
    },
    /// The words are wrong, or someone in between holds other keys; either side sees only that the
    /// proofs do not match.
    #[error("the pairing code is wrong")]
    WrongCode,
    /// Others are trying codes at the same time.
    #[error("{addr} is busy with other pairing attempts")]
    Busy {
        /// The address that answered.
        addr: String,
    },
    /// The other side speaks another version of pairing.
    #[error("{addr} has an incompatible version of Evenfold")]
    Version {
        /// The address that answered.
        addr: String,
    },
    /// The address leads back to this very node.
    #[error("{addr} is this node itself")]
    Oneself {
        /// The address that answered.
        addr: String,
    },
    /// The conversation broke off after the code was accepted. The code is used up, and the other side may
    /// hold this node for paired; pair again with a new code.
    #[error("the connection to {addr} was lost in the middle of pairing: {why}")]
    Interrupted {
        /// The address that answered.
        addr: String,
        /// What went wrong.
        why: String,
    },
    /// This side's introduction is too large to be sent.
    #[error(transparent)]
    Introduction(#[from] IntroductionError),
}

/// Pairs with the node at `addr` (`host:port`) that shows this code, and introduces itself as `mine`.
///
/// Takes one attempt of the offer. Cancelling after the code was accepted uses it up.
pub async fn accept_code(
    addr: &str,
    code: &Code,
    identity: Arc<Identity>,
    mine: Introduction,
    limits: Limits,
) -> Result<Paired, PairError> {
    let mine = mine.encode()?;
    let mut race = Race::start(&[addr.to_owned()], limits.dial_deadline).await;
    let mut failure = None;
    while let Some((resolved, tcp)) = race.next().await {
        // Any host key is accepted here, and only here: the key that is shown goes into the PAKE, so
        // only who holds that key and knows the code gets past the confirmation.
        let remote = Remote::Address(resolved);
        let below = Transport::Tcp(tcp);
        let attempt = SshDial { below, remote, identity: &identity, expected: None, limits: &limits };
        match attempt.run(PAIRING_USER, PAIRING_SUBSYSTEM).await {
            Ok(dialled) => {
                let shown = (addr, remote);
                return converse(dialled, shown, code, identity.key(), &mine, &limits).await;
            }
            // Without an open offer the login fails already.
            Err(DialError::Refused { .. }) => {
                failure = Some(PairError::NoOffer { addr: addr.to_owned() });
            }
            Err(error) => failure = failure.or(Some(PairError::Dial(error))),
        }
    }
    Err(failure.unwrap_or_else(|| {
        PairError::Dial(match race.timed_out {
            Some(_) => DialError::Timeout { addr: addr.to_owned() },
            None => DialError::Unreachable { why: race.failures.join("; ") },
        })
    }))
}

/// The same with a node that is reached over a stream which the node `middle` passes on. `addr` is for messages.
///
/// # Errors
/// See [`accept_code`].
pub async fn accept_code_through(
    (stream, middle, addr): (Stream, PeerKey, &str),
    code: &Code,
    identity: Arc<Identity>,
    mine: Introduction,
    limits: Limits,
) -> Result<Paired, PairError> {
    let mine = mine.encode()?;
    let remote = Remote::Through(middle);
    let below = Transport::Stream(stream);
    let attempt = SshDial { below, remote, identity: &identity, expected: None, limits: &limits };
    match attempt.run(PAIRING_USER, PAIRING_SUBSYSTEM).await {
        Ok(dialled) => converse(dialled, (addr, remote), code, identity.key(), &mine, &limits).await,
        Err(DialError::Refused { .. }) => Err(PairError::NoOffer { addr: addr.to_owned() }),
        Err(error) => Err(PairError::Dial(error)),
    }
}

async fn converse(
    dialled: Dialled,
    (addr, remote): (&str, Remote),
    code: &Code,
    own_key: PeerKey,
    mine: &[u8],
    limits: &Limits,
) -> Result<Paired, PairError> {
    let Dialled { session, host_key, channel, line } = dialled;
    // Held to the end: pairing leaves no connection behind.
    let _guard = CutOnDrop(Some(line));
    let _session = session;
    if host_key == own_key {
        return Err(PairError::Oneself { addr: addr.to_owned() });
    }
    let keys = Keys { dialler: own_key, offerer: host_key };
    let mut stream = channel.into_stream();
    let talk = Talk { addr, remote, keys };
    match timeout(limits.dial_deadline, talk.run(&mut stream, code, mine)).await {
        Ok(result) => result,
        Err(_) => Err(PairError::Interrupted { addr: addr.to_owned(), why: "no answer in time".to_owned() }),
    }
}

struct Talk<'a> {
    addr: &'a str,
    remote: Remote,
    keys: Keys,
}

impl Talk<'_> {
    async fn run(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        code: &Code,
        mine: &[u8],
    ) -> Result<Paired, PairError> {
        let exchange = Exchange::start(Side::Dialler, code, self.keys);
        let hello = [VERSION, code.number()];
        send(stream, Kind::Hello, &[&hello, exchange.message()]).await.map_err(|e| self.lost(&e))?;
        let theirs = self.expect(stream, Kind::Pake).await?;
        let session = exchange.finish(&theirs).map_err(|_| self.broken())?;

        let confirmation = session.confirmation(Side::Dialler);
        send(stream, Kind::Confirm, &[confirmation.as_bytes()]).await.map_err(|e| self.lost(&e))?;
        let welcome = self.expect(stream, Kind::Welcome).await?;
        let (confirmation, introduction) = welcome.split_at_checked(TAG).ok_or_else(|| self.broken())?;
        if !is_tag(session.confirmation(Side::Offerer), confirmation) {
            return Err(PairError::WrongCode);
        }
        let introduction =
            open_introduction(&session, Side::Offerer, introduction).ok_or_else(|| self.broken())?;

        let tag = session.introduction_tag(Side::Dialler, mine);
        send(stream, Kind::Introduce, &[tag.as_bytes(), mine]).await.map_err(|e| self.lost(&e))?;
        self.expect(stream, Kind::Done).await?;
        Ok(Paired { key: self.keys.offerer, introduction, check: session.check(), remote: self.remote })
    }

    async fn expect(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        wanted: Kind,
    ) -> Result<Vec<u8>, PairError> {
        let (kind, body) = receive(stream).await.map_err(|error| self.lost(&error))?;
        let addr = || self.addr.to_owned();
        match kind {
            kind if kind == wanted => Ok(body),
            Kind::Refuse => Err(match Refusal::from_body(&body) {
                Some(Refusal::NoSuchOffer) => PairError::NoOffer { addr: addr() },
                Some(Refusal::WrongCode) => PairError::WrongCode,
                Some(Refusal::Busy) => PairError::Busy { addr: addr() },
                Some(Refusal::Version) => PairError::Version { addr: addr() },
                None => self.broken(),
            }),
            _ => Err(self.broken()),
        }
    }

    fn lost(&self, error: &io::Error) -> PairError {
        PairError::Interrupted { addr: self.addr.to_owned(), why: error.to_string() }
    }

    fn broken(&self) -> PairError {
        PairError::Interrupted {
            addr: self.addr.to_owned(),
            why: "the other side does not keep to the protocol".to_owned(),
        }
    }
}
