//! What peers ask of this node.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_ssh::{Connection, PeerKey, Remote, Stream};
use evenfold_store::{MemberRow, Pause};
use evenfold_wire::{
    Incoming, NodeClient, NodeHandler, NodeHello, Purpose, RemoteError, Role, Share, ShareRef,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::access::{permission_at_joining, permissions_told};
use crate::addresses;
use crate::api::Event;
use crate::back::Back;
use crate::hub::{Grant, HubView};
use crate::limits::{Limited, Limits};
use crate::local::lock;
use crate::node::Node;
use crate::record::now_micros;
use crate::relationship::{Relationship, RunningPart};
use crate::remote::REFUSED;

/// Takes over connections as they come.
pub(crate) fn start(node: &Arc<Node>, mut arrivals: mpsc::Receiver<Arc<Connection>>) {
    let node = Back::to(node);
    tokio::spawn(async move {
        while let Some(connection) = arrivals.recv().await {
            tokio::spawn(serve(node.clone(), connection));
        }
    });
}

async fn serve(node: Back<Node>, connection: Arc<Connection>) {
    let peer = connection.peer();
    greet(&node, &connection).await;
    while let Some(stream) = connection.accept().await {
        tokio::spawn(serve_stream(node.clone(), (peer, connection.remote()), stream));
    }
    if let Some(node) = node.upgrade() {
        note_seen(&node, &peer, None).await;
        node.tell(Event::Peers);
    }
}

/// Notes that the peer is there; the side that dialled also tells where it can be reached itself.
async fn greet(node: &Back<Node>, connection: &Arc<Connection>) {
    let Some(strong) = node.upgrade() else { return };
    let peer = connection.peer();
    let dialled_at =
        connection.dialled().then(|| connection.remote().address()).flatten().map(|at| at.to_string());
    note_seen(&strong, &peer, dialled_at.as_deref()).await;
    strong.tell(Event::Peers);
    drop(crate::clocks::measure_beside(node, connection));
    if connection.dialled() {
        let (node, connection) = (node.clone(), Arc::clone(connection));
        tokio::spawn(async move {
            if let Err(error) = say_hello(&node, &connection).await {
                tracing::debug!(%error, "the greeting of a peer failed");
            }
        });
    }
}

async fn say_hello(node: &Back<Node>, connection: &Connection) -> Result<(), String> {
    let Some(node) = node.upgrade() else { return Ok(()) };
    let client = node_client(&node, connection).await?;
    let theirs = client.hello(hello(&node)).await.map_err(|error| error.to_string())?;
    learn_addresses(&node, &connection.peer(), theirs.addresses).await;
    Ok(())
}

/// Opens a stream for requests outside of a relationship.
pub(crate) async fn node_client(node: &Node, connection: &Connection) -> Result<NodeClient, String> {
    let stream = connection.open().await.map_err(|error| error.to_string())?;
    NodeClient::open(stream, &node.name).await.map_err(|error| error.to_string())
}

fn hello(node: &Node) -> NodeHello {
    let info = node.info();
    NodeHello { name: info.name, version: info.version, addresses: info.addresses }
}

async fn note_seen(node: &Arc<Node>, peer: &PeerKey, address: Option<&str>) {
    if let Err(error) = node.store.peers().seen(peer.as_bytes(), now_micros(), address).await {
        tracing::debug!(%error, "the presence of a peer could not be noted");
    }
}

/// Remembers where a peer says that it can be reached, after the ways that are known to work.
async fn learn_addresses(node: &Arc<Node>, peer: &PeerKey, told: Vec<String>) {
    let Ok(Some(mut row)) = node.store.peers().get(peer.as_bytes()).await else { return };
    let before = row.addresses.clone();
    // The newest word comes first: after a restart a node may listen elsewhere.
    row.addresses = addresses::merge(&addresses::told(told), &before);
    if row.addresses != before {
        let addresses = row.addresses.clone();
        if let Err(error) = node.store.peers().put(&row).await {
            tracing::warn!(%error, "the addresses of a peer could not be saved");
        }
        let eager = node.all().iter().any(|r| r.row().hub == Some(*peer.as_bytes()));
        node.network.keep(*peer, addresses, eager);
    }
}

async fn serve_stream(node: Back<Node>, (peer, remote): (PeerKey, Remote), stream: Stream) {
    let Some(strong) = node.upgrade() else { return };
    let name = strong.name.clone();
    drop(strong);
    let incoming = match evenfold_wire::accept(stream, &name).await {
        Ok(incoming) => incoming,
        Err(error) => return tracing::debug!(%error, %peer, "a stream was not opened rightly"),
    };
    let result = match incoming.purpose {
        Purpose::Node => serve_node(node, peer, incoming).await,
        Purpose::Endpoint { relationship } => serve_endpoint(node, peer, incoming, relationship).await,
        Purpose::Forward { to } => match node.upgrade() {
            Some(node) => {
                crate::forward::pass_on(node, (peer, remote), incoming, PeerKey::from_bytes(to)).await
            }
            None => Ok(()),
        },
        Purpose::Forwarded { .. } => match node.upgrade() {
            Some(node) => crate::forward::take_in(&node, peer, incoming).await,
            None => Ok(()),
        },
    };
    if let Err(error) = result {
        tracing::debug!(error, %peer, "a session with a peer ended");
    }
}

async fn serve_node(node: Back<Node>, peer: PeerKey, incoming: Incoming<Stream>) -> Result<(), String> {
    let handler = Arc::new(PeerView { node, peer });
    let stream = incoming.accept().await.map_err(|error| error.to_string())?;
    evenfold_wire::serve_node(stream, handler).await.map_err(|error| error.to_string())
}

async fn serve_endpoint(
    node: Back<Node>,
    peer: PeerKey,
    incoming: Incoming<Stream>,
    relationship: u128,
) -> Result<(), String> {
    let Some(strong) = node.upgrade() else { return Ok(()) };
    match hub_view(&strong, &peer, Uuid::from_u128(relationship)).await {
        Ok((view, limits, paused)) => {
            drop(strong);
            let stream = incoming.accept().await.map_err(|error| error.to_string())?;
            tokio::select! {
                ended = evenfold_wire::serve(Limited::new(stream, limits), Arc::new(view)) => ended.map_err(|error| error.to_string()),
                () = paused => Err("the relationship was paused or removed".to_owned()),
            }
        }
        Err(error) => {
            drop(strong);
            tracing::info!(%peer, reason = error.message, "a peer was refused");
            incoming.refuse(&error).await.map_err(|error| error.to_string())
        }
    }
}

fn no_such_share() -> RemoteError {
    RemoteError::new(
        REFUSED,
        "this machine shares no such relationship with you",
        "ask its owner to share it",
    )
}

async fn hub_view(
    node: &Arc<Node>,
    peer: &PeerKey,
    id: Uuid,
) -> Result<(HubView, Arc<Limits>, impl Future<Output = ()> + Send + use<>), RemoteError> {
    let relationship =
        node.by_id(id).filter(|r| matches!(r.part, RunningPart::Hub)).ok_or_else(no_such_share)?;
    if lock(&relationship.row).pause != Pause::Running {
        return Err(RemoteError::new("paused", "the relationship is paused on the hub", "resume it there"));
    }
    let failed = |error: evenfold_store::StoreError| RemoteError::new("store", error.to_string(), "");
    let row = node.store.peers().get(peer.as_bytes()).await.map_err(failed)?.ok_or_else(no_such_share)?;
    let view = HubView {
        local: Arc::clone(&relationship.local),
        store: Arc::clone(&node.store),
        relationship: id,
        peer: *peer.as_bytes(),
        peer_name: row.name,
        grant: Grant::Membership(Back::to(&relationship)),
    };
    let paused = relationship.served.until_paused();
    Ok((view, Arc::clone(&relationship.limits), paused))
}

/// One peer's view of this node.
struct PeerView {
    node: Back<Node>,
    peer: PeerKey,
}

impl PeerView {
    fn node(&self) -> Result<Arc<Node>, RemoteError> {
        self.node.upgrade().ok_or_else(|| RemoteError::new("ending", "this machine is shutting down", ""))
    }
}

/// Describes a relationship to a peer, with what the peer may do in it or, before it joins, could.
async fn share_for(node: &Node, relationship: &Relationship, peer: &PeerKey) -> Result<Share, RemoteError> {
    let row = relationship.row();
    let permission = async {
        match node.store.members().get(row.id, peer.as_bytes()).await? {
            Some(member) => Ok(member.permission),
            None => permission_at_joining(&node.store, row.id, peer, &relationship.settings()).await,
        }
    };
    let permission = permission.await.map_err(|error| RemoteError::new("store", error.to_string(), ""))?;
    Ok(Share {
        id: row.id.as_u128(),
        name: row.name,
        kind: row.kind,
        settings: row.settings,
        permissions: permissions_told(permission),
        folder: row.root.to_string_lossy().into_owned(),
    })
}

fn shares(node: &Node) -> Vec<Arc<Relationship>> {
    node.all().into_iter().filter(|r| matches!(r.part, RunningPart::Hub)).collect()
}

#[async_trait]
impl NodeHandler for PeerView {
    async fn list_shares(&self) -> Result<Vec<Share>, RemoteError> {
        let node = self.node()?;
        let mut list = Vec::new();
        for relationship in shares(&node) {
            list.push(share_for(&node, &relationship, &self.peer).await?);
        }
        Ok(list)
    }

    async fn join(&self, share: ShareRef, role: Role, path: String) -> Result<Share, RemoteError> {
        let node = self.node()?;
        let wanted = shares(&node).into_iter().find(|relationship| {
            let row = relationship.row();
            match &share {
                ShareRef::Id(id) => row.id.as_u128() == *id,
                ShareRef::Name(name) => row.name == *name,
            }
        });
        let relationship = wanted.ok_or_else(no_such_share)?;
        let id = relationship.row().id;
        let role = match role {
            Role::Both => "spoke",
            Role::Source => "source",
            Role::Destination => "destination",
        };
        let settings = relationship.settings();
        let permission = permission_at_joining(&node.store, id, &self.peer, &settings).await;
        let permission = permission.map_err(|error| RemoteError::new("store", error.to_string(), ""))?;
        let member = MemberRow {
            relationship: id,
            peer: *self.peer.as_bytes(),
            role: role.to_owned(),
            permission,
            joined: now_micros(),
            last_seen: Some(now_micros()),
            endpoint: path,
            drift: None,
            state: None,
        };
        if role == "source"
            && let Err(error) = node.open_for_deliveries(&relationship).await
        {
            return Err(RemoteError::new(REFUSED, error.message, error.hint.unwrap_or_default()));
        }
        let put = node.store.members().put(&member).await;
        put.map_err(|error| RemoteError::new("store", error.to_string(), ""))?;
        crate::delivery::members_changed(&relationship);
        node.tell(Event::Relationship { id: id.to_string() });
        share_for(&node, &relationship, &self.peer).await
    }

    async fn leave(&self, relationship: u128) -> Result<(), RemoteError> {
        let node = self.node()?;
        let id = Uuid::from_u128(relationship);
        let removed = node.store.members().remove(id, self.peer.as_bytes()).await;
        removed.map_err(|error| RemoteError::new("store", error.to_string(), ""))?;
        if let Some(relationship) = node.by_id(id) {
            crate::delivery::members_changed(&relationship);
        }
        node.tell(Event::Relationship { id: id.to_string() });
        Ok(())
    }

    async fn describe(&self, relationship: u128) -> Result<Share, RemoteError> {
        let node = self.node()?;
        let found = node.by_id(Uuid::from_u128(relationship));
        let found = found.filter(|r| matches!(r.part, RunningPart::Hub)).ok_or_else(no_such_share)?;
        share_for(&node, &found, &self.peer).await
    }

    async fn hello(&self, peer: NodeHello) -> Result<NodeHello, RemoteError> {
        let node = self.node()?;
        learn_addresses(&node, &self.peer, peer.addresses).await;
        Ok(hello(&node))
    }

    async fn custom(&self, name: String, payload: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        crate::requests::answer(&self.node()?, &self.peer, &name, &payload).await
    }
}
