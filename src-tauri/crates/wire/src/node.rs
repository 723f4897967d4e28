//! Requests outside of a relationship: shares, joining, greetings.
//!
//! One request, one answer, in order; each is one frame.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::error::{CallError, RemoteError, WireError};
use crate::frame::{Frame, FrameReader};
use crate::handshake::{HandshakeError, Purpose, open};
use crate::outbox::Outbox;

/// The longest settings of a share, in bytes of JSON.
pub const MAX_SETTINGS: usize = 64 * 1024;
/// The longest payload of a ping or custom request, in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;
/// The most addresses in a greeting, shares in a list (times 16), permissions of a share.
pub const MAX_ADDRESSES: usize = 64;
/// The longest name, path or version, in bytes.
const MAX_TEXT: usize = 4096;
/// The longest list of shares that still fits into a frame is bounded by its bytes; this bounds its count.
const MAX_SHARES: usize = 1024;
/// Calls that wait for their turn.
const CALLS: usize = 16;

/// A relationship that a node offers or takes part in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// UUID of the relationship.
    pub id: u128,
    /// Its name.
    pub name: String,
    /// Its kind: `two-way`, `mirror`, …
    pub kind: String,
    /// Its settings as JSON, at most [`MAX_SETTINGS`] bytes.
    pub settings: String,
    /// What the asking node may do with it.
    pub permissions: Vec<String>,
    /// The shared folder there, for people to read.
    pub folder: String,
}

/// Which share is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareRef {
    /// By UUID.
    Id(u128),
    /// By name.
    Name(String),
}

/// As what a node joins a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Sends and receives.
    Both,
    /// Only sends.
    Source,
    /// Only receives.
    Destination,
}

/// Who a node says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeHello {
    /// Name of the machine.
    pub name: String,
    /// Version of Evenfold.
    pub version: String,
    /// Where it can be reached, at most [`MAX_ADDRESSES`].
    pub addresses: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NodeRequest {
    Ping { payload: Vec<u8>, payload_len: u32 },
    ListShares,
    Join { share: ShareRef, role: Role, path: String },
    Leave { relationship: u128 },
    Describe { relationship: u128 },
    Hello(NodeHello),
    Custom { name: String, payload: Vec<u8> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NodeReply {
    Pong(Vec<u8>),
    Shares(Vec<Share>),
    Share(Share),
    Left,
    Hello(NodeHello),
    Custom(Vec<u8>),
    Error { code: String, message: String, hint: String },
}

/// A node as its peers see it.
#[async_trait]
pub trait NodeHandler: Send + Sync {
    /// Returns the shares that the peer may see.
    async fn list_shares(&self) -> Result<Vec<Share>, RemoteError>;
    /// Lets the peer join; `path` is its own folder, as it says, for display only.
    async fn join(&self, share: ShareRef, role: Role, path: String) -> Result<Share, RemoteError>;
    /// Takes note that the peer leaves.
    async fn leave(&self, relationship: u128) -> Result<(), RemoteError>;
    /// Describes one share.
    async fn describe(&self, relationship: u128) -> Result<Share, RemoteError>;
    /// Exchanges greetings.
    async fn hello(&self, peer: NodeHello) -> Result<NodeHello, RemoteError>;
    /// Answers a request that later versions define.
    async fn custom(&self, name: String, payload: Vec<u8>) -> Result<Vec<u8>, RemoteError>;
}

fn check(ok: bool, what: &'static str) -> Result<(), WireError> {
    if ok { Ok(()) } else { Err(WireError::Malformed(what)) }
}

impl Share {
    fn check(&self) -> Result<(), WireError> {
        check(self.settings.len() <= MAX_SETTINGS, "settings of a share")?;
        check(self.name.len() <= MAX_TEXT && self.kind.len() <= MAX_TEXT, "name of a share")?;
        check(self.permissions.len() <= MAX_ADDRESSES, "permissions of a share")
    }
}

impl NodeHello {
    fn check(&self) -> Result<(), WireError> {
        check(self.name.len() <= MAX_TEXT && self.version.len() <= MAX_TEXT, "name of a node")?;
        check(self.addresses.len() <= MAX_ADDRESSES, "addresses of a node")
    }
}

impl NodeRequest {
    fn check(&self) -> Result<(), WireError> {
        match self {
            NodeRequest::Ping { payload, payload_len } => check(
                payload.len() <= MAX_PAYLOAD && *payload_len as usize <= MAX_PAYLOAD,
                "length of a ping",
            ),
            NodeRequest::Join { share: ShareRef::Name(name), .. } if name.len() > MAX_TEXT => {
                check(false, "name of a share")
            }
            NodeRequest::Join { path, .. } => check(path.len() <= MAX_TEXT, "path of an endpoint"),
            NodeRequest::Hello(hello) => hello.check(),
            NodeRequest::Custom { name, payload } => {
                check(name.len() <= MAX_TEXT && payload.len() <= MAX_PAYLOAD, "length of a request")
            }
            NodeRequest::ListShares | NodeRequest::Leave { .. } | NodeRequest::Describe { .. } => Ok(()),
        }
    }
}

impl NodeReply {
    fn check(&self) -> Result<(), WireError> {
        match self {
            NodeReply::Shares(shares) => {
                check(shares.len() <= MAX_SHARES, "number of shares")?;
                shares.iter().try_for_each(Share::check)
            }
            NodeReply::Share(share) => share.check(),
            NodeReply::Hello(hello) => hello.check(),
            _ => Ok(()),
        }
    }

    fn error(error: &RemoteError) -> Self {
        let (code, message, hint) = error.parts();
        NodeReply::Error { code: code.to_owned(), message: message.to_owned(), hint: hint.to_owned() }
    }
}

async fn send(outbox: &mut Outbox, value: &impl Serialize) -> Result<(), WireError> {
    let bytes = postcard::to_allocvec(value).map_err(|_| WireError::Malformed("own message"))?;
    if bytes.len() > crate::frame::MAX_FRAME {
        return Err(WireError::MessageTooLong(bytes.len()));
    }
    outbox.raw(&bytes).await?;
    outbox.flush().await
}

fn decode<T: for<'a> Deserialize<'a>>(frame: Frame) -> Result<T, WireError> {
    match frame {
        Frame::Messages(bytes) => postcard::from_bytes(&bytes).map_err(|_| WireError::Malformed("a message")),
        Frame::Part { .. } => Err(WireError::Unexpected("a part of a content")),
    }
}

/// Serves one stream of a node, after its handshake, until the peer closes it. Calls come one after another.
///
/// # Errors
/// Where the stream broke or the peer broke the rules.
pub async fn serve_node<S, H>(stream: S, handler: Arc<H>) -> Result<(), WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: NodeHandler + ?Sized + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (mut frames, mut outbox) = (FrameReader::new(reader), Outbox::new(writer)?);
    while let Some(frame) = frames.next().await? {
        let request: NodeRequest = decode(frame)?;
        request.check()?;
        let work = answer(&*handler, request);
        tokio::pin!(work);
        let reply = tokio::select! {
            reply = &mut work => reply,
            // A peer waits for its answer before it asks again, so only its end can arrive here.
            frame = frames.next() => match frame? {
                None => return Err(WireError::Truncated),
                Some(_) => return Err(WireError::Unexpected("a request within a call")),
            },
        };
        let reply = reply.unwrap_or_else(|error| NodeReply::error(&error));
        match send(&mut outbox, &reply).await {
            Err(WireError::MessageTooLong(_)) => {
                let error = RemoteError::new("answer-too-long", "the answer does not fit into a message", "");
                send(&mut outbox, &NodeReply::error(&error)).await?;
            }
            other => other?,
        }
    }
    Ok(())
}

async fn answer<H: NodeHandler + ?Sized>(
    handler: &H,
    request: NodeRequest,
) -> Result<NodeReply, RemoteError> {
    Ok(match request {
        NodeRequest::Ping { payload_len, .. } => NodeReply::Pong(vec![0; payload_len as usize]),
        NodeRequest::ListShares => NodeReply::Shares(handler.list_shares().await?),
        NodeRequest::Join { share, role, path } => NodeReply::Share(handler.join(share, role, path).await?),
        NodeRequest::Leave { relationship } => {
            handler.leave(relationship).await?;
            NodeReply::Left
        }
        NodeRequest::Describe { relationship } => NodeReply::Share(handler.describe(relationship).await?),
        NodeRequest::Hello(hello) => NodeReply::Hello(handler.hello(hello).await?),
        NodeRequest::Custom { name, payload } => NodeReply::Custom(handler.custom(name, payload).await?),
    })
}

type Call = (NodeRequest, oneshot::Sender<Result<NodeReply, CallError>>);

/// A session with a node over one stream. Calls of one stream are made one after another. A call may be
/// dropped at any point: it is finished all the same, its answer is discarded, and the stream stays usable.
#[derive(Debug, Clone)]
pub struct NodeClient {
    calls: mpsc::Sender<Call>,
}

impl NodeClient {
    /// Opens a session over a new stream; `name` is this machine's, for messages.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn open<S>(mut stream: S, name: &str) -> Result<Self, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        open(&mut stream, name, Purpose::Node).await?;
        Ok(Self::over(stream)?)
    }

    /// Begins a session over a stream whose handshake is done.
    ///
    /// # Errors
    /// Where no compressor can be allocated.
    pub fn over<S>(stream: S) -> Result<Self, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (calls, rx) = mpsc::channel(CALLS);
        let (reader, writer) = tokio::io::split(stream);
        let (frames, outbox) = (FrameReader::new(reader), Outbox::new(writer)?);
        tokio::spawn(make_calls(frames, outbox, rx));
        Ok(NodeClient { calls })
    }

    async fn call(&self, request: NodeRequest) -> Result<NodeReply, CallError> {
        if request.check().is_err() {
            return Err(RemoteError::new(
                "request-too-long",
                "the request is longer than can be carried",
                "",
            )
            .into());
        }
        let (reply, answer) = oneshot::channel();
        // A session that ended has told the call that was under way why.
        let ended = || CallError::from(WireError::Truncated);
        self.calls.send((request, reply)).await.map_err(|_| ended())?;
        match answer.await.map_err(|_| ended())?? {
            NodeReply::Error { code, message, hint } => Err(RemoteError::new(code, message, hint).into()),
            reply => Ok(reply),
        }
    }

    /// Sends `payload_len` bytes and awaits as many, at most [`MAX_PAYLOAD`]: a measure of the line.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn ping(&self, payload_len: u32) -> Result<(), CallError> {
        let payload = vec![0; (payload_len as usize).min(MAX_PAYLOAD)];
        match self.call(NodeRequest::Ping { payload, payload_len }).await? {
            NodeReply::Pong(bytes) if bytes.len() == payload_len as usize => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Returns the shares that the peer offers.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list_shares(&self) -> Result<Vec<Share>, CallError> {
        match self.call(NodeRequest::ListShares).await? {
            NodeReply::Shares(shares) => Ok(shares),
            _ => Err(unexpected()),
        }
    }

    /// Joins a share; `path` is the own folder, for display at the peer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn join(&self, share: ShareRef, role: Role, path: String) -> Result<Share, CallError> {
        self.share(NodeRequest::Join { share, role, path }).await
    }

    /// Describes one share.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn describe(&self, relationship: u128) -> Result<Share, CallError> {
        self.share(NodeRequest::Describe { relationship }).await
    }

    async fn share(&self, request: NodeRequest) -> Result<Share, CallError> {
        match self.call(request).await? {
            NodeReply::Share(share) => Ok(share),
            _ => Err(unexpected()),
        }
    }

    /// Leaves a relationship.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn leave(&self, relationship: u128) -> Result<(), CallError> {
        match self.call(NodeRequest::Leave { relationship }).await? {
            NodeReply::Left => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Exchanges greetings.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn hello(&self, own: NodeHello) -> Result<NodeHello, CallError> {
        match self.call(NodeRequest::Hello(own)).await? {
            NodeReply::Hello(hello) => Ok(hello),
            _ => Err(unexpected()),
        }
    }

    /// Makes a request that later versions define.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn custom(&self, name: String, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        match self.call(NodeRequest::Custom { name, payload }).await? {
            NodeReply::Custom(payload) => Ok(payload),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> CallError {
    WireError::Unexpected("an answer to another question").into()
}

async fn make_calls<R: AsyncRead + Unpin>(
    mut frames: FrameReader<R>,
    mut outbox: Outbox,
    mut calls: mpsc::Receiver<Call>,
) {
    while let Some((request, reply)) = calls.recv().await {
        let result = exchange(&mut frames, &mut outbox, &request).await;
        let broken = result.is_err();
        // A caller that is gone does not want the answer.
        let _ = reply.send(result.map_err(CallError::from));
        if broken {
            outbox.abort();
            return;
        }
    }
}

async fn exchange<R: AsyncRead + Unpin>(
    frames: &mut FrameReader<R>,
    outbox: &mut Outbox,
    request: &NodeRequest,
) -> Result<NodeReply, WireError> {
    send(outbox, request).await?;
    let reply: NodeReply = decode(frames.next().await?.ok_or(WireError::Truncated)?)?;
    reply.check()?;
    Ok(reply)
}
