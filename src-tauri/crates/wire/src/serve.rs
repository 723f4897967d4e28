//! The hub's side of an endpoint session.

use std::sync::Arc;

use evenfold_core::apply::Batch;
use evenfold_core::snapshot::{Extent, Problem, Snapshot};
use evenfold_core::transfer::Piece;
use evenfold_core::{Digest, Dir, Entry, RelPath};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant};

use crate::batch::{Body, receive_body, send_manifests, send_needs};
use crate::convert;
use crate::endpoint::{Handler, MAX_STATE, Progress};
use crate::error::{RemoteError, WireError, cut};
use crate::frame::PACK;
use crate::history::History;
use crate::inbox::Inbox;
use crate::message::{Form, Hash, Look, Message, room};
use crate::outbox::Outbox;
use crate::report::send_report;
use crate::tree::Catalog;
use crate::walk::TreeWriter;

/// Pieces between handler and stream: 32 tiny ones are enough that tasks do not wake each other for every
/// few, and 32 of at most 256 KiB bound what a slow disk or network makes us hold to 8 MiB.
pub(crate) const PIECES: usize = 32;
/// The most trees that a client may name in one request.
pub(crate) const MAX_HAVE: usize = 8;
/// Nudges carry up to this many changed entries, within this many bytes.
const NUDGE_TOKENS: usize = 64;
const NUDGE_BYTES: usize = 32 * 1024;
/// Progress is told at most this often.
const TELL: Duration = Duration::from_millis(100);

/// Serves one endpoint on any number of streams.
pub struct Server<H: ?Sized> {
    handler: Arc<H>,
    history: Arc<History>,
}

impl<H: Handler + ?Sized + 'static> Server<H> {
    /// Serves `handler`. Streams of one server share the memory of trees that were told.
    pub fn new(handler: Arc<H>) -> Self {
        Server { handler, history: Arc::default() }
    }

    /// Serves one stream, after its handshake, until the client closes it.
    ///
    /// # Errors
    /// Where the stream broke, ended within a call, or the peer broke the rules. A call that was running was
    /// ended as [`Handler`] says.
    pub async fn serve<S>(&self, stream: S) -> Result<(), WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let mut session = Session {
            inbox: Inbox::new(reader),
            outbox: Outbox::new(writer)?,
            nudges: self.handler.nudges(),
            handler: Arc::clone(&self.handler),
            history: Arc::clone(&self.history),
            told: None,
            serving: None,
            problems: Vec::new(),
            prepared: None,
            call: 0,
            subscribed: false,
            descending: false,
        };
        let result = session.run().await;
        if result.is_err() {
            session.outbox.abort();
        }
        result
    }
}

/// Serves one stream of `handler`, after its handshake. See [`Server`] where there may be several.
///
/// # Errors
/// See [`Server::serve`].
pub async fn serve<S, H>(stream: S, handler: Arc<H>) -> Result<(), WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler + ?Sized + 'static,
{
    Server::new(handler).serve(stream).await
}

/// One stream.
pub(crate) struct Session<S, H: ?Sized> {
    pub(crate) inbox: Inbox<ReadHalf<S>>,
    pub(crate) outbox: Outbox,
    handler: Arc<H>,
    pub(crate) history: Arc<History>,
    nudges: watch::Receiver<u64>,
    /// The tree that the client has, as far as known here.
    told: Option<Arc<Dir>>,
    /// The tree of the last snapshot that was sent, about which the client may ask.
    pub(crate) serving: Option<Arc<Dir>>,
    /// The problems that were told with it.
    problems: Vec<Problem>,
    prepared: Option<Arc<Batch>>,
    /// Number of the call that runs; the client counts alike.
    call: u32,
    subscribed: bool,
    /// A client in the middle of a descent expects answers only, so nudges wait.
    descending: bool,
}

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler + ?Sized + 'static,
{
    async fn run(&mut self) -> Result<(), WireError> {
        loop {
            self.outbox.flush().await?;
            tokio::select! {
                filled = self.inbox.fill() => {
                    if !filled? {
                        return Ok(());
                    }
                    self.request().await?;
                }
                changed = self.nudges.changed(), if self.subscribed && !self.descending => match changed {
                    Ok(()) => self.nudge().await?,
                    // The endpoint will never nudge again, but can still be asked.
                    Err(_) => self.subscribed = false,
                },
            }
        }
    }

    async fn request(&mut self) -> Result<(), WireError> {
        let message = self.inbox.take()?.message()?;
        self.descending &= matches!(message, Message::Wants);
        match message {
            Message::Scan { look } => self.scan(look).await,
            Message::Wants => self.wants().await,
            Message::Got(digest) => {
                self.told = self.serving.clone().filter(|tree| tree.digest() == digest.0);
                Ok(())
            }
            Message::Manifest => self.manifest().await,
            Message::ReadBases => self.read_bases().await,
            Message::Prepare => self.prepare().await,
            Message::Supply => self.supply().await,
            Message::Apply { prepared, wait } => self.apply(prepared, wait).await,
            Message::Author { path, digest } => {
                let (path, digest) = (convert::path(path)?, digest.0);
                self.author(path, digest).await
            }
            Message::ReportState(state) if state.0.len() <= MAX_STATE => {
                let state = state.0.to_vec();
                self.report_state(state).await
            }
            Message::Subscribe => {
                self.subscribed = true;
                Ok(())
            }
            // It crossed the answer to the call that it meant.
            Message::Cancel { .. } => Ok(()),
            _ => Err(WireError::Unexpected("no request")),
        }
    }

    fn next_call(&mut self) -> u32 {
        self.call = self.call.wrapping_add(1);
        self.call
    }

    async fn fail(&mut self, error: &RemoteError) -> Result<(), WireError> {
        let (code, message, hint) = error.parts();
        self.outbox.push(&Message::Error { code, message, hint }).await
    }

    async fn scan(&mut self, look: Look) -> Result<(), WireError> {
        let call = self.next_call();
        let (mut paths, mut have) = (Vec::new(), Vec::new());
        loop {
            match self.inbox.message().await? {
                Message::End => break,
                Message::Path(path) => {
                    room(&paths)?;
                    paths.push(convert::path(path)?);
                }
                Message::Have(digest) if have.len() < MAX_HAVE => have.push(digest.0),
                _ => return Err(WireError::Unexpected("something else within a request")),
            }
        }
        let handler = Arc::clone(&self.handler);
        let work = async move {
            match look {
                Look::Current => handler.current().await,
                Look::Full => handler.scan(Extent::Full).await,
                Look::Deep => handler.scan(Extent::Deep).await,
                Look::Paths => handler.scan(Extent::Paths(paths)).await,
            }
        };
        match attend(&mut self.inbox, call, work).await? {
            Ok(snapshot) => self.send_snapshot(snapshot, &have).await,
            Err(error) => self.fail(&error).await,
        }
    }

    async fn send_snapshot(&mut self, snapshot: Snapshot, have: &[Digest]) -> Result<(), WireError> {
        let Snapshot { tree, epoch, problems } = snapshot;
        let remembered = |digest: &Digest| {
            let told = self.told.as_ref().filter(|told| told.digest() == *digest).cloned();
            told.or_else(|| self.history.find(&RelPath::root(), *digest))
        };
        let (form, base) = if let Some(at) = have.iter().position(|digest| *digest == tree.digest()) {
            (Form::Same(at as u8), None)
        } else if have.is_empty() {
            (Form::Full, None)
        } else {
            match have.iter().enumerate().find_map(|(at, digest)| Some((at, remembered(digest)?))) {
                Some((at, base)) => (Form::Delta(at as u8), Some(base)),
                None => (Form::Descend, None),
            }
        };
        let same_problems = problems == self.problems;
        let digest = Hash(tree.digest());
        self.outbox.push(&Message::Snapshot { epoch, digest, form, same_problems }).await?;
        if !same_problems {
            for problem in problems.iter().take(evenfold_core::snapshot::MAX_PROBLEMS) {
                self.outbox.push(&convert::wire_problem(problem)).await?;
            }
            self.outbox.push(&Message::End).await?;
            self.problems = problems;
        }
        self.history.note(&tree);
        self.serving = Some(Arc::clone(&tree));
        if form != Form::Descend {
            self.told = Some(Arc::clone(&tree));
        }
        match (form, base) {
            (Form::Full, _) => self.outbox.tree(TreeWriter::full(&Entry::Dir(tree))).await,
            (Form::Delta(_), Some(base)) => {
                let mut catalog = Catalog::new(vec![Arc::clone(&base)]);
                self.outbox.tree(TreeWriter::delta(&base, &tree, Some(&mut catalog))).await
            }
            (Form::Descend, _) => {
                self.descending = true;
                self.answer_want(&RelPath::root(), None, false).await
            }
            _ => Ok(()),
        }
    }

    async fn nudge(&mut self) -> Result<(), WireError> {
        let count = *self.nudges.borrow_and_update();
        let snapshot = match self.handler.current().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                // The driver will scan because of the nudge, and meet the error itself.
                tracing::debug!(%error, "no snapshot to tell with a nudge");
                return self.outbox.push(&Message::Nudge { count, root: None, base: None }).await;
            }
        };
        let tree = snapshot.tree;
        let root = Some((snapshot.epoch, Hash(tree.digest())));
        let mut tokens = Vec::new();
        let mut base = None;
        if let Some(told) = &self.told {
            let mut catalog = Catalog::new(vec![Arc::clone(told)]);
            let mut delta = TreeWriter::delta(told, &tree, Some(&mut catalog));
            if delta.fill(&mut tokens, NUDGE_BYTES)?
                && delta.tokens() <= NUDGE_TOKENS
                && tokens.len() < PACK / 2
            {
                base = Some(Hash(told.digest()));
            }
        }
        self.outbox.push(&Message::Nudge { count, root, base }).await?;
        if base.is_some() {
            self.outbox.raw(&tokens).await?;
            self.history.note(&tree);
            self.told = Some(tree);
        }
        Ok(())
    }

    async fn manifest(&mut self) -> Result<(), WireError> {
        let call = self.next_call();
        let mut body = Body::default();
        receive_body(&mut self.inbox, None, &mut body).await?;
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.manifest(body.batch.items, body.indices).await };
        match attend(&mut self.inbox, call, work).await? {
            Ok(manifests) => {
                send_manifests(&mut self.outbox, &manifests).await?;
                self.outbox.push(&Message::End).await
            }
            Err(error) => self.fail(&error).await,
        }
    }

    async fn read_bases(&mut self) -> Result<(), WireError> {
        let call = self.next_call();
        let mut body = Body::default();
        receive_body(&mut self.inbox, None, &mut body).await?;
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.read_bases(Arc::new(body.batch)).await };
        match attend(&mut self.inbox, call, work).await? {
            Ok(()) => self.outbox.push(&Message::End).await,
            Err(error) => self.fail(&error).await,
        }
    }

    async fn prepare(&mut self) -> Result<(), WireError> {
        let call = self.next_call();
        let mut body = Body::default();
        receive_body(&mut self.inbox, Some(&self.history), &mut body).await?;
        if body.lost {
            return self.fail(&reference_lost()).await;
        }
        let (batch, manifests) = (Arc::new(body.batch), body.manifests);
        self.prepared = Some(Arc::clone(&batch));
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.prepare(batch, manifests).await };
        match attend(&mut self.inbox, call, work).await? {
            Ok(needs) => {
                send_needs(&mut self.outbox, &needs).await?;
                self.outbox.push(&Message::End).await
            }
            Err(error) => self.fail(&error).await,
        }
    }

    async fn author(&mut self, path: RelPath, digest: Digest) -> Result<(), WireError> {
        let call = self.next_call();
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.author(path, digest).await };
        match attend(&mut self.inbox, call, work).await? {
            Ok(machine) => {
                let machine = machine.as_deref().map(|name| cut(name, 255));
                self.outbox.push(&Message::AuthorIs(machine)).await
            }
            Err(error) => self.fail(&error).await,
        }
    }

    async fn report_state(&mut self, state: Vec<u8>) -> Result<(), WireError> {
        let call = self.next_call();
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.report_state(state).await };
        match attend(&mut self.inbox, call, work).await? {
            Ok(()) => self.outbox.push(&Message::Done).await,
            Err(error) => self.fail(&error).await,
        }
    }

    async fn supply(&mut self) -> Result<(), WireError> {
        let call = self.next_call();
        let mut body = Body::default();
        receive_body(&mut self.inbox, None, &mut body).await?;
        let (sink, mut pieces) = mpsc::channel(PIECES);
        let handler = Arc::clone(&self.handler);
        let work = async move { handler.supply(body.batch.items, body.needs, sink).await };
        tokio::pin!(work);
        let (mut result, mut open) = (None, true);
        while open || result.is_none() {
            tokio::select! {
                done = &mut work, if result.is_none() => result = Some(done),
                piece = pieces.recv(), if open => {
                    let mut next = piece;
                    open = next.is_some();
                    while let Some(piece) = next {
                        self.outbox.piece(piece).await?;
                        next = pieces.try_recv().ok();
                    }
                    self.outbox.flush().await?;
                }
                filled = self.inbox.fill() => {
                    if cancels(&mut self.inbox, filled?, call)? {
                        return self.fail(&RemoteError::cancelled()).await;
                    }
                }
            }
        }
        match result {
            Some(Err(error)) => self.fail(&error).await,
            _ => self.outbox.push(&Message::Done).await,
        }
    }

    async fn apply(&mut self, prepared: bool, wait: bool) -> Result<(), WireError> {
        let call = self.next_call();
        let batch = if prepared {
            self.prepared.take().ok_or(WireError::Unexpected("a batch that was not prepared"))?
        } else {
            let mut body = Body::default();
            receive_body(&mut self.inbox, Some(&self.history), &mut body).await?;
            if body.lost {
                self.fail(&reference_lost()).await?;
                return if wait { Ok(()) } else { self.drain().await };
            }
            Arc::new(body.batch)
        };
        if wait {
            self.outbox.push(&Message::Accepted).await?;
            self.outbox.flush().await?;
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        let (progress, mut told) = watch::channel(Progress::default());
        let handler = Arc::clone(&self.handler);
        let given = Arc::clone(&batch);
        let work = async move { handler.apply(given, pieces, progress).await };
        tokio::pin!(work);
        let mut feed = Feed { sender: Some(sender), pending: None, ended: false, cancelled: false };
        let mut broken = None;
        let (mut telling, mut last) = (true, Instant::now());
        let result = loop {
            tokio::select! {
                done = &mut work => break done,
                () = feed.forward(), if feed.pending.is_some() => {}
                filled = self.inbox.fill(), if feed.pending.is_none() && broken.is_none() => {
                    if let Err(error) = filled.and_then(|filled| feed.take(&mut self.inbox, filled, call)) {
                        // Whatever the handler has begun it must be able to leave in order.
                        feed.sender = None;
                        broken = Some(error);
                    }
                }
                changed = told.changed(), if telling => {
                    telling = changed.is_ok();
                    if telling && last.elapsed() >= TELL {
                        last = Instant::now();
                        let Progress { bytes, items } = *told.borrow();
                        self.outbox.offer(&Message::Progress { bytes, items })?;
                    }
                }
            }
        };
        if let Some(error) = broken {
            return Err(error);
        }
        match result {
            _ if feed.cancelled => self.fail(&RemoteError::cancelled()).await?,
            Ok(report) => send_report(&mut self.outbox, &batch, &report).await?,
            Err(error) => self.fail(&error).await?,
        }
        if feed.ended { Ok(()) } else { self.drain().await }
    }

    /// Passes over the pieces that nobody wants any more.
    async fn drain(&mut self) -> Result<(), WireError> {
        self.outbox.flush().await?;
        loop {
            match self.inbox.next().await?.piece() {
                Ok(_) | Err(Message::Cancel { .. }) => {}
                Err(Message::PiecesEnd) => return Ok(()),
                Err(_) => return Err(WireError::Unexpected("something else among pieces")),
            }
        }
    }
}

/// Pieces on their way from the stream to the handler.
struct Feed {
    sender: Option<mpsc::Sender<Piece>>,
    pending: Option<Piece>,
    ended: bool,
    cancelled: bool,
}

impl Feed {
    /// Hands the pending piece over. May be dropped at any point.
    async fn forward(&mut self) {
        if let Some(sender) = &self.sender
            && let Ok(permit) = sender.reserve().await
        {
            if let Some(piece) = self.pending.take() {
                permit.send(piece);
            }
        } else {
            self.pending = None;
        }
    }

    fn take<R: AsyncRead + Unpin>(
        &mut self,
        inbox: &mut Inbox<R>,
        filled: bool,
        call: u32,
    ) -> Result<(), WireError> {
        if !filled {
            return Err(WireError::Truncated);
        }
        match inbox.take()?.piece() {
            Ok(piece) if !self.ended => self.pending = Some(piece),
            Err(Message::PiecesEnd) if !self.ended => {
                self.ended = true;
                self.sender = None;
            }
            Err(Message::Cancel { call: meant }) => {
                if meant == call {
                    self.cancelled = true;
                    self.sender = None;
                }
            }
            _ => return Err(WireError::Unexpected("something else among pieces")),
        }
        Ok(())
    }
}

fn reference_lost() -> RemoteError {
    RemoteError::new(RemoteError::REFERENCE_LOST, "a folder was named that is not remembered any more", "")
}

/// Tells whether what arrived while a call runs cancels it; anything else has no place there.
fn cancels<R: AsyncRead + Unpin>(inbox: &mut Inbox<R>, filled: bool, call: u32) -> Result<bool, WireError> {
    if !filled {
        return Err(WireError::Truncated);
    }
    match inbox.take()?.message()? {
        Message::Cancel { call: meant } => Ok(meant == call),
        _ => Err(WireError::Unexpected("a request within a call")),
    }
}

/// Awaits `work`, and drops it where the client cancels the call or goes away.
async fn attend<R: AsyncRead + Unpin, T>(
    inbox: &mut Inbox<R>,
    call: u32,
    work: impl Future<Output = Result<T, RemoteError>>,
) -> Result<Result<T, RemoteError>, WireError> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            filled = inbox.fill() => {
                if cancels(inbox, filled?, call)? {
                    return Ok(Err(RemoteError::cancelled()));
                }
            }
        }
    }
}
