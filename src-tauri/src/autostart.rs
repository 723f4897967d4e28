//! Starting at login. The switch shows what the system really does, not what was once set here.

#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
#[path = "autostart/linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "autostart/other.rs"]
mod platform;
mod program;

use evenfold_node::api::ApiError;
use evenfold_node::home::Home;
use serde::Serialize;

pub(crate) use platform::Autostart;

/// Whether the application starts at login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// Whether the system will start this application.
    pub(crate) enabled: bool,
    /// Where that is written, or which program it starts.
    pub(crate) path: String,
    /// Why it cannot be switched, or would not work.
    pub(crate) problem: Option<String>,
}

impl Autostart {
    /// Mends the entry where it names a program that is gone, as after an update that moved it. What cannot be mended
    /// is told in the log and by the switch.
    pub(crate) fn repair(&self) {
        match self.mend() {
            Ok(true) => tracing::info!("the start at login named another place; it names this program now"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the start at login could not be mended"),
        }
    }
}

/// Returns the switch for the application that serves `home`.
///
/// # Errors
/// When the program's own place is not known.
pub(crate) fn of(home: &Home) -> Result<Autostart, ApiError> {
    Autostart::new(home)
}
