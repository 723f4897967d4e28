//! The smaller tables, one test or two each.

use evenfold_core::{Digest, Entry, Mode, Mtime, ProblemKind, Side};
use evenfold_store::{
    AncestorCommit, CacheRow, EpochsRow, KEPT_PLANS, MemberRow, Pause, PeerRow, Permission, PlanRow,
    PlanState, PlanSummary, Record, RelationshipRow, StoreError, VersionRow,
};
use uuid::Uuid;

use crate::{Fixture, dir, file, link, path, plain_file, relationship_row};

fn peer(key: u8, name: &str) -> PeerRow {
    PeerRow {
        key: [key; 32],
        name: name.to_owned(),
        addresses: vec!["10.0.0.1:22022".to_owned()],
        paired: 5,
        last_seen: None,
        revoked: None,
        note: String::new(),
    }
}

fn is_taken<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Taken { .. }))
}

fn is_missing<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { .. }))
}

#[tokio::test]
async fn node_keeps_its_identity_and_counters_only_rise() {
    let fixture = Fixture::new().await;
    let before = fixture.store.node().get().await.unwrap();
    assert_eq!(before.name, None);
    fixture.store.node().rename("laptop").await.unwrap();
    assert_eq!(fixture.store.node().counter("x").await.unwrap(), 0);
    assert_eq!(fixture.store.node().bump("x").await.unwrap(), 1);
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.node().bump("x").await.unwrap(), 2);
    assert_eq!(fixture.store.node().counter("x").await.unwrap(), 2);
    let after = fixture.store.node().get().await.unwrap();
    assert_eq!(after.name.as_deref(), Some("laptop"));
    assert_eq!((after.id, after.generation), (before.id, before.generation));
    let other = Fixture::new().await;
    assert_ne!(other.store.node().get().await.unwrap().generation, before.generation);
}

#[tokio::test]
async fn peers_are_stored_renamed_seen_and_revoked() {
    let fixture = Fixture::new().await;
    let peers = fixture.store.peers();
    peers.put(&peer(1, "nas")).await.unwrap();
    peers.put(&peer(2, "desk")).await.unwrap();
    assert!(is_taken(&peers.put(&peer(3, "nas")).await));
    assert!(is_taken(&peers.rename(&[2; 32], "nas").await));
    assert!(is_missing(&peers.rename(&[9; 32], "x").await));
    peers.rename(&[2; 32], "tower").await.unwrap();
    peers.seen(&[1; 32], 77, Some("nas.local:22022")).await.unwrap();
    assert!(is_missing(&peers.seen(&[9; 32], 77, None).await));
    peers.set_revoked(&[2; 32], Some(80)).await.unwrap();
    let nas = peers.by_name("nas").await.unwrap().unwrap();
    assert_eq!(nas.addresses, ["nas.local:22022", "10.0.0.1:22022"]);
    assert_eq!(nas.last_seen, Some(77));
    assert_eq!(peers.get(&[2; 32]).await.unwrap().unwrap().revoked, Some(80));
    assert_eq!(peers.list().await.unwrap().len(), 2);
    assert!(peers.remove(&[2; 32]).await.unwrap());
    assert!(!peers.remove(&[2; 32]).await.unwrap());
}

#[tokio::test]
async fn relationships_come_back_as_they_were_written() {
    let fixture = Fixture::new().await;
    fixture.store.peers().put(&peer(1, "nas")).await.unwrap();
    let relationships = fixture.store.relationships();
    let full = RelationshipRow {
        hub: Some([1; 32]),
        hub_share: Some("photos on nas".to_owned()),
        pause: Pause::Until(99),
        root_identity: Some("{\"dev\":1}".to_owned()),
        last_verified: Some(-4),
        root: {
            use std::os::unix::ffi::OsStringExt;
            std::ffi::OsString::from_vec(b"/srv/\xff".to_vec()).into()
        },
        ..relationship_row(Uuid::from_u128(8), "docs")
    };
    relationships.add(&full).await.unwrap();
    assert_eq!(relationships.get(full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(relationships.by_name("docs").await.unwrap(), Some(full.clone()));
    assert!(is_taken(&relationships.add(&relationship_row(Uuid::from_u128(9), "docs")).await));
    assert!(is_taken(
        &relationships.update(&RelationshipRow { name: "photos".into(), ..full.clone() }).await
    ));
    let stranger = RelationshipRow { hub: Some([5; 32]), ..relationship_row(Uuid::from_u128(9), "x") };
    assert!(is_missing(&relationships.add(&stranger).await));

    relationships.set_pause(full.id, Pause::Paused).await.unwrap();
    relationships.set_settings(full.id, "{\"a\":2}").await.unwrap();
    relationships.set_root_identity(full.id, None).await.unwrap();
    relationships.set_last_verified(full.id, 5).await.unwrap();
    fixture.store.peers().remove(&[1; 32]).await.unwrap();
    let expected = RelationshipRow {
        pause: Pause::Paused,
        settings: "{\"a\":2}".into(),
        root_identity: None,
        last_verified: Some(5),
        hub: None,
        ..full
    };
    assert_eq!(relationships.get(expected.id).await.unwrap(), Some(expected));
    let names: Vec<String> = relationships.list().await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["docs", "photos"]);
}

#[tokio::test]
async fn members_report_and_leave_with_their_peer() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let member = MemberRow {
        relationship: id,
        peer: [1; 32],
        role: "spoke".to_owned(),
        permission: Permission::ReadWrite,
        joined: 3,
        last_seen: None,
        endpoint: "nas:/srv/photos".to_owned(),
        drift: None,
        state: None,
    };
    assert!(is_missing(&store.members().put(&member).await));
    store.peers().put(&peer(1, "nas")).await.unwrap();
    store.members().put(&member).await.unwrap();
    store.members().report(id, &[1; 32], 9, Some("{\"files\":1}"), None).await.unwrap();
    store.members().report(id, &[1; 32], 10, None, Some("{\"idle\":true}")).await.unwrap();
    assert!(is_missing(&store.members().report(id, &[2; 32], 9, None, None).await));
    store.members().permit(id, &[1; 32], Permission::ReadOnly).await.unwrap();
    let expected = MemberRow {
        permission: Permission::ReadOnly,
        last_seen: Some(10),
        drift: Some("{\"files\":1}".to_owned()),
        state: Some("{\"idle\":true}".to_owned()),
        ..member
    };
    assert_eq!(store.members().get(id, &[1; 32]).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.members().of_peer(&[1; 32]).await.unwrap(), std::slice::from_ref(&expected));
    // A peer that pairs again stays a member.
    store.peers().put(&peer(1, "nas again")).await.unwrap();
    assert_eq!(store.members().list(id).await.unwrap(), [expected]);
    store.peers().remove(&[1; 32]).await.unwrap();
    assert_eq!(store.members().list(id).await.unwrap(), []);
    assert!(!store.members().remove(id, &[1; 32]).await.unwrap());
}

#[tokio::test]
async fn intents_are_kept_until_a_commit_clears_them() {
    let fixture = Fixture::new().await;
    let id = fixture.relationship;
    let subtree = dir(0o755, [(b"x", file("x"))]);
    let ours = [
        (path("b"), Some(subtree.clone())),
        (path("a/x"), Some(file("1"))),
        (path("a.b"), None),
        (path("l"), Some(link(b"\xff"))),
    ];
    fixture.store.intents().record(id, Side::Ours, &ours, Some(5)).await.unwrap();
    fixture.store.intents().record(id, Side::Theirs, &[(path("b"), None)], None).await.unwrap();
    let unknown = [(path("b"), Some(Entry::Unknown(ProblemKind::Special)))];
    assert!(fixture.store.intents().record(id, Side::Ours, &unknown, None).await.is_err());
    let fixture = fixture.reopened().await;
    let loaded = fixture.store.intents().load(id).await.unwrap();
    let seen: Vec<(Side, String)> =
        loaded.iter().map(|intent| (intent.side, intent.path.to_string())).collect();
    let expected =
        [(Side::Ours, "a/x"), (Side::Ours, "a.b"), (Side::Ours, "b"), (Side::Ours, "l"), (Side::Theirs, "b")];
    assert_eq!(seen, expected.map(|(side, text)| (side, text.to_owned())));
    let b = loaded.iter().find(|intent| intent.path == path("b")).unwrap();
    assert_eq!(b.epoch, Some(5));
    assert!(b.new.as_ref().unwrap().matches(&subtree));
    assert!(!b.new.as_ref().unwrap().matches(&dir(0o755, [])));
    assert_eq!(fixture.store.epochs().get(id).await.unwrap().ours_intended, 5);

    let commit = AncestorCommit {
        clear_intents: true,
        ours_epoch: Some(5),
        theirs_epoch: Some(u64::MAX),
        last_verified: Some(11),
        ..AncestorCommit::default()
    };
    assert_eq!(fixture.store.ancestor().commit(id, &commit).await.unwrap(), 1);
    assert_eq!(fixture.store.node().counter("commits").await.unwrap(), 1);
    assert_eq!(fixture.store.intents().load(id).await.unwrap(), []);
    let epochs = EpochsRow { ours_committed: 5, ours_intended: 5, theirs_seen: u64::MAX };
    assert_eq!(fixture.store.epochs().get(id).await.unwrap(), epochs);
    let row = fixture.store.relationships().get(id).await.unwrap().unwrap();
    assert_eq!(row.last_verified, Some(11));
    fixture.store.epochs().set(id, EpochsRow::default()).await.unwrap();
    assert_eq!(fixture.store.epochs().get(id).await.unwrap(), EpochsRow::default());
}

#[tokio::test]
async fn only_the_newest_plans_are_kept() {
    let fixture = Fixture::new().await;
    let (store, relationship) = (&fixture.store, fixture.relationship);
    let plan = |n: u32| PlanRow {
        summary: PlanSummary {
            id: format!("{n:064x}"),
            relationship,
            created: i64::from(n),
            kind: "sync".to_owned(),
            summary: "{}".to_owned(),
            state: PlanState::Open,
        },
        body: vec![0, 0xff, 7],
    };
    for n in 0..KEPT_PLANS + 3 {
        store.plans().put(&plan(n)).await.unwrap();
    }
    store.plans().put(&plan(10)).await.unwrap();
    let kept = store.plans().list(relationship).await.unwrap();
    assert_eq!(kept.len(), KEPT_PLANS as usize);
    assert_eq!(kept.first(), Some(&plan(10).summary));
    assert_eq!(store.plans().get(&plan(0).summary.id).await.unwrap(), None);
    assert_eq!(store.plans().get(&plan(10).summary.id).await.unwrap(), Some(plan(10)));
    store.plans().set_state(&plan(10).summary.id, PlanState::Applied).await.unwrap();
    assert!(is_missing(&store.plans().set_state("00", PlanState::Applied).await));
    assert_eq!(store.plans().supersede(relationship).await.unwrap(), u64::from(KEPT_PLANS) - 1);
    assert_eq!(store.plans().list(relationship).await.unwrap()[0].state, PlanState::Applied);
}

#[tokio::test]
async fn versions_are_listed_by_path_and_below_and_outlive_the_relationship() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let version = |at: &str, version: &str, time: i64| VersionRow {
        path: path(at),
        version: version.to_owned(),
        time,
        entry: Record::File(plain_file(version)),
        reason: "replaced".to_owned(),
        batch: Some(3),
    };
    let rows =
        [version("a/x", "v1", 1), version("a/x", "v2", 2), version("a.b", "v1", 1), version("a", "v1", 9)];
    let commit = AncestorCommit { versions: rows.to_vec(), ..AncestorCommit::default() };
    store.ancestor().commit(id, &commit).await.unwrap();
    let special = VersionRow {
        entry: Record::Dir { mode: Mode::new(0o700), digest: Some(Digest::of(b"d")) },
        batch: None,
        ..version("z", "v1", 1)
    };
    store.versions().add(id, std::slice::from_ref(&special)).await.unwrap();
    store.relationships().remove(id).await.unwrap();
    let [x1, x2, dot, a] = rows;
    assert_eq!(store.versions().of_path(id, &path("a/x")).await.unwrap(), [x2.clone(), x1.clone()]);
    let below = store.versions().below(id, &path("a"), None, 10).await.unwrap();
    assert_eq!(below, [a.clone(), x1.clone(), x2.clone()]);
    let next = store.versions().below(id, &path("a"), Some((&a.path, "v1")), 1).await.unwrap();
    assert_eq!(next, std::slice::from_ref(&x1));
    assert_eq!(store.versions().below(id, &path(""), None, 10).await.unwrap().len(), 5);
    assert_eq!(store.versions().get(id, &path("z"), "v1").await.unwrap(), Some(special));
    store.versions().drop(id, &[(x1.path, "v1".to_owned()), (dot.path, "v1".to_owned())]).await.unwrap();
    assert_eq!(store.versions().below(id, &path(""), None, 10).await.unwrap().len(), 3);
    store.versions().drop_all(id).await.unwrap();
    assert_eq!(store.versions().below(id, &path(""), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn digest_cache_is_loaded_in_the_order_of_a_walk() {
    let fixture = Fixture::new().await;
    let id = fixture.relationship;
    let row = |at: &[u8], ino: u64| CacheRow {
        path: path(at),
        ino,
        size: u64::MAX,
        mtime: Mtime { secs: i64::MIN, nanos: 999_999_999 },
        ctime: Mtime { secs: 1, nanos: 2 },
        digest: Digest::of(at),
    };
    let rows = [row(b"a.b", 1), row(b"a/x", u64::MAX), row(b"\xff", 3)];
    fixture.store.digest_cache().apply(id, &rows, &[]).await.unwrap();
    let replaced = row(b"a/x", 7);
    let removes = [path(b"\xff"), path(b"a/x"), path(b"never")];
    fixture.store.digest_cache().apply(id, std::slice::from_ref(&replaced), &removes).await.unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.digest_cache().load(id).await.unwrap(), [replaced, row(b"a.b", 1)]);
    fixture.store.digest_cache().clear(id).await.unwrap();
    assert_eq!(fixture.store.digest_cache().load(id).await.unwrap(), []);
}

#[tokio::test]
async fn settings_are_kept_by_scope() {
    let fixture = Fixture::new().await;
    let settings = fixture.store.settings();
    settings.set("ui", "theme", "\"dark\"", 1).await.unwrap();
    settings.set("ui", "theme", "\"light\"", 2).await.unwrap();
    settings.set("findings", "theme", "{}", 3).await.unwrap();
    assert_eq!(settings.get("ui", "theme").await.unwrap().as_deref(), Some("\"light\""));
    assert_eq!(settings.list("ui").await.unwrap().len(), 1);
    assert!(settings.remove("ui", "theme").await.unwrap());
    assert_eq!(settings.get("ui", "theme").await.unwrap(), None);
    assert_eq!(settings.list("findings").await.unwrap()[0].changed, 3);
}
