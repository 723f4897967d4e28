//! Measures staging and publishing: 20,000 small files in 2,000 folders, and one file of 1 GiB, from one folder
//! into another within one process, durably.
//!
//! `cargo run --profile fast -p evenfold-fs --example apply -- [FOLDER]`; FOLDER (default `target/bench-apply`)
//! must be on the disk to be measured. Used trees are moved aside and removed at the end.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement, not a product"
)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use evenfold_core::apply::{Basis, Batch, Outcome};
use evenfold_core::plan::Change;
use evenfold_core::transfer::{Item, Piece};
use evenfold_core::{Child, Digest, Entry, File, Name, RelPath};
use evenfold_fs::apply::{Rules, Site, apply};
use evenfold_fs::disk::{Disk, Place};
use evenfold_fs::index::{Index, Keys, Patch, StatKey};
use evenfold_fs::platform::RealDisk;
use evenfold_fs::prepare::{Prepared, prepare, read_bases};
use evenfold_fs::supply::{manifests, supply};

const FILES: usize = 20_000;
const FOLDERS: usize = 2_000;
const SMALL: usize = 9_750;
const LARGE: usize = 1 << 30;
const ROUNDS: usize = 5;

struct End {
    disk: RealDisk,
    index: Mutex<Index>,
    prepared: Prepared,
    folder: PathBuf,
}

impl End {
    fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join(".evenfold")).unwrap();
        let disk = RealDisk::open(folder).unwrap();
        End {
            disk,
            index: Mutex::new(Index::empty()),
            prepared: Prepared::default(),
            folder: folder.to_owned(),
        }
    }

    fn look_up(&self, path: &RelPath) -> Option<(Entry, Keys)> {
        self.index.lock().unwrap().look_up(path)
    }

    fn take_up(&self, name: &str) -> Entry {
        let path = RelPath::new(name.as_bytes()).unwrap();
        let entry = self.entry(&path);
        let now = Some((entry.clone(), self.keys(&path, &entry)));
        assert!(self.index.lock().unwrap().patch(vec![Patch { path, now }]).is_empty());
        entry
    }

    fn entry(&self, path: &RelPath) -> Entry {
        let stat = self.disk.stat(&Place::User(path.clone())).unwrap();
        let at = self.folder.join(std::str::from_utf8(path.as_bytes()).unwrap());
        if at.is_dir() {
            let listed = self.disk.list(&Place::User(path.clone())).unwrap();
            let names = listed.into_iter().map(|listed| Name::new(&listed.name).unwrap());
            let children = names.map(|name| Child { entry: self.entry(&path.join(&name)), name });
            return Entry::dir(stat.mode, children.collect());
        }
        let digest = Digest::of(&std::fs::read(at).unwrap());
        Entry::File(File { digest, size: stat.size, mtime: stat.mtime, mode: stat.mode })
    }

    fn keys(&self, path: &RelPath, entry: &Entry) -> Keys {
        let key = StatKey::of(&self.disk.stat(&Place::User(path.clone())).unwrap());
        match entry {
            Entry::Dir(dir) => {
                let keys =
                    dir.children().iter().map(|child| self.keys(&path.join(&child.name), &child.entry));
                Keys::Dir(key, evenfold_fs::index::DirKeys::new(keys.collect()).into())
            }
            _ => Keys::Leaf(key),
        }
    }
}

fn add_items(entry: &Entry, at: &RelPath, items: &mut Vec<Item>) {
    match entry {
        Entry::File(file) => items.push(Item { digest: file.digest, size: file.size, path: at.clone() }),
        Entry::Dir(dir) => dir.children().iter().for_each(|c| add_items(&c.entry, &at.join(&c.name), items)),
        _ => {}
    }
}

/// Brings what `from` has at `name` to `to`; returns seconds of preparing and of all.
fn bring(from: &End, to: &End, name: &str, basis: bool) -> (f64, f64) {
    let path = RelPath::new(name.as_bytes()).unwrap();
    let (entry, _) = from.look_up(&path).unwrap();
    let mut batch = Batch { id: rand::random(), ..Batch::default() };
    add_items(&entry, &path, &mut batch.items);
    let old = to.look_up(&path).map(|(entry, _)| entry);
    batch.changes = vec![Change { path: path.clone(), old, new: Some(entry) }];
    let theirs = |path: &RelPath| from.look_up(path);
    let ours = |path: &RelPath| to.look_up(path);
    let begun = Instant::now();
    let mut lists = Vec::new();
    if basis {
        batch.bases = vec![Basis { item: 0, path }];
        std::thread::scope(|scope| {
            scope.spawn(|| read_bases(&to.disk, &ours, &to.prepared, &batch));
            lists = manifests(&from.disk, &theirs, &batch.items, &[0]);
        });
    }
    let chunked = begun.elapsed().as_secs_f64();
    let needs = prepare(&to.disk, 1, &ours, &to.prepared, &batch, &lists, Rules::default());
    let prepared = begun.elapsed().as_secs_f64();
    if basis {
        println!("    chunked in {chunked:.2} s, prepared in {:.2} s", prepared - chunked);
    }
    let (send, receive) = sync_channel::<Piece>(64);
    let applied = std::thread::scope(|scope| {
        let items = &batch.items;
        scope.spawn(move || {
            supply(&from.disk, &theirs, items, &needs, &mut |piece| {
                send.send(piece).map_err(|_| evenfold_fs::supply::Stopped)
            })
        });
        let site = Site {
            disk: &to.disk,
            relationship: 1,
            index: &to.index,
            takes_part: &|_, _| true,
            bump_epoch: &|| Ok(1),
            epoch: 0,
            prepared: &to.prepared,
            rules: Rules::default(),
        };
        apply(&site, &batch, &mut receive.into_iter(), &()).unwrap()
    });
    let outcome = applied.report.outcomes.first().unwrap();
    assert!(matches!(outcome, Outcome::Applied { short, .. } if short.is_empty()));
    (prepared, begun.elapsed().as_secs_f64())
}

/// Brings single small edits of one file.
fn edits(from: &End, folder: &Path) {
    let to = End::new(&folder.join("edits"));
    let mut times = Vec::new();
    for n in 0..200usize {
        std::fs::write(from.folder.join("notes.txt"), n.to_string().repeat(500)).unwrap();
        from.take_up("notes.txt");
        times.push(bring(from, &to, "notes.txt", false).1 * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("one small edit: {:.2} ms median, {:.2} ms in 95 of 100", at(50), at(95));
}

fn noise(seed: usize, bytes: &mut [u8]) {
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(bytes);
}

/// Seconds of processor time of this process so far, which stay comparable on a busy machine.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("target/bench-apply"), PathBuf::from);
    let folder = folder.join(std::process::id().to_string());
    let only = std::env::args().nth(2).unwrap_or_default();
    let from = End::new(&folder.join("from"));

    let mut small = vec![0; SMALL];
    let files = if only.is_empty() || only == "small" { FILES } else { 1 };
    for n in 0..files {
        let at = from.folder.join(format!("small/{}/{}", n % FOLDERS / 50, n % FOLDERS));
        std::fs::create_dir_all(&at).unwrap();
        noise(n, &mut small);
        std::fs::write(at.join(format!("file-{n}.c")), &small).unwrap();
    }
    let mut large = vec![0; if only == "edit" { 1 } else { LARGE }];
    noise(FILES, &mut large);
    std::fs::write(from.folder.join("large"), &large).unwrap();
    for name in ["small", "large"] {
        from.take_up(name);
    }
    std::process::Command::new("sync").status().unwrap();

    let names = ["small", "large"].into_iter().filter(|name| only.is_empty() || only == *name);
    for name in names.collect::<Vec<_>>() {
        for round in 0..ROUNDS {
            let to = End::new(&folder.join(format!("{name}-{round}")));
            let before = cpu();
            let (_, all) = bring(&from, &to, name, false);
            println!("{name}: {all:.2} s, {:.2} s of processor time", cpu() - before);
        }
    }
    if only.is_empty() || only == "edit" {
        edits(&from, &folder);
    }
    if only.is_empty() || only == "delta" {
        for round in 0..2 {
            let to = End::new(&folder.join(format!("delta-{round}")));
            bring(&from, &to, "large", false);
            noise(round, large.get_mut(LARGE / 2..LARGE / 2 + 4096).unwrap());
            std::fs::write(from.folder.join("large"), &large).unwrap();
            from.take_up("large");
            std::process::Command::new("sync").status().unwrap();
            let before = cpu();
            let (prepared, all) = bring(&from, &to, "large", true);
            let cpu = cpu() - before;
            println!(
                "4 KiB overwritten in 1 GiB: {all:.2} s, {prepared:.2} s of it chunking, {cpu:.2} s of processor time"
            );
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}
