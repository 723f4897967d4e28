//! Pages of long lists: what differs, level by level and row by row, from the last comparison.
//!
//! A hub compares nothing itself; it asks the first of its members that is connected.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evenfold_core::{Dir, RelPath, Side};
use evenfold_engine::{CycleReport, Look};
use evenfold_ssh::PeerKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{
    ApiError, CheckItem, CheckItems, CheckItemsQuery, Counts, DriftEntry, DriftLevel, ErrorCode, MOST_ROWS,
    PathText, PendingChanges, TransferInfo, WhichChanges,
};
use crate::findings::{Machines, Verify, counter, describe};
use crate::local::lock;
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::pending::{self, Standing};
use crate::relationship::Relationship;
use crate::settings::{Flow, Trigger};
use crate::text::{path_bytes, path_text};
use crate::versions::rel_path;

/// Entries that one level lists; the others are one sum.
const MOST_ENTRIES: usize = 200;

/// What of a window a hub asks a member for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WindowRequest {
    pub(crate) relationship: Uuid,
    pub(crate) window: Window,
}

/// Which window.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Window {
    /// A level of the tree.
    Level(Option<PathText>),
    /// Rows of findings.
    Items(CheckItemsQuery),
    /// Rows of what is left to do.
    Changes {
        /// Which rows; hubs that do not part them want all.
        #[serde(default)]
        which: WhichChanges,
        /// Rows to pass over.
        offset: u64,
        /// Rows wanted.
        limit: u32,
    },
}

/// The findings of one report in words, so that paging through a million rows does not compare two trees for each
/// page. One report of one relationship is kept.
#[derive(Default)]
pub(crate) struct Findings(Mutex<Option<Described>>);

/// A report and its findings in words.
type Described = (Arc<CycleReport>, Arc<Vec<CheckItem>>);

impl Findings {
    fn of(&self, report: &Arc<CycleReport>, machines: Machines<'_>, verify: Verify) -> Arc<Vec<CheckItem>> {
        let mut kept = lock(&self.0);
        if let Some((of, items)) = &*kept
            && Arc::ptr_eq(of, report)
        {
            return Arc::clone(items);
        }
        let items = Arc::new(describe(report, machines, verify).items);
        *kept = Some((Arc::clone(report), Arc::clone(&items)));
        items
    }
}

impl Node {
    /// Returns one level of the tree of what differed when it was last compared.
    ///
    /// # Errors
    /// Where nothing was compared yet, or nobody who did is connected.
    pub(crate) async fn drift_level(
        &self,
        wanted: &str,
        under: Option<&PathText>,
    ) -> Result<DriftLevel, ApiError> {
        self.window(wanted, Window::Level(under.cloned())).await
    }

    /// Returns rows of what differed when it was last compared.
    ///
    /// # Errors
    /// As of [`Node::drift_level`].
    pub(crate) async fn check_items(&self, query: CheckItemsQuery) -> Result<CheckItems, ApiError> {
        let wanted = query.relationship.clone();
        self.window(&wanted, Window::Items(query)).await
    }

    /// Returns rows of what the last comparison left to do, and of what it cannot do.
    ///
    /// # Errors
    /// As of [`Node::drift_level`].
    pub(crate) async fn pending_changes(
        &self,
        wanted: &str,
        which: WhichChanges,
        offset: u64,
        limit: u32,
    ) -> Result<PendingChanges, ApiError> {
        self.window(wanted, Window::Changes { which, offset, limit }).await
    }

    async fn window<T: serde::de::DeserializeOwned>(
        &self,
        wanted: &str,
        window: Window,
    ) -> Result<T, ApiError> {
        let relationship = self.find(wanted)?;
        let answer = match relationship.spoke() {
            Some(_) => self.own_window(&relationship, &window)?,
            None => {
                let request = WindowRequest { relationship: relationship.row().id, window };
                let (online, _) = self.members_online(&relationship, None).await?;
                let Some((_, key)) = online.first() else { return Err(not_compared(wanted)) };
                let answer = self.ask(key, "window", &request).await?;
                serde_json::from_slice(&answer).map_err(internal)?
            }
        };
        serde_json::from_value(answer).map_err(internal)
    }

    /// Answers from what this spoke compared last.
    pub(crate) fn own_window(
        &self,
        relationship: &Relationship,
        window: &Window,
    ) -> Result<serde_json::Value, ApiError> {
        let name = relationship.row().name;
        let (spoke, state) =
            relationship.spoke().zip(relationship.state()).ok_or_else(|| not_compared(&name))?;
        let report = state.last.ok_or_else(|| not_compared(&name))?;
        let machines = Machines { ours: &self.name, theirs: &spoke.hub_name, source: relationship.source() };
        let deep = state.last_look == Some(Look::Deep);
        let verify = match (deep, relationship.settings().flow) {
            (true, _) => Verify::Contents,
            (false, Flow::None) => Verify::SizesAndTimes,
            (false, _) => Verify::Digests,
        };
        let items = || self.findings.of(&report, machines, verify);
        match window {
            Window::Level(under) => {
                let under = under.as_ref().map_or_else(|| Ok(RelPath::root()), rel_path)?;
                let mut level = level(&report, &items(), &under, machines.source);
                level.deep = deep;
                serde_json::to_value(level)
            }
            Window::Items(query) => serde_json::to_value(rows(&items(), query)?),
            Window::Changes { which, offset, limit } => {
                let standing = Standing {
                    held: state.halt.is_some(),
                    paused: state.paused,
                    by_hand: relationship.tracking().is_some(),
                    manual: relationship.settings().trigger == Trigger::Manual,
                };
                let machines = (self.name.as_str(), spoke.hub_name.as_str());
                serde_json::to_value(pending::page(&report, standing, machines, *which, (*offset, *limit)))
            }
        }
        .map_err(internal)
    }

    /// Returns the files that travel, at most 8 each way.
    ///
    /// # Errors
    /// Where there is no such relationship.
    pub(crate) async fn transfers(&self, wanted: &str) -> Result<Vec<TransferInfo>, ApiError> {
        let relationship = self.find(wanted)?;
        if let Some(spoke) = relationship.spoke() {
            return Ok(spoke.meter.transfers(&spoke.hub_name));
        }
        if let Some(delivery) = relationship.delivery() {
            return Ok(delivery.meter.transfers(&relationship.hub_name().unwrap_or_default()));
        }
        let peers = self.store.peers().list().await.map_err(db)?;
        let name_of = |key: &PeerKey| {
            peers.iter().find(|peer| peer.key == *key.as_bytes()).map(|peer| peer.name.clone())
        };
        Ok(relationship.members_work.transfers(name_of))
    }
}

fn internal(error: serde_json::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

fn not_compared(name: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("'{name}' has not been compared since this node started"))
        .with_hint("it is compared as soon as the other machine is connected")
}

/// Tells whether `path` lies below `folder`, and returns the first component from there on.
fn below<'a>(folder: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let rest = match folder.is_empty() {
        true => path,
        false => path.strip_prefix(folder)?.strip_prefix(b"/")?,
    };
    rest.split(|byte| *byte == b'/').next().filter(|name| !name.is_empty())
}

fn rows(items: &[CheckItem], query: &CheckItemsQuery) -> Result<CheckItems, ApiError> {
    let under = query.under.as_ref().map_or_else(|| Ok(RelPath::root()), rel_path)?;
    let inside = |item: &CheckItem| {
        under.is_root()
            || path_bytes(&item.path)
                .is_ok_and(|path| path == under.as_bytes() || below(under.as_bytes(), &path).is_some())
    };
    let wanted = |item: &CheckItem| query.findings.is_empty() || query.findings.contains(&item.finding);
    let mut found: Vec<&CheckItem> = items.iter().filter(|item| wanted(item) && inside(item)).collect();
    // They come sorted by path, and these sorts keep the order of what is equal.
    match query.sort.as_str() {
        "bytes" => found.sort_by_key(|item| item.bytes),
        "finding" => found.sort_by(|a, b| a.finding.cmp(&b.finding)),
        _ => {}
    }
    if query.descending {
        found.reverse();
    }
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let limit = query.limit.min(MOST_ROWS) as usize;
    Ok(CheckItems {
        total: found.len() as u64,
        rows: found.into_iter().skip(offset).take(limit).cloned().collect(),
    })
}

fn level(report: &CycleReport, items: &[CheckItem], under: &RelPath, source: Side) -> DriftLevel {
    let (s, t) = match source {
        Side::Ours => (&report.ours, &report.theirs),
        Side::Theirs => (&report.theirs, &report.ours),
    };
    let mut entries: BTreeMap<Vec<u8>, DriftEntry> = BTreeMap::new();
    for tree in [s, t] {
        let Some(dir) = tree.dir_at(under) else { continue };
        for child in dir.children() {
            let path = under.join(&child.name);
            let entry = entries
                .entry(child.name.as_bytes().to_vec())
                .or_insert_with(|| DriftEntry { path: path_text(path.as_bytes()), ..DriftEntry::default() });
            let totals = child.entry.totals();
            entry.folder |= child.entry.as_dir().is_some();
            entry.files = entry.files.max(totals.files);
            entry.bytes = entry.bytes.max(totals.bytes);
        }
    }
    for item in items {
        let Ok(path) = path_bytes(&item.path) else { continue };
        let Some(entry) = below(under.as_bytes(), &path).and_then(|name| entries.get_mut(name)) else {
            continue;
        };
        entry.differing_files += 1;
        entry.differing_bytes += item.bytes;
        *counter(&mut entry.counts, &item.finding) += 1;
    }
    for entry in entries.values_mut() {
        entry.counts.in_sync = entry.files.saturating_sub(entry.differing_files);
    }
    let mut entries: Vec<DriftEntry> = entries.into_values().collect();
    entries.sort_by_key(|entry| Reverse((entry.bytes.max(entry.differing_bytes), entry.differing_files)));
    let mut total = sum(&entries, under);
    let whole = [s, t].into_iter().filter_map(|tree| tree.dir_at(under)).map(|dir: Arc<Dir>| dir.totals());
    // A file on one side and a folder on the other are one name of two sizes: the larger side counts.
    for totals in whole {
        total.files = total.files.max(totals.files);
        total.bytes = total.bytes.max(totals.bytes);
    }
    let others = entries.split_off(entries.len().min(MOST_ENTRIES));
    let rest = (!others.is_empty()).then(|| sum(&others, under));
    DriftLevel { compared_at: time_text(report.compared_at), deep: false, total, entries, rest }
}

fn sum(entries: &[DriftEntry], under: &RelPath) -> DriftEntry {
    let mut sum = DriftEntry { path: path_text(under.as_bytes()), folder: true, ..DriftEntry::default() };
    for entry in entries {
        sum.files += entry.files;
        sum.bytes += entry.bytes;
        sum.differing_files += entry.differing_files;
        sum.differing_bytes += entry.differing_bytes;
        sum.counts = add(&sum.counts, &entry.counts);
    }
    sum
}

fn add(a: &Counts, b: &Counts) -> Counts {
    crate::findings::add(a, b)
}

#[cfg(test)]
mod tests {
    use evenfold_core::Entry;
    use evenfold_engine::Ending;

    use super::*;
    use crate::conflicts::tests::{dir, file};

    fn report() -> CycleReport {
        let theirs = dir(vec![
            ("a", Entry::Dir(dir(vec![("same", file("1")), ("old", file("22")), ("new", file("333"))]))),
            ("top", file("4444")),
        ]);
        let ours = dir(vec![
            ("a", Entry::Dir(dir(vec![("same", file("1")), ("old", file("2x"))]))),
            ("ab", file("55555")),
        ]);
        CycleReport {
            ending: Ending::Planned,
            plan: evenfold_core::plan::Plan::default(),
            settled: Vec::new(),
            blocked: Vec::new(),
            conflict_copies: 0,
            files: 0,
            bytes: 0,
            ancestor: Arc::new(Dir::empty()),
            ours,
            theirs,
            problems: Vec::new(),
            compared_at: 0,
            again: false,
            settles_in: None,
        }
    }

    fn items(report: &CycleReport) -> Vec<CheckItem> {
        describe(report, Machines { ours: "desk", theirs: "nas", source: Side::Theirs }, Verify::Digests)
            .items
    }

    #[test]
    fn level_sums_up_what_differs_below_each_entry() {
        let report = report();
        let items = items(&report);
        let top = level(&report, &items, &RelPath::root(), Side::Theirs);
        let said: Vec<_> = top
            .entries
            .iter()
            .map(|e| (e.path.path.as_str(), e.folder, e.files, e.differing_files))
            .collect();
        assert_eq!(said, [("a", true, 3, 2), ("ab", false, 1, 1), ("top", false, 1, 1)]);
        assert_eq!((top.total.differing_files, top.total.counts.in_sync), (4, 1));
        assert!(top.rest.is_none());
        let inner = level(&report, &items, &RelPath::new(b"a").unwrap(), Side::Theirs);
        let names: Vec<_> = inner.entries.iter().map(|e| e.path.path.as_str()).collect();
        assert_eq!(names, ["a/new", "a/old", "a/same"]);
        assert_eq!(inner.total.differing_files, 2);
    }

    #[test]
    fn rows_are_filtered_sorted_and_paged() {
        let items = items(&report());
        let query = CheckItemsQuery { limit: 10, ..CheckItemsQuery::default() };
        let paths = |query: &CheckItemsQuery| {
            let found = rows(&items, query).unwrap();
            (found.total, found.rows.into_iter().map(|row| row.path.path).collect::<Vec<_>>())
        };
        let all = ["a/new", "a/old", "ab", "top"].map(str::to_owned).to_vec();
        assert_eq!(paths(&query), (4, all));
        let under = CheckItemsQuery { under: Some(path_text(b"a")), ..query.clone() };
        assert_eq!(paths(&under), (2, vec!["a/new".to_owned(), "a/old".to_owned()]));
        let large = CheckItemsQuery { sort: "bytes".into(), descending: true, limit: 1, ..query.clone() };
        assert_eq!(paths(&large), (4, vec!["ab".to_owned()]));
        let missing = CheckItemsQuery { findings: vec!["missing".into()], offset: 1, ..query };
        assert_eq!(paths(&missing), (2, vec!["top".to_owned()]));
    }
}
