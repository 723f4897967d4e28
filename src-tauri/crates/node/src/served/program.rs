//! The program's side of a session: greeting, requests, the folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use evenfold_ssh::{Limits, Pipe, Stream};
use evenfold_wire::{Incoming, NodeHandler, NodeHello, Purpose, RemoteError, Role, Share, ShareRef};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::messages::{BEGIN, Begin, Begun, FolderName, IDENTITY, LOOK, SETTINGS, Tuned};
use super::state::{Folder, look};
use crate::api::{ApiError, ErrorCode, PathText};
use crate::home::Home;
use crate::remote::REFUSED;

/// What a served session may do at most.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// The only folder that may be named; any if `None`.
    pub root: Option<PathBuf>,
    /// Whether every change is refused.
    pub read_only: bool,
}

/// Serves whoever is at the other end of `reader` and `writer` until they close. What is remembered lies in `home`.
///
/// # Errors
/// Where the other side does not speak the protocol, or another version.
pub async fn serve<R, W>(home: &Home, reader: R, writer: W, options: ServeOptions) -> Result<(), ApiError>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let pipe = Pipe::serve(reader, writer, env!("CARGO_PKG_VERSION"), &Limits::default()).await;
    let pipe = pipe.map_err(|error| {
        ApiError::new(ErrorCode::Refused, error.to_string())
            .with_hint("this command is started by Evenfold on another machine, over SSH")
    })?;
    let serving = Arc::new(Serving {
        home: home.clone(),
        options,
        folder: watch::Sender::new(None),
        beginning: tokio::sync::Mutex::default(),
    });
    loop {
        tokio::select! {
            stream = pipe.accept() => match stream {
                Some(stream) => {
                    tokio::spawn(serve_stream(Arc::clone(&serving), stream));
                }
                None => break,
            },
            () = serving.taken_over() => {
                pipe.close("a later session of the same relationship has begun");
                break;
            }
        }
    }
    let folder = serving.folder.borrow().clone();
    if let Some(folder) = folder {
        folder.end().await;
    }
    Ok(())
}

/// What the streams of a session share.
struct Serving {
    home: Home,
    options: ServeOptions,
    /// The one folder, once it has been named.
    folder: watch::Sender<Option<Arc<Folder>>>,
    beginning: tokio::sync::Mutex<()>,
}

async fn serve_stream(serving: Arc<Serving>, stream: Stream) {
    let incoming = match evenfold_wire::accept(stream, &serving.name()).await {
        Ok(incoming) => incoming,
        Err(error) => return tracing::debug!(%error, "a stream was not opened rightly"),
    };
    let served = match incoming.purpose {
        Purpose::Node => serve_requests(serving, incoming).await,
        Purpose::Endpoint { relationship } => serve_folder(&serving, incoming, relationship).await,
        Purpose::Forward { .. } | Purpose::Forwarded { .. } => {
            incoming.refuse(&not_here()).await.map_err(|error| error.to_string())
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a stream ended");
    }
}

async fn serve_requests(serving: Arc<Serving>, incoming: Incoming<Stream>) -> Result<(), String> {
    let stream = incoming.accept().await.map_err(|error| error.to_string())?;
    evenfold_wire::serve_node(stream, serving).await.map_err(|error| error.to_string())
}

async fn serve_folder(
    serving: &Serving,
    incoming: Incoming<Stream>,
    relationship: u128,
) -> Result<(), String> {
    let folder = serving.folder.borrow().clone();
    match folder.filter(|folder| folder.relationship.as_u128() == relationship) {
        Some(folder) => {
            let stream = incoming.accept().await.map_err(|error| error.to_string())?;
            evenfold_wire::serve(stream, Arc::new(folder.view())).await.map_err(|error| error.to_string())
        }
        None => incoming.refuse(&not_here()).await.map_err(|error| error.to_string()),
    }
}

fn not_here() -> RemoteError {
    RemoteError::new(REFUSED, "this session serves one folder and nothing else of the machine", "")
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(payload)
        .map_err(|error| RemoteError::new("malformed", format!("the request cannot be read: {error}"), ""))
}

fn write(answer: &impl serde::Serialize) -> Result<Vec<u8>, RemoteError> {
    serde_json::to_vec(answer).map_err(|error| RemoteError::new("internal", error.to_string(), ""))
}

impl Serving {
    /// What this machine is called, for messages.
    fn name(&self) -> String {
        self.folder.borrow().as_ref().map_or_else(|| "the host".to_owned(), |folder| folder.machine())
    }

    /// Waits until a later session wants what this one keeps.
    async fn taken_over(&self) {
        let mut folder = self.folder.subscribe();
        let named = folder.wait_for(Option::is_some).await.ok().and_then(|folder| folder.clone());
        match named {
            Some(folder) => folder.turn.asked().await,
            // Cannot be: the sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    /// Returns a folder's path from the top, if this session may use it.
    fn path_of(&self, folder: &FolderName) -> Result<PathBuf, RemoteError> {
        let wrong = |why: String| RemoteError::new(REFUSED, why, "");
        let named = PathBuf::try_from(&folder.path).map_err(|error| wrong(error.to_string()))?;
        let path = if folder.in_home {
            let home =
                std::env::home_dir().ok_or_else(|| wrong("this account has no home folder".to_owned()))?;
            home.join(named)
        } else {
            named
        };
        if !path.is_absolute() {
            return Err(wrong(format!("{} is no path from the top", path.display())));
        }
        match &self.options.root {
            None => Ok(path),
            Some(root) if same_folder(root, &path) => Ok(path),
            Some(root) => {
                let message = format!("this login may only use {}, not {}", root.display(), path.display());
                let hint = "name that folder, or have the forced command in authorized_keys changed";
                Err(RemoteError::new(REFUSED, message, hint))
            }
        }
    }

    async fn begin(&self, begin: Begin) -> Result<Begun, RemoteError> {
        let _one = self.beginning.lock().await;
        if self.folder.borrow().is_some() {
            return Err(not_here());
        }
        let path = self.path_of(&begin.folder)?;
        let folder = Folder::begin(&self.home, &self.options, path, begin).await?;
        let begun = Begun { path: PathText::from(folder.path.as_path()), read_only: folder.read_only };
        self.folder.send_replace(Some(folder));
        Ok(begun)
    }

    fn folder(&self) -> Result<Arc<Folder>, RemoteError> {
        self.folder.borrow().clone().ok_or_else(|| RemoteError::new(REFUSED, "no folder was named yet", ""))
    }
}

/// Tells whether both name one folder. One that is missing is compared by its path, so that it is told to be missing.
fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

#[async_trait]
impl NodeHandler for Serving {
    async fn list_shares(&self) -> Result<Vec<Share>, RemoteError> {
        Err(not_here())
    }

    async fn join(&self, _: ShareRef, _: Role, _: String) -> Result<Share, RemoteError> {
        Err(not_here())
    }

    async fn leave(&self, _: u128) -> Result<(), RemoteError> {
        Err(not_here())
    }

    async fn describe(&self, _: u128) -> Result<Share, RemoteError> {
        Err(not_here())
    }

    async fn hello(&self, _: NodeHello) -> Result<NodeHello, RemoteError> {
        Err(not_here())
    }

    async fn custom(&self, name: String, payload: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        match name.as_str() {
            LOOK => {
                let path = self.path_of(&read(&payload)?)?;
                let read_only = self.options.read_only;
                let looked = tokio::task::spawn_blocking(move || look(&path, read_only)).await;
                write(&looked.map_err(|error| RemoteError::new("internal", error.to_string(), ""))?)
            }
            BEGIN => write(&self.begin(read(&payload)?).await?),
            SETTINGS => {
                self.folder()?.tune(&read::<Tuned>(&payload)?)?;
                write(&())
            }
            IDENTITY => {
                let identity = self.folder()?.identity().await?;
                write(&identity.map(|identity| identity.to_string()))
            }
            _ => Err(not_here()),
        }
    }
}
