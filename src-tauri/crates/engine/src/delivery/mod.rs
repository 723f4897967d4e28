//! Deliveries: the loop that offers, carries and confirms, over the same endpoints as the cycle of a pair.
//!
//! What is owed is decided by `evenfold_core::delivery`; what was done is written into a [`Book`]. A [`Courier`] is this
//! machine's part in a relationship: it offers what stands in its folder, or fetches what is owed to it.

mod carry;
pub mod command;
mod courier;
mod ports;

pub use courier::{Courier, CourierHandle, CourierSettings, CourierState, Dice, Finish, Lanes, Part};
pub use ports::{Book, BookError, Executor, View};
