//! Commands about deliveries.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// List deliveries and their states
    #[command(
        after_help = "Examples:\n  evenfold ledger list inbox\n  evenfold ledger list inbox --all --json"
    )]
    List {
        /// Name or id of the relationship
        relationship: String,
        /// Also what is gone from its source, and what was forgotten
        #[arg(long)]
        all: bool,
    },
    /// Count what is there now as delivered, so that only what comes later is sent
    #[command(
        after_help = "Examples:\n  evenfold ledger mark inbox\n  evenfold ledger mark inbox old/report.pdf"
    )]
    Mark {
        /// Name or id of the relationship
        relationship: String,
        /// Paths below the folder [default: everything]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Forget deliveries, so that what is still there is sent again
    #[command(after_help = "Examples:\n  evenfold ledger forget inbox report.pdf")]
    Forget {
        /// Name or id of the relationship
        relationship: String,
        /// Paths below the folder, or ids
        #[arg(value_name = "PATH|ID", required = true)]
        which: Vec<OsString>,
    },
    /// Try a failed delivery again now
    #[command(after_help = "Examples:\n  evenfold ledger retry inbox report.pdf")]
    Retry {
        /// Name or id of the relationship
        relationship: String,
        /// Ids, or paths below the folder
        #[arg(value_name = "ID|PATH", required = true)]
        which: Vec<OsString>,
    },
}
