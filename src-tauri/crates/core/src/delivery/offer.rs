//! Answering an offer: what is owed to whom, what travels and what waits for room.

use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Dir, Entry};
use crate::path::{self, Name, RelPath};
use crate::policy::ConflictRule;

use super::hub::{Admission, admit};
use super::ledger::{Key, Ledger, Party, Row};
use super::state::{Event, Skip, State, Wait};
use super::unit::{Unit, UnitKind, version};

/// How many other names are tried for something whose name is taken.
const OTHER_NAMES: u32 = 1000;

/// A unit as the hub hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Where it stands at its origin.
    pub path: RelPath,
    /// Which version of it.
    pub version: Digest,
    /// Bytes.
    pub size: u64,
    /// Files, links and directories.
    pub files: u64,
}

impl From<&Unit> for Offered {
    fn from(unit: &Unit) -> Self {
        Offered { path: unit.path.clone(), version: unit.version, size: unit.size(), files: unit.files() }
    }
}

/// What the book says of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody lacks it.
    Done,
    /// The hub holds it; nothing is to be sent.
    Held,
    /// It is to be sent, to this place at the hub.
    Send {
        /// Where it is to stand there.
        place: RelPath,
    },
    /// It has to wait.
    Wait(Wait),
}

/// What a hub may still take in, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Free on the file system.
    pub free: u64,
    /// All of the file system.
    pub total: u64,
    /// What must stay free.
    pub reserve: u64,
    /// Promised to others and not written yet.
    pub promised: u64,
}

impl Room {
    /// Where nothing is written, everything fits.
    pub const UNLIMITED: Room = Room { free: u64::MAX, total: u64::MAX, reserve: 0, promised: 0 };
}

/// Tells whether space was promised for it at the hub.
pub fn is_promised(row: &Row) -> bool {
    !row.stored && matches!(row.state, State::Reserved | State::Transferring | State::Verifying)
}

/// An offer while it is answered.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The hub.
    pub me: Party,
    /// Whose units are offered.
    pub origin: Party,
    /// What is in the book.
    pub ledger: &'a Ledger,
    /// What is a unit.
    pub kind: UnitKind,
    /// What becomes of something else that stands under the name of a unit.
    pub conflict: ConflictRule,
    /// The time.
    pub now: i64,
    /// The rows as they shall be.
    pub rows: Vec<Row>,
}

impl Offer<'_> {
    /// Returns the rows of those who lack the unit: as they are, or new ones.
    fn owed(&self, unit: &Offered, destinations: &[Party], place: &RelPath) -> Vec<Row> {
        let mut rows = Vec::new();
        for destination in destinations {
            let key = Key {
                origin: self.origin,
                path: unit.path.clone(),
                version: unit.version,
                destination: *destination,
            };
            let fresh = || Row::new(key.clone(), place.clone(), unit.size, unit.files, self.now);
            match self.ledger.get(&key) {
                None => rows.push(fresh()),
                Some(row) if row.gone.is_some() || self.is_outdated(row) => {
                    // What it stood for was another item of the same name and content, or the same that has since been
                    // changed and changed back.
                    rows.push(Row { round: row.round.saturating_add(1), ..fresh() });
                }
                Some(row) if row.state.is_delivered() || row.state == State::Skipped(Skip::Marked) => {}
                Some(row) => {
                    let mut row = row.clone();
                    _ = row.apply(&Event::Settled, self.now);
                    row.place = place.clone();
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// Tells whether a version was delivered and replaced by another one since.
    fn is_outdated(&self, row: &Row) -> bool {
        let key = &row.key;
        let latest = self.ledger.latest_delivered(key.origin, &key.path, key.destination);
        row.counts()
            && row.state.is_delivered()
            && latest.is_some_and(|latest| latest.key.version != key.version)
    }

    /// A unit that stands at the hub already (`here`), or that a command carries.
    pub fn without_transfer(&mut self, unit: &Offered, destinations: &[Party], here: bool) -> Answer {
        let rows = self.owed(unit, destinations, &unit.path);
        if rows.is_empty() {
            return Answer::Done;
        }
        for mut row in rows {
            if here {
                row.stored = true;
            } else {
                _ = row.apply(&Event::Admitted, self.now);
                _ = row.apply(&Event::Began, self.now);
            }
            self.rows.push(row);
        }
        if here { Answer::Held } else { Answer::Send { place: unit.path.clone() } }
    }

    /// A unit that is to be sent to the hub, whose folder holds `tree`. What is admitted counts as promised from now on.
    pub fn through_hub(
        &mut self,
        unit: &Offered,
        destinations: &[Party],
        tree: &Arc<Dir>,
        room: &mut Room,
    ) -> Answer {
        if destinations.is_empty() {
            return Answer::Wait(Wait::NoDestination);
        }
        let lands_here = destinations.contains(&self.me);
        let Some(place) = self.place(unit, tree, lands_here) else { return Answer::Wait(Wait::NameTaken) };
        let rows = self.owed(unit, destinations, &place);
        if rows.is_empty() {
            return Answer::Done;
        }
        let same = |row: &&Row| row.key.version == unit.version && row.place == place;
        let mut known = self.ledger.of_path(self.origin, &unit.path).filter(same);
        let stands = tree.get(&place).and_then(version) == Some(unit.version);
        let promised = known.any(is_promised);
        if stands {
            for mut row in rows {
                _ = row.apply(&Event::Stored, self.now);
                if row.key.destination == self.me {
                    row.landed_at = Some(place.clone());
                    _ = row.apply(&Event::Landed, self.now);
                }
                self.rows.push(row);
            }
            return Answer::Held;
        }
        // What was promised before keeps its promise.
        let admission = if promised {
            Admission::Admitted
        } else {
            admit(unit.size, room.free, room.total, room.reserve, room.promised)
        };
        match admission {
            Admission::Admitted => {
                if !promised {
                    room.promised = room.promised.saturating_add(unit.size);
                }
                for mut row in rows {
                    row.stored = false;
                    _ = row.apply(&Event::Admitted, self.now);
                    self.rows.push(row);
                }
                Answer::Send { place }
            }
            Admission::Refused(wait) => {
                for mut row in rows {
                    let before = self.ledger.get(&row.key);
                    let known = before.is_some_and(|before| before.state == State::Waiting(wait.clone()));
                    _ = row.apply(&Event::Waits(wait.clone()), self.now);
                    if !known {
                        self.rows.push(row);
                    }
                }
                Answer::Wait(wait)
            }
        }
    }

    /// Returns where the hub keeps a unit: under its name, unless that belongs to another origin's or to somebody here.
    /// What `lands_here` is in the hands of the hub's users then, who may have edited it.
    fn place(&self, unit: &Offered, tree: &Arc<Dir>, lands_here: bool) -> Option<RelPath> {
        let known: Vec<&Row> = self.ledger.of_path(self.origin, &unit.path).collect();
        let present = known.iter().filter(|row| row.gone.is_none() || lands_here);
        let latest = present.max_by_key(|row| (row.delivered, row.since));
        if let Some(row) = latest.filter(|row| in_the_way(&row.place, tree).is_none()) {
            let place = &row.place;
            let ours = |entry| {
                was_delivered(known.iter().copied(), unit.version, place, entry, self.kind, lands_here)
            };
            if tree.get(place).is_none_or(ours) {
                return Some(place.clone());
            }
        }
        let theirs = |path: &RelPath| {
            let others = self.ledger.rows().chain(&self.rows).filter(|row| row.key.origin != self.origin);
            let mut others = others.filter(|row| row.state != State::Skipped(Skip::Forgotten));
            others.any(|row| row.place == *path)
        };
        let free = |path: &RelPath| {
            // What stands there already and is the same need not be sent; but a copy that is dropped some time must not
            // be the file of somebody here.
            let same = |entry: &Entry| lands_here && version(entry) == Some(unit.version);
            !theirs(path) && in_the_way(path, tree).is_none() && tree.get(path).is_none_or(same)
        };
        if free(&unit.path) {
            return Some(unit.path.clone());
        }
        match self.conflict {
            ConflictRule::Refuse => None,
            ConflictRule::Newest | ConflictRule::Prefer(_)
                if !theirs(&unit.path) && in_the_way(&unit.path, tree).is_none() =>
            {
                Some(unit.path.clone())
            }
            _ => other_places(&unit.path, tree).find(|path| free(path)),
        }
    }
}

/// Returns the places where offered units seem to stand in `tree` already. What was missed by a watcher is looked at again
/// there before anybody is told that nothing has to be sent.
pub fn standing(ledger: &Ledger, origin: Party, units: &[Offered], tree: &Arc<Dir>) -> Vec<RelPath> {
    let mut found = Vec::new();
    for unit in units {
        let known = ledger.of_path(origin, &unit.path).map(|row| &row.place);
        let stands = |place: &&RelPath| tree.get(place).and_then(version) == Some(unit.version);
        found.extend([&unit.path].into_iter().chain(known).filter(stands).cloned());
    }
    found.sort();
    found.dedup();
    found
}

/// Tells whether what stands at a place of the hub was put there for an origin's item, so that `wanted`, a version of that
/// item, may take its place. `rows` are those of the item. What `lands_here` is in the hands of the hub's users then, who
/// may have edited it.
pub fn was_delivered<'a>(
    rows: impl Iterator<Item = &'a Row> + Clone,
    wanted: Digest,
    place: &RelPath,
    stands: &Entry,
    kind: UnitKind,
    lands_here: bool,
) -> bool {
    let found = version(stands);
    let mut there = rows.filter(|row| row.place == *place);
    let was_put = found == Some(wanted) || there.clone().any(|row| Some(row.key.version) == found);
    if lands_here {
        // A file that is none of those that were put there has been edited since. A directory that was put there takes
        // the next version in, whatever users have added to it.
        let put = |row: &Row| row.stored || row.delivered.is_some();
        was_put || (kind == UnitKind::Entry && stands.as_dir().is_some() && there.any(put))
    } else {
        // Where the copy was dropped, or none ever came, somebody else has put this there since; but a copy may have
        // come whose arrival was not written down.
        there.clone().any(|row| row.stored) || (was_put && there.all(|row| row.released.is_none()))
    }
}

/// Returns what stands above a place and is no folder, so that nothing can be put there.
pub fn in_the_way(path: &RelPath, tree: &Arc<Dir>) -> Option<RelPath> {
    let mut found = None;
    let mut above = path.parent();
    while let Some(at) = above.filter(|at| !at.is_root()) {
        above = at.parent();
        if tree.get(&at).is_some_and(|entry| entry.as_dir().is_none()) {
            found = Some(at);
        }
    }
    found
}

/// Other places for something whose place is taken: another name for it, or for the folder above it whose name something
/// else has.
pub fn other_places(path: &RelPath, tree: &Arc<Dir>) -> impl Iterator<Item = RelPath> + use<> {
    let taken = in_the_way(path, tree).unwrap_or_else(|| path.clone());
    let below: Vec<Name> =
        path.components().skip(taken.components().count()).filter_map(|name| Name::new(name).ok()).collect();
    other_names(&taken).map(move |other| below.iter().fold(other, |at, name| at.join(name)))
}

/// Names for something whose own name is taken: `report (2).pdf`, `report (3).pdf`, …
pub fn other_names(path: &RelPath) -> impl Iterator<Item = RelPath> + use<> {
    let parts = path.split_last();
    (2..OTHER_NAMES).filter_map(move |nth| {
        let (parent, name) = parts.as_ref()?;
        let name = name.as_bytes();
        let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0).unwrap_or(name.len());
        let (stem, extension) = name.split_at_checked(dot)?;
        let number = format!(" ({nth})");
        let room = path::MAX_NAME.checked_sub(number.len() + extension.len())?;
        let stem = stem.get(..stem.len().min(room))?;
        let name = Name::new(&[stem, number.as_bytes(), extension].concat()).ok()?;
        Some(parent.join(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_keep_the_extension_and_fit() {
        let first = |name: &[u8]| other_names(&RelPath::new(name).unwrap()).next().unwrap();
        assert_eq!(first(b"d/report.pdf").as_bytes(), b"d/report (2).pdf");
        assert_eq!(first(b".profile").as_bytes(), b".profile (2)");
        assert_eq!(first(b"job").as_bytes(), b"job (2)");
        assert_eq!(first(&[b'x'; 255]).as_bytes().len(), 255);
    }
}
