//! Deliveries: which item is owed to whom, decided from `(source snapshot, ledger)`.
//!
//! A [`Unit`] (a file, or a top-level entry with everything below it) in one [`version`](unit::version) is owed by its
//! origin to each destination. What became of that is a [`Row`] of the [`Ledger`]: a historical fact, independent of
//! what exists now. Everything here is a pure function; `now` is passed in, in microseconds since 1970.

pub mod hub;
pub mod ledger;
pub mod member;
pub mod occasion;
pub mod offer;
pub mod plan;
pub mod state;
#[cfg(test)]
mod tests;
pub mod unit;
pub mod word;

pub use hub::{
    Admission, Spent, admit, dropped_with, lapsed, released, spent_copies, stranded, wrong_copies,
};
pub use ledger::{Key, Ledger, Party, Row};
pub use member::{MemberBook, Numbered};
pub use occasion::{Happened, Occasion, id_of, occasions};
pub use offer::{
    Answer, Offer, Offered, Room, in_the_way, is_promised, other_names, other_places, standing, was_delivered,
};
pub use plan::{Closing, Plan, Quiet, Resend, Terms, close, due, plan};
pub use state::{Event, Illegal, Skip, State, Wait};
pub use unit::{Unit, UnitKind, unit_at, units, version};
pub use word::Told;
