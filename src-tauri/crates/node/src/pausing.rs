//! Pausing: one relationship or all, for a time or until somebody resumes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evenfold_store::Pause;

use crate::api::{ApiError, ErrorCode};
use crate::node::Node;
use crate::record::now_micros;

/// The end of a pause is looked for this often, by the clock: a machine that slept meanwhile does not miss it.
const LOOK: Duration = Duration::from_secs(20);

impl Node {
    /// Pauses all relationships that run, until a time (RFC 3339) or until somebody resumes them.
    ///
    /// # Errors
    /// Where the time cannot be read or is over, or the database fails.
    pub(crate) async fn pause_all(self: &Arc<Self>, until: Option<&str>) -> Result<(), ApiError> {
        let pause = until.map(parse).transpose()?.map_or(Pause::Paused, Pause::Until);
        for relationship in self.all() {
            let row = relationship.row();
            // What somebody paused for good is not resumed by the end of this.
            if row.pause != Pause::Paused {
                self.set_pause(&row.id.to_string(), pause).await?;
            }
        }
        Ok(())
    }

    /// Resumes everything that is paused.
    ///
    /// # Errors
    /// Where the database fails.
    pub(crate) async fn resume_all(self: &Arc<Self>) -> Result<(), ApiError> {
        for relationship in self.all() {
            let row = relationship.row();
            if row.pause != Pause::Running {
                self.set_pause(&row.id.to_string(), Pause::Running).await?;
            }
        }
        Ok(())
    }

    /// Resumes a relationship when its pause ends, also one that began before this node was started.
    pub(crate) fn resume_in_time(self: &Arc<Self>, id: uuid::Uuid, until: i64) {
        tokio::spawn(resume(Arc::downgrade(self), id, until));
    }
}

async fn resume(node: Weak<Node>, id: uuid::Uuid, until: i64) {
    loop {
        {
            let Some(node) = node.upgrade() else { return };
            // Resumed by hand meanwhile, or paused anew: then somebody else waits for that.
            if node.by_id(id).is_none_or(|relationship| relationship.row().pause != Pause::Until(until)) {
                return;
            }
            if until <= now_micros() {
                if let Err(error) = node.set_pause(&id.to_string(), Pause::Running).await {
                    tracing::warn!(%error, "what was paused for a time could not be resumed");
                }
                return;
            }
        }
        let left = u64::try_from(until - now_micros()).unwrap_or(0);
        tokio::time::sleep(LOOK.min(Duration::from_micros(left))).await;
    }
}

fn parse(until: &str) -> Result<i64, ApiError> {
    let wrong = |why: String| {
        ApiError::new(ErrorCode::Usage, format!("'{until}' is no time to pause until: {why}"))
            .with_hint("give a time to come, such as 2026-11-21T16:00:00Z")
    };
    let time: jiff::Timestamp = until.parse().map_err(|error: jiff::Error| wrong(error.to_string()))?;
    if time.as_microsecond() <= now_micros() {
        return Err(wrong("it is over".to_owned()));
    }
    Ok(time.as_microsecond())
}
