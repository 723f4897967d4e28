//! Commands about this node and its peers.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenfold daemon
  evenfold daemon --name desk --listen '[::]:22722'
  evenfold --home /tmp/second daemon --listen 127.0.0.1:0")]
pub(crate) struct DaemonArgs {
    /// Listen here; may be given several times; port 0 picks a free one [default: [::]:22722]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<String>,
    /// Name of this node [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    pub(crate) command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Show name, fingerprint, addresses, version and home
    #[command(after_help = "Examples:\n  evenfold node show\n  evenfold node show --json")]
    Show,
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct PairArgs {
    #[command(subcommand)]
    pub(crate) command: PairCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PairCommand {
    /// Print a one-time code for the other node, and wait until it is used
    #[command(after_help = "\
Examples:
  evenfold pair offer
  evenfold pair offer --minutes 60 --no-wait --json")]
    Offer {
        /// How long the code is valid
        #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
        minutes: u32,
        /// Return at once; the daemon keeps the offer open
        #[arg(long)]
        no_wait: bool,
    },
    /// Pair with the node that printed a code
    #[command(after_help = "\
Examples:
  evenfold pair accept CODE
  evenfold pair accept CODE 192.168.1.20:22722
  evenfold pair accept CODE nas.example.org:22722
  evenfold pair accept CODE via:hub          through the peer 'hub', with which the other node is paired as well
  evenfold pair accept CODE via:hub/laptop   the same, naming the other node

Through a peer, that peer must allow it: forward = \"peers\" in its config.toml. It passes on bytes that it cannot \
read.")]
    Accept {
        /// The code
        code: String,
        /// Where the other node listens, or via:PEER [default: searched for on the local network]
        #[arg(value_name = "ADDR:PORT|via:PEER")]
        address: Option<String>,
        /// Do not ask whether both sides show the same check
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct PeerArgs {
    #[command(subcommand)]
    pub(crate) command: PeerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// List paired nodes
    #[command(after_help = "Example:\n  evenfold peer list")]
    List,
    /// List the nodes on the local network, paired or not
    #[command(after_help = "Example:\n  evenfold peer nearby")]
    Nearby,
    /// Show one with its fingerprint and relationships
    #[command(after_help = "Example:\n  evenfold peer show nas")]
    Show {
        /// Name or fingerprint
        peer: String,
    },
    /// Pair by fingerprint: accept the node at an address if it has this key
    #[command(after_help = "\
Example, for a machine that says 'SHA256:TgXT…' on 'evenfold node show':
  evenfold peer add SHA256:TgXTmRQtqMfjfO0SlAHkoZPeuJyqMPeLdPnUevBEVgg nas.example:22722 --name nas

The other node has to add this one in the same way; then each lets the other in. Nothing is paired where the key is \
another one. A code does all of this in one step: 'evenfold pair offer'.")]
    Add {
        /// Fingerprint of the other node, as 'evenfold node show' prints it there
        fingerprint: String,
        /// Where that node listens
        #[arg(value_name = "ADDR:PORT")]
        address: String,
        /// What it is called here; otherwise by its address
        #[arg(long)]
        name: Option<String>,
    },
    /// Give a peer another name, on this node only
    #[command(after_help = "Example:\n  evenfold peer rename nas attic")]
    Rename {
        /// Name or fingerprint
        peer: String,
        /// New name
        name: String,
    },
    /// Reach a peer through another one where it cannot be reached directly
    #[command(after_help = "\
Examples:
  evenfold peer via laptop hub     connect with laptop through hub
  evenfold peer via laptop --off   only directly again

Both this node and the peer must be paired with the one in the middle, and that one must allow it: \
forward = \"peers\" in its config.toml. The connection is encrypted from end to end: the node in the middle passes on \
bytes that it cannot read. Where the direct way works again, it is taken by itself.")]
    Via {
        /// Name or fingerprint of the peer to reach
        peer: String,
        /// Name or fingerprint of the peer in the middle
        #[arg(required_unless_present = "off")]
        hub: Option<String>,
        /// Through no other node any more
        #[arg(long, conflicts_with = "hub")]
        off: bool,
    },
    /// Forget a peer's key; its connections end at once
    #[command(after_help = "Example:\n  evenfold peer remove laptop")]
    Remove {
        /// Name or fingerprint
        peer: String,
    },
    /// Measure the way to a peer
    #[command(after_help = "Example:\n  evenfold peer ping nas")]
    Ping {
        /// Name or fingerprint
        peer: String,
    },
}
