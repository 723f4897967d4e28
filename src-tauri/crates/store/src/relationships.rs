//! Table `relationships`: the relationships this node takes part in, as hub or as spoke. `kind` and `role` are words
//! of the layers above (`two-way`, `hub`, …) and `settings` is their JSON; the store understands none of it.
//! `root_identity` is how the root folder is recognised, as JSON. Deleting a relationship deletes its ancestor,
//! digest cache, intents, epochs, plans and members; history and versions stay.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError, found};
use crate::peers::PeerKey;
use crate::row::Cells;
use crate::store::Store;

const TABLE: &str = "relationships";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, kind, role, root, hub, hub_share, settings, paused, paused_until, created, ",
            "root_identity, last_verified FROM relationships ",
            $rest
        )
    };
}

/// Whether a relationship rests by a person's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It runs.
    Running,
    /// It rests until somebody resumes it.
    Paused,
    /// It rests until this time.
    Until(Micros),
}

/// A relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationshipRow {
    /// Its identity, the same on all endpoints.
    pub id: Uuid,
    /// Its name here, unique.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// This node's role in it.
    pub role: String,
    /// The root folder on this node.
    pub root: PathBuf,
    /// The hub, if this node is not it; `None`, too, after that peer was forgotten.
    pub hub: Option<PeerKey>,
    /// What the hub calls the relationship.
    pub hub_share: Option<String>,
    /// Options as JSON, not looked into here.
    pub settings: String,
    /// Whether it rests.
    pub pause: Pause,
    /// When it was made or joined.
    pub created: Micros,
    /// How the root is recognised, as JSON.
    pub root_identity: Option<String>,
    /// When both sides were last compared completely.
    pub last_verified: Option<Micros>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Relationships<'s> {
    pub(crate) store: &'s Store,
}

impl Relationships<'_> {
    /// Returns all relationships by name.
    pub async fn list(&self) -> Result<Vec<RelationshipRow>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY name"))
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing relationships")?;
        rows.iter().map(read).collect()
    }

    /// Returns the relationship with this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<RelationshipRow>, StoreError> {
        let row = sqlx::query(select!("WHERE id = ?"))
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a relationship")?;
        row.as_ref().map(read).transpose()
    }

    /// Returns the relationship with this name.
    pub async fn by_name(&self, name: &str) -> Result<Option<RelationshipRow>, StoreError> {
        let row = sqlx::query(select!("WHERE name = ?"))
            .bind(name)
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a relationship")?;
        row.as_ref().map(read).transpose()
    }

    /// Stores a new relationship.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if the name or the id exists, [`StoreError::NotFound`] if the hub is no known peer.
    pub async fn add(&self, new: &RelationshipRow) -> Result<(), StoreError> {
        let (paused, until) = pause_columns(new.pause);
        sqlx::query(
            "INSERT INTO relationships (id, name, kind, role, root, hub, hub_share, settings, paused, paused_until,
             created, root_identity, last_verified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&new.id.as_bytes()[..])
        .bind(&new.name)
        .bind(&new.kind)
        .bind(&new.role)
        .bind(path_bytes(&new.root))
        .bind(new.hub.as_ref().map(|key| &key[..]))
        .bind(new.hub_share.as_deref())
        .bind(&new.settings)
        .bind(paused)
        .bind(until)
        .bind(new.created)
        .bind(new.root_identity.as_deref())
        .bind(new.last_verified)
        .execute(&self.store.writer)
        .await
        .unless_taken(TABLE, &new.name, "adding a relationship")?;
        Ok(())
    }

    /// Replaces everything that can change: all but id and time of creation.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another relationship has the name, [`StoreError::NotFound`] if there is none with
    /// this id or the hub is no known peer.
    pub async fn update(&self, row: &RelationshipRow) -> Result<(), StoreError> {
        let (paused, until) = pause_columns(row.pause);
        let done = sqlx::query(
            "UPDATE relationships SET name = ?, kind = ?, role = ?, root = ?, hub = ?, hub_share = ?, settings = ?,
             paused = ?, paused_until = ?, root_identity = ?, last_verified = ? WHERE id = ?",
        )
        .bind(&row.name)
        .bind(&row.kind)
        .bind(&row.role)
        .bind(path_bytes(&row.root))
        .bind(row.hub.as_ref().map(|key| &key[..]))
        .bind(row.hub_share.as_deref())
        .bind(&row.settings)
        .bind(paused)
        .bind(until)
        .bind(row.root_identity.as_deref())
        .bind(row.last_verified)
        .bind(&row.id.as_bytes()[..])
        .execute(&self.store.writer)
        .await
        .unless_taken(TABLE, &row.name, "changing a relationship")?;
        found(TABLE, "relationship", done.rows_affected())
    }

    /// Pauses or resumes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn set_pause(&self, id: Uuid, pause: Pause) -> Result<(), StoreError> {
        let (paused, until) = pause_columns(pause);
        let done = sqlx::query("UPDATE relationships SET paused = ?, paused_until = ? WHERE id = ?")
            .bind(paused)
            .bind(until)
            .bind(&id.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "pausing a relationship")?;
        found(TABLE, "relationship", done.rows_affected())
    }

    /// Replaces the settings.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn set_settings(&self, id: Uuid, settings: &str) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE relationships SET settings = ? WHERE id = ?")
            .bind(settings)
            .bind(&id.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "changing the settings of a relationship")?;
        found(TABLE, "relationship", done.rows_affected())
    }

    /// Notes how the root is recognised.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn set_root_identity(&self, id: Uuid, identity: Option<&str>) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE relationships SET root_identity = ? WHERE id = ?")
            .bind(identity)
            .bind(&id.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "noting the identity of a root")?;
        found(TABLE, "relationship", done.rows_affected())
    }

    /// Notes that both sides were compared completely.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn set_last_verified(&self, id: Uuid, when: Micros) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE relationships SET last_verified = ? WHERE id = ?")
            .bind(when)
            .bind(&id.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "noting a comparison")?;
        found(TABLE, "relationship", done.rows_affected())
    }

    /// Deletes a relationship with everything that only makes sense with it; history and versions stay. No file of
    /// the root is touched. Tells whether there was one.
    pub async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM relationships WHERE id = ?")
            .bind(&id.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "removing a relationship")?;
        Ok(done.rows_affected() > 0)
    }
}

fn pause_columns(pause: Pause) -> (bool, Option<Micros>) {
    match pause {
        Pause::Running => (false, None),
        Pause::Paused => (true, None),
        Pause::Until(when) => (true, Some(when)),
    }
}

fn read(row: &SqliteRow) -> Result<RelationshipRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    let pause = match (cells.get::<i64>(8)? != 0, cells.get(9)?) {
        (false, _) => Pause::Running,
        (true, None) => Pause::Paused,
        (true, Some(when)) => Pause::Until(when),
    };
    Ok(RelationshipRow {
        id: cells.uuid(0)?,
        name: cells.get(1)?,
        kind: cells.get(2)?,
        role: cells.get(3)?,
        root: bytes_path(cells.get(4)?),
        hub: cells.optional_bytes(5)?,
        hub_share: cells.get(6)?,
        settings: cells.get(7)?,
        pause,
        created: cells.get(10)?,
        root_identity: cells.get(11)?,
        last_verified: cells.get(12)?,
    })
}

/// The encoded bytes of a path only ever return to the machine, and the standard library, that they come from.
fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(unix)]
fn bytes_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn bytes_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::new(&String::from_utf8_lossy(bytes).into_owned()))
}
