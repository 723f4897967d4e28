//! Trees arrive as they are, at the price of what differs.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{Fake, Random, connect, dir, file, name, server};
use evenfold_core::snapshot::{Extent, Problem};
use evenfold_core::{Child, Dir, Entry, Mode, ProblemKind};

fn replace(tree: &Arc<Dir>, at: &str, entry: Entry) -> Arc<Dir> {
    let mut children: Vec<Child> = tree.children().to_vec();
    children.retain(|child| child.name != name(at));
    children.push(Child { name: name(at), entry });
    Arc::new(Dir::new(tree.mode(), children))
}

fn flat(count: u64) -> Arc<Dir> {
    dir((0..count).map(|i| (format!("file{i:06}.txt"), file(i))).collect())
}

/// `dirs` directories of `files` files, in two levels.
fn nested(dirs: u64, files: u64) -> Arc<Dir> {
    let group = |g: u64| {
        let inner = (0..32.min(dirs - g * 32)).map(|d| {
            let seed = (g * 32 + d) * files;
            let files = (0..files).map(|f| (format!("source-{f:03}.rs"), file(seed + f))).collect();
            (format!("package-{d:03}"), Entry::Dir(dir(files)))
        });
        (format!("group-{g:03}"), Entry::Dir(dir(inner.collect())))
    };
    dir((0..dirs.div_ceil(32)).map(group).collect())
}

fn edit_deep(tree: &Arc<Dir>, group: &str, package: &str, source: &str, seed: u64) -> Arc<Dir> {
    let outer = tree.child(group.as_bytes()).unwrap().as_dir().unwrap();
    let inner = outer.child(package.as_bytes()).unwrap().as_dir().unwrap();
    let inner = replace(inner, source, file(seed));
    replace(tree, group, Entry::Dir(replace(outer, package, Entry::Dir(inner))))
}

#[tokio::test]
async fn random_trees_arrive_whatever_is_known() {
    for seed in 0..100 {
        let mut random = Random(seed);
        let base = random.tree(4);
        let theirs = random.perturb(&base, 6);
        let ours = random.perturb(&base, 10);
        let fake = Arc::new(Fake::new(&theirs));
        let server = server(&fake);
        let (client, _, _) = connect(&server);
        let known: &[Arc<Dir>] = match seed % 4 {
            0 => &[],
            1 => std::slice::from_ref(&ours),
            2 => &[base.clone(), ours.clone()],
            _ => &[ours.clone(), random.tree(3)],
        };
        let got = client.scan(Extent::Full, known).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(got.tree.digest(), theirs.digest(), "seed {seed}");
        // Then by difference from what was told, and by descent on a second stream.
        let later = random.perturb(&theirs, 8);
        fake.set(&later);
        assert_eq!(client.scan(Extent::Full, known).await.unwrap().tree, later, "seed {seed}");
        let (second, _, _) = connect(&server);
        assert_eq!(second.current(known).await.unwrap().tree, later, "seed {seed}");
        assert_eq!(second.current(&[]).await.unwrap().tree, later, "seed {seed}");
    }
}

#[tokio::test]
async fn equal_trees_cost_next_to_nothing() {
    let tree = flat(20_000);
    let fake = Arc::new(Fake::new(&tree));
    let (client, count, _) = connect(&server(&fake));
    let got = client.scan(Extent::Full, &[tree.clone(), tree.clone()]).await.unwrap();
    assert!(Arc::ptr_eq(&got.tree, &tree));
    assert_eq!(got.epoch, 7);
    let bytes = count.take();
    assert!(bytes <= 200, "{bytes}");
}

#[tokio::test]
async fn one_edit_in_a_huge_directory_costs_one_entry() {
    let tree = flat(20_000);
    let fake = Arc::new(Fake::new(&tree));
    let server = server(&fake);
    let (client, count, _) = connect(&server);
    client.scan(Extent::Full, &[]).await.unwrap();
    count.take();
    let edited = replace(&tree, "file000123.txt", file(9_999_999));
    fake.set(&edited);
    assert_eq!(client.scan(Extent::Full, &[]).await.unwrap().tree, edited);
    let bytes = count.take();
    assert!(bytes <= 1000, "{bytes}");
    // The same after a reconnection, if the client still has the tree.
    let again = replace(&edited, "file000124.txt", file(9_999_998));
    fake.set(&again);
    let (second, count, _) = connect(&server);
    assert_eq!(second.scan(Extent::Full, &[edited]).await.unwrap().tree, again);
    let bytes = count.take();
    assert!(bytes <= 1000, "{bytes}");
}

#[tokio::test]
async fn one_edit_unknown_to_the_server_costs_fingerprints() {
    let tree = flat(20_000);
    let edited = replace(&tree, "file000123.txt", file(9_999_999));
    let (client, count, _) = connect(&server(&Arc::new(Fake::new(&edited))));
    assert_eq!(client.scan(Extent::Full, &[tree]).await.unwrap().tree, edited);
    let bytes = count.take();
    assert!(bytes <= 125_000, "{bytes}");
}

#[tokio::test]
async fn ten_edits_in_a_hundred_thousand_files_cost_little_even_to_strangers() {
    let tree = nested(1000, 100);
    let mut edited = tree.clone();
    for i in 0..10 {
        edited =
            edit_deep(&edited, &format!("group-{:03}", i * 3), "package-005", "source-050.rs", 1_000_000 + i);
    }
    let (client, count, _) = connect(&server(&Arc::new(Fake::new(&edited))));
    let got = client.scan(Extent::Full, &[tree]).await.unwrap();
    assert_eq!(got.tree, edited);
    let bytes = count.take();
    assert!(bytes <= 40_000, "{bytes}");
}

#[tokio::test]
async fn a_renamed_directory_is_named_not_sent() {
    let big = Entry::Dir(flat(2000));
    let tree = dir(vec![("before".into(), big.clone()), ("x".into(), file(1))]);
    let renamed = dir(vec![("after".into(), big), ("x".into(), file(1))]);
    let fake = Arc::new(Fake::new(&tree));
    let server = server(&fake);
    let (client, count, _) = connect(&server);
    client.scan(Extent::Full, &[]).await.unwrap();
    count.take();
    fake.set(&renamed);
    assert_eq!(client.scan(Extent::Full, &[]).await.unwrap().tree, renamed);
    let bytes = count.take();
    assert!(bytes <= 300, "{bytes}");
    // By descent, too.
    let (client, count, _) = connect(&common::server(&Arc::new(Fake::new(&renamed))));
    assert_eq!(client.scan(Extent::Full, &[tree]).await.unwrap().tree, renamed);
    let bytes = count.take();
    assert!(bytes <= 400, "{bytes}");
}

#[tokio::test]
async fn the_deepest_tree_that_paths_allow_arrives() {
    let mut tree = Arc::new(Dir::empty());
    for _ in 0..2047 {
        tree = dir(vec![("d".into(), Entry::Dir(tree))]);
    }
    let fake = Arc::new(Fake::new(&tree));
    let (client, _, _) = connect(&server(&fake));
    assert_eq!(client.scan(Extent::Full, &[]).await.unwrap().tree, tree);
    let other = dir(vec![("e".into(), file(1))]);
    let (client, _, _) = connect(&server(&fake));
    assert_eq!(client.scan(Extent::Full, &[other]).await.unwrap().tree, tree);
}

#[tokio::test]
async fn problems_travel_once() {
    let tree = dir(vec![("odd".into(), Entry::Unknown(ProblemKind::Unreadable))]);
    let fake = Arc::new(Fake::new(&tree));
    let problem =
        Problem { path: common::path("odd"), kind: ProblemKind::Unreadable, detail: "x".repeat(500) };
    fake.snapshot.lock().unwrap().problems = vec![problem.clone()];
    let (client, count, _) = connect(&server(&fake));
    assert_eq!(client.current(&[]).await.unwrap().problems, std::slice::from_ref(&problem));
    count.take();
    assert_eq!(client.current(&[]).await.unwrap().problems, [problem]);
    assert!(count.take() <= 200);
    fake.snapshot.lock().unwrap().problems.clear();
    assert!(client.current(&[]).await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn nudges_bring_small_changes_along() {
    let tree = flat(5000);
    let fake = Arc::new(Fake::new(&tree));
    let (client, _, _) = connect(&server(&fake));
    client.current(&[]).await.unwrap();
    let mut nudges = client.subscribe().await.unwrap();
    let edited = replace(&tree, "file000001.txt", file(77));
    // The subscription is on its way; whatever the server had seen before, a later change nudges.
    fake.set(&edited);
    nudges.changed().await.unwrap();
    let nudge = nudges.borrow_and_update().clone();
    assert_eq!(nudge.root, Some((7, edited.digest())));
    assert_eq!(nudge.tree, Some(edited.clone()));
    // Too much for a nudge: only the digest.
    let other = flat(100);
    fake.set(&other);
    nudges.changed().await.unwrap();
    let nudge = nudges.borrow_and_update().clone();
    assert_eq!(nudge.root, Some((7, other.digest())));
    assert_eq!(nudge.tree, None);
    assert_eq!(client.scan(Extent::Full, &[]).await.unwrap().tree, other);
    let mode = Arc::new(Dir::new(Mode::new(0o700), other.children().to_vec()));
    fake.set(&mode);
    nudges.changed().await.unwrap();
    assert_eq!(nudges.borrow_and_update().tree, Some(mode));
}
