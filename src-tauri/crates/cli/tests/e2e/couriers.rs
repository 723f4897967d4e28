//! Nodes that deliver, for the scenarios of send-once and relay.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{TestNode, eventually, finish};
use crate::rig::{share, show_if_failed};

/// Name of the relationship in scenarios that have one only.
pub(crate) const WAY: &str = "way";

/// A source, a hub and a destination. Source and destination know nothing of each other.
pub(crate) struct Relay {
    pub(crate) source: TestNode,
    pub(crate) hub: TestNode,
    pub(crate) destination: TestNode,
    pub(crate) a: PathBuf,
    pub(crate) r: PathBuf,
    pub(crate) b: PathBuf,
}

/// Settings of a scenario: of the relationship, of the source, of the destination.
#[derive(Default)]
pub(crate) struct With<'a> {
    pub(crate) all: &'a [&'a str],
    pub(crate) source: Vec<String>,
    pub(crate) destination: Vec<String>,
    /// The hub's folder, if it is not an ordinary one.
    pub(crate) root: Option<PathBuf>,
}

impl Relay {
    /// A relay with short times.
    #[track_caller]
    pub(crate) fn start(with: With<'_>) -> Relay {
        let [source, hub, destination] = ["origin", "middle", "end"].map(TestNode::start);
        source.pair_with(&hub);
        destination.pair_with(&hub);
        Relay::over([source, hub, destination], with)
    }

    /// The same over machines that are paired already: source, hub, destination.
    #[track_caller]
    pub(crate) fn over([source, hub, destination]: [TestNode; 3], with: With<'_>) -> Relay {
        let r = with.root.unwrap_or_else(|| hub.folder("r"));
        let mut settings = vec!["settle=1s", "retention=5s"];
        settings.retain(|usual| {
            let key = usual.split('=').next();
            !with.all.iter().any(|given| given.split('=').next() == key)
        });
        settings.extend(with.all);
        share(&hub, WAY, &r, "relay", &settings);
        let a = enter(&source, &hub, WAY, "source", &with.source);
        let b = enter(&destination, &hub, WAY, "destination", &with.destination);
        Relay { source, hub, destination, a, r, b }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        show_if_failed([(&self.source, &*self.a), (&self.hub, &*self.r), (&self.destination, &*self.b)]);
        if std::thread::panicking() {
            for node in [&self.source, &self.hub, &self.destination] {
                eprintln!("{}", node.try_run(["ledger", "list", WAY, "--all", "--json"]).unwrap_or_default());
            }
        }
    }
}

/// Joins a share in a role, with a new folder that is named like the share and the role.
#[track_caller]
pub(crate) fn enter(node: &TestNode, hub: &TestNode, name: &str, role: &str, settings: &[String]) -> PathBuf {
    let folder = node.folder(&format!("{role} of {name}"));
    enter_with(node, hub, name, role, settings, &folder);
    folder
}

/// Joins a share in a role with a folder.
#[track_caller]
pub(crate) fn enter_with(
    node: &TestNode,
    hub: &TestNode,
    name: &str,
    role: &str,
    settings: &[String],
    folder: &Path,
) {
    let mut command = node.command();
    command.arg("join").arg(format!("{}:{name}", hub.name())).arg(folder).args(["--role", role, "--yes"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    finish(&mut command).ok();
}

/// Returns the ledger as a node has it.
#[track_caller]
pub(crate) fn ledger(node: &TestNode, name: &str) -> Vec<Value> {
    node.json(["ledger", "list", name])["ledger"].as_array().unwrap().clone()
}

/// Returns the state of an item's first delivery at a node; empty if there is none.
#[track_caller]
pub(crate) fn state_of(node: &TestNode, name: &str, path: &str) -> String {
    let rows = ledger(node, name);
    let row = rows.iter().find(|row| row["path"] == path);
    row.and_then(|row| row["state"].as_str()).unwrap_or_default().to_owned()
}

/// Waits until an item's delivery is in one of these states.
#[track_caller]
pub(crate) fn until_state(node: &TestNode, name: &str, path: &str, states: &[&str]) {
    eventually(&format!("{path} is {states:?} at {}", node.name()), || {
        states.contains(&state_of(node, name, path).as_str())
    });
}

/// A hook that writes a line with name and id into a file.
pub(crate) fn writes_into(key: &str, file: &Path) -> String {
    let script = format!("printf '%s %s\\n' \"$EVENFOLD_NAME\" \"$EVENFOLD_ID\" >> '{}'", file.display());
    command(key, ["sh", "-c", &script])
}

/// A setting that holds a command.
pub(crate) fn command<const N: usize>(key: &str, argv: [&str; N]) -> String {
    format!("{key}={}", serde_json::to_string(&argv.to_vec()).unwrap())
}

/// Returns the lines of a file, none if it does not exist.
pub(crate) fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Tells whether a file holds a content.
pub(crate) fn holds(root: &Path, name: impl AsRef<OsStr>, content: &[u8]) -> bool {
    std::fs::read(root.join(Path::new(&name))).is_ok_and(|found| found == content)
}

/// Watches that something stays as it is for a while, where a change is what would be wrong.
#[track_caller]
pub(crate) fn stays(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < time {
        assert!(holds(), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
