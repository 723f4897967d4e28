//! The client's side of the control socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::address;
use super::frame::{self, FromNode, Hello, LONGEST_REPLY, Lines, PROTOCOL, ToNode};
use crate::api::{ApiError, ErrorCode, Event, Reply, Request};
use crate::home::Home;

/// How long a daemon may take to say hello; it does nothing else before.
const HELLO: Duration = Duration::from_secs(10);

/// A connection to the daemon of a home. Dropping it cancels what it asked for.
#[derive(Debug)]
pub struct Client {
    lines: Lines<OwnedReadHalf>,
    write: OwnedWriteHalf,
    next: u64,
    /// A call whose future was dropped before its answer came.
    abandoned: Option<u64>,
}

impl Client {
    /// Connects to the daemon of `home`; `None` if there is none.
    ///
    /// # Errors
    /// When something is there that cannot be talked to.
    pub async fn connect(home: &Home) -> Result<Option<Client>, ApiError> {
        for path in address::candidates(home, address::runtime_dir()) {
            if !address::trustworthy(home, &path) {
                continue;
            }
            match UnixStream::connect(&path).await {
                Ok(stream) => return Client::greet(stream, &path).await.map(Some),
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(broken(&path, &error)),
            }
        }
        Ok(None)
    }

    async fn greet(stream: UnixStream, path: &Path) -> Result<Client, ApiError> {
        let us = rustix::process::geteuid().as_raw();
        let peer = stream.peer_cred().map_err(|error| broken(path, &error))?;
        if peer.uid() != us && peer.uid() != 0 && us != 0 {
            let message = format!("the control socket {} belongs to another user", path.display());
            return Err(ApiError::new(ErrorCode::Refused, message)
                .with_hint("Use a home of your own with --home DIR."));
        }
        let (read, mut write) = stream.into_split();
        let mut lines = Lines::new(read, LONGEST_REPLY);
        let greeting = async {
            frame::send(&mut write, &Hello::ours()).await?;
            lines.next().await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
        };
        let hello = match timeout(HELLO, greeting).await {
            Ok(hello) => hello.map_err(|error| broken(path, &error))?,
            Err(_) => return Err(broken(path, &io::ErrorKind::TimedOut.into())),
        };
        let hello: Hello = serde_json::from_slice(&hello).map_err(|error| broken(path, &error.into()))?;
        if hello.evenfold != PROTOCOL {
            let message = format!(
                "the running daemon is evenfold {}, which this command (evenfold {}) cannot talk to",
                hello.version,
                env!("CARGO_PKG_VERSION")
            );
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint("Restart the daemon."));
        }
        Ok(Client { lines, write, next: 1, abandoned: None })
    }

    /// Asks one thing and waits for the answer; `on_event` sees what happens meanwhile. When the future is dropped,
    /// the call is cancelled at the next call or when the client is dropped.
    ///
    /// # Errors
    /// What the node says, or that the connection broke off, in which case it is unknown whether it was done.
    pub async fn call(
        &mut self,
        request: Request,
        on_event: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Reply, ApiError> {
        if let Some(id) = self.abandoned.take() {
            frame::send(&mut self.write, &ToNode::Cancel { id }).await.map_err(|error| gone(&error))?;
        }
        let id = self.next;
        self.next += 1;
        self.abandoned = Some(id);
        let call = ToNode::Call { id, request: Box::new(request) };
        frame::send(&mut self.write, &call).await.map_err(|error| gone(&error))?;
        loop {
            let line = self.lines.next().await.map_err(|error| gone(&error))?;
            let line = line.ok_or_else(|| gone(&io::ErrorKind::UnexpectedEof.into()))?;
            let answer = match serde_json::from_slice(&line) {
                Ok(FromNode::Event { id: of, event }) => {
                    if of == id {
                        on_event(event);
                    }
                    continue;
                }
                Ok(FromNode::Reply { id: of, reply }) if of == id => Ok(*reply),
                Ok(FromNode::Error { id: of, error }) if of == id || of == 0 => Err(error),
                Ok(_) => continue,
                Err(error) => {
                    let message = format!("the answer of the running daemon is not understood: {error}");
                    let hint = "If Evenfold was updated, restart the daemon.";
                    Err(ApiError::new(ErrorCode::Internal, message).with_hint(hint))
                }
            };
            self.abandoned = None;
            return answer;
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn broken(path: &Path, error: &io::Error) -> ApiError {
    let message = format!("the daemon cannot be reached over {}: {error}", path.display());
    ApiError::new(ErrorCode::Io, message)
        .with_hint("Restart the daemon; its log is in the directory `log` of the home.")
}

fn gone(error: &io::Error) -> ApiError {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "the daemon ended before it answered, so it is unknown whether this was done".to_owned()
        }
        _ => format!("the connection to the daemon broke ({error}), so it is unknown whether this was done"),
    };
    ApiError::new(ErrorCode::Io, message).with_hint("Start the daemon again and look with `evenfold status`.")
}
