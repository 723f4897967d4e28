//! Composition root and public API of an Evenfold node.

pub mod api;
