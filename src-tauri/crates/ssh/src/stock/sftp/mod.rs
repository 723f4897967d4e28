//! An SFTP client for OpenSSH's server: names are bytes, requests are pipelined, memory is bounded.
//!
//! Requests go out in the order in which they are begun, and OpenSSH's server carries them out in that order, so a
//! sequence can be sent without waiting in between ([`Sftp::begin`]-like methods return a [`Pending`]).
//!
//! Written here because the library at hand carries names and handles as text, so that names which are not UTF-8
//! become others.

mod codec;

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Sleep, sleep};

pub use codec::Attributes;
use codec::{Reader, Writer, kind};

/// Longest message that is accepted, in bytes; OpenSSH's server sends at most 256 KiB.
const LONGEST_MESSAGE: usize = 1 << 20;

/// Requests under way at most, each with a message of at most 256 KiB on one side: 16 MiB, which fill a line of
/// 1.3 Gbit/s at 100 ms. Callers bound the answers that they leave unread.
const UNDER_WAY: usize = 64;

/// How long the host may take for one request. Long, because making data durable on a slow disk may take long; a dead
/// line is found sooner, by keep-alives.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one read or write may carry where the host does not say: what every server takes.
const SAFE_LENGTH: u32 = 32 * 1024;

/// More than this is asked of no host, although some allow it.
const LONGEST_DATA: u32 = 255 * 1024;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SftpError {
    /// The host refused; a code of the protocol and the host's words.
    #[error("{text}")]
    Status {
        /// See draft-ietf-secsh-filexfer-02, section 7.
        code: u32,
        /// What the host says.
        text: String,
    },
    /// The connection ended.
    #[error("the connection ended")]
    Ended,
    /// No answer in time; the connection was given up.
    #[error("the host did not answer in time")]
    Timeout,
    /// The host sent something that is not SFTP.
    #[error("the host's answer cannot be understood")]
    Malformed,
}

/// Codes of [`SftpError::Status`].
pub mod status {
    /// Nothing more to read.
    pub const EOF: u32 = 1;
    /// It does not exist.
    pub const NO_SUCH_FILE: u32 = 2;
    /// Not allowed.
    pub const PERMISSION_DENIED: u32 = 3;
    /// Anything else.
    pub const FAILURE: u32 = 4;
    /// The name is impossible.
    pub const BAD_MESSAGE: u32 = 5;
    /// The host cannot do that.
    pub const UNSUPPORTED: u32 = 8;
}

impl SftpError {
    /// Tells whether the whole session is over.
    pub fn is_end(&self) -> bool {
        !matches!(self, SftpError::Status { .. })
    }
}

impl From<SftpError> for io::Error {
    fn from(error: SftpError) -> Self {
        let kind = match &error {
            SftpError::Status { code, .. } => match *code {
                status::NO_SUCH_FILE => io::ErrorKind::NotFound,
                status::PERMISSION_DENIED => io::ErrorKind::PermissionDenied,
                status::BAD_MESSAGE => io::ErrorKind::InvalidFilename,
                status::UNSUPPORTED => io::ErrorKind::Unsupported,
                status::EOF => io::ErrorKind::UnexpectedEof,
                _ => io::ErrorKind::Other,
            },
            SftpError::Ended => io::ErrorKind::NotConnected,
            SftpError::Timeout => io::ErrorKind::TimedOut,
            SftpError::Malformed => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// What the host offers beyond version 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// `posix-rename@openssh.com`: renaming that replaces.
    pub posix_rename: bool,
    /// `hardlink@openssh.com`.
    pub hardlink: bool,
    /// `fsync@openssh.com`.
    pub fsync: bool,
    /// `statvfs@openssh.com`.
    pub statvfs: bool,
    /// `lsetstat@openssh.com`: attributes of links themselves.
    pub lsetstat: bool,
    limits: bool,
}

/// What a file system says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Bytes that the user may still fill.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Its identity; 0 where it has none.
    pub id: u64,
}

/// An open file or directory. It must be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHandle(Vec<u8>);

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// For reading.
    Read,
    /// A new one, for reading and writing, with these permission bits; fails if something stands there.
    Create(u32),
    /// An existing one, for reading and writing.
    Edit,
}

impl Opening {
    fn flags(self) -> u32 {
        const READ: u32 = 1;
        const WRITE: u32 = 2;
        const CREATE: u32 = 8;
        const EXCLUSIVE: u32 = 0x20;
        match self {
            Opening::Read => READ,
            Opening::Create(_) => READ | WRITE | CREATE | EXCLUSIVE,
            Opening::Edit => READ | WRITE,
        }
    }
}

struct Answer {
    kind: u8,
    body: Vec<u8>,
}

type Waiting = HashMap<u32, (oneshot::Sender<Answer>, OwnedSemaphorePermit)>;

/// A session.
pub struct Sftp {
    out: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
    under_way: Arc<Semaphore>,
    next: AtomicU32,
    ended: watch::Sender<bool>,
    offered: Offered,
    longest_read: u32,
    longest_write: u32,
}

/// A request that is under way. Dropping it leaves its answer unread.
#[must_use = "the host's answer says whether it was done"]
pub struct Pending {
    answer: oneshot::Receiver<Answer>,
    deadline: Pin<Box<Sleep>>,
    ended: watch::Sender<bool>,
}

impl Future for Pending {
    type Output = Result<Received, SftpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
            return Poll::Ready(answer.map(Received).map_err(|_| SftpError::Ended));
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            // Nobody knows what the host still does, so the session is over.
            self.ended.send_replace(true);
            return Poll::Ready(Err(SftpError::Timeout));
        }
        Poll::Pending
    }
}

/// What the host answered.
pub struct Received(Answer);

impl Received {
    fn expect(&self, wanted: u8) -> Result<Reader<'_>, SftpError> {
        let mut reader = Reader(&self.0.body);
        if self.0.kind == wanted {
            return Ok(reader);
        }
        if self.0.kind != kind::STATUS {
            return Err(SftpError::Malformed);
        }
        let code = reader.u32()?;
        let text = reader.bytes().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
        Err(SftpError::Status { code, text })
    }

    /// For requests that only succeed or fail.
    ///
    /// # Errors
    /// The host's.
    pub fn done(&self) -> Result<(), SftpError> {
        match self.expect(kind::STATUS)?.u32()? {
            0 => Ok(()),
            code => {
                let mut reader = self.expect(kind::STATUS)?;
                reader.u32()?;
                let text = reader.bytes().map(|text| String::from_utf8_lossy(text).into_owned());
                Err(SftpError::Status { code, text: text.unwrap_or_default() })
            }
        }
    }

    /// For reading: the bytes, none at the end of the file.
    ///
    /// # Errors
    /// The host's.
    pub fn data(&self) -> Result<&[u8], SftpError> {
        match self.expect(kind::DATA) {
            Ok(mut reader) => reader.bytes(),
            Err(SftpError::Status { code: status::EOF, .. }) => Ok(&[]),
            Err(error) => Err(error),
        }
    }

    /// For asking what is known of a file.
    ///
    /// # Errors
    /// The host's.
    pub fn attributes(&self) -> Result<Attributes, SftpError> {
        self.expect(kind::ATTRS)?.attributes()
    }

    /// For questions that are answered by one name.
    ///
    /// # Errors
    /// The host's.
    pub fn name(&self) -> Result<Vec<u8>, SftpError> {
        let mut reader = self.expect(kind::NAME)?;
        if reader.u32()? == 0 {
            return Err(SftpError::Malformed);
        }
        Ok(reader.bytes()?.to_vec())
    }

    /// For opening.
    ///
    /// # Errors
    /// The host's.
    pub fn handle(&self) -> Result<FileHandle, SftpError> {
        Ok(FileHandle(self.expect(kind::HANDLE)?.bytes()?.to_vec()))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, Attributes)>, SftpError> {
        let mut reader = self.expect(kind::NAME)?;
        let mut names = Vec::new();
        for _ in 0..reader.u32()? {
            let name = reader.bytes()?.to_vec();
            reader.bytes()?;
            names.push((name, reader.attributes()?));
        }
        Ok(names)
    }

    fn file_system(&self) -> Result<FileSystem, SftpError> {
        let mut reader = self.expect(kind::EXTENDED_REPLY)?;
        // bsize, frsize, blocks, bfree, bavail, files, ffree, favail, fsid, flag, namemax
        let mut field = || reader.u64();
        let (_, block, blocks, _, available) = (field()?, field()?, field()?, field()?, field()?);
        let (_, _, _, id) = (field()?, field()?, field()?, field()?);
        Ok(FileSystem { free: available.saturating_mul(block), total: blocks.saturating_mul(block), id })
    }
}

impl Sftp {
    /// Starts a session over the stream of the subsystem.
    ///
    /// # Errors
    /// Where the other side does not speak SFTP.
    pub(super) async fn start<S>(stream: S) -> Result<Self, SftpError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let greeting = Writer::greeting().finish();
        writer.write_all(&greeting).await.map_err(|_| SftpError::Ended)?;
        let (kind, body) = read_message(&mut reader).await?;
        let mut answer = Reader(&body);
        if kind != kind::VERSION || answer.u32()? < 3 {
            return Err(SftpError::Malformed);
        }
        let mut offered = Offered::default();
        for (name, version) in answer.pairs()? {
            match (name, version) {
                (b"posix-rename@openssh.com", b"1") => offered.posix_rename = true,
                (b"hardlink@openssh.com", b"1") => offered.hardlink = true,
                (b"fsync@openssh.com", b"1") => offered.fsync = true,
                (b"statvfs@openssh.com", b"2") => offered.statvfs = true,
                (b"lsetstat@openssh.com", b"1") => offered.lsetstat = true,
                (b"limits@openssh.com", b"1") => offered.limits = true,
                _ => {}
            }
        }
        let (out, queue) = mpsc::channel(UNDER_WAY);
        let mut session = Sftp {
            out,
            waiting: Arc::default(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            next: AtomicU32::new(0),
            ended: watch::Sender::new(false),
            offered,
            longest_read: SAFE_LENGTH,
            longest_write: SAFE_LENGTH,
        };
        let ended = session.ended.clone();
        let waiting = Arc::clone(&session.waiting);
        tokio::spawn(async move {
            let mut stop = ended.subscribe();
            tokio::select! {
                () = send_all(writer, queue) => {}
                () = receive_all(reader, &waiting) => {}
                _ = stop.wait_for(|ended| *ended) => {}
            }
            ended.send_replace(true);
            // Whoever waits learns that no answer comes.
            lock(&waiting).clear();
        });
        if offered.limits {
            session.ask_limits().await?;
        }
        Ok(session)
    }

    async fn ask_limits(&mut self) -> Result<(), SftpError> {
        let answer = self.extended(b"limits@openssh.com", |request| request).await?.await?;
        let mut reader = answer.expect(kind::EXTENDED_REPLY)?;
        let (_, read, write) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let usable = |limit: u64| match u32::try_from(limit) {
            Ok(0) => SAFE_LENGTH,
            Ok(limit) => limit.min(LONGEST_DATA),
            Err(_) => LONGEST_DATA,
        };
        (self.longest_read, self.longest_write) = (usable(read), usable(write));
        Ok(())
    }

    /// Returns what the host offers.
    pub fn offered(&self) -> Offered {
        self.offered
    }

    /// Returns how many bytes one read may ask for.
    pub fn longest_read(&self) -> u32 {
        self.longest_read
    }

    /// Returns how many bytes one write may carry.
    pub fn longest_write(&self) -> u32 {
        self.longest_write
    }

    /// Tells whether the session is over.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until the session is over.
    pub async fn ended(&self) {
        // An error would mean that the sender is gone; it lives in `self`.
        _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Sends a request; waits only while too many are under way.
    async fn send(&self, kind: u8, fill: impl FnOnce(Writer) -> Writer) -> Result<Pending, SftpError> {
        let permit = Arc::clone(&self.under_way).acquire_owned().await.map_err(|_| SftpError::Ended)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, (sender, permit));
        if self.has_ended() {
            // Cleared before, perhaps: nobody would answer.
            lock(&self.waiting).clear();
            return Err(SftpError::Ended);
        }
        let message = fill(Writer::request(kind, id)).finish();
        self.out.send(message).await.map_err(|_| SftpError::Ended)?;
        Ok(Pending { answer, deadline: Box::pin(sleep(PATIENCE)), ended: self.ended.clone() })
    }

    async fn extended(&self, name: &[u8], fill: impl FnOnce(Writer) -> Writer) -> Result<Pending, SftpError> {
        self.send(kind::EXTENDED, |request| fill(request.bytes(name))).await
    }

    /// Resolves a path, links and all. What does not exist is answered, too, where only the last part is missing.
    ///
    /// # Errors
    /// The host's; so with all requests.
    pub async fn real_path(&self, path: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::REALPATH, |request| request.bytes(path)).await
    }

    /// Says what stands at a path, not following a link.
    pub async fn lstat(&self, path: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::LSTAT, |request| request.bytes(path)).await
    }

    /// Reads where a link points to.
    pub async fn read_link(&self, path: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::READLINK, |request| request.bytes(path)).await
    }

    /// Opens a file. Links are followed, because version 3 knows no other way.
    pub async fn open(&self, path: &[u8], how: Opening) -> Result<Pending, SftpError> {
        let permissions = match how {
            Opening::Create(permissions) => Some(permissions),
            Opening::Read | Opening::Edit => None,
        };
        let attributes = Attributes { permissions, ..Attributes::default() };
        self.send(kind::OPEN, |request| request.bytes(path).u32(how.flags()).attributes(&attributes)).await
    }

    /// Reads up to `length` bytes; fewer may come.
    pub async fn read(&self, file: &FileHandle, offset: u64, length: u32) -> Result<Pending, SftpError> {
        self.send(kind::READ, |request| request.bytes(&file.0).u64(offset).u32(length)).await
    }

    /// Writes; at most [`Sftp::longest_write`] bytes.
    pub async fn write(&self, file: &FileHandle, offset: u64, data: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::WRITE, |request| request.bytes(&file.0).u64(offset).bytes(data)).await
    }

    /// Says what is known of an open file.
    pub async fn fstat(&self, file: &FileHandle) -> Result<Pending, SftpError> {
        self.send(kind::FSTAT, |request| request.bytes(&file.0)).await
    }

    /// Sets attributes of an open file.
    pub async fn set_open(&self, file: &FileHandle, wanted: &Attributes) -> Result<Pending, SftpError> {
        self.send(kind::FSETSTAT, |request| request.bytes(&file.0).attributes(wanted)).await
    }

    /// Sets attributes of what stands at a path; follows a link.
    pub async fn set(&self, path: &[u8], wanted: &Attributes) -> Result<Pending, SftpError> {
        self.send(kind::SETSTAT, |request| request.bytes(path).attributes(wanted)).await
    }

    /// Makes an open file durable; directories may be opened for reading and made durable, too, where the host runs
    /// Linux.
    pub async fn sync(&self, file: &FileHandle) -> Result<Pending, SftpError> {
        self.extended(b"fsync@openssh.com", |request| request.bytes(&file.0)).await
    }

    /// Closes a file.
    pub async fn close(&self, file: FileHandle) -> Result<Pending, SftpError> {
        self.send(kind::CLOSE, |request| request.bytes(&file.0)).await
    }

    /// Makes a directory.
    pub async fn make_dir(&self, path: &[u8], permissions: u32) -> Result<Pending, SftpError> {
        let attributes = Attributes { permissions: Some(permissions), ..Attributes::default() };
        self.send(kind::MKDIR, |request| request.bytes(path).attributes(&attributes)).await
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, path: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::RMDIR, |request| request.bytes(path)).await
    }

    /// Removes a file or link.
    pub async fn remove(&self, path: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::REMOVE, |request| request.bytes(path)).await
    }

    /// Makes a link at `path`.
    pub async fn make_link(&self, target: &[u8], path: &[u8]) -> Result<Pending, SftpError> {
        // In OpenSSH's order, which is not the draft's.
        self.send(kind::SYMLINK, |request| request.bytes(target).bytes(path)).await
    }

    /// Renames; fails if something stands at `to`.
    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<Pending, SftpError> {
        self.send(kind::RENAME, |request| request.bytes(from).bytes(to)).await
    }

    /// Renames, replacing what stands at `to` in one step.
    pub async fn replace(&self, from: &[u8], to: &[u8]) -> Result<Pending, SftpError> {
        self.extended(b"posix-rename@openssh.com", |request| request.bytes(from).bytes(to)).await
    }

    /// Gives a file a second name; fails if something stands at `to`.
    pub async fn hard_link(&self, from: &[u8], to: &[u8]) -> Result<Pending, SftpError> {
        self.extended(b"hardlink@openssh.com", |request| request.bytes(from).bytes(to)).await
    }

    /// Describes the file system at a path.
    pub async fn file_system(&self, path: &[u8]) -> Result<FileSystem, SftpError> {
        self.extended(b"statvfs@openssh.com", |request| request.bytes(path)).await?.await?.file_system()
    }

    /// Lists a directory completely, or fails; `.` and `..` are left out. Attributes are those of links themselves.
    pub async fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Attributes)>, SftpError> {
        let opened = self.send(kind::OPENDIR, |request| request.bytes(path)).await?.await?.handle()?;
        let listed = self.list_open(&opened).await;
        // The listing is complete or not, whatever closing says.
        drop(self.close(opened).await?);
        listed
    }

    async fn list_open(&self, dir: &FileHandle) -> Result<Vec<(Vec<u8>, Attributes)>, SftpError> {
        let mut found = Vec::new();
        loop {
            let part = self.send(kind::READDIR, |request| request.bytes(&dir.0)).await?.await?;
            match part.names() {
                Ok(names) => {
                    found.extend(names.into_iter().filter(|(name, _)| name != b"." && name != b".."))
                }
                Err(SftpError::Status { code: status::EOF, .. }) => return Ok(found),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Sftp {
    fn drop(&mut self) {
        self.ended.send_replace(true);
    }
}

async fn send_all(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if writer.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn receive_all(mut reader: impl AsyncRead + Unpin, waiting: &Mutex<Waiting>) {
    while let Ok((kind, body)) = read_message(&mut reader).await {
        let Some((id, rest)) = body.split_first_chunk::<4>() else { return };
        let Some((sender, permit)) = lock(waiting).remove(&u32::from_be_bytes(*id)) else { continue };
        // The answer makes room for another request, read or not: whoever holds many answers must be able to go on.
        drop(permit);
        // Nobody waits any more where a request was dropped.
        _ = sender.send(Answer { kind, body: rest.to_vec() });
    }
}

async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), SftpError> {
    let length = reader.read_u32().await.map_err(|_| SftpError::Ended)? as usize;
    if length == 0 || length > LONGEST_MESSAGE {
        return Err(SftpError::Malformed);
    }
    let kind = reader.read_u8().await.map_err(|_| SftpError::Ended)?;
    let mut body = vec![0; length - 1];
    reader.read_exact(&mut body).await.map_err(|_| SftpError::Ended)?;
    Ok((kind, body))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind it changes by single insertions and removals, so it is whole even if a thread died.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
