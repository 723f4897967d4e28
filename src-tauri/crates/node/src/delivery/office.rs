//! The book as the hub keeps it: what is offered, claimed and reported becomes rows, checked against the hub's own folder.
//! What the rows become is decided by `core::delivery`; here they are read, written and told of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::delivery::{
    Answer, Event, Key, Ledger, Offer, Offered, Party, Room, Row, Skip, State, Told, Unit, is_promised,
    standing, word,
};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::delivery::{Book, BookError, View};
use evenfold_engine::{Endpoint as _, EndpointError};
use evenfold_ssh::PeerKey;
use evenfold_store::LedgerRow;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::messages::News;
use super::{Hooks, is_transit, keeper, unit_kind};
use crate::api::Event as ApiEvent;
use crate::back::Back;
use crate::local::lock;
use crate::node::Node;
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::settings::{Executor, Part, Reserve, Settings};

/// News are told to members together, this late.
const TELL: Duration = Duration::from_millis(15);

pub(crate) struct Office {
    node: Back<Node>,
    relationship: Back<Relationship>,
    pub(super) id: Uuid,
    pub(super) me: Party,
    hooks: Arc<Hooks>,
    ledger: Mutex<Arc<Ledger>>,
    destinations: Mutex<HashMap<Party, Vec<Party>>>,
    /// Held from reading rows to writing them, so that each change is made to what the one before left.
    writing: tokio::sync::Mutex<()>,
    news: watch::Sender<u64>,
    /// Wakes whoever looks after the hub's copies.
    pub(super) keeper: Notify,
    telling: Arc<Notify>,
}

impl Office {
    pub(super) fn new(
        node: &Arc<Node>,
        relationship: &Arc<Relationship>,
        rows: Vec<LedgerRow>,
        hooks: Arc<Hooks>,
    ) -> Arc<Self> {
        let mut ledger = Ledger::default();
        ledger.put(rows.into_iter().map(|row| row.row));
        let office = Arc::new(Office {
            node: Back::to(node),
            relationship: Back::to(relationship),
            id: relationship.row().id,
            me: node.as_party(),
            hooks,
            ledger: Mutex::new(Arc::new(ledger)),
            destinations: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            news: watch::Sender::new(0),
            keeper: Notify::new(),
            telling: Arc::new(Notify::new()),
        });
        tokio::spawn(tell_members(Arc::downgrade(&office)));
        office
    }

    pub(super) fn node(&self) -> Result<Arc<Node>, BookError> {
        self.node.upgrade().ok_or_else(|| BookError::Failed("this node is ending".to_owned()))
    }

    pub(super) fn relationship(&self) -> Result<Arc<Relationship>, BookError> {
        self.relationship
            .upgrade()
            .ok_or_else(|| BookError::Failed("the relationship was stopped".to_owned()))
    }

    pub(super) fn me(&self) -> Party {
        self.me
    }

    /// Members came or went.
    pub(super) fn members_changed(&self) {
        self.news.send_modify(|count| *count += 1);
        self.keeper.notify_one();
        self.telling.notify_one();
    }

    pub(super) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&lock(&self.ledger))
    }

    /// Changes rows: `work` is given the ledger and returns the rows as they shall be. Durable when it returns.
    pub(super) async fn change(
        &self,
        work: impl FnOnce(&Ledger) -> Vec<Row> + Send,
    ) -> Result<(), BookError> {
        let node = self.node()?;
        let (before, written) = {
            let _writing = self.writing.lock().await;
            let before = self.ledger();
            let rows = work(&before);
            if rows.is_empty() {
                return Ok(());
            }
            let written = node.store.ledger().write(self.id, rows).await;
            let written = written.map_err(|error| BookError::Failed(error.to_string()))?;
            let ledger = {
                let mut ledger = lock(&self.ledger);
                Arc::make_mut(&mut ledger).put(written.iter().map(|row| row.row.clone()));
                Arc::clone(&ledger)
            };
            // In the order of the rows, so that nothing is taken for seen whose hooks are not asked for yet.
            self.hooks.after(&ledger, &written).await;
            (before, written)
        };
        note_history(&node, self.id, &before, &written).await;
        self.news.send_modify(|count| *count += 1);
        self.keeper.notify_one();
        self.telling.notify_one();
        node.tell(ApiEvent::Relationship { id: self.id.to_string() });
        Ok(())
    }

    /// Returns to whom the items of `origin` are owed.
    pub(super) async fn destinations(&self, origin: Party) -> Vec<Party> {
        let (Ok(node), Ok(relationship)) = (self.node(), self.relationship()) else { return Vec::new() };
        let settings = relationship.settings();
        if is_sent_on(&relationship, &settings) {
            return vec![origin];
        }
        if !is_transit(&settings) && origin != self.me {
            return vec![self.me];
        }
        let members = match node.store.members().list(self.id).await {
            Ok(members) => members,
            Err(error) => {
                tracing::error!(%error, "the members cannot be read");
                return Vec::new();
            }
        };
        let others = members.iter().filter(|member| member.role == "destination");
        let mut found: Vec<Party> =
            others.map(|member| Party(member.peer)).filter(|party| *party != origin).collect();
        if is_transit(&settings) && found.is_empty() && origin != self.me && node.sends_on(&relationship) {
            // The next hop begins here: for this relationship the way ends at the hub.
            found.push(self.me);
        }
        lock(&self.destinations).insert(origin, found.clone());
        found
    }

    /// Returns what the machines of the ledger are called here.
    pub(super) async fn names(&self) -> Vec<(super::messages::Bytes, String)> {
        let Ok(node) = self.node() else { return Vec::new() };
        let parties = self.parties();
        let mut names = Vec::new();
        for party in parties {
            names.push((super::messages::Bytes::of_party(party), node.name_of(party).await));
        }
        names
    }

    fn parties(&self) -> Vec<Party> {
        let ledger = self.ledger();
        let mut parties: Vec<Party> =
            ledger.rows().flat_map(|row| [row.key.origin, row.key.destination]).collect();
        parties.sort_unstable();
        parties.dedup();
        parties
    }

    /// Returns who can be reached now, ourselves included.
    pub(super) fn online(&self) -> Vec<Party> {
        let Ok(node) = self.node() else { return Vec::new() };
        let mut parties = self.parties();
        parties.retain(|party| {
            *party == self.me || node.network.connection(&PeerKey::from_bytes(party.0)).is_some()
        });
        parties
    }

    /// Takes an offer of `origin`: one answer for each unit. What is to be sent is reserved.
    pub(super) async fn take_offer(
        &self,
        origin: Party,
        units: &[Offered],
    ) -> Result<Vec<Answer>, BookError> {
        let relationship = self.relationship()?;
        let settings = relationship.settings();
        let destinations = self.destinations(origin).await;
        let command = is_sent_on(&relationship, &settings);
        let here = origin == self.me && !command;
        let (mut room, mut tree) = if command || here {
            (Room::UNLIMITED, Arc::new(Dir::empty()))
        } else {
            (self.room(&relationship, &settings).await?, self.current(&relationship).await?.tree)
        };
        let again = standing(&self.ledger(), origin, units, &tree);
        if !again.is_empty() {
            let seen = relationship.local.scan(Extent::Paths(again), &[]).await;
            tree = seen.map_err(|error| folder_failed(&error))?.tree;
        }
        let part = Part { ours: "", theirs: "", source: evenfold_core::Side::Theirs, may_write: true };
        let (kind, conflict) = (unit_kind(&settings), settings.conflict_rule(part));
        let mut answers = Vec::with_capacity(units.len());
        let taken = &mut answers;
        self.change(move |ledger| {
            let now = now_micros();
            let mut offer = Offer { me: self.me, origin, ledger, kind, conflict, now, rows: Vec::new() };
            for unit in units {
                let answer = if command || here {
                    offer.without_transfer(unit, &destinations, here)
                } else {
                    offer.through_hub(unit, &destinations, &tree, &mut room)
                };
                taken.push(answer);
            }
            offer.rows
        })
        .await?;
        Ok(answers)
    }

    /// Returns what may still be taken in.
    async fn room(&self, relationship: &Relationship, settings: &Settings) -> Result<Room, BookError> {
        let measured = relationship.local.on_disk(|replica| {
            let (free, total) = replica.space()?;
            Ok::<_, std::io::Error>((free, total, replica.arriving()?))
        });
        let failed = |error: String| BookError::Failed(format!("the hub's disk cannot be asked: {error}"));
        let (free, total, arrived) = measured
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        let reserve = if is_transit(settings) { reserve_bytes(settings.reserve, total) } else { 0 };
        let ledger = self.ledger();
        let mut promised: HashMap<(Party, &RelPath, Digest), u64> = HashMap::new();
        for row in ledger.rows().filter(|row| is_promised(row)) {
            promised.insert((row.key.origin, &row.key.path, row.key.version), row.size);
        }
        // What has arrived of it is not free any more.
        let promised = promised.values().sum::<u64>().saturating_sub(arrived);
        Ok(Room { free, total, reserve, promised })
    }

    pub(super) async fn current(&self, relationship: &Relationship) -> Result<Snapshot, BookError> {
        let seen = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
        seen.map_err(|error| folder_failed(&error))
    }

    /// Looks at the hub's copies before they are fetched, and says which are what their origins sent. A copy that an
    /// earlier attempt found wanting is read again from the disk.
    pub(super) async fn take_claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        let relationship = self.relationship()?;
        let ledger = self.ledger();
        let rows: Vec<Option<Row>> = keys.iter().map(|key| ledger.get(key).cloned()).collect();
        let doubted = rows.iter().flatten().any(|row| row.attempts > 0);
        let folders = relationship.settings().unit == crate::settings::Unit::Entry;
        let extent = if doubted {
            Extent::Deep
        } else if folders {
            Extent::Full
        } else {
            Extent::Paths(rows.iter().flatten().map(|row| row.place.clone()).collect())
        };
        let seen = relationship.local.scan(extent, &[]).await.map_err(|error| folder_failed(&error))?;
        let claim = word::claim(&ledger, keys, &seen.tree);
        for row in &claim.damaged {
            self.quarantine(&relationship, row, &seen.tree).await?;
        }
        self.take_word(claim.begun).await?;
        Ok(claim.good)
    }

    /// Puts aside a copy that is not what its origin sent, and has it fetched again.
    pub(super) async fn quarantine(
        &self,
        relationship: &Relationship,
        row: &Row,
        tree: &Arc<Dir>,
    ) -> Result<(), BookError> {
        let key = row.key.clone();
        if word::is_overtaken(&self.ledger(), row, self.me, tree) {
            return self.take_word(vec![Told::new(key, Event::Skips(Skip::Superseded))]).await;
        }
        let place = row.place.clone();
        let aside = relationship.local.on_disk(move |replica| replica.set_aside(&place)).await;
        let why = match aside {
            Ok(Ok(Some(id))) => format!("the hub's copy was damaged; it lies in versions as {id}"),
            Ok(Ok(None)) => "the hub's copy is gone".to_owned(),
            Ok(Err(error)) => format!("the hub's copy is damaged and could not be put aside: {error}"),
            Err(error) => return Err(folder_failed(&error)),
        };
        tracing::warn!(path = %row.place, why, "a copy is fetched again");
        keeper::sweep(self, relationship, vec![row.place.clone()]).await?;
        self.change(|ledger| word::damaged(ledger, &key, &why, now_micros())).await
    }

    /// Writes down what happened.
    pub(super) async fn take_word(&self, told: Vec<Told>) -> Result<(), BookError> {
        if told.is_empty() {
            return Ok(());
        }
        let relationship = self.relationship()?;
        // What is said to stand here is looked at here.
        let concerns_folder = word::concerns_folder(&told);
        let tree = if concerns_folder { Some(self.current(&relationship).await?.tree) } else { None };
        let failed = word::not_arrived(&self.ledger(), &told, self.me);
        self.change(|ledger| word::word(ledger, &told, self.me, tree.as_ref(), now_micros())).await?;
        keeper::sweep(self, &relationship, failed).await
    }

    /// Counts units as delivered to everybody.
    pub(super) async fn mark(&self, origin: Party, units: &[Offered]) -> Result<(), BookError> {
        self.change(|ledger| word::mark(ledger, origin, units, now_micros())).await
    }

    /// Makes rows count no more, so that what they stand for is sent again.
    pub(super) async fn forget(&self, keys: &[Key]) -> Result<(), BookError> {
        self.change(|ledger| word::forget(ledger, keys, now_micros())).await
    }
}

/// Tells whether items go where nobody keeps a book: to a command, or to a host that has only SSH. Whoever sends them is
/// then in the place of the destination.
fn is_sent_on(relationship: &Relationship, settings: &Settings) -> bool {
    matches!(settings.executor, Executor::Command(_))
        || crate::stock::target_of(&relationship.row()).is_some()
}

/// Returns the bytes that must stay free of `total`.
fn reserve_bytes(reserve: Reserve, total: u64) -> u64 {
    match reserve {
        Reserve::Bytes(bytes) => bytes,
        Reserve::Percent(percent) => {
            total / 100 * u64::from(percent) + total % 100 * u64::from(percent) / 100
        }
    }
}

fn folder_failed(error: &EndpointError) -> BookError {
    BookError::Failed(format!("the hub's folder cannot be used: {error}"))
}

/// Tells online members that there is something new, a few changes together.
async fn tell_members(office: Weak<Office>) {
    let Some(telling) = office.upgrade().map(|office| Arc::clone(&office.telling)) else { return };
    loop {
        // Whoever ends the relationship drops the office; the task then waits for ever on what nobody notifies, unless
        // it looks now and then.
        if tokio::time::timeout(Duration::from_secs(3600), telling.notified()).await.is_err() {
            if office.strong_count() == 0 {
                return;
            }
            continue;
        }
        tokio::time::sleep(TELL).await;
        let Some(office) = office.upgrade() else { return };
        let (Ok(node), Ok(relationship)) = (office.node(), office.relationship()) else { return };
        let Ok((online, _)) = node.members_online(&relationship, None).await else { continue };
        for (name, key) in online {
            let node = Arc::clone(&node);
            let news = News { relationship: office.id };
            tokio::spawn(async move {
                // A member that misses it asks when it connects again.
                if let Err(error) = node.tell_news(&key, &news).await {
                    tracing::debug!(%error, member = name, "a member could not be told of news");
                }
            });
        }
    }
}

/// Writes into the history what became of rows.
pub(super) async fn note_history(node: &Node, id: Uuid, before: &Ledger, rows: &[LedgerRow]) {
    let mut events = Vec::new();
    for LedgerRow { row, .. } in rows {
        let was = before.get(&row.key);
        let kind = match &row.state {
            state if state.is_delivered() && !was.is_some_and(|was| was.state.is_delivered()) => "deliver",
            State::Quarantined(_) if !was.is_some_and(|was| was.state == row.state) => "quarantine",
            _ if row.released.is_some() && was.is_none_or(|was| was.released.is_none()) => "release",
            _ => continue,
        };
        let at = if kind == "deliver" { row.delivered } else { None };
        events.push(evenfold_store::Event {
            time: at.unwrap_or_else(now_micros),
            relationship: Some(id),
            batch: None,
            node: node.name_of(row.key.origin).await,
            peer: Some(node.name_of(row.key.destination).await),
            kind: kind.to_owned(),
            path: Some(row.key.path.clone()),
            digest: Some(row.key.version),
            size: Some(row.size),
            detail: Some(row.state.reason().to_owned()).filter(|reason| !reason.is_empty()),
        });
    }
    if !events.is_empty()
        && let Err(error) = node.store.history().add(&events).await
    {
        tracing::error!(%error, "the history could not be written");
    }
}

#[async_trait]
impl Book for Office {
    fn me(&self) -> Party {
        self.me
    }

    fn view(&self) -> View {
        let destinations = lock(&self.destinations).get(&self.me).cloned().unwrap_or_default();
        View { ledger: self.ledger(), destinations, online: self.online() }
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    async fn refresh(&self) -> Result<(), BookError> {
        let found = self.destinations(self.me).await;
        lock(&self.destinations).insert(self.me, found);
        Ok(())
    }

    async fn offer(&self, units: &[Unit]) -> Result<Vec<Answer>, BookError> {
        let units: Vec<Offered> = units.iter().map(Offered::from).collect();
        self.take_offer(self.me, &units).await
    }

    async fn claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        self.take_claim(keys).await
    }

    async fn tell(&self, told: Vec<Told>) -> Result<(), BookError> {
        self.take_word(told).await
    }
}

impl Node {
    async fn tell_news(self: &Arc<Self>, member: &PeerKey, news: &News) -> Result<(), crate::api::ApiError> {
        self.ask(member, "delivery-news", news).await.map(|_| ())
    }

    /// Tells whether what arrives in this folder is sent on by another relationship with the same folder.
    pub(super) fn sends_on(&self, relationship: &Relationship) -> bool {
        !self.onward(relationship).is_empty()
    }

    /// Returns the relationships that send on what stands in the same folder.
    pub(super) fn onward(&self, relationship: &Relationship) -> Vec<Arc<Relationship>> {
        let row = relationship.row();
        let same = |other: &Arc<Relationship>| {
            let theirs = other.row();
            theirs.id != row.id && theirs.root == row.root && theirs.role != "destination"
        };
        self.all().into_iter().filter(same).filter(|other| super::delivers(&other.settings())).collect()
    }

    /// Returns the name of a machine.
    pub(crate) async fn name_of(&self, who: Party) -> String {
        if who == self.as_party() {
            return self.name.clone();
        }
        if who == Party::ANY {
            return "any".to_owned();
        }
        if let Some(peer) = self.store.peers().get(&who.0).await.ok().flatten() {
            return peer.name;
        }
        // One that only the hub is paired with has the name that the hub gives it.
        let told =
            self.all().iter().filter_map(|other| other.delivery()).find_map(|delivery| {
                match &delivery.book {
                    super::AnyBook::Copy(copy) => copy.name_of(who),
                    super::AnyBook::Office(_) => None,
                }
            });
        told.unwrap_or_else(|| PeerKey::from_bytes(who.0).fingerprint())
    }
}
