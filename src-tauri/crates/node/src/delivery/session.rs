//! A member's sessions with the hub's folder: one for each transfer that may run at the same time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_engine::delivery::Lanes;
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_ssh::{Connection, PeerKey};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::back::Back;
use crate::local::lock;
use crate::node::Node;
use crate::relationship::Relationship;
use crate::remote::RemoteEndpoint;

/// A session that the hub refused is tried again after this time: somebody may have mended the cause there.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// How long the hub may take to open sessions.
const OPENING: Duration = Duration::from_secs(20);

/// More sessions than this at a time do not make a line faster.
const MOST_LANES: usize = 8;

/// Keeps sessions whenever a connection stands.
pub(super) struct Session {
    pub(super) node: Back<Node>,
    pub(super) relationship: Back<Relationship>,
    pub(super) hub: PeerKey,
    pub(super) id: Uuid,
    pub(super) refusal: Arc<Mutex<Option<String>>>,
    pub(super) link: watch::Sender<Option<Lanes>>,
    /// Tells that another number of sessions is wanted.
    pub(super) renew: Arc<Notify>,
}

impl Session {
    pub(super) async fn run(self) {
        let Some(mut changes) = self.node.upgrade().map(|node| node.network.changes()) else { return };
        loop {
            changes.mark_unchanged();
            let Some(connection) = self.node.upgrade().map(|node| node.network.connection(&self.hub)) else {
                return;
            };
            let Some(connection) = connection else {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            match self.open(&connection).await {
                Ok(opened) => {
                    *lock(&self.refusal) = None;
                    let lanes: Vec<Arc<dyn Endpoint>> =
                        opened.iter().map(|lane| Arc::clone(lane) as Arc<dyn Endpoint>).collect();
                    self.link.send_replace(Some(Arc::new(lanes)));
                    if let (Some(node), Some(relationship)) =
                        (self.node.upgrade(), self.relationship.upgrade())
                    {
                        // Settings that the hub changed while we were apart.
                        crate::reporting::fetch_shared(&node, &relationship).await;
                    }
                    let ended = async {
                        match opened.first() {
                            Some(first) => first.ended().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = ended => {}
                        () = connection.closed() => {}
                        // What is cut off goes on where it was.
                        () = self.renew.notified() => {}
                    }
                    self.link.send_replace(None);
                }
                Err(error) => {
                    tracing::debug!(%error, "the hub does not open the relationship");
                    *lock(&self.refusal) = Some(error.to_string());
                    tokio::select! {
                        () = tokio::time::sleep(REFUSED_PAUSE) => {}
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }

    async fn open(&self, connection: &Arc<Connection>) -> Result<Vec<Arc<RemoteEndpoint>>, EndpointError> {
        let gone = || EndpointError::Offline("this node is ending".to_owned());
        let node = self.node.upgrade().ok_or_else(gone)?;
        let relationship = self.relationship.upgrade().ok_or_else(gone)?;
        let hub_name = relationship.hub_name().unwrap_or_default();
        let opening = async {
            let mut lanes = Vec::new();
            for _ in 0..usize::from(relationship.settings().parallel).clamp(1, MOST_LANES) {
                let id = self.id.as_u128();
                let lane =
                    RemoteEndpoint::open(connection, &node.name, hub_name.clone(), id, &relationship.limits);
                let lane = lane.await?;
                lanes.push(Arc::new(lane));
            }
            Ok(lanes)
        };
        match tokio::time::timeout(OPENING, opening).await {
            Ok(opened) => opened,
            Err(_) => {
                // A connection on which nothing opens is dead, whatever it says: the next one is a new one.
                connection.close("a session did not open in time");
                Err(EndpointError::Offline("it did not open the relationship in time".to_owned()))
            }
        }
    }
}
