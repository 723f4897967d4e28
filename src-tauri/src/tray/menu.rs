//! The menu of the tray as data, for each state. Pure; `show` makes it a native menu.

use evenfold_node::api::{HistoryRow, PathText, RelationshipStatus, Status};

use super::state::{Line, Link, Summary, TrayState};
use crate::words::{Locale, PauseFor};

/// Changes that are listed.
pub(crate) const RECENT: usize = 10;

/// Relationships that are listed; more are found in the window.
const MOST_RELATIONSHIPS: usize = 30;

/// Longest text of an entry, in characters: menus do not wrap.
const LONGEST: usize = 70;

/// What an entry does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Opens the window, on a page if one is named.
    Open(Option<String>),
    /// Opens a folder in the file manager.
    Folder(PathText),
    /// Shows a file in the file manager; if it is gone, the page of the window that tells of it.
    Reveal(PathText, String),
    /// Runs a cycle of a relationship.
    Sync(String),
    /// Pauses a relationship.
    Pause(String),
    /// Lets a relationship go on.
    Resume(String),
    /// Pauses everything.
    PauseAll(PauseFor),
    /// Lets everything go on.
    ResumeAll,
    /// Tries all machines again.
    Retry,
    /// Runs the node here, where its daemon has ended.
    TakeOver,
    /// Ends the application.
    Quit,
}

/// An entry of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Can be chosen, unless it does nothing.
    Item {
        /// What it says.
        text: String,
        /// What it does; it is greyed if that is nothing.
        action: Option<Action>,
    },
    /// Opens more entries.
    Submenu {
        /// What it says.
        text: String,
        /// What is in it.
        entries: Vec<Entry>,
    },
    /// A line.
    Separator,
}

fn item(text: impl Into<String>, action: Action) -> Entry {
    Entry::Item { text: shortened(text.into()), action: Some(action) }
}

fn note(text: impl Into<String>) -> Entry {
    Entry::Item { text: shortened(text.into()), action: None }
}

fn submenu(text: impl Into<String>, entries: Vec<Entry>) -> Entry {
    Entry::Submenu { text: shortened(text.into()), entries }
}

fn shortened(text: String) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// What the menu is made from.
pub(crate) struct Facts<'a> {
    /// Where the node stands.
    pub(crate) link: &'a Link,
    /// What the tray says.
    pub(crate) summary: &'a Summary,
    /// What is known of the relationships.
    pub(crate) status: Option<&'a Status>,
    /// What was changed last, newest first.
    pub(crate) recent: &'a [HistoryRow],
}

/// Returns the menu.
pub(crate) fn menu(facts: &Facts<'_>, locale: Locale) -> Vec<Entry> {
    let say = |english, german| locale.pick(english, german);
    let relationships = facts.status.map(|status| status.relationships.as_slice()).unwrap_or_default();
    let answers = matches!(facts.link, Link::Running { .. });
    let mut entries = vec![note(locale.line(&facts.summary.line))];
    entries.extend(remedies(facts, locale));
    entries.push(item(say("Open Evenfold", "Evenfold öffnen"), Action::Open(None)));
    if facts.summary.needs.len() > 1 {
        let needs =
            facts.summary.needs.iter().map(|need| item(locale.need(need), Action::Open(Some(need.route()))));
        let label = say("Needs you", "Wartet auf Sie");
        entries.push(submenu(format!("{label} ({})", facts.summary.needs.len()), needs.collect()));
    }
    entries.push(Entry::Separator);
    if answers && !relationships.is_empty() {
        let shown = relationships.iter().take(MOST_RELATIONSHIPS);
        let mut list: Vec<Entry> = shown.map(|one| relationship(one, locale)).collect();
        if relationships.len() > MOST_RELATIONSHIPS {
            list.push(item(say("All…", "Alle …"), Action::Open(None)));
        }
        entries.push(submenu(say("Relationships", "Beziehungen"), list));
        if !facts.recent.is_empty() {
            let list = facts.recent.iter().take(RECENT).map(|row| change(row, relationships)).collect();
            entries.push(submenu(say("Recent changes", "Letzte Änderungen"), list));
        }
        let paused = relationships.iter().filter(|one| one.state == "paused").count();
        if paused < relationships.len() {
            let list = PauseFor::ALL.map(|one| item(one.label(locale), Action::PauseAll(one)));
            entries.push(submenu(say("Pause all", "Alles anhalten"), list.to_vec()));
        }
        entries.push(Entry::Separator);
    }
    entries.push(item(say("Settings…", "Einstellungen …"), Action::Open(Some("/settings".to_owned()))));
    let quit = match facts.link {
        Link::Running { attached: false } => say("Quit – syncing stops", "Beenden – der Abgleich hört auf"),
        Link::Running { attached: true } => {
            say("Quit – the service goes on syncing", "Beenden – der Dienst gleicht weiter ab")
        }
        _ => say("Quit", "Beenden"),
    };
    entries.push(item(quit, Action::Quit));
    entries
}

/// What stands before everything else, because it is what the state calls for.
fn remedies(facts: &Facts<'_>, locale: Locale) -> Vec<Entry> {
    let say = |english, german| locale.pick(english, german);
    let page = |text: &str, route: String| item(text, Action::Open(Some(route)));
    let mut first = Vec::new();
    match (facts.link, facts.summary.needs.as_slice()) {
        (Link::Lost, _) => {
            first.push(item(say("Sync from here", "Von hier aus abgleichen"), Action::TakeOver))
        }
        (Link::Failed { .. }, _) => {
            first.push(item(say("Try again", "Noch einmal versuchen"), Action::TakeOver))
        }
        (_, [need]) if need.is_error() => first.push(page(say("Fix…", "Beheben …"), need.route())),
        (_, [need]) => first.push(page(say("Decide…", "Entscheiden …"), need.route())),
        (_, [need, ..]) if need.is_error() => first.push(page(say("Fix…", "Beheben …"), need.route())),
        _ => {}
    }
    match facts.summary.state {
        TrayState::Busy => {
            first.push(page(say("Show progress", "Fortschritt zeigen"), "/relationships".to_owned()))
        }
        TrayState::Offline | TrayState::Apart if !matches!(facts.summary.line, Line::Waiting { .. }) => {
            first.push(item(say("Retry now", "Jetzt versuchen"), Action::Retry));
        }
        _ => {}
    }
    if facts.status.is_some_and(|status| status.relationships.iter().any(|one| one.state == "paused")) {
        first.push(item(say("Resume", "Fortsetzen"), Action::ResumeAll));
    }
    first
}

fn relationship(one: &RelationshipStatus, locale: Locale) -> Entry {
    let say = |english, german| locale.pick(english, german);
    let mut entries = Vec::new();
    if let Some(path) = one.endpoints.first().and_then(|endpoint| endpoint.path.clone()) {
        entries.push(item(say("Open folder", "Ordner öffnen"), Action::Folder(path)));
    }
    if one.state == "paused" {
        entries.push(item(say("Resume", "Fortsetzen"), Action::Resume(one.id.clone())));
    } else {
        // The hub of a relationship only serves; its spokes sync.
        if one.role != "hub" {
            entries.push(item(say("Sync now", "Jetzt abgleichen"), Action::Sync(one.id.clone())));
        }
        entries.push(item(say("Pause", "Pause"), Action::Pause(one.id.clone())));
    }
    let page = format!("/relationships/{}", one.id);
    entries.push(item(say("Details…", "Einzelheiten …"), Action::Open(Some(page))));
    submenu(format!("{} – {}", one.name, told(one, locale)), entries)
}

fn told(one: &RelationshipStatus, locale: Locale) -> String {
    if let Some(progress) = &one.progress {
        return locale.progress(progress.bytes_done, progress.bytes_total, progress.eta_seconds);
    }
    let word = match one.state.as_str() {
        "in-sync" => locale.pick("up to date", "gleich"),
        "syncing" => locale.pick("syncing", "gleicht ab"),
        "scanning" => locale.pick("checking", "prüft"),
        "differs" => locale.pick("differs", "weicht ab"),
        "conflicts" => locale.pick("conflicts", "Konflikte"),
        "held" => locale.pick("held", "angehalten, wartet auf Sie"),
        "paused" => locale.pick("paused", "pausiert"),
        "waiting" => locale.pick("nobody has joined", "niemand ist beigetreten"),
        _ if one.endpoints.iter().any(|endpoint| !endpoint.online) => {
            locale.pick("offline", "nicht erreichbar")
        }
        _ => locale.pick("not compared yet", "noch nicht verglichen"),
    };
    word.to_owned()
}

fn change(row: &HistoryRow, relationships: &[RelationshipStatus]) -> Entry {
    let path = row.path.as_ref().map(|path| path.path.as_str()).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let one = relationships.iter().find(|one| one.name == row.relationship || one.id == row.relationship);
    let page = one.map_or_else(|| "/history".to_owned(), |one| format!("/relationships/{}/history", one.id));
    let root = one.and_then(|one| one.endpoints.first()).and_then(|endpoint| endpoint.path.as_ref());
    let file = root.zip(row.path.as_ref()).and_then(|(root, below)| joined(root, below));
    let text = format!("{name} – {} · {} → {}", row.relationship, row.node, row.on);
    match file {
        Some(file) => item(text, Action::Reveal(file, page)),
        None => item(text, Action::Open(Some(page))),
    }
}

/// The path of a file below a folder.
fn joined(root: &PathText, below: &PathText) -> Option<PathText> {
    use evenfold_node::text::{path_bytes, path_text};
    let mut bytes = path_bytes(root).ok()?;
    bytes.push(b'/');
    bytes.extend(path_bytes(below).ok()?);
    Some(path_text(&bytes))
}

#[cfg(test)]
#[path = "menu_tests.rs"]
mod tests;
