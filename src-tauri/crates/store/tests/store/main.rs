//! The store through its public interface, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A failed expectation is a failed test.

mod ancestor;
mod crash;
mod deliveries;
mod history;
mod opening;
mod scans;
mod tables;
mod tracking;

use evenfold_core::{Child, Digest, Entry, File, Mode, Mtime, Name, RelPath, Symlink};
use evenfold_store::{Pause, RelationshipRow, Store};
use tempfile::TempDir;
use uuid::Uuid;

/// A store in a temporary directory, with one relationship.
struct Fixture {
    dir: TempDir,
    store: Store,
    relationship: Uuid,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let relationship = Uuid::from_u128(7);
        store.relationships().add(&relationship_row(relationship, "photos")).await.unwrap();
        Fixture { dir, store, relationship }
    }

    /// Closes the database and opens it again, so that what is read was really stored.
    async fn reopened(self) -> Self {
        self.store.close().await;
        let store = Store::open(self.dir.path()).await.unwrap();
        Fixture { store, ..self }
    }
}

fn relationship_row(id: Uuid, name: &str) -> RelationshipRow {
    RelationshipRow {
        id,
        name: name.to_owned(),
        kind: "two-way".to_owned(),
        role: "spoke".to_owned(),
        root: "/home/a/photos".into(),
        hub: None,
        hub_share: None,
        settings: "{}".to_owned(),
        pause: Pause::Running,
        created: 1,
        root_identity: None,
        last_verified: None,
    }
}

fn path(text: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(text.as_ref()).unwrap()
}

fn plain_file(content: &str) -> File {
    File {
        digest: Digest::of(content.as_bytes()),
        size: content.len() as u64,
        mtime: Mtime { secs: -3, nanos: 999_999_999 },
        mode: Mode::new(0o644),
    }
}

fn file(content: &str) -> Entry {
    Entry::File(plain_file(content))
}

fn link(target: &[u8]) -> Entry {
    Entry::Symlink(Symlink { target: target.into() })
}

fn dir<const N: usize>(mode: u32, children: [(&[u8], Entry); N]) -> Entry {
    let children =
        children.into_iter().map(|(name, entry)| Child { name: Name::new(name).unwrap(), entry }).collect();
    Entry::dir(Mode::new(mode), children)
}
