//! What users did, kept apart from everything that Evenfold knows, to judge by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenfold_core::delivery::{Key, Ledger, Party, Resend, Row, UnitKind, occasions, units, version};
use evenfold_core::{Digest, Dir, Entry, RelPath};
use evenfold_fs::disk::Kind;

use super::host::{Host, Role, Shared};
use super::users::observe;
use super::{Broken, Promise};
use crate::sim::Rng;
use crate::sim::node::lock;
use crate::sim::survey::{Found, live, present};

/// A command that ended well.
#[derive(Debug, Clone, Copy, Default)]
struct Ended {
    times: u64,
    /// How many excuses its machine had at the last end.
    excuses: u64,
    recorded: bool,
}

/// The record of all that users did, and what commands were run.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    contents: Vec<Arc<[u8]>>,
    written: BTreeSet<Digest>,
    /// Versions that ever stood at an origin.
    held: BTreeSet<Digest>,
    /// What users of a machine wrote and did not take away.
    owned: BTreeMap<usize, BTreeMap<RelPath, Digest>>,
    /// Folders that users of a machine made.
    made: BTreeSet<(usize, RelPath)>,
    /// Places of deliveries that users of a machine have used: whatever stands there is theirs.
    used: BTreeSet<(usize, RelPath)>,
    /// Delivered versions that a user took away.
    gone: BTreeMap<(usize, Key), (RelPath, u32)>,
    /// Folders at the top that were there at the last look.
    dirs: BTreeMap<usize, BTreeSet<RelPath>>,
    /// Places at the hub where somebody changed a copy.
    harmed: BTreeSet<RelPath>,
    ended: BTreeMap<(usize, String), Ended>,
    excuses: BTreeMap<usize, u64>,
    broken: Option<Broken>,
}

impl Judge {
    /// Makes a content that is unlike all others.
    pub(crate) fn new_content(&mut self, size: usize) -> Arc<[u8]> {
        let mut bytes = format!("{:08}.", self.contents.len()).into_bytes();
        bytes.resize(size.max(9), b'.');
        let bytes: Arc<[u8]> = bytes.into();
        self.contents.push(Arc::clone(&bytes));
        bytes
    }

    /// Returns a content that was written before.
    pub(crate) fn earlier_content(&self, rng: &mut Rng) -> Option<Arc<[u8]>> {
        rng.pick(&self.contents).cloned()
    }

    /// Returns where users of a machine have put something.
    pub(crate) fn owned_paths(&self, at: usize) -> Vec<RelPath> {
        let files = self.owned.get(&at).into_iter().flat_map(|owned| owned.keys());
        let folders = self.made.iter().filter(|(of, _)| *of == at).map(|(_, path)| path);
        files.chain(folders).cloned().collect()
    }

    /// Takes down what a user changed.
    pub(crate) fn acted(
        &mut self,
        shared: &Shared,
        host: &Host,
        before: &BTreeMap<RelPath, Found>,
        after: &BTreeMap<RelPath, Found>,
        dir: &Arc<Dir>,
    ) {
        let at = host.at();
        let rows = host.rows();
        let mine = |row: &&Row| row.key.destination == host.party && row.state.is_delivered();
        let owned = self.owned.entry(at).or_default();
        for path in before.keys().chain(after.keys()) {
            let (was, is) = (before.get(path), after.get(path));
            if was == is {
                continue;
            }
            let was_theirs = owned.remove(path).is_some();
            if was.is_some_and(|found| found.kind == Kind::File) && !was_theirs {
                // A delivery, even where nobody has said yet that it landed.
                let mut used = Some(path.clone());
                while let Some(place) = used.filter(|place| !place.is_root()) {
                    used = place.parent();
                    self.used.insert((at, place));
                }
            }
            let mut above = path.parent();
            while let Some(dir) = above.filter(|dir| !dir.is_root()) {
                above = dir.parent();
                if before.contains_key(&dir) && !self.made.contains(&(at, dir.clone())) {
                    self.used.insert((at, dir));
                }
            }
            let is_dir = |found: Option<&Found>| found.is_some_and(|found| found.kind == Kind::Dir);
            if !is_dir(is) {
                self.made.remove(&(at, path.clone()));
            } else if was.is_none() {
                self.made.insert((at, path.clone()));
            }
            if let Some(digest) = is.and_then(|found| found.digest) {
                self.written.insert(digest);
                owned.insert(path.clone(), digest);
            }
            if host.role == Role::Hub && was.is_some() {
                // A copy below a folder of theirs goes with it.
                let passing = rows.iter().filter(|row| row.stored && row.key.origin != host.party);
                let hit = passing.filter(|row| path.starts_with(&row.place));
                self.harmed.extend(hit.map(|row| row.place.clone()));
            }
            for row in rows.iter().filter(mine) {
                let Some(place) = row.landed_at.as_ref().filter(|place| path.starts_with(place)) else {
                    continue;
                };
                self.used.insert((at, place.clone()));
                if is.is_none() && path == place && row.counts() {
                    self.gone.insert((at, row.key.clone()), (place.clone(), row.round));
                }
            }
        }
        let kind = shared.settings.courier.unit;
        self.held.extend(units(dir, kind).0.into_iter().map(|unit| unit.version));
        let tops = dir.children().iter().filter(|child| child.entry.as_dir().is_some());
        let tops = tops.map(|child| RelPath::root().join(&child.name)).collect();
        self.dirs.insert(at, tops);
    }

    /// Somebody changed a copy at the hub.
    pub(crate) fn damaged(&mut self, place: &RelPath) {
        self.harmed.insert(place.clone());
    }

    /// A person wants these sent again.
    pub(crate) fn forgotten(&mut self, keys: &[Key]) {
        self.gone.retain(|(_, key), _| !keys.contains(key));
    }

    /// Something happened to a machine after which a command may run again that was not written down.
    pub(crate) fn excuse(&mut self, at: usize) {
        *self.excuses.entry(at).or_default() += 1;
    }

    /// A command ended well.
    pub(crate) fn hook_ended(&mut self, at: usize, id: &str) {
        let excuses = self.excuses.get(&at).copied().unwrap_or(0);
        let ended = self.ended.entry((at, id.to_owned())).or_default();
        if ended.recorded || (ended.times > 0 && ended.excuses == excuses) {
            let detail = format!("command {id} on machine {at} ran again after it had ended well");
            self.broken.get_or_insert(Broken { promise: Promise::Once, detail });
        }
        (ended.times, ended.excuses) = (ended.times + 1, excuses);
    }

    /// That a command ended well is written down.
    pub(crate) fn hook_recorded(&mut self, at: usize, id: &str) {
        self.ended.entry((at, id.to_owned())).or_default().recorded = true;
    }

    /// Looks at everything there is.
    pub(crate) fn check(&mut self, shared: &Shared) -> Result<(), Broken> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        for host in shared.hosts() {
            self.folder(shared, host)?;
        }
        let Some(hub) = shared.hosts().first() else { return Ok(()) };
        let dir = {
            let state = hub.node.machine.lock();
            observe(&state.tree, state.tree.root)
        };
        let own = self.owned_paths(hub.at());
        for row in hub.rows() {
            let is_own = || own.iter().any(|path| path.starts_with(&row.key.path));
            let offered =
                row.key.origin == hub.party && row.state.is_open() && dir.get(&row.key.path).is_some();
            if shared.settings.transit && offered && !is_own() {
                let detail = format!("the hub offers {}, which none of its users put there", row.key.path);
                return Err(Broken { promise: Promise::Mixed, detail });
            }
            // What was an empty folder may hold copies of other items by now.
            let is_folder = shared.settings.courier.unit == UnitKind::File
                && dir.get(&row.place).is_some_and(|entry| entry.as_dir().is_some());
            let stands = is_folder || dir.get(&row.place).and_then(version) == Some(row.key.version);
            if stands {
                self.harmed.remove(&row.place);
            } else if row.stored
                && row.state.is_open()
                && row.key.origin != hub.party
                && !self.harmed.contains(&row.place)
            {
                let detail =
                    format!("the hub does not hold {} any more, which is {:?}", row.place, row.state);
                return Err(Broken { promise: Promise::Undelivered, detail });
            }
        }
        Ok(())
    }

    fn folder(&mut self, shared: &Shared, host: &Host) -> Result<(), Broken> {
        let at = host.at();
        let (all, present, dir, changes) = {
            let state = host.node.machine.lock();
            let root = state.tree.root;
            let dir = observe(&state.tree, root);
            (live(&state.tree, root), present(&state.tree, root), dir, state.changes_of_users)
        };
        let rows = host.rows();
        let receives = host.role == Role::Destination
            || (host.role == Role::Hub && shared.hosts().iter().any(|other| other.role == Role::Source));
        if !receives && changes > 0 {
            let detail = format!("machine {at} only sends, and its folder was written to");
            return Err(Broken { promise: Promise::Source, detail });
        }
        let landed = |path: &RelPath| {
            rows.iter().any(|row| {
                // What users put where a copy was that is not written down as dropped is taken for a changed copy.
                let (place, there) = match row.key.destination == host.party {
                    true => (row.landed_at.as_ref(), false),
                    false => (Some(&row.place), host.role == Role::Hub),
                };
                place.is_some_and(|place| path.starts_with(place) && (there || path != place))
            })
        };
        let delivered = |path: &RelPath, digest: &Digest| {
            let here = rows.iter().filter(|row| row.key.destination == host.party);
            here.filter(|row| row.key.version == *digest).any(|row| row.landed_at.as_ref() == Some(path))
        };
        for (path, digest) in self.owned.get(&at).into_iter().flatten() {
            let stands = all.get(path).and_then(|found| found.digest) == Some(*digest);
            // What users put into a delivered folder, or put back as it was delivered, goes when a newer one comes, and
            // is a version then.
            let kept = (landed(path) || delivered(path, digest)) && present.contains(digest);
            if !(stands || kept) {
                let detail = format!("machine {at}: what its user wrote does not stand at {path} any more");
                return Err(Broken { promise: Promise::Users, detail });
            }
        }
        for (path, found) in &all {
            if let Some(digest) = found.digest.filter(|digest| !self.written.contains(digest))
                && !self.harmed.iter().any(|place| path.starts_with(place))
            {
                let detail =
                    format!("machine {at} holds {path} with {}, which nobody wrote", digest.short(4));
                return Err(Broken { promise: Promise::Invented, detail });
            }
        }
        for ((_, key), (place, round)) in self.gone.iter().filter(|((of, _), _)| *of == at) {
            let again = rows.iter().any(|row| row.key == *key && row.round > *round);
            // Another item may have taken the place that was free again, or have come into a folder there.
            let another = rows.iter().any(|row| {
                let here = row.key.destination == key.destination && row.key != *key;
                here && row.landed_at.as_ref().is_some_and(|at| at.starts_with(place))
            });
            let theirs = self.owned_paths(at).iter().any(|path| path.starts_with(place));
            if !again && !another && !theirs && dir.get(place).and_then(version) == Some(key.version) {
                let detail = format!("machine {at}: {place} was taken away after its delivery, and is back");
                return Err(Broken { promise: Promise::Resent, detail });
            }
        }
        self.whole(shared, host, &all, &dir)
    }

    /// A folder that is a unit appears whole.
    fn whole(
        &mut self,
        shared: &Shared,
        host: &Host,
        all: &BTreeMap<RelPath, Found>,
        dir: &Arc<Dir>,
    ) -> Result<(), Broken> {
        let top = |path: &RelPath| path.components().count() == 1;
        let tops: BTreeSet<RelPath> = all
            .iter()
            .filter(|(path, found)| top(path) && found.kind == Kind::Dir)
            .map(|(p, _)| p.clone())
            .collect();
        let before = self.dirs.insert(host.at(), tops.clone()).unwrap_or_default();
        if shared.settings.courier.unit != UnitKind::Entry {
            return Ok(());
        }
        for path in tops.difference(&before) {
            let stands = dir.get(path).and_then(version);
            if stands.is_none_or(|version| !self.held.contains(&version)) {
                let detail =
                    format!("machine {}: {path} appeared, and is not what any origin held", host.at());
                return Err(Broken { promise: Promise::Whole, detail });
            }
        }
        Ok(())
    }

    /// Tells what is still to be done, when everything works and users rest; `Err` with the first such thing.
    pub(crate) fn complete(&self, shared: &Shared) -> Result<(), String> {
        let Some(hub) = shared.hosts().first() else { return Ok(()) };
        let mut ledger = Ledger::default();
        ledger.put(hub.rows());
        for row in ledger.rows() {
            let what = || {
                format!("{} from {:?} to {:?}", row.key.path, row.key.origin.0[0], row.key.destination.0[0])
            };
            // An origin that looks empty proves nothing: what it offered stays, and is tried again.
            let waits = row.state.is_open() && !row.stored && looks_empty(shared, row.key.origin);
            if row.counts()
                && !waits
                && (row.state.is_open() || (row.state.is_delivered() && !row.state.is_final()))
            {
                return Err(format!("{} is {:?}, stored {}", what(), row.state, row.stored));
            }
            if shared.settings.transit && row.stored && row.key.origin != hub.party {
                return Err(format!("the hub still holds {}, which is {:?}", what(), row.state));
            }
            for host in shared.hosts().iter().filter(|host| row.counts() && host.party != hub.party) {
                let concerns = host.party == row.key.origin || host.party == row.key.destination;
                let copy = lock(&host.tables).rows.get(&row.key).map(|copy| copy.row.state.clone());
                if concerns && copy.as_ref() != Some(&row.state) {
                    return Err(format!(
                        "machine {} says {copy:?} of {}, not {:?}",
                        host.at(),
                        what(),
                        row.state
                    ));
                }
            }
        }
        for host in shared.hosts() {
            if let Some((id, hook)) = lock(&host.tables).hooks.iter().find(|(_, hook)| !hook.done) {
                return Err(format!("command {id} for {} on machine {} was not run", hook.path, host.at()));
            }
            self.commands(shared, host, &ledger)?;
            self.delivered(shared, host, &ledger)?;
        }
        Ok(())
    }

    /// Every delivery that is final was followed by its commands.
    fn commands(&self, shared: &Shared, host: &Host, ledger: &Ledger) -> Result<(), String> {
        for row in ledger.rows().filter(|row| row.counts()) {
            for occasion in occasions(ledger, row, host.party) {
                if occasion.happened == evenfold_core::delivery::Happened::Failure {
                    continue;
                }
                if !self.ended.contains_key(&(host.at(), occasion.id.clone())) {
                    let path = &occasion.path;
                    return Err(format!(
                        "nothing was run on machine {} for {path}: {}",
                        host.at(),
                        occasion.id
                    ));
                }
            }
        }
        _ = shared;
        Ok(())
    }

    /// What stands at an origin was delivered, and stands at its destinations unless somebody used it there.
    fn delivered(&self, shared: &Shared, origin: &Host, ledger: &Ledger) -> Result<(), String> {
        let dir = {
            let state = origin.node.machine.lock();
            observe(&state.tree, state.tree.root)
        };
        let own = self.owned_paths(origin.at());
        let (units, _) = units(&dir, shared.settings.courier.unit);
        let destinations: Vec<&Arc<Host>> =
            shared.hosts().iter().filter(|to| owes(shared, origin, to)).collect();
        for unit in units {
            // What passes through a hub, or was delivered into it, is not its own.
            let of_users = own.iter().any(|path| path.starts_with(&unit.path));
            if origin.role == Role::Hub && shared.hosts().iter().any(|h| h.role == Role::Source) && !of_users
            {
                continue;
            }
            for to in &destinations {
                // A place that was promised to an origin stays so while that looks empty.
                let promised = |row: &Row| {
                    row.key.origin != origin.party
                        && row.place == unit.path
                        && row.state.is_open()
                        && looks_empty(shared, row.key.origin)
                };
                if origin.role == Role::Hub && ledger.rows().any(promised) {
                    continue;
                }
                let latest = ledger.latest_delivered(origin.party, &unit.path, to.party);
                let Some(row) = latest.filter(|row| {
                    row.state.is_final()
                        && (row.key.version == unit.version
                            || shared.settings.courier.terms.resend == Resend::Never)
                }) else {
                    return Err(format!("{} was not delivered to machine {}", unit.path, to.at()));
                };
                if shared.settings.command {
                    continue;
                }
                let Some(place) = row.landed_at.clone() else {
                    return Err(format!("nobody knows where {} is on machine {}", unit.path, to.at()));
                };
                let found = {
                    let state = to.node.machine.lock();
                    observe(&state.tree, state.tree.root).get(&place).cloned()
                };
                // What was an empty directory may hold other items now.
                let by_file = shared.settings.courier.unit == UnitKind::File;
                let both_dirs = unit.entry.as_dir().is_some() && matches!(found, Some(Entry::Dir(_)));
                let same = found.as_ref().and_then(version) == Some(row.key.version);
                let holds = same || (by_file && both_dirs);
                if !holds && !self.used.contains(&(to.at(), place.clone())) {
                    let found = found.as_ref().and_then(version);
                    return Err(format!(
                        "machine {} does not hold {} at {place}, but {found:?}",
                        to.at(),
                        unit.path
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Tells whether the folder of an origin holds no unit.
fn looks_empty(shared: &Shared, origin: Party) -> bool {
    let Some(host) = shared.hosts().iter().find(|host| host.party == origin) else { return false };
    let state = host.node.machine.lock();
    units(&observe(&state.tree, state.tree.root), shared.settings.courier.unit).0.is_empty()
}

/// Tells whether items of `origin` are owed to `to`.
fn owes(shared: &Shared, origin: &Host, to: &Host) -> bool {
    if shared.settings.command {
        return origin.party == to.party;
    }
    match origin.role {
        Role::Destination => false,
        Role::Source if !shared.settings.transit => to.role == Role::Hub,
        _ => to.role == Role::Destination,
    }
}
