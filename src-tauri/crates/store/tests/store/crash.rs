//! What is left when a write is cut off: all of it or nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenfold_core::{Dir, Entry};
use evenfold_store::{AncestorCommit, Event, HistoryFilter, Put, Store, VersionRow};
use uuid::Uuid;

use crate::{Fixture, dir, file, path, plain_file};

const CHILD: &str = "EVENFOLD_STORE_TEST_CHILD";

/// A commit whose parts all say the same number.
fn commit(n: u64) -> AncestorCommit {
    let content = n.to_string();
    let put = |at: String| Put { path: path(at), entry: Some(file(&content)), shallow: false };
    AncestorCommit {
        puts: vec![put("same".to_owned()), put(format!("many/{n}"))],
        clear_intents: true,
        ours_epoch: Some(n),
        theirs_epoch: Some(n),
        last_verified: Some(i64::try_from(n).unwrap()),
        history: vec![Event {
            time: i64::try_from(n).unwrap(),
            relationship: Some(Uuid::from_u128(7)),
            batch: None,
            node: "laptop".to_owned(),
            peer: None,
            kind: "update".to_owned(),
            path: Some(path("same")),
            digest: None,
            size: None,
            detail: None,
        }],
        versions: vec![VersionRow {
            path: path("same"),
            version: content.clone(),
            time: 0,
            entry: evenfold_store::Record::File(plain_file(&content)),
            reason: "replaced".to_owned(),
            batch: None,
        }],
    }
}

/// Checks that all tables tell of the same number of commits, and returns it.
async fn consistent(store: &Store) -> u64 {
    let id = Uuid::from_u128(7);
    let n = store.node().counter("commits").await.unwrap();
    let epochs = store.epochs().get(id).await.unwrap();
    assert_eq!((epochs.ours_committed, epochs.theirs_seen), (n, n));
    let tree = store.ancestor().load(id).await.unwrap();
    let many = tree.get(&path("many")).map_or(0, |many| many.totals().files);
    assert_eq!(many, n);
    if n > 0 {
        assert_eq!(tree.get(&path("same")), Some(&file(&n.to_string())));
    }
    assert_eq!(store.history().page(&HistoryFilter::default(), 10_000).await.unwrap().len() as u64, n);
    assert_eq!(store.versions().of_path(id, &path("same")).await.unwrap().len() as u64, n);
    let row = store.relationships().get(id).await.unwrap().unwrap();
    assert_eq!(row.last_verified.unwrap_or(0).unsigned_abs(), n);
    n
}

/// Run by the next test in a process of its own; alone it does nothing.
#[tokio::test]
async fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = Store::open(dir.as_ref()).await.unwrap();
    for n in store.node().counter("commits").await.unwrap() + 1.. {
        store.ancestor().commit(Uuid::from_u128(7), &commit(n)).await.unwrap();
    }
}

/// Kills the child in any case, so that a failing test leaves none behind.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn killed_process_leaves_whole_commits_only() {
    let fixture = Fixture::new().await;
    let mut reached = 0;
    for _ in 0..3 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_commits_until_it_is_killed"])
            .env(CHILD, fixture.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let child = Killed(child);
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while fixture.store.node().counter("commits").await.unwrap() < reached + 20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.unwrap();
        drop(child);
        reached = consistent(&fixture.store).await;
    }
    let fixture = fixture.reopened().await;
    assert_eq!(consistent(&fixture.store).await, reached);
}

#[tokio::test]
async fn dropped_commit_leaves_all_or_nothing_and_the_next_one_works() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let children: Vec<evenfold_core::Child> = (0..20_000)
        .map(|n| evenfold_core::Child {
            name: evenfold_core::Name::new(format!("{n:05}").as_bytes()).unwrap(),
            entry: file("x"),
        })
        .collect();
    let wide = Entry::dir(evenfold_core::Mode::new(0o755), children);
    let large = AncestorCommit {
        puts: vec![Put { path: path(""), entry: Some(wide.clone()), shallow: false }],
        ..AncestorCommit::default()
    };
    let mut undone = 0;
    for micros in [0, 100, 1_000, 5_000, 20_000] {
        let limit = Duration::from_micros(micros);
        let _ = tokio::time::timeout(limit, store.ancestor().commit(id, &large)).await;
        let tree = store.ancestor().load(id).await.unwrap();
        let none = *tree == Dir::empty();
        undone += u32::from(none);
        assert!(none || Entry::Dir(tree) == wide, "{micros}");
    }
    assert!(undone > 0, "not even the shortest time cut the commit off");
    let small = Put { path: path("a"), entry: Some(file("a")), shallow: false };
    let root = Put { path: path(""), entry: Some(dir(0o755, [])), shallow: false };
    let next = AncestorCommit { puts: vec![root, small], ..AncestorCommit::default() };
    store.ancestor().commit(id, &next).await.unwrap();
    let tree = store.ancestor().load(id).await.unwrap();
    assert_eq!(Entry::Dir(tree), dir(0o755, [(b"a", file("a"))]));
}
