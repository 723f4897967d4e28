//! Commands about conflicts, history and earlier contents.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  evenfold conflicts\n  evenfold conflicts photos --json")]
pub(crate) struct ConflictsArgs {
    /// Name or id [default: all]
    pub(crate) relationship: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold resolve 7 --keep desk      desk's version stays; the other becomes an earlier version
  evenfold resolve 7 --keep both      both files stay as they are")]
pub(crate) struct ResolveArgs {
    /// Id that `evenfold conflicts` shows
    pub(crate) id: String,
    /// Name of the machine whose version stays, or `both`
    #[arg(long, value_name = "NODE|both")]
    pub(crate) keep: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold history photos --since 2h
  evenfold history --path '*.jpg' --node laptop --kind delete")]
pub(crate) struct HistoryArgs {
    /// Name or id [default: all]
    pub(crate) relationship: Option<String>,
    /// Only paths that match
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Option<String>,
    /// Only from this time on: RFC 3339, or a duration back from now such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only what this machine did
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Only acts of this kind: create, update, delete, rename, metadata, conflict, restore, resolve, halt, error
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// At most this many rows
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Only rows before this one, for paging
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  evenfold versions photos 2026/beach.jpg")]
pub(crate) struct VersionsArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Path below the folder
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold restore photos 2026/beach.jpg                    the newest earlier version
  evenfold restore photos 2026/beach.jpg --at 2h            as it was two hours ago
  evenfold restore photos notes.txt --version 12 --to old-notes.txt
  evenfold restore photos 2026/beach.jpg --from nas         nas has it undamaged")]
pub(crate) struct RestoreArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Path below the folder
    pub(crate) path: PathBuf,
    /// As of this time: RFC 3339, or a duration back from now such as 2h
    #[arg(long, value_name = "TIME", conflicts_with = "version")]
    pub(crate) at: Option<String>,
    /// Exactly this version, by the id that `evenfold versions` shows
    #[arg(long, value_name = "ID")]
    pub(crate) version: Option<String>,
    /// Restore to another path below the folder
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,
    /// Instead, the content that this machine has now, where the one here is suspected to be damaged
    #[arg(long, value_name = "NODE", conflicts_with_all = ["at", "version", "to"])]
    pub(crate) from: Option<String>,
}
