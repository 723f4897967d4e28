//! What users do to folders: items come, change and go at their origins; at destinations people use what arrived.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenfold_core::RelPath;
use evenfold_core::path::RESERVED;
use evenfold_core::snapshot::Extent;
use evenfold_core::{Child, Dir, Entry, File, Mode, Name, Symlink};
use evenfold_fs::disk::Kind;

use super::host::{Host, Role, Shared};
use crate::disk::{Body, Ino, Op, Slot, State, Tree, mtime};
use crate::sim::Rng;
use crate::sim::node::lock;
use crate::sim::survey::{Found, live};

/// Kinds of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A new file, or a new folder with some files.
    Put,
    /// Other content in a file.
    Edit,
    /// The same by a new file under the old name.
    Save,
    /// Something at the top goes with everything below.
    Remove,
    /// Something at the top gets another name.
    Rename,
    /// A file more in a folder.
    PutBelow,
    /// A file less in a folder.
    RemoveBelow,
    /// A content that was there before.
    Again,
}

const ACTS: [(u64, Act); 8] = [
    (30, Act::Put),
    (18, Act::Edit),
    (8, Act::Save),
    (14, Act::Remove),
    (7, Act::Rename),
    (8, Act::PutBelow),
    (5, Act::RemoveBelow),
    (6, Act::Again),
];

const NAMES: [&[u8]; 5] = [b"a", b"b", b"c.txt", b"job", b"d"];

/// Reads a folder as its users see it.
pub(crate) fn observe(tree: &Tree, root: Option<Ino>) -> Arc<Dir> {
    let entry = root.and_then(|root| entry(tree, root, true));
    match entry {
        Some(Entry::Dir(dir)) => dir,
        _ => Arc::new(Dir::empty()),
    }
}

fn entry(tree: &Tree, ino: Ino, top: bool) -> Option<Entry> {
    let node = tree.get(ino)?;
    Some(match &node.body {
        Body::File(content) => Entry::File(File {
            digest: content.digest(),
            size: content.bytes().len() as u64,
            mtime: mtime(node.mtime),
            mode: Mode::new(node.mode),
        }),
        Body::Link(target) => Entry::Symlink(Symlink { target: target.as_ref().into() }),
        Body::Dir(entries) => {
            let shown = entries.iter().filter(|(name, _)| !(top && **name == *RESERVED));
            let child = |(name, ino): &(Arc<[u8]>, Ino)| {
                Some(Child { name: Name::new(name).ok()?, entry: entry(tree, *ino, false)? })
            };
            Entry::dir(Mode::new(node.mode), shown.filter_map(child).collect())
        }
    })
}

/// A user of a machine does something.
pub(crate) fn act(shared: &Arc<Shared>, host: &Arc<Host>, rng: &mut Rng) {
    let passing = shared.settings.transit && host.role == Role::Hub;
    let act = rng.weighted(&ACTS, Act::Put);
    with_hand(shared, host, |state| {
        let all = live(&state.tree, state.tree.root);
        // What passes through a hub is nobody's there; its users have items of their own.
        let own = lock(&shared.judge).owned_paths(host.at());
        let mine = |path: &RelPath| !passing || own.iter().any(|owned| owned.starts_with(path));
        let of = |kind: Kind| -> Vec<(RelPath, Found)> {
            let found = all.iter().filter(|(path, found)| found.kind == kind && mine(path));
            found.map(|(path, found)| (path.clone(), found.clone())).collect()
        };
        let root = state.tree.root?;
        let (files, dirs) = (of(Kind::File), of(Kind::Dir));
        let top: Vec<(RelPath, Found)> =
            files.iter().chain(&dirs).filter(|(_, found)| found.dir == root).cloned().collect();
        match act {
            Act::Put => {
                let name: Arc<[u8]> = (*rng.pick(&NAMES)?).into();
                if state.tree.child(root, &name).is_some() {
                    return None;
                }
                if rng.percent(45) {
                    put_dir(shared, state, (root, name.clone()), rng);
                } else {
                    let bytes = content(shared, rng);
                    file(state, (root, name.clone()), &bytes);
                }
                Some(format!("puts {}", String::from_utf8_lossy(&name)))
            }
            Act::Edit => {
                let (path, found) = rng.pick(&files)?;
                let bytes = content(shared, rng);
                state.user([
                    Op::Resize { ino: found.ino, size: 0 },
                    Op::Write { ino: found.ino, offset: 0, bytes },
                ]);
                Some(format!("edits {path}"))
            }
            Act::Save => {
                let (path, found) = rng.pick(&files)?;
                let at: Slot = (found.dir, path.file_name()?.as_bytes().into());
                let bytes = content(shared, rng);
                state.user([Op::Unlink { at: at.clone() }]);
                file(state, at, &bytes);
                Some(format!("saves {path}"))
            }
            Act::Remove => {
                let (path, found) = rng.pick(&top)?;
                take_away(state, path, found)?;
                Some(format!("removes {path}"))
            }
            Act::Rename => {
                let (path, found) = rng.pick(&top)?;
                let name: Arc<[u8]> = (*rng.pick(&NAMES)?).into();
                if state.tree.child(root, &name).is_some() {
                    return None;
                }
                let from = (found.dir, path.file_name()?.as_bytes().into());
                state.user([Op::Rename { from, to: (root, name.clone()) }]);
                Some(format!("renames {path} to {}", String::from_utf8_lossy(&name)))
            }
            Act::PutBelow => {
                let (path, found) = rng.pick(&dirs)?;
                let name: Arc<[u8]> = format!("f{}", rng.below(4)).into_bytes().into();
                if state.tree.child(found.ino, &name).is_some() {
                    return None;
                }
                let bytes = content(shared, rng);
                file(state, (found.ino, name.clone()), &bytes);
                Some(format!("puts {} into {path}", String::from_utf8_lossy(&name)))
            }
            Act::RemoveBelow => {
                let below: Vec<_> = files.iter().filter(|(_, found)| found.dir != root).collect();
                let (path, found) = rng.pick(&below)?;
                take_away(state, path, found)?;
                Some(format!("removes {path}"))
            }
            Act::Again => {
                let earlier = lock(&shared.judge).earlier_content(rng)?;
                let name: Arc<[u8]> = (*rng.pick(&NAMES)?).into();
                if state.tree.child(root, &name).is_some() {
                    return None;
                }
                file(state, (root, name.clone()), &earlier);
                Some(format!("puts an old content at {}", String::from_utf8_lossy(&name)))
            }
        }
    });
}

/// Removes an item with everything below: somebody, or a command of theirs.
pub(crate) fn remove(shared: &Arc<Shared>, host: &Arc<Host>, path: &RelPath) {
    with_hand(shared, host, |state| {
        let found = live(&state.tree, state.tree.root).remove(path)?;
        take_away(state, path, &found)?;
        Some(format!("moves {path} away"))
    });
}

/// Changes a copy at the hub in place, as a failing disk or a careless user does.
pub(crate) fn damage(shared: &Arc<Shared>, host: &Arc<Host>, rng: &mut Rng) {
    if !shared.settings.transit {
        // What was delivered into a hub is its users', who act on it as others do.
        return;
    }
    let rows = host.rows();
    let held: Vec<_> = rows.iter().filter(|row| row.stored && row.key.origin != host.party).collect();
    let Some(row) = rng.pick(&held) else { return };
    let mut state = host.node.machine.lock();
    let all = live(&state.tree, state.tree.root);
    let below: Vec<_> =
        all.iter().filter(|(path, found)| path.starts_with(&row.place) && found.kind == Kind::File).collect();
    let Some((path, found)) = rng.pick(&below) else { return };
    lock(&shared.judge).damaged(&row.place);
    let how = rng.below(3);
    match how {
        0 => {
            let Some(name) = path.file_name() else { return };
            let at = (found.dir, name.as_bytes().into());
            state.user([Op::Unlink { at }]);
        }
        _ => {
            let bytes: Arc<[u8]> = b"#".as_slice().into();
            state.user([Op::Write { ino: found.ino, offset: 0, bytes }]);
            if how == 2 {
                state.user([Op::Attr { ino: found.ino, mode: None, mtime: Some(found.mtime) }]);
            }
        }
    }
    let path = (*path).clone();
    drop(state);
    shared.note(|| format!("damage at the hub: {path}"));
    told(shared, host, vec![path]);
}

/// Lets somebody act on a machine's folder, and takes down what that meant.
fn with_hand(shared: &Arc<Shared>, host: &Arc<Host>, act: impl FnOnce(&mut State) -> Option<String>) {
    let mut state = host.node.machine.lock();
    let before = live(&state.tree, state.tree.root);
    let Some(done) = act(&mut state) else { return };
    let after = live(&state.tree, state.tree.root);
    let changed: BTreeSet<RelPath> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect();
    let dir = observe(&state.tree, state.tree.root);
    lock(&shared.judge).acted(shared, host, &before, &after, &dir);
    drop(state);
    shared.note(|| format!("user on {}: {done}", host.at()));
    told(shared, host, changed.into_iter().collect());
}

/// The watcher tells of changes, or misses them.
fn told(shared: &Arc<Shared>, host: &Arc<Host>, paths: Vec<RelPath>) {
    let calm = shared.calm.load(std::sync::atomic::Ordering::Relaxed);
    let misses = shared.settings.troubles.unseen && !calm && lock(&shared.rng).percent(40);
    if misses || host.node.is_dead() || lock(&host.process).is_none() {
        return;
    }
    // A folder that cannot be looked at now is seen by the next look.
    drop(host.node.scan(&Extent::Paths(paths)));
    host.node.nudge();
}

fn take_away(state: &mut State, path: &RelPath, found: &Found) -> Option<()> {
    let below: Vec<(Arc<[u8]>, Ino)> = state.tree.entries(found.ino).to_vec();
    for (name, ino) in below {
        let path = path.join(&Name::new(&name).ok()?);
        take_away(state, &path, &Found { dir: found.ino, ino, ..found.clone() })?;
    }
    state.user([Op::Unlink { at: (found.dir, path.file_name()?.as_bytes().into()) }]);
    Some(())
}

fn put_dir(shared: &Shared, state: &mut State, at: Slot, rng: &mut Rng) {
    // Made elsewhere and moved here, so that it is there at once.
    let (dir, op) = state.make(at, Body::Dir(Vec::new()), 0o755);
    state.user([op]);
    for nth in 0..rng.below(4) {
        let name: Arc<[u8]> = format!("f{nth}").into_bytes().into();
        if rng.percent(20) {
            let (inner, op) = state.make((dir, name), Body::Dir(Vec::new()), 0o755);
            state.user([op]);
            let bytes = content(shared, rng);
            file(state, (inner, b"deep".as_slice().into()), &bytes);
        } else {
            let bytes = content(shared, rng);
            file(state, (dir, name), &bytes);
        }
    }
}

fn file(state: &mut State, at: Slot, bytes: &Arc<[u8]>) {
    let (ino, op) = state.make(at, Body::File(Arc::default()), 0o644);
    state.user([op, Op::Write { ino, offset: 0, bytes: bytes.clone() }]);
}

/// A content that has never been written before.
fn content(shared: &Shared, rng: &mut Rng) -> Arc<[u8]> {
    let size = match rng.below(100) {
        0..=1 => 140_000 + rng.below(300_000) as usize,
        2..=9 => 3_000,
        _ => 9 + rng.below(20) as usize,
    };
    lock(&shared.judge).new_content(size)
}
