//! `evenfold completions` and `man`: generated from the same definitions as the help.

use clap::CommandFactory as _;
use clap_mangen::Man;
use evenfold_node::api::{ApiError, ErrorCode};

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::out::note;

pub(crate) fn completions(context: &mut Context, arguments: CompletionsArgs) -> Result<Exit, ApiError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "evenfold", &mut script);
    context.out.raw(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(context: &mut Context, arguments: ManArgs) -> Result<Exit, ApiError> {
    match arguments.dir {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page).map_err(|error| {
                ApiError::new(ErrorCode::Internal, format!("the manual page could not be written: {error}"))
            })?;
            context.out.raw(&page)?;
        }
        Some(dir) => {
            let written =
                std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &dir));
            written.map_err(|error| {
                let message = format!("the manual pages cannot be written to {}: {error}", dir.display());
                ApiError::new(ErrorCode::Io, message).with_hint("Give a directory that is yours.")
            })?;
            note(format!("The manual pages are in {}.", dir.display()));
        }
    }
    Ok(Exit::Done)
}
