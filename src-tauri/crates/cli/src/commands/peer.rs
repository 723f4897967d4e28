//! `evenfold peer`: the nodes that this one knows.

use evenfold_node::api::{ApiError, ErrorCode, NearbyNode, PeerInfo, Request};
use evenfold_node::text::{human_size, now};

use crate::args::PeerCommand;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn run(context: &mut Context, command: PeerCommand) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    match command {
        PeerCommand::List => {
            let peers = ask!(engine, Request::PeerList, Peers)?;
            if context.out.is_json() {
                context.out.document(&serde_json::json!({ "peers": peers }))?;
            } else if peers.is_empty() {
                note("No peers yet. Begin with `evenfold pair offer` on one node.");
            } else {
                let rows: Vec<Vec<Line>> = peers.iter().map(row).collect();
                context.out.lines(table(&rows))?;
            }
        }
        PeerCommand::Nearby => {
            let nearby = ask!(engine, Request::Nearby, Nearby)?;
            if context.out.is_json() {
                context.out.document(&serde_json::json!({ "nearby": nearby }))?;
            } else if nearby.is_empty() {
                note("No other node was heard on the local network.");
            } else {
                let rows: Vec<Vec<Line>> = nearby.iter().map(near).collect();
                context.out.lines(table(&rows))?;
            }
        }
        PeerCommand::Show { peer } => {
            let peers = ask!(engine, Request::PeerList, Peers)?;
            let found = find(peers, &peer)?;
            if context.out.is_json() { context.out.document(&found)? } else { show(context, &found)? }
        }
        PeerCommand::Add { fingerprint, address, name } => {
            let paired = ask!(engine, Request::PeerAdd { fingerprint, address, name }, Paired)?;
            if context.out.is_json() {
                context.out.document(&paired)?;
            } else {
                let node = ask!(engine, Request::NodeShow, Node)?;
                note(format!("{} is let in now. It has to let this node in, too: there,", paired.name));
                let address = node.addresses.first().map_or("ADDR:PORT", String::as_str);
                context.out.line(format!("  evenfold peer add {} {address}", node.fingerprint))?;
            }
        }
        PeerCommand::Rename { peer, name } => {
            engine.ask(Request::PeerRename { peer: peer.clone(), name: name.clone() }).await?;
            note(format!("{peer} is now called {name} on this node."));
        }
        PeerCommand::Via { peer, hub, off: _ } => {
            engine.ask(Request::PeerVia { peer: peer.clone(), middle: hub.clone() }).await?;
            note(match hub {
                Some(hub) => {
                    format!("Where {peer} cannot be reached directly, it is reached through {hub} now.")
                }
                None => format!("{peer} is reached directly only now."),
            });
        }
        PeerCommand::Remove { peer } => {
            engine.ask(Request::PeerRemove { peer: peer.clone() }).await?;
            note(format!("{peer} is no longer known here. Files stayed as they are."));
        }
        PeerCommand::Ping { peer } => {
            let ping = ask!(engine, Request::PeerPing { peer }, Ping)?;
            if context.out.is_json() {
                context.out.document(&ping)?;
            } else {
                let bytes = format!(
                    "{} sent, {} received",
                    human_size(ping.bytes_sent),
                    human_size(ping.bytes_received)
                );
                context.out.line(format!(
                    "{} at {}: {:.1} ms, {bytes}",
                    ping.name, ping.address, ping.milliseconds
                ))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn near(node: &NearbyNode) -> Vec<Line> {
    let paired = match &node.peer {
        Some(peer) => Line::styled(Style::Good, format!("paired as {peer}")),
        None => Line::styled(Style::Faint, "not paired"),
    };
    let addresses = node.addresses.join(", ");
    vec![Line::styled(Style::Strong, &node.name), paired, addresses.into(), node.fingerprint.as_str().into()]
}

fn state(peer: &PeerInfo) -> Line {
    if peer.online {
        let roundabout = peer.way.as_ref().filter(|way| way.kind == "through");
        let way = roundabout.map(|way| format!(", {}", words::way(way))).unwrap_or_default();
        return Line::styled(Style::Good, "online").then(Style::Faint, way);
    }
    let seen = match &peer.last_seen {
        Some(time) => format!("offline, last seen {}", words::ago(time, now())),
        None => "never seen since pairing".to_owned(),
    };
    Line::styled(Style::Attention, seen)
}

fn row(peer: &PeerInfo) -> Vec<Line> {
    vec![
        Line::styled(Style::Strong, &peer.name),
        state(peer),
        peer.addresses.join(", ").into(),
        Line::styled(Style::Faint, &peer.fingerprint),
    ]
}

fn show(context: &mut Context, peer: &PeerInfo) -> Result<(), ApiError> {
    let way = match &peer.way {
        Some(way) if way.kind == "through" => {
            format!("{}, which cannot read what passes", words::way(way))
        }
        Some(way) => words::way(way),
        None if peer.addresses.iter().any(|address| address.starts_with("via:")) => "none".to_owned(),
        None => format!("none; through a node that both reach: evenfold peer via {} NODE", peer.name),
    };
    let rows = [
        ("name", Line::styled(Style::Strong, &peer.name)),
        ("state", state(peer)),
        ("way", way.into()),
        ("fingerprint", peer.fingerprint.as_str().into()),
        ("addresses", peer.addresses.join(", ").into()),
        ("relationships", peer.relationships.join(", ").into()),
    ];
    let rows: Vec<Vec<Line>> =
        rows.into_iter().map(|(key, value)| vec![Line::styled(Style::Faint, key), value]).collect();
    context.out.lines(table(&rows))
}

fn find(peers: Vec<PeerInfo>, wanted: &str) -> Result<PeerInfo, ApiError> {
    let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    peers.into_iter().find(|peer| peer.name == wanted || peer.fingerprint == wanted).ok_or_else(|| {
        let hint = if names.is_empty() {
            "No node is paired yet; begin with `evenfold pair offer` on one of them.".to_owned()
        } else {
            format!("The peers are {}.", names.join(", "))
        };
        ApiError::new(ErrorCode::NotFound, format!("there is no peer {wanted:?}")).with_hint(hint)
    })
}
