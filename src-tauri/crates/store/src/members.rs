//! Table `members`: at a hub, the spokes of each relationship: what they may do, where their copy lies, and what
//! they last reported about themselves. The reports (`drift`, `state`) are JSON that the store does not look into;
//! they are the spoke's word, valid as of `last_seen`.

use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError, bad_row, found};
use crate::peers::PeerKey;
use crate::row::Cells;
use crate::store::Store;

const TABLE: &str = "members";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT relationship, peer, role, permission, joined, last_seen, endpoint, drift, state FROM members ",
            $rest
        )
    };
}

/// What a member may do with the hub's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Read and change it.
    ReadWrite,
    /// Read it.
    ReadOnly,
}

impl Permission {
    fn code(self) -> &'static str {
        match self {
            Permission::ReadWrite => "rw",
            Permission::ReadOnly => "ro",
        }
    }
}

/// A spoke of a relationship, as its hub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The relationship.
    pub relationship: Uuid,
    /// The spoke's machine.
    pub peer: PeerKey,
    /// Its role.
    pub role: String,
    /// What it may do.
    pub permission: Permission,
    /// When it joined.
    pub joined: Micros,
    /// When it last reported.
    pub last_seen: Option<Micros>,
    /// Where its copy lies, for people.
    pub endpoint: String,
    /// The drift that it last reported, as JSON.
    pub drift: Option<String>,
    /// The state that it last reported, as JSON.
    pub state: Option<String>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Members<'s> {
    pub(crate) store: &'s Store,
}

impl Members<'_> {
    /// Returns the members of a relationship in the order in which they joined.
    pub async fn list(&self, relationship: Uuid) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query(select!("WHERE relationship = ? ORDER BY joined, peer"))
            .bind(&relationship.as_bytes()[..])
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing members")?;
        rows.iter().map(read).collect()
    }

    /// Returns the memberships of a peer.
    pub async fn of_peer(&self, peer: &PeerKey) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query(select!("WHERE peer = ? ORDER BY relationship"))
            .bind(&peer[..])
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing memberships")?;
        rows.iter().map(read).collect()
    }

    /// Returns one membership: what a serving hub asks before every session.
    pub async fn get(&self, relationship: Uuid, peer: &PeerKey) -> Result<Option<MemberRow>, StoreError> {
        let row = sqlx::query(select!("WHERE relationship = ? AND peer = ?"))
            .bind(&relationship.as_bytes()[..])
            .bind(&peer[..])
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a member")?;
        row.as_ref().map(read).transpose()
    }

    /// Stores a membership; the same peer's earlier one is replaced.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship or peer.
    pub async fn put(&self, member: &MemberRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO members (relationship, peer, role, permission, joined, last_seen, endpoint,
             drift, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&member.relationship.as_bytes()[..])
        .bind(&member.peer[..])
        .bind(&member.role)
        .bind(member.permission.code())
        .bind(member.joined)
        .bind(member.last_seen)
        .bind(&member.endpoint)
        .bind(member.drift.as_deref())
        .bind(member.state.as_deref())
        .execute(&self.store.writer)
        .await
        .on(TABLE, "storing a member")?;
        Ok(())
    }

    /// Stores what a spoke reports about itself; what is `None` stays as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is no member.
    pub async fn report(
        &self,
        relationship: Uuid,
        peer: &PeerKey,
        when: Micros,
        drift: Option<&str>,
        state: Option<&str>,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE members SET last_seen = ?, drift = coalesce(?, drift), state = coalesce(?, state)
             WHERE relationship = ? AND peer = ?",
        )
        .bind(when)
        .bind(drift)
        .bind(state)
        .bind(&relationship.as_bytes()[..])
        .bind(&peer[..])
        .execute(&self.store.writer)
        .await
        .on(TABLE, "storing a member's report")?;
        found(TABLE, "member", done.rows_affected())
    }

    /// Changes what a member may do.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is no member.
    pub async fn permit(
        &self,
        relationship: Uuid,
        peer: &PeerKey,
        permission: Permission,
    ) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE members SET permission = ? WHERE relationship = ? AND peer = ?")
            .bind(permission.code())
            .bind(&relationship.as_bytes()[..])
            .bind(&peer[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "changing a member's permission")?;
        found(TABLE, "member", done.rows_affected())
    }

    /// Ends a membership; tells whether there was one.
    pub async fn remove(&self, relationship: Uuid, peer: &PeerKey) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM members WHERE relationship = ? AND peer = ?")
            .bind(&relationship.as_bytes()[..])
            .bind(&peer[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "removing a member")?;
        Ok(done.rows_affected() > 0)
    }
}

fn read(row: &SqliteRow) -> Result<MemberRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    let permission = match cells.get(3)? {
        "rw" => Permission::ReadWrite,
        "ro" => Permission::ReadOnly,
        other => return Err(bad_row(TABLE, format!("permission '{other}'"))),
    };
    Ok(MemberRow {
        relationship: cells.uuid(0)?,
        peer: cells.bytes(1)?,
        role: cells.get(2)?,
        permission,
        joined: cells.get(4)?,
        last_seen: cells.get(5)?,
        endpoint: cells.get(6)?,
        drift: cells.get(7)?,
        state: cells.get(8)?,
    })
}
