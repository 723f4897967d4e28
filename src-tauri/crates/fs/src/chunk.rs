//! chunk (being written).
