//! What a hub decides: what it takes in, and what it drops again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Dir, Entry};
use crate::path::RelPath;

use super::ledger::{Key, Ledger, Party, Row};
use super::offer::is_promised;
use super::state::{Skip, State, Wait};
use super::unit::version;
use super::word::stands;

/// Whether the hub takes something in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Yes; its size counts as taken from now on.
    Admitted,
    /// Not now, or never.
    Refused(Wait),
}

/// Decides whether `size` bytes fit beside what was promised. All in bytes: `free` and `total` of the file system,
/// `reserve` that must stay free, `promised` to others and not written yet.
pub fn admit(size: u64, free: u64, total: u64, reserve: u64, promised: u64) -> Admission {
    if size > total.saturating_sub(reserve) {
        return Admission::Refused(Wait::TooLarge);
    }
    if size > free.saturating_sub(reserve).saturating_sub(promised) {
        return Admission::Refused(Wait::NoSpace);
    }
    Admission::Admitted
}

/// Returns when the hub may drop its copy of one version, whose rows are given: `retention` (in microseconds) after the
/// last destination had it, durably. `None` as long as somebody does not have it, or nobody is to have it.
pub fn released<'a>(rows: impl IntoIterator<Item = &'a Row>, retention: i64) -> Option<i64> {
    let mut last: Option<i64> = None;
    for row in rows {
        let at = match (&row.state, row.delivered) {
            (state, Some(delivered)) if state.is_delivered() => delivered.saturating_add(retention),
            // Nobody wants it any more.
            (State::Skipped(_), _) => row.changed,
            _ => return None,
        };
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    last
}

/// Returns the rows of copies that are not what their origins sent and that somebody is still to have.
pub fn wrong_copies(ledger: &Ledger, me: Party, tree: &Arc<Dir>) -> Vec<Row> {
    let held = ledger.rows().filter(|row| row.stored && row.state.is_open() && row.key.origin != me);
    held.filter(|row| !stands(row, tree)).cloned().collect()
}

/// Returns the deliveries whose copies were left over at the hub: they came although nobody was to have them any more.
pub fn stranded(ledger: &Ledger, me: Party, tree: &Arc<Dir>) -> Vec<Key> {
    let passing = ledger.in_transit(me);
    let left = ledger.rows().filter(|row| row.is_left_over(me) && !passing.contains(&row.place));
    left.filter(|row| stands(row, tree)).map(|row| row.key.clone()).collect()
}

/// A copy at the hub that everybody has had for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Where it stands.
    pub place: RelPath,
    /// What it should be.
    pub version: Digest,
    /// The deliveries that it was for.
    pub keys: Vec<Key>,
    /// The other versions that pass through this place: one of them may stand there by now.
    pub others: BTreeSet<Digest>,
}

impl Spent {
    /// Tells whether what stands at its place is this copy, changed since: damaged, or edited by a user of the hub. It is
    /// not what was sent, and no version that passes here either, so it is nobody's.
    pub fn is_changed(&self, stands: Option<&Entry>) -> bool {
        match stands.map(version) {
            None => false,
            Some(Some(found)) => found != self.version && !self.others.contains(&found),
            // What cannot be read may be anything that passes here.
            Some(None) => self.others.is_empty(),
        }
    }
}

/// Returns the copies that the hub `me` may drop now, and when the next may be dropped.
pub fn spent_copies(ledger: &Ledger, me: Party, retention: i64, now: i64) -> (Vec<Spent>, Option<i64>) {
    let held = ledger.rows().filter(|row| row.stored && row.key.origin != me);
    let versions: BTreeSet<(Party, &RelPath, Digest)> =
        held.map(|row| (row.key.origin, &row.key.path, row.key.version)).collect();
    let mut places: BTreeMap<&RelPath, BTreeSet<Digest>> = BTreeMap::new();
    for row in ledger.rows().filter(|row| row.key.origin != me && (row.stored || is_promised(row))) {
        places.entry(&row.place).or_default().insert(row.key.version);
    }
    let (mut spent, mut next) = (Vec::new(), None);
    for (origin, path, wanted) in versions {
        let rows: Vec<&Row> = ledger.of_version(origin, path, wanted).collect();
        let counting = rows.iter().copied().filter(|row| row.state != State::Skipped(Skip::Forgotten));
        // What a person forgot for everybody may be offered again soon, and is kept a while for that.
        let forgotten = || rows.iter().map(|row| row.changed.saturating_add(retention)).max();
        let at = if counting.clone().next().is_none() { forgotten() } else { released(counting, retention) };
        match (at, rows.first()) {
            (Some(at), _) if at > now => next = Some(next.map_or(at, |next: i64| next.min(at))),
            (Some(_), Some(first)) => spent.push(Spent {
                place: first.place.clone(),
                version: wanted,
                others: places
                    .get(&first.place)
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(|other| *other != wanted)
                    .collect(),
                keys: rows.iter().map(|row| row.key.clone()).collect(),
            }),
            _ => {}
        }
    }
    (spent, next)
}

/// Returns what goes with the copy at `place` when the hub `me` drops it, or has put it aside: the highest directory above
/// it that holds nothing else, or just the copy. An empty directory that stayed would be an item of the hub's own, and
/// would be delivered to everybody. One that the hub offered itself stays.
pub fn dropped_with(ledger: &Ledger, me: Party, tree: &Arc<Dir>, place: &RelPath) -> RelPath {
    let mut top = place.clone();
    while let Some(parent) = top.parent().filter(|parent| !parent.is_root()) {
        let Some(Entry::Dir(dir)) = tree.get(&parent) else { break };
        let holds_more = dir.children().iter().any(|child| top.file_name().as_ref() != Some(&child.name));
        if holds_more || ledger.of_path(me, &parent).any(Row::counts) {
            break;
        }
        top = parent;
    }
    top
}

/// Returns the deliveries for which space is held although their origin has been away for longer than `lease`, and when
/// the next lease ends. `away` says since when an origin has been away, if it is.
pub fn lapsed(
    ledger: &Ledger,
    me: Party,
    lease: i64,
    away: &dyn Fn(&Row) -> Option<i64>,
    now: i64,
) -> (Vec<Key>, Option<i64>) {
    let (mut lapsed, mut next) = (Vec::new(), None);
    for row in ledger.rows().filter(|row| is_promised(row) && row.key.origin != me) {
        let Some(since) = away(row) else { continue };
        let ends = since.max(row.changed).saturating_add(lease);
        if ends > now {
            next = Some(next.map_or(ends, |next: i64| next.min(ends)));
        } else {
            lapsed.push(row.key.clone());
        }
    }
    (lapsed, next)
}
