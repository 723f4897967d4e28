use super::super::state::tests::{relationship, status};
use super::super::state::{Link, summarise};
use super::*;
use crate::words::Locale;

const RUNNING: Link = Link::Running { attached: false };

fn built(link: &Link, status: Option<&Status>, recent: &[HistoryRow]) -> Vec<Entry> {
    let summary = summarise(link, status);
    menu(&Facts { link, summary: &summary, status, recent }, Locale::En)
}

/// Texts of the entries; what cannot be chosen in brackets, submenus with an arrow.
fn texts(entries: &[Entry]) -> Vec<String> {
    let text = |entry: &Entry| match entry {
        Entry::Item { text, action: Some(_) } => text.clone(),
        Entry::Item { text, action: None } => format!("({text})"),
        Entry::Submenu { text, .. } => format!("{text} >"),
        Entry::Separator => "-".to_owned(),
    };
    entries.iter().map(text).collect()
}

fn below<'e>(entries: &'e [Entry], wanted: &str) -> &'e [Entry] {
    entries
        .iter()
        .find_map(|entry| match entry {
            Entry::Submenu { text, entries } if text.starts_with(wanted) => Some(entries.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

fn of_state(state: &str) -> Vec<String> {
    texts(&built(&RUNNING, Some(&status(vec![relationship("Photos", state)])), &[]))
}

#[test]
fn quiet_menu_offers_everything_and_asks_for_nothing() {
    let entries = of_state("in-sync");
    assert!(entries[0].starts_with("(Up to date, verified "), "{entries:?}");
    let expected =
        ["Open Evenfold", "-", "Relationships >", "Pause all >", "-", "Settings…", "Quit – syncing stops"];
    assert_eq!(entries[1..], expected);
}

#[test]
fn each_state_brings_what_it_calls_for_before_everything_else() {
    assert_eq!(of_state("paused")[..3], ["(Paused)", "Resume", "Open Evenfold"]);
    assert!(!of_state("paused").contains(&"Pause all >".to_owned()), "nothing is left to pause");

    let mut conflicts = relationship("Code", "conflicts");
    conflicts.conflicts = 2;
    let one = built(&RUNNING, Some(&status(vec![conflicts.clone()])), &[]);
    assert_eq!(texts(&one)[..3], ["(2 conflicts in Code)", "Decide…", "Open Evenfold"]);
    let page = Some("/relationships/id-Code/conflicts".to_owned());
    assert!(matches!(&one[1], Entry::Item { action: Some(Action::Open(to)), .. } if *to == page));

    let mut other = conflicts.clone();
    other.id = "other".to_owned();
    let two = built(&RUNNING, Some(&status(vec![conflicts, other])), &[]);
    assert_eq!(texts(&two)[..3], ["(2 things need you)", "Open Evenfold", "Needs you (2) >"]);
    assert_eq!(below(&two, "Needs you").len(), 2);

    let mut away = relationship("Music", "unknown");
    away.endpoints[1].online = false;
    let offline = built(&RUNNING, Some(&status(vec![away])), &[]);
    assert_eq!(texts(&offline)[..2], ["(No other machine can be reached)", "Retry now"]);
}

#[test]
fn menu_without_a_node_offers_no_work_but_a_way_out() {
    let starting = texts(&built(&Link::Starting, None, &[]));
    assert_eq!(starting, ["(Starting…)", "Open Evenfold", "-", "Settings…", "Quit"]);
    let lost = texts(&built(&Link::Lost, None, &[]));
    assert_eq!(lost[1], "Sync from here");
    let failed = Link::Failed { message: "the port is taken".to_owned(), hint: None };
    assert_eq!(texts(&built(&failed, None, &[]))[1], "Try again");
}

#[test]
fn quitting_says_what_it_means_for_syncing() {
    let quit = |attached| texts(&built(&Link::Running { attached }, Some(&status(Vec::new())), &[])).pop();
    assert_eq!(quit(false).as_deref(), Some("Quit – syncing stops"));
    assert_eq!(quit(true).as_deref(), Some("Quit – the service goes on syncing"));
}

#[test]
fn relationship_offers_its_folder_a_sync_and_a_pause() {
    let mut one = relationship("Photos", "in-sync");
    one.endpoints[0].path = Some(PathText { path: "/home/u/Photos".into(), path_bytes: None });
    let entries = built(&RUNNING, Some(&status(vec![one.clone()])), &[]);
    let list = below(&entries, "Relationships");
    assert_eq!(texts(list), ["Photos – up to date >"]);
    assert_eq!(texts(below(list, "Photos")), ["Open folder", "Sync now", "Pause", "Details…"]);
    one.role = "hub".to_owned();
    one.state = "paused".to_owned();
    let entries = built(&RUNNING, Some(&status(vec![one])), &[]);
    assert_eq!(
        texts(below(below(&entries, "Relationships"), "Photos")),
        ["Open folder", "Resume", "Details…"]
    );
}

#[test]
fn recent_change_is_shown_where_it_lies() {
    let mut one = relationship("Photos", "in-sync");
    one.endpoints[0].path = Some(PathText { path: "/p".into(), path_bytes: None });
    let row = HistoryRow {
        id: 1,
        time: "2026-11-21T14:02:00Z".into(),
        relationship: "Photos".into(),
        path: Some(PathText { path: "a/b\u{fffd}".into(), path_bytes: Some("YS9i6Q==".into()) }),
        kind: "create".into(),
        node: "desk".into(),
        on: "nas".into(),
        bytes: Some(1),
        detail: None,
    };
    let entries = built(&RUNNING, Some(&status(vec![one])), &[row]);
    let [Entry::Item { text, action: Some(Action::Reveal(path, page)) }] = below(&entries, "Recent") else {
        panic!("{entries:?}")
    };
    assert_eq!(text, "b\u{fffd} – Photos · desk → nas");
    assert_eq!(
        (path.path_bytes.as_deref(), page.as_str()),
        (Some("L3AvYS9i6Q=="), "/relationships/id-Photos/history")
    );
}

#[test]
fn texts_fit_into_a_menu() {
    let name = "x".repeat(500);
    let entries = built(&RUNNING, Some(&status(vec![relationship(&name, "in-sync")])), &[]);
    let list = texts(below(&entries, "Relationships"));
    assert!(list.iter().all(|text| text.chars().count() <= LONGEST + 3), "{list:?}");
    let many = (0..100).map(|n| relationship(&n.to_string(), "in-sync")).collect();
    let entries = built(&RUNNING, Some(&status(many)), &[]);
    assert_eq!(below(&entries, "Relationships").len(), MOST_RELATIONSHIPS + 1);
}
