//! A round of a destination: what is owed to us and stands at the hub is fetched, verified and reported.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::delivery::{
    Event, Key, Row, Told, UnitKind, Wait, due, in_the_way, other_places, unit_at, version,
};
use evenfold_core::policy::{ConflictRule, Side};
use evenfold_core::snapshot::Extent;
use evenfold_core::{Dir, Entry, RelPath};

use super::send::{ended, fit, grouped};
use super::{Courier, Found, Lanes, Trouble};
use crate::delivery::carry::{Parcel, Way, carry};
use crate::delivery::ports::View;
use crate::progress::Phase;

/// So many deliveries are claimed at a time.
const CLAIMED: usize = 256;

impl Courier {
    pub(super) async fn fetch(&mut self, full: bool, lanes: Option<Lanes>) -> Result<Found, Trouble> {
        let extent = if full { self.everything() } else { Extent::Paths(Vec::new()) };
        // Our own folder has to be there even if nothing is owed: otherwise nobody would be told.
        let ours = self.look(extent).await?;
        let (view, me) = (self.book.view(), self.book.me());
        let (rows, next) = due(&view.ledger, me, self.clock.now_micros());
        let rows: Vec<Row> = rows.into_iter().filter(|row| !self.in_hand.contains(&row.place)).collect();
        let mut found = Found { next, busy: false };
        let (Some(lanes), false) = (lanes, rows.is_empty()) else { return Ok(found) };
        let Some(first) = lanes.first() else { return Ok(found) };
        found.busy = true;
        let free = self.settings.parallel.saturating_sub(self.transfers.len());
        if free == 0 {
            return Ok(found);
        }
        let now_fetched = fit(rows.iter().map(|row| row.size), free, false);
        let rows: Vec<Row> = rows.into_iter().take(now_fetched).collect();
        let theirs = |error| Trouble::Endpoint(Side::Theirs, error);
        let known: Vec<_> = self.theirs.iter().cloned().chain([Arc::clone(&ours.tree)]).collect();
        let hub = first.scan(Extent::Paths(Vec::new()), &known).await.map_err(theirs)?;
        self.theirs = Some(Arc::clone(&hub.tree));
        let mut parcels: Vec<(Parcel, Key, RelPath)> = Vec::new();
        let mut told = Vec::new();
        let mut taken: HashSet<RelPath> = HashSet::new();
        for rows in rows.chunks(CLAIMED) {
            let keys: Vec<Key> = rows.iter().map(|row| row.key.clone()).collect();
            let good = self.book.claim(&keys).await?;
            for (row, good) in rows.iter().zip(good) {
                let unit = unit_at(&hub.tree, &row.place).filter(|unit| unit.version == row.key.version);
                let (true, Some(unit)) = (good, unit) else {
                    // The hub's word and its folder differ: it looks, and says what is true.
                    continue;
                };
                match self.landing(&row.key, &row.place, &view, &ours.tree, &mut taken) {
                    Some(place) => parcels.push((Parcel { unit, place }, row.key.clone(), row.place.clone())),
                    None => told.push(Told::new(row.key.clone(), Event::Waits(Wait::NameTaken))),
                }
            }
        }
        if !told.is_empty() {
            self.book.tell(told).await?;
        }
        if parcels.is_empty() {
            found.busy = false;
            return Ok(found);
        }
        let files = parcels.iter().map(|(parcel, ..)| parcel.unit.files()).sum();
        self.progress.expect_more(files, parcels.iter().map(|(parcel, ..)| parcel.unit.size()).sum());
        self.progress.enter(Phase::Transferring);
        self.bring(parcels, &ours.tree, &hub.tree, &lanes);
        Ok(found)
    }

    fn bring(
        &mut self,
        parcels: Vec<(Parcel, Key, RelPath)>,
        ours: &Arc<Dir>,
        hub: &Arc<Dir>,
        lanes: &Lanes,
    ) {
        let keys: std::collections::HashMap<RelPath, (Key, RelPath)> = parcels
            .iter()
            .map(|(parcel, key, place)| (parcel.place.clone(), (key.clone(), place.clone())))
            .collect();
        let parcels: Vec<Parcel> = parcels.into_iter().map(|(parcel, ..)| parcel).collect();
        for (nth, group) in grouped(parcels, ours, false).into_iter().enumerate() {
            let Some(lane) = lanes.get(nth % lanes.len()).cloned() else { continue };
            let meant = group.iter().filter_map(|parcel| keys.get(&parcel.place).cloned());
            let (group_keys, places): (Vec<Key>, Vec<RelPath>) = meant.unzip();
            let retry_at = self.retry_at(&group_keys);
            self.in_hand.extend(places.iter().cloned());
            let (receiver, progress) = (Arc::clone(&self.ours), Arc::clone(&self.progress));
            let dice = Arc::clone(&self.dice);
            let (from_tree, to_tree) = (Arc::clone(hub), Arc::clone(ours));
            self.transfers.spawn(async move {
                let way = Way {
                    side: Side::Ours,
                    from: &lane,
                    from_tree: &from_tree,
                    to: &receiver,
                    to_tree: &to_tree,
                    progress: &progress,
                    dice: &dice,
                };
                let results = carry(&group, &way).await;
                let mut carried = ended(&group, group_keys, results, retry_at, &progress, |_| Event::Landed);
                // What is in hand at a destination goes by its place at the hub.
                carried.paths = places;
                carried.disturbed.clear();
                for (told, parcel) in carried.told.iter_mut().zip(&group) {
                    told.landed_at = (told.event == Event::Landed).then(|| parcel.place.clone());
                }
                carried
            });
        }
    }

    /// Decides where a delivery is put: under its name, unless something else stands there that we did not put there.
    pub(super) fn landing(
        &self,
        key: &Key,
        place: &RelPath,
        view: &View,
        tree: &Arc<Dir>,
        taken: &mut HashSet<RelPath>,
    ) -> Option<RelPath> {
        let me = self.book.me();
        // Where earlier versions of this item were put, later ones replace them.
        let earlier: Vec<&Row> = view
            .ledger
            .of_path(key.origin, &key.path)
            .filter(|other| other.key.destination == me && other.landed_at.is_some())
            .collect();
        let latest = earlier.iter().max_by_key(|other| (other.delivered, other.changed));
        let before = latest.and_then(|other| other.landed_at.clone());
        let wanted = before.clone().unwrap_or_else(|| place.clone());
        let ours = |path: &RelPath, entry: &Entry| {
            let stands = version(entry);
            let put =
                |other: &&Row| other.landed_at.as_ref() == Some(path) && Some(other.key.version) == stands;
            // A file that is none of those that were put there has been edited since: it is a user's now. A folder may
            // be one that was being changed when this process ended, unless another item has come there since.
            let partly = self.settings.unit == UnitKind::Entry
                && entry.as_dir().is_some()
                && before.as_ref() == Some(path)
                && !view.ledger.rows().any(|other| {
                    let another = (other.key.origin, &other.key.path) != (key.origin, &key.path);
                    another && other.key.destination == me && put(&other)
                });
            earlier.iter().copied().any(|other| put(&other)) || partly
        };
        let free = |path: &RelPath| match tree.get(path) {
            None => in_the_way(path, tree).is_none(),
            Some(entry) => version(entry) == Some(key.version) || ours(path, entry),
        };
        if free(&wanted) && !taken.contains(&wanted) {
            taken.insert(wanted.clone());
            return Some(wanted);
        }
        match self.settings.conflict {
            ConflictRule::Refuse => None,
            ConflictRule::Newest | ConflictRule::Prefer(_) if in_the_way(&wanted, tree).is_none() => {
                taken.insert(wanted.clone()).then_some(wanted)
            }
            ConflictRule::Newest | ConflictRule::Prefer(_) | ConflictRule::KeepBoth => {
                let other = other_places(&wanted, tree).find(|path| free(path) && !taken.contains(path))?;
                taken.insert(other.clone());
                Some(other)
            }
        }
    }
}
