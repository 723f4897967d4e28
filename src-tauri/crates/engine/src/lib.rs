//! The loop of a relationship: scan, reconcile, approve, transfer, apply, commit, show.
//!
//! The engine knows its surroundings only through ports ([`Endpoint`], [`Store`], [`Clock`]), so a whole
//! cycle runs in memory, on a virtual disk, network and clock, exactly as it runs between real machines.

pub mod backoff;
pub mod debounce;
pub mod delivery;
pub mod driver;
pub mod execute;
pub mod flight;
pub mod history;
pub mod pair;
pub mod ports;
pub mod progress;
pub mod record;
pub mod transfer;

pub use driver::{Command, Driver, DriverHandle};
pub use pair::{CycleError, CycleReport, Ending, Habits, Look, Pair, PairSettings};
pub use ports::{Clock, Commit, Endpoint, EndpointError, Intent, Record, Store, StoreError};
pub use progress::{Phase, Progress};
