//! A scan of the changed paths finds exactly what a scan of everything finds.

use std::collections::BTreeSet;

use evenfold_core::Name;
use evenfold_fs::disk::Place;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::*;

/// Everything below the root, folders with a closing slash.
fn all(disk: &RealDisk, dir: &RelPath, found: &mut Vec<(RelPath, bool)>) {
    for listed in disk.list(&Place::User(dir.clone())).unwrap() {
        let below = dir.join(&Name::new(&listed.name).unwrap());
        let is_dir = listed.stat.unwrap().kind == evenfold_fs::disk::Kind::Dir;
        found.push((below.clone(), is_dir));
        if is_dir {
            all(disk, &below, found);
        }
    }
}

/// Does something at random and notes the paths that a watcher would have told.
fn disturb(folder: &Folder, rng: &mut StdRng, dirty: &mut BTreeSet<RelPath>) {
    let mut found = Vec::new();
    all(&folder.disk(), &RelPath::root(), &mut found);
    let mut dirs: Vec<RelPath> = found.iter().filter(|(_, is_dir)| *is_dir).map(|(p, _)| p.clone()).collect();
    dirs.push(RelPath::root());
    let name = Name::new(["a", "b", "c", "d-e", "d"].choose(rng).unwrap().as_bytes()).unwrap();
    let target = dirs.choose(rng).unwrap().join(&name);
    let source = found.choose(rng).cloned();
    let at = folder.at(target.as_bytes());
    match rng.random_range(0..8) {
        0 | 1 => {
            if at.is_dir() {
                return;
            }
            std::fs::write(at, format!("{}", rng.random_range(0..4))).unwrap();
        }
        2 => {
            if std::fs::create_dir(&at).is_ok() && rng.random() {
                // What is made below at once may fall before a watcher looks, so it gives no event.
                std::fs::create_dir_all(at.join("x/y")).unwrap();
                std::fs::write(at.join("x/y/z"), "z").unwrap();
            }
        }
        3 => {
            if at.is_dir() {
                std::fs::remove_dir_all(at).unwrap();
            } else if std::fs::remove_file(at).is_err() {
                return;
            }
        }
        4 | 5 => {
            let Some((from, _)) = source else { return };
            if std::fs::rename(folder.at(from.as_bytes()), at).is_err() {
                return;
            }
            dirty.insert(from);
        }
        6 => {
            use std::os::unix::fs::PermissionsExt;
            let Some((from, is_dir)) = source else { return };
            let mode = if is_dir { 0o700 | rng.random_range(0..0o100) } else { 0o600 };
            std::fs::set_permissions(folder.at(from.as_bytes()), PermissionsExt::from_mode(mode)).unwrap();
            dirty.insert(from);
            return;
        }
        _ => {
            // A folder is replaced by a new one that may well get the same inode number.
            if !at.is_dir() {
                return;
            }
            std::fs::remove_dir_all(&at).unwrap();
            std::fs::create_dir(&at).unwrap();
            std::fs::create_dir(at.join("a")).unwrap();
            std::fs::write(at.join("a/b"), "new").unwrap();
        }
    }
    dirty.insert(target);
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = Folder::new();
    let parallel = rng.random();
    let select = match rng.random_range(0..3) {
        0 => Select { exclude: vec!["c".into(), "/a/b".into()], ..Select::default() },
        1 => Select { include: vec!["z".into(), "d".into()], ..Select::default() },
        _ => Select::default(),
    };
    let open = |select: &Select| {
        Replica::open(folder.disk(), Options { select: select.clone(), parallel, ..options() }).unwrap()
    };
    let replica = open(&select);
    for _ in 0..20 {
        disturb(&folder, &mut rng, &mut BTreeSet::new());
    }
    full(&replica);
    for round in 0..25 {
        if rng.random_ratio(1, 5) {
            age();
        }
        let mut dirty = BTreeSet::new();
        for _ in 0..rng.random_range(1..5) {
            disturb(&folder, &mut rng, &mut dirty);
        }
        let mut dirty: Vec<RelPath> = dirty.into_iter().collect();
        dirty.shuffle(&mut rng);
        let partial = replica.scan(&Extent::Paths(dirty.clone())).unwrap();
        let fresh = full(&open(&select));
        assert_eq!(partial.tree, fresh.tree, "seed {seed} round {round} paths {dirty:?}");
        assert_eq!(partial.problems, fresh.problems, "seed {seed} round {round}");
        if rng.random_ratio(1, 4) {
            assert_eq!(full(&replica).tree, fresh.tree, "full, seed {seed} round {round}");
        }
    }
}

#[test]
fn changed_paths_give_what_everything_gives() {
    let seeds = std::env::var("EVENFOLD_SEED").map_or(0..24, |seed| {
        let seed = seed.parse().unwrap();
        seed..seed + 1
    });
    seeds.for_each(run);
}

#[test]
fn path_below_a_vanished_folder_removes_the_folder() {
    let folder = Folder::new();
    folder.write("a/b/c", "1");
    let replica = folder.replica();
    full(&replica);
    std::fs::remove_dir_all(folder.at("a")).unwrap();
    assert!(replica.scan(&paths(&["a/b/c"])).unwrap().tree.children().is_empty());
}

#[test]
fn new_folder_is_scanned_to_the_bottom() {
    let folder = Folder::new();
    let replica = folder.replica();
    full(&replica);
    folder.write("a/b/c/d", "1");
    assert_eq!(digest_at(&replica.scan(&paths(&["a"])).unwrap().tree, "a/b/c/d"), Digest::of(b"1"));
}

#[test]
fn one_path_costs_one_look_whatever_stands_beside_it() {
    let folder = Folder::new();
    for at in 0..300 {
        folder.write(format!("d/f{at}"), "x");
        folder.write(format!("e/{at}/f"), "x");
    }
    age();
    let replica = folder.replica();
    full(&replica);
    let before = replica.counts();
    folder.write("d/f7", "edited");
    folder.write("d/new", "new");
    let tree = replica.scan(&paths(&["d/f7", "d/new"])).unwrap().tree;
    assert_eq!(digest_at(&tree, "d/f7"), Digest::of(b"edited"));
    let after = replica.counts();
    assert_eq!((after.dirs - before.dirs, after.files - before.files), (0, 2));
}

#[test]
fn nothing_named_is_nothing_done() {
    let folder = Folder::new();
    let replica = folder.replica();
    let first = full(&replica);
    folder.write("unnoticed", "x");
    assert_eq!(replica.scan(&Extent::Paths(Vec::new())).unwrap().tree, first.tree);
}

#[test]
fn first_scan_looks_at_everything_whatever_is_asked() {
    let folder = Folder::new();
    folder.write("a/b", "1");
    folder.write("c", "2");
    assert_eq!(folder.replica().scan(&paths(&["c"])).unwrap().tree.totals().files, 2);
}
