//! The task behind a [`crate::Client`]: makes its calls one after another and takes in nudges between them.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{MAX_PROBLEMS, Problem, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece, SupplyFailure};
use evenfold_core::{Digest, Dir, RelPath};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf};
use tokio::sync::{mpsc, watch};

use crate::batch::{
    can_refer, receive_body, send_bases, send_batch, send_items, send_manifests, send_needs, skip_tree,
};
use crate::call::{Call, Reply};
use crate::client::Nudge;
use crate::convert;
use crate::descent::{descend, receive_tree};
use crate::endpoint::{MAX_STATE, Progress};
use crate::error::{CallError, RemoteError, WireError};
use crate::inbox::Inbox;
use crate::message::{Blob, Form, Hash, Look, Message};
use crate::outbox::Outbox;
use crate::report::{Head, receive_report};
use crate::serve::{MAX_HAVE, PIECES};
use crate::tree::Catalog;

pub(crate) struct Driver<S> {
    inbox: Inbox<ReadHalf<S>>,
    outbox: Outbox,
    calls: mpsc::Receiver<Call>,
    nudges: watch::Sender<Nudge>,
    /// The last tree that this stream told.
    told: Option<Arc<Dir>>,
    /// The problems that came with it.
    problems: Vec<Problem>,
    /// The batch that the endpoint holds ready.
    prepared: Option<Arc<Batch>>,
    /// Number of the last call; the endpoint counts alike.
    call: u32,
}

/// Gives the answer to the caller; fails where the stream cannot be used any more.
fn answer<T>(reply: Reply<T>, result: Result<T, CallError>) -> Result<(), Arc<WireError>> {
    let lost = match &result {
        Err(CallError::Lost(error)) => Err(Arc::clone(error)),
        _ => Ok(()),
    };
    // A caller that is gone has cancelled, and the endpoint was told.
    let _ = reply.send(result);
    lost
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Driver<S> {
    pub(crate) fn new(
        stream: S,
        calls: mpsc::Receiver<Call>,
        nudges: watch::Sender<Nudge>,
    ) -> Result<Self, WireError> {
        let (reader, writer) = tokio::io::split(stream);
        Ok(Driver {
            inbox: Inbox::new(reader),
            outbox: Outbox::new(writer)?,
            calls,
            nudges,
            told: None,
            problems: Vec::new(),
            prepared: None,
            call: 0,
        })
    }

    /// Makes calls until the last client is gone or the stream breaks.
    pub(crate) async fn run(mut self) -> Result<(), Arc<WireError>> {
        let result = self.calls().await;
        if result.is_err() {
            self.outbox.abort();
        }
        result
    }

    async fn calls(&mut self) -> Result<(), Arc<WireError>> {
        loop {
            tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => self.make(call).await?,
                    None => return Ok(()),
                },
                filled = self.inbox.fill() => {
                    if !filled? {
                        return Err(Arc::new(WireError::Truncated));
                    }
                    self.nudge().await?;
                }
            }
        }
    }

    async fn make(&mut self, call: Call) -> Result<(), Arc<WireError>> {
        match call {
            Call::Scan { look, paths, known, mut reply } => {
                let result = self.scan(look, &paths, &known, &mut reply).await;
                answer(reply, result)
            }
            Call::Manifest { items, indices, mut reply } => {
                let result = self.manifest(&items, &indices, &mut reply).await;
                answer(reply, result)
            }
            Call::ReadBases { batch, mut reply } => {
                let result = self.read_bases(&batch, &mut reply).await;
                answer(reply, result)
            }
            Call::Prepare { batch, manifests, mut reply } => {
                let result = self.prepare(batch, &manifests, &mut reply).await;
                answer(reply, result)
            }
            Call::Supply { items, needs, reply } => self.supply(&items, &needs, reply).await,
            Call::Apply { batch, pieces, progress, mut reply } => {
                let result = self.apply(batch, pieces, progress, &mut reply).await;
                answer(reply, result)
            }
            Call::Author { path, digest, mut reply } => {
                let result = self.author(&path, digest, &mut reply).await;
                answer(reply, result)
            }
            Call::ReportState { state, mut reply } => {
                let result = self.report_state(&state, &mut reply).await;
                answer(reply, result)
            }
            Call::Subscribe { reply } => {
                let result = self.subscribe().await.map_err(CallError::from);
                answer(reply, result)
            }
        }
    }

    async fn subscribe(&mut self) -> Result<(), WireError> {
        self.outbox.push(&Message::Subscribe).await?;
        self.outbox.flush().await
    }

    /// Finishes a request and waits for the first message of its answer. Tells the endpoint if the caller
    /// goes away meanwhile.
    async fn head<T>(&mut self, reply: &mut Reply<T>) -> Result<Message<'_>, CallError> {
        self.call = self.call.wrapping_add(1);
        self.outbox.flush().await?;
        self.wait(reply, true).await?;
        no_error(self.inbox.take()?.message()?)
    }

    async fn nudge(&mut self) -> Result<(), WireError> {
        let (count, root, base) = match self.inbox.take()?.message()? {
            Message::Nudge { count, root, base } => (count, root, base),
            _ => return Err(WireError::Unexpected("an answer to no call")),
        };
        let told = self.told.clone();
        let tree = match (root, base, told) {
            (Some((_, digest)), Some(base), Some(told)) if base.0 == told.digest() => {
                let mut catalog = Catalog::new(vec![Arc::clone(&told)]);
                let tree =
                    receive_tree(&mut self.inbox, &RelPath::root(), Some(told), Some(&mut catalog), digest.0)
                        .await?;
                self.told = Some(Arc::clone(&tree));
                Some(tree)
            }
            (_, Some(_), _) => {
                // It refers to a tree that another one replaced here in the meantime.
                skip_tree(&mut self.inbox).await?;
                None
            }
            _ => None,
        };
        let root = root.map(|(epoch, digest)| (epoch, digest.0));
        self.nudges.send_replace(Nudge { count, root, tree });
        Ok(())
    }

    async fn scan(
        &mut self,
        look: Look,
        paths: &[RelPath],
        known: &[Arc<Dir>],
        reply: &mut Reply<Snapshot>,
    ) -> Result<Snapshot, CallError> {
        let mut seen = HashSet::new();
        // An empty tree helps nobody, and without any the endpoint sends everything at once.
        let known: Vec<Arc<Dir>> = (self.told.iter().chain(known))
            .filter(|dir| !dir.children().is_empty() && seen.insert(dir.digest()))
            .take(MAX_HAVE)
            .cloned()
            .collect();
        self.outbox.push(&Message::Scan { look }).await?;
        for path in paths {
            self.outbox.push(&Message::Path(Blob(path.as_bytes()))).await?;
        }
        for dir in &known {
            self.outbox.push(&Message::Have(Hash(dir.digest()))).await?;
        }
        self.outbox.push(&Message::End).await?;
        let (epoch, digest, form, same_problems) = match self.head(reply).await? {
            Message::Snapshot { epoch, digest, form, same_problems } => {
                (epoch, digest.0, form, same_problems)
            }
            _ => return Err(WireError::Unexpected("no snapshot").into()),
        };
        if !same_problems {
            self.problems = self.receive_problems().await?;
        }
        let named =
            |at: u8| known.get(usize::from(at)).ok_or(WireError::Malformed("a tree that was not named"));
        let root = RelPath::root();
        let tree = match form {
            Form::Same(at) => {
                let tree = named(at)?;
                if tree.digest() != digest {
                    let got = tree.digest();
                    return Err(WireError::WrongDigest { announced: digest, got }.into());
                }
                Arc::clone(tree)
            }
            Form::Delta(at) => {
                let base = named(at)?;
                let mut catalog = Catalog::new(vec![Arc::clone(base)]);
                let base = Some(Arc::clone(base));
                receive_tree(&mut self.inbox, &root, base, Some(&mut catalog), digest).await?
            }
            Form::Full => receive_tree(&mut self.inbox, &root, None, None, digest).await?,
            Form::Descend => {
                let tree = descend(&mut self.inbox, &mut self.outbox, &known, digest).await?;
                self.outbox.push(&Message::Got(Hash(digest))).await?;
                self.outbox.flush().await?;
                tree
            }
        };
        self.told = Some(Arc::clone(&tree));
        Ok(Snapshot { tree, epoch, problems: self.problems.clone() })
    }

    async fn receive_problems(&mut self) -> Result<Vec<Problem>, WireError> {
        let mut problems = Vec::new();
        loop {
            match self.inbox.message().await? {
                Message::End => return Ok(problems),
                Message::Problem { path, kind, detail } if problems.len() < MAX_PROBLEMS => {
                    problems.push(convert::problem(path, kind, detail)?);
                }
                _ => return Err(WireError::Unexpected("something else among problems")),
            }
        }
    }

    /// Waits for an answer that is a list.
    async fn list<T>(&mut self, reply: &mut Reply<T>) -> Result<crate::batch::Body, CallError> {
        let mut body = crate::batch::Body::default();
        let first = self.head(reply).await?;
        if !crate::batch::receive_first(&first, &mut body)? {
            receive_body(&mut self.inbox, None, &mut body).await?;
        }
        Ok(body)
    }

    async fn manifest(
        &mut self,
        items: &[Item],
        indices: &[u32],
        reply: &mut Reply<Vec<Manifest>>,
    ) -> Result<Vec<Manifest>, CallError> {
        self.outbox.push(&Message::Manifest).await?;
        send_items(&mut self.outbox, items).await?;
        for index in indices {
            self.outbox.push(&Message::Index(*index)).await?;
        }
        self.outbox.push(&Message::End).await?;
        Ok(self.list(reply).await?.manifests)
    }

    async fn read_bases(&mut self, batch: &Batch, reply: &mut Reply<()>) -> Result<(), CallError> {
        self.outbox.push(&Message::ReadBases).await?;
        send_items(&mut self.outbox, &batch.items).await?;
        send_bases(&mut self.outbox, batch).await?;
        self.outbox.push(&Message::End).await?;
        self.list(reply).await.map(drop)
    }

    async fn prepare(
        &mut self,
        batch: Arc<Batch>,
        manifests: &[Manifest],
        reply: &mut Reply<Vec<Need>>,
    ) -> Result<Vec<Need>, CallError> {
        self.prepared = None;
        let mut refer = can_refer(&batch);
        loop {
            self.outbox.push(&Message::Prepare).await?;
            send_batch(&mut self.outbox, &batch, refer).await?;
            send_manifests(&mut self.outbox, manifests).await?;
            self.outbox.push(&Message::End).await?;
            match self.list(reply).await {
                Err(error) if refer && is_lost_reference(&error) => refer = false,
                Err(error) => return Err(error),
                Ok(body) => {
                    self.prepared = Some(batch);
                    return Ok(body.needs);
                }
            }
        }
    }

    async fn supply(
        &mut self,
        items: &[Item],
        needs: &[Need],
        mut reply: Reply<mpsc::Receiver<Piece>>,
    ) -> Result<(), Arc<WireError>> {
        let begun = async {
            self.outbox.push(&Message::Supply).await?;
            send_items(&mut self.outbox, items).await?;
            send_needs(&mut self.outbox, needs).await?;
            self.outbox.push(&Message::End).await
        };
        if let Err(error) = begun.await {
            return answer(reply, Err(error.into()));
        }
        // The head stays in the inbox where it is a piece, so that there is one place that takes pieces.
        if let Err(error) = self.await_head(&mut reply).await {
            return answer(reply, Err(error));
        }
        let (sink, pieces) = mpsc::channel(PIECES);
        let mut cancelled = reply.send(Ok(pieces)).is_err();
        if cancelled {
            self.cancel().await?;
        }
        let mut left: HashSet<u32> = needs.iter().map(Need::item).collect();
        let result = loop {
            let arrival = match self.inbox.next().await {
                Ok(arrival) => arrival,
                Err(error) => break Err(CallError::from(error)),
            };
            let piece = match arrival.piece() {
                Ok(piece) => piece,
                Err(Message::Done) => break Ok(()),
                Err(other) => match no_error(other) {
                    Err(error) => break Err(error),
                    Ok(_) => break Err(WireError::Unexpected("something else among pieces").into()),
                },
            };
            if cancelled {
                continue;
            }
            if let Piece::Whole { item, .. } | Piece::End { item } | Piece::Failed { item, .. } = &piece {
                left.remove(item);
            }
            if sink.send(piece).await.is_err() {
                cancelled = true;
                self.cancel().await?;
            }
        };
        if let Err(error) = &result {
            for need in needs {
                if left.remove(&need.item()) {
                    let reason = SupplyFailure::Unreadable(error.to_string());
                    if sink.send(Piece::Failed { item: need.item(), reason }).await.is_err() {
                        break;
                    }
                }
            }
        }
        match result {
            Err(CallError::Lost(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn cancel(&mut self) -> Result<(), WireError> {
        self.outbox.push(&Message::Cancel { call: self.call }).await?;
        self.outbox.flush().await
    }

    /// Like [`Driver::head`], but leaves a piece or the end of the pieces where it is.
    async fn await_head<T>(&mut self, reply: &mut Reply<T>) -> Result<(), CallError> {
        self.call = self.call.wrapping_add(1);
        self.outbox.flush().await?;
        self.wait(reply, true).await?;
        if self.inbox.at_error() {
            return no_error(self.inbox.take()?.message()?).map(drop);
        }
        Ok(())
    }

    /// Waits until something else than a nudge can be taken.
    async fn wait<T>(&mut self, reply: &mut Reply<T>, may_cancel: bool) -> Result<(), CallError> {
        let mut may_cancel = may_cancel;
        loop {
            tokio::select! {
                filled = self.inbox.fill() => {
                    if !filled? {
                        return Err(WireError::Truncated.into());
                    }
                    if !self.inbox.at_nudge() {
                        return Ok(());
                    }
                    self.nudge().await?;
                }
                () = reply.closed(), if may_cancel => {
                    may_cancel = false;
                    self.cancel().await?;
                }
            }
        }
    }

    async fn apply(
        &mut self,
        batch: Arc<Batch>,
        mut pieces: mpsc::Receiver<Piece>,
        progress: Option<watch::Sender<Progress>>,
        reply: &mut Reply<Report>,
    ) -> Result<Report, CallError> {
        let prepared = self.prepared.take();
        let is_prepared = prepared.is_some_and(|ready| Arc::ptr_eq(&ready, &batch) || *ready == *batch);
        let mut refer = !is_prepared && can_refer(&batch);
        loop {
            self.outbox.push(&Message::Apply { prepared: is_prepared, wait: refer }).await?;
            if !is_prepared {
                send_batch(&mut self.outbox, &batch, refer).await?;
                self.outbox.push(&Message::End).await?;
            }
            if !refer {
                self.call = self.call.wrapping_add(1);
                break;
            }
            // Pieces follow only once it is certain that the endpoint knows what is referred to.
            match self.head(reply).await {
                Ok(Message::Accepted) => break,
                Ok(_) => return Err(WireError::Unexpected("no word about a batch").into()),
                Err(error) if is_lost_reference(&error) => refer = false,
                Err(error) => return Err(error),
            }
        }
        if batch.items.is_empty() {
            pieces.close();
        }
        self.feed(&mut pieces, progress.as_ref(), reply).await?;
        loop {
            self.wait_quietly(reply).await?;
            let first = match no_error(self.inbox.take()?.message()?)? {
                Message::Progress { bytes, items } => {
                    tell(progress.as_ref(), bytes, items);
                    continue;
                }
                other => Head::read(&other)?,
            };
            return receive_report(&mut self.inbox, &batch, first).await;
        }
    }

    /// Waits for the answer to a batch; the caller's going away ends it at the endpoint.
    async fn wait_quietly(&mut self, reply: &mut Reply<Report>) -> Result<(), CallError> {
        let may_cancel = !reply.is_closed();
        self.wait(reply, may_cancel).await
    }

    /// Sends pieces until there are no more, the caller goes away, or the endpoint answers.
    async fn feed(
        &mut self,
        pieces: &mut mpsc::Receiver<Piece>,
        progress: Option<&watch::Sender<Progress>>,
        reply: &mut Reply<Report>,
    ) -> Result<(), CallError> {
        let mut pending: Option<Piece> = None;
        loop {
            tokio::select! {
                piece = pieces.recv(), if pending.is_none() => match piece {
                    Some(piece) => pending = Some(piece),
                    None => break,
                },
                ready = self.outbox.ready(), if pending.is_some() => {
                    ready?;
                    if let Some(piece) = pending.take() {
                        self.outbox.piece(piece).await?;
                    }
                    // More that is there already shares the frame; otherwise nothing is held back.
                    match pieces.try_recv() {
                        Ok(piece) => pending = Some(piece),
                        Err(_) => self.outbox.flush().await?,
                    }
                }
                filled = self.inbox.fill() => {
                    if !filled? {
                        return Err(WireError::Truncated.into());
                    }
                    if self.inbox.at_nudge() {
                        self.nudge().await?;
                    } else if let Some((bytes, items)) = self.inbox.take_progress() {
                        tell(progress, bytes, items);
                    } else {
                        // The answer is there before the end of the pieces: nobody wants the rest.
                        break;
                    }
                }
                () = reply.closed() => {
                    self.cancel().await?;
                    break;
                }
            }
        }
        self.outbox.push(&Message::PiecesEnd).await?;
        self.outbox.flush().await?;
        Ok(())
    }

    async fn author(
        &mut self,
        path: &RelPath,
        digest: Digest,
        reply: &mut Reply<Option<String>>,
    ) -> Result<Option<String>, CallError> {
        self.outbox.push(&Message::Author { path: Blob(path.as_bytes()), digest: Hash(digest) }).await?;
        match self.head(reply).await? {
            Message::AuthorIs(machine) => Ok(machine.map(str::to_owned)),
            _ => Err(WireError::Unexpected("no author").into()),
        }
    }

    async fn report_state(&mut self, state: &[u8], reply: &mut Reply<()>) -> Result<(), CallError> {
        if state.len() > MAX_STATE {
            let message = format!("a status of {} bytes is longer than {MAX_STATE}", state.len());
            return Err(RemoteError::new("status-too-long", message, "").into());
        }
        self.outbox.push(&Message::ReportState(Blob(state))).await?;
        match self.head(reply).await? {
            Message::Done => Ok(()),
            _ => Err(WireError::Unexpected("no acknowledgement").into()),
        }
    }
}

fn tell(progress: Option<&watch::Sender<Progress>>, bytes: u64, items: u64) {
    if let Some(progress) = progress {
        progress.send_replace(Progress { bytes, items });
    }
}

fn no_error(message: Message<'_>) -> Result<Message<'_>, CallError> {
    match message {
        Message::Error { code, message, hint } => Err(RemoteError::new(code, message, hint).into()),
        other => Ok(other),
    }
}

fn is_lost_reference(error: &CallError) -> bool {
    matches!(error, CallError::Remote(error) if error.code == RemoteError::REFERENCE_LOST)
}
