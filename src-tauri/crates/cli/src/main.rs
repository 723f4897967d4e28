//! The `evenfold` command line: a daemon, and commands that ask it.

mod args;
mod commands;
mod context;
mod daemon;
mod embed;
mod engine;
mod exit;
mod logging;
mod out;
mod paths;
mod progress;
mod words;

use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::Duration;

use clap::Parser as _;
use evenfold_node::api::{ApiError, ErrorCode};

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::exit::Exit;

/// How long an engine of our own may take to end.
const ORDERLY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let exit = match run(cli) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = Exit::from(&error);
            out::failure(&error, exit, json);
            exit
        }
    };
    exit.into()
}

fn run(cli: Cli) -> Result<Exit, ApiError> {
    let mut context = Context::new(&cli.global, cli.command.name())?;
    if let Command::Daemon(arguments) = &cli.command {
        return daemon::run(&context, arguments);
    }
    logging::for_command(&context);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| ApiError::new(ErrorCode::Io, format!("the program could not start: {error}")))?;
    let outcome = runtime.block_on(async {
        let own = context.own_engine();
        let outcome = tokio::select! {
            outcome = commands::run(&mut context, cli.command) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        };
        let own = own.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(own) = own {
            // What is on disk is whole at any moment; this only spares the next start some work.
            let _ = tokio::time::timeout(ORDERLY, own.shutdown()).await;
        }
        outcome
    });
    // A question that nobody answered still waits for its line.
    runtime.shutdown_background();
    outcome
}
