//! The icon in the panel: what it says (`state`), what it offers (`menu`), how it is drawn (`icons`, `show`), and whether
//! this desktop shows one at all (`presence`).

mod icons;
pub(crate) mod menu;
#[cfg(target_os = "linux")]
pub(crate) mod presence;
pub(crate) mod show;
pub(crate) mod state;
