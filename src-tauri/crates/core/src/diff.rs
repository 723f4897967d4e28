//! Drift: what differs between two trees now, as counts and as findings path by path.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Dir, Entry, File, Mtime, ProblemKind};
use crate::path::{RESERVED, RelPath};
use crate::policy::Side;

/// What a comparison found at a path. The source is the side that the other is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Only at the source.
    Missing,
    /// On both sides; the target's is older, or the last agreed state tells that only one side changed.
    Stale,
    /// Only at the target.
    Orphaned,
    /// At the target under another path, with the same content; the target's path.
    Moved(RelPath),
    /// Equal size and time, but another content than the known digest.
    Corrupt,
    /// On both sides, and both differ from what was last agreed or, where nothing was agreed, the target's is
    /// newer.
    Conflict,
    /// Could not be read, on this side.
    Error(Side, ProblemKind),
    /// The same content, but other times or permissions.
    Metadata,
}

/// One path that is not in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where; the source's path for what moved.
    pub path: RelPath,
    /// What was found.
    pub finding: Finding,
    /// Bytes that would have to travel.
    pub bytes: u64,
    /// The later of the two modification times.
    pub changed: Option<Mtime>,
}

/// The result of a comparison. Counts are of files and links; a directory counts only through what it holds,
/// or as one item where it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Files and links that are equal on both sides.
    pub in_sync: u64,
    /// Bytes of them.
    pub bytes_in_sync: u64,
    /// Everything else, path by path.
    pub items: Vec<Item>,
}

/// Compares two trees. `source` says which of them the other is measured against; `ancestor`, where there is
/// one, tells an edit on one side from edits on both.
pub fn compare(ancestor: Option<&Arc<Dir>>, ours: &Arc<Dir>, theirs: &Arc<Dir>, source: Side) -> Drift {
    let mut drift = Drift::default();
    let (s, t) = match source {
        Side::Ours => (ours, theirs),
        Side::Theirs => (theirs, ours),
    };
    let mut walk = Walk { source, drift: &mut drift };
    walk.dirs(&RelPath::root(), ancestor, s, t);
    pair_moves(&mut drift, s, t);
    drift
}

struct Walk<'a> {
    source: Side,
    drift: &'a mut Drift,
}

impl Walk<'_> {
    fn dirs(&mut self, path: &RelPath, a: Option<&Arc<Dir>>, s: &Arc<Dir>, t: &Arc<Dir>) {
        if s == t && !s.has_unknown() {
            self.drift.in_sync += s.totals().files;
            self.drift.bytes_in_sync += s.totals().bytes;
            return;
        }
        let mut names: Vec<_> = s.children().iter().chain(t.children()).map(|child| &child.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let name_bytes = name.as_bytes();
            if path.is_root() && name_bytes == RESERVED {
                continue;
            }
            let a = a.and_then(|dir| dir.child(name_bytes));
            self.pair(&path.join(name), a, s.child(name_bytes), t.child(name_bytes));
        }
    }

    fn pair(&mut self, path: &RelPath, a: Option<&Entry>, s: Option<&Entry>, t: Option<&Entry>) {
        match (s, t) {
            (Some(Entry::Unknown(kind)), _) => self.found(path, Finding::Error(self.source, *kind), 0, None),
            (_, Some(Entry::Unknown(kind))) => {
                self.found(path, Finding::Error(self.source.other(), *kind), 0, None)
            }
            (Some(Entry::Dir(s)), Some(Entry::Dir(t))) => {
                if s.mode() != t.mode() {
                    self.found(path, Finding::Metadata, 0, None);
                }
                self.dirs(path, a.and_then(Entry::as_dir), s, t);
            }
            (Some(Entry::Dir(dir)), None) if dir.children().is_empty() => {
                self.found(path, Finding::Missing, 0, None)
            }
            (Some(Entry::Dir(dir)), None) => self.below(path, dir, self.source, &Finding::Missing),
            (None, Some(Entry::Dir(dir))) if dir.children().is_empty() => {
                self.found(path, Finding::Orphaned, 0, None)
            }
            (None, Some(Entry::Dir(dir))) => self.below(path, dir, self.source.other(), &Finding::Orphaned),
            (Some(entry), None) => self.found(path, Finding::Missing, entry.totals().bytes, mtime(entry)),
            (None, Some(entry)) => self.found(path, Finding::Orphaned, entry.totals().bytes, mtime(entry)),
            (Some(s), Some(t)) if s == t => {
                self.drift.in_sync += 1;
                self.drift.bytes_in_sync += s.totals().bytes;
            }
            (Some(s), Some(t)) => {
                let finding = classify(a, s, t);
                self.found(path, finding, s.totals().bytes, mtime(s).max(mtime(t)));
            }
            (None, None) => {}
        }
    }

    fn below(&mut self, path: &RelPath, dir: &Dir, side: Side, finding: &Finding) {
        for child in dir.children() {
            let path = path.join(&child.name);
            match &child.entry {
                Entry::Unknown(kind) => self.found(&path, Finding::Error(side, *kind), 0, None),
                Entry::Dir(dir) if !dir.children().is_empty() => self.below(&path, dir, side, finding),
                entry => self.found(&path, finding.clone(), entry.totals().bytes, mtime(entry)),
            }
        }
    }

    fn found(&mut self, path: &RelPath, finding: Finding, bytes: u64, changed: Option<Mtime>) {
        self.drift.items.push(Item { path: path.clone(), finding, bytes, changed });
    }
}

fn classify(a: Option<&Entry>, s: &Entry, t: &Entry) -> Finding {
    if s.same_content(t) {
        return Finding::Metadata;
    }
    let one_is_agreed = a.is_some_and(|a| a == s || a == t);
    match (s, t) {
        // One of them is the known content, or nothing is known: no edit leaves size and time as they were.
        (Entry::File(s), Entry::File(t))
            if (one_is_agreed || a.is_none()) && s.size == t.size && s.mtime == t.mtime =>
        {
            Finding::Corrupt
        }
        // The last agreed state tells who changed: only one side, or both.
        _ if one_is_agreed => Finding::Stale,
        (Entry::File(s), Entry::File(t)) if a.is_none() && t.mtime <= s.mtime => Finding::Stale,
        _ => Finding::Conflict,
    }
}

fn mtime(entry: &Entry) -> Option<Mtime> {
    entry.as_file().map(|file| file.mtime)
}

/// Pairs what is missing with what is orphaned by equal content: it moved. Empty files are left as they are,
/// because all of them are equal.
fn pair_moves(drift: &mut Drift, source: &Arc<Dir>, target: &Arc<Dir>) {
    let file_at = |tree: &Arc<Dir>, path: &RelPath| tree.get(path).and_then(Entry::as_file).copied();
    let mut orphans: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (at, item) in drift.items.iter().enumerate() {
        if item.finding == Finding::Orphaned
            && let Some(File { digest, size: 1.., .. }) = file_at(target, &item.path)
        {
            orphans.entry(digest).or_default().push(at);
        }
    }
    let mut gone = Vec::new();
    let mut moved = Vec::new();
    for (at, item) in drift.items.iter().enumerate() {
        if item.finding == Finding::Missing
            && let Some(file) = file_at(source, &item.path)
            && let Some(to) = orphans.get_mut(&file.digest).and_then(Vec::pop)
        {
            gone.push(to);
            moved.push((at, to));
        }
    }
    for (at, to) in moved {
        if let Some(path) = drift.items.get(to).map(|item| item.path.clone())
            && let Some(item) = drift.items.get_mut(at)
        {
            item.finding = Finding::Moved(path);
            item.bytes = 0;
        }
    }
    let gone: HashSet<usize> = gone.into_iter().collect();
    let mut at = 0;
    drift.items.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}
