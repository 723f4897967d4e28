//! Test kit: the exhaustive check of the core, generators and the multi-node simulator.

pub mod exhaustive;
