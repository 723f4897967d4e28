//! Commands about the program itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  evenfold log\n  evenfold log --lines 500\n  evenfold log --follow")]
pub(crate) struct LogArgs {
    /// How many lines
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) lines: u32,
    /// Go on showing what is added
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the settings of the node
    #[command(after_help = "\
Examples:
  evenfold config show
  evenfold config show --origin      and where each value comes from

Settings stand in config.toml in the home. A flag wins over a variable (EVENFOLD_NAME, EVENFOLD_LISTEN,
EVENFOLD_LOG, EVENFOLD_LOG_SIZE), that over the file, that over the default.")]
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Install and start the service for this user and home
    #[command(after_help = "Example:\n  evenfold service install")]
    Install,
    /// Stop and remove the service
    #[command(after_help = "Example:\n  evenfold service uninstall")]
    Uninstall,
    /// Say whether it is installed and runs
    #[command(after_help = "Example:\n  evenfold service status")]
    Status,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold completions bash > ~/.local/share/bash-completion/completions/evenfold
  evenfold completions fish > ~/.config/fish/completions/evenfold.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  evenfold man | man -l -\n  evenfold man --dir ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Evenfold starts this by itself on a host that is reached as ssh://user@host/path and has Evenfold, over that SSH \
login. It serves the one folder that the other machine names, and nothing else of this machine or of its node.

Example:
  evenfold serve --stdio --root /srv/photos

In ~/.ssh/authorized_keys a key can be kept to it:
  restrict,command=\"evenfold serve --stdio --root /srv/photos\" ssh-ed25519 AAAA… me@laptop")]
pub(crate) struct ServeArgs {
    /// Speak over standard input and output
    #[arg(long, required = true)]
    pub(crate) stdio: bool,
    /// Serve this folder only, whatever the other machine asks for
    #[arg(long, value_name = "PATH")]
    pub(crate) root: Option<PathBuf>,
    /// Refuse every change
    #[arg(long)]
    pub(crate) read_only: bool,
}
