//! SQLite state of a node: one file `state.db`, embedded migrations, one module per table.
//!
//! This is the only crate that knows SQL. [`Store`] opens the file; its methods ([`Store::peers`],
//! [`Store::ancestor`], …) hand out one small handle per table. Every write is one durable transaction (WAL,
//! `synchronous = FULL`): when a method has returned `Ok`, a power cut does not undo it; when it returned `Err` or
//! its future was dropped, nothing of it is stored.
//!
//! There is one connection that writes, and a few that read. Times are always passed in by the caller.

mod ancestor;
mod bulk;
mod digest_cache;
mod epochs;
mod error;
mod history;
mod hook_runs;
mod intents;
mod key;
mod ledger;
mod members;
mod node;
mod open;
mod peers;
mod plans;
mod record;
mod relationships;
mod row;
mod scans;
mod settings;
mod store;
mod tracking;
mod versions;

pub use ancestor::{Ancestor, AncestorCommit, Put};
pub use digest_cache::{CacheRow, DigestCache};
pub use epochs::{Epochs, EpochsRow};
pub use error::StoreError;
pub use history::{Event, EventRow, History, HistoryFilter};
pub use hook_runs::{HookRun, HookRuns};
pub use intents::{Intent, Intents};
pub use ledger::{LedgerRow, LedgerTable};
pub use members::{MemberRow, Members, Permission};
pub use node::{Node, NodeRow};
pub use open::OpenError;
pub use peers::{PeerKey, PeerRow, Peers};
pub use plans::{KEPT_PLANS, PlanRow, PlanState, PlanSummary, Plans};
pub use record::Record;
pub use relationships::{Pause, RelationshipRow, Relationships};
pub use scans::{KEPT_SCANS, ScanRow, Scans};
pub use settings::{SettingRow, Settings};
pub use store::Store;
pub use tracking::Tracking;
pub use versions::{VersionRow, Versions};

/// Microseconds since 1970-01-01T00:00:00Z; may be negative.
pub type Micros = i64;
