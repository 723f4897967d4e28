//! The hub's book and the keeper of its copies: the decisions are the core's, as in the real node; reading, writing and
//! telling are simulated, so that the machine can stop between any two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::apply::Batch;
use evenfold_core::delivery::{
    Answer, Event, Key, Ledger, Numbered, Offer, Offered, Party, Room, Row, Skip, Told, Unit, Wait,
    dropped_with, is_promised, lapsed, spent_copies, standing, stranded, version, word, wrong_copies,
};
use evenfold_core::snapshot::Extent;
use evenfold_core::{Change, Digest, Dir, Entry, RelPath};
use evenfold_engine::delivery::{Book, BookError, View};
use evenfold_engine::ports::EndpointError;
use tokio::sync::{Notify, watch};

use super::hooks::Hooks;
use super::host::{Host, Role, Shared};
use crate::sim::node::lock;

/// When nothing is due, the keeper looks this often.
const SELDOM: Duration = Duration::from_secs(60);

/// What went wrong is tried again after this time.
const AGAIN: Duration = Duration::from_secs(3);

pub(crate) struct Office {
    host: Arc<Host>,
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
    ledger: Mutex<Arc<Ledger>>,
    writing: tokio::sync::Mutex<()>,
    pub(crate) news: watch::Sender<u64>,
    keeper: Notify,
}

/// What a member is told when it asks for news.
pub(crate) struct Sync {
    pub(crate) rows: Vec<(Row, u64)>,
    pub(crate) more: bool,
    pub(crate) last: u64,
    pub(crate) destinations: Vec<Party>,
    pub(crate) online: Vec<Party>,
}

impl Office {
    pub(crate) fn new(host: Arc<Host>, shared: Arc<Shared>, hooks: Arc<Hooks>) -> Arc<Office> {
        let mut ledger = Ledger::default();
        ledger.put(host.rows());
        Arc::new(Office {
            host,
            shared,
            hooks,
            ledger: Mutex::new(Arc::new(ledger)),
            writing: tokio::sync::Mutex::default(),
            news: watch::Sender::new(0),
            keeper: Notify::new(),
        })
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&lock(&self.ledger))
    }

    fn me(&self) -> Party {
        self.host.party
    }

    /// Changes rows; durable when it returns.
    async fn change(&self, work: impl FnOnce(&Ledger) -> Vec<Row> + Send) -> Result<(), BookError> {
        let written = {
            let _writing = self.writing.lock().await;
            let rows = work(&self.ledger());
            if rows.is_empty() {
                return Ok(());
            }
            let written = self.host.write(|tables| {
                let mut written = Vec::new();
                for (seq, row) in (tables.last() + 1..).zip(rows) {
                    let row = Numbered { row, seq, untold: false };
                    tables.rows.insert(row.row.key.clone(), row.clone());
                    written.push(row);
                }
                written
            })?;
            self.shared.delay().await;
            let ledger = {
                let mut ledger = lock(&self.ledger);
                Arc::make_mut(&mut ledger).put(written.iter().map(|row| row.row.clone()));
                Arc::clone(&ledger)
            };
            self.hooks.after(&ledger, &written);
            written
        };
        for row in &written {
            let (row, at) = (&row.row, self.host.at());
            self.shared.note(|| {
                format!(
                    "hub {at}: {} {} is {:?}, stored {}",
                    row.key.path,
                    row.key.version.short(4),
                    row.state,
                    row.stored
                )
            });
        }
        self.news.send_modify(|count| *count += 1);
        self.keeper.notify_one();
        for member in self.shared.hosts().iter().filter(|host| host.role != Role::Hub) {
            let line = lock(&member.line).clone();
            if line.is_some_and(|line| line.message().is_ok())
                && let Some(member) = member.member()
            {
                member.wake();
            }
        }
        Ok(())
    }

    fn destinations(&self, origin: Party) -> Vec<Party> {
        let settings = &self.shared.settings;
        if settings.command {
            return vec![origin];
        }
        if !settings.transit && origin != self.me() {
            return vec![self.me()];
        }
        let hosts = self.shared.hosts().iter();
        hosts.filter(|host| host.role == Role::Destination).map(|host| host.party).collect()
    }

    pub(crate) fn online(&self) -> Vec<Party> {
        let hosts = self.shared.hosts().iter();
        hosts.filter(|host| host.role == Role::Hub || host.online()).map(|host| host.party).collect()
    }

    pub(crate) fn sync(&self, asking: Party, after: u64) -> Result<Sync, BookError> {
        // Few rows in an answer, so that there are several.
        const PAGE: usize = 5;
        self.host.moment(false)?;
        let tables = lock(&self.host.tables);
        let news = tables.rows.values().filter(|row| row.seq > after);
        let mut rows: Vec<(Row, u64)> = news.map(|row| (row.row.clone(), row.seq)).collect();
        rows.sort_by_key(|(_, seq)| *seq);
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let last = tables.last();
        drop(tables);
        Ok(Sync { rows, more, last, destinations: self.destinations(asking), online: self.online() })
    }

    fn current(&self, extent: &Extent) -> Result<Arc<Dir>, BookError> {
        Ok(self.host.node.scan(extent).map_err(|error| folder_failed(&error))?.tree)
    }

    fn now_shown() -> Extent {
        Extent::Paths(Vec::new())
    }

    pub(crate) async fn take_offer(
        &self,
        origin: Party,
        units: &[Offered],
    ) -> Result<Vec<Answer>, BookError> {
        let settings = &self.shared.settings;
        let destinations = self.destinations(origin);
        let here = origin == self.me() && !settings.command;
        let (mut room, mut tree) = if settings.command || here {
            (Room::UNLIMITED, Arc::new(Dir::empty()))
        } else {
            (self.room()?, self.current(&Self::now_shown())?)
        };
        let again = standing(&self.ledger(), origin, units, &tree);
        if !again.is_empty() {
            tree = self.current(&Extent::Paths(again))?;
        }
        self.shared.delay().await;
        let mut answers = Vec::new();
        let taken = &mut answers;
        self.change(|ledger| {
            let now = self.shared.now();
            let (me, kind, conflict) = (self.me(), settings.courier.unit, settings.courier.conflict);
            let mut offer = Offer { me, origin, ledger, kind, conflict, now, rows: Vec::new() };
            for unit in units {
                taken.push(if settings.command || here {
                    offer.without_transfer(unit, &destinations, here)
                } else {
                    offer.through_hub(unit, &destinations, &tree, &mut room)
                });
            }
            offer.rows
        })
        .await?;
        Ok(answers)
    }

    fn room(&self) -> Result<Room, BookError> {
        let failed = |error: std::io::Error| BookError::Failed(error.to_string());
        let replica = self.host.node.replica().map_err(|error| folder_failed(&error))?;
        let (free, total) = replica.space().map_err(failed)?;
        let arrived = replica.arriving().map_err(failed)?;
        let ledger = self.ledger();
        let mut promised: BTreeMap<(Party, &RelPath, Digest), u64> = BTreeMap::new();
        for row in ledger.rows().filter(|row| is_promised(row)) {
            promised.insert((row.key.origin, &row.key.path, row.key.version), row.size);
        }
        let promised = promised.values().sum::<u64>().saturating_sub(arrived);
        Ok(Room { free, total, reserve: 0, promised })
    }

    pub(crate) async fn take_claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        let ledger = self.ledger();
        let rows: Vec<Row> = keys.iter().filter_map(|key| ledger.get(key).cloned()).collect();
        let extent = if rows.iter().any(|row| row.attempts > 0) {
            Extent::Deep
        } else if self.shared.settings.courier.unit == evenfold_core::delivery::UnitKind::Entry {
            Extent::Full
        } else {
            Extent::Paths(rows.iter().map(|row| row.place.clone()).collect())
        };
        let tree = self.current(&extent)?;
        self.shared.delay().await;
        let claim = word::claim(&ledger, keys, &tree);
        for row in &claim.damaged {
            self.quarantine(row, &tree).await?;
        }
        self.take_word(claim.begun).await?;
        Ok(claim.good)
    }

    async fn quarantine(&self, row: &Row, tree: &Arc<Dir>) -> Result<(), BookError> {
        let key = row.key.clone();
        if word::is_overtaken(&self.ledger(), row, self.me(), tree) {
            return self.take_word(vec![Told::new(key, Event::Skips(Skip::Superseded))]).await;
        }
        let replica = self.host.node.replica().map_err(|error| folder_failed(&error))?;
        let why = match replica.set_aside(&row.place) {
            Ok(Some(id)) => format!("the hub's copy was damaged; it lies in versions as {id}"),
            Ok(None) => "the hub's copy is gone".to_owned(),
            Err(error) => format!("the hub's copy is damaged and could not be put aside: {error}"),
        };
        self.host.moment(false)?;
        self.sweep(vec![row.place.clone()])?;
        self.shared.delay().await;
        self.change(|ledger| word::damaged(ledger, &key, &why, self.shared.now())).await
    }

    pub(crate) async fn take_word(&self, told: Vec<Told>) -> Result<(), BookError> {
        if told.is_empty() {
            return Ok(());
        }
        let concerns_folder = word::concerns_folder(&told);
        let tree = if concerns_folder { Some(self.current(&Self::now_shown())?) } else { None };
        self.shared.delay().await;
        let failed = word::not_arrived(&self.ledger(), &told, self.me());
        self.change(|ledger| word::word(ledger, &told, self.me(), tree.as_ref(), self.shared.now())).await?;
        self.sweep(failed)
    }

    pub(crate) async fn forget(&self, keys: &[Key]) -> Result<(), BookError> {
        self.change(|ledger| word::forget(ledger, keys, self.shared.now())).await
    }

    /// Looks after the hub's copies.
    pub(crate) async fn keep(office: Weak<Office>) {
        let Some(mut folder) = office.upgrade().map(|office| office.host.node.nudged()) else { return };
        loop {
            let Some(office) = office.upgrade() else { return };
            folder.mark_unchanged();
            let wait = office.keep_once().await.unwrap_or(AGAIN);
            tokio::select! {
                biased;
                () = office.keeper.notified() => {}
                () = tokio::time::sleep(wait) => {}
                changed = folder.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn keep_once(&self) -> Result<Duration, BookError> {
        let ledger = self.ledger();
        let transit = self.shared.settings.transit;
        let left_over = |row: &Row| transit && row.is_left_over(self.me());
        if !ledger.rows().any(|row| row.stored || is_promised(row) || left_over(row)) {
            return Ok(SELDOM);
        }
        let tree = self.current(&Self::now_shown())?;
        self.check_copies(&tree).await?;
        let mut next = SELDOM;
        if transit {
            let left = stranded(&self.ledger(), self.me(), &tree);
            self.change(|ledger| word::found(ledger, &left)).await?;
            next = next.min(self.release().await?);
        }
        Ok(next.min(self.leases().await?))
    }

    async fn check_copies(&self, tree: &Arc<Dir>) -> Result<(), BookError> {
        let wrong = wrong_copies(&self.ledger(), self.me(), tree);
        if wrong.is_empty() {
            return Ok(());
        }
        let paths = wrong.iter().map(|row| row.place.clone()).collect();
        let fresh = self.current(&Extent::Paths(paths))?;
        self.shared.delay().await;
        for row in wrong {
            let now = self.ledger().get(&row.key).cloned();
            if let Some(row) = now.filter(|now| now.stored && now.state.is_open())
                && !word::stands(&row, &fresh)
            {
                self.quarantine(&row, &fresh).await?;
            }
        }
        Ok(())
    }

    async fn release(&self) -> Result<Duration, BookError> {
        let now = self.shared.now();
        let (spent, at) = spent_copies(&self.ledger(), self.me(), self.shared.settings.retention, now);
        let mut next = at.map_or(SELDOM, |at| until(at, now));
        if spent.is_empty() {
            return Ok(next);
        }
        let mut tree = self.current(&Self::now_shown())?;
        for copy in spent {
            let stands = tree.get(&copy.place).filter(|entry| version(entry) == Some(copy.version)).cloned();
            let path = dropped_with(&self.ledger(), self.me(), &tree, &copy.place);
            if let (Some(_), Some(entry)) = (stands, tree.get(&path).cloned()) {
                if !self.drop_copy(path, entry)? {
                    next = next.min(AGAIN);
                    continue;
                }
                tree = self.current(&Self::now_shown())?;
            }
            if copy.is_changed(tree.get(&copy.place)) {
                let replica = self.host.node.replica().map_err(|error| folder_failed(&error))?;
                if replica.set_aside(&copy.place).is_err() {
                    next = next.min(AGAIN);
                    continue;
                }
                self.sweep(vec![copy.place.clone()])?;
            }
            self.shared.delay().await;
            let told = copy.keys.into_iter().map(|key| Told::new(key, Event::Dropped)).collect();
            self.take_word(told).await?;
        }
        Ok(next)
    }

    /// Drops the directories that are empty now above places where a copy was put aside, or where none came.
    fn sweep(&self, places: Vec<RelPath>) -> Result<(), BookError> {
        let below: Vec<RelPath> = places.into_iter().filter(|place| place.components().count() > 1).collect();
        if below.is_empty() || !self.shared.settings.transit {
            return Ok(());
        }
        let Ok(now) = self.current(&Extent::Paths(below.clone())) else { return Ok(()) };
        let gone = below.iter().filter(|place| now.get(place).is_none());
        let emptied: BTreeSet<RelPath> = gone
            .map(|place| (place, dropped_with(&self.ledger(), self.me(), &now, place)))
            .filter(|(place, top)| *place != top)
            .map(|(_, top)| top)
            .collect();
        for path in emptied {
            if let Some(entry) = now.get(&path).cloned() {
                self.drop_copy(path, entry)?;
            }
        }
        Ok(())
    }

    fn drop_copy(&self, path: RelPath, entry: Entry) -> Result<bool, BookError> {
        let change = Change { path, old: Some(entry), new: None };
        let id = self.shared.dice()();
        let batch = Batch { id, changes: vec![change], ..Batch::default() };
        self.host.node.drop_for_good(&batch).map_err(|error| folder_failed(&error))
    }

    async fn leases(&self) -> Result<Duration, BookError> {
        let now = self.shared.now();
        let lease = self.shared.settings.lease;
        let away = |row: &Row| {
            let mut hosts = self.shared.hosts().iter();
            let origin = hosts.find(|host| host.party == row.key.origin)?;
            (!origin.online()).then_some(row.changed)
        };
        let (lapsed, at) = lapsed(&self.ledger(), self.me(), lease, &away, now);
        let next = at.map_or(SELDOM, |at| until(at, now));
        if lapsed.is_empty() {
            return Ok(next.min(AGAIN));
        }
        let replica = self.host.node.replica().map_err(|error| folder_failed(&error))?;
        drop(replica.drop_partials(Duration::from_micros(u64::try_from(lease).unwrap_or(0))));
        let told = lapsed.into_iter().map(|key| Told::new(key, Event::Waits(Wait::OriginOffline))).collect();
        self.take_word(told).await?;
        Ok(next)
    }
}

fn until(at: i64, now: i64) -> Duration {
    Duration::from_micros(u64::try_from(at - now).unwrap_or(0)).max(Duration::from_millis(10))
}

fn folder_failed(error: &EndpointError) -> BookError {
    BookError::Failed(format!("the hub's folder cannot be used: {error}"))
}

#[async_trait]
impl Book for Office {
    fn me(&self) -> Party {
        self.host.party
    }

    fn view(&self) -> View {
        let (ledger, online) = (self.ledger(), self.online());
        View { ledger, destinations: self.destinations(self.host.party), online }
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    async fn refresh(&self) -> Result<(), BookError> {
        self.host.moment(false)
    }

    async fn offer(&self, units: &[Unit]) -> Result<Vec<Answer>, BookError> {
        let units: Vec<Offered> = units.iter().map(Offered::from).collect();
        self.take_offer(self.host.party, &units).await
    }

    async fn claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        self.take_claim(keys).await
    }

    async fn tell(&self, told: Vec<Told>) -> Result<(), BookError> {
        self.take_word(told).await
    }
}
