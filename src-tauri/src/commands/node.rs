//! Requests to the node.

use std::sync::Arc;

use evenfold_node::api::{ApiError, Content, ErrorCode, Folder, PathText, Reply, Request};
use tauri::{AppHandle, State};

use crate::shell::{Shell, shell};

/// Asks the node one thing. What happens meanwhile comes as events.
#[tauri::command]
pub(crate) async fn request(app: AppHandle, request: serde_json::Value) -> Result<Reply, ApiError> {
    // Read here rather than by Tauri, whose refusal is a bare text without a code.
    let request: Request = serde_json::from_value(request).map_err(|error| {
        ApiError::new(ErrorCode::Usage, format!("this request is not understood: {error}"))
            .with_hint("if Evenfold was updated, start it again")
    })?;
    if matches!(request, Request::Subscribe | Request::Shutdown) {
        let message = "the window has events without asking, and ends the application by its own command";
        return Err(ApiError::new(ErrorCode::Usage, message));
    }
    let engine = Arc::clone(&shell(&app).engine);
    engine.call(request).await
}

/// Runs the node here after its daemon has ended, or tries again what failed.
#[tauri::command]
pub(crate) fn take_over(shell: State<'_, Shell>) {
    shell.engine.take_over();
}

/// Reads what can be shown of a file below the folder of a relationship, or of one of its versions.
#[tauri::command]
pub(crate) async fn read_text(
    app: AppHandle,
    relationship: String,
    path: PathText,
    version: Option<String>,
    max_bytes: u64,
) -> Result<Content, ApiError> {
    let engine = Arc::clone(&shell(&app).engine);
    match engine.call(Request::Content { relationship, path, version, max_bytes }).await? {
        Reply::Content(content) => Ok(content),
        _ => Err(unexpected()),
    }
}

/// Counts what a folder holds.
#[tauri::command]
pub(crate) async fn scan_folder(
    app: AppHandle,
    path: PathText,
    patterns: Vec<String>,
) -> Result<Folder, ApiError> {
    let engine = Arc::clone(&shell(&app).engine);
    match engine.call(Request::Folder { path, patterns }).await? {
        Reply::Folder(folder) => Ok(folder),
        _ => Err(unexpected()),
    }
}

/// A reply of another kind than the request has. Cannot happen between equal versions.
pub(super) fn unexpected() -> ApiError {
    ApiError::new(ErrorCode::Internal, "the running service answered something else than was asked")
        .with_hint("if Evenfold was updated, restart its service")
}
