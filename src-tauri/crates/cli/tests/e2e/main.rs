//! Scenarios with real processes: nodes with homes of their own on loopback addresses, the command line, real folders.
//!
//! Each test is named by the number of its scenario and the outcome. All wait for conditions; none proves anything by a pause.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;
mod rig;

mod access;
mod apart;
mod checking;
mod conflicts;
mod content;
mod couriers;
mod declarative;
mod deletion;
mod effects;
mod events;
mod guard;
mod honesty;
mod instances;
mod interrupted;
#[cfg(debug_assertions)]
mod kill_sweep;
mod lan;
mod limits;
mod manual;
mod mirror;
mod names;
mod nearby;
mod openssh;
mod plans;
mod rollback;
mod served;
mod settings;
mod shapes;
mod source_gone;
mod star;
mod strangers;
mod surveying;
mod t01_relay;
mod t05_deliveries;
mod t06_command;
mod t09_send_once;
mod t13_hub;
mod t39_openssh;
mod t39_send_once;
mod through;
mod walkthroughs;
mod ways;
mod why;
