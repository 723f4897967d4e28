//! Composition root and public API of an Evenfold node.

pub mod api;
pub mod config;
pub mod control;
pub mod home;
pub mod settings;
pub mod text;
