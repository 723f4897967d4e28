//! Opening: created privately, migrated, refused when newer, recognised when damaged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evenfold_store::{HistoryFilter, OpenError, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use uuid::Uuid;

use crate::{Fixture, path};

const SCHEMA_1: &str = include_str!("../fixtures/schema-1.sql");

async fn raw(dir: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(dir.join("state.db"))
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

/// A closed database with something in it.
async fn closed() -> tempfile::TempDir {
    let Fixture { dir, store, relationship } = Fixture::new().await;
    for n in 0..50 {
        store.settings().set("ui", &format!("key {n}"), &"x".repeat(500), n).await.unwrap();
    }
    store.relationships().set_last_verified(relationship, 3).await.unwrap();
    store.close().await;
    dir
}

async fn is_damaged(dir: &Path) -> bool {
    match Store::open(dir).await {
        Err(OpenError::Damaged { detail }) => !detail.is_empty(),
        Err(other) => panic!("{other}"),
        Ok(store) => {
            store.close().await;
            false
        }
    }
}

#[tokio::test]
async fn files_are_for_this_user_only() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("state/evenfold");
    let store = Store::open(&dir).await.unwrap();
    store.node().rename("laptop").await.unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    store.close().await;
    fs::set_permissions(dir.join("state.db"), fs::Permissions::from_mode(0o644)).unwrap();
    Store::open(&dir).await.unwrap();
    assert_eq!(fs::metadata(dir.join("state.db")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn oldest_schema_is_migrated_with_all_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = raw(dir.path()).await;
    sqlx::raw_sql(SCHEMA_1).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let store = Store::open(dir.path()).await.unwrap();
    let node = store.node().get().await.unwrap();
    assert_eq!((node.name.as_deref(), node.created), (Some("laptop"), 5));
    assert_eq!(node.generation, u128::from_be_bytes([2; 16]));
    assert_eq!(store.node().counter("commits").await.unwrap(), 41);
    let relationship = store.relationships().by_name("photos").await.unwrap().unwrap();
    assert_eq!((relationship.id, relationship.hub), (Uuid::from_bytes([7; 16]), Some([3; 32])));
    let tree = store.ancestor().load(relationship.id).await.unwrap();
    assert_eq!(tree.get(&path("docs/a.txt")).unwrap().as_file().unwrap().size, 3);
    assert_eq!(store.epochs().get(relationship.id).await.unwrap().theirs_seen, 6);
    let filter = HistoryFilter { text: Some("b.txt".to_owned()), ..HistoryFilter::default() };
    assert_eq!(store.history().page(&filter, 10).await.unwrap().len(), 1);
    assert_eq!(store.history().index_pending().await.unwrap(), 2);
    assert_eq!(store.history().page(&filter, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn newer_schema_is_refused_and_left_untouched() {
    let dir = closed().await;
    let mut connection = raw(dir.path()).await;
    sqlx::raw_sql("INSERT INTO _sqlx_migrations VALUES (9000, 'future', 0, true, x'00', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let before = files(dir.path()).remove("state.db").unwrap();
    for _ in 0..2 {
        match Store::open(dir.path()).await {
            Err(OpenError::Newer { found: 9000, known }) => assert!(known < 9000),
            other => panic!("{other:?}"),
        }
    }
    let after = files(dir.path());
    assert_eq!(after.get("state.db"), Some(&before));
    assert!(after.get("state.db-wal").is_none_or(|log| log.is_empty()));
}

#[tokio::test]
async fn garbage_is_damage_and_set_aside_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = vec![0xa5; 20_000];
    fs::write(dir.path().join("state.db"), &garbage).unwrap();
    for _ in 0..2 {
        assert!(is_damaged(dir.path()).await);
        assert_eq!(files(dir.path()).get("state.db"), Some(&garbage));
    }
    let aside = Store::set_aside(dir.path()).unwrap();
    assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("state.db.damaged-"));
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.relationships().list().await.unwrap(), []);
    assert_eq!(fs::read(&aside).unwrap(), garbage);
    store.close().await;
    let second = Store::set_aside(dir.path()).unwrap();
    assert_ne!(second, aside);
    assert!(aside.exists() && second.exists());
    assert!(Store::set_aside(dir.path()).is_err());
}

#[tokio::test]
async fn truncated_file_is_damage_at_any_length() {
    let dir = closed().await;
    let file = dir.path().join("state.db");
    let whole = fs::read(&file).unwrap();
    for length in [1, 16, 99, 100, 511, 512, 4_095, 4_096, 8_192, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert!(is_damaged(dir.path()).await, "{length}");
        assert_eq!(fs::metadata(&file).unwrap().len(), length as u64);
    }
    fs::write(&file, &whole).unwrap();
    assert!(!is_damaged(dir.path()).await);
}

#[tokio::test]
async fn overwritten_page_is_damage_or_harmless_but_never_a_panic() {
    let dir = closed().await;
    let file = dir.path().join("state.db");
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / 4_096;
    let mut damaged = 0;
    for page in 0..pages {
        let mut bytes = whole.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xa5);
        fs::write(&file, &bytes).unwrap();
        damaged += usize::from(is_damaged(dir.path()).await);
    }
    // A page may be free and then holds nothing; nearly all are not.
    assert!(damaged * 10 >= pages * 9, "{damaged} of {pages}");
}

#[tokio::test]
async fn emptied_file_beside_its_log_is_damage() {
    let dir = closed().await;
    fs::write(dir.path().join("state.db"), b"").unwrap();
    fs::write(dir.path().join("state.db-wal"), [7; 100]).unwrap();
    assert!(is_damaged(dir.path()).await);
    assert_eq!(files(dir.path()).get("state.db-wal").map(Vec::len), Some(100));
}

#[tokio::test]
async fn database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = raw(dir.path()).await;
    sqlx::raw_sql("CREATE TABLE theirs (a)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = files(dir.path());
    assert!(is_damaged(dir.path()).await);
    assert_eq!(files(dir.path()).get("state.db"), before.get("state.db"));
}

#[tokio::test]
async fn directory_in_place_of_the_file_is_an_io_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("state.db")).unwrap();
    assert!(matches!(Store::open(dir.path()).await, Err(OpenError::Io { .. })));
}

#[tokio::test]
async fn database_that_stays_locked_is_reported_as_locked() {
    let dir = closed().await;
    let mut other = raw(dir.path()).await;
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE node SET created = 1")
        .execute(&mut other)
        .await
        .unwrap();
    let opened = Store::open(dir.path()).await;
    assert!(matches!(opened, Err(OpenError::Locked)), "{opened:?}");
    other.close().await.unwrap();
    Store::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_others_writes() {
    let fixture = Fixture::new().await;
    let other = Store::open(fixture.dir.path()).await.unwrap();
    let count = |store: Store| async move {
        for _ in 0..100 {
            store.node().bump("shared").await.unwrap();
        }
    };
    tokio::join!(count(fixture.store.clone()), count(other.clone()));
    assert_eq!(other.node().counter("shared").await.unwrap(), 200);
    assert_eq!(fixture.store.node().counter("shared").await.unwrap(), 200);
}
