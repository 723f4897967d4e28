//! The real application on a screen of its own: its tray over D-Bus, its window through WebDriver, its login entry, its
//! notifications, its memory and start-up time.
//!
//! Each test has its own X server, session bus, home and runtime directory, and ends what it started. The programs that it
//! needs are installed by `cargo xtask setup`; `target/…/evenfold` has to be built beside the application, as
//! `cargo xtask desktop` does.

#![cfg(target_os = "linux")]
// Helpers of tests may end the test and talk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod desk;
mod driver;
mod node;
mod panel;
mod process;
mod server;

mod attach;
mod journey;
mod lifetime;
mod measures;
mod notifications;
mod powers;
mod states;
