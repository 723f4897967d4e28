//! Reading the history.

use evenfold_core::{Digest, RelPath};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use super::{Event, EventRow, History, INDEXED, TABLE, path_columns};
use crate::Micros;
use crate::error::{Context, StoreError, bad_row};
use crate::row::Cells;

/// The longest page, in rows.
const MAX_PAGE: u32 = 10_000;

/// Which rows of the history are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only this relationship.
    pub relationship: Option<Uuid>,
    /// Only this path and what is below; or, if it holds `*`, `?` or `[`, what the whole path matches as a glob,
    /// with `*` matching slashes, too.
    pub path: Option<String>,
    /// Only paths that contain this text, whatever the case of its ASCII letters.
    pub text: Option<String>,
    /// Not before.
    pub since: Option<Micros>,
    /// Before.
    pub until: Option<Micros>,
    /// Only acts of the machine with this name.
    pub node: Option<String>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<String>,
    /// Only this batch.
    pub batch: Option<u128>,
    /// Only rows before the one with this id: the last id of the previous page.
    pub before: Option<i64>,
}

impl History<'_> {
    /// Returns the highest number of a row so far; 0 if there is none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn last_id(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM history")
            .fetch_one(&self.store.reader)
            .await
            .on(TABLE, "reading the last row")?;
        Ok(last.unwrap_or(0))
    }

    /// Returns the rows of a relationship behind the one with this number, oldest first; at most `limit`, at most 10,000.
    ///
    /// # Errors
    /// Where the database fails or a row makes no sense.
    pub async fn after(&self, relationship: Uuid, id: i64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, time, relationship, batch, node, peer, kind, path_text, path, digest, size, detail
             FROM history WHERE id > ? AND +relationship = ? ORDER BY id LIMIT ?",
        )
        .bind(id)
        .bind(relationship.as_bytes().to_vec())
        .bind(limit.min(MAX_PAGE))
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "following the history")?;
        rows.iter().map(read).collect()
    }

    /// Returns rows that match, newest first; at most `limit`, at most 10,000.
    pub async fn page(&self, filter: &HistoryFilter, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
            "SELECT id, time, relationship, batch, node, peer, kind, path_text, path, digest, size, detail
             FROM history WHERE true",
        );
        if let Some(before) = filter.before {
            query.push(" AND id < ").push_bind(before);
        }
        if let Some(relationship) = filter.relationship {
            query.push(" AND relationship = ").push_bind(relationship.as_bytes().to_vec());
        }
        if let Some(path) = &filter.path {
            push_path(&mut query, path);
        }
        if let Some(text) = &filter.text {
            push_text(&mut query, text);
        }
        if let Some(since) = filter.since {
            query.push(" AND time >= ").push_bind(since);
        }
        if let Some(until) = filter.until {
            query.push(" AND time < ").push_bind(until);
        }
        if let Some(node) = &filter.node {
            query.push(" AND node = ").push_bind(node.clone());
        }
        if let Some(batch) = filter.batch {
            query.push(" AND batch = ").push_bind(batch.to_be_bytes().to_vec());
        }
        if !filter.kinds.is_empty() {
            query.push(" AND kind IN (");
            let mut kinds = query.separated(", ");
            for kind in &filter.kinds {
                kinds.push_bind(kind.clone());
            }
            query.push(")");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit.min(MAX_PAGE));
        let rows = query
            .build()
            // Each combination of filters is a text of its own: they would crowd the cache of statements.
            .persistent(false)
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "reading history")?;
        rows.iter().map(read).collect()
    }

    /// Returns the name of the machine that last brought this content to this path.
    pub async fn last_author(
        &self,
        relationship: Uuid,
        path: &RelPath,
        digest: Digest,
    ) -> Result<Option<String>, StoreError> {
        let (text, bytes) = path_columns(Some(path));
        sqlx::query_scalar(
            "SELECT node FROM history INDEXED BY history_by_path
             WHERE relationship = ? AND path_text = ? AND path IS ? AND digest = ? ORDER BY id DESC LIMIT 1",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(text)
        .bind(bytes)
        .bind(&digest.0[..])
        .fetch_optional(&self.store.reader)
        .await
        .on(TABLE, "looking for the author of a content")
    }
}

/// A range finds everything below a path through the index: `0` is the character behind `/`.
fn push_path(query: &mut QueryBuilder<Sqlite>, path: &str) {
    if path.contains(['*', '?', '[']) {
        query.push(" AND path_text GLOB ").push_bind(path.to_owned());
        return;
    }
    let path = path.trim_matches('/');
    if path.is_empty() {
        return;
    }
    query.push(" AND (path_text = ").push_bind(path.to_owned());
    query.push(" OR (path_text > ").push_bind(format!("{path}/"));
    query.push(" AND path_text < ").push_bind(format!("{path}0"));
    query.push("))");
}

/// Texts of three characters and more are looked up in the index; rows that are not in it yet are read.
fn push_text(query: &mut QueryBuilder<Sqlite>, text: &str) {
    let escaped: String = text
        .chars()
        .flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    let pattern = format!("%{escaped}%");
    query.push(" AND path_text LIKE ").push_bind(pattern).push(" ESCAPE '\\'");
    // The index is asked for whole trigrams of the text; the line above decides.
    if text.chars().count() >= 3 && text.is_ascii() {
        query.push(" AND (id > (SELECT coalesce(max(value), 0) FROM counters WHERE name = ");
        query.push_bind(INDEXED);
        query.push(") OR id IN (SELECT rowid FROM history_text WHERE history_text MATCH ");
        query.push_bind(trigrams(text));
        query.push("))");
    }
}

/// All trigrams of the text, each quoted: an index without positions finds them one by one.
fn trigrams(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let quoted = characters.windows(3).map(|three| {
        let three: String = three.iter().collect();
        format!("\"{}\"", three.replace('"', "\"\""))
    });
    quoted.collect::<Vec<_>>().join(" AND ")
}

fn read(row: &SqliteRow) -> Result<EventRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    let path = match (cells.get::<Option<&[u8]>>(8)?, cells.get::<Option<&str>>(7)?) {
        (Some(bytes), _) => Some(bytes),
        (None, text) => text.map(str::as_bytes),
    };
    let path = path
        .map(|bytes| RelPath::new(bytes).map_err(|error| bad_row(TABLE, format!("path: {error}"))))
        .transpose()?;
    Ok(EventRow {
        id: cells.get(0)?,
        event: Event {
            time: cells.get(1)?,
            relationship: cells.optional_bytes(2)?.map(Uuid::from_bytes),
            batch: cells.u128(3)?,
            node: cells.get(4)?,
            peer: cells.get(5)?,
            kind: cells.get(6)?,
            path,
            digest: cells.optional_bytes(9)?.map(Digest),
            size: cells.get::<Option<i64>>(10)?.map(i64::cast_unsigned),
            detail: cells.get(11)?,
        },
    })
}
