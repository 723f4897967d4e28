//! What tray, notifications and window need to know, read again whenever something happened.
//!
//! Events are nudges, the node's answers are the truth. While content travels the status is read at a steady pace,
//! because progress alone is no event; when nothing happens, nothing is read but once in a long while.

use std::sync::Arc;
use std::time::Duration;

use evenfold_node::api::{Event, HistoryQuery, HistoryRow, Reply, Request, Status};
use tauri::AppHandle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::events::{tell, until};
use crate::tray::menu::RECENT;
use crate::tray::state::Link;
use crate::window;

/// A burst of events is read as one.
const SETTLE: Duration = Duration::from_millis(100);

/// Shortest time between two readings.
const PACE: Duration = Duration::from_millis(500);

/// How often progress is read while somebody watches, and while nobody does.
const WATCHED: Duration = Duration::from_millis(250);
const UNWATCHED: Duration = Duration::from_secs(2);

/// When nothing happens, it is read this seldom, in case a nudge was lost.
const REPAIR: Duration = Duration::from_secs(120);

/// What is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overview {
    /// Where the node stands.
    pub(crate) link: Link,
    /// What it said last; `None` if it does not answer.
    pub(crate) status: Option<Status>,
    /// What was changed last, newest first.
    pub(crate) recent: Vec<HistoryRow>,
}

impl Overview {
    fn moves(&self) -> bool {
        let all = self.status.as_ref().map(|status| status.relationships.as_slice()).unwrap_or_default();
        all.iter().any(|one| one.progress.is_some())
    }
}

/// Keeps `overview` true for as long as the process lives.
pub(crate) async fn keep(app: AppHandle, engine: Arc<Engine>, overview: watch::Sender<Overview>) {
    let mut link = engine.link();
    let mut events = engine.events();
    loop {
        let standing = link.borrow_and_update().clone();
        let known = Overview { link: standing, ..read(&engine).await };
        let moves = known.moves();
        if moves && window::is_open(&app) {
            tell_progress(&app, &known);
        }
        let again = match (moves, window::is_open(&app)) {
            (true, true) => WATCHED,
            (true, false) => UNWATCHED,
            (false, _) => REPAIR,
        };
        overview.send_replace(known);
        let began = Instant::now();
        tokio::select! {
            changed = link.changed() => if changed.is_err() { return },
            // Lagging behind means that something happened.
            _ = events.recv() => {
                // What moves is read at its own pace, however many events there are.
                tokio::time::sleep(if moves { again } else { SETTLE }).await;
                if !moves {
                    until(Some(began + PACE)).await;
                }
                while !matches!(events.try_recv(), Err(tokio::sync::broadcast::error::TryRecvError::Empty | tokio::sync::broadcast::error::TryRecvError::Closed)) {}
            }
            () = tokio::time::sleep(again) => {}
        }
    }
}

async fn read(engine: &Engine) -> Overview {
    let mut known = Overview::default();
    if !matches!(*engine.link().borrow(), Link::Running { .. }) {
        return known;
    }
    match engine.call(Request::Status { relationship: None }).await {
        Ok(Reply::Status(status)) => known.status = Some(status),
        Ok(_) => tracing::warn!("the node answered something else than was asked"),
        Err(error) => tracing::debug!(%error, "the status could not be read"),
    }
    let query = HistoryQuery { limit: Some(RECENT as u32), ..HistoryQuery::default() };
    match engine.call(Request::History(query)).await {
        Ok(Reply::History(rows)) => known.recent = rows,
        Ok(_) => tracing::warn!("the node answered something else than was asked"),
        Err(error) => tracing::debug!(%error, "the history could not be read"),
    }
    known
}

/// Progress changes without an event, so the window is told here what was read.
fn tell_progress(app: &AppHandle, known: &Overview) {
    for one in known.status.iter().flat_map(|status| &status.relationships) {
        if let Some(progress) = one.progress.clone() {
            tell(app, "evenfold://event", &Event::Progress { id: one.id.clone(), progress });
        }
    }
}
