//! The `evenfold` command line.
fn main() {}
