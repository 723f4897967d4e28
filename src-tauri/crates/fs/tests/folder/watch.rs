//! What the watcher tells, and that acting on it finds everything.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use evenfold_fs::watch::{Event, Watch};

use super::*;

/// A watched folder. After each change [`Watched::settle`] does what the engine does: scans what is dirty.
struct Watched {
    folder: Folder,
    replica: Replica<RealDisk>,
    events: Receiver<Event>,
    /// Files that were written to and not closed.
    written: Receiver<RelPath>,
    _watch: Watch,
}

/// Generous: only a failing test waits so long.
const LIMIT: Duration = Duration::from_secs(20);

impl Watched {
    fn new(prepare: impl FnOnce(&Folder)) -> Self {
        let folder = Folder::new();
        prepare(&folder);
        let replica = folder.replica();
        let (sender, events) = channel();
        let (writing, written) = channel();
        let watch = replica
            .watch(move |event| {
                _ = match event {
                    Event::Written(path) => writing.send(path).is_ok(),
                    event => sender.send(event).is_ok(),
                };
            })
            .unwrap();
        full(&replica);
        Watched { folder, replica, events, written, _watch: watch }
    }

    /// Scans what is called dirty until `expected` holds.
    #[track_caller]
    fn until(&self, what: &str, expected: impl Fn(&Arc<Dir>) -> bool) {
        let end = Instant::now() + LIMIT;
        let mut told = Vec::new();
        loop {
            if expected(&self.replica.snapshot().unwrap().tree) {
                return;
            }
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    told.push(event.clone());
                    let extent = match event {
                        Event::Dirty(path) => Extent::Paths(vec![path]),
                        Event::Overflow => Extent::Full,
                        Event::Written(_) => unreachable!("they have a channel of their own"),
                        Event::Failed(text) => panic!("{text}"),
                    };
                    self.replica.scan(&extent).unwrap();
                }
                Err(_) => panic!("{what}: not found by acting on {told:?}"),
            }
        }
    }

    #[track_caller]
    fn until_file(&self, at: &str, content: &str) {
        let holds = |tree: &Arc<Dir>| matches!(tree.get(&path(at)), Some(Entry::File(file)) if file.digest == Digest::of(content.as_bytes()));
        self.until(&format!("'{content}' in '{at}'"), holds);
    }

    #[track_caller]
    fn until_gone(&self, at: &str) {
        self.until(&format!("'{at}' gone"), |tree| tree.get(&path(at)).is_none());
    }
}

#[test]
fn saves_in_place_and_by_rename_are_told() {
    let w = Watched::new(|folder| folder.write("d/e/f", "1"));
    w.folder.write("d/e/f", "2");
    w.until_file("d/e/f", "2");
    w.folder.write("d/e/.f.tmp", "3");
    std::fs::rename(w.folder.at("d/e/.f.tmp"), w.folder.at("d/e/f")).unwrap();
    w.until_file("d/e/f", "3");
    w.until_gone("d/e/.f.tmp");
    std::fs::remove_file(w.folder.at("d/e/f")).unwrap();
    w.until_gone("d/e/f");
}

#[test]
fn new_folders_with_files_at_once_are_found_and_watched() {
    let w = Watched::new(|_| {});
    for round in 0..20 {
        let deep = format!("a{round}/b/c/d");
        w.folder.write(format!("{deep}/f"), "1");
        w.until_file(&format!("{deep}/f"), "1");
        w.folder.write(format!("{deep}/f"), "2");
        w.until_file(&format!("{deep}/f"), "2");
    }
}

#[test]
fn edits_in_a_moved_folder_are_told_at_its_new_place() {
    let w = Watched::new(|folder| {
        folder.write("old/sub/f", "1");
        folder.write("other/x", "1");
    });
    let places = ["old", "new", "other/new", "old"];
    for (round, pair) in places.windows(2).enumerate() {
        std::fs::rename(w.folder.at(pair[0]), w.folder.at(pair[1])).unwrap();
        let file = format!("{}/sub/f", pair[1]);
        w.until_file(&file, if round == 0 { "1" } else { "edited" });
        w.until_gone(&format!("{}/sub/f", pair[0]));
        w.folder.write(&file, "again");
        w.until_file(&file, "again");
        w.folder.write(&file, "edited");
        w.until_file(&file, "edited");
    }
}

#[test]
fn folder_that_was_deleted_and_made_again_is_watched_again() {
    let w = Watched::new(|folder| folder.write("d/e/f", "1"));
    for round in 0..20 {
        std::fs::remove_dir_all(w.folder.at("d")).unwrap();
        w.folder.write("d/e/f", format!("{round}"));
        w.until_file("d/e/f", &format!("{round}"));
        w.folder.write("d/e/f", "edited");
        w.until_file("d/e/f", "edited");
    }
}

#[test]
fn folder_moved_out_of_the_root_is_not_watched_any_more() {
    let w = Watched::new(|folder| folder.write("d/f", "1"));
    std::fs::rename(w.folder.at("d"), w.folder.outside("away")).unwrap();
    w.until_gone("d");
    while w.events.try_recv().is_ok() {}
    std::fs::write(w.folder.outside("away/f"), "2").unwrap();
    w.folder.write("end", "x");
    let told = w.events.recv_timeout(LIMIT).unwrap();
    assert_eq!(told, Event::Dirty(path("end")));
}

#[test]
fn permissions_links_and_hard_links_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let w = Watched::new(|folder| folder.write("d/f", "1"));
    std::fs::set_permissions(w.folder.at("d/f"), PermissionsExt::from_mode(0o600)).unwrap();
    w.until(
        "new bits",
        |tree| matches!(tree.get(&path("d/f")), Some(Entry::File(file)) if file.mode.bits() == 0o600),
    );
    std::os::unix::fs::symlink("f", w.folder.at("d/link")).unwrap();
    w.until("link", |tree| matches!(tree.get(&path("d/link")), Some(Entry::Symlink(_))));
    std::fs::hard_link(w.folder.at("d/f"), w.folder.at("d/hard")).unwrap();
    w.until_file("d/hard", "1");
}

#[test]
fn our_own_folder_and_readers_give_no_events() {
    let w = Watched::new(|folder| folder.write("d/f", "1"));
    std::fs::write(w.folder.at(".evenfold/x"), "x").unwrap();
    std::fs::create_dir(w.folder.at(".evenfold/y")).unwrap();
    assert_eq!(std::fs::read(w.folder.at("d/f")).unwrap(), b"1");
    w.replica.scan(&Extent::Deep).unwrap();
    w.folder.write("end", "x");
    assert_eq!(w.events.recv_timeout(LIMIT).unwrap(), Event::Dirty(path("end")));
}

#[test]
fn file_is_told_once_it_is_closed() {
    use std::io::Write;
    let w = Watched::new(|_| {});
    let mut file = std::fs::File::create(w.folder.at("growing")).unwrap();
    file.write_all(b"part").unwrap();
    assert_eq!(w.written.recv_timeout(LIMIT).unwrap(), path("growing"));
    assert_eq!(w.events.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
    drop(file);
    assert_eq!(w.events.recv_timeout(LIMIT).unwrap(), Event::Dirty(path("growing")));
}

#[test]
fn more_events_than_the_kernel_keeps_are_one_overflow() {
    let folder = Folder::new();
    let replica = folder.replica();
    let (sender, events) = channel();
    let (release, gate) = channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let _watch = replica
        .watch(move |event| {
            let _ = sender.send(event);
            // Held up until the test has made more events than fit.
            let _ = gate.lock().unwrap().recv();
        })
        .unwrap();
    full(&replica);
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    folder.write("a", "x");
    folder.write("b", "x");
    for at in 0..limit.trim().parse::<u32>().unwrap() + 5000 {
        // The kernel merges an event with an equal one just before it, so two files take turns.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600 | (at % 8));
        std::fs::set_permissions(folder.at(if at % 2 == 0 { "a" } else { "b" }), mode).unwrap();
    }
    drop(release);
    let overflowed =
        std::iter::from_fn(|| events.recv_timeout(LIMIT).ok()).any(|event| event == Event::Overflow);
    assert!(overflowed);
}

#[test]
fn watcher_that_was_dropped_is_silent() {
    let w = Watched::new(|_| {});
    let Watched { folder, events, _watch, .. } = w;
    drop(_watch);
    folder.write("x", "1");
    assert_eq!(events.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn event_comes_within_milliseconds_of_the_close() {
    let w = Watched::new(|_| {});
    let mut took = Vec::new();
    for round in 0..101 {
        w.folder.write("f", format!("{round}"));
        let closed = Instant::now();
        assert_eq!(w.events.recv_timeout(LIMIT).unwrap(), Event::Dirty(path("f")));
        took.push(closed.elapsed());
        while w.events.recv_timeout(Duration::from_millis(5)).is_ok() {}
    }
    took.sort();
    // Far above what it takes (tens of microseconds), because the machine may be busy with other tests.
    assert!(took[50] < Duration::from_millis(50), "median {:?}", took[50]);
    println!("median {:?}, worst {:?}", took[50], took[100]);
}

#[test]
fn folders_that_a_batch_made_or_moved_are_watched() {
    use evenfold_core::apply::{Batch, Move, Outcome};
    use evenfold_core::plan::Change;
    use evenfold_core::transfer::{Item, Piece};
    use evenfold_core::{Child, File, Mode, Mtime, Name};

    let w = Watched::new(|folder| folder.write("old/sub/f", "1"));
    let dir = |name: &str, below: Child| Child {
        name: Name::new(name.as_bytes()).unwrap(),
        entry: Entry::dir(Mode::new(0o755), vec![below]),
    };
    let content = b"from afar";
    let file = File {
        digest: Digest::of(content),
        size: content.len() as u64,
        mtime: Mtime { secs: 1_600_000_000, nanos: 0 },
        mode: Mode::new(0o644),
    };
    let leaf = Child { name: Name::new(b"g").unwrap(), entry: Entry::File(file) };
    let made = dir("made", dir("deep", leaf)).entry;
    let moved = w.replica.snapshot().unwrap().tree.get(&path("old")).unwrap().clone();
    let batch = Batch {
        id: 5,
        moves: vec![Move { from: path("old"), to: path("new"), entry: moved }],
        changes: vec![Change { path: path("made"), old: None, new: Some(made) }],
        items: vec![Item { digest: file.digest, size: file.size, path: path("x") }],
        ..Batch::default()
    };
    assert_eq!(w.replica.prepare(&batch, &[]).len(), 1);
    let piece = Piece::Whole { item: 0, bytes: content.to_vec() };
    let applied = w.replica.apply(&batch, &mut std::iter::once(piece), &()).unwrap();
    assert!(applied.report.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })));
    assert_eq!(applied.report.epoch, 1);
    let tree = w.replica.snapshot().unwrap().tree;
    assert_eq!(digest_at(&tree, "made/deep/g"), file.digest);
    assert_eq!(digest_at(&tree, "new/sub/f"), Digest::of(b"1"));

    w.folder.write("made/deep/g", "edited");
    w.until_file("made/deep/g", "edited");
    w.folder.write("new/sub/f", "edited");
    w.until_file("new/sub/f", "edited");
    assert_eq!(full(&w.replica).tree, full(&w.folder.replica()).tree);
}
