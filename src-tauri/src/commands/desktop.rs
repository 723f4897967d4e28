//! The desktop around the window: settings, login, notifications, the end.

use std::path::PathBuf;
use std::sync::Arc;

use evenfold_node::api::ApiError;
use serde::Serialize;
use tauri::{AppHandle, State};

use crate::autostart::{self, Status};
use crate::settings::AppSettings;
use crate::shell::{Shell, Theme, shell};
use crate::tray::state::Link;
use crate::words::session_locale;
use crate::{app, notify, tray, window};

/// What the window has to know of the shell.
#[derive(Debug, Serialize)]
pub(crate) struct ShellInfo {
    version: &'static str,
    /// Whether the node runs in another process.
    attached: bool,
    /// Whether somebody sees a tray icon.
    tray: bool,
    /// `linux`, `macos`, `windows`.
    platform: &'static str,
    /// What the desktop prefers, where it says so.
    theme: Option<Theme>,
    /// BCP 47.
    locale: String,
    /// Home directory of the user.
    home: String,
    /// Home of the node.
    node_home: String,
}

/// Tells the window about the shell.
#[tauri::command]
pub(crate) fn shell_info(shell: State<'_, Shell>) -> ShellInfo {
    let user = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    ShellInfo {
        version: env!("CARGO_PKG_VERSION"),
        attached: matches!(shell.overview.borrow().link, Link::Running { attached: true }),
        tray: shell.has_tray(),
        platform: std::env::consts::OS,
        theme: shell.desktop_theme(),
        locale: session_locale(),
        home: user.display().to_string(),
        node_home: shell.engine.home().dir().display().to_string(),
    }
}

/// Returns whether the application starts at login.
#[tauri::command]
pub(crate) async fn autostart_get(app: AppHandle) -> Result<Status, ApiError> {
    Ok(autostart::of(shell(&app).engine.home())?.status())
}

/// Switches the start at login.
#[tauri::command]
pub(crate) async fn autostart_set(app: AppHandle, enabled: bool) -> Result<Status, ApiError> {
    autostart::of(shell(&app).engine.home())?.set(enabled)
}

/// Returns the settings of the desktop.
#[tauri::command]
pub(crate) fn app_settings_get(shell: State<'_, Shell>) -> AppSettings {
    shell.settings.get()
}

/// Changes the settings of the desktop.
#[tauri::command]
pub(crate) async fn app_settings_set(app: AppHandle, settings: AppSettings) -> Result<(), ApiError> {
    let kept = Arc::clone(&shell(&app).settings);
    kept.set(settings)?;
    let handle = app.clone();
    let asked = app.run_on_main_thread(move || {
        window::follow_theme(&handle);
        tray::show::refresh(&handle);
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "the new settings show at the next change");
    }
    Ok(())
}

/// Shows that notifications work.
#[tauri::command]
pub(crate) fn notify_test(app: AppHandle) {
    notify::test(&app);
}

/// Ends the application; a node in it ends with it.
#[tauri::command]
pub(crate) fn quit(app: AppHandle) {
    app::quit(&app);
}
