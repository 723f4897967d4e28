//! Damage that no size and no time tells of: found, shown, never sent, and healed from the other side.
//!
//! Two nodes in this process, because damage below the file system cannot be made by ordinary means: the file is altered,
//! and the digest cache is told that its times were like that before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenfold_core::Mtime;
use evenfold_node::api::{Check, Join, PathText, Reply, Request};
use evenfold_node::control::Service as _;
use evenfold_node::home::Home;
use evenfold_node::{Node, NodeOptions, NodeService};
use evenfold_store::{CacheRow, Store};
use tokio::sync::mpsc;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(120);

struct Machine {
    dir: tempfile::TempDir,
    name: &'static str,
    node: Option<Arc<Node>>,
    listen: String,
}

impl Machine {
    async fn start(name: &'static str) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let mut machine = Machine { dir, name, node: None, listen: "127.0.0.1:0".to_owned() };
        machine.open().await;
        let Reply::Node(info) = machine.ask(Request::NodeShow).await else { panic!("no node") };
        machine.listen = info.addresses[0].clone();
        machine
    }

    async fn open(&mut self) {
        let home = Home::at(self.dir.path().join("home")).unwrap();
        home.create().unwrap();
        let listen = vec![self.listen.parse().unwrap()];
        let options =
            NodeOptions { listen, name: Some(self.name.to_owned()), serve_network: true, silence: None };
        self.node = Some(Node::open(&home, options).await.unwrap());
    }

    async fn close(&mut self) {
        self.node.take().unwrap().shutdown().await;
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("folder").canonicalize().unwrap()
    }

    async fn try_ask(&self, request: Request) -> Result<Reply, evenfold_node::api::ApiError> {
        let (events, _) = mpsc::channel(16);
        NodeService(Arc::clone(self.node.as_ref().unwrap())).call(request, events).await
    }

    async fn ask(&self, request: Request) -> Reply {
        self.try_ask(request).await.unwrap()
    }

    async fn check(&self, deep: bool) -> Check {
        let Reply::Check(check) = self.ask(Request::Check { relationship: "r".into(), deep }).await else {
            panic!("no comparison")
        };
        check
    }

    /// Alters a file so that nothing but its content tells, while the node does not run.
    async fn rot(&mut self, name: &str) -> Vec<u8> {
        self.close().await;
        let path = self.folder().join(name);
        let damaged = alter(&path);
        let store = Store::open(&self.dir.path().join("home")).await.unwrap();
        let id: Uuid = store.relationships().by_name("r").await.unwrap().unwrap().id;
        let rows = store.digest_cache().load(id).await.unwrap();
        let row =
            rows.into_iter().find(|row| row.path.as_bytes() == name.as_bytes()).expect("it was scanned");
        let found = std::fs::metadata(&path).unwrap();
        let ctime = Mtime { secs: found.ctime(), nanos: u32::try_from(found.ctime_nsec()).unwrap() };
        store.digest_cache().apply(id, &[CacheRow { ctime, ..row }], &[]).await.unwrap();
        store.close().await;
        self.open().await;
        damaged
    }
}

fn alter(path: &Path) -> Vec<u8> {
    let time = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut content = std::fs::read(path).unwrap();
    content[0] ^= 1;
    std::fs::write(path, &content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
    content
}

fn text(path: &Path) -> PathText {
    PathText::from(path)
}

/// A hub and a spoke that hold the same files, in sync.
async fn pair(settings: &[(&str, &str)]) -> (Machine, Machine) {
    let (hub, spoke) = (Machine::start("desk").await, Machine::start("nas").await);
    for nth in 0..40 {
        std::fs::write(hub.folder().join(format!("f{nth:02}")), format!("content {nth}")).unwrap();
    }
    let Reply::Offer(offer) = hub.ask(Request::PairOffer { minutes: 5, share: None }).await else {
        panic!("no code")
    };
    spoke.ask(Request::PairAccept { code: offer.code, address: Some(offer.addresses[0].clone()) }).await;
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    hub.ask(Request::Share { path: text(&hub.folder()), name: "r".into(), kind: "two-way".into(), settings })
        .await;
    let join = Join {
        peer: Some("desk".into()),
        share: Some("r".into()),
        path: text(&spoke.folder()),
        role: None,
        settings: Vec::new(),
    };
    spoke.ask(Request::Join(join)).await;
    until("both are in sync", async || spoke.check(false).await.counts.in_sync == 40).await;
    // What was written within the last tick of the clock is not yet known by its times.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for machine in [&hub, &spoke] {
        machine.check(true).await;
    }
    (hub, spoke)
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn finding<'a>(check: &'a Check, path: &str) -> Option<&'a str> {
    check.items.iter().find(|item| item.path.path == path).map(|item| item.finding.as_str())
}

fn heal(from: &str) -> Request {
    Request::Heal { relationship: "r".into(), path: text(Path::new("f07")), from: from.into() }
}

fn keeps(root: &Path, content: &[u8]) -> bool {
    let mut pending = vec![root.join(".evenfold/versions")];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => pending.push(entry.path()),
                false if std::fs::read(entry.path()).unwrap() == content => return true,
                false => {}
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_by_a_deep_check_never_sent_and_healed_from_the_other_side() {
    let (hub, mut spoke) = pair(&[]).await;
    let good = std::fs::read(hub.folder().join("f07")).unwrap();
    let damaged = spoke.rot("f07").await;
    until("they are connected", async || spoke.check(false).await.verified).await;
    let fast = spoke.check(false).await;
    assert_eq!((fast.counts.corrupt, fast.counts.in_sync), (0, 40), "{fast:?}");
    assert!(spoke.try_ask(heal("desk")).await.is_err(), "nothing was under suspicion");
    let deep = spoke.check(true).await;
    assert_eq!(
        (finding(&deep, "f07"), deep.counts.corrupt, deep.counts.in_sync),
        (Some("corrupt"), 1, 39),
        "{deep:?}"
    );
    let sync = Request::Sync { relationship: "r".into(), dry_run: false, wait: true, timeout_seconds: None };
    spoke.ask(sync).await;
    assert_eq!(std::fs::read(hub.folder().join("f07")).unwrap(), good, "damage was sent");
    let Reply::Restored(restored) = spoke.ask(heal("desk")).await else { panic!("not healed") };
    assert_eq!(std::fs::read(spoke.folder().join("f07")).unwrap(), good);
    assert!(restored.replaced.is_some() && keeps(&spoke.folder(), &damaged), "{restored:?}");
    let healed = spoke.check(true).await;
    assert_eq!((healed.counts.corrupt, healed.counts.in_sync), (0, 40), "{healed:?}");
    hub.node.unwrap().shutdown().await;
    spoke.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_in_the_background_and_the_hub_is_healed_by_a_member() {
    let (mut hub, spoke) = pair(&[("scrub", "60s")]).await;
    let good = std::fs::read(spoke.folder().join("f07")).unwrap();
    let damaged = hub.rot("f07").await;
    until("the damage is found", async || finding(&spoke.check(false).await, "f07") == Some("corrupt")).await;
    assert_eq!(std::fs::read(spoke.folder().join("f07")).unwrap(), good, "damage was sent");
    until("the member can be asked", async || hub.try_ask(heal("nas")).await.is_ok()).await;
    assert_eq!(std::fs::read(hub.folder().join("f07")).unwrap(), good);
    assert!(keeps(&hub.folder(), &damaged));
    until("both are in sync", async || spoke.check(true).await.counts.in_sync == 40).await;
    spoke.node.unwrap().shutdown().await;
    hub.close().await;
}
