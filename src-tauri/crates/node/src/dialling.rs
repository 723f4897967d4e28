//! The task that keeps a connection to one peer: directly where that works, else through a node in the middle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evenfold_engine::backoff::Backoff;
use evenfold_ssh::{Connection, DialError, PeerKey, dial, dial_through};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::addresses::split;
use crate::network::{Network, Way};
use crate::through::{in_words, open_way};

/// Of two nodes that know each other's addresses, the one with the greater key leaves the other this head
/// start, so that they do not connect to each other twice.
const HEAD_START: Duration = Duration::from_secs(2);

/// Head start of the direct way before the one through another node is tried beside it: what answers directly does so
/// sooner.
const DIRECT_FIRST: Duration = Duration::from_secs(1);

/// How often the direct way is tried while the one through another node serves: soon at first, in the end rarely,
/// for two machines that never share a network.
const UPGRADE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Keeps a connection to `peer` for as long as the network lives.
pub(crate) async fn keep(network: Weak<Network>, peer: PeerKey, mut way: watch::Receiver<Way>) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut first = true;
    loop {
        let Some(strong) = network.upgrade() else { return };
        let mut changes = strong.changes();
        let Way { addresses, eager } = way.borrow_and_update().clone();
        let (direct, through) = split(&addresses);
        let connection = strong.connection(&peer);
        if let Some(connection) = connection {
            let roundabout = connection.remote().middle().is_some();
            drop(connection);
            drop(strong);
            backoff.reset();
            first = true;
            let upgrading = async {
                if roundabout && !direct.is_empty() {
                    upgrade(&network, peer, &direct).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = upgrading => {}
                () = changed_way(&network, peer, roundabout, &mut changes) => {}
                changed = way.changed() => if changed.is_err() { return },
            }
            continue;
        }
        if addresses.is_empty() {
            drop(strong);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                changed = way.changed() => if changed.is_err() { return },
            }
            continue;
        }
        let goes_first = eager || strong.identity.key() < peer;
        let wait = match (first, goes_first) {
            (true, true) => Duration::ZERO,
            (true, false) => HEAD_START,
            (false, _) => backoff.next(rand::random()),
        };
        first = false;
        let had_middle = has_middle(&strong, &through);
        drop(strong);
        let due = Instant::now() + wait;
        // A connection that comes from the other side meanwhile, a new address, or a node in the middle that has just
        // come ends the wait.
        let again = loop {
            tokio::select! {
                () = sleep_until(due) => break false,
                changed = way.changed() => match changed {
                    Ok(()) => {
                        first = true;
                        break true;
                    }
                    Err(_) => return,
                },
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let Some(strong) = network.upgrade() else { return };
                    if strong.connection(&peer).is_some() {
                        break true;
                    }
                    if !had_middle && has_middle(&strong, &through) {
                        first = true;
                        break true;
                    }
                }
            }
        };
        if again {
            continue;
        }
        let dialled = dial_all(&network, peer, &direct, &through).await;
        let Some(strong) = network.upgrade() else { return };
        match dialled {
            Ok(connection) => strong.register(connection).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "a peer could not be reached");
                strong.note_failure(peer, error);
            }
        }
    }
}

fn has_middle(network: &Network, through: &[String]) -> bool {
    through.iter().any(|fingerprint| network.middle(fingerprint).is_some())
}

/// Waits until the peer is not connected any more, or in another way than `roundabout` says.
async fn changed_way(
    network: &Weak<Network>,
    peer: PeerKey,
    roundabout: bool,
    changes: &mut watch::Receiver<u64>,
) {
    loop {
        changes.mark_unchanged();
        let Some(strong) = network.upgrade() else { return };
        let now = strong.connection(&peer).map(|connection| connection.remote().middle().is_some());
        drop(strong);
        if now != Some(roundabout) || changes.changed().await.is_err() {
            return;
        }
    }
}

/// Dials directly, again and again, until that succeeds or this is dropped.
async fn upgrade(network: &Weak<Network>, peer: PeerKey, direct: &[String]) {
    let mut backoff = Backoff::new(UPGRADE.0, UPGRADE.1);
    loop {
        sleep(backoff.next(rand::random())).await;
        let Some(strong) = network.upgrade() else { return };
        let (identity, limits) = (Arc::clone(&strong.identity), strong.limits.clone());
        drop(strong);
        match dial(direct, identity, &peer, limits).await {
            Ok(connection) => {
                let Some(strong) = network.upgrade() else { return };
                tracing::info!(%peer, at = %connection.remote(), "a peer is reached directly again");
                return strong.register(connection).await;
            }
            Err(error) => tracing::debug!(%peer, %error, "a peer is still not reached directly"),
        }
    }
}

/// Tries both ways, the direct one with a head start; the first that succeeds is taken.
async fn dial_all(
    network: &Weak<Network>,
    peer: PeerKey,
    direct: &[String],
    through: &[String],
) -> Result<Arc<Connection>, DialError> {
    let ended = || DialError::Unreachable { why: "this node ends".to_owned() };
    let strong = network.upgrade().ok_or_else(ended)?;
    let (identity, limits) = (Arc::clone(&strong.identity), strong.limits.clone());
    drop(strong);
    if through.is_empty() {
        return dial(direct, identity, &peer, limits).await;
    }
    let (failed_sender, mut failed) = watch::channel(direct.is_empty());
    let directly = async {
        if direct.is_empty() {
            return Err(DialError::Unreachable { why: "no address is known".to_owned() });
        }
        let dialled = dial(direct, identity, &peer, limits).await;
        failed_sender.send_replace(true);
        dialled
    };
    let roundabout = async {
        tokio::select! {
            () = sleep(DIRECT_FIRST) => {}
            // An error cannot be: the sender lives as long as this.
            _ = failed.wait_for(|failed| *failed) => {}
        }
        dial_through_any(network, peer, through).await
    };
    tokio::pin!(directly, roundabout);
    tokio::select! {
        dialled = &mut directly => match dialled {
            Ok(connection) => Ok(connection),
            Err(why_not) => roundabout.await.map_err(|error| worse(why_not, error)),
        },
        dialled = &mut roundabout => match dialled {
            Ok(connection) => Ok(connection),
            Err(error) => directly.await.map_err(|why_not| worse(why_not, error)),
        },
    }
}

/// Tells of both failures, unless one of them says more than that nobody was reached.
fn worse(direct: DialError, through: DialError) -> DialError {
    match (direct, through) {
        (DialError::Unreachable { why }, DialError::Unreachable { why: through }) => {
            DialError::Unreachable { why: format!("{why}; {through}") }
        }
        (DialError::Unreachable { .. } | DialError::Timeout { .. }, through) => through,
        (direct, _) => direct,
    }
}

async fn dial_through_any(
    network: &Weak<Network>,
    peer: PeerKey,
    through: &[String],
) -> Result<Arc<Connection>, DialError> {
    let mut failure: Option<DialError> = None;
    for fingerprint in through {
        let Some(strong) = network.upgrade() else { break };
        let unreachable = |why: String| DialError::Unreachable { why };
        let error = match strong.middle(fingerprint) {
            None => unreachable("the machine in the middle is not connected".to_owned()),
            Some(middle) => match open_way(&middle, strong.own_name(), &peer).await {
                Ok(stream) => {
                    let (identity, limits) = (Arc::clone(&strong.identity), strong.limits.clone());
                    match dial_through(stream, middle.peer(), identity, &peer, limits).await {
                        Ok(connection) => return Ok(connection),
                        Err(error) => error,
                    }
                }
                Err(error) => unreachable(in_words(&error)),
            },
        };
        failure = Some(match failure {
            Some(before) => worse(before, error),
            None => error,
        });
    }
    Err(failure.unwrap_or(DialError::Unreachable { why: "no machine in the middle is known".to_owned() }))
}
