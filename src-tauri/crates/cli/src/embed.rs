//! The node in this process, for a command where no daemon runs.

use std::net::SocketAddr;
use std::sync::Arc;

use evenfold_node::api::ApiError;
use evenfold_node::control::Service;
use evenfold_node::home::Home;
use evenfold_node::{Node, NodeOptions, NodeService};

use crate::context::Network;

/// A node that can be asked and ended.
#[derive(Clone)]
pub(crate) struct Embedded {
    node: Arc<Node>,
}

impl Embedded {
    /// Returns what answers requests.
    pub(crate) fn service(&self) -> impl Service + use<> {
        NodeService(Arc::clone(&self.node))
    }

    /// Ends it in an orderly way.
    pub(crate) async fn shutdown(&self) {
        self.node.shutdown().await;
    }
}

/// How a node for one command is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where to listen, if it listens.
    pub(crate) listen: Vec<SocketAddr>,
    /// Its name, if one was given.
    pub(crate) name: Option<String>,
    /// Whether it listens.
    pub(crate) network: Network,
}

/// Opens the node of a home for one command. The caller holds the home's lock.
///
/// # Errors
/// When the node cannot be opened, or has to listen and cannot.
pub(crate) async fn open_node(home: &Home, options: Options) -> Result<Embedded, ApiError> {
    let deaf = NodeOptions { listen: Vec::new(), name: options.name, serve_network: false, silence: None };
    let listening = NodeOptions { listen: options.listen, ..deaf.clone() };
    let node = match options.network {
        Network::DialOnly => Node::open(home, deaf).await?,
        Network::Needed => Node::open(home, listening).await?,
        Network::IfPossible => match Node::open(home, listening).await {
            Ok(node) => node,
            Err(error) => {
                tracing::info!(%error, "this command does not listen");
                Node::open(home, deaf).await?
            }
        },
    };
    Ok(Embedded { node })
}
