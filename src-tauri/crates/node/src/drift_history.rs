//! How drift developed: one point a day for each relationship.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use crate::api::{ApiError, DriftPoint, Event};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::record::now_micros;

/// Scope in the store of the points of each relationship.
const SCOPE: &str = "drift-history";

/// Points that are kept.
const DAYS: usize = 400;

/// Changes are noted this late, so that a busy folder is not written down at every step.
const LATE: Duration = Duration::from_secs(30);

const DAY: i64 = 24 * 3600 * 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    /// Microseconds since 1970.
    time: i64,
    files: u64,
    bytes: u64,
}

/// Begins to note the drift of all relationships as it changes. An idle node writes nothing.
pub(crate) fn start(node: &Arc<Node>) {
    tokio::spawn(run(Arc::downgrade(node), node.listen()));
}

async fn run(node: Weak<Node>, mut events: tokio::sync::broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Relationship { .. }) | Err(RecvError::Lagged(_)) => {}
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        }
        tokio::time::sleep(LATE).await;
        // What came meanwhile is covered by this look.
        events = events.resubscribe();
        let Some(node) = node.upgrade() else { return };
        if let Err(error) = node.note_drift().await {
            tracing::debug!(%error, "the drift of today could not be noted");
        }
    }
}

impl Node {
    async fn note_drift(self: &Arc<Self>) -> Result<(), ApiError> {
        for status in self.status(None).await?.relationships {
            // Unknown is no number.
            let Some(drift) = status.drift else { continue };
            let mut points = self.points(&status.id).await?;
            let now = Point { time: now_micros(), files: drift.files, bytes: drift.bytes };
            let last = points.last().copied();
            let today = last.is_some_and(|last| last.time / DAY == now.time / DAY);
            if today && last.is_some_and(|last| (last.files, last.bytes) == (now.files, now.bytes)) {
                continue;
            }
            if today {
                points.pop();
            }
            points.push(now);
            points.drain(..points.len().saturating_sub(DAYS));
            let json = crate::join::to_json(&points)?;
            self.store.settings().set(SCOPE, &status.id, &json, now.time).await.map_err(db)?;
        }
        Ok(())
    }

    async fn points(&self, id: &str) -> Result<Vec<Point>, ApiError> {
        let text = self.store.settings().get(SCOPE, id).await.map_err(db)?;
        // What cannot be understood begins anew: it is a picture, not a record.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Returns the drift at the end of each of the last `days` days on which it was looked at, oldest first.
    pub(crate) async fn drift_history(&self, wanted: &str, days: u32) -> Result<Vec<DriftPoint>, ApiError> {
        let relationship = self.find(wanted)?;
        let since = now_micros() - i64::from(days) * DAY;
        let points = self.points(&relationship.row().id.to_string()).await?;
        let shown = points.into_iter().filter(|point| point.time >= since).map(|point| DriftPoint {
            time: time_text(point.time).unwrap_or_default(),
            files: point.files,
            bytes: point.bytes,
        });
        Ok(shown.collect())
    }
}
