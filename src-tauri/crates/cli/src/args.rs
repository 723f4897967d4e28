//! The command line as clap reads it; help, completions and man pages come from here too.

mod endpoints;
mod ledger;
mod manual;
mod node;
mod past;
mod upkeep;
mod work;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) use endpoints::{JoinArgs, RelArgs, RelCommand, ShareArgs};
pub(crate) use ledger::{LedgerArgs, LedgerCommand};
pub(crate) use manual::{PullArgs, PushArgs, TrackArgs, UntrackArgs};
pub(crate) use node::{DaemonArgs, NodeArgs, PairArgs, PairCommand, PeerArgs, PeerCommand};
pub(crate) use past::{ConflictsArgs, HistoryArgs, ResolveArgs, RestoreArgs, VersionsArgs};
pub(crate) use upkeep::{
    CompletionsArgs, ConfigArgs, ConfigCommand, LogArgs, ManArgs, ServeArgs, ServiceArgs, ServiceCommand,
};
pub(crate) use work::{ApplyArgs, CheckArgs, RelationshipArgs, RunArgs, StatusArgs, SyncArgs, WhyArgs};

/// Keeps folders on several machines identical, and shows at a glance how far they have drifted apart.
#[derive(Debug, Parser)]
#[command(
    name = "evenfold",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "\
Examples:
  evenfold daemon                                 run this node
  evenfold share ~/Photos --name photos           offer a folder; prints a code for the other machine
  evenfold join CODE 192.168.1.20:22722 ~/Photos  pair and join, on the other machine
  evenfold status                                 what is in sync, and what is not

Exit codes: 0 done and equal, 1 error, 2 usage, 3 differs, 4 conflicts wait, 5 held and needs approval,
6 unknown because a side could not be verified, 7 already running, 130 interrupted.

Data goes to standard output, everything else to standard error."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes, before or after it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory that holds everything the node keeps [default: $EVENFOLD_HOME, else the platform's own]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print data as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never ask; fail where an answer is needed
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Say more about what is done; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node in the foreground
    Daemon(DaemonArgs),
    /// Show this node
    Node(NodeArgs),
    /// Pair with another node by a one-time code
    Pair(PairArgs),
    /// List and manage paired nodes
    Peer(PeerArgs),
    /// Offer a folder of this node as the hub of a new relationship
    Share(ShareArgs),
    /// Join a folder that another node shares
    Join(JoinArgs),
    /// List and manage relationships
    Rel(RelArgs),
    /// Stop syncing a relationship until it is resumed
    #[command(hide = true, after_help = "Example:\n  evenfold pause photos")]
    Pause(RelationshipArgs),
    /// Go on syncing a relationship
    #[command(hide = true, after_help = "Example:\n  evenfold resume photos")]
    Resume(RelationshipArgs),
    /// Show what is in sync, what is not, and what needs you
    Status(StatusArgs),
    /// Sync now, with a full scan of both sides
    Sync(SyncArgs),
    /// Carry out exactly the plan that was shown
    Apply(ApplyArgs),
    /// Choose what is sent by `evenfold push`
    Track(TrackArgs),
    /// Let files and folders take no part any more
    Untrack(UntrackArgs),
    /// Send what is tracked to the hub now
    Push(PushArgs),
    /// Fetch what the hub has now
    Pull(PullArgs),
    /// Compare without moving anything
    Check(CheckArgs),
    /// Say why a path is, or is not, in sync
    Why(WhyArgs),
    /// List what was delivered to whom; mark, forget, or try again (send-once, relay)
    Ledger(LedgerArgs),
    /// List conflicts that wait for a decision
    Conflicts(ConflictsArgs),
    /// Decide a conflict
    Resolve(ResolveArgs),
    /// Show what happened, newest first
    History(HistoryArgs),
    /// List earlier contents of a path
    Versions(VersionsArgs),
    /// Bring back an earlier content; this can itself be undone
    Restore(RestoreArgs),
    /// Sync once and end, for cron and scripts; works with or without a daemon
    Run(RunArgs),
    /// Check the node itself
    #[command(after_help = "Example:\n  evenfold doctor")]
    Doctor,
    /// Drop what retention no longer keeps
    #[command(after_help = "Example:\n  evenfold gc")]
    Gc,
    /// Show the newest lines of the daemon's log
    Log(LogArgs),
    /// Show the settings of the node
    Config(ConfigArgs),
    /// Serve one folder to another machine that started this over SSH
    Serve(ServeArgs),
    /// Run the node whenever you are logged in
    Service(ServiceArgs),
    /// Print a script that completes commands in your shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(ManArgs),
}

impl Command {
    /// Returns the command's name, for the holder's note in the home's lock.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Daemon(_) => "daemon",
            Command::Node(_) => "node",
            Command::Pair(_) => "pair",
            Command::Peer(_) => "peer",
            Command::Share(_) => "share",
            Command::Join(_) => "join",
            Command::Rel(_) => "rel",
            Command::Pause(_) => "pause",
            Command::Resume(_) => "resume",
            Command::Status(_) => "status",
            Command::Sync(_) => "sync",
            Command::Apply(_) => "apply",
            Command::Track(_) => "track",
            Command::Untrack(_) => "untrack",
            Command::Push(_) => "push",
            Command::Pull(_) => "pull",
            Command::Check(_) => "check",
            Command::Why(_) => "why",
            Command::Ledger(_) => "ledger",
            Command::Conflicts(_) => "conflicts",
            Command::Resolve(_) => "resolve",
            Command::History(_) => "history",
            Command::Versions(_) => "versions",
            Command::Restore(_) => "restore",
            Command::Run(_) => "run",
            Command::Doctor => "doctor",
            Command::Gc => "gc",
            Command::Log(_) => "log",
            Command::Config(_) => "config",
            Command::Serve(_) => "serve",
            Command::Service(_) => "service",
            Command::Completions(_) => "completions",
            Command::Man(_) => "man",
        }
    }
}

#[cfg(test)]
mod tests;
