//! Kill sweep: a node dies at each labelled point between two effects, on either side of a transfer. After the next start
//! both folders hold exactly what the users left, nothing partial was ever seen under a final name, and every content that
//! was ever written is live or a version.
//!
//! The points exist where debug assertions are on; see `evenfold_fs::crash`.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::common::eventually;
use crate::common::tree::{Tree, tree, write};
use crate::rig::{Pair, each_file, noise, status};

/// Points of the receiving side: both nodes pass them.
const RECEIVING: [&str; 12] = [
    "staging-begun",
    "staged",
    "staged-durable",
    "moved",
    "created",
    "created:2",
    "replacement-shelved",
    "exchanged",
    "mode-set",
    "deletion-shelved",
    "transition-done",
    "epoch-counted",
];

/// Points of whoever drives: the spoke only.
const DRIVING: [&str; 4] = ["applied", "intended", "before-commit", "after-commit"];

/// Who dies.
#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Hub,
    Spoke,
}

#[test]
fn kill_sweep_spoke_dies_while_it_receives_and_nothing_is_lost() {
    sweep(Victim::Spoke, &RECEIVING[..6]);
}

#[test]
fn kill_sweep_spoke_dies_while_it_publishes_and_nothing_is_lost() {
    sweep(Victim::Spoke, &RECEIVING[6..]);
}

#[test]
fn kill_sweep_spoke_dies_while_it_records_and_nothing_is_lost() {
    sweep(Victim::Spoke, &DRIVING);
}

#[test]
fn kill_sweep_hub_dies_while_it_receives_and_nothing_is_lost() {
    sweep(Victim::Hub, &RECEIVING[..6]);
}

#[test]
fn kill_sweep_hub_dies_while_it_publishes_and_nothing_is_lost() {
    sweep(Victim::Hub, &RECEIVING[6..]);
}

#[test]
fn kill_sweep_hub_dies_when_all_is_applied_and_nothing_is_lost() {
    sweep(Victim::Hub, &DRIVING[..1]);
}

struct Sweep {
    pair: Pair,
    victim: Victim,
    /// Everything that was ever written by a user.
    written: HashSet<Vec<u8>>,
}

fn sweep(victim: Victim, labels: &[&str]) {
    let mut written = HashSet::new();
    let pair = Pair::two_way(|a| {
        for name in ["rep", "own", "del 0", "d/touched", "stays"] {
            put(&mut written, a, name, format!("{name} from the start").into_bytes());
        }
        // Small files are copied on the receiver's disk rather than renamed.
        put(&mut written, a, "mv 0", noise(99, 100_000));
    });
    let mut sweep = Sweep { pair, victim, written };
    for (round, label) in labels.iter().enumerate() {
        sweep.round(round, label);
    }
}

fn put(written: &mut HashSet<Vec<u8>>, root: &Path, name: &str, content: Vec<u8>) {
    write(root, name, &content);
    written.insert(content);
}

impl Sweep {
    fn round(&mut self, round: usize, label: &str) {
        let (mine, other) = self.folders();
        // Once stopped it sees all of this at once when it starts again.
        let victim = match self.victim {
            Victim::Hub => &mut self.pair.hub,
            Victim::Spoke => &mut self.pair.spoke,
        };
        assert!(victim.stop().success());
        self.change(round, &mine, &other);
        let expected = expected(&mine, &other);

        let victim = match self.victim {
            Victim::Hub => &mut self.pair.hub,
            Victim::Spoke => &mut self.pair.spoke,
        };
        victim.spawn_with("EVENFOLD_CRASH_AT", label);
        let ended = victim.until_ended(label);
        assert_eq!(ended.signal(), Some(9), "{label} was not what ended it: {ended:?}");
        self.nothing_is_lost_or_partial(label);

        let victim = match self.victim {
            Victim::Hub => &mut self.pair.hub,
            Victim::Spoke => &mut self.pair.spoke,
        };
        victim.restart();
        self.pair.until_same();
        let left = tree(&mine);
        let differing: Vec<_> = left
            .keys()
            .chain(expected.keys())
            .filter(|path| left.get(*path) != expected.get(*path))
            .map(|path| (path, left.get(path), expected.get(path)))
            .collect();
        assert!(differing.is_empty(), "after a kill at {label} is not what users left: {differing:#?}");
        self.nothing_is_lost_or_partial(label);
        eventually("both are in sync", || status(&self.pair.spoke)["state"] == "in-sync");
    }

    fn folders(&self) -> (PathBuf, PathBuf) {
        match self.victim {
            Victim::Hub => (self.pair.a.clone(), self.pair.b.clone()),
            Victim::Spoke => (self.pair.b.clone(), self.pair.a.clone()),
        }
    }

    /// What users do meanwhile: one of everything on the other side, and an edit on the victim's.
    fn change(&mut self, round: usize, mine: &Path, other: &Path) {
        let next = round + 1;
        let mut put = |root: &Path, name: String| {
            let content = format!("{name} of round {round}").into_bytes();
            put(&mut self.written, root, &name, content);
        };
        put(other, format!("new {round}"));
        put(other, format!("dir {round}/x"));
        put(other, format!("dir {round}/deep/y"));
        put(other, "rep".to_owned());
        put(other, format!("del {next}"));
        put(mine, "own".to_owned());
        let large = noise(round as u64 + 1, 1_300_000);
        write(other, format!("dir {round}/large"), &large);
        self.written.insert(large);
        std::fs::remove_file(other.join(format!("del {round}"))).unwrap();
        std::fs::rename(other.join(format!("mv {round}")), other.join(format!("mv {next}"))).unwrap();
        let touched = other.join("d/touched");
        let mode = if round.is_multiple_of(2) { 0o600 } else { 0o640 };
        std::fs::set_permissions(&touched, std::fs::Permissions::from_mode(mode)).unwrap();
        let time = SystemTime::now() - Duration::from_secs(1000 - round as u64);
        let file = std::fs::File::options().write(true).open(&touched).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
    }

    /// Under final names there are only contents that a user wrote, and every such content is somewhere.
    #[track_caller]
    fn nothing_is_lost_or_partial(&self, label: &str) {
        let mut found = HashSet::new();
        for root in [&self.pair.a, &self.pair.b] {
            each_file(root, &mut |path| {
                let below = path.strip_prefix(root).unwrap();
                let own = below.starts_with(".evenfold");
                let version = own && below.components().any(|part| part.as_os_str() == "versions");
                if own && !version {
                    return;
                }
                // A file that goes away while we look has been renamed to where it is found as well.
                let Ok(content) = std::fs::read(path) else { return };
                let known = self.written.contains(&content);
                assert!(own || known, "{} holds what nobody wrote after a kill at {label}", path.display());
                found.insert(content);
            });
        }
        let lost: Vec<_> = self.written.difference(&found).map(|content| shown(content)).collect();
        assert!(lost.is_empty(), "lost by a kill at {label}: {lost:?}");
    }
}

fn shown(content: &[u8]) -> String {
    String::from_utf8_lossy(&content[..content.len().min(40)]).into_owned()
}

/// What both sides have to hold in the end: what the other side holds, with the victim's own edit.
fn expected(mine: &Path, other: &Path) -> Tree {
    let mut expected = tree(other);
    if let Some(own) = tree(mine).remove(Path::new("own")) {
        expected.insert(PathBuf::from("own"), own);
    }
    expected
}
