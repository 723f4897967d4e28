//! What the commands do: each asks the node, and shows the answer.

mod check;
mod conflicts;
mod generate;
mod history;
mod join;
mod ledger;
mod log;
mod manual;
mod node;
mod pair;
mod peer;
mod rel;
mod rel_file;
mod rel_host;
mod serve;
mod service;
mod share;
mod status;
mod survey;
mod sync;
mod upkeep;
mod versions;
mod watch;
mod why;

use evenfold_node::api::ApiError;

use crate::args::Command;
use crate::context::Context;
use crate::exit::Exit;

/// Carries out one command.
///
/// # Errors
/// What went wrong; the exit code follows from it.
pub(crate) async fn run(context: &mut Context, command: Command) -> Result<Exit, ApiError> {
    match command {
        // Handled before there is a runtime, since it brings its own signals and log.
        Command::Daemon(arguments) => crate::daemon::run(context, &arguments),
        Command::Node(_) => node::show(context).await,
        Command::Pair(arguments) => pair::run(context, arguments.command).await,
        Command::Peer(arguments) => peer::run(context, arguments.command).await,
        Command::Share(arguments) => share::run(context, arguments).await,
        Command::Join(arguments) => join::run(context, arguments).await,
        Command::Rel(arguments) => rel::run(context, arguments.command).await,
        Command::Pause(arguments) => rel::pause(context, arguments).await,
        Command::Resume(arguments) => rel::resume(context, arguments).await,
        Command::Status(arguments) => status::run(context, arguments).await,
        Command::Sync(arguments) => sync::sync(context, arguments).await,
        Command::Apply(arguments) => sync::apply(context, arguments).await,
        Command::Run(arguments) => sync::run_once(context, arguments).await,
        Command::Track(arguments) => manual::track(context, arguments).await,
        Command::Untrack(arguments) => manual::untrack(context, arguments).await,
        Command::Push(arguments) => manual::push(context, arguments).await,
        Command::Pull(arguments) => manual::pull(context, arguments).await,
        Command::Check(arguments) => check::run(context, arguments).await,
        Command::Why(arguments) => why::run(context, arguments).await,
        Command::Ledger(arguments) => ledger::run(context, arguments.command).await,
        Command::Conflicts(arguments) => conflicts::list(context, arguments).await,
        Command::Resolve(arguments) => conflicts::resolve(context, arguments).await,
        Command::History(arguments) => history::run(context, arguments).await,
        Command::Versions(arguments) => versions::list(context, arguments).await,
        Command::Restore(arguments) => versions::restore(context, arguments).await,
        Command::Doctor => upkeep::doctor(context).await,
        Command::Gc => upkeep::gc(context).await,
        Command::Log(arguments) => log::run(context, arguments).await,
        Command::Config(arguments) => upkeep::config(context, arguments.command).await,
        Command::Serve(arguments) => serve::run(context, arguments).await,
        Command::Service(arguments) => service::run(context, arguments.command).await,
        Command::Completions(arguments) => generate::completions(context, arguments),
        Command::Man(arguments) => generate::man(context, arguments),
    }
}
