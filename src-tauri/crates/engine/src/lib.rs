//! The loop of a relationship: phases, halts, schedule, progress, over ports.
