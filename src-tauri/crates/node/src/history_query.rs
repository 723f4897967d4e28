//! What happened.

use std::collections::HashMap;

use evenfold_store::{EventRow, HistoryFilter};
use uuid::Uuid;

use crate::api::{ApiError, ErrorCode, HistoryQuery, HistoryRow};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::text::{now, parse_time, path_text};

/// Rows that are returned where nobody says how many.
const USUAL_PAGE: u32 = 100;

impl Node {
    /// Returns rows of the history, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::Usage`] where the time is none; [`ErrorCode::NotFound`] where there is no such relationship.
    pub(crate) async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, ApiError> {
        let relationship = match &query.relationship {
            Some(wanted) => Some(self.find(wanted)?.row().id),
            None => None,
        };
        let filter = HistoryFilter {
            relationship,
            path: query.path.clone(),
            since: query.since.as_deref().map(moment).transpose()?,
            node: query.node.clone(),
            kinds: query.kind.iter().cloned().collect(),
            before: query.before,
            ..HistoryFilter::default()
        };
        let rows = self.store.history().page(&filter, query.limit.unwrap_or(USUAL_PAGE)).await.map_err(db)?;
        let names: HashMap<Uuid, String> =
            self.all().iter().map(|relationship| relationship.row()).map(|row| (row.id, row.name)).collect();
        Ok(rows.into_iter().map(|row| shown(row, &names)).collect())
    }
}

/// Reads a moment that a person gave, in microseconds since 1970.
///
/// # Errors
/// [`ErrorCode::Usage`] with the forms that are understood.
pub(crate) fn moment(text: &str) -> Result<i64, ApiError> {
    parse_time(text, now()).map(jiff::Timestamp::as_microsecond).ok_or_else(|| {
        ApiError::new(ErrorCode::Usage, format!("'{}' is no time", text.escape_debug()))
            .with_hint("for example 2026-11-21T14:00:00Z, 2026-11-21, or 2h for two hours ago")
    })
}

fn shown(EventRow { id, event }: EventRow, names: &HashMap<Uuid, String>) -> HistoryRow {
    let relationship = event.relationship.map(|id| names.get(&id).cloned().unwrap_or_else(|| id.to_string()));
    HistoryRow {
        id,
        time: time_text(event.time).unwrap_or_default(),
        relationship: relationship.unwrap_or_default(),
        path: event.path.map(|path| path_text(path.as_bytes())),
        kind: event.kind,
        on: event.peer.unwrap_or_else(|| event.node.clone()),
        node: event.node,
        bytes: event.size,
        detail: event.detail,
    }
}
