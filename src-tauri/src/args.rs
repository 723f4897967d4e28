//! What the desktop is started with.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

/// Evenfold keeps folders on several machines identical: the desktop application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(name = "evenfold-desktop", version)]
pub(crate) struct Args {
    /// Starts without a window, in the tray; so it is started at login.
    #[arg(long)]
    pub(crate) background: bool,
    /// The home of the node, as for `evenfold --home`.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// An `evenfold://` address to open.
    #[arg(value_name = "LINK")]
    pub(crate) link: Option<String>,
}

impl Args {
    /// Reads what a second instance was started with. What is not understood just opens the window.
    pub(crate) fn of_other(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Args {
        Args::try_parse_from(words).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_instance_with_nonsense_opens_the_window_only() {
        let expected = Args { link: Some("evenfold://machines".into()), ..Args::default() };
        assert_eq!(Args::of_other(["evenfold-desktop", "evenfold://machines"]), expected);
        assert_eq!(Args::of_other(["evenfold-desktop", "--what", "a", "b"]), Args::default());
        assert!(Args::of_other(["evenfold-desktop", "--background"]).background);
    }
}
