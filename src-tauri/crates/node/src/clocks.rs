//! How far the clocks of peers are from ours, and which version they run: asked for when a connection stands, and again when
//! somebody wants to know.
//!
//! Nothing goes wrong because of wrong clocks, but "newest" and the names of conflict copies come from them, so people
//! are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenfold_ssh::{Connection, PeerKey};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::back::Back;
use crate::local::lock;
use crate::node::Node;
use crate::record::now_micros;
use crate::serving::node_client;

/// How much clocks may differ before somebody is told: what is edited on two machines within that time is rare.
pub(crate) const APART: Duration = Duration::from_secs(5);

/// How much they may differ before the state of a relationship says so.
pub(crate) const FAR_APART: Duration = Duration::from_secs(60);

/// How long a peer may take to answer; what took longer would say little.
const PATIENCE: Duration = Duration::from_secs(5);

/// A measurement is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// What a peer says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClockAnswer {
    /// What its clock shows, in microseconds since 1970.
    pub(crate) now: i64,
    /// The version of Evenfold that it runs; the first ones did not say.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

impl ClockAnswer {
    /// What this node answers.
    pub(crate) fn own() -> Self {
        ClockAnswer { now: now_micros(), version: Some(env!("CARGO_PKG_VERSION").to_owned()) }
    }
}

/// The clocks of all peers as they were last measured.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<HashMap<PeerKey, Measured>>);

#[derive(Debug, Clone)]
struct Measured {
    /// How far it is ahead in microseconds, if an answer has come.
    ahead: Option<i64>,
    /// Which version the peer runs, if it said so.
    version: Option<String>,
    /// When it was asked for last.
    asked: Instant,
}

impl Clocks {
    /// Returns how far a peer's clock is ahead of ours, in seconds, if it was measured since this node started.
    pub(crate) fn ahead(&self, peer: &PeerKey) -> Option<i64> {
        let ahead = lock(&self.0).get(peer)?.ahead?;
        Some((ahead + ahead.signum() * 500_000) / 1_000_000)
    }

    /// Returns which version a peer runs, if it said so since this node started.
    pub(crate) fn version(&self, peer: &PeerKey) -> Option<String> {
        lock(&self.0).get(peer)?.version.clone()
    }

    /// Tells whether a peer is to be asked now, and takes note that it is.
    fn is_due(&self, peer: &PeerKey) -> bool {
        let (mut known, asked) = (lock(&self.0), Instant::now());
        let measured = known.entry(*peer).or_insert(Measured { ahead: None, version: None, asked });
        let due = measured.asked == asked || measured.asked.elapsed() >= GOOD_FOR;
        measured.asked = asked;
        due
    }

    fn set(&self, peer: PeerKey, ahead: i64, version: Option<String>) {
        let measured = Measured { ahead: Some(ahead), version, asked: Instant::now() };
        lock(&self.0).insert(peer, measured);
    }
}

/// Returns how far a clock is ahead that said `theirs` between two moments of ours.
fn ahead(before: i64, theirs: i64, after: i64) -> i64 {
    theirs.saturating_sub(before + (after - before) / 2)
}

impl Node {
    /// Measures a peer's clock over a connection that stands.
    async fn measure_clock(&self, connection: &Connection) {
        let peer = connection.peer();
        let asked = async {
            let client = node_client(self, connection).await?;
            let before = now_micros();
            let answer = client.custom("clock".to_owned(), b"{}".to_vec()).await;
            let after = now_micros();
            let answer: ClockAnswer = serde_json::from_slice(&answer.map_err(|error| error.to_string())?)
                .map_err(|e| e.to_string())?;
            // What a peer says is shown as it is, so it must not be anything.
            let version = answer.version.filter(|version| {
                version.len() <= 32 && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
            });
            Ok::<_, String>((ahead(before, answer.now, after), version))
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok((ahead, version))) => self.clocks.set(peer, ahead, version),
            Ok(Err(error)) => tracing::debug!(error, %peer, "the clock of a peer could not be asked for"),
            Err(_) => tracing::debug!(%peer, "a peer did not say in time what its clock shows"),
        }
    }

    /// Has the clocks of peers measured that are connected and were not asked just now, and waits for the answers for
    /// `patience`; what comes later is known the next time.
    pub(crate) async fn measure_clocks(self: &Arc<Self>, peers: &[PeerKey], patience: Duration) {
        let due = peers.iter().filter(|peer| self.clocks.is_due(peer));
        let connections: Vec<_> = due.filter_map(|peer| self.network.connection(peer)).collect();
        let asked: Vec<_> =
            connections.iter().map(|connection| measure_beside(&Back::to(self), connection)).collect();
        let all = async {
            for task in asked {
                if let Err(error) = task.await {
                    tracing::error!(%error, "measuring a clock ended unexpectedly");
                }
            }
        };
        if !patience.is_zero() {
            _ = tokio::time::timeout(patience, all).await;
        }
    }
}

/// Measures a peer's clock beside everything else.
pub(crate) fn measure_beside(node: &Back<Node>, connection: &Arc<Connection>) -> JoinHandle<()> {
    let (node, connection) = (node.clone(), Arc::clone(connection));
    tokio::spawn(async move {
        if let Some(node) = node.upgrade() {
            node.measure_clock(&connection).await;
        }
    })
}

/// Says how two clocks differ.
pub(crate) fn words(ahead: i64) -> String {
    let by = crate::text::human_duration(Duration::from_secs(ahead.unsigned_abs()));
    if ahead < 0 { format!("{by} behind this machine's") } else { format!("{by} ahead of this machine's") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_of_the_question_is_taken_out() {
        assert_eq!(ahead(1_000, 1_050, 1_100), 0);
        assert_eq!(ahead(0, 5_000_000, 200_000), 4_900_000);
        assert_eq!(ahead(10, 0, 10), -10);
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let clocks = Clocks::default();
        let peer = PeerKey::from_bytes([1; 32]);
        for (micros, seconds) in [(400_000, 0), (600_000, 1), (-600_000, -1), (259_200_000_000, 259_200)] {
            clocks.set(peer, micros, None);
            assert_eq!(clocks.ahead(&peer), Some(seconds));
        }
        assert_eq!(clocks.ahead(&PeerKey::from_bytes([2; 32])), None);
    }

    #[test]
    fn peer_is_not_asked_again_at_once() {
        let (clocks, peer) = (Clocks::default(), PeerKey::from_bytes([1; 32]));
        assert!(clocks.is_due(&peer) && !clocks.is_due(&peer));
        clocks.set(peer, 7, Some("1.0".to_owned()));
        assert!(!clocks.is_due(&peer) && clocks.version(&peer).as_deref() == Some("1.0"));
    }

    #[test]
    fn difference_is_told_with_its_direction() {
        assert_eq!(words(259_200), "3 d ahead of this machine's");
        assert_eq!(words(-42), "42 s behind this machine's");
    }
}
