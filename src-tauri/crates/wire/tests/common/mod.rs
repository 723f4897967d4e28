//! An endpoint in memory, a counted stream, and trees.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Outcome, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Chunk, Item, Manifest, Need, Piece};
use evenfold_core::{Child, Digest, Dir, Entry, File, Mode, Mtime, Name, ProblemKind, RelPath, Symlink};
use evenfold_wire::{Client, Handler, Progress, RemoteError, Server, WireError};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name::new(bytes.as_ref()).unwrap()
}

pub fn path(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(bytes.as_ref()).unwrap()
}

pub fn file(seed: u64) -> Entry {
    Entry::File(File {
        digest: Digest::of(&seed.to_le_bytes()),
        size: seed,
        mtime: Mtime { secs: 1_795_000_000 + seed as i64, nanos: (seed % 1_000_000_000) as u32 },
        mode: Mode::new(0o644),
    })
}

pub fn dir(children: Vec<(String, Entry)>) -> Arc<Dir> {
    let children = children.into_iter().map(|(n, entry)| Child { name: name(n), entry }).collect();
    Arc::new(Dir::new(Mode::new(0o755), children))
}

/// A small generator: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn entry(&mut self, depth: u32) -> Entry {
        match self.below(10) {
            0 => Entry::Symlink(Symlink { target: vec![b'/'; self.below(40) as usize + 1].into() }),
            1 => Entry::Unknown(ProblemKind::ALL[self.below(7) as usize]),
            2..=4 if depth > 0 => Entry::Dir(self.tree(depth - 1)),
            _ => file(self.below(1000)),
        }
    }

    pub fn tree(&mut self, depth: u32) -> Arc<Dir> {
        let width = if self.below(8) == 0 { 80 } else { self.below(8) };
        let children = (0..width).map(|_| {
            let odd: [&[u8]; 6] = [b"-rf", b" x", b"a\nb", b"\xff\xfe", b"$(id)", b"n"];
            let mut bytes = odd[self.below(6) as usize].to_vec();
            bytes.extend_from_slice(self.below(200).to_string().as_bytes());
            Child { name: name(bytes), entry: self.entry(depth) }
        });
        let mut children: Vec<Child> = children.collect();
        children.sort_by(|a, b| a.name.cmp(&b.name));
        children.dedup_by(|a, b| a.name == b.name);
        Arc::new(Dir::new(Mode::new(0o755 - (self.below(2) as u32)), children))
    }

    /// Returns the tree with a few things changed, removed, added or moved.
    pub fn perturb(&mut self, tree: &Arc<Dir>, rate: u64) -> Arc<Dir> {
        let mut children: Vec<Child> = Vec::new();
        for child in tree.children() {
            let entry = match &child.entry {
                Entry::Dir(inner) if self.below(3) == 0 => Entry::Dir(self.perturb(inner, rate)),
                other => other.clone(),
            };
            match self.below(rate) {
                0 => {}
                1 => children.push(Child { name: child.name.clone(), entry: self.entry(2) }),
                2 => children.push(Child { name: name(format!("renamed{}", self.below(1000))), entry }),
                _ => children.push(Child { name: child.name.clone(), entry }),
            }
        }
        children.sort_by(|a, b| a.name.cmp(&b.name));
        children.dedup_by(|a, b| a.name == b.name);
        Arc::new(Dir::new(tree.mode(), children))
    }
}

/// Bytes that went each way.
#[derive(Default)]
pub struct Count {
    pub read: AtomicU64,
    pub written: AtomicU64,
}

impl Count {
    pub fn take(&self) -> u64 {
        self.read.swap(0, Ordering::SeqCst) + self.written.swap(0, Ordering::SeqCst)
    }
}

pub struct Counted<S>(pub S, pub Arc<Count>);

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.read.fetch_add((buf.filled().len() - before) as u64, Ordering::SeqCst);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.0).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = result {
            self.1.written.fetch_add(n as u64, Ordering::SeqCst);
        }
        result
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What an endpoint in memory was asked, and what it answers.
pub struct Fake {
    pub snapshot: Mutex<Snapshot>,
    pub nudger: watch::Sender<u64>,
    pub needs: Mutex<Vec<Need>>,
    pub batches: Mutex<Vec<Batch>>,
    pub pieces: Mutex<Vec<Piece>>,
    pub outcomes: Mutex<Option<Vec<Outcome>>>,
    /// What `supply` sends; sent again and again if `endless`.
    pub supplies: Mutex<Vec<Piece>>,
    pub endless: bool,
    pub sent: AtomicU64,
    /// Calls in progress; `scan` hangs while `hang` is set.
    pub hang: bool,
    pub running: watch::Sender<u64>,
}

impl Fake {
    pub fn new(tree: &Arc<Dir>) -> Self {
        Fake {
            snapshot: Mutex::new(Snapshot { tree: Arc::clone(tree), epoch: 7, problems: Vec::new() }),
            nudger: watch::channel(0).0,
            needs: Mutex::default(),
            batches: Mutex::default(),
            pieces: Mutex::default(),
            outcomes: Mutex::default(),
            supplies: Mutex::default(),
            endless: false,
            sent: AtomicU64::new(0),
            hang: false,
            running: watch::channel(0).0,
        }
    }

    pub fn set(&self, tree: &Arc<Dir>) {
        self.snapshot.lock().unwrap().tree = Arc::clone(tree);
        self.nudger.send_modify(|n| *n += 1);
    }
}

struct Running<'a>(&'a watch::Sender<u64>);

impl<'a> Running<'a> {
    fn new(sender: &'a watch::Sender<u64>) -> Self {
        sender.send_modify(|n| *n += 1);
        Running(sender)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

#[async_trait]
impl Handler for Fake {
    async fn scan(&self, _extent: Extent) -> Result<Snapshot, RemoteError> {
        let _running = Running::new(&self.running);
        if self.hang {
            std::future::pending::<()>().await;
        }
        Ok(self.snapshot.lock().unwrap().clone())
    }

    async fn current(&self) -> Result<Snapshot, RemoteError> {
        Ok(self.snapshot.lock().unwrap().clone())
    }

    async fn manifest(&self, items: Vec<Item>, indices: Vec<u32>) -> Result<Vec<Manifest>, RemoteError> {
        Ok(indices
            .into_iter()
            .filter(|index| (*index as usize) < items.len())
            .map(|item| Manifest { item, chunks: vec![Chunk { hash: [item as u8; 6], len: 9 }; 10_000] })
            .collect())
    }

    async fn read_bases(&self, batch: Arc<Batch>) -> Result<(), RemoteError> {
        self.batches.lock().unwrap().push((*batch).clone());
        Ok(())
    }

    async fn prepare(&self, batch: Arc<Batch>, _manifests: Vec<Manifest>) -> Result<Vec<Need>, RemoteError> {
        self.batches.lock().unwrap().push((*batch).clone());
        Ok(self.needs.lock().unwrap().clone())
    }

    async fn supply(
        &self,
        _items: Vec<Item>,
        needs: Vec<Need>,
        sink: mpsc::Sender<Piece>,
    ) -> Result<(), RemoteError> {
        let _running = Running::new(&self.running);
        *self.needs.lock().unwrap() = needs;
        let supplies = self.supplies.lock().unwrap().clone();
        loop {
            for piece in &supplies {
                if sink.send(piece.clone()).await.is_err() {
                    return Ok(());
                }
                self.sent.fetch_add(1, Ordering::SeqCst);
            }
            if !self.endless {
                return if supplies.is_empty() {
                    Err(RemoteError::new("nothing", "nothing to supply", "put something there"))
                } else {
                    Ok(())
                };
            }
        }
    }

    async fn apply(
        &self,
        batch: Arc<Batch>,
        mut pieces: mpsc::Receiver<Piece>,
        progress: watch::Sender<Progress>,
    ) -> Result<Report, RemoteError> {
        let _running = Running::new(&self.running);
        let mut got = 0;
        while let Some(piece) = pieces.recv().await {
            got += 1;
            progress.send_replace(Progress { bytes: got * 10, items: got });
            self.pieces.lock().unwrap().push(piece);
        }
        self.batches.lock().unwrap().push((*batch).clone());
        let as_asked = |now: Option<Entry>| Outcome::Applied { now, short: Vec::new() };
        let all = batch.moves.iter().map(|m| Some(m.entry.clone()));
        let all = all.chain(batch.changes.iter().map(|c| c.new.clone())).map(as_asked).collect();
        let outcomes = self.outcomes.lock().unwrap().clone().unwrap_or(all);
        Ok(Report { outcomes, epoch: 8 })
    }

    async fn author(&self, path: RelPath, digest: Digest) -> Result<Option<String>, RemoteError> {
        Ok((digest == Digest::of(path.as_bytes())).then(|| "läptop".to_owned()))
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.nudger.subscribe()
    }

    async fn report_state(&self, state: Vec<u8>) -> Result<(), RemoteError> {
        if state.is_empty() { Err(RemoteError::new("empty", "no status", "send one")) } else { Ok(()) }
    }
}

pub type Serving = JoinHandle<Result<(), WireError>>;

/// Connects a client to a server and counts the bytes on the client's side.
pub fn connect(server: &Arc<Server<Fake>>) -> (Client, Arc<Count>, Serving) {
    let (near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    let count = Arc::new(Count::default());
    let server = Arc::clone(server);
    let serving = tokio::spawn(async move { server.serve(far).await });
    (Client::over(Counted(near, Arc::clone(&count))).unwrap(), count, serving)
}

pub fn server(fake: &Arc<Fake>) -> Arc<Server<Fake>> {
    Arc::new(Server::new(Arc::clone(fake)))
}
