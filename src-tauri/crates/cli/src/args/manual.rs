//! Commands of the kind manual: choose, push, pull.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold track project Data notes.txt      these files and folders, with everything below them
  evenfold track project                     what is tracked")]
pub(crate) struct TrackArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Files and folders: absolute, relative to where you are in the folder, or to the folder itself
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  evenfold untrack project Data/tmp      stays as it is everywhere")]
pub(crate) struct UntrackArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Files and folders that take no part from now on
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold push project
  evenfold push project Data/report.txt
  evenfold push project --force      over whatever the hub has; that becomes a version there

All content is sent first and published together. If the hub has changes that you have not pulled, nothing is sent.")]
pub(crate) struct PushArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Only these files and folders [default: all that is tracked]
    pub(crate) paths: Vec<PathBuf>,
    /// Send everything again, also over changes that the hub has; what is replaced there becomes a version
    #[arg(long)]
    pub(crate) force: bool,
    /// Only show the plan, and its id for `evenfold apply`
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold pull project
  evenfold pull project Data --dry-run

What you have edited here is never replaced: such files are named, and `evenfold conflicts` offers both versions.")]
pub(crate) struct PullArgs {
    /// Name or id
    pub(crate) relationship: String,
    /// Only these files and folders [default: all that the hub has]
    pub(crate) paths: Vec<PathBuf>,
    /// Only show the plan, and its id for `evenfold apply`
    #[arg(long)]
    pub(crate) dry_run: bool,
}
