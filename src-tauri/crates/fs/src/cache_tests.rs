use super::*;
use crate::index::Patch;

fn row(path: &str, ino: u64) -> CacheRow {
    CacheRow {
        path: RelPath::new(path.as_bytes()).unwrap(),
        ino,
        size: 3,
        mtime: Mtime { secs: 5, nanos: 6 },
        ctime: Mtime { secs: 7, nanos: 8 },
        digest: Digest::of(path.as_bytes()),
    }
}

fn rows() -> Vec<CacheRow> {
    ["a", "a-b", "a.d/x", "a0", "d/e/f/g", "d/e/f-g", "d/z", "z/a", "z/b", "z/c/d"]
        .iter()
        .enumerate()
        .map(|(at, path)| row(path, at as u64 + 1))
        .collect()
}

/// Applies deltas of at most `limit` rows to `stored` until there is no more.
fn drain(ledger: &mut Ledger, current: &Index, limit: usize, stored: &mut Vec<CacheRow>) {
    loop {
        let delta = ledger.take(current, limit);
        assert!(delta.len() <= limit);
        for path in delta.removes {
            stored.retain(|row| row.path != path);
        }
        for row in delta.upserts {
            stored.retain(|old| old.path != row.path);
            stored.push(row);
        }
        if !delta.more {
            break;
        }
    }
    stored.sort_by(|a, b| a.path.cmp(&b.path));
}

#[test]
fn rows_survive_being_made_an_index_and_back() {
    let index = index_of(rows());
    for limit in [1, 2, 3, 100] {
        let mut stored = Vec::new();
        let mut ledger = Ledger::new(Index::empty());
        drain(&mut ledger, &index, limit, &mut stored);
        let mut expected = rows();
        expected.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(stored, expected, "limit {limit}");
        assert!(ledger.take(&index, limit).is_empty());
    }
}

#[test]
fn only_differences_are_handed_out() {
    let index = index_of(rows());
    let mut ledger = Ledger::new(index.clone());
    assert!(ledger.take(&index, 10).is_empty());
    let mut now = index.clone();
    let gone = RelPath::new(b"z").unwrap();
    let file = index.look_up(&RelPath::new(b"d/z").unwrap()).unwrap();
    let moved = RelPath::new(b"d/zz").unwrap();
    let patches = vec![Patch { path: gone, now: None }, Patch { path: moved.clone(), now: Some(file) }];
    assert_eq!(now.patch(patches), []);
    let delta = ledger.take(&now, 10);
    assert_eq!(delta.upserts.iter().map(|row| &row.path).collect::<Vec<_>>(), [&moved]);
    let removed: Vec<_> = delta.removes.iter().map(ToString::to_string).collect();
    assert_eq!(removed, ["z/a", "z/b", "z/c/d"]);
}

#[test]
fn a_file_that_became_a_folder_loses_its_row_and_its_children_gain_theirs() {
    let before = index_of(vec![row("x", 1)]);
    let after = index_of(vec![row("x/1", 2), row("x/2", 3)]);
    for limit in [1, 2, 10] {
        let mut stored = vec![row("x", 1)];
        drain(&mut Ledger::new(before.clone()), &after, limit, &mut stored);
        assert_eq!(stored, [row("x/1", 2), row("x/2", 3)]);
        drain(&mut Ledger::new(after.clone()), &before, limit, &mut stored);
        assert_eq!(stored, [row("x", 1)]);
    }
}

#[test]
fn unsure_files_have_no_row_and_suspected_rot_keeps_the_one_it_had() {
    let index = index_of(vec![row("rot", 1), row("unsure", 2)]);
    let mut now = index.clone();
    let (file, _) = index.look_up(&RelPath::new(b"unsure").unwrap()).unwrap();
    let patches = vec![
        Patch {
            path: RelPath::new(b"rot").unwrap(),
            now: Some((Entry::Unknown(ProblemKind::SuspectedRot), Keys::Leaf(StatKey::UNSURE))),
        },
        Patch { path: RelPath::new(b"unsure").unwrap(), now: Some((file, Keys::Leaf(StatKey::UNSURE))) },
    ];
    assert_eq!(now.patch(patches), []);
    let mut ledger = Ledger::new(index);
    let delta = ledger.take(&now, 10);
    assert!(delta.upserts.is_empty());
    assert_eq!(delta.removes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["unsure"]);
}
