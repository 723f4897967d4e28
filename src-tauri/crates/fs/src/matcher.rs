//! matcher (being written).
