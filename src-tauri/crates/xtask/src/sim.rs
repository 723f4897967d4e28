//! `cargo xtask sim`: runs the simulator of test kit in the fast profile.

use anyhow::Result;

use crate::args::Args;
use crate::shell;

/// `cargo xtask sim`: every option goes to the simulator, `--help` too.
pub(crate) fn main(args: Args) -> Result<()> {
    let mut command = shell::cargo();
    command.args(["run", "--profile", "fast", "--package", "evenfold-testkit", "--bin", "sim", "--"]);
    shell::run(command.args(args.into_rest()))
}
