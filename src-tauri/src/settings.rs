//! Settings of the desktop itself, in `desktop.json` of the home, with what it has to remember.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::home::Home;
use serde::{Deserialize, Serialize};

/// How the window looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ThemeChoice {
    /// As the desktop prefers.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// The language of window, tray and notifications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LocaleChoice {
    /// As the session says.
    #[default]
    System,
    /// English.
    En,
    /// German.
    De,
}

/// Which notifications are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Notifications {
    /// When something needs a person.
    pub(crate) needs_you: bool,
    /// What was done, once a day.
    pub(crate) daily_summary: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Notifications { needs_you: true, daily_summary: false }
    }
}

/// What a person can set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AppSettings {
    /// How the window looks.
    pub(crate) theme: ThemeChoice,
    /// The language.
    pub(crate) locale: LocaleChoice,
    /// Which notifications are shown.
    pub(crate) notifications: Notifications,
    /// Whether closing the window leaves the application in the tray.
    pub(crate) close_to_tray: bool,
}

impl Default for AppSettings {
    fn default() -> Self {
        AppSettings {
            theme: ThemeChoice::default(),
            locale: LocaleChoice::default(),
            notifications: Notifications::default(),
            close_to_tray: true,
        }
    }
}

/// What has to survive the end of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Whether it was said that this desktop shows no tray.
    pub(crate) told_no_tray: bool,
    /// The day of the last summary, `2026-11-21`.
    pub(crate) summary: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    settings: AppSettings,
    memory: Memory,
}

/// The settings, and the file that keeps them.
#[derive(Debug)]
pub(crate) struct Settings {
    file: PathBuf,
    kept: Mutex<Kept>,
}

impl Settings {
    /// Reads the settings of a home; defaults where there are none. A file that is damaged is told in the log and
    /// replaced at the next change: nothing in it is worth refusing to start.
    pub(crate) fn load(home: &Home) -> Settings {
        let file = home.dir().join("desktop.json");
        let kept = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, file = %file.display(), "the desktop's settings are damaged; defaults are used");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "the desktop's settings cannot be read; defaults are used");
                Kept::default()
            }
        };
        Settings { file, kept: Mutex::new(kept) }
    }

    /// Returns what a person has set.
    pub(crate) fn get(&self) -> AppSettings {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).settings.clone()
    }

    /// Returns what was remembered.
    pub(crate) fn memory(&self) -> Memory {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).memory.clone()
    }

    /// Changes what a person has set. Blocks while it is written.
    ///
    /// # Errors
    /// When the file cannot be written; nothing was changed then.
    pub(crate) fn set(&self, settings: AppSettings) -> Result<(), ApiError> {
        self.change(|kept| kept.settings = settings)
    }

    /// Changes what has to be remembered. Blocks while it is written.
    ///
    /// # Errors
    /// When the file cannot be written; nothing was changed then.
    pub(crate) fn remember(&self, change: impl FnOnce(&mut Memory)) -> Result<(), ApiError> {
        self.change(|kept| change(&mut kept.memory))
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), ApiError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = kept.clone();
        change(&mut wanted);
        if wanted != *kept {
            write(&self.file, &wanted).map_err(|error| {
                let message =
                    format!("{} cannot be written: {error}; nothing was changed", self.file.display());
                ApiError::new(ErrorCode::Io, message).with_hint("Make the home writable for this user.")
            })?;
            *kept = wanted;
        }
        Ok(())
    }
}

fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    let fresh = file.with_extension("json.new");
    let mut text = serde_json::to_vec_pretty(kept)?;
    text.push(b'\n');
    let mut opened = std::fs::File::create(&fresh)?;
    opened.write_all(&text)?;
    opened.sync_all()?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at(temporary.path().to_path_buf()).unwrap();
        (temporary, home)
    }

    #[test]
    fn settings_and_memory_survive_each_other_and_a_restart() {
        let (_temporary, home) = home();
        let settings = Settings::load(&home);
        assert_eq!(settings.get(), AppSettings::default());
        let dark = AppSettings { theme: ThemeChoice::Dark, ..AppSettings::default() };
        settings.set(dark.clone()).unwrap();
        settings.remember(|memory| memory.told_no_tray = true).unwrap();
        let again = Settings::load(&home);
        assert_eq!((again.get(), again.memory().told_no_tray), (dark, true));
    }

    #[test]
    fn damaged_or_partial_file_gives_defaults() {
        let (_temporary, home) = home();
        for (text, expected) in [
            ("{", AppSettings::default()),
            (
                r#"{"settings":{"locale":"de"}}"#,
                AppSettings { locale: LocaleChoice::De, ..AppSettings::default() },
            ),
        ] {
            std::fs::write(home.dir().join("desktop.json"), text).unwrap();
            assert_eq!(Settings::load(&home).get(), expected);
        }
    }

    #[test]
    fn settings_that_cannot_be_written_are_not_taken_over() {
        let (_temporary, home) = home();
        let settings = Settings::load(&home);
        std::fs::create_dir_all(home.dir().join("desktop.json.new/in the way")).unwrap();
        settings.set(AppSettings { close_to_tray: false, ..AppSettings::default() }).unwrap_err();
        assert!(settings.get().close_to_tray);
    }
}
