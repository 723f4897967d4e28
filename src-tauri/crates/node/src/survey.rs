//! A survey of folders: numbers by endpoint and type, scans, duplicates, and where a name is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use evenfold_core::snapshot::Extent;
use evenfold_core::{Digest, Dir, Entry, RelPath};
use evenfold_engine::pair::Permission;
use evenfold_engine::{Endpoint as _, Look};
use evenfold_store::ScanRow;

use crate::api::{
    ApiError, Duplicates, EndpointSummary, FoundPath, ScanInfo, Survey, SurveyWish, TypeSummary,
};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::relationship::Relationship;
use crate::text::path_text;

/// Rows of each list unless more are wanted.
const USUAL: u32 = 100;

/// Most rows of each list: what a person or script can do something with.
const MOST: u32 = 100_000;

/// Paths that are named of one set of duplicates; all are counted.
const NAMED: usize = 20;

impl Node {
    /// Surveys this node's folder of a relationship and, on a spoke that reaches it, the hub's.
    ///
    /// # Errors
    /// Where there is no such relationship or the database fails.
    pub(crate) async fn survey(&self, wanted: &str, wish: &SurveyWish) -> Result<Survey, ApiError> {
        let relationship = self.find(wanted)?;
        let limit = wish.limit.unwrap_or(USUAL).min(MOST);
        let trees = self.trees(&relationship).await;
        let mut survey =
            Survey { complete: trees.iter().all(|(_, tree)| tree.is_some()), ..Survey::default() };
        let scans = self.scans_of_all(&relationship, limit).await?;
        if wish.stats {
            for (node, tree) in &trees {
                let last = scans.iter().find(|scan| scan.node == *node).cloned();
                survey.endpoints.push(summary(node, tree.as_deref(), last));
                let types = tree.as_deref().map(|tree| types(node, tree)).unwrap_or_default();
                survey.types.extend(types.into_iter().take(limit as usize));
            }
        }
        if wish.duplicates
            && let Some((_, Some(own))) = trees.first()
        {
            survey.duplicates = duplicates(own);
            survey.duplicates.truncate(limit as usize);
        }
        if let Some(name) = &wish.find {
            survey.found = find(&trees, name, limit as usize);
        }
        if wish.scans {
            survey.scans = scans;
        }
        Ok(survey)
    }

    /// Returns the trees of this node and, on a spoke, of the hub; `None` where it cannot be looked at now.
    async fn trees(&self, relationship: &Relationship) -> Vec<(String, Option<Arc<Dir>>)> {
        let own = async {
            let looked = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
            looked.ok().map(|snapshot| snapshot.tree)
        };
        let Some(spoke) = relationship.spoke() else { return vec![(self.name.clone(), own.await)] };
        match spoke.driver.cycle(Look::Current, Permission::PlanOnly).await {
            Ok(report) if !matches!(report.ending, evenfold_engine::Ending::Held(ref halt) if !halt.approvable()) =>
            {
                let (ours, theirs) = (report.ours.clone(), report.theirs.clone());
                vec![(self.name.clone(), Some(ours)), (spoke.hub_name.clone(), Some(theirs))]
            }
            _ => vec![(self.name.clone(), own.await), (spoke.hub_name.clone(), None)],
        }
    }

    /// Returns the newest scans of this node's own folder, newest first.
    pub(crate) async fn own_scans(
        &self,
        relationship: &Relationship,
        limit: u32,
    ) -> Result<Vec<ScanInfo>, ApiError> {
        let rows = self.store.scans().newest(relationship.row().id, limit).await.map_err(db)?;
        Ok(rows.into_iter().map(|row| scan_info(&self.name, row)).collect())
    }

    async fn scans_of_all(&self, relationship: &Relationship, limit: u32) -> Result<Vec<ScanInfo>, ApiError> {
        let mut scans = self.own_scans(relationship, limit).await?;
        scans.extend(self.ask_scans(relationship, limit).await);
        scans.sort_by(|a, b| b.started.cmp(&a.started));
        Ok(scans)
    }
}

fn scan_info(node: &str, row: ScanRow) -> ScanInfo {
    // A scan that took no time that can be told took a millisecond.
    let seconds = (row.ended.saturating_sub(row.started).max(1000)) as f64 / 1e6;
    let rate = |count: u64| (count as f64 / seconds * 10.0).round() / 10.0;
    ScanInfo {
        node: node.to_owned(),
        started: time_text(row.started).unwrap_or_default(),
        ended: time_text(row.ended).unwrap_or_default(),
        deep: row.deep,
        success: row.success,
        files: row.files,
        bytes: row.bytes,
        read: row.read,
        errors: row.errors,
        files_per_second: rate(row.files),
        bytes_per_second: rate(row.read),
        detail: row.detail,
    }
}

fn summary(node: &str, tree: Option<&Dir>, last_scan: Option<ScanInfo>) -> EndpointSummary {
    let totals = tree.map(Dir::totals).unwrap_or_default();
    EndpointSummary {
        node: node.to_owned(),
        known: tree.is_some(),
        complete: tree.is_some() && totals.unknown == 0,
        files: totals.files,
        folders: totals.dirs,
        bytes: totals.bytes,
        errors: totals.unknown,
        last_scan,
    }
}

fn types(node: &str, tree: &Dir) -> Vec<TypeSummary> {
    let mut found: HashMap<String, (u64, u64)> = HashMap::new();
    each(tree, &RelPath::root(), &mut |path, entry| {
        if let Entry::File(file) = entry {
            let (files, bytes) = found.entry(extension(path)).or_default();
            *files += 1;
            *bytes += file.size;
        }
    });
    let row = |(extension, (files, bytes))| TypeSummary { node: node.to_owned(), extension, files, bytes };
    let mut rows: Vec<_> = found.into_iter().map(row).collect();
    rows.sort_by(|a, b| (b.bytes, &a.extension).cmp(&(a.bytes, &b.extension)));
    rows
}

fn extension(path: &RelPath) -> String {
    let name = path.file_name();
    let name = name.as_ref().map_or(&b""[..], |name| name.as_bytes());
    match name.iter().rposition(|byte| *byte == b'.') {
        // A leading dot makes a name hidden and is no extension; what is long or has blanks is no type.
        Some(at) if at > 0 => {
            let tail = name.get(at + 1..).unwrap_or_default();
            let is_type = !tail.is_empty() && tail.len() <= 16 && tail.iter().all(u8::is_ascii_alphanumeric);
            if is_type { String::from_utf8_lossy(tail).to_ascii_lowercase() } else { String::new() }
        }
        _ => String::new(),
    }
}

fn duplicates(tree: &Dir) -> Vec<Duplicates> {
    // Twice through the tree, so that only what is there more than once is remembered with its paths.
    let mut seen: HashMap<Digest, (u64, u64)> = HashMap::new();
    each(tree, &RelPath::root(), &mut |_, entry| {
        if let Entry::File(file) = entry
            && file.size > 0
        {
            seen.entry(file.digest).or_insert((0, file.size)).0 += 1;
        }
    });
    seen.retain(|_, (count, _)| *count > 1);
    let mut paths: HashMap<Digest, Vec<RelPath>> = HashMap::new();
    each(tree, &RelPath::root(), &mut |path, entry| {
        if let Entry::File(file) = entry
            && seen.contains_key(&file.digest)
        {
            let list = paths.entry(file.digest).or_default();
            if list.len() < NAMED {
                list.push(path.clone());
            }
        }
    });
    let mut sets: Vec<_> = seen
        .into_iter()
        .map(|(digest, (count, size))| Duplicates {
            digest: digest.short(16),
            size,
            count,
            paths: paths
                .remove(&digest)
                .unwrap_or_default()
                .iter()
                .map(|path| path_text(path.as_bytes()))
                .collect(),
        })
        .collect();
    sets.sort_by_key(|set| (std::cmp::Reverse(set.size.saturating_mul(set.count - 1)), set.digest.clone()));
    sets
}

fn find(trees: &[(String, Option<Arc<Dir>>)], wanted: &str, limit: usize) -> Vec<FoundPath> {
    let pattern = wanted.to_lowercase();
    let whole = pattern.contains(['*', '?']);
    let matches = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).to_lowercase();
        if whole { wildcard(&pattern, &name) } else { name.contains(&pattern) }
    };
    let mut found: BTreeMap<RelPath, FoundPath> = BTreeMap::new();
    for (node, tree) in trees {
        let Some(tree) = tree else { continue };
        each(tree, &RelPath::root(), &mut |path, entry| {
            if path.file_name().is_some_and(|name| matches(name.as_bytes())) {
                let row = found.entry(path.clone()).or_insert_with(|| FoundPath {
                    path: path_text(path.as_bytes()),
                    nodes: Vec::new(),
                    kind: kind(entry).to_owned(),
                    size: entry.totals().bytes,
                });
                row.nodes.push(node.clone());
            }
        });
    }
    found.into_values().take(limit).collect()
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::File(_) => "file",
        Entry::Dir(_) => "folder",
        Entry::Symlink(_) => "link",
        Entry::Unknown(_) => "unknown",
    }
}

/// Tells whether a name matches a pattern of `*` (anything) and `?` (one character) as a whole.
fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where to go on after the last star, and how much it has taken so far.
    let (mut p, mut n, mut star) = (0, 0, None);
    while let Some(c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some(wanted) if wanted == c => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (p, n) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

fn each(dir: &Dir, path: &RelPath, visit: &mut dyn FnMut(&RelPath, &Entry)) {
    for child in dir.children() {
        let path = path.join(&child.name);
        visit(&path, &child.entry);
        if let Entry::Dir(below) = &child.entry {
            each(below, &path, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflicts::tests::{dir, file};

    fn tree() -> Arc<Dir> {
        let below = dir(vec![("B.JPG", file("2")), ("copy.txt", file("same content")), ("empty", file(""))]);
        dir(vec![
            ("a.jpg", file("1")),
            ("one.txt", file("same content")),
            ("two", file("same content")),
            (".hidden", file("x")),
            ("d", Entry::Dir(below)),
            ("void", file("")),
        ])
    }

    #[test]
    fn types_are_counted_by_what_stands_behind_the_last_dot() {
        let rows: Vec<_> =
            types("desk", &tree()).into_iter().map(|row| (row.extension, row.files, row.bytes)).collect();
        let expected = [("txt", 2, 24), ("", 4, 13), ("jpg", 2, 2)];
        assert_eq!(rows, expected.map(|(extension, files, bytes)| (extension.to_owned(), files, bytes)));
    }

    #[test]
    fn duplicates_are_listed_with_their_paths_and_empty_files_are_none() {
        let sets = duplicates(&tree());
        assert_eq!((sets.len(), sets[0].count, sets[0].size), (1, 3, 12));
        let paths: Vec<&str> = sets[0].paths.iter().map(|path| path.path.as_str()).collect();
        assert_eq!(paths, ["d/copy.txt", "one.txt", "two"]);
    }

    #[test]
    fn names_are_found_on_either_side_whatever_their_case() {
        let theirs = dir(vec![("a.jpg", file("1")), ("c.jpeg", file("3"))]);
        let trees = [("desk".to_owned(), Some(tree())), ("nas".to_owned(), Some(theirs))];
        for (wanted, expected) in [
            ("jpg", &["a.jpg on desk, nas", "d/B.JPG on desk"][..]),
            ("*.jp*g", &["a.jpg on desk, nas", "c.jpeg on nas", "d/B.JPG on desk"]),
            ("?.jpg", &["a.jpg on desk, nas", "d/B.JPG on desk"]),
            ("b*", &["d/B.JPG on desk"]),
            ("no such", &[]),
        ] {
            let found = find(&trees, wanted, 10);
            let found: Vec<_> =
                found.iter().map(|row| format!("{} on {}", row.path.path, row.nodes.join(", "))).collect();
            assert_eq!(found, expected, "{wanted}");
        }
        assert_eq!(find(&trees, "jpg", 1).len(), 1);
    }

    #[test]
    fn rates_of_a_scan_follow_from_its_times() {
        let row = ScanRow {
            started: 1_000_000,
            ended: 3_000_000,
            deep: true,
            success: true,
            files: 100,
            bytes: 5000,
            read: 5000,
            errors: 0,
            detail: None,
        };
        let info = scan_info("desk", row);
        assert_eq!((info.files_per_second, info.bytes_per_second), (50.0, 2500.0));
    }
}
