//! A round of whoever holds items: settle, offer, hand over, confirm.

use std::sync::Arc;

use evenfold_core::apply::Refusal;
use evenfold_core::delivery::{
    Answer, Event, Key, Ledger, Party, State as RowState, Told, Unit, Wait, close, plan, units, version,
    was_delivered,
};
use evenfold_core::policy::Side;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Dir, Entry, RelPath};

use super::{Carried, Courier, Found, Lanes, Part, Trouble, retry_at};
use crate::delivery::carry::{Parcel, Way, carry, has_parents};
use crate::delivery::ports::{Executor, View};
use crate::ports::EndpointError;
use crate::transfer::Failure;

/// Small units travel together: so many, and so many bytes, in one batch.
const TOGETHER: (usize, u64) = (512, 16 * 1024 * 1024);

/// So many units are offered in one request, which bounds its length.
const OFFERED: usize = 256;

impl Courier {
    pub(super) async fn send(&mut self, full: bool, lanes: Option<Lanes>) -> Result<Found, Trouble> {
        let extent = if full { self.everything() } else { Extent::Paths(Vec::new()) };
        let snapshot = self.look(extent).await?;
        if matches!(self.part, Part::Host) && lanes.is_none() {
            // What is offered is begun, and there is nobody to whom it could be sent.
            let offline = EndpointError::Offline("no connection stands".to_owned());
            return Err(Trouble::Endpoint(Side::Theirs, offline));
        }
        let now = self.clock.now_micros();
        let (mut all, blocked) = units(&snapshot.tree, self.settings.unit);
        let view = self.book.view();
        let me = self.book.me();
        self.only_own(&mut all, &view);
        self.quiet.observe(&all, now);
        let mut plan =
            plan(&all, &blocked, &view.ledger, me, &view.destinations, &self.quiet, self.settings.terms, now);
        plan.offers.retain(|unit| !self.in_hand.contains(&unit.path));
        // What is in transfer is decided about when it has ended.
        plan.events.retain(|(key, _)| !self.in_hand.contains(&key.path));
        let settling = plan.settling.clone();
        // What is about to be offered has no row yet, and still is not forgotten.
        let shown = settling.iter().cloned().chain(plan.offers.iter().map(|unit| (unit.path.clone(), now)));
        let shown: Vec<(RelPath, i64)> = shown.collect();
        self.state.send_modify(|state| {
            state.settling = shown;
            state.unreadable = blocked.clone();
        });
        let mut told: Vec<Told> =
            std::mem::take(&mut plan.events).into_iter().map(|(key, event)| Told::new(key, event)).collect();
        told.extend(plan.gone.drain(..).map(|key| Told { gone: true, ..Told::new(key, Event::Dropped) }));
        if !told.is_empty() {
            self.book.tell(told).await?;
        }
        let mut found = Found { next: plan.next, busy: !plan.settling.is_empty() || !plan.offers.is_empty() };
        let stopped = self.settings.stop_on_error && self.something_failed(&view);
        if !plan.offers.is_empty() && !stopped {
            let fresh = self.look_again(&plan.offers).await?;
            let still = |unit: &Unit| fresh.tree.get(&unit.path).and_then(version) == Some(unit.version);
            let (offers, changed): (Vec<_>, Vec<_>) = plan.offers.into_iter().partition(still);
            all = units(&fresh.tree, self.settings.unit).0;
            self.only_own(&mut all, &view);
            self.quiet.observe(&all, self.clock.now_micros());
            if !changed.is_empty() {
                found.next = Some(now);
            }
            self.offer(offers, &fresh.tree, lanes, &mut found).await?;
        } else if stopped {
            found.busy = !plan.settling.is_empty();
        }
        self.state.send_modify(|state| state.settling = settling);
        self.confirm(&mut found).await?;
        Ok(found)
    }

    /// Leaves out what only passes through this hub.
    fn only_own(&self, units: &mut Vec<Unit>, view: &View) {
        if self.settings.transit && matches!(self.part, Part::Hub) {
            let me = self.book.me();
            let (passing, left) = (view.ledger.in_transit(me), view.ledger.left_over(me));
            // An empty folder may have been made for something that is still to come.
            let to_come = |unit: &Unit| {
                let is_folder = unit.entry.as_dir().is_some_and(|dir| dir.children().is_empty());
                is_folder && passing.iter().any(|place| place.starts_with(&unit.path))
            };
            units.retain(|unit| {
                let is_copy = passing.contains(&unit.path) || left.contains(&(&unit.path, unit.version));
                !is_copy && !to_come(unit)
            });
        }
    }

    /// Looks once more at what is about to be offered: a writer may have gone on since.
    async fn look_again(&mut self, about: &[Unit]) -> Result<Snapshot, Trouble> {
        let folders = about.iter().any(|unit| matches!(unit.entry, Entry::Dir(_)));
        let extent = if folders || about.len() > 4096 {
            Extent::Full
        } else {
            Extent::Paths(about.iter().map(|unit| unit.path.clone()).collect())
        };
        self.look(extent).await
    }

    /// Tells whether an item of ours failed and has not been mended.
    fn something_failed(&self, view: &View) -> bool {
        let now = self.clock.now_micros();
        view.ledger.of_origin(self.book.me()).filter(|row| row.counts()).any(|row| match row.state {
            RowState::Failed(_) => true,
            RowState::Retrying { at, .. } => at > now,
            _ => false,
        })
    }

    async fn offer(
        &mut self,
        offers: Vec<Unit>,
        tree: &Arc<Dir>,
        lanes: Option<Lanes>,
        found: &mut Found,
    ) -> Result<(), Trouble> {
        let free = self.settings.parallel.saturating_sub(self.transfers.len());
        let one_by_one = self.settings.stop_on_error || matches!(self.part, Part::Command(_));
        if free == 0 || (self.settings.stop_on_error && !self.transfers.is_empty()) {
            return Ok(());
        }
        // What could not be begun now anyway is offered when something has ended, so that nothing is reserved for it.
        let groups = if self.settings.stop_on_error { 1 } else { free };
        let begun_now = match self.part {
            // Nothing is carried: all of it can be fetched at once.
            Part::Hub => offers.len(),
            _ => fit(offers.iter().map(Unit::size), groups, one_by_one),
        };
        let cut = begun_now < offers.len();
        let offers: Vec<Unit> = offers.into_iter().take(begun_now).collect();
        let mut refused = false;
        let mut parcels = Vec::new();
        for offers in offers.chunks(OFFERED) {
            let answers = self.book.offer(offers).await?;
            let now = self.clock.now_micros();
            for (unit, answer) in offers.iter().zip(answers) {
                match answer {
                    Answer::Done | Answer::Held => {}
                    Answer::Send { place } => parcels.push(Parcel { unit: unit.clone(), place }),
                    Answer::Wait(_) => {
                        refused = true;
                        self.quiet.refused(unit, now);
                    }
                }
            }
        }
        if refused && cut {
            // Whatever had to wait holds up nobody behind it.
            found.next = Some(self.clock.now_micros());
        }
        if parcels.is_empty() {
            found.busy = cut && refused;
            return Ok(());
        }
        let files = parcels.iter().map(|parcel| parcel.unit.files()).sum();
        self.progress.expect_more(files, parcels.iter().map(|parcel| parcel.unit.size()).sum());
        self.progress.enter(crate::progress::Phase::Transferring);
        match (&self.part, lanes) {
            (Part::Command(executor), _) => {
                let executor = Arc::clone(executor);
                self.execute(parcels, &executor);
                Ok(())
            }
            (Part::Source, Some(lanes)) => self.hand_over(parcels, tree, &lanes).await,
            (Part::Host, Some(lanes)) => self.deliver(parcels, tree, &lanes).await,
            _ => Ok(()),
        }
    }

    /// Hands units to the command, one transfer each.
    fn execute(&mut self, parcels: Vec<Parcel>, executor: &Arc<dyn Executor>) {
        for parcel in parcels {
            let unit = parcel.unit;
            let me = self.book.me();
            let key = Key { origin: me, path: unit.path.clone(), version: unit.version, destination: me };
            let (attempts, round) =
                self.book.view().ledger.get(&key).map_or((0, 0), |row| (row.attempts, row.round));
            let (executor, clock) = (Arc::clone(executor), Arc::clone(&self.clock));
            let (progress, dice) = (Arc::clone(&self.progress), Arc::clone(&self.dice));
            self.in_hand.insert(unit.path.clone());
            self.transfers.spawn(async move {
                let result = executor.carry(&unit, &occasion(&key, round)).await;
                progress.add_files(unit.files());
                progress.add_bytes(unit.size());
                let event = match &result {
                    Ok(()) => Event::Landed,
                    Err(reason) => Event::Stumbled {
                        reason: reason.clone(),
                        at: retry_at(attempts, &dice, clock.now_micros()),
                    },
                };
                Carried {
                    paths: vec![unit.path],
                    told: vec![Told::new(key, event)],
                    disturbed: Vec::new(),
                    failed: result.err(),
                }
            });
        }
    }

    /// Writes down what commands did, where that failed before.
    pub(super) async fn say_again(&mut self) -> Result<(), Trouble> {
        while let Some(carried) = self.unsaid.pop() {
            if let Err(error) = self.book.tell(carried.told.clone()).await {
                self.unsaid.push(carried);
                return Err(error.into());
            }
            self.release(&carried);
        }
        Ok(())
    }

    /// Lets go of the units that a transfer had in hand.
    pub(super) fn release(&mut self, carried: &Carried) {
        for path in &carried.paths {
            self.in_hand.remove(path);
        }
    }

    /// Sends units to the hub, small ones together, over as many lanes as there are.
    async fn hand_over(
        &mut self,
        parcels: Vec<Parcel>,
        tree: &Arc<Dir>,
        lanes: &Lanes,
    ) -> Result<(), Trouble> {
        let Some(first) = lanes.first() else { return Ok(()) };
        let theirs = |error| Trouble::Endpoint(evenfold_core::Side::Theirs, error);
        let known: Vec<_> = self.theirs.iter().cloned().chain([Arc::clone(tree)]).collect();
        let hub = first.scan(Extent::Paths(Vec::new()), &known).await.map_err(theirs)?;
        self.theirs = Some(Arc::clone(&hub.tree));
        let me = self.book.me();
        let (parcels, taken) = self.free_at_hub(parcels, &hub.tree);
        if !taken.is_empty() {
            // The hub finds another place for it.
            let reason = "something else has taken its place at the hub".to_owned();
            let stumbled = Event::Stumbled { reason, at: self.retry_at_of(&taken) };
            let told =
                taken.iter().map(|parcel| Told::new(any(me, &parcel.unit), stumbled.clone())).collect();
            self.book.tell(told).await?;
        }
        let begun: Vec<Told> =
            parcels.iter().map(|parcel| Told::new(any(me, &parcel.unit), Event::Began)).collect();
        self.book.tell(begun).await?;
        for (nth, group) in grouped(parcels, &hub.tree, self.settings.stop_on_error).into_iter().enumerate() {
            let Some(lane) = lanes.get(nth % lanes.len()).cloned() else { continue };
            let keys: Vec<Key> = group.iter().map(|parcel| any(me, &parcel.unit)).collect();
            let retry_at = self.retry_at_of(&group);
            self.in_hand.extend(group.iter().map(|parcel| parcel.unit.path.clone()));
            let (ours, progress) = (Arc::clone(&self.ours), Arc::clone(&self.progress));
            let dice = Arc::clone(&self.dice);
            let (from_tree, to_tree) = (Arc::clone(tree), Arc::clone(&hub.tree));
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
                ended(&group, keys, results, retry_at, &progress, |_| Event::Stored)
            });
        }
        Ok(())
    }

    /// Parts what may be put at its place from that whose place something else has taken since it was agreed.
    fn free_at_hub(&self, parcels: Vec<Parcel>, tree: &Arc<Dir>) -> (Vec<Parcel>, Vec<Parcel>) {
        let (view, me) = (self.book.view(), self.book.me());
        parcels.into_iter().partition(|parcel| {
            let Unit { path, version, .. } = &parcel.unit;
            let rows = view.ledger.of_path(me, path);
            // Whether it lands there or passes, only the hub knows for sure, which looked before.
            let ours = |entry| {
                [true, false].into_iter().any(|lands_here| {
                    let (place, kind) = (&parcel.place, self.settings.unit);
                    was_delivered(rows.clone(), *version, place, entry, kind, lands_here)
                })
            };
            tree.get(&parcel.place).is_none_or(ours)
        })
    }

    fn retry_at_of(&self, group: &[Parcel]) -> i64 {
        let (view, me) = (self.book.view(), self.book.me());
        let keys: Vec<Key> = group
            .iter()
            .flat_map(|parcel| {
                let rows = view.ledger.of_version(me, &parcel.unit.path, parcel.unit.version);
                rows.map(|row| row.key.clone()).collect::<Vec<_>>()
            })
            .collect();
        self.retry_at(&keys)
    }

    /// Confirms receipts, after one more look at what they are for.
    async fn confirm(&mut self, found: &mut Found) -> Result<(), Trouble> {
        let now = self.clock.now_micros();
        let (view, me) = (self.book.view(), self.book.me());
        let terms = self.settings.terms;
        let mut closing = close(&view.ledger, me, &|_| Err(()), &mut self.quiet, terms, now);
        if self.some_are_ripe(&view.ledger, now) {
            let snapshot = self.look_at_receipts(&view.ledger).await?;
            let holds = |path: &RelPath| match snapshot.tree.get(path) {
                None => Ok(None),
                Some(entry) => version(entry).map(Some).ok_or(()),
            };
            closing = close(&view.ledger, me, &holds, &mut self.quiet, terms, now);
        }
        if let Some(next) = closing.next {
            found.busy = true;
            found.next = Some(found.next.map_or(next, |other| other.min(next)));
        }
        if !closing.events.is_empty() {
            found.busy = true;
            found.next = Some(now);
            let told = closing.events.into_iter().map(|(key, event)| Told::new(key, event)).collect();
            self.book.tell(told).await?;
        }
        Ok(())
    }

    fn some_are_ripe(&self, ledger: &Ledger, now: i64) -> bool {
        let me = self.book.me();
        ledger.of_origin(me).filter(|row| row.counts()).any(|row| {
            matches!(row.state, RowState::Delivered | RowState::Acknowledged)
                && self
                    .quiet
                    .heard_at(&row.key)
                    .is_some_and(|at| at.saturating_add(self.settings.terms.settle) <= now)
        })
    }

    async fn look_at_receipts(&mut self, ledger: &Ledger) -> Result<Snapshot, Trouble> {
        let me = self.book.me();
        let mut paths: Vec<RelPath> = ledger
            .of_origin(me)
            .filter(|row| row.counts() && matches!(row.state, RowState::Delivered | RowState::Acknowledged))
            .map(|row| row.key.path.clone())
            .collect();
        paths.dedup();
        let folders = self.settings.unit == evenfold_core::delivery::UnitKind::Entry;
        let extent = if folders || paths.len() > 4096 { Extent::Full } else { Extent::Paths(paths) };
        self.look(extent).await
    }
}

/// Says what became of a group of parcels. `landed` makes the event of one that stands at its place.
pub(super) fn ended(
    group: &[Parcel],
    keys: Vec<Key>,
    results: Result<Vec<Result<(), Refusal>>, Failure>,
    retry_at: i64,
    progress: &crate::progress::Progress,
    landed: impl Fn(&Parcel) -> Event,
) -> Carried {
    let paths: Vec<RelPath> = group.iter().map(|parcel| parcel.unit.path.clone()).collect();
    let mut carried = Carried { paths, told: Vec::new(), disturbed: Vec::new(), failed: None };
    match results {
        Ok(results) => {
            for ((parcel, key), result) in group.iter().zip(keys).zip(results) {
                match result {
                    Ok(()) => {
                        progress.add_files(parcel.unit.files());
                        carried.told.push(Told::new(key, landed(parcel)));
                    }
                    Err(refusal) => {
                        if matches!(refusal, Refusal::NotSupplied(_)) {
                            carried.disturbed.push(parcel.unit.path.clone());
                        }
                        carried.failed = Some(refusal.to_string());
                        carried.told.push(Told::new(key, event_of(&refusal, retry_at)));
                    }
                }
            }
        }
        Err(failure) => {
            let error = match &failure {
                Failure::Supplier(error) | Failure::Receiver(error) => error.clone(),
            };
            // A line that broke is no failure of the items: they go on when it stands again.
            if !matches!(error, EndpointError::Offline(_)) {
                let event = Event::Stumbled { reason: error.to_string(), at: retry_at };
                carried.told.extend(keys.into_iter().map(|key| Told::new(key, event.clone())));
            }
            carried.failed = Some(error.to_string());
        }
    }
    carried
}

fn event_of(refusal: &Refusal, retry_at: i64) -> Event {
    match refusal {
        Refusal::NoSpace => Event::Waits(Wait::NoSpace),
        other => Event::Stumbled { reason: other.to_string(), at: retry_at },
    }
}

/// The delivery of a unit to whomever it is owed.
fn any(origin: Party, unit: &Unit) -> Key {
    Key { origin, path: unit.path.clone(), version: unit.version, destination: Party::ANY }
}

/// Names the occasion of a delivery; stable, and another one when it is sent anew.
fn occasion(key: &Key, round: u32) -> String {
    evenfold_core::delivery::occasion::digest_of(key, round).short(32)
}

/// Returns how many of units with these sizes fit into so many batches.
pub(super) fn fit(sizes: impl Iterator<Item = u64>, groups: usize, one_by_one: bool) -> usize {
    let (mut taken, mut used, mut count, mut bytes) = (0, 0, 0usize, 0u64);
    for size in sizes {
        let full = one_by_one || count >= TOGETHER.0 || bytes.saturating_add(size) > TOGETHER.1;
        if count == 0 || full {
            if used == groups {
                break;
            }
            used += 1;
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes = bytes.saturating_add(size);
        taken += 1;
    }
    taken
}

/// Packs parcels into batches. Of those that need a new folder above them all come into the first batch together, so
/// that no two batches make the same folder.
pub(super) fn grouped(parcels: Vec<Parcel>, receiver: &Arc<Dir>, one_by_one: bool) -> Vec<Vec<Parcel>> {
    let (rootless, others): (Vec<_>, Vec<_>) =
        parcels.into_iter().partition(|parcel| !has_parents(&parcel.place, receiver));
    let mut groups: Vec<Vec<Parcel>> = if rootless.is_empty() { Vec::new() } else { vec![rootless] };
    let (mut group, mut bytes) = (Vec::new(), 0u64);
    for parcel in others {
        let size = parcel.unit.size();
        let full = one_by_one || group.len() >= TOGETHER.0 || bytes.saturating_add(size) > TOGETHER.1;
        if full && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        group.push(parcel);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_units_travel_together_and_large_ones_alone() {
        let mib = 1024 * 1024;
        let fits = |sizes: &[u64], groups| fit(sizes.iter().copied(), groups, false);
        assert_eq!(fits(&[1; 2000], 1), 512);
        assert_eq!(fits(&[1; 2000], 3), 1536);
        assert_eq!(fits(&[20 * mib, 20 * mib, 1], 2), 2);
        assert_eq!(fits(&[10 * mib, 10 * mib, 1], 1), 1);
        assert_eq!(fits(&[1, 20 * mib, 1], 2), 2);
        assert_eq!(fits(&[1; 5], 0), 0);
        assert_eq!(fit([1u64; 5].into_iter(), 3, true), 3);
    }
}
