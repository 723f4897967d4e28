//! The node's self-check: each finding says what was looked at, what was found and what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_engine::Endpoint as _;
use evenfold_ssh::{PeerKey, Remote};
use tokio::task::JoinSet;

use crate::api::{ApiError, DoctorFinding};
use crate::clocks;
use crate::node::{Node, db};
use crate::relationship::Relationship;
use crate::text::{human_count, human_size};

/// How long a peer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Below this many free bytes, or a twentieth of the disk, a folder may soon be full.
const LITTLE_SPACE: u64 = 1 << 30;

const WATCH_LIMIT: &str = "/proc/sys/fs/inotify/max_user_watches";

/// Says where a machine is connected.
async fn connected_how(store: &evenfold_store::Store, remote: Remote) -> String {
    match remote {
        Remote::Address(address) => format!("connected, at {address}"),
        Remote::Through(middle) => {
            let known = store.peers().get(middle.as_bytes()).await.ok().flatten();
            let name = known.map_or_else(|| middle.fingerprint(), |peer| peer.name);
            format!("connected, through {name}, which cannot read what passes")
        }
    }
}

fn ok(check: impl Into<String>, message: impl Into<String>) -> DoctorFinding {
    DoctorFinding { level: "ok".to_owned(), check: check.into(), message: message.into(), hint: None }
}

fn warning(check: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> DoctorFinding {
    let finding = ok(check, message);
    DoctorFinding { level: "warning".to_owned(), hint: Some(hint.into()), ..finding }
}

fn error(check: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> DoctorFinding {
    DoctorFinding { level: "error".to_owned(), ..warning(check, message, hint) }
}

impl Node {
    /// Checks the node itself; nothing is changed.
    ///
    /// # Errors
    /// Where the database cannot be read at all.
    pub(crate) async fn doctor(self: &Arc<Self>) -> Result<Vec<DoctorFinding>, ApiError> {
        let mut findings =
            vec![self.check_home(), self.check_key(), self.check_database().await?, self.check_listening()];
        let mut dirs = 0;
        for relationship in self.all() {
            let (found, dirs_here) = check_folder(&relationship).await;
            findings.extend(found);
            dirs += dirs_here;
        }
        let rows = self.store.relationships().list().await.map_err(db)?;
        for row in rows.iter().filter(|row| self.by_id(row.id).is_none()) {
            let message = "it is recorded, but could not be started; see 'evenfold log'";
            let hint = format!(
                "mend the cause and start the node again, or remove it: evenfold rel remove {}",
                row.id
            );
            findings.push(error(format!("relationship {}", row.name), message, hint));
        }
        let limit = std::fs::read_to_string(WATCH_LIMIT).ok().and_then(|text| text.trim().parse().ok());
        findings.extend(limit.map(|limit| check_watches(dirs, limit)));
        findings.extend(self.check_peers().await?);
        Ok(findings)
    }

    fn check_home(&self) -> DoctorFinding {
        private("home", &self.home, "chmod 700")
    }

    fn check_key(&self) -> DoctorFinding {
        private("key of this node", &self.home.join("identity"), "chmod 600")
    }

    async fn check_database(&self) -> Result<DoctorFinding, ApiError> {
        let relationships = self.store.relationships().list().await.map_err(db)?.len();
        let peers = self.store.peers().list().await.map_err(db)?.len();
        // What was written last stands in the log beside it.
        let files = ["state.db", "state.db-wal"].map(|name| std::fs::metadata(self.home.join(name)));
        let size: u64 = files.into_iter().flatten().map(|stat| stat.len()).sum();
        let size = human_size(size);
        let message = format!("readable, {size}; relationships: {relationships}, paired machines: {peers}");
        Ok(ok("database", message))
    }

    fn check_listening(&self) -> DoctorFinding {
        let addresses = self.network.addresses();
        match () {
            () if !addresses.is_empty() => ok("network", format!("reachable at {}", addresses.join(", "))),
            () if self.serves() => {
                let hint = "give 'evenfold daemon' an address with --listen";
                warning("network", "it listens nowhere, so no machine can connect to it", hint)
            }
            () => ok("network", "not listening during a single command"),
        }
    }

    async fn check_peers(self: &Arc<Self>) -> Result<Vec<DoctorFinding>, ApiError> {
        let mut asked = JoinSet::new();
        for peer in self.store.peers().list().await.map_err(db)? {
            let network = Arc::clone(&self.network);
            let names = Arc::clone(&self.store);
            asked.spawn(async move {
                let key = PeerKey::from_bytes(peer.key);
                let check = format!("machine {}", peer.name);
                match network.connected(&key, PATIENCE).await {
                    Some(connection) => ok(check, connected_how(&names, connection.remote()).await),
                    None => {
                        let why = crate::network::describe(network.failure(&key).as_ref());
                        let hint = "start 'evenfold daemon' there; it is tried again by itself";
                        warning(check, format!("not connected: {why}"), hint)
                    }
                }
            });
        }
        let mut findings = asked.join_all().await;
        findings.extend(self.check_clocks().await?);
        findings.sort_by(|a, b| a.check.cmp(&b.check));
        Ok(findings)
    }

    /// Warns of peers whose clocks show another time.
    async fn check_clocks(self: &Arc<Self>) -> Result<Vec<DoctorFinding>, ApiError> {
        let peers = self.store.peers().list().await.map_err(db)?;
        let keys: Vec<PeerKey> = peers.iter().map(|peer| PeerKey::from_bytes(peer.key)).collect();
        self.measure_clocks(&keys, PATIENCE).await;
        let mut findings = Vec::new();
        for (peer, key) in peers.iter().zip(&keys) {
            let Some(ahead) = self.clocks.ahead(key) else { continue };
            if ahead.unsigned_abs() > clocks::APART.as_secs() {
                let message = format!("it is {}", clocks::words(ahead));
                let hint =
                    "set the clocks right on both machines (NTP); the newer of two versions is told by them";
                findings.push(warning(format!("clock of {}", peer.name), message, hint));
            }
        }
        Ok(findings)
    }
}

/// Looks at a relationship's folder; also returns how many directories a watcher needs.
async fn check_folder(relationship: &Relationship) -> (Vec<DoctorFinding>, u64) {
    let root = relationship.local.root().display().to_string();
    let check = format!("folder of {}", relationship.row().name);
    let tree = match relationship.local.scan(Extent::Paths(Vec::new()), &[]).await {
        Ok(Snapshot { tree, .. }) => tree,
        Err(failed) => {
            let hint = "mount the disk or put the folder back; nothing is deleted anywhere meanwhile";
            return (vec![error(check, format!("{root}: {failed}"), hint)], 0);
        }
    };
    let totals = tree.totals();
    let size = format!("{} files, {}", human_count(totals.files), human_size(totals.bytes));
    let mut findings = Vec::new();
    if totals.unknown > 0 {
        let message = format!("{root}: {size}; {} entries cannot take part", human_count(totals.unknown));
        let name = relationship.row().name;
        findings.push(warning(
            check,
            message,
            format!("list them with 'evenfold check {name} --only error,corrupt'"),
        ));
    } else {
        findings.push(ok(check, format!("{root}: {size}")));
    }
    if let Ok(Ok(space)) = relationship.local.on_disk(|replica| replica.space()).await {
        findings.push(check_space(&relationship.row().name, space));
    }
    (findings, totals.dirs + 1)
}

fn check_space(name: &str, (free, total): (u64, u64)) -> DoctorFinding {
    let check = format!("free space for {name}");
    let message = format!("{} of {}", human_size(free), human_size(total));
    if free < LITTLE_SPACE.min(total / 20) {
        warning(
            check,
            message,
            "make room, or drop old versions: lower 'versions.keep' and run 'evenfold gc'",
        )
    } else {
        ok(check, message)
    }
}

fn check_watches(dirs: u64, limit: u64) -> DoctorFinding {
    let message = format!("{} directories, {} watches allowed", human_count(dirs), human_count(limit));
    // Other programs need some, too.
    if dirs > limit / 10 * 9 {
        let hint = format!(
            "allow more with 'sudo sysctl fs.inotify.max_user_watches={}'; until then changes are found by rescans",
            (dirs * 2).max(524_288)
        );
        warning("watching", message, hint)
    } else {
        ok("watching", message)
    }
}

/// Checks that only its owner may read or write something.
fn private(check: &str, path: &Path, mend: &str) -> DoctorFinding {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(stat) if stat.permissions().mode() & 0o077 == 0 => {
            ok(check, format!("{shown}, kept to its owner"))
        }
        Ok(stat) => {
            let message =
                format!("{shown} is open to others (mode {:o})", stat.permissions().mode() & 0o7777);
            error(check, message, format!("run '{mend} {shown}'"))
        }
        Err(failed) => error(check, format!("{shown} cannot be looked at: {failed}"), "mend its permissions"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_and_few_watches_are_warned_of() {
        const GB: u64 = 1 << 30;
        for (finding, level) in [
            (check_space("docs", (100 * GB, 500 * GB)), "ok"),
            (check_space("docs", (GB / 2, 500 * GB)), "warning"),
            (check_space("stick", (GB / 4, GB)), "ok"),
            (check_watches(1_000, 8_192), "ok"),
            (check_watches(8_000, 8_192), "warning"),
        ] {
            assert_eq!(finding.level, level, "{finding:?}");
            assert_eq!(finding.hint.is_some(), level != "ok");
        }
    }

    #[test]
    fn files_that_are_open_to_others_are_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("identity");
        std::fs::write(&file, "x").unwrap();
        for (mode, level) in [(0o600, "ok"), (0o640, "error"), (0o604, "error")] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private("key", &file, "chmod 600").level, level);
        }
        assert_eq!(private("key", &dir.path().join("none"), "chmod 600").level, "error");
    }
}
