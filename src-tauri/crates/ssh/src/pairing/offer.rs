//! The side that shows the code: open offers, and the conversations they allow.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::Channel;
use russh::server::Msg;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::exchange::{Exchange, Keys, Session, Side, TAG, is_tag};
use super::message::{Kind, Refusal, VERSION, receive, send};
use super::{Code, Introduction, IntroductionError, Paired};
use crate::{PeerKey, Remote, Server};

/// Wrong codes after which an offer is closed for good.
const MOST_ATTEMPTS: usize = 3;
/// Time for a whole conversation: three round trips, and no person is waited for.
const CONVERSATION: Duration = Duration::from_secs(10);

/// Why an offer ended without a pairing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Its time was over.
    #[error("the pairing code has expired")]
    Expired,
    /// Three wrong codes were tried: someone is guessing, or typing badly.
    #[error("the pairing code was closed after {MOST_ATTEMPTS} wrong attempts")]
    Burnt,
    /// A newer offer has the same number.
    #[error("the pairing code was replaced by a newer one")]
    Replaced,
    /// The right code was given, but the conversation broke off before the other side was introduced.
    /// The code is used up; nobody was paired on this side.
    #[error("the connection was lost in the middle of pairing: {0}")]
    Interrupted(String),
    /// This side's introduction is too large to be sent.
    #[error(transparent)]
    Introduction(#[from] IntroductionError),
}

type Outcome = Option<Result<Paired, OfferError>>;

/// An open offer to pair. Dropping it withdraws the code.
#[derive(Debug)]
pub struct Offer {
    offers: Arc<Offers>,
    ticket: Arc<Ticket>,
}

/// All open offers of a server, by number: at most 99.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    open: Mutex<HashMap<u8, Arc<Ticket>>>,
}

#[derive(Debug)]
struct Ticket {
    code: Code,
    expires: Instant,
    introduction: Vec<u8>,
    attempts: Mutex<Attempts>,
    outcome: watch::Sender<Outcome>,
}

/// Together never more than [`MOST_ATTEMPTS`], so that trying at the same time gives no more tries.
#[derive(Debug, Default)]
struct Attempts {
    wrong: usize,
    under_way: usize,
}

/// An attempt under way.
struct Attempt<'a>(&'a Ticket);

/// Someone who logged in to pair.
pub(crate) struct Visitor {
    pub(crate) key: PeerKey,
    pub(crate) own_key: PeerKey,
    pub(crate) addr: Remote,
    pub(crate) channel: Channel<Msg>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Offers to pair with whoever gives this code within `expires`, and introduces itself as `mine`.
    ///
    /// Offers with different numbers may be open at once; one with the number of an older offer
    /// replaces that.
    pub fn offer(&self, code: Code, expires: Duration, mine: Introduction) -> Offer {
        self.core.offers.open(code, expires, &mine)
    }
}

impl Offer {
    /// Waits until someone has paired or the offer is over. Safe to cancel and to repeat.
    pub async fn wait(&self) -> Result<Paired, OfferError> {
        let mut outcome = self.ticket.outcome.subscribe();
        let finished = async {
            // An error would mean that the sender is gone; it lives in the ticket.
            outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
        };
        tokio::pin!(finished);
        tokio::select! {
            biased;
            Some(outcome) = &mut finished => return outcome,
            () = sleep_until(self.ticket.expires) => {}
        }
        if self.offers.close(&self.ticket) {
            self.ticket.end(Err(OfferError::Expired));
        }
        // Otherwise the right code came in time, and its conversation is bounded.
        finished.await.unwrap_or(Err(OfferError::Expired))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.offers.close(&self.ticket);
    }
}

impl Ticket {
    /// Sets the outcome; the first one stays.
    fn end(&self, outcome: Result<Paired, OfferError>) {
        self.outcome.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(outcome);
            first
        });
    }

    fn attempt(&self) -> Option<Attempt<'_>> {
        let mut attempts = lock(&self.attempts);
        if attempts.wrong + attempts.under_way >= MOST_ATTEMPTS {
            return None;
        }
        attempts.under_way += 1;
        Some(Attempt(self))
    }
}

impl Attempt<'_> {
    /// Counts it as wrong; tells whether it was one too many.
    fn was_wrong(self) -> bool {
        let mut attempts = lock(&self.0.attempts);
        attempts.wrong += 1;
        attempts.wrong >= MOST_ATTEMPTS
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        lock(&self.0.attempts).under_way -= 1;
    }
}

impl Offers {
    fn open(self: &Arc<Self>, code: Code, expires: Duration, mine: &Introduction) -> Offer {
        let number = code.number();
        let encoded = mine.encode();
        let ticket = Arc::new(Ticket {
            code,
            expires: Instant::now() + expires,
            introduction: encoded.as_ref().cloned().unwrap_or_default(),
            attempts: Mutex::default(),
            outcome: watch::Sender::new(None),
        });
        match encoded {
            Err(error) => ticket.end(Err(error.into())),
            Ok(_) => {
                if let Some(older) = lock(&self.open).insert(number, ticket.clone()) {
                    older.end(Err(OfferError::Replaced));
                }
            }
        }
        Offer { offers: self.clone(), ticket }
    }

    /// Tells whether a stranger may log in at all.
    pub(crate) fn any_open(&self) -> bool {
        let now = Instant::now();
        lock(&self.open).values().any(|ticket| now < ticket.expires)
    }

    fn find(&self, number: u8) -> Option<Arc<Ticket>> {
        let ticket = lock(&self.open).get(&number).cloned()?;
        (Instant::now() < ticket.expires).then_some(ticket)
    }

    /// Closes this offer; `false` if it was closed already. So only one of many can be the one to close it.
    fn close(&self, ticket: &Arc<Ticket>) -> bool {
        let mut open = lock(&self.open);
        let number = ticket.code.number();
        let is_open = open.get(&number).is_some_and(|current| Arc::ptr_eq(current, ticket));
        if is_open {
            open.remove(&number);
        }
        is_open
    }

    /// Holds one conversation.
    pub(crate) async fn receive(&self, visitor: Visitor) {
        let Visitor { key, own_key, addr, channel } = visitor;
        let mut stream = channel.into_stream();
        let keys = Keys { dialler: key, offerer: own_key };
        match timeout(CONVERSATION, self.converse(&mut stream, keys, addr)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%addr, %key, %error, "pairing failed"),
            Err(_) => tracing::info!(%addr, %key, "pairing took too long"),
        }
    }

    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        keys: Keys,
        addr: Remote,
    ) -> io::Result<()> {
        let hello = expect(stream, Kind::Hello).await?;
        let (VERSION, number, theirs) = split_hello(&hello)? else {
            return refuse(stream, Refusal::Version).await;
        };
        let Some(ticket) = self.find(number) else { return refuse(stream, Refusal::NoSuchOffer).await };
        let Some(attempt) = ticket.attempt() else { return refuse(stream, Refusal::Busy).await };

        let exchange = Exchange::start(Side::Offerer, &ticket.code, keys);
        let message = exchange.message().to_vec();
        let session = exchange.finish(theirs).map_err(invalid)?;
        send(stream, Kind::Pake, &[&message]).await?;

        // Up to here the other side has learnt nothing to test a guess by, so breaking off costs it nothing.
        let confirmation = expect(stream, Kind::Confirm).await?;
        if !is_tag(session.confirmation(Side::Dialler), &confirmation) {
            if attempt.was_wrong() && self.close(&ticket) {
                ticket.end(Err(OfferError::Burnt));
            }
            tracing::warn!(%addr, key = %keys.dialler, "wrong pairing code");
            return refuse(stream, Refusal::WrongCode).await;
        }
        // Of several right codes at once, only one closes the offer; expiry counts until here.
        if Instant::now() >= ticket.expires || !self.close(&ticket) {
            return refuse(stream, Refusal::NoSuchOffer).await;
        }
        // From here on the code is used up, and whatever happens is the outcome.
        let result = introduce(stream, &session, &ticket.introduction);
        let left = CutShort(&ticket);
        let introduction = result.await.inspect_err(|error| {
            ticket.end(Err(OfferError::Interrupted(error.to_string())));
        })?;
        ticket.end(Ok(Paired { key: keys.dialler, introduction, check: session.check(), remote: addr }));
        drop(left);
        send(stream, Kind::Done, &[]).await
    }
}

/// Gives the offer an outcome if the conversation is dropped (by its timeout) between code and introduction.
struct CutShort<'a>(&'a Ticket);

impl Drop for CutShort<'_> {
    fn drop(&mut self) {
        // Without effect once there is an outcome.
        self.0.end(Err(OfferError::Interrupted("it took too long".to_owned())));
    }
}

async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &Session,
    mine: &[u8],
) -> io::Result<Introduction> {
    let confirmation = session.confirmation(Side::Offerer);
    let tag = session.introduction_tag(Side::Offerer, mine);
    send(stream, Kind::Welcome, &[confirmation.as_bytes(), tag.as_bytes(), mine]).await?;
    let body = expect(stream, Kind::Introduce).await?;
    open_introduction(session, Side::Dialler, &body).ok_or_else(|| invalid("bad introduction"))
}

/// Reads an introduction that the given side sent, if its authentication code is right.
pub(super) fn open_introduction(session: &Session, of: Side, body: &[u8]) -> Option<Introduction> {
    let (tag, introduction) = body.split_at_checked(TAG)?;
    if !is_tag(session.introduction_tag(of, introduction), tag) {
        return None;
    }
    Introduction::decode(introduction)
}

fn split_hello(body: &[u8]) -> io::Result<(u8, u8, &[u8])> {
    match body {
        [version, number, message @ ..] => Ok((*version, *number, message)),
        _ => Err(invalid("message too short")),
    }
}

async fn expect(stream: &mut (impl AsyncRead + Unpin), wanted: Kind) -> io::Result<Vec<u8>> {
    let (kind, body) = receive(stream).await?;
    if kind == wanted { Ok(body) } else { Err(invalid("message out of turn")) }
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), refusal: Refusal) -> io::Result<()> {
    send(stream, Kind::Refuse, &[&[refusal as u8]]).await
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
