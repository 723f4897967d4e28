//! What is done when somebody chooses an entry of the tray's menu.

use std::path::PathBuf;

use evenfold_node::api::{ApiError, ErrorCode, PathText, Reply, Request};
use evenfold_node::text::format_time;
use jiff::Timestamp;
use tauri::AppHandle;

use crate::app;
use crate::shell::shell;
use crate::tray::menu::Action;
use crate::window;

/// Does it, without anybody waiting. What goes wrong is shown by the window.
pub(crate) fn perform(app: &AppHandle, action: Action) {
    match action {
        Action::Open(route) => window::open(app, route),
        Action::Quit => app::quit(app),
        Action::TakeOver => shell(app).engine.take_over(),
        other => {
            let app = app.clone();
            tauri::async_runtime::spawn(async move {
                if let Err(error) = carry_out(&app, other).await {
                    tracing::warn!(%error, "what was chosen in the tray could not be done");
                    window::open(&app, Some("/needs-you".to_owned()));
                }
            });
        }
    }
}

async fn carry_out(app: &AppHandle, action: Action) -> Result<(), ApiError> {
    let engine = std::sync::Arc::clone(&shell(app).engine);
    match action {
        Action::Folder(path) => open_path(&path)?,
        Action::Reveal(path, page) => {
            if reveal_path(&path).is_err() {
                window::open(app, Some(page));
            }
        }
        Action::Sync(relationship) => {
            let request = Request::Sync { relationship, dry_run: false, wait: false, timeout_seconds: None };
            engine.call(request).await?;
        }
        Action::Pause(relationship) => _ = engine.call(Request::RelPause { relationship }).await?,
        Action::Resume(relationship) => _ = engine.call(Request::RelResume { relationship }).await?,
        Action::PauseAll(time) => {
            let until = time.until(Timestamp::now()).map(format_time);
            engine.call(Request::PauseAll { until }).await?;
        }
        Action::ResumeAll => _ = engine.call(Request::ResumeAll).await?,
        Action::Retry => retry(&engine).await?,
        Action::Open(_) | Action::TakeOver | Action::Quit => {}
    }
    Ok(())
}

/// Tries all machines again that cannot be reached; the node does so by itself, only later.
async fn retry(engine: &crate::engine::Engine) -> Result<(), ApiError> {
    let Reply::Peers(peers) = engine.call(Request::PeerList).await? else { return Ok(()) };
    for peer in peers.into_iter().filter(|peer| !peer.online) {
        // That one cannot be reached is what the tray says already.
        if let Err(error) = engine.call(Request::PeerPing { peer: peer.fingerprint }).await {
            tracing::info!(%error, "still out of reach");
        }
    }
    Ok(())
}

/// Opens a file or folder with what the desktop has for it.
///
/// # Errors
/// When it is not there, or the desktop has nothing for it.
pub(crate) fn open_path(path: &PathText) -> Result<(), ApiError> {
    let path = existing(path)?;
    tauri_plugin_opener::open_path(&path, None::<&str>).map_err(|error| failed(&path, &error))
}

/// Shows a file or folder in the file manager.
///
/// # Errors
/// When it is not there, or there is no file manager.
pub(crate) fn reveal_path(path: &PathText) -> Result<(), ApiError> {
    let path = existing(path)?;
    tauri_plugin_opener::reveal_item_in_dir(&path).map_err(|error| failed(&path, &error))
}

fn existing(path: &PathText) -> Result<PathBuf, ApiError> {
    let path = PathBuf::try_from(path).map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()))?;
    match std::fs::symlink_metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) => {
            let message = format!("{} cannot be opened: {error}", path.display());
            Err(ApiError::new(ErrorCode::NotFound, message).with_hint("it was moved or removed meanwhile"))
        }
    }
}

fn failed(path: &std::path::Path, error: &tauri_plugin_opener::Error) -> ApiError {
    ApiError::new(ErrorCode::Io, format!("{} cannot be opened: {error}", path.display()))
        .with_hint("the desktop has no application for it; copy the path instead")
}
