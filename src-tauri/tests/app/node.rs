//! Other nodes, and the command line on the application's own node.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::desk::{Desk, application};
use crate::process::{Owned, eventually};

/// The command line, built beside the application.
pub(crate) fn evenfold() -> PathBuf {
    let program = application().with_file_name("evenfold");
    assert!(program.is_file(), "{} is not built; `cargo xtask desktop` does so", program.display());
    program
}

/// Gives a command to the node of a home, and returns what it printed.
#[track_caller]
pub(crate) fn run(home: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(evenfold());
    command.arg("--home").arg(home).args(arguments).arg("--json").env("NO_COLOR", "1").stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {said} {complaints}", output.status);
    serde_json::from_str(&said).unwrap_or(Value::Null)
}

/// Tells whether a node answers on a home.
pub(crate) fn answers(home: &Path) -> bool {
    let mut command = Command::new(evenfold());
    command.arg("--home").arg(home).args(["node", "show", "--json"]).stdin(Stdio::null());
    home.join("control.sock").exists() && command.output().is_ok_and(|output| output.status.success())
}

/// A daemon.
pub(crate) struct Daemon {
    pub(crate) process: Owned,
    home: PathBuf,
    _dir: Option<TempDir>,
}

impl Daemon {
    /// On a home of its own.
    pub(crate) fn start(name: &str) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        Daemon { _dir: Some(dir), ..Daemon::on(&home, name) }
    }

    /// On a given home.
    pub(crate) fn on(home: &Path, name: &str) -> Daemon {
        let mut command = Command::new(evenfold());
        command.arg("--home").arg(home).args(["daemon", "--listen", "127.0.0.1:0", "--name", name]);
        let process = Owned::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        eventually("the daemon answers", || answers(home).then_some(()));
        Daemon { process, home: home.to_path_buf(), _dir: None }
    }

    /// Gives it a command.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Value {
        run(&self.home, arguments)
    }

    /// A new folder beside its home.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.parent().unwrap().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Ends it as a service manager does.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        let pid = self.process.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.process.ends("the daemon ends");
    }
}

/// A folder that the application's node shares with another one; both are in sync.
pub(crate) struct Shared {
    pub(crate) other: Daemon,
    /// The folder of the application's node.
    pub(crate) here: PathBuf,
    /// The other one's.
    pub(crate) there: PathBuf,
}

/// Shares the folder `Code` of another node with the application's node.
#[track_caller]
pub(crate) fn share(desk: &Desk) -> Shared {
    let other = Daemon::start("nas");
    let home = desk.node_home();
    eventually("the application's node answers", || answers(&home).then_some(()));
    let offer = other.run(&["pair", "offer", "--no-wait"]);
    let (code, address) = (offer["code"].as_str().unwrap(), offer["addresses"][0].as_str().unwrap());
    run(&home, &["pair", "accept", code, address, "--yes"]);
    let there = other.folder("Code");
    std::fs::write(there.join("notes.txt"), "first\n").unwrap();
    other.run(&["share", there.to_str().unwrap(), "--name", "Code", "--kind", "two-way"]);
    let here = desk.path("home/Code");
    std::fs::create_dir_all(&here).unwrap();
    run(&home, &["join", "nas:Code", here.to_str().unwrap(), "--yes", "--wait"]);
    Shared { other, here, there }
}
