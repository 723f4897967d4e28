//! supply (being written).
