//! The ancestor: what is put is what is loaded, and only that.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenfold_core::{Child, Dir, Entry, Mode, Name, ProblemKind, RelPath};
use evenfold_store::{AncestorCommit, Put, StoreError};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{Fixture, dir, file, link, path};

fn put(at: &str, entry: Option<Entry>) -> Put {
    Put { path: path(at), entry, shallow: false }
}

fn shallow(at: &str, mode: u32) -> Put {
    Put { path: path(at), entry: Some(dir(mode, [])), shallow: true }
}

fn puts(puts: Vec<Put>) -> AncestorCommit {
    AncestorCommit { puts, ..AncestorCommit::default() }
}

fn tree() -> Entry {
    dir(
        0o750,
        [
            (b"a", dir(0o700, [(b"x", file("x")), (b"empty", dir(0o711, []))])),
            (b"a.b", file("a.b")),
            (b"a\x01", file("one")),
            (b"\xff", dir(0o755, [(b"\xff\xff", link(b"../\xfe"))])),
            (b"plain", file("")),
        ],
    )
}

/// Commits a start and then further puts, one commit or many, and compares what is loaded.
async fn check(start: Entry, further: Vec<Put>, expected: Entry) {
    for together in [false, true] {
        let fixture = Fixture::new().await;
        let (store, id) = (&fixture.store, fixture.relationship);
        let first = put("", Some(start.clone()));
        if together {
            let all = std::iter::once(first).chain(further.clone()).collect();
            store.ancestor().commit(id, &puts(all)).await.unwrap();
        } else {
            for one in std::iter::once(first).chain(further.clone()) {
                store.ancestor().commit(id, &puts(vec![one])).await.unwrap();
            }
        }
        let loaded = store.ancestor().load(id).await.unwrap();
        assert_eq!(Entry::Dir(loaded), expected, "together: {together}");
    }
}

#[tokio::test]
async fn nothing_committed_is_an_empty_directory() {
    let fixture = Fixture::new().await;
    let loaded = fixture.store.ancestor().load(fixture.relationship).await.unwrap();
    assert_eq!(*loaded, Dir::empty());
}

#[tokio::test]
async fn tree_survives_closing_the_database() {
    let fixture = Fixture::new().await;
    let id = fixture.relationship;
    fixture.store.ancestor().commit(id, &puts(vec![put("", Some(tree()))])).await.unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(Entry::Dir(fixture.store.ancestor().load(id).await.unwrap()), tree());
    assert_eq!(fixture.store.ancestor().len(id).await.unwrap(), 9);
}

#[tokio::test]
async fn replaced_subtree_leaves_nothing_of_the_old_one() {
    let start =
        dir(0o755, [(b"a", dir(0o755, [(b"old", file("o"))])), (b"a.b", file("1")), (b"b", file("2"))]);
    let new = dir(0o700, [(b"new", file("n"))]);
    let expected = dir(0o755, [(b"a", new.clone()), (b"a.b", file("1")), (b"b", file("2"))]);
    check(start, vec![put("a", Some(new))], expected).await;
}

#[tokio::test]
async fn deleted_path_takes_what_is_below_and_no_neighbour() {
    let start = dir(
        0o755,
        [
            (b"a", dir(0o755, [(b"x", file("x"))])),
            (b"a\x01", file("1")),
            (b"a.b", file("2")),
            (b"ab", file("3")),
        ],
    );
    let expected = dir(0o755, [(b"a\x01", file("1")), (b"a.b", file("2")), (b"ab", file("3"))]);
    check(start, vec![put("a", None)], expected).await;
}

#[tokio::test]
async fn shallow_put_changes_permission_bits_only() {
    let start = dir(0o755, [(b"a", dir(0o755, [(b"x", file("x"))]))]);
    let expected = dir(0o711, [(b"a", dir(0o700, [(b"x", file("x"))]))]);
    check(start, vec![shallow("a", 0o700), shallow("", 0o711)], expected).await;
}

#[tokio::test]
async fn file_becomes_directory_and_directory_becomes_file() {
    let start = dir(0o755, [(b"a", dir(0o755, [(b"x", file("x"))])), (b"b", file("b"))]);
    let grown = dir(0o755, [(b"y", file("y"))]);
    let expected = dir(0o755, [(b"a", file("a")), (b"b", grown.clone())]);
    check(start, vec![put("a", Some(file("a"))), put("b", Some(grown))], expected).await;
}

#[tokio::test]
async fn later_put_counts_where_two_touch_each_other() {
    let start = dir(0o755, []);
    let whole = dir(0o755, [(b"x", file("1")), (b"y", file("2"))]);
    let further = vec![
        put("a", Some(whole.clone())),
        put("a/x", None),
        put("a/y", Some(file("3"))),
        shallow("a", 0o700),
        put("b/c", Some(file("gone"))),
        put("b", Some(whole.clone())),
        put("c", Some(whole)),
        put("c", None),
    ];
    let whole = dir(0o755, [(b"x", file("1")), (b"y", file("2"))]);
    let expected = dir(0o755, [(b"a", dir(0o700, [(b"y", file("3"))])), (b"b", whole)]);
    check(start, further, expected).await;
}

#[tokio::test]
async fn unknown_entries_are_not_recorded() {
    let unknown = || Entry::Unknown(ProblemKind::Unreadable);
    let start = dir(0o755, [(b"a", file("a")), (b"u", unknown()), (b"d", dir(0o755, [(b"u", unknown())]))]);
    let expected = dir(0o755, [(b"d", dir(0o755, []))]);
    check(start, vec![put("a", Some(unknown()))], expected).await;
}

#[tokio::test]
async fn rows_without_their_directory_imply_it() {
    let expected = dir(0o755, [(b"a", dir(0o755, [(b"b", dir(0o755, [(b"c", file("c"))]))]))]);
    check(dir(0o755, []), vec![put("a/b/c", Some(file("c")))], expected).await;
}

#[tokio::test]
async fn what_claims_to_lie_below_a_file_is_dropped() {
    let start = dir(0o755, [(b"a", file("a"))]);
    let expected = start.clone();
    check(start, vec![put("a/b", Some(file("b")))], expected).await;
}

#[tokio::test]
async fn relationships_do_not_touch_each_other() {
    let fixture = Fixture::new().await;
    let (store, one, two) = (&fixture.store, fixture.relationship, Uuid::from_u128(8));
    store.relationships().add(&crate::relationship_row(two, "other")).await.unwrap();
    for id in [one, two] {
        store.ancestor().commit(id, &puts(vec![put("", Some(tree()))])).await.unwrap();
    }
    store.ancestor().commit(one, &puts(vec![put("", None)])).await.unwrap();
    assert_eq!(store.ancestor().len(one).await.unwrap(), 0);
    assert_eq!(Entry::Dir(store.ancestor().load(two).await.unwrap()), tree());
    assert!(store.relationships().remove(two).await.unwrap());
    assert_eq!(store.ancestor().len(two).await.unwrap(), 0);
    let refused = store.ancestor().commit(two, &puts(vec![put("", Some(tree()))])).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}

#[tokio::test]
async fn equal_directories_are_shared_in_memory() {
    let fixture = Fixture::new().await;
    let Entry::Dir(ours) = tree() else { panic!() };
    let mut changed = vec![put("", Some(tree())), put("a/x", Some(file("other")))];
    let id = fixture.relationship;
    fixture.store.ancestor().commit(id, &puts(changed.split_off(0))).await.unwrap();
    let loaded = fixture.store.ancestor().load_sharing(id, &ours).await.unwrap();
    let at = |tree: &Arc<Dir>, text: &[u8]| tree.dir_at(&path(text)).unwrap();
    assert!(Arc::ptr_eq(&at(&loaded, b"\xff"), &at(&ours, b"\xff")));
    assert!(Arc::ptr_eq(&at(&loaded, b"a/empty"), &at(&ours, b"a/empty")));
    assert_ne!(at(&loaded, b"a"), at(&ours, b"a"));
}

/// Names from the bytes around which an order of paths goes wrong.
fn names() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0x01, 0x2e, 0x2d, 0x30, b'a', 0xff]), 1..4)
        .prop_filter("not a component", |bytes| Name::new(bytes).is_ok())
}

fn leaves() -> impl Strategy<Value = Entry> {
    prop_oneof![
        4 => "[ab]{0,2}".prop_map(|content| file(&content)),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(|target| link(&target)),
    ]
}

fn dirs() -> impl Strategy<Value = Entry> {
    let made = |children: BTreeMap<Vec<u8>, Entry>, mode: u32| {
        let children =
            children.into_iter().map(|(name, entry)| Child { name: Name::new(&name).unwrap(), entry });
        Entry::dir(Mode::new(mode), children.collect())
    };
    let modes = || prop::sample::select(vec![0o700, 0o755]);
    let leaf = prop_oneof![3 => leaves(), 1 => modes().prop_map(|mode| dir(mode, []))];
    let inner = leaf.prop_recursive(4, 40, 5, move |inner| {
        (prop::collection::btree_map(names(), inner, 0..5), modes()).prop_map(move |(c, m)| made(c, m))
    });
    (prop::collection::btree_map(names(), inner, 0..6), modes()).prop_map(move |(c, m)| made(c, m))
}

/// The model: the same put carried out on a tree in memory.
fn carried_out(tree: &Arc<Dir>, put: &Put) -> Arc<Dir> {
    match put.path.components().next() {
        None => match (&put.entry, put.shallow) {
            (Some(Entry::Dir(new)), true) => Arc::new(Dir::new(new.mode(), tree.children().to_vec())),
            (Some(Entry::Dir(new)), false) => Arc::clone(new),
            _ => Arc::new(Dir::empty()),
        },
        Some(first) => {
            let name = Name::new(first).unwrap();
            let rest = path(put.path.as_bytes().get(first.len() + 1..).unwrap_or_default());
            let mut children: Vec<Child> =
                tree.children().iter().filter(|c| c.name != name).cloned().collect();
            let old = tree.child(first);
            let new = match (rest.is_root(), &put.entry, old) {
                (true, Some(Entry::Dir(new)), Some(Entry::Dir(old))) if put.shallow => {
                    Some(Entry::Dir(Arc::new(Dir::new(new.mode(), old.children().to_vec()))))
                }
                (true, Some(Entry::Dir(new)), _) if put.shallow => Some(Entry::dir(new.mode(), Vec::new())),
                (true, entry, _) => entry.clone(),
                (false, _, Some(Entry::Dir(old))) => {
                    let below = Put { path: rest, entry: put.entry.clone(), shallow: put.shallow };
                    Some(Entry::Dir(carried_out(old, &below)))
                }
                (false, _, old) => old.cloned(),
            };
            children.extend(new.map(|entry| Child { name, entry }));
            Arc::new(Dir::new(tree.mode(), children))
        }
    }
}

fn all_paths(tree: &Arc<Dir>, at: &RelPath, found: &mut Vec<RelPath>) {
    for child in tree.children() {
        let below = at.join(&child.name);
        found.push(below.clone());
        if let Entry::Dir(inner) = &child.entry {
            all_paths(inner, &below, found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_puts_on_a_random_tree_do_what_they_do_in_memory(
        start in dirs(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(prop_oneof![leaves(), dirs()]), any::<bool>()), 0..8),
        new_name in names(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let (store, id) = (&fixture.store, fixture.relationship);
            let Entry::Dir(mut model) = start.clone() else { panic!() };
            let mut all = vec![Put { path: RelPath::root(), entry: Some(start), shallow: false }];
            for (index, entry, shallow) in changes {
                let mut paths = vec![path(&new_name)];
                all_paths(&model, &RelPath::root(), &mut paths);
                let shallow = shallow && matches!(entry, Some(Entry::Dir(_)));
                let one = Put { path: index.get(&paths).clone(), entry, shallow };
                // A directory that takes the place of a file has nothing below it to keep.
                let below_file = matches!(model.get(&one.path), Some(Entry::File(_) | Entry::Symlink(_)));
                let one = Put { shallow: one.shallow && !below_file, ..one };
                model = carried_out(&model, &one);
                all.push(one);
            }
            store.ancestor().commit(id, &puts(all)).await.unwrap();
            let loaded = store.ancestor().load(id).await.unwrap();
            assert_eq!(loaded, model);
            let shared = store.ancestor().load_sharing(id, &model).await.unwrap();
            assert!(Arc::ptr_eq(&shared, &model));
        });
    }
}
