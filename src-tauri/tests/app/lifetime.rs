//! Start, tray, window, close, second instance, end.

use std::process::Command;

use crate::desk::Desk;
use crate::node::{answers, run};
use crate::process::{eventually, web_process};

#[test]
fn hidden_start_shows_a_tray_and_the_window_comes_and_goes_with_its_web_process() {
    let desk = Desk::new();
    let mut app = desk.start(&["--background"]);
    let pid = app.0.id();
    desk.panel().until_says("No folders yet");
    assert_eq!(desk.panel().title(), "Evenfold");
    let (width, height, pixels) = desk.panel().icon();
    assert_eq!((width, height, pixels.len()), (24, 24, 24 * 24 * 4));
    let labels = desk.panel().labels();
    assert_eq!(labels, ["No folders yet", "Open Evenfold", "", "Settings…", "Quit – syncing stops"]);
    assert!(!desk.panel().menu()[0].enabled);
    assert_eq!((desk.window(), web_process(pid)), (None, None));

    desk.panel().choose("Open Evenfold");
    desk.until_window();
    eventually("the window has a web process", || web_process(pid));
    desk.close_window();
    eventually("the web process is gone", || web_process(pid).is_none().then_some(()));
    assert!(app.lives() && answers(&desk.node_home()));

    desk.panel().click();
    desk.until_window();

    desk.panel().choose("Quit");
    assert!(app.ends("the application ends").success());
    assert!(!answers(&desk.node_home()), "the node ended with the application");
}

#[test]
fn second_instance_opens_the_window_of_the_first_and_ends() {
    let desk = Desk::new();
    let mut app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let mut second = desk.start(&["--background"]);
    assert!(second.ends("the second instance ends").success());
    assert_eq!(desk.window(), None, "one that starts at login opens nothing");
    let mut third = desk.start(&["evenfold://machines"]);
    assert!(third.ends("the third instance ends").success());
    desk.until_window();
    assert!(app.lives());
}

#[test]
fn window_keeps_its_size_from_one_life_to_the_next() {
    let desk = Desk::new();
    let _app = desk.start(&[]);
    desk.panel().until_says("No folders yet");
    let window = desk.until_window();
    let size = |window: &str| {
        let mut command = desk.on(Command::new("xdotool"));
        let output = command.args(["getwindowgeometry", "--shell", window]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.parse::<i32>().ok()).unwrap_or(0)
        };
        (of("WIDTH="), of("HEIGHT="))
    };
    eventually("the window has its first size", || (size(&window) == (1040, 700)).then_some(()));
    desk.on(Command::new("xdotool")).args(["windowsize", "--sync", &window, "900", "600"]).status().unwrap();
    eventually("the window is smaller", || (size(&window) == (900, 600)).then_some(()));
    desk.close_window();
    desk.panel().click();
    let window = desk.until_window();
    eventually("the window has the size it had", || (size(&window) == (900, 600)).then_some(()));
}

#[test]
fn desktop_without_tray_is_told_once_and_the_application_ends_with_its_window() {
    let desk = Desk::without_panel();
    let mut app = desk.start(&[]);
    desk.until_window();
    let told = || desk.notifications.shown().iter().filter(|shown| shown.title.contains("no tray")).count();
    eventually("it is said that there is no tray", || (told() == 1).then_some(()));
    desk.close_window();
    assert!(app.ends("the application ends").success());
    // It is remembered.
    let memory = std::fs::read_to_string(desk.node_home().join("desktop.json")).unwrap();
    assert!(memory.contains("\"told_no_tray\": true"), "{memory}");
}

#[test]
fn panel_that_comes_after_the_application_gets_its_icon() {
    let mut desk = Desk::without_panel();
    let _app = desk.start(&["--background"]);
    eventually("the node answers", || answers(&desk.node_home()).then_some(()));
    desk.panel = Some(crate::panel::Panel::start(desk.bus()));
    desk.panel().until_says("No folders yet");
}

#[test]
fn signal_ends_the_application_in_order_and_nothing_is_left() {
    let desk = Desk::new();
    let mut app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    assert_eq!(run(&desk.node_home(), &["node", "show"])["name"], "desk");
    Command::new("kill").args(["-TERM", &app.0.id().to_string()]).status().unwrap();
    assert!(app.ends("the application ends").success());
    assert!(!desk.node_home().join("control.sock").exists());
}

#[test]
fn icon_follows_what_the_desktop_prefers() {
    let desk = Desk::new();
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let before = desk.panel().icon();
    desk.notifications.prefer(1);
    let dark = eventually("the icon is another", || Some(desk.panel().icon()).filter(|icon| *icon != before));
    desk.notifications.prefer(2);
    eventually("the icon is as before", || (desk.panel().icon() == before).then_some(()));
    assert_ne!(dark, before);
}
