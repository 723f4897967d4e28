//! The way from a command or the desktop to the node that runs: a Unix socket in the home.
//!
//! Both sides send lines of JSON. Each begins with a hello that carries the version of the protocol; then the client
//! sends calls with an id, and the node answers each with any number of events and one reply or error. Many calls may
//! be under way on one connection. A call ends early when its client cancels it or goes away.

mod address;
mod client;
mod frame;
mod server;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use client::Client;
pub use server::{Listener, serve};

use crate::api::{ApiError, Event, Reply, Request};

/// Events of a call that may wait to be sent. More would only be older: an event is a nudge to read again.
pub const EVENTS: usize = 64;

/// Whatever answers requests: a node, or in tests something simpler.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// Dropping the future cancels the call, at any point where it waits: what must go on after that has to run in
    /// a task of its own. Events are sent with `try_send` and dropped when the channel is full.
    ///
    /// # Errors
    /// What went wrong, for people, with a stable code.
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError>;
}

#[cfg(test)]
mod tests;
