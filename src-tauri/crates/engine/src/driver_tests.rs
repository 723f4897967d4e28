//! The loop keeps listening, whatever happens to the link while it does something else.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::batch::Limit;
use evenfold_core::policy::{ConflictRule, Deletion, Flow, Guard, Policy};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Dir, RelPath};
use tokio::sync::Semaphore;

use super::*;
use crate::pair::Habits;
use crate::ports::{Clock, Commit, Epochs, Intent, Record, Store, StoreError};
use crate::progress::Progress;

/// An empty folder; each look at it needs a permit, so that a cycle can be kept waiting.
struct Folder {
    nudges: watch::Sender<u64>,
    looks: AtomicU64,
    permits: Semaphore,
}

impl Folder {
    fn new(permits: usize) -> Arc<Self> {
        let nudges = watch::Sender::new(0);
        Arc::new(Folder { nudges, looks: AtomicU64::new(0), permits: Semaphore::new(permits) })
    }

    fn open() -> Arc<Self> {
        Folder::new(Semaphore::MAX_PERMITS)
    }

    fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }

    async fn until_looked_at(&self, times: u64) {
        let looked = async {
            while self.looks() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(60);
        assert!(tokio::time::timeout(patience, looked).await.is_ok(), "{} looks, not {times}", self.looks());
    }
}

#[async_trait]
impl Endpoint for Folder {
    fn machine(&self) -> String {
        "machine".to_owned()
    }

    async fn scan(&self, _: Extent, _: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        Ok(Snapshot { tree: Arc::new(Dir::empty()), epoch: 0, problems: Vec::new() })
    }

    async fn manifest(&self, _: &[Item], _: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        panic!("nothing differs")
    }

    async fn read_bases(&self, _: &Arc<Batch>) -> Result<(), EndpointError> {
        panic!("nothing differs")
    }

    async fn prepare(&self, _: &Arc<Batch>, _: Vec<Manifest>) -> Result<Vec<Need>, EndpointError> {
        panic!("nothing differs")
    }

    async fn supply(&self, _: &Arc<Batch>, _: Vec<Need>) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        panic!("nothing differs")
    }

    async fn apply(&self, _: &Arc<Batch>, _: mpsc::Receiver<Piece>) -> Result<Report, EndpointError> {
        panic!("nothing differs")
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.nudges.subscribe()
    }

    async fn author(&self, _: &RelPath, _: Digest) -> Result<Option<String>, EndpointError> {
        Ok(None)
    }
}

struct Blank;

#[async_trait]
impl Store for Blank {
    async fn load(&self, _: &Arc<Dir>) -> Result<Record, StoreError> {
        Ok(Record { ancestor: Arc::new(Dir::empty()), intents: Vec::new(), epochs: Epochs::default() })
    }

    async fn intend(&self, _: Vec<Intent>, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit(&self, _: Commit) -> Result<(), StoreError> {
        Ok(())
    }
}

struct NoTime;

impl Clock for NoTime {
    fn now_micros(&self) -> i64 {
        0
    }
}

type LinkSender = watch::Sender<Option<Arc<dyn Endpoint>>>;

fn start() -> (DriverHandle, LinkSender) {
    start_with(Trigger::Watch)
}

fn start_with(trigger: Trigger) -> (DriverHandle, LinkSender) {
    let settings = PairSettings {
        tracking: None,
        policy: Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth },
        guard: Guard::default(),
        takes_part: Arc::new(|_, _| true),
        limit: Limit { files: 10, bytes: 1000 },
        habits: Habits::default(),
    };
    let ours: Arc<dyn Endpoint> = Folder::open();
    let progress = Arc::new(Progress::default());
    let pair = Pair::new(Arc::clone(&ours), Arc::new(Blank), Arc::new(NoTime), progress, settings);
    let (sender, link) = watch::channel(None);
    let never = Duration::from_secs(24 * 3600);
    let (driver, handle) = Driver::new(pair, ours, link, trigger, never, false);
    tokio::spawn(driver.run());
    (handle, sender)
}

async fn assert_listens(handle: &DriverHandle, folder: &Folder) {
    let mut state = handle.state();
    let listening = state.wait_for(|state| state.online && !state.running && state.verified_at.is_some());
    assert!(
        tokio::time::timeout(Duration::from_secs(60), listening).await.is_ok(),
        "never in sync and online"
    );
    // The cycles that the link itself caused are over when the number of looks stays the same.
    let mut before = folder.looks();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match folder.looks() {
            now if now == before => break,
            now => before = now,
        }
    }
    folder.nudges.send_modify(|count| *count += 1);
    folder.until_looked_at(before + 1).await;
}

#[tokio::test]
async fn link_that_comes_while_a_command_waits_for_it_is_listened_to() {
    let (handle, link) = start();
    let asking = handle.clone();
    let asked = tokio::spawn(async move { asking.cycle(Look::Full, Permission::Normal).await });
    // The command comes to wait for the link now.
    // Should it not have come so far yet, the test says less and still passes.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let theirs = Folder::open();
    link.send_replace(Some(Arc::clone(&theirs) as Arc<dyn Endpoint>));
    assert!(asked.await.unwrap().is_ok());
    assert_listens(&handle, &theirs).await;
}

#[tokio::test]
async fn link_that_is_replaced_in_the_middle_of_a_cycle_is_listened_to() {
    let (handle, link) = start();
    let first = Folder::new(0);
    link.send_replace(Some(Arc::clone(&first) as Arc<dyn Endpoint>));
    first.until_looked_at(1).await;
    let second = Folder::open();
    link.send_replace(None);
    link.send_replace(Some(Arc::clone(&second) as Arc<dyn Endpoint>));
    assert_listens(&handle, &second).await;
}

#[tokio::test]
async fn link_that_ends_in_the_middle_of_a_cycle_is_said_to_be_offline() {
    let (handle, link) = start();
    let first = Folder::new(0);
    link.send_replace(Some(Arc::clone(&first) as Arc<dyn Endpoint>));
    first.until_looked_at(1).await;
    link.send_replace(None);
    let mut state = handle.state();
    let offline = state.wait_for(|state| !state.online && state.error.is_some());
    assert!(tokio::time::timeout(Duration::from_secs(60), offline).await.is_ok());
}

#[tokio::test]
async fn whoever_only_looks_again_and_again_puts_nothing_off() {
    let (handle, link) = start_with(Trigger::Every(Duration::from_millis(200)));
    link.send_replace(Some(Folder::open() as Arc<dyn Endpoint>));
    let mut state = handle.state();
    let first = state.wait_for(|state| state.last.is_some()).await.unwrap().last.clone().unwrap();
    let began = std::time::Instant::now();
    loop {
        handle.cycle(Look::Current, Permission::PlanOnly).await.unwrap();
        let last = state.borrow().last.clone().unwrap();
        if !Arc::ptr_eq(&first, &last) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the cycle that was due never ran");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
