//! A member's copy of the book. What this machine did is written here first and told to the hub then, so that nothing is
//! lost when the line breaks in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::delivery::{Answer, Event, Key, MemberBook, Numbered, Offered, Party, Told, Unit};
use evenfold_engine::delivery::{Book, BookError, View};
use evenfold_ssh::{Connection, PeerKey};
use evenfold_store::LedgerRow;
use evenfold_wire::{CallError, NodeClient};
use tokio::sync::watch;
use uuid::Uuid;

use super::Hooks;
use super::messages::{Ask, KeyWire, OfferedWire, Reply, Request, ToldWire, pages};
use crate::api::Event as ApiEvent;
use crate::back::Back;
use crate::local::lock;
use crate::node::Node;
use crate::record::now_micros;
use crate::serving::node_client;

/// How long the hub may take for an answer. It may have to look at its folder first.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much two clocks may differ before it is worth a word, in microseconds.
const CLOCKS_APART: i64 = 60_000_000;

pub(crate) struct CopyBook {
    node: Back<Node>,
    id: Uuid,
    hub: PeerKey,
    me: Party,
    hooks: Arc<Hooks>,
    inner: Mutex<Inner>,
    /// Held while rows are written, so that they are written in the order in which they changed.
    writing: tokio::sync::Mutex<()>,
    client: tokio::sync::Mutex<Option<(Arc<Connection>, NodeClient)>>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    book: MemberBook,
    destinations: Vec<Party>,
    online: Vec<Party>,
    /// What the hub calls the others.
    names: HashMap<Party, String>,
    /// How far the hub's clock is ahead of ours, in microseconds.
    ahead: i64,
}

impl CopyBook {
    pub(super) fn new(
        node: &Arc<Node>,
        id: Uuid,
        hub: PeerKey,
        rows: Vec<LedgerRow>,
        hooks: Arc<Hooks>,
    ) -> Arc<Self> {
        let inner = Inner { book: MemberBook::of(rows), ..Inner::default() };
        Arc::new(CopyBook {
            node: Back::to(node),
            id,
            hub,
            me: node.as_party(),
            hooks,
            inner: Mutex::new(inner),
            writing: tokio::sync::Mutex::default(),
            client: tokio::sync::Mutex::default(),
            news: watch::Sender::new(0),
        })
    }

    /// The hub has something new.
    pub(super) fn wake(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Returns what the hub calls a machine.
    pub(super) fn name_of(&self, who: Party) -> Option<String> {
        lock(&self.inner).names.get(&who).cloned()
    }

    /// Returns how far the hub's clock is ahead of ours, in microseconds, where that is much.
    pub(super) fn clock_skew(&self) -> Option<i64> {
        Some(lock(&self.inner).ahead).filter(|ahead| ahead.abs() > CLOCKS_APART)
    }

    fn node(&self) -> Result<Arc<Node>, BookError> {
        self.node.upgrade().ok_or_else(|| BookError::Offline("this node is ending".to_owned()))
    }

    async fn client(&self) -> Result<NodeClient, BookError> {
        let node = self.node()?;
        let offline = |why: String| BookError::Offline(why);
        let connection =
            node.network.connection(&self.hub).ok_or_else(|| offline("no connection stands".to_owned()))?;
        let mut slot = self.client.lock().await;
        if let Some((over, client)) = &*slot
            && Arc::ptr_eq(over, &connection)
        {
            return Ok(client.clone());
        }
        let opened = tokio::time::timeout(PATIENCE, node_client(&node, &connection)).await;
        let client = opened.map_err(|_| offline("it does not answer".to_owned()))?.map_err(offline)?;
        *slot = Some((connection, client.clone()));
        Ok(client)
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Reply, BookError> {
        let client = self.client().await?;
        let payload = serde_json::to_vec(&Request { relationship: self.id, ask })
            .map_err(|error| BookError::Failed(error.to_string()))?;
        let asked = tokio::time::timeout(PATIENCE, client.custom("delivery".to_owned(), payload)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(CallError::Remote(error))) if error.code == crate::remote::REFUSED => {
                return Err(BookError::Refused(error.message));
            }
            Ok(Err(CallError::Remote(error))) => return Err(BookError::Failed(error.message)),
            Ok(Err(error)) => {
                *self.client.lock().await = None;
                return Err(BookError::Offline(error.to_string()));
            }
            Err(_) => {
                *self.client.lock().await = None;
                return Err(BookError::Offline("it does not answer".to_owned()));
            }
        };
        serde_json::from_slice(&answer).map_err(|error| BookError::Failed(error.to_string()))
    }

    /// Takes rows over: into the database, then into memory, then to the hooks. `work` is given what is known here and
    /// returns the rows as they shall be.
    async fn take(&self, work: impl FnOnce(&MemberBook) -> Vec<Numbered> + Send) -> Result<(), BookError> {
        let node = self.node()?;
        let writing = self.writing.lock().await;
        let rows = work(&lock(&self.inner).book);
        if rows.is_empty() {
            return Ok(());
        }
        let written = node.store.ledger().copy(self.id, &rows).await;
        written.map_err(|error| BookError::Failed(error.to_string()))?;
        let (ledger, before) = {
            let mut inner = lock(&self.inner);
            let before = Arc::clone(&inner.book.ledger);
            inner.book.put(&rows);
            (Arc::clone(&inner.book.ledger), before)
        };
        // In the order of the rows, so that nothing is taken for seen whose hooks are not asked for yet.
        self.hooks.after(&ledger, &rows).await;
        drop(writing);
        super::office::note_history(&node, self.id, &before, &rows).await;
        node.tell(ApiEvent::Relationship { id: self.id.to_string() });
        Ok(())
    }

    /// Tells the hub what it does not know yet.
    async fn tell_untold(&self) -> Result<(), BookError> {
        let untold = lock(&self.inner).book.untold();
        for page in pages(untold, |(told, _)| cost_of(&told.key)) {
            let told = page.iter().map(|(told, _)| ToldWire::of(told)).collect();
            self.ask(Ask::Tell { told }).await?;
            let rows: Vec<LedgerRow> = page.into_iter().map(|(_, row)| row).collect();
            let node = self.node()?;
            // Nothing that the hub says of these is taken over before this is written.
            let _writing = self.writing.lock().await;
            let written = node.store.ledger().copy(self.id, &rows).await;
            written.map_err(|error| BookError::Failed(error.to_string()))?;
            for row in &rows {
                lock(&self.inner).book.is_told(&row.row.key);
            }
        }
        Ok(())
    }
}

fn parties(bytes: &[super::messages::Bytes]) -> Vec<Party> {
    bytes.iter().filter_map(|bytes| bytes.party().ok()).collect()
}

/// Bytes of a key's path.
fn cost_of(key: &Key) -> usize {
    key.path.as_bytes().len()
}

fn unexpected() -> BookError {
    BookError::Failed("the hub answered something else than was asked".to_owned())
}

#[async_trait]
impl Book for CopyBook {
    fn me(&self) -> Party {
        self.me
    }

    fn view(&self) -> View {
        let inner = lock(&self.inner);
        View {
            ledger: Arc::clone(&inner.book.ledger),
            destinations: inner.destinations.clone(),
            online: inner.online.clone(),
        }
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    async fn refresh(&self) -> Result<(), BookError> {
        self.tell_untold().await?;
        loop {
            let after = lock(&self.inner).book.after;
            let answer = self.ask(Ask::Sync { after }).await?;
            let Reply::Sync { rows, more, last, destinations, online, names, now } = answer else {
                return Err(unexpected());
            };
            let rows: Result<Vec<LedgerRow>, _> = rows.iter().map(super::messages::RowWire::read).collect();
            let rows = rows.map_err(|error| BookError::Failed(error.message))?;
            {
                let mut inner = lock(&self.inner);
                inner.destinations = parties(&destinations);
                inner.online = parties(&online);
                let named = names.into_iter().filter_map(|(key, name)| Some((key.party().ok()?, name)));
                inner.names.extend(named);
                inner.ahead = now.saturating_sub(now_micros());
                if last < inner.book.after {
                    // The hub's book was restored from a backup: it is read from the beginning.
                    tracing::warn!("the hub's ledger is older than our copy of it; it is read anew");
                    inner.book.after = 0;
                    continue;
                }
            }
            let rows = rows.into_iter().map(|row| (row.row, row.seq)).collect();
            let mut up_to = after;
            self.take(|book| {
                let (rows, known) = book.heard(rows);
                up_to = known;
                rows
            })
            .await?;
            let mut inner = lock(&self.inner);
            inner.book.after = inner.book.after.max(up_to);
            if !more || up_to == after {
                return Ok(());
            }
        }
    }

    async fn offer(&self, units: &[Unit]) -> Result<Vec<Answer>, BookError> {
        let mut answers = Vec::with_capacity(units.len());
        for units in
            pages(units.iter().map(Offered::from).collect(), |unit: &Offered| unit.path.as_bytes().len())
        {
            let units = units.iter().map(OfferedWire::of).collect();
            let Reply::Offer { answers: some } = self.ask(Ask::Offer { units }).await? else {
                return Err(unexpected());
            };
            for answer in &some {
                let answer = answer.read();
                answers.push(answer.map_err(|error| BookError::Failed(error.message))?);
            }
        }
        self.refresh().await?;
        Ok(answers)
    }

    async fn claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        let mut answers = Vec::with_capacity(keys.len());
        for keys in pages(keys.to_vec(), cost_of) {
            let keys = keys.iter().map(KeyWire::of).collect();
            let Reply::Claim { good } = self.ask(Ask::Claim { keys }).await? else {
                return Err(unexpected());
            };
            answers.extend(good);
        }
        Ok(answers)
    }

    async fn tell(&self, told: Vec<Told>) -> Result<(), BookError> {
        self.take(|book| book.done(&told, now_micros())).await?;
        let landed = told.iter().any(|told| told.event == Event::Landed);
        let others: Vec<Told> = told.into_iter().filter(|told| told.event != Event::Landed).collect();
        for told in pages(others, |told| cost_of(&told.key)) {
            self.ask(Ask::Tell { told: told.iter().map(ToldWire::of).collect() }).await?;
        }
        if landed {
            self.tell_untold().await?;
        }
        self.refresh().await
    }
}
