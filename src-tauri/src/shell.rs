//! What all parts of the shell share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tauri::{AppHandle, Manager as _};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::overview::Overview;
use crate::settings::{Settings, ThemeChoice};
use crate::tray::show::Tray;
use crate::tray::state::{Summary, summarise};

/// What the desktop prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What all parts of the shell share; Tauri keeps it.
pub(crate) struct Shell {
    /// The way to the node.
    pub(crate) engine: Arc<Engine>,
    /// Settings of the desktop.
    pub(crate) settings: Arc<Settings>,
    /// What is known of the node.
    pub(crate) overview: watch::Receiver<Overview>,
    /// The tray icon.
    pub(crate) tray: Tray,
    /// What the desktop prefers, where it says so.
    theme: Mutex<Option<Theme>>,
    /// Whether the tray icon is seen by somebody.
    tray_seen: AtomicBool,
    /// Whether the application is on its way out.
    ending: AtomicBool,
}

impl Shell {
    pub(crate) fn new(
        engine: Arc<Engine>,
        settings: Arc<Settings>,
        overview: watch::Receiver<Overview>,
    ) -> Shell {
        Shell {
            engine,
            settings,
            overview,
            tray: Tray::default(),
            theme: Mutex::new(None),
            tray_seen: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        }
    }

    /// Returns what the tray says now.
    pub(crate) fn summary(&self) -> Summary {
        let overview = self.overview.borrow();
        summarise(&overview.link, overview.status.as_ref())
    }

    /// Tells whether somebody sees the tray icon, so that the window may go away.
    pub(crate) fn has_tray(&self) -> bool {
        self.tray_seen.load(Ordering::Relaxed)
    }

    /// Notes whether somebody sees the tray icon.
    pub(crate) fn tray_changed(&self, seen: bool) {
        self.tray_seen.store(seen, Ordering::Relaxed);
    }

    /// Tells whether closing the window leaves the application running.
    pub(crate) fn lives_without_window(&self) -> bool {
        self.has_tray() && self.settings.get().close_to_tray
    }

    /// Notes that the application ends. Returns whether it was on its way out already.
    pub(crate) fn begin_to_end(&self) -> bool {
        self.ending.swap(true, Ordering::Relaxed)
    }

    /// Returns what the desktop prefers, where it says so.
    pub(crate) fn desktop_theme(&self) -> Option<Theme> {
        *self.theme.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the desktop prefers. Returns whether that is news.
    pub(crate) fn desktop_prefers(&self, theme: Option<Theme>) -> bool {
        let mut known = self.theme.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, theme) != theme
    }

    /// Returns how the window looks: as it was set, or as the desktop prefers.
    pub(crate) fn window_theme(&self) -> Option<Theme> {
        match self.settings.get().theme {
            ThemeChoice::System => self.desktop_theme(),
            ThemeChoice::Light => Some(Theme::Light),
            ThemeChoice::Dark => Some(Theme::Dark),
        }
    }

    /// Tells whether the desktop, and so its panel, is dark.
    pub(crate) fn prefers_dark(&self) -> bool {
        self.desktop_theme() == Some(Theme::Dark)
    }
}

/// Tells whether a screen has more than one pixel to a point.
pub(crate) fn fine_screen(app: &AppHandle) -> bool {
    app.primary_monitor().ok().flatten().is_some_and(|monitor| monitor.scale_factor() > 1.25)
}

/// Shortcut to what is shared.
pub(crate) fn shell(app: &AppHandle) -> tauri::State<'_, Shell> {
    app.state::<Shell>()
}
