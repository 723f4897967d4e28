//! Test kit: fake disk, virtual network, generators and the multi-node simulator.
