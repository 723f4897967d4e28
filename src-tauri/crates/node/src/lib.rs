//! Composition root and public API of an Evenfold node.

pub mod api;
pub mod config;
pub mod control;
pub mod home;
pub mod settings;
pub mod text;

mod care;
mod check;
mod conflicts;
mod delivery;
mod doctor;
mod findings;
mod history_query;
mod hub;
mod join;
mod local;
mod manual;
mod network;
mod node;
mod pairing;
mod peers;
mod plans;
mod reasons;
mod record;
mod relations;
mod relationship;
mod remote;
mod reopening;
mod reporting;
mod requests;
mod resolve;
mod restore;
mod service;
mod serving;
mod status;
mod sync;
mod tracked;
mod versions;
mod watcher;
mod why;
mod writing;

pub use node::{Node, NodeOptions};
pub use service::NodeService;
