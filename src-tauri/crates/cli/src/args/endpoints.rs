//! Commands that make, join and change relationships.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::work::RelationshipArgs;

/// `--set` of several commands.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetArgs {
    /// A setting, such as conflict=newest; `include` and `exclude` also take @FILE with one pattern per line
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
}

/// Reads `KEY=VALUE`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a setting is written KEY=VALUE, for example conflict=newest".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold share ~/Photos --name photos
  evenfold share /srv/site --name site --kind mirror --set exclude=.git/ --set versions.keep=90d
  evenfold share ~/Code --name code --codes 3               for three machines that are to join")]
pub(crate) struct ShareArgs {
    /// Folder, which must exist
    pub(crate) path: PathBuf,
    /// Name of the relationship
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// two-way, mirror, manual, send-once, relay or compare
    #[arg(long, value_name = "KIND", default_value = "two-way")]
    pub(crate) kind: String,
    /// How many one-time codes to print, one for each machine that is to join [default: on a terminal 1, for a relay 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub(crate) codes: Option<u8>,
    /// Begin paused: nothing travels before `evenfold rel resume`
    #[arg(long)]
    pub(crate) paused: bool,
    #[command(flatten)]
    pub(crate) set: SetArgs,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "evenfold join [OPTIONS] PEER:NAME PATH\n       evenfold join [OPTIONS] CODE [ADDR:PORT] PATH",
    after_help = "\
Examples:
  evenfold join nas:photos ~/Photos --dry-run
  evenfold join nas:photos ~/Photos --yes --wait
  evenfold join CODE ~/Photos                           found on the local network
  evenfold join CODE 192.168.1.20:22722 ~/Photos"
)]
pub(crate) struct JoinArgs {
    /// What to join: a paired node and the name of its share, or the code that `evenfold share` printed
    #[arg(value_name = "PEER:NAME|CODE")]
    pub(crate) what: String,
    /// With a code, where the other node listens; then the local folder, which must exist
    #[arg(value_name = "[ADDR:PORT] PATH", num_args = 1..=2, required = true)]
    pub(crate) rest: Vec<PathBuf>,
    /// This node's part [default: what the kind suggests]
    #[arg(long, value_name = "ROLE", value_parser = ["spoke", "source", "destination"])]
    pub(crate) role: Option<String>,
    #[command(flatten)]
    pub(crate) set: SetArgs,
    /// Begin paused: nothing travels before `evenfold rel resume`
    #[arg(long, conflicts_with_all = ["wait", "dry_run"])]
    pub(crate) paused: bool,
    /// Only show what would be copied, replaced and deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Begin without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Return when the first sync is done
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct RelArgs {
    #[command(subcommand)]
    pub(crate) command: RelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RelCommand {
    /// Make a relationship from this side alone, where the peer allows it, or with a host that has only SSH
    #[command(
        override_usage = "evenfold rel add [OPTIONS] NAME PATH PEER:PATH\n       \
                          evenfold rel add [OPTIONS] NAME PATH ssh://[USER@]HOST[:PORT]/PATH\n       \
                          evenfold rel add [OPTIONS] NAME ssh://[USER@]HOST[:PORT]/PATH PATH",
        after_help = "\
Where changes travel one way they go from the first folder to the second. A host that has only SSH is reached as \
`ssh` would, by ~/.ssh/config, agent and keys; its folder may be named below the home folder: ssh://nas/~/photos
Where the host has the program `evenfold`, it is started over the same login and used instead of SFTP; \
host.program names it where it is not on the path of logins, or is off.

Examples:
  evenfold rel add photos --kind two-way ~/Photos nas:/srv/photos
  evenfold rel add site --kind mirror ~/site ssh://me@web.example.com/var/www/site
  evenfold rel add work ~/work ssh://nas/~/work --set host.program=~/.local/bin/evenfold"
    )]
    Add {
        /// Name of the relationship
        name: String,
        /// Local folder
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Folder on a paired node, or on a host that has only SSH
        #[arg(value_name = "PEER:PATH|ssh://HOST/PATH")]
        target: PathBuf,
        /// Accept the unknown key of a host with this fingerprint; may be given several times
        #[arg(long, value_name = "SHA256:…")]
        accept_key: Vec<String>,
        /// two-way, mirror, manual, send-once, relay or compare
        #[arg(long, value_name = "KIND", default_value = "two-way")]
        kind: String,
        /// Begin paused: nothing travels before `evenfold rel resume`
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        set: SetArgs,
    },
    /// List relationships
    #[command(after_help = "Example:\n  evenfold rel list")]
    List,
    /// Show one with all its settings
    #[command(after_help = "Example:\n  evenfold rel show photos")]
    Show(RelationshipArgs),
    /// Change settings; takes effect without resending anything
    #[command(after_help = "\
Examples:
  evenfold rel edit photos --set conflict=newest
  evenfold rel edit photos --set exclude='*.tmp' --set exclude=cache/
  evenfold rel edit photos --set exclude=          clear the list
  evenfold rel edit photos --set settle=default    what the kind suggests")]
    Edit {
        /// Name or id
        relationship: String,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Show what each member may do with the hub's folder, or change it; where it is shared
    #[command(after_help = "\
A member that may only read gets everything; what is changed on it is reported there and never sent, and the hub \
refuses it. For machines that will join: --set access=read

Examples:
  evenfold rel access photos
  evenfold rel access photos laptop read
  evenfold rel access photos laptop write
  evenfold rel access photos laptop default        as the setting access says")]
    Access {
        /// Name or id
        relationship: String,
        /// The member: a paired machine
        #[arg(requires = "access")]
        member: Option<String>,
        /// What it may do
        #[arg(value_parser = ["read", "write", "default"])]
        access: Option<String>,
    },
    /// Give the passphrase of an encrypted SSH key, until the daemon ends: asked on a terminal, else read from the input
    #[command(after_help = "Example:\n  evenfold rel unlock")]
    Unlock,
    /// Stop syncing until resumed
    #[command(after_help = "Example:\n  evenfold rel pause photos")]
    Pause(RelationshipArgs),
    /// Go on syncing
    #[command(after_help = "Example:\n  evenfold rel resume photos")]
    Resume(RelationshipArgs),
    /// Forget a relationship; the folder stays as it is
    #[command(after_help = "Example:\n  evenfold rel remove photos")]
    Remove(RelationshipArgs),
    /// Print relationships as a file for `rel apply`
    #[command(after_help = "\
Examples:
  evenfold rel export photos > photos.toml
  evenfold rel export > all.toml")]
    Export {
        /// Name or id [default: all]
        relationship: Option<String>,
    },
    /// Make relationships as a file says, or change them to that
    #[command(after_help = "\
Example:
  evenfold rel apply all.toml --yes

A file may look like this; a relationship with `hub` is joined, one without is shared from here:

  [[relationship]]
  name = \"photos\"
  kind = \"two-way\"
  path = \"~/Photos\"
  settings = { exclude = [\"*.tmp\"], \"versions.keep\" = \"90d\" }

  [[relationship]]
  name = \"project\"
  kind = \"manual\"
  hub = \"nas\"
  path = \"/home/me/project\"
  tracked = [\"Data\"]

What is as the file says already is left alone. A relationship that the file does not name is left alone, too.")]
    Apply {
        /// File that `rel export` printed, or written by hand
        file: PathBuf,
        /// Do not ask before joining
        #[arg(long)]
        yes: bool,
    },
}
