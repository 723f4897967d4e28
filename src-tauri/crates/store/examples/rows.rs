//! Measures the store with many rows: `cargo run --profile fast -p evenfold-store --example rows [FILES]`.
#![allow(clippy::print_stdout)] // A measurement is printed.

use std::error::Error;
use std::time::Instant;

use evenfold_core::{Child, Digest, Entry, File, Mode, Mtime, Name, RelPath};
use evenfold_store::{AncestorCommit, CacheRow, Event, Pause, Put, RelationshipRow, Store};
use uuid::Uuid;

type Anyhow<T> = Result<T, Box<dyn Error>>;

/// Files in a directory of the made tree.
const WIDTH: usize = 100;

fn file(n: usize) -> File {
    File {
        digest: Digest::of(&n.to_le_bytes()),
        size: n as u64,
        mtime: Mtime { secs: 1_795_000_000 + n as i64, nanos: 123_456_789 },
        mode: Mode::new(0o644),
    }
}

fn tree(files: usize) -> Anyhow<Entry> {
    let mut dirs = Vec::new();
    for first in (0..files).step_by(WIDTH) {
        let mut children = Vec::new();
        for n in first..files.min(first + WIDTH) {
            let name = Name::new(format!("some-file-{n:07}.txt").as_bytes())?;
            children.push(Child { name, entry: Entry::File(file(n)) });
        }
        let name = Name::new(format!("directory-{first:07}").as_bytes())?;
        dirs.push(Child { name, entry: Entry::dir(Mode::new(0o755), children) });
    }
    Ok(Entry::dir(Mode::new(0o755), dirs))
}

fn paths(files: usize) -> Anyhow<Vec<RelPath>> {
    (0..files)
        .map(|n| {
            let first = n / WIDTH * WIDTH;
            Ok(RelPath::new(format!("directory-{first:07}/some-file-{n:07}.txt").as_bytes())?)
        })
        .collect()
}

/// Time and processor time at the beginning of a piece of work.
struct Start(Instant, u64);

impl Start {
    fn now() -> Self {
        Start(Instant::now(), cpu_ms())
    }
}

/// Processor time of this process so far; it says more than the clock where other work runs beside. 0 off Linux.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}

fn report(what: &str, rows: usize, since: Start) {
    let (wall, cpu) = (since.0.elapsed().as_secs_f64() * 1e3, cpu_ms() - since.1);
    println!("{what:<36} {rows:>8} rows {wall:>8.1} ms {cpu:>6} ms of processors");
}

#[tokio::main]
async fn main() -> Anyhow<()> {
    let files: usize = std::env::args().nth(1).map_or(Ok(300_000), |text| text.parse())?;
    let dir = std::env::temp_dir().join(format!("evenfold-rows-{}", std::process::id()));
    let store = Store::open(&dir).await?;
    let id = Uuid::from_u128(7);
    store.relationships().add(&relationship(id)).await?;
    let (whole, paths) = (tree(files)?, paths(files)?);
    let put = |path: RelPath, entry: Entry| Put { path, entry: Some(entry), shallow: false };

    let since = Start::now();
    let first = AncestorCommit { puts: vec![put(RelPath::root(), whole.clone())], ..Default::default() };
    store.ancestor().commit(id, &first).await?;
    report("ancestor: commit of the whole tree", files, since);

    let since = Start::now();
    let loaded = store.ancestor().load(id).await?;
    report("ancestor: load", files, since);
    assert_eq!(Entry::Dir(std::sync::Arc::clone(&loaded)), whole);
    let since = Start::now();
    let shared = store.ancestor().load_sharing(id, &loaded).await?;
    report("ancestor: load, sharing", files, since);
    assert!(std::sync::Arc::ptr_eq(&shared, &loaded));

    let some = files.min(20_000);
    let puts =
        paths.iter().take(some).enumerate().map(|(n, path)| put(path.clone(), Entry::File(file(n + 1))));
    let commit = AncestorCommit { puts: puts.collect(), ..Default::default() };
    let since = Start::now();
    store.ancestor().commit(id, &commit).await?;
    report("ancestor: commit of single files", some, since);

    let one = AncestorCommit { puts: commit.puts.into_iter().take(1).collect(), ..Default::default() };
    let since = Start::now();
    for _ in 0..100 {
        store.ancestor().commit(id, &one).await?;
    }
    report("ancestor: commits of one file", 100, since);

    let cache: Vec<CacheRow> = paths.iter().enumerate().map(|(n, path)| cached(n, path)).collect();
    let since = Start::now();
    store.digest_cache().apply(id, &cache, &[]).await?;
    report("digest cache: store", files, since);
    let since = Start::now();
    store.digest_cache().load(id).await?;
    report("digest cache: load", files, since);

    let events: Vec<Event> =
        paths.iter().take(some).enumerate().map(|(n, path)| event(n, id, path)).collect();
    let since = Start::now();
    store.history().add(&events).await?;
    report("history: add", some, since);
    let since = Start::now();
    store.history().index_pending().await?;
    report("history: index", some, since);

    store.close().await;
    let since = Start::now();
    let store = Store::open(&dir).await?;
    report("open, with check", files, since);
    let size = std::fs::metadata(dir.join("state.db"))?.len();
    println!("file: {:.1} MB", size as f64 / 1e6);
    store.close().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn relationship(id: Uuid) -> RelationshipRow {
    RelationshipRow {
        id,
        name: "rows".to_owned(),
        kind: "two-way".to_owned(),
        role: "spoke".to_owned(),
        root: "/tmp".into(),
        hub: None,
        hub_share: None,
        settings: "{}".to_owned(),
        pause: Pause::Running,
        created: 0,
        root_identity: None,
        last_verified: None,
    }
}

fn cached(n: usize, path: &RelPath) -> CacheRow {
    let file = file(n);
    CacheRow {
        path: path.clone(),
        ino: n as u64,
        size: file.size,
        mtime: file.mtime,
        ctime: file.mtime,
        digest: file.digest,
    }
}

fn event(n: usize, id: Uuid, path: &RelPath) -> Event {
    Event {
        time: n as i64,
        relationship: Some(id),
        batch: Some(9),
        node: "laptop".to_owned(),
        peer: Some("nas".to_owned()),
        kind: "create".to_owned(),
        path: Some(path.clone()),
        digest: Some(Digest::of(b"x")),
        size: Some(3),
        detail: None,
    }
}
