//! recover (being written).
