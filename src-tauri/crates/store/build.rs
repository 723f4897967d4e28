//! Compiles the crate again when a migration is added, which the macro that embeds them cannot see.
#![allow(clippy::print_stdout)] // This is how a build script speaks to cargo.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
