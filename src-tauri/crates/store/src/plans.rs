//! Table `plans`: plans that were shown to somebody, so that what is applied later is exactly what was shown. The
//! body is compressed by the caller and not looked into; summaries are listed without it. Only the newest
//! [`KEPT_PLANS`] of a relationship are kept.

use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError, bad_row, found};
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "plans";

/// How many plans of a relationship are kept: more than anybody looks back at, and a bound for large bodies.
pub const KEPT_PLANS: u32 = 50;

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanState {
    /// It can be applied.
    Open,
    /// It was applied.
    Applied,
    /// The world moved on; a newer plan replaced it.
    Superseded,
    /// A person, or a safety rule, refused it.
    Refused,
}

impl PlanState {
    /// Returns the stable code of the state.
    pub fn code(self) -> &'static str {
        match self {
            PlanState::Open => "open",
            PlanState::Applied => "applied",
            PlanState::Superseded => "superseded",
            PlanState::Refused => "refused",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [PlanState::Open, PlanState::Applied, PlanState::Superseded, PlanState::Refused]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

/// A plan without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSummary {
    /// Its identity: hexadecimal.
    pub id: String,
    /// The relationship.
    pub relationship: Uuid,
    /// When it was made.
    pub created: Micros,
    /// What kind of plan (a word of the layers above).
    pub kind: String,
    /// What it would do, in numbers, as JSON.
    pub summary: String,
    /// What became of it.
    pub state: PlanState,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Everything but the body.
    pub summary: PlanSummary,
    /// The plan itself.
    pub body: Vec<u8>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Plans<'s> {
    pub(crate) store: &'s Store,
}

impl Plans<'_> {
    /// Stores a plan as the newest of its relationship and forgets those beyond [`KEPT_PLANS`]. A plan with the same
    /// id (the same changes, made again) is replaced.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn put(&self, plan: &PlanRow) -> Result<(), StoreError> {
        let summary = &plan.summary;
        let relationship = &summary.relationship.as_bytes()[..];
        let mut tx = self.store.write(TABLE).await?;
        sqlx::query(
            "INSERT OR REPLACE INTO plans (id, relationship, created, kind, summary, body, state)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&summary.id)
        .bind(relationship)
        .bind(summary.created)
        .bind(&summary.kind)
        .bind(&summary.summary)
        .bind(&plan.body)
        .bind(summary.state.code())
        .execute(&mut *tx)
        .await
        .on(TABLE, "storing a plan")?;
        sqlx::query(
            "DELETE FROM plans WHERE relationship = ?1 AND seq NOT IN
             (SELECT seq FROM plans WHERE relationship = ?1 ORDER BY seq DESC LIMIT ?2)",
        )
        .bind(relationship)
        .bind(KEPT_PLANS)
        .execute(&mut *tx)
        .await
        .on(TABLE, "forgetting old plans")?;
        commit(tx, TABLE).await
    }

    /// Returns the plan with this id.
    pub async fn get(&self, id: &str) -> Result<Option<PlanRow>, StoreError> {
        let row = sqlx::query(
            "SELECT id, relationship, created, kind, summary, state, body FROM plans WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&self.store.reader)
        .await
        .on(TABLE, "reading a plan")?;
        row.as_ref()
            .map(|row| Ok(PlanRow { summary: read(row)?, body: Cells::of(TABLE, row).get(6)? }))
            .transpose()
    }

    /// Returns the plans of a relationship, newest first, at most [`KEPT_PLANS`].
    pub async fn list(&self, relationship: Uuid) -> Result<Vec<PlanSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, relationship, created, kind, summary, state FROM plans WHERE relationship = ?
             ORDER BY seq DESC",
        )
        .bind(&relationship.as_bytes()[..])
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "listing plans")?;
        rows.iter().map(read).collect()
    }

    /// Notes what became of a plan.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such plan (any more).
    pub async fn set_state(&self, id: &str, state: PlanState) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE plans SET state = ? WHERE id = ?")
            .bind(state.code())
            .bind(id)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "changing the state of a plan")?;
        found(TABLE, "plan", done.rows_affected())
    }

    /// Marks all open plans of a relationship as superseded; returns how many there were.
    pub async fn supersede(&self, relationship: Uuid) -> Result<u64, StoreError> {
        let done =
            sqlx::query("UPDATE plans SET state = 'superseded' WHERE relationship = ? AND state = 'open'")
                .bind(&relationship.as_bytes()[..])
                .execute(&self.store.writer)
                .await
                .on(TABLE, "superseding plans")?;
        Ok(done.rows_affected())
    }
}

fn read(row: &SqliteRow) -> Result<PlanSummary, StoreError> {
    let cells = Cells::of(TABLE, row);
    let state: &str = cells.get(5)?;
    Ok(PlanSummary {
        id: cells.get(0)?,
        relationship: cells.uuid(1)?,
        created: cells.get(2)?,
        kind: cells.get(3)?,
        summary: cells.get(4)?,
        state: PlanState::from_code(state).ok_or_else(|| bad_row(TABLE, format!("state '{state}'")))?,
    })
}
