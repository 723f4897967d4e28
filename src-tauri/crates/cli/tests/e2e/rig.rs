//! Nodes that share a folder, and what scenarios say about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::tree::{same, tree};
use crate::common::{Output, TestNode, eventually};

/// Name of the relationship in all scenarios that have one only.
pub(crate) const REL: &str = "code";

/// A hub and a spoke that share a folder.
pub(crate) struct Pair {
    /// The node that shares.
    pub(crate) hub: TestNode,
    /// The node that joined.
    pub(crate) spoke: TestNode,
    /// Folder of the hub.
    pub(crate) a: PathBuf,
    /// Folder of the spoke.
    pub(crate) b: PathBuf,
}

impl Pair {
    /// A two-way relationship over what `fill` puts into the hub's folder, in sync.
    #[track_caller]
    pub(crate) fn two_way(fill: impl FnOnce(&Path)) -> Pair {
        Pair::with("two-way", &[], fill)
    }

    /// The same, but cycles run only when a command asks for them.
    #[track_caller]
    pub(crate) fn by_hand(fill: impl FnOnce(&Path)) -> Pair {
        Pair::with("two-way", &["trigger=manual"], fill)
    }

    /// A relationship of a kind with settings, compared once.
    #[track_caller]
    pub(crate) fn with(kind: &str, settings: &[&str], fill: impl FnOnce(&Path)) -> Pair {
        Pair::between(TestNode::start("desk"), TestNode::start("nas"), kind, settings, fill)
    }

    /// The same between two nodes that are not paired yet.
    #[track_caller]
    pub(crate) fn between(
        hub: TestNode,
        spoke: TestNode,
        kind: &str,
        settings: &[&str],
        fill: impl FnOnce(&Path),
    ) -> Pair {
        spoke.pair_with(&hub);
        let a = hub.folder("a");
        fill(&a);
        share(&hub, REL, &a, kind, settings);
        let b = join(&spoke, &hub, REL);
        Pair { hub, spoke, a, b }
    }

    /// Runs a cycle on the spoke that has to end with both sides equal.
    #[track_caller]
    pub(crate) fn sync(&self) -> Value {
        self.synced(0)
    }

    /// Runs a cycle on the spoke that has to end with an exit code.
    #[track_caller]
    pub(crate) fn synced(&self, code: i32) -> Value {
        self.spoke.run(["sync", REL, "--wait", "--json"]).exits(code).json()
    }

    /// Waits until both folders hold the same.
    #[track_caller]
    pub(crate) fn until_same(&self) {
        until_same(&self.a, &self.b);
    }

    /// Waits until a node says that the relationship is in a state.
    #[track_caller]
    pub(crate) fn until_state(&self, node: &TestNode, state: &str) {
        eventually(&format!("{} is {state}", node.name()), || status(node)["state"] == state);
    }

    /// Returns the bytes of their present connection, both ways, as the spoke counts them.
    pub(crate) fn bytes(&self) -> u64 {
        bytes(&self.spoke, &self.hub)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        show_if_failed([(&self.hub, &*self.a), (&self.spoke, &*self.b)]);
    }
}

/// Prints what folders hold and what their nodes say, where the test has failed.
pub(crate) fn show_if_failed<'a>(nodes: impl IntoIterator<Item = (&'a TestNode, &'a Path)>) {
    if !std::thread::panicking() {
        return;
    }
    for (node, folder) in nodes {
        eprintln!("--- {} of {}", folder.display(), node.name());
        each_file(folder, &mut |path| {
            let content = std::fs::read(path).unwrap_or_default();
            let start = String::from_utf8_lossy(&content[..content.len().min(60)]).into_owned();
            eprintln!("{:?}: {} bytes, {start:?}", path.strip_prefix(folder).unwrap(), content.len());
        });
        if let Some(said) = node.try_run(["status", "--json"]) {
            eprintln!("{said}");
        }
    }
}

/// Two nodes that are paired: the first is dialled by the second.
#[track_caller]
pub(crate) fn paired() -> (TestNode, TestNode) {
    let (hub, spoke) = (TestNode::start("desk"), TestNode::start("nas"));
    spoke.pair_with(&hub);
    (hub, spoke)
}

/// Shares a folder.
#[track_caller]
pub(crate) fn share(hub: &TestNode, name: &str, folder: &Path, kind: &str, settings: &[&str]) {
    let mut command = hub.command();
    command.arg("share").arg(folder).args(["--name", name, "--kind", kind]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    crate::common::finish(&mut command).ok();
}

/// Joins a share with an empty folder and waits until the first cycle is done.
#[track_caller]
pub(crate) fn join(spoke: &TestNode, hub: &TestNode, name: &str) -> PathBuf {
    let folder = spoke.folder(&format!("{name} of {}", spoke.name()));
    let joined = try_join(spoke, hub, name, &folder);
    // Where nothing may travel, what differs goes on differing.
    let compares = joined.code == 3 && joined.json()["status"]["kind"] == "compare";
    assert!(joined.code == 0 || compares, "{joined:#?}");
    folder
}

/// Joins a share with a folder and says how that went.
#[track_caller]
pub(crate) fn try_join(spoke: &TestNode, hub: &TestNode, name: &str, folder: &Path) -> Output {
    let what = format!("{}:{name}", hub.name());
    let mut command = spoke.command();
    crate::common::finish(command.arg("join").arg(what).arg(folder).args(["--yes", "--wait", "--json"]))
}

/// Waits until two folders hold the same.
#[track_caller]
pub(crate) fn until_same(a: &Path, b: &Path) {
    let what = || {
        let names = |root: &Path| tree(root).into_keys().collect::<BTreeSet<_>>();
        format!("{:?} and {:?} hold the same", names(a), names(b))
    };
    let began = std::time::Instant::now();
    while !same(a, b) {
        assert!(began.elapsed() < crate::common::LIMIT, "{}", what());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Returns what a node says of the first relationship.
#[track_caller]
pub(crate) fn status(node: &TestNode) -> Value {
    node.json(["status"])["relationships"][0].take()
}

/// Returns the bytes of the present connection to a peer, both ways.
#[track_caller]
pub(crate) fn bytes(node: &TestNode, peer: &TestNode) -> u64 {
    let ping = node.json(["peer", "ping", peer.name()]);
    ping["bytes_sent"].as_u64().unwrap() + ping["bytes_received"].as_u64().unwrap()
}

/// Returns bytes that cannot be compressed; other seeds give other bytes.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Calls `visit` for every file below a folder, Evenfold's own included.
pub(crate) fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(listed) = std::fs::read_dir(folder) else { return };
    for entry in listed.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&path, visit),
            Ok(kind) if kind.is_file() => visit(&path),
            _ => {}
        }
    }
}

/// Returns how many bytes of unfinished transfers lie in a root.
pub(crate) fn partial_bytes(root: &Path) -> u64 {
    let mut bytes = 0;
    each_file(&root.join(".evenfold"), &mut |path| {
        if path.components().any(|part| part.as_os_str() == "partial") {
            bytes += std::fs::metadata(path).map_or(0, |found| found.len());
        }
    });
    bytes
}

/// Tells whether a content is kept among the versions of a root.
pub(crate) fn keeps_version(root: &Path, content: &[u8]) -> bool {
    let mut kept = false;
    each_file(&root.join(".evenfold"), &mut |path| {
        kept |= path.components().any(|part| part.as_os_str() == "versions")
            && std::fs::read(path).is_ok_and(|found| found == content);
    });
    kept
}

/// Makes a file differ by one byte without a change of its size or modification time.
pub(crate) fn alter_keeping_time(path: &Path) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut content = std::fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(before)).unwrap();
}
