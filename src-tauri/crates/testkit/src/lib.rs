//! Test kit: the exhaustive check of the core, a fake disk, and the multi-node simulator.

pub mod disk;
pub mod exhaustive;
pub mod sim;
