//! `cargo xtask sim`: runs the test kit's simulator in the fast profile.

use anyhow::Result;

use crate::args::Args;
use crate::shell;

const HELP: &str = "\
cargo xtask sim exhaustive [--every N]        all triples of trees up to depth 2
cargo xtask sim --histories N [--from SEED]   the histories of N seeds: nodes, links, disks, crashes
cargo xtask sim --seed SEED                   one history, step by step
cargo xtask sim deliveries --histories N      the same for send-once and relay; also --from SEED, --seed SEED

Whatever is given goes to the simulator (package evenfold-testkit).
";

/// `cargo xtask sim`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let mut command = shell::cargo();
    command.args(["run", "--profile", "fast", "--package", "evenfold-testkit", "--bin", "sim", "--"]);
    shell::run(command.args(args.into_rest()))
}
