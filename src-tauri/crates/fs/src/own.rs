//! own (being written).
