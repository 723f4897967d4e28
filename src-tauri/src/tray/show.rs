//! The tray icon with its native menu.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tauri::menu::{Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager as _, Wry};

use super::icons::{Panel, icon};
use super::menu::{Action, Entry, Facts, menu};
use super::state::{Summary, TrayState};
use crate::actions;
use crate::shell::{Shell, fine_screen};
use crate::words::Locale;

/// Also its name on the session bus.
const ID: &str = "evenfold";

/// What is shown now.
#[derive(Default)]
pub(crate) struct Tray(Mutex<Option<Shown>>);

struct Shown {
    icon: TrayIcon,
    entries: Vec<Entry>,
    handles: Vec<Handle>,
    actions: HashMap<String, Action>,
    /// Menus built so far: what is chosen in an older one names nothing any more.
    generation: u64,
    look: (TrayState, Panel, bool),
    tooltip: String,
}

/// What of a native menu can be renamed, in the order of its entries.
enum Handle {
    Item(MenuItem<Wry>),
    Submenu(Submenu<Wry>),
}

/// What the tray has to show.
struct Wanted {
    entries: Vec<Entry>,
    look: (TrayState, Panel, bool),
    tooltip: String,
}

impl Tray {
    /// Tells whether there is one.
    pub(crate) fn is_shown(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes it away.
    pub(crate) fn hide(&self) {
        // Its end waits for the bus; nobody should wait for that with the lock.
        let shown = self.lock().take();
        drop(shown);
    }

    /// Returns what an entry of the menu does.
    fn action(&self, id: &str) -> Option<Action> {
        self.lock().as_ref().and_then(|shown| shown.actions.get(id).cloned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows a tray icon. Call it on the main thread.
///
/// # Errors
/// Where this desktop has no place for one.
pub(crate) fn create(app: &AppHandle) -> tauri::Result<()> {
    let shell = app.state::<Shell>();
    if shell.tray.is_shown() {
        return Ok(());
    }
    let wanted = wanted(app, &shell);
    let built = build(app, &wanted.entries, 0)?;
    let (state, panel, fine) = wanted.look;
    let icon = TrayIconBuilder::with_id(ID)
        .icon(icon(state, panel, fine))
        .icon_as_template(cfg!(target_os = "macos"))
        .title("Evenfold")
        .tooltip(&wanted.tooltip)
        .menu(&built.menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_menu_event(|app, event| {
            // Looked up before it is done: what is done may change the menu.
            let action = app.state::<Shell>().tray.action(event.id().as_ref());
            if let Some(action) = action {
                actions::perform(app, action);
            }
        })
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click {
                button: MouseButton::Left,
                button_state: MouseButtonState::Up,
                ..
            } = event
            {
                actions::perform(tray.app_handle(), Action::Open(None));
            }
        })
        .build(app)?;
    *shell.tray.lock() = Some(Shown {
        icon,
        entries: wanted.entries,
        handles: built.handles,
        actions: built.actions,
        generation: 0,
        look: wanted.look,
        tooltip: wanted.tooltip,
    });
    Ok(())
}

/// Brings the tray up to date with what is known. Call it on the main thread.
pub(crate) fn refresh(app: &AppHandle) {
    let shell = app.state::<Shell>();
    let wanted = wanted(app, &shell);
    let mut shown = shell.tray.lock();
    if let Some(shown) = shown.as_mut()
        && let Err(error) = shown.bring_to(app, wanted)
    {
        tracing::warn!(%error, "the tray could not be brought up to date");
    }
}

fn wanted(app: &AppHandle, shell: &Shell) -> Wanted {
    let overview = shell.overview.borrow().clone();
    let locale = Locale::chosen(shell.settings.get().locale);
    let summary: Summary = shell.summary();
    let facts = Facts {
        link: &overview.link,
        summary: &summary,
        status: overview.status.as_ref(),
        recent: &overview.recent,
    };
    let desktop = std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
    let panel = Panel::of(&desktop, shell.prefers_dark());
    Wanted {
        entries: menu(&facts, locale),
        look: (summary.state, panel, fine_screen(app)),
        tooltip: locale.line(&summary.line),
    }
}

impl Shown {
    fn bring_to(&mut self, app: &AppHandle, wanted: Wanted) -> tauri::Result<()> {
        if wanted.look != self.look {
            let (state, panel, fine) = wanted.look;
            self.icon.set_icon(Some(icon(state, panel, fine)))?;
            self.look = wanted.look;
        }
        if wanted.tooltip != self.tooltip {
            self.icon.set_tooltip(Some(&wanted.tooltip))?;
            self.tooltip = wanted.tooltip;
        }
        if wanted.entries == self.entries {
            return Ok(());
        }
        if same_shape(&wanted.entries, &self.entries) {
            // Renaming leaves a menu open that somebody is looking at.
            self.rename(&wanted.entries)?;
        } else {
            self.generation += 1;
            let built = build(app, &wanted.entries, self.generation)?;
            self.icon.set_menu(Some(built.menu))?;
            (self.handles, self.actions) = (built.handles, built.actions);
        }
        self.entries = wanted.entries;
        Ok(())
    }

    fn rename(&mut self, wanted: &[Entry]) -> tauri::Result<()> {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        flatten(&self.entries, &mut old);
        flatten(wanted, &mut new);
        for ((at, handle), (was, is)) in self.handles.iter().enumerate().zip(old.iter().zip(&new)) {
            match (handle, was, is) {
                (Handle::Item(item), Entry::Item { text: was, .. }, Entry::Item { text: is, action }) => {
                    if was != is {
                        item.set_text(escaped(is))?;
                    }
                    if let Some(action) = action {
                        self.actions.insert(id(self.generation, at), action.clone());
                    }
                }
                (
                    Handle::Submenu(item),
                    Entry::Submenu { text: was, .. },
                    Entry::Submenu { text: is, .. },
                ) if was != is => {
                    item.set_text(escaped(is))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Items and submenus in the order in which they are built.
fn flatten<'e>(entries: &'e [Entry], into: &mut Vec<&'e Entry>) {
    for entry in entries {
        match entry {
            Entry::Separator => {}
            Entry::Item { .. } => into.push(entry),
            Entry::Submenu { entries, .. } => {
                into.push(entry);
                flatten(entries, into);
            }
        }
    }
}

fn same_shape(a: &[Entry], b: &[Entry]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (Entry::Item { action: a, .. }, Entry::Item { action: b, .. }) => a.is_some() == b.is_some(),
            (Entry::Submenu { entries: a, .. }, Entry::Submenu { entries: b, .. }) => same_shape(a, b),
            (Entry::Separator, Entry::Separator) => true,
            _ => false,
        })
}

fn id(generation: u64, at: usize) -> String {
    format!("{generation}.{at}")
}

/// An ampersand marks a letter in menus; a real one is written twice.
fn escaped(text: &str) -> String {
    text.replace('&', "&&")
}

struct Built {
    menu: Menu<Wry>,
    handles: Vec<Handle>,
    actions: HashMap<String, Action>,
}

fn build(app: &AppHandle, entries: &[Entry], generation: u64) -> tauri::Result<Built> {
    let mut built = Built { menu: Menu::new(app)?, handles: Vec::new(), actions: HashMap::new() };
    for entry in entries {
        match entry {
            Entry::Item { text, action } => {
                let item = built.item(app, generation, text, action.as_ref())?;
                built.menu.append(&item)?;
            }
            Entry::Submenu { text, entries } => {
                let submenu = built.submenu(app, generation, text, entries)?;
                built.menu.append(&submenu)?;
            }
            Entry::Separator => built.menu.append(&PredefinedMenuItem::separator(app)?)?,
        }
    }
    Ok(built)
}

impl Built {
    fn item(
        &mut self,
        app: &AppHandle,
        generation: u64,
        text: &str,
        action: Option<&Action>,
    ) -> tauri::Result<MenuItem<Wry>> {
        let id = id(generation, self.handles.len());
        let item = MenuItem::with_id(app, &id, escaped(text), action.is_some(), None::<&str>)?;
        if let Some(action) = action {
            self.actions.insert(id, action.clone());
        }
        self.handles.push(Handle::Item(item.clone()));
        Ok(item)
    }

    fn submenu(
        &mut self,
        app: &AppHandle,
        generation: u64,
        text: &str,
        entries: &[Entry],
    ) -> tauri::Result<Submenu<Wry>> {
        let id = id(generation, self.handles.len());
        let submenu = Submenu::with_id(app, id, escaped(text), true)?;
        self.handles.push(Handle::Submenu(submenu.clone()));
        for entry in entries {
            match entry {
                Entry::Item { text, action } => {
                    submenu.append(&self.item(app, generation, text, action.as_ref())?)?
                }
                Entry::Submenu { text, entries } => {
                    submenu.append(&self.submenu(app, generation, text, entries)?)?
                }
                Entry::Separator => submenu.append(&PredefinedMenuItem::separator(app)?)?,
            }
        }
        Ok(submenu)
    }
}
