//! The tray while things happen: idle, busy, attention, paused, offline.

use crate::desk::Desk;
use crate::node::{run, share};
use crate::process::eventually;

#[test]
fn tray_shows_idle_attention_paused_and_offline_each_with_its_own_shape() {
    let desk = Desk::new();
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let mut shared = share(&desk);
    desk.panel().until_says("Up to date, verified ");
    let shape = |desk: &Desk| -> Vec<bool> {
        // ARGB: the first byte of a pixel says whether it is drawn.
        desk.panel().icon().2.chunks(4).map(|pixel| pixel[0] > 96).collect()
    };
    let ok = shape(&desk);
    assert_eq!(desk.panel().labels()[1], "Open Evenfold");

    desk.panel().choose("Until I resume");
    desk.panel().until_says("Paused");
    let paused = shape(&desk);
    // Both sides edit while they are apart.
    std::fs::write(shared.here.join("notes.txt"), "from here\n").unwrap();
    std::fs::write(shared.there.join("notes.txt"), "from there\n").unwrap();
    desk.panel().choose("Resume");
    desk.panel().until_says("1 conflict in Code");
    let attention = shape(&desk);
    assert_eq!(desk.panel().labels()[1], "Decide…");

    let conflicts = run(&desk.node_home(), &["conflicts", "Code"]);
    let id = conflicts["conflicts"][0]["id"].as_str().unwrap_or_else(|| panic!("{conflicts}")).to_owned();
    run(&desk.node_home(), &["resolve", &id, "--keep", "both"]);
    desk.panel().until_says("Up to date");

    shared.other.terminate();
    desk.panel().until_says("No other machine can be reached");
    let offline = shape(&desk);
    assert_eq!(desk.panel().labels()[1], "Retry now");

    let shapes = [&ok, &paused, &attention, &offline];
    for (at, one) in shapes.iter().enumerate() {
        for other in &shapes[at + 1..] {
            assert_ne!(one, other);
        }
    }
}

#[test]
fn tray_counts_down_while_content_travels_and_offers_its_relationship() {
    let desk = Desk::new();
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let shared = share(&desk);
    desk.panel().until_says("Up to date");
    let labels: Vec<String> =
        desk.panel().entry("Code – ").children.into_iter().map(|entry| entry.label).collect();
    assert_eq!(labels, ["Open folder", "Sync now", "Pause", "Details…"]);
    // Large enough that it travels for a while, and like nothing that is there already.
    let large = shared.there.join("large");
    let file = std::fs::File::create(&large).unwrap();
    let made = std::process::Command::new("head").args(["-c", "400M", "/dev/urandom"]).stdout(file).status();
    assert!(made.unwrap().success());
    desk.panel().until_says("Syncing 1: ");
    desk.panel().entry("Show progress");
    let size = |path: &std::path::Path| std::fs::metadata(path).map(|found| found.len()).ok();
    eventually("the file has arrived", || (size(&shared.here.join("large")) == size(&large)).then_some(()));
    desk.panel().until_says("Up to date");
    desk.panel().entry("large – Code");
}
