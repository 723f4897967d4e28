//! Hosting: the node of a home, run by this process until it is asked to end, and open to others on the control socket.
//!
//! The daemon and the desktop host alike; who holds the home's lock is the one that does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::api::{ApiError, ConfigEntry, ErrorCode, Event, Reply, Request};
use crate::config::{Config, Origin};
use crate::control::{self, Listener, Service};
use crate::home::{Home, HomeLock};
use crate::{Node, NodeOptions, NodeService, log};

/// How long an orderly end may take; after that the process just ends, which loses nothing.
const ORDERLY: Duration = Duration::from_secs(8);

/// A node that runs on its own in this process.
pub struct Host {
    node: Arc<Node>,
    service: Arc<dyn Service>,
    listener: Listener,
    lock: HomeLock,
}

impl Host {
    /// Opens the node of `home` and its control socket. `lock` is that of [`Home::lock_to_host`].
    ///
    /// # Errors
    /// When the node cannot be opened or cannot listen.
    pub async fn open(home: &Home, config: &Config, lock: HomeLock) -> Result<Host, ApiError> {
        let options = NodeOptions {
            listen: config.listen.value.clone(),
            name: (config.name.origin != Origin::Default).then(|| config.name.value.clone()),
            serve_network: true,
            forward: config.forward.value,
            forward_limit: config.forward_limit.value.clone(),
            silence: Some(config.silence.value),
        };
        let node = Node::open(home, options).await?;
        let listener = Listener::bind(home, &lock).map_err(|error| {
            let message = format!("the control socket of {} cannot be made: {error}", home.dir().display());
            ApiError::new(ErrorCode::Io, message).with_hint("Give a home on a local disk with --home DIR.")
        })?;
        let service = Arc::new(Hosted {
            node: NodeService(Arc::clone(&node)),
            home: home.clone(),
            config: config.entries(),
        });
        tracing::info!(home = %home.dir().display(), socket = %listener.path().display(), "the node is ready");
        Ok(Host { node, service, listener, lock })
    }

    /// Returns what answers requests, without the way over the socket.
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.service)
    }

    /// Waits until a request asks the node to end.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let node = Arc::clone(&self.node);
        async move { node.ended().await }
    }

    /// Answers on the control socket until `asked` is done, then ends everything in order. The lock comes back, to be
    /// dropped when nothing of the node runs any more.
    pub async fn run(self, asked: impl Future<Output = ()>) -> HomeLock {
        control::serve(self.listener, self.service, asked).await;
        if tokio::time::timeout(ORDERLY, self.node.shutdown()).await.is_err() {
            tracing::warn!(
                "the node did not end in time; nothing is lost, the next start looks at everything"
            );
        }
        tracing::info!("the node has ended");
        self.lock
    }
}

/// The node, with what only its process knows: its settings and its log.
struct Hosted {
    node: NodeService,
    home: Home,
    config: Vec<ConfigEntry>,
}

#[async_trait]
impl Service for Hosted {
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError> {
        match request {
            Request::ConfigShow => Ok(Reply::Config(self.config.clone())),
            Request::Log { lines } => {
                let home = self.home.clone();
                let read = tokio::task::spawn_blocking(move || log::newest_lines(&home, lines as usize));
                match read.await {
                    Ok(read) => read.map(Reply::Log),
                    Err(error) => Err(ApiError::new(ErrorCode::Internal, error.to_string())),
                }
            }
            other => self.node.call(other, events).await,
        }
    }
}
