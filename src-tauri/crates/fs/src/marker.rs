//! marker (being written).
