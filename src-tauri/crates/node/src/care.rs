//! Looking after the node: retention, log, settings.

use std::collections::HashSet;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenfold_core::RelPath;
use evenfold_fs::disk::{Disk, Place};
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::Replica;
use evenfold_fs::versions::{Dropped, Keep};
use evenfold_store::{Store, StoreError};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::{ApiError, ConfigEntry, ErrorCode, Event, GcReport};
use crate::config::{Config, Flags};
use crate::home::Home;
use crate::local::LocalEndpoint;
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::settings::Settings;

/// Most lines of the log that are returned.
const MOST_LINES: u32 = 10_000;

/// Most bytes of one log file that are read for them.
const MOST_READ: u64 = 16 << 20;

/// Older log files beside the one being written.
const OLDER_LOGS: u32 = 2;

/// Rows of the index of versions that are read at a time.
const PAGE: u32 = 5_000;

/// A machine that is used for a few hours only must get to it, too.
const FIRST_CLEANING: Duration = Duration::from_secs(15 * 60);

const CLEANING: Duration = Duration::from_secs(24 * 3600);

/// Commands that ended well are remembered this long, so that nothing runs them again.
const DONE_HOOKS: Duration = Duration::from_secs(30 * 24 * 3600);

/// The search index of the history follows changes this late, so that it costs nothing while they come.
const INDEX_AFTER: Duration = Duration::from_secs(60);

/// What was cleaned up in one folder.
pub(crate) struct Cleaned {
    versions: Dropped,
    /// Sets of versions that are left.
    left: HashSet<String>,
    partials: u64,
    partial_bytes: u64,
}

impl Node {
    /// Drops what retention no longer keeps: old versions and leftovers of interrupted transfers.
    ///
    /// # Errors
    /// Names the first folder that could not be cleaned up; the others were.
    pub(crate) async fn gc(&self) -> Result<GcReport, ApiError> {
        let mut report = GcReport::default();
        let mut failure = None;
        for relationship in self.all() {
            match self.clean(&relationship).await {
                Ok(cleaned) => {
                    report.versions += cleaned.versions.sets;
                    report.bytes += cleaned.versions.bytes + cleaned.partial_bytes;
                    report.partials += cleaned.partials;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        self.store.history().index_pending().await.map_err(db)?;
        failure.map_or(Ok(report), Err)
    }

    async fn clean(&self, relationship: &Relationship) -> Result<Cleaned, ApiError> {
        let settings = relationship.settings();
        let failed = |error: String| {
            let root = relationship.local.root().display();
            let message = format!("{root} was not cleaned up: {error}; all other folders were");
            ApiError::new(ErrorCode::Folder, message).with_hint("see 'evenfold doctor'")
        };
        let cleaned = clean_folder(&relationship.local, &self.store, &settings).await.map_err(failed)?;
        let before = now_micros().saturating_sub(crate::delivery::micros(DONE_HOOKS));
        self.store.hook_runs().drop_done(relationship.row().id, before).await.map_err(db)?;
        Ok(cleaned)
    }

    /// Returns the newest lines of the log, oldest first; none if there is no log yet.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub(crate) async fn log(&self, lines: u32) -> Result<Vec<String>, ApiError> {
        let dir = self.home.join("log");
        let shown = dir.display().to_string();
        let read =
            tokio::task::spawn_blocking(move || newest_lines(&dir, lines.min(MOST_LINES) as usize)).await;
        let read = read.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        read.map_err(|error| {
            ApiError::new(ErrorCode::Io, format!("the log in {shown} cannot be read: {error}"))
        })
    }

    /// Returns the settings of the node and where each comes from.
    ///
    /// # Errors
    /// Names a wrong setting with its place.
    pub(crate) fn config_show(&self) -> Result<Vec<ConfigEntry>, ApiError> {
        let home = Home::at(self.home.clone())
            .map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
        let config = Config::load(&home, &Flags::default(), &|variable| std::env::var_os(variable))?;
        Ok(config.entries())
    }

    /// Writes a setting into the file, and returns all with where they come from.
    ///
    /// # Errors
    /// When it makes no sense or cannot be written; nothing was changed then.
    pub(crate) async fn config_set(&self, key: &str, value: &str) -> Result<Vec<ConfigEntry>, ApiError> {
        let home = Home::at(self.home.clone())
            .map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
        let (key, value) = (key.to_owned(), value.to_owned());
        let _turn = self.writing_config.lock().await;
        let written = tokio::task::spawn_blocking(move || Config::change(&home, &key, &value)).await;
        written.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))??;
        self.config_show()
    }
}

/// Drops what retention no longer keeps of one folder, on the disk and in the index.
///
/// # Errors
/// In words, what could not be done.
pub(crate) async fn clean_folder(
    local: &LocalEndpoint,
    store: &Store,
    settings: &Settings,
) -> Result<Cleaned, String> {
    let id = local.relationship();
    let keep = Keep { age: settings.versions_keep, bytes: settings.versions_max };
    let lease = settings.lease;
    let cleaned = local.on_disk(move |replica| clean_disk(replica, id, &keep, lease)).await;
    let cleaned = cleaned.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    if cleaned.versions.sets > 0 {
        forget_versions(store, id, &cleaned.left).await.map_err(|error| error.to_string())?;
    }
    Ok(cleaned)
}

/// Drops the rows of versions that are not on the disk any more.
async fn forget_versions(
    store: &Store,
    relationship: Uuid,
    left: &HashSet<String>,
) -> Result<(), StoreError> {
    let versions = store.versions();
    let mut after: Option<(RelPath, String)> = None;
    loop {
        let from = after.as_ref().map(|(path, id)| (path, id.as_str()));
        let page = versions.below(relationship, &RelPath::root(), from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.path.clone(), last.version.clone()));
        let gone = page.into_iter().filter(|row| !left.contains(&row.version));
        let gone: Vec<_> = gone.map(|row| (row.path, row.version)).collect();
        if !gone.is_empty() {
            versions.drop(relationship, &gone).await?;
        }
    }
}

fn clean_disk(replica: &Replica<RealDisk>, id: Uuid, keep: &Keep, lease: Duration) -> io::Result<Cleaned> {
    let disk = &**replica.disk();
    let partials = || own_names(disk, &format!("partial/{:032x}", id.as_u128()));
    let before = partials()?.len();
    let partial_bytes = replica.drop_partials(lease)?;
    let after = partials()?.len();
    let versions = replica.drop_versions(keep)?;
    let left = own_names(disk, "versions")?.into_iter().collect();
    Ok(Cleaned { versions, left, partials: before.saturating_sub(after) as u64, partial_bytes })
}

/// Lists one of Evenfold's own folders; one that is not there is empty.
fn own_names<D: Disk>(disk: &D, place: &str) -> io::Result<Vec<String>> {
    let Ok(place) = RelPath::new(place.as_bytes()) else { return Ok(Vec::new()) };
    match disk.list(&Place::Own(place)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed?.iter().map(|line| String::from_utf8_lossy(&line.name).into_owned()).collect()),
    }
}

fn newest_lines(dir: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for age in 0..=OLDER_LOGS {
        if lines.len() >= count {
            break;
        }
        let name = if age == 0 { "evenfold.log".to_owned() } else { format!("evenfold.log.{age}") };
        let mut older: Vec<String> = tail(dir.join(name))?.lines().map(str::to_owned).collect();
        older.append(&mut lines);
        lines = older;
    }
    let superfluous = lines.len().saturating_sub(count);
    Ok(lines.split_off(superfluous))
}

fn tail(path: PathBuf) -> io::Result<String> {
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_READ)))?;
    let mut bytes = Vec::new();
    file.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Keeps the node tidy as long as it lives: once a day what retention no longer keeps is dropped, and some time
/// after changes the search index of the history is brought up to date. An idle node is not woken otherwise.
pub(crate) fn keep_house(node: &Arc<Node>) {
    let events = node.listen();
    tokio::spawn(house(Arc::downgrade(node), events));
}

async fn house(node: Weak<Node>, mut events: tokio::sync::broadcast::Receiver<Event>) {
    let mut cleaning = Instant::now() + FIRST_CLEANING;
    let mut index: Option<Instant> = None;
    loop {
        let due = index.map_or(cleaning, |index| index.min(cleaning));
        tokio::select! {
            event = events.recv(), if index.is_none() => match event {
                Ok(Event::Relationship { .. }) | Err(RecvError::Lagged(_)) => {
                    index = Some(Instant::now() + INDEX_AFTER);
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
            () = tokio::time::sleep_until(due) => {
                let Some(node) = node.upgrade() else { return };
                if Instant::now() >= cleaning {
                    cleaning = Instant::now() + CLEANING;
                    match node.gc().await {
                        Ok(report) => tracing::info!(?report, "cleaned up"),
                        Err(error) => tracing::warn!(%error, "cleaning up is tried again tomorrow"),
                    }
                } else {
                    index = None;
                    if let Err(error) = node.store.history().index_pending().await {
                        tracing::warn!(%error, "the search index of the history is behind");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_lines_are_found_across_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(newest_lines(dir.path(), 5).unwrap().is_empty());
        std::fs::write(dir.path().join("evenfold.log.1"), "one\ntwo\n").unwrap();
        std::fs::write(dir.path().join("evenfold.log"), "three\nfour\n").unwrap();
        assert_eq!(newest_lines(dir.path(), 3).unwrap(), ["two", "three", "four"]);
        assert_eq!(newest_lines(dir.path(), 100).unwrap().len(), 4);
        assert!(newest_lines(dir.path(), 0).unwrap().is_empty());
    }
}
