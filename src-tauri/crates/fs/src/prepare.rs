//! prepare (being written).
