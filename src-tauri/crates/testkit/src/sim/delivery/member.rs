//! A member's copy of the book, and its conversation with the hub over a line that may break before and after everything.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evenfold_core::delivery::{Answer, Event, Key, MemberBook, Numbered, Offered, Party, Told, Unit};
use evenfold_engine::delivery::{Book, BookError, View};
use tokio::sync::watch;

use super::hooks::Hooks;
use super::host::{Host, Role, Shared};
use super::office::Office;
use crate::sim::node::lock;

pub(crate) struct Member {
    host: Arc<Host>,
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
    inner: Mutex<Inner>,
    writing: tokio::sync::Mutex<()>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    book: MemberBook,
    destinations: Vec<Party>,
    online: Vec<Party>,
}

impl Member {
    pub(crate) fn new(host: Arc<Host>, shared: Arc<Shared>, hooks: Arc<Hooks>) -> Arc<Member> {
        let rows: Vec<Numbered> = lock(&host.tables).rows.values().cloned().collect();
        let inner = Inner { book: MemberBook::of(rows), ..Inner::default() };
        Arc::new(Member {
            host,
            shared,
            hooks,
            inner: Mutex::new(inner),
            writing: tokio::sync::Mutex::default(),
            news: watch::Sender::new(0),
        })
    }

    /// The hub has something new.
    pub(crate) fn wake(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// A message to the hub and its answer; each may be lost with the line.
    async fn ask<T>(
        &self,
        answer: impl AsyncFnOnce(Arc<Office>) -> Result<T, BookError>,
    ) -> Result<T, BookError> {
        let offline = |why: &str| BookError::Offline(why.to_owned());
        let line = lock(&self.host.line).clone().ok_or_else(|| offline("no line stands"))?;
        let message = || line.message().map_err(|error| BookError::Offline(error.to_string()));
        if self.host.node.is_dead() {
            return Err(offline("we have stopped"));
        }
        message()?;
        self.shared.delay().await;
        let hub = self.shared.hosts().iter().find(|host| host.role == Role::Hub);
        let hub = hub.ok_or_else(|| offline("there is no hub"))?;
        let office = hub.office().filter(|_| !hub.node.is_dead());
        let office = office.ok_or_else(|| offline("the hub does not run"))?;
        let result = answer(office).await;
        self.shared.delay().await;
        if hub.node.is_dead() || self.host.node.is_dead() {
            return Err(offline("the hub went away"));
        }
        message()?;
        result
    }

    /// Takes rows over: into the database, then into memory, then to the hooks.
    async fn take(&self, work: impl FnOnce(&MemberBook) -> Vec<Numbered> + Send) -> Result<(), BookError> {
        let _writing = self.writing.lock().await;
        let rows = work(&lock(&self.inner).book);
        if rows.is_empty() {
            return Ok(());
        }
        self.save(&rows)?;
        self.shared.delay().await;
        let ledger = {
            let mut inner = lock(&self.inner);
            inner.book.put(&rows);
            Arc::clone(&inner.book.ledger)
        };
        self.hooks.after(&ledger, &rows);
        Ok(())
    }

    fn save(&self, rows: &[Numbered]) -> Result<(), BookError> {
        self.host.write(|tables| {
            tables.rows.extend(rows.iter().map(|row| (row.row.key.clone(), row.clone())));
        })?;
        let at = self.host.at();
        for row in rows.iter().filter(|row| row.untold) {
            self.shared.note(|| format!("member {at} has {} at {:?}", row.row.key.path, row.row.landed_at));
        }
        Ok(())
    }

    async fn tell_untold(&self) -> Result<(), BookError> {
        let untold = lock(&self.inner).book.untold();
        for page in untold.chunks(3) {
            let told: Vec<Told> = page.iter().map(|(told, _)| told.clone()).collect();
            self.ask(async |office| office.take_word(told).await).await?;
            let rows: Vec<Numbered> = page.iter().map(|(_, row)| row.clone()).collect();
            let _writing = self.writing.lock().await;
            self.save(&rows)?;
            for row in &rows {
                lock(&self.inner).book.is_told(&row.row.key);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Book for Member {
    fn me(&self) -> Party {
        self.host.party
    }

    fn view(&self) -> View {
        let inner = lock(&self.inner);
        let (destinations, online) = (inner.destinations.clone(), inner.online.clone());
        View { ledger: Arc::clone(&inner.book.ledger), destinations, online }
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    async fn refresh(&self) -> Result<(), BookError> {
        self.tell_untold().await?;
        loop {
            let after = lock(&self.inner).book.after;
            let me = self.host.party;
            let sync = self.ask(async |office| office.sync(me, after)).await?;
            {
                let mut inner = lock(&self.inner);
                (inner.destinations, inner.online) = (sync.destinations, sync.online);
                if sync.last < inner.book.after {
                    inner.book.after = 0;
                    continue;
                }
            }
            let mut up_to = after;
            self.take(|book| {
                let (rows, known) = book.heard(sync.rows);
                up_to = known;
                rows
            })
            .await?;
            let mut inner = lock(&self.inner);
            inner.book.after = inner.book.after.max(up_to);
            if !sync.more || up_to == after {
                return Ok(());
            }
        }
    }

    async fn offer(&self, units: &[Unit]) -> Result<Vec<Answer>, BookError> {
        let mut answers = Vec::new();
        for units in units.chunks(3) {
            let units: Vec<Offered> = units.iter().map(Offered::from).collect();
            let me = self.host.party;
            answers.extend(self.ask(async |office| office.take_offer(me, &units).await).await?);
        }
        self.refresh().await?;
        Ok(answers)
    }

    async fn claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError> {
        let mut answers = Vec::new();
        for keys in keys.chunks(3) {
            answers.extend(self.ask(async |office| office.take_claim(keys).await).await?);
        }
        Ok(answers)
    }

    async fn tell(&self, told: Vec<Told>) -> Result<(), BookError> {
        self.take(|book| book.done(&told, self.shared.now())).await?;
        let landed = told.iter().any(|told| told.event == Event::Landed);
        let others: Vec<Told> = told.into_iter().filter(|told| told.event != Event::Landed).collect();
        for told in others.chunks(3) {
            self.ask(async |office| office.take_word(told.to_vec()).await).await?;
        }
        if landed {
            self.tell_untold().await?;
        }
        self.refresh().await
    }
}
