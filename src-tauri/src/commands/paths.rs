//! Folders and files of the machine: chosen by a person, or below what is synced.

use std::path::PathBuf;
use std::sync::Arc;

use evenfold_node::api::{ApiError, ErrorCode, PathText, Reply, Request};
use tauri::AppHandle;
use tauri_plugin_dialog::DialogExt as _;
use tokio::sync::oneshot;

use super::node::unexpected;
use crate::actions;
use crate::shell::shell;
use crate::window;

/// Lets a person choose a folder; nothing if they do not.
#[tauri::command]
pub(crate) async fn pick_folder(app: AppHandle) -> Result<Option<PathText>, ApiError> {
    use tauri::Manager as _;
    let (tell, told) = oneshot::channel();
    let mut dialog = app.dialog().file();
    if let Some(window) = app.get_webview_window(window::LABEL) {
        dialog = dialog.set_parent(&window);
    }
    dialog.pick_folder(move |chosen| {
        // Whoever asked may be gone with the window.
        _ = tell.send(chosen);
    });
    // An end without an answer means that the dialog is gone.
    let Some(chosen) = told.await.ok().flatten() else { return Ok(None) };
    let path = chosen.into_path().map_err(|error| ApiError::new(ErrorCode::Folder, error.to_string()))?;
    Ok(Some(PathText::from(path.as_path())))
}

/// Longest text that is saved, in bytes: a list of a million differing paths fits.
const LONGEST_TEXT: usize = 256 << 20;

/// Lets a person choose where to save a text, and writes it there; nothing if they do not choose. Returns where.
#[tauri::command]
pub(crate) async fn save_text(
    app: AppHandle,
    name: String,
    text: String,
) -> Result<Option<String>, ApiError> {
    use tauri::Manager as _;
    if text.len() > LONGEST_TEXT {
        let message = format!("the text is longer than {LONGEST_TEXT} bytes; nothing was saved");
        return Err(ApiError::new(ErrorCode::Usage, message));
    }
    let (tell, told) = oneshot::channel();
    let mut dialog = app.dialog().file().set_file_name(plain_name(&name));
    if let Some(window) = app.get_webview_window(window::LABEL) {
        dialog = dialog.set_parent(&window);
    }
    dialog.save_file(move |chosen| {
        // Whoever asked may be gone with the window.
        _ = tell.send(chosen);
    });
    // An end without an answer means that the dialog is gone.
    let Some(chosen) = told.await.ok().flatten() else { return Ok(None) };
    let path = chosen.into_path().map_err(|error| ApiError::new(ErrorCode::Folder, error.to_string()))?;
    let place = path.display().to_string();
    let written = tauri::async_runtime::spawn_blocking(move || std::fs::write(path, text)).await;
    written.map_err(std::io::Error::other).flatten().map_err(|error| {
        ApiError::new(ErrorCode::Io, format!("{place} could not be written: {error}"))
            .with_hint("choose another place")
    })?;
    Ok(Some(place))
}

/// What a proposed name is without folders: where a text goes is for a person to choose.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() { "evenfold.txt".to_owned() } else { plain.to_owned() }
}

/// Opens a file or folder below what is synced with what the desktop has for it.
#[tauri::command]
pub(crate) async fn open_path(app: AppHandle, path: PathText) -> Result<(), ApiError> {
    below_a_root(&app, &path).await?;
    actions::open_path(&path)
}

/// Shows a file or folder below what is synced in the file manager.
#[tauri::command]
pub(crate) async fn reveal_path(app: AppHandle, path: PathText) -> Result<(), ApiError> {
    below_a_root(&app, &path).await?;
    actions::reveal_path(&path)
}

/// The window may open what is synced and nothing else: a page that is not itself any more must not start programs.
async fn below_a_root(app: &AppHandle, path: &PathText) -> Result<(), ApiError> {
    let engine = Arc::clone(&shell(app).engine);
    let Reply::Relationships(all) = engine.call(Request::RelList).await? else { return Err(unexpected()) };
    let wanted = real(path)?;
    let own = shell(app).engine.home().log_dir();
    let inside = wanted.starts_with(&own)
        || all.iter().filter_map(|one| real(&one.path).ok()).any(|root| wanted.starts_with(root));
    if inside {
        return Ok(());
    }
    let message = format!("{} is in no folder that is synced", wanted.display());
    Err(ApiError::new(ErrorCode::Refused, message).with_hint("open it with the file manager"))
}

/// Where a path really leads, all links followed.
fn real(path: &PathText) -> Result<PathBuf, ApiError> {
    let path = PathBuf::try_from(path).map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()))?;
    path.canonicalize().map_err(|error| {
        ApiError::new(ErrorCode::NotFound, format!("{} cannot be opened: {error}", path.display()))
            .with_hint("it was moved or removed meanwhile")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_name_is_never_a_way_to_another_folder() {
        for (name, expected) in [
            ("Photos-drift.csv", "Photos-drift.csv"),
            ("../../.bashrc", "bashrc"),
            ("/etc/passwd", "passwd"),
            ("C:\\x\\y.csv", "y.csv"),
            ("a\nb.csv", "ab.csv"),
            ("..", "evenfold.txt"),
            ("", "evenfold.txt"),
        ] {
            assert_eq!(plain_name(name), expected, "{name:?}");
        }
    }
}
