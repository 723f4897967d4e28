//! The window: made when somebody wants to see it, destroyed when it is closed, because a hidden web view costs three times
//! the memory of everything else.

use tauri::utils::config::Color;
use tauri::webview::WebviewWindowBuilder;
use tauri::{AppHandle, Manager as _, WebviewUrl};

use crate::events::tell;
use crate::shell::{Theme, shell};

/// Its label.
pub(crate) const LABEL: &str = "main";

/// Tells whether there is one.
pub(crate) fn is_open(app: &AppHandle) -> bool {
    app.get_webview_window(LABEL).is_some()
}

/// Brings the window to the front, on a page such as `/needs-you` if one is named; makes it if there is none. May be
/// called on any thread.
pub(crate) fn open(app: &AppHandle, route: Option<String>) {
    let handle = app.clone();
    let asked = app.run_on_main_thread(move || {
        if let Err(error) = open_here(&handle, route) {
            tracing::error!(%error, "the window cannot be opened");
        }
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "there is no main thread any more to open a window on");
    }
}

fn open_here(app: &AppHandle, route: Option<String>) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(LABEL) {
        window.unminimize()?;
        window.show()?;
        window.set_focus()?;
        if let Some(route) = route {
            #[derive(serde::Serialize)]
            struct Navigate {
                route: String,
            }
            tell(app, "evenfold://navigate", &Navigate { route });
        }
        return Ok(());
    }
    let theme = shell(app).window_theme();
    let page = format!("index.html#{}", route.as_deref().unwrap_or("/"));
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App(page.into()))
        .title("Evenfold")
        .inner_size(1040.0, 700.0)
        .min_inner_size(720.0, 480.0)
        .theme(theme.map(native))
        // What is seen until the page has drawn itself.
        .background_color(match theme {
            Some(Theme::Dark) => Color(0x14, 0x17, 0x1c, 0xff),
            _ => Color(0xf6, 0xf7, 0xf9, 0xff),
        })
        .build()?;
    Ok(())
}

/// Gives the window, and what the toolkit draws for it, the theme that holds now.
pub(crate) fn follow_theme(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL)
        && let Err(error) = window.set_theme(shell(app).window_theme().map(native))
    {
        tracing::debug!(%error, "the window cannot change its theme");
    }
}

fn native(theme: Theme) -> tauri::Theme {
    match theme {
        Theme::Light => tauri::Theme::Light,
        Theme::Dark => tauri::Theme::Dark,
    }
}
