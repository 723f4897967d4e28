//! Notifications: one for each cause, and a click opens its page.

use std::time::Duration;

use crate::desk::Desk;
use crate::driver::Window;
use crate::node::{run, share};
use crate::process::eventually;

#[test]
fn conflict_is_told_once_and_a_click_opens_the_window() {
    let desk = Desk::new();
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let shared = share(&desk);
    desk.panel().until_says("Up to date");
    assert!(desk.notifications.shown().is_empty(), "{:?}", desk.notifications.shown());
    desk.panel().choose("Until I resume");
    desk.panel().until_says("Paused");
    std::fs::write(shared.here.join("notes.txt"), "from here\n").unwrap();
    std::fs::write(shared.there.join("notes.txt"), "from there\n").unwrap();
    desk.panel().choose("Resume");
    let shown = eventually("a notification is shown", || desk.notifications.shown().first().cloned());
    assert_eq!(shown.title, "1 conflict in Code", "{shown:?}");
    assert!(shown.body.starts_with("Both versions are kept."), "{shown:?}");
    assert!(shown.actions.contains(&"default".to_owned()), "{shown:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(desk.notifications.shown().len(), 1, "one cause is told once");
    assert_eq!(desk.window(), None);
    desk.notifications.click(shown.id);
    desk.until_window();
}

#[test]
fn click_leads_the_open_window_to_the_cause() {
    let desk = Desk::new();
    let window = Window::open(&desk, &["evenfold://machines"]);
    window.until_text("Machines that this one has paired with.");
    let shared = share(&desk);
    run(&desk.node_home(), &["rel", "pause", "Code"]);
    std::fs::write(shared.here.join("notes.txt"), "from here\n").unwrap();
    std::fs::write(shared.there.join("notes.txt"), "from there\n").unwrap();
    run(&desk.node_home(), &["rel", "resume", "Code"]);
    let shown = eventually("a notification is shown", || desk.notifications.shown().first().cloned());
    assert_eq!(shown.title, "1 conflict in Code", "{shown:?}");
    desk.notifications.click(shown.id);
    window.until_text("Keep nas\u{2019}s");
    let all = window.request(serde_json::json!({ "request": "rel-list" })).unwrap();
    let page = format!("#/relationships/{}/conflicts", all[0]["id"].as_str().unwrap());
    assert_eq!(window.script("return location.hash"), page);
    // A second instance with an address leads it on.
    let mut second = desk.start(&["evenfold://history"]);
    assert!(second.ends("the second instance ends").success());
    window.until_text("What was done in all relationships, and by which machine.");
}
