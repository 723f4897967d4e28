//! The desktop application of Evenfold: a thin shell of tray, window and notifications around the node.

// A program of the desktop has no console on Windows.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod actions;
mod app;
mod args;
mod autostart;
#[cfg(test)]
mod bundles;
mod commands;
mod engine;
mod events;
mod links;
mod logging;
mod notices;
mod notify;
mod overview;
mod settings;
mod shell;
#[cfg(target_os = "linux")]
mod theme;
mod tray;
mod window;
mod words;

use std::process::ExitCode;

use clap::Parser as _;
use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::home::{HOME_VARIABLE, Home};

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            logging::last_words(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> Result<(), ApiError> {
    #[cfg(target_os = "linux")]
    spare_nvidia();
    let home = Home::locate(args.home.clone(), std::env::var_os(HOME_VARIABLE))
        .map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()).with_hint(error.hint()))?;
    home.create().map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
    logging::begin(&home)?;
    app::run(args, home).map_err(|error| {
        ApiError::new(ErrorCode::Io, format!("the desktop application cannot start: {error}"))
            .with_hint("without a screen, use the command line: evenfold daemon")
    })
}

/// With NVIDIA's driver the web view stays blank unless it draws without DMA buffers, which it has to be told in a
/// variable before the process begins.
#[cfg(target_os = "linux")]
fn spare_nvidia() {
    use std::os::unix::process::CommandExt as _;
    const VARIABLE: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    if std::env::var_os(VARIABLE).is_some() || !std::path::Path::new("/proc/driver/nvidia/version").exists() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Only returns when it failed; then it goes on without.
    let error =
        std::process::Command::new(program).args(std::env::args_os().skip(1)).env(VARIABLE, "1").exec();
    logging::last_words(&ApiError::new(ErrorCode::Io, format!("{VARIABLE} could not be set: {error}")));
}
