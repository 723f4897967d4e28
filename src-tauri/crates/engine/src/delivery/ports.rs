//! What a courier needs beside endpoints.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::delivery::{Answer, Key, Ledger, Party, Told, Unit};
use tokio::sync::watch;

/// Why the book could not be asked or written. What was not told is told again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The hub, which keeps the book, cannot be reached.
    #[error("the hub cannot be reached: {0}")]
    Offline(String),
    /// The hub does not let us.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// Anything else.
    #[error("the ledger failed: {0}")]
    Failed(String),
}

/// What the book says now.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// All deliveries that are known here.
    pub ledger: Arc<Ledger>,
    /// To whom our own items are owed.
    pub destinations: Vec<Party>,
    /// Who can be reached now.
    pub online: Vec<Party>,
}

/// The ledger of a relationship, which its hub keeps and its members have copies of.
///
/// Calls may run side by side. What was told is durable when the call returns, here or at the hub.
#[async_trait]
pub trait Book: Send + Sync + 'static {
    /// Returns who we are.
    fn me(&self) -> Party;

    /// Returns what is known here.
    fn view(&self) -> View;

    /// Returns a counter that rises when the ledger changed.
    fn news(&self) -> watch::Receiver<u64>;

    /// Brings our copy up to date and tells the hub what it does not know yet.
    async fn refresh(&self) -> Result<(), BookError>;

    /// Offers units of ours. One answer for each, in order; what is to be sent is reserved.
    async fn offer(&self, units: &[Unit]) -> Result<Vec<Answer>, BookError>;

    /// As a destination, announces that these are about to be fetched. The hub looks at its copies first; an answer is
    /// false where a copy is not what its origin sent.
    async fn claim(&self, keys: &[Key]) -> Result<Vec<bool>, BookError>;

    /// Writes down what happened. Events that cannot follow are passed over: somebody else was quicker.
    async fn tell(&self, told: Vec<Told>) -> Result<(), BookError>;
}

/// Carries items by other means than our own.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Carries one unit; it is delivered only if this succeeds.
    ///
    /// # Errors
    /// Says why it failed.
    async fn carry(&self, unit: &Unit, id: &str) -> Result<(), String>;
}
