//! The real disk, one module per operating system.
