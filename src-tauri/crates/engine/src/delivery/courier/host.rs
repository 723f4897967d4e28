//! Handing items over to a host that keeps no book: where each is put is decided here, and what stands there afterwards
//! is delivered.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::delivery::{Event, Key, Told, Wait};
use evenfold_core::policy::Side;
use evenfold_core::snapshot::Extent;
use evenfold_core::{Dir, RelPath};

use super::send::{ended, grouped};
use super::{Courier, Lanes, Trouble};
use crate::delivery::carry::{Parcel, Way, carry};

impl Courier {
    /// Sends units to the host, small ones together. The places where they are to stand are looked at first.
    pub(super) async fn deliver(
        &mut self,
        parcels: Vec<Parcel>,
        tree: &Arc<Dir>,
        lanes: &Lanes,
    ) -> Result<(), Trouble> {
        let Some(first) = lanes.first() else { return Ok(()) };
        let theirs = |error| Trouble::Endpoint(Side::Theirs, error);
        let (view, me) = (self.book.view(), self.book.me());
        let key = |parcel: &Parcel| Key {
            origin: me,
            path: parcel.unit.path.clone(),
            version: parcel.unit.version,
            destination: me,
        };
        let earlier = |parcel: &Parcel| {
            let rows = view.ledger.of_path(me, &parcel.unit.path);
            rows.filter_map(|row| row.landed_at.clone()).collect::<Vec<_>>()
        };
        let mut places: Vec<RelPath> = parcels.iter().flat_map(earlier).collect();
        places.extend(parcels.iter().map(|parcel| parcel.place.clone()));
        let known = [Arc::clone(tree)];
        let host = first.scan(Extent::Paths(places), &known).await.map_err(theirs)?;
        let mut taken: HashSet<RelPath> = HashSet::new();
        let (mut landing, mut told) = (Vec::new(), Vec::new());
        for parcel in parcels {
            let key = key(&parcel);
            match self.landing(&key, &parcel.place, &view, &host.tree, &mut taken) {
                Some(place) => landing.push(Parcel { place, ..parcel }),
                None => told.push(Told::new(key, Event::Waits(Wait::NameTaken))),
            }
        }
        if !told.is_empty() {
            self.book.tell(told).await?;
        }
        let one_by_one = self.settings.stop_on_error;
        for (nth, group) in grouped(landing, &host.tree, one_by_one).into_iter().enumerate() {
            let Some(lane) = lanes.get(nth % lanes.len()).cloned() else { continue };
            let keys: Vec<Key> = group.iter().map(key).collect();
            let retry_at = self.retry_at(&keys);
            self.in_hand.extend(group.iter().map(|parcel| parcel.unit.path.clone()));
            let (ours, progress) = (Arc::clone(&self.ours), Arc::clone(&self.progress));
            let dice = Arc::clone(&self.dice);
            let (from_tree, to_tree) = (Arc::clone(tree), Arc::clone(&host.tree));
            self.transfers.spawn(async move {
                let way = Way {
                    side: Side::Theirs,
                    from: &ours,
                    from_tree: &from_tree,
                    to: &lane,
                    to_tree: &to_tree,
                    progress: &progress,
                    dice: &dice,
                };
                let results = carry(&group, &way).await;
                let mut carried = ended(&group, keys, results, retry_at, &progress, |_| Event::Landed);
                for (told, parcel) in carried.told.iter_mut().zip(&group) {
                    told.landed_at = (told.event == Event::Landed).then(|| parcel.place.clone());
                }
                carried
            });
        }
        Ok(())
    }
}
