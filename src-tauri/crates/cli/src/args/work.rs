//! Commands that sync and compare.

use std::path::PathBuf;

use clap::Args;

/// A command that concerns one relationship.
#[derive(Debug, Args)]
pub(crate) struct RelationshipArgs {
    /// Name or id
    pub(crate) relationship: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold status
  evenfold status photos --json
  evenfold status --watch")]
pub(crate) struct StatusArgs {
    /// Name or id [default: all]
    pub(crate) relationship: Option<String>,
    /// Show it again whenever something changes
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold sync photos
  evenfold sync photos --wait --timeout 600
  evenfold sync photos --dry-run")]
pub(crate) struct SyncArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Return when all reachable endpoints were compared and are equal, or something needs you
    #[arg(long)]
    pub(crate) wait: bool,
    /// Only show the plan, and its id for `evenfold apply`
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Give up waiting after this time; the sync itself goes on
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold sync photos --dry-run
  evenfold apply PLAN-ID")]
pub(crate) struct ApplyArgs {
    /// Id of the plan; refused if either side has moved on
    #[arg(value_name = "PLAN-ID")]
    pub(crate) plan: String,
}

/// What a comparison may find beside equality.
pub(crate) const FINDINGS: [&str; 9] =
    ["missing", "stale", "orphaned", "moved", "corrupt", "conflict", "error", "excluded", "unknown"];

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold check photos
  evenfold check photos --deep --only corrupt,missing
  evenfold check photos --stats
  evenfold check photos --find '*.jpg'
  evenfold check photos --json")]
pub(crate) struct CheckArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Hash all contents again
    #[arg(long)]
    pub(crate) deep: bool,
    /// List these findings only; the numbers stay complete
    #[arg(long, value_name = "FINDING,…", value_delimiter = ',', value_parser = FINDINGS)]
    pub(crate) only: Vec<String>,
    /// Compare again whenever something changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// Instead, show what the folders hold: files, bytes, errors and last scan of each machine, and types of files
    #[arg(long, conflicts_with_all = ["deep", "only", "watch"])]
    pub(crate) stats: bool,
    /// Instead, list files of equal content in this node's folder
    #[arg(long, conflicts_with_all = ["deep", "only", "watch"])]
    pub(crate) duplicates: bool,
    /// Instead, list paths whose name holds this text, or matches it where it has * or ?
    #[arg(long, value_name = "NAME", conflicts_with_all = ["deep", "only", "watch"])]
    pub(crate) find: Option<String>,
    /// Instead, list when the folders were looked at: start, end, success, files, bytes, errors, rate
    #[arg(long, conflicts_with_all = ["deep", "only", "watch"])]
    pub(crate) scans: bool,
    /// At most so many rows of each of these lists
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: Option<u32>,
}

impl CheckArgs {
    /// Tells whether a survey of the folders is wanted instead of a comparison.
    pub(crate) fn is_survey(&self) -> bool {
        self.stats || self.duplicates || self.scans || self.find.is_some()
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  evenfold why photos 2026/beach.jpg")]
pub(crate) struct WhyArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Path below the folder
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold run photos --once
  */15 * * * * evenfold run photos --once      in a crontab")]
pub(crate) struct RunArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Sync once and end; needed, because `evenfold daemon` is what runs all the time
    #[arg(long, required = true)]
    pub(crate) once: bool,
    /// Give up waiting after this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}
