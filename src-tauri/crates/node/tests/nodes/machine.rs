//! Nodes in this process, each with a home and a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenfold_node::api::{ApiError, Check, Join, PathText, Reply, Request};
use evenfold_node::control::Service as _;
use evenfold_node::home::Home;
use evenfold_node::{Node, NodeOptions, NodeService};
use tokio::sync::mpsc;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A machine.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) name: &'static str,
    pub(crate) node: Option<Arc<Node>>,
    listen: String,
}

impl Machine {
    pub(crate) async fn start(name: &'static str) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let mut machine = Machine { dir, name, node: None, listen: "127.0.0.1:0".to_owned() };
        machine.open().await;
        let Reply::Node(info) = machine.ask(Request::NodeShow).await else { panic!("no node") };
        machine.listen = info.addresses[0].clone();
        machine
    }

    pub(crate) async fn open(&mut self) {
        let home = Home::at(self.dir.path().join("home")).unwrap();
        home.create().unwrap();
        let listen = vec![self.listen.parse().unwrap()];
        let options = NodeOptions {
            listen,
            name: Some(self.name.to_owned()),
            serve_network: true,
            ..NodeOptions::default()
        };
        self.node = Some(Node::open(&home, options).await.unwrap());
    }

    pub(crate) async fn close(&mut self) {
        self.node.take().unwrap().shutdown().await;
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("folder").canonicalize().unwrap()
    }

    pub(crate) async fn try_ask(&self, request: Request) -> Result<Reply, ApiError> {
        let (events, _) = mpsc::channel(16);
        NodeService(Arc::clone(self.node.as_ref().unwrap())).call(request, events).await
    }

    pub(crate) async fn ask(&self, request: Request) -> Reply {
        self.try_ask(request).await.unwrap()
    }

    pub(crate) async fn check(&self, deep: bool) -> Check {
        let Reply::Check(check) = self.ask(Request::Check { relationship: "r".into(), deep }).await else {
            panic!("no comparison")
        };
        check
    }
}

/// Pairs two machines, shares the folder of the hub as `r`, and lets the other one join.
pub(crate) async fn join(hub: &Machine, spoke: &Machine, kind: &str, settings: &[(&str, &str)]) {
    let Reply::Offer(offer) = hub.ask(Request::PairOffer { minutes: 5, share: None }).await else {
        panic!("no code")
    };
    spoke.ask(Request::PairAccept { code: offer.code, address: Some(offer.addresses[0].clone()) }).await;
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    hub.ask(Request::Share {
        path: text(&hub.folder()),
        name: "r".into(),
        kind: kind.into(),
        settings,
        paused: false,
    })
    .await;
    let join = Join {
        peer: Some(hub.name.into()),
        share: Some("r".into()),
        path: text(&spoke.folder()),
        role: None,
        settings: Vec::new(),
        paused: false,
    };
    spoke.ask(Request::Join(join)).await;
}

pub(crate) fn text(path: &Path) -> PathText {
    PathText::from(path)
}

pub(crate) async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) fn keeps(root: &Path, content: &[u8]) -> bool {
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
