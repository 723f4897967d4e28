//! A day of two machines, in the window of the real application: everything by clicks and keys, as a person does it.

use std::path::{Path, PathBuf};

use crate::desk::Desk;
use crate::driver::Window;
use crate::node::{Daemon, answers, run};
use crate::process::eventually;

/// At this rate, a file of this many bytes is to be seen travelling for some seconds.
const RATE: &str = "10MB/s";
const LARGE: u64 = 80_000_000;

#[test]
fn two_machines_are_paired_share_a_folder_disagree_and_agree_again_in_the_window() {
    let desk = Desk::new();
    let nas = Daemon::start("nas");
    let window = Window::open(&desk, &[]);
    pair(&window, &nas);
    let (here, there) = begin(&window, &desk, &nas);

    // An edit on either side arrives on the other, and the window shows it by itself.
    write(&there, "regatta.txt", "Sunday at ten\n");
    window.until_text("regatta.txt");
    holds(&here, "regatta.txt", "Sunday at ten\n");
    write(&here, "harbour.txt", "eight boats\n");
    holds(&there, "harbour.txt", "eight boats\n");

    pauses_and_decides(&window, &here, &there);
    merges(&window, &here, &there);
    restores(&window, &here, &there);
    joins_and_sees_progress(&window, &desk, &nas);

    // Among the machine's own settings: a relationship has a page of that name, too.
    window.script("location.hash = '#/settings'");
    window.press("General");
    let app = window.application().unwrap();
    window.press("Quit Evenfold");
    eventually("the application ends", || (!Path::new(&format!("/proc/{app}")).exists()).then_some(()));
    assert!(!answers(&desk.node_home()), "the node ended with it");
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[track_caller]
fn holds(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    let mut last = None;
    let came = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the content is there", || {
            last = std::fs::read_to_string(&path).ok();
            (last.as_deref() == Some(text)).then_some(())
        });
    }));
    assert!(came.is_ok(), "{} holds {last:?} instead of {text:?}", path.display());
}

/// Types the code that the other machine shows.
fn pair(window: &Window, nas: &Daemon) {
    window.until_text("Two folders, kept even");
    window.press("Machines");
    window.press("Pair a machine");
    window.press("Enter a code");
    let offer = nas.run(&["pair", "offer", "--no-wait"]);
    window.fill("Code from the other machine", offer["code"].as_str().unwrap());
    window.fill("Its address", offer["addresses"][0].as_str().unwrap());
    window.press("Pair");
    window.until_text("Do both screens show this?");
    window.press("Yes, the same");
    window.until_text("nas is paired.");
}

/// Goes through the three steps; returns the folders here and there.
fn begin(window: &Window, desk: &Desk, nas: &Daemon) -> (PathBuf, PathBuf) {
    let (here, there) = (desk.path("home/Boats"), nas.folder("boats"));
    std::fs::create_dir(&here).unwrap();
    write(&here, "harbour.txt", "seven boats\n");
    write(&here, "crew.txt", "Ada, Bo\n");
    window.press("Relationships");
    window.press("New relationship");
    window.fill("Folder on this machine", here.to_str().unwrap());
    window.fill("Folder on nas", there.to_str().unwrap());
    // Proposed after the folder.
    window.press("Next");
    window.until_text("What changes on either side arrives on the other.");
    window.press("Next");
    window.until_text("Add 2 files on nas");
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0, "a preview writes nothing");
    assert!(run(&desk.node_home(), &["rel", "list"])["relationships"].as_array().unwrap().is_empty());
    window.press("Start");
    window.until_text("Even on both machines.");
    holds(&there, "harbour.txt", "seven boats\n");
    holds(&there, "crew.txt", "Ada, Bo\n");
    (here, there)
}

/// Joins what the other machine shares, in the other wizard; then a large file travels, and one sees how far it is.
fn joins_and_sees_progress(window: &Window, desk: &Desk, nas: &Daemon) {
    let (here, there) = (desk.path("home/Films"), nas.folder("films"));
    std::fs::create_dir(&here).unwrap();
    write(&there, "list.txt", "one film\n");
    nas.run(&["share", there.to_str().unwrap(), "--name", "Films"]);
    window.script("location.hash = '#/join'");
    window.press("From a paired machine");
    window.choose("Machine", "nas");
    window.press("Films");
    window.press("Next");
    window.fill("Folder on this machine", here.to_str().unwrap());
    window.press("Next");
    window.until_text("Add 1 file on desk");
    assert_eq!(std::fs::read_dir(&here).unwrap().count(), 0, "a preview writes nothing");
    window.press("Start");
    window.until_text("Even on both machines.");
    holds(&here, "list.txt", "one film\n");

    // A slow line, so that one has the time to look.
    run(&desk.node_home(), &["rel", "edit", "Films", "--set", &format!("limit.down={RATE}")]);
    let aside = there.with_file_name("film.part");
    let made = std::process::Command::new("head")
        .args(["-c", &LARGE.to_string(), "/dev/urandom"])
        .stdout(std::fs::File::create(&aside).unwrap())
        .status();
    assert!(made.unwrap().success());
    std::fs::rename(&aside, there.join("film.mov")).unwrap();
    window.until_text("Travelling now");
    let share = || {
        let bars = "return [...document.querySelectorAll('[role=progressbar]')].map((bar) => Number(bar.ariaValueNow))";
        let bars = window.script(bars);
        bars.as_array()?.iter().filter_map(serde_json::Value::as_f64).reduce(f64::max)
    };
    let first = eventually("a share is shown", || share().filter(|share| *share > 0.0));
    eventually("the share grows", || share().filter(|share| *share > first));
    assert!(!here.join("film.mov").exists(), "nothing partial stands under its name");
    let size = || std::fs::metadata(here.join("film.mov")).map(|found| found.len()).ok();
    eventually("it has arrived", || (size() == Some(LARGE)).then_some(()));
    window.until_text("Even on both machines.");
}

/// Both sides edit while the relationship is paused; the conflict is decided for the other machine.
fn pauses_and_decides(window: &Window, here: &Path, there: &Path) {
    window.press("Pause");
    window.until_text("Paused.");
    write(here, "crew.txt", "Ada, Bo, Cy\n");
    write(there, "crew.txt", "Ada, Dee\n");
    window.press("Resume");
    window.until_text("1 file was changed on two machines.");
    assert_eq!(copies(here), 1, "both contents stand here");
    window.press("Decide");
    window.until_text("Ada, Bo, Cy");
    window.until_text("Ada, Dee");
    window.press("Keep nas\u{2019}s");
    window.until_text("crew.txt: nas\u{2019}s version stays.");
    for folder in [here, there] {
        holds(folder, "crew.txt", "Ada, Dee\n");
        eventually("the copy is gone", || (copies(folder) == 0).then_some(()));
    }
}

/// Another conflict, decided by a text that is put together from both.
fn merges(window: &Window, here: &Path, there: &Path) {
    window.press("Now");
    window.until_text("Even on both machines.");
    window.press("Pause");
    window.until_text("Paused.");
    write(here, "harbour.txt", "nine boats\n");
    write(there, "harbour.txt", "ten boats\n");
    window.press("Resume");
    window.until_text("1 file was changed on two machines.");
    window.press("Decide");
    window.until_text("nine boats");
    window.press("Merge\u{2026}");
    window.until_text("Merge harbour.txt");
    let result = "return [...document.querySelectorAll('[role=dialog] .cm-content')].at(-1)?.innerText ?? ''";
    let begun = eventually("the result can be edited", || {
        let text = window.script(result).as_str()?.trim().to_owned();
        text.contains("boats").then_some(text)
    });
    window.press("Keep the merged text");
    window.until_text("harbour.txt: your merged text stays.");
    for folder in [here, there] {
        holds(folder, "harbour.txt", &format!("{begun}\n"));
        eventually("the copy is gone", || (copies(folder) == 0).then_some(()));
    }
}

/// What was replaced here comes back, and travels like any edit.
fn restores(window: &Window, here: &Path, there: &Path) {
    write(there, "regatta.txt", "Monday at nine\n");
    holds(here, "regatta.txt", "Monday at nine\n");
    window.press("History");
    window.fill("Search in paths", "regatta.txt");
    window.press("Versions of regatta.txt");
    window.until_text("kept because it was replaced");
    window.until_text("Sunday at ten");
    window.press("Restore this version");
    window.until_text("regatta.txt was restored.");
    for folder in [here, there] {
        holds(folder, "regatta.txt", "Sunday at ten\n");
    }
}

/// Conflict copies in a folder.
fn copies(folder: &Path) -> usize {
    let names =
        std::fs::read_dir(folder).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.contains(".conflict-")).count()
}
