//! The node's side of the control socket.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

use super::frame::{self, FromNode, Hello, LONGEST_REPLY, LONGEST_REQUEST, Lines, PROTOCOL, ToNode};
use super::{EVENTS, Service, address};
use crate::api::{ApiError, ErrorCode, Reply, Request};
use crate::home::{Home, HomeLock};

/// Connections at the same time: a desktop, and commands of scripts.
const MOST_CONNECTIONS: usize = 64;

/// Calls under way on one connection: more than a window shows at once.
const MOST_CALLS: usize = 32;

/// Lines that wait to be written to one client. A call whose client does not read waits; its events are dropped.
const UNSENT: usize = 32;

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// How long calls under way may take to end after a shutdown has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The control socket, bound. The file goes when this is dropped, which has to happen before the home's lock ends.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket of a home, with access for its owner only. The lock proves that a socket which is already
    /// there was left behind.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(home: &Home, _lock: &HomeLock) -> io::Result<Listener> {
        let mut refused =
            io::Error::new(io::ErrorKind::InvalidInput, "there is no place with a path that is short enough");
        for path in address::candidates(home, address::runtime_dir()) {
            match address::prepare(home, &path).and_then(|()| bind_at(&path)) {
                Ok(inner) => return Ok(Listener { inner, path }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn bind_at(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something that is no socket is in its place",
            ));
        }
        Err(_) => {}
    }
    let inner = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(inner)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was already gone");
        }
    }
}

/// Serves `service` on the socket until `shutdown` is done; then gives calls under way a second to end.
pub async fn serve(listener: Listener, service: Arc<dyn Service>, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.inner.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) if is_allowed(&stream) => {
                    let (service, stopping) = (Arc::clone(&service), stopping.clone());
                    connections.spawn(async move {
                        if let Err(error) = connection(stream, service, stopping).await {
                            tracing::debug!(%error, "a control connection ended");
                        }
                    });
                }
                Ok(_) => tracing::warn!("another user tried to use the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    // Out of descriptors, most likely; it passes.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // No new client finds the socket while the old ones end.
    drop(listener);
    let _ = stop.send(true);
    let _ = timeout(2 * LAST_WORDS, async { while connections.join_next().await.is_some() {} }).await;
}

/// Lets in the same user, and root.
fn is_allowed(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == us || peer.uid() == 0)
}

async fn connection(
    stream: UnixStream,
    service: Arc<dyn Service>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = Lines::new(read, LONGEST_REQUEST);
    let Some(hello) = timeout(HELLO, lines.next()).await?? else { return Ok(()) };
    frame::send(&mut write, &Hello::ours()).await?;
    let hello: Hello = serde_json::from_slice(&hello)?;
    if hello.evenfold != PROTOCOL {
        // The client has our version now and says what to do.
        return Ok(());
    }
    let (out, unsent) = mpsc::channel(UNSENT);
    let mut writer = JoinSet::new();
    writer.spawn(write_lines(write, unsent));
    let mut calls = Calls { service, out, tasks: JoinSet::new(), ids: HashMap::new() };
    let ended = loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Some(line)) => calls.take(&line).await,
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            },
            Some(task) = calls.tasks.join_next_with_id() => calls.ended(task).await,
            _ = stopping.changed() => break Ok(true),
        }
    };
    if matches!(ended, Ok(true)) {
        let last = async {
            while let Some(task) = calls.tasks.join_next_with_id().await {
                calls.ended(task).await;
            }
        };
        let _ = timeout(LAST_WORDS, last).await;
    }
    // Dropping the calls cancels what is left of them; the writer ends after what they have said.
    drop(calls);
    if ended.is_ok() {
        let _ = timeout(LAST_WORDS, writer.join_next()).await;
    }
    ended.map(|_| ())
}

async fn write_lines(mut write: OwnedWriteHalf, mut unsent: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = unsent.recv().await {
        if write.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// The calls of one connection.
struct Calls {
    service: Arc<dyn Service>,
    out: mpsc::Sender<Vec<u8>>,
    tasks: JoinSet<()>,
    ids: HashMap<Id, (u64, AbortHandle)>,
}

impl Calls {
    async fn take(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(ToNode::Call { id, request }) if self.ids.len() < MOST_CALLS => {
                let run = run(Arc::clone(&self.service), id, *request, self.out.clone());
                let handle = self.tasks.spawn(run);
                self.ids.insert(handle.id(), (id, handle));
            }
            Ok(ToNode::Call { id, .. }) => {
                let message = format!("{MOST_CALLS} requests are already under way on this connection");
                self.refuse(id, ApiError::new(ErrorCode::Usage, message)).await;
            }
            Ok(ToNode::Cancel { id }) => {
                self.ids.values().filter(|(known, _)| *known == id).for_each(|(_, handle)| handle.abort());
            }
            Err(error) => {
                // A newer client may ask what we do not know; it still gets an answer under its id.
                #[derive(serde::Deserialize)]
                struct Loose {
                    call: LooseCall,
                }
                #[derive(serde::Deserialize)]
                struct LooseCall {
                    id: u64,
                }
                let id = serde_json::from_slice::<Loose>(line).map_or(0, |loose| loose.call.id);
                let message = format!("the running daemon does not understand the request: {error}");
                let hint = "If Evenfold was updated, restart the daemon.";
                self.refuse(id, ApiError::new(ErrorCode::Usage, message).with_hint(hint)).await;
            }
        }
    }

    async fn ended(&mut self, task: Result<(Id, ()), tokio::task::JoinError>) {
        match task {
            Ok((task, ())) => {
                self.ids.remove(&task);
            }
            Err(error) => {
                let id = self.ids.remove(&error.id()).map(|(id, _)| id);
                if let Some(id) = id.filter(|_| error.is_panic()) {
                    tracing::error!("a request has failed by a defect");
                    let message = "the daemon could not answer because of a defect in Evenfold";
                    let hint = "The log tells more: evenfold log";
                    self.refuse(id, ApiError::new(ErrorCode::Internal, message).with_hint(hint)).await;
                }
            }
        }
    }

    async fn refuse(&self, id: u64, error: ApiError) {
        say(&self.out, &FromNode::Error { id, error }).await;
    }
}

/// Runs one call, passing on its events and then its answer.
async fn run(service: Arc<dyn Service>, id: u64, request: Request, out: mpsc::Sender<Vec<u8>>) {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let call = service.call(request, sender);
    tokio::pin!(call);
    let outcome: Result<Reply, ApiError> = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => nudge(&out, id, event),
            outcome = &mut call => break outcome,
        }
    };
    while let Ok(event) = events.try_recv() {
        nudge(&out, id, event);
    }
    let answer = match outcome {
        Ok(reply) => FromNode::Reply { id, reply: Box::new(reply) },
        Err(error) => FromNode::Error { id, error },
    };
    say(&out, &answer).await;
}

/// Passes an event on, or drops it if the client does not keep up.
fn nudge(out: &mpsc::Sender<Vec<u8>>, id: u64, event: crate::api::Event) {
    if let Ok(line) = frame::line(&FromNode::Event { id, event }) {
        let _ = out.try_send(line);
    }
}

async fn say(out: &mpsc::Sender<Vec<u8>>, answer: &FromNode) {
    let (FromNode::Event { id, .. } | FromNode::Reply { id, .. } | FromNode::Error { id, .. }) = answer;
    let line = match frame::line(answer) {
        Ok(line) if line.len() <= LONGEST_REPLY => Ok(line),
        unsendable => {
            tracing::error!(written = unsendable.is_ok(), "an answer cannot be sent over the control socket");
            let message = "the answer is too large to be sent";
            frame::line(&FromNode::Error { id: *id, error: ApiError::new(ErrorCode::Internal, message) })
        }
    };
    if let Ok(line) = line {
        // An error means that the client has gone, which cancels the call anyway.
        let _ = out.send(line).await;
    }
}
