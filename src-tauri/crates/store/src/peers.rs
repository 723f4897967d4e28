//! Table `peers`: the machines this node has paired with, by their Ed25519 public key. The name is this node's own
//! label for the machine and can be changed; addresses are where it was reached or may be reached, best first. A
//! revoked peer is kept as a row so that its key stays refused with a reason; removing the row forgets the machine,
//! takes it out of all memberships, and leaves history as it is.

use sqlx::sqlite::SqliteRow;

use crate::Micros;
use crate::error::{Context, StoreError, bad_row, found};
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "peers";

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT key, name, addresses, paired, last_seen, revoked, note FROM peers ", $rest)
    };
}

/// A machine that moves between networks collects addresses; older ones than these are not tried any more.
const KEPT_ADDRESSES: usize = 16;

/// An Ed25519 public key.
pub type PeerKey = [u8; 32];

/// A machine this node has paired with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Its public key.
    pub key: PeerKey,
    /// Its name here, unique.
    pub name: String,
    /// Where it may be reached, best first, as `host:port`.
    pub addresses: Vec<String>,
    /// When it was paired.
    pub paired: Micros,
    /// When it was last connected.
    pub last_seen: Option<Micros>,
    /// When its access was revoked.
    pub revoked: Option<Micros>,
    /// What a person wrote about its permissions.
    pub note: String,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Peers<'s> {
    pub(crate) store: &'s Store,
}

impl Peers<'_> {
    /// Returns all peers by name.
    pub async fn list(&self) -> Result<Vec<PeerRow>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY name"))
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing machines")?;
        rows.iter().map(read).collect()
    }

    /// Returns the peer with this key.
    pub async fn get(&self, key: &PeerKey) -> Result<Option<PeerRow>, StoreError> {
        let row = sqlx::query(select!("WHERE key = ?"))
            .bind(&key[..])
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a machine")?;
        row.as_ref().map(read).transpose()
    }

    /// Returns the peer with this name.
    pub async fn by_name(&self, name: &str) -> Result<Option<PeerRow>, StoreError> {
        let row = sqlx::query(select!("WHERE name = ?"))
            .bind(name)
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a machine")?;
        row.as_ref().map(read).transpose()
    }

    /// Stores a peer; one with the same key is replaced (a machine that pairs again).
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another key has the name.
    pub async fn put(&self, peer: &PeerRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO peers (key, name, addresses, paired, last_seen, revoked, note) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (key) DO UPDATE SET name = excluded.name, addresses = excluded.addresses,
             paired = excluded.paired, last_seen = excluded.last_seen, revoked = excluded.revoked,
             note = excluded.note",
        )
        .bind(&peer.key[..])
        .bind(&peer.name)
        .bind(addresses_text(&peer.addresses)?)
        .bind(peer.paired)
        .bind(peer.last_seen)
        .bind(peer.revoked)
        .bind(&peer.note)
        .execute(&self.store.writer)
        .await
        .unless_taken(TABLE, &peer.name, "storing a machine")?;
        Ok(())
    }

    /// Gives a peer another name.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another peer has the name, [`StoreError::NotFound`] if there is no such peer.
    pub async fn rename(&self, key: &PeerKey, name: &str) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE peers SET name = ? WHERE key = ?")
            .bind(name)
            .bind(&key[..])
            .execute(&self.store.writer)
            .await
            .unless_taken(TABLE, name, "renaming a machine")?;
        found(TABLE, "machine", done.rows_affected())
    }

    /// Notes that a peer is connected, and puts the address where it was reached in front of the others.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such peer.
    pub async fn seen(&self, key: &PeerKey, when: Micros, address: Option<&str>) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        let row = sqlx::query(select!("WHERE key = ?"))
            .bind(&key[..])
            .fetch_optional(&mut *tx)
            .await
            .on(TABLE, "reading a machine")?;
        let Some(mut peer) = row.as_ref().map(read).transpose()? else {
            return found(TABLE, "machine", 0);
        };
        if let Some(address) = address {
            peer.addresses.retain(|known| known != address);
            peer.addresses.insert(0, address.to_owned());
            peer.addresses.truncate(KEPT_ADDRESSES);
        }
        sqlx::query("UPDATE peers SET last_seen = ?, addresses = ? WHERE key = ?")
            .bind(when)
            .bind(addresses_text(&peer.addresses)?)
            .bind(&key[..])
            .execute(&mut *tx)
            .await
            .on(TABLE, "noting that a machine was seen")?;
        commit(tx, TABLE).await
    }

    /// Revokes (or, with `None`, grants again) all access of a peer.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such peer.
    pub async fn set_revoked(&self, key: &PeerKey, when: Option<Micros>) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE peers SET revoked = ? WHERE key = ?")
            .bind(when)
            .bind(&key[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "revoking a machine")?;
        found(TABLE, "machine", done.rows_affected())
    }

    /// Forgets a peer: its memberships go with it, relationships whose hub it is lose their hub, history stays.
    /// Tells whether there was such a peer.
    pub async fn remove(&self, key: &PeerKey) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM peers WHERE key = ?")
            .bind(&key[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "removing a machine")?;
        Ok(done.rows_affected() > 0)
    }
}

fn addresses_text(addresses: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(addresses).map_err(|error| bad_row(TABLE, error.to_string()))
}

fn read(row: &SqliteRow) -> Result<PeerRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    Ok(PeerRow {
        key: cells.bytes(0)?,
        name: cells.get(1)?,
        addresses: serde_json::from_str(cells.get(2)?).map_err(|error| bad_row(TABLE, error.to_string()))?,
        paired: cells.get(3)?,
        last_seen: cells.get(4)?,
        revoked: cells.get(5)?,
        note: cells.get(6)?,
    })
}
