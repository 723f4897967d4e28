//! Keeping hub and spoke informed of each other: state one way, shared settings the other.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use evenfold_ssh::PeerKey;

use crate::access::access_told;
use crate::api::{Event, Setting};
use crate::node::Node;
use crate::record::now_micros;
use crate::relationship::{Relationship, Spoke};
use crate::serving::node_client;
use crate::status::{SpokeReport, SpokeState, spoke_state};

/// A state that changes quickly is told at most this often.
const TELL: Duration = Duration::from_millis(200);

/// How far a transfer is, is told this often, the first time when it has lasted as long.
const TELL_WORK: Duration = Duration::from_secs(1);

/// When nothing else changes, the time of the last comparison is saved this late at the latest.
const SAVE_VERIFIED: Duration = Duration::from_secs(600);

/// Settings that could not be fetched are asked for again after this time, as long as the session stands.
const FETCH_AGAIN: Duration = Duration::from_secs(5);

/// Begins to report what a spoke's loop does; a hub has nothing to report.
pub(crate) fn start(node: &Arc<Node>, relationship: &Arc<Relationship>) {
    if relationship.spoke().is_some() {
        tokio::spawn(run(Arc::downgrade(node), Arc::downgrade(relationship)));
    }
}

async fn run(node: Weak<Node>, relationship: Weak<Relationship>) {
    let Some((mut state, mut remote)) = relationship.upgrade().and_then(|relationship| {
        relationship.spoke().map(|spoke| (spoke.driver.state(), spoke.remote.clone()))
    }) else {
        return;
    };
    let mut told: Option<SpokeState> = None;
    let mut told_work = false;
    let mut saved = 0;
    let mut fetch_at: Option<Instant> = None;
    loop {
        let running = state.borrow().running;
        let mut ticked = false;
        tokio::select! {
            () = tokio::time::sleep(TELL_WORK), if running => ticked = true,
            () = until(fetch_at) => {
                fetch_at = fetch_again(fetch_settings(&node, &relationship).await);
                continue;
            }
            changed = state.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            changed = remote.changed() => {
                if changed.is_err() {
                    return;
                }
                // A new session knows nothing of us.
                told = None;
                fetch_at = fetch_again(fetch_settings(&node, &relationship).await);
            }
        }
        let Some(strong) = relationship.upgrade() else { return };
        let ours = node.upgrade().map(|node| node.name.clone()).unwrap_or_default();
        let theirs = strong.spoke().map_or("", |spoke| spoke.hub_name.as_str());
        let now = spoke_state(&state.borrow_and_update(), strong.source(), [&ours, theirs]);
        let id = strong.row().id;
        let news = told.as_ref().is_none_or(|told| differs(told, &now));
        // A short cycle tells nothing of its work; of a long one the hub hears its end, too.
        let work = if running && (ticked || told_work) { strong.spoke().and_then(Spoke::work) } else { None };
        if let Some(node) = node.upgrade() {
            node.tell(match &work {
                Some(work) if !news => {
                    Event::Progress { id: id.to_string(), progress: work.progress.clone() }
                }
                _ => Event::Relationship { id: id.to_string() },
            });
            let due = now_micros() - saved > SAVE_VERIFIED.as_micros() as i64;
            if let Some(verified) = now.verified_at.filter(|_| news && due) {
                saved = now_micros();
                if let Err(error) = node.store.relationships().set_last_verified(id, verified).await {
                    tracing::debug!(%error, "the time of a comparison could not be saved");
                }
            }
        }
        drop(strong);
        if !news && work.is_none() && !told_work {
            continue;
        }
        let report = SpokeReport { state: now, work };
        // Not marked as seen: that a session is new is news of its own.
        let endpoint = remote.borrow().clone();
        if let (Some(endpoint), Ok(json)) = (endpoint, serde_json::to_vec(&report)) {
            match endpoint.report_state(json).await {
                Ok(()) => (told, told_work) = (Some(report.state), report.work.is_some()),
                Err(error) => tracing::debug!(%error, "the hub could not be told our state"),
            }
        }
        tokio::time::sleep(TELL).await;
    }
}

/// Times alone are no news, so that an idle pair sends nothing.
fn differs(a: &SpokeState, b: &SpokeState) -> bool {
    let timeless =
        |state: &SpokeState| SpokeState { verified_at: state.verified_at.map(|_| 0), ..state.clone() };
    timeless(a) != timeless(b)
}

/// Waits until a moment, for ever where there is none.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn fetch_again(fetched: bool) -> Option<Instant> {
    (!fetched).then(|| Instant::now() + FETCH_AGAIN)
}

/// Asks the hub for the shared settings, where this node delivers or fetches.
pub(crate) async fn fetch_shared(node: &Arc<Node>, relationship: &Arc<Relationship>) {
    // What cannot be fetched now is told by the hub when it changes.
    _ = fetch_settings(&Arc::downgrade(node), &Arc::downgrade(relationship)).await;
}

/// Asks the hub for the shared settings; tells whether that need not be tried again with this session.
async fn fetch_settings(node: &Weak<Node>, relationship: &Weak<Relationship>) -> bool {
    let (Some(node), Some(relationship)) = (node.upgrade(), relationship.upgrade()) else { return true };
    let Some(connection) =
        relationship.row().hub.and_then(|hub| node.network.connection(&PeerKey::from_bytes(hub)))
    else {
        return true;
    };
    let fetched = async {
        let client = node_client(&node, &connection).await?;
        let share =
            client.describe(relationship.row().id.as_u128()).await.map_err(|error| error.to_string())?;
        let shared: Vec<Setting> =
            serde_json::from_str(&share.settings).map_err(|error| error.to_string())?;
        let id = relationship.row().id.to_string();
        let access = access_told(&share);
        node.adopt_access(&relationship, access).await.map_err(|error| error.to_string())?;
        node.remember_hub_folder(&id, &share.folder).await.map_err(|error| error.to_string())?;
        node.adopt_shared_settings(&relationship, &shared).await.map_err(|error| error.to_string())
    };
    if let Err(error) = fetched.await {
        tracing::debug!(error, "the hub's settings could not be fetched");
        return false;
    }
    true
}
