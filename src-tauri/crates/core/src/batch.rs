//! From the changes for one side to batches that it carries out: which steps in which order, and where each
//! content comes from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::apply::{Basis, Batch, LocalCopy, Move};
use crate::digest::Digest;
use crate::entry::{Child, Dir, Entry, File, Mode};
use crate::moves::{ancestors, extract};
use crate::path::{Name, RelPath};
use crate::plan::Change;
use crate::transfer::{DELTA_LIMIT, Item};

/// How much one batch may hold, so that progress becomes visible and durable on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Most files.
    pub files: u64,
    /// Most bytes, unless a single file has more.
    pub bytes: u64,
}

/// Moves and changes that are carried out together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Renames, first.
    pub moves: Vec<Move>,
    /// Changes, in order.
    pub changes: Vec<Change>,
}

/// Orders the changes for one side into steps: directories that moves go into, moves, creations and
/// replacements, and deletions last, so that the deleting half of a rename comes after the creating one.
/// What fits into one step is one step. Where a directory's own bits forbid its owner to work in it, they are
/// set at the very end.
pub fn steps(changes: &[Change], limit: Limit) -> Vec<Step> {
    let extracted = extract(changes);
    let mut packer = Packer {
        limit,
        steps: Vec::new(),
        current: Step::default(),
        closing: Vec::new(),
        files: 0,
        bytes: 0,
    };
    let mut closing = Vec::new();
    if !extracted.shells.is_empty() {
        packer.current.changes =
            extracted.shells.into_iter().map(|shell| opened(shell, &mut packer.closing)).collect();
        packer.close();
    }
    packer.current.moves = extracted.moves;
    let (deletions, others): (Vec<_>, Vec<_>) =
        extracted.rest.into_iter().partition(|change| change.new.is_none());
    for change in others {
        if closes(&change) { closing.push(change) } else { packer.add(change) }
    }
    // Below first: a directory can go only after what is deleted inside it.
    for change in deletions.into_iter().rev() {
        packer.push(change, 1, 0);
    }
    closing.append(&mut packer.closing);
    for change in closing.into_iter().rev() {
        packer.push(change, 1, 0);
    }
    packer.close();
    packer.steps
}

/// What its owner needs to work in a directory.
const OWNER_WORKS: u32 = 0o300;

/// Tells whether a change takes from a directory's owner the right to work in it. It comes last, because
/// otherwise nothing below could be changed any more.
fn closes(change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(Entry::Dir(_)), Some(Entry::Dir(new))) => new.mode().bits() & OWNER_WORKS != OWNER_WORKS,
        _ => false,
    }
}

/// Gives a directory that is created empty and filled by later changes the bits that this needs; `closing`
/// takes up the change to its own bits, if they are others.
fn opened(shell: Change, closing: &mut Vec<Change>) -> Change {
    let Some(Entry::Dir(dir)) = &shell.new else { return shell };
    let bits = dir.mode().bits();
    if bits & OWNER_WORKS == OWNER_WORKS {
        return shell;
    }
    let open = Entry::dir(Mode::new(bits | OWNER_WORKS), Vec::new());
    closing.push(Change { path: shell.path.clone(), old: Some(open.clone()), new: shell.new.clone() });
    Change { new: Some(open), ..shell }
}

struct Packer {
    limit: Limit,
    steps: Vec<Step>,
    current: Step,
    closing: Vec<Change>,
    files: u64,
    bytes: u64,
}

impl Packer {
    fn add(&mut self, change: Change) {
        let totals = change.new.as_ref().map(Entry::totals).unwrap_or_default();
        let fits = totals.files <= self.limit.files && totals.bytes <= self.limit.bytes;
        match &change.new {
            Some(Entry::Dir(dir)) if !fits && !matches!(change.old, Some(Entry::Dir(_))) => {
                let dir = Arc::clone(dir);
                let shell = Some(Entry::dir(dir.mode(), Vec::new()));
                let shell = opened(
                    Change { path: change.path.clone(), old: change.old, new: shell },
                    &mut self.closing,
                );
                self.push(shell, 1, 0);
                for Child { name, entry } in dir.children() {
                    self.add(Change { path: change.path.join(name), old: None, new: Some(entry.clone()) });
                }
            }
            _ => self.push(change, totals.files.max(1), totals.bytes),
        }
    }

    fn push(&mut self, change: Change, files: u64, bytes: u64) {
        let full = self.files + files > self.limit.files || self.bytes + bytes > self.limit.bytes;
        if full && !self.current.changes.is_empty() {
            self.close();
        }
        self.files += files;
        self.bytes += bytes;
        self.current.changes.push(change);
    }

    fn close(&mut self) {
        if !self.current.changes.is_empty() || !self.current.moves.is_empty() {
            self.steps.push(std::mem::take(&mut self.current));
        }
        (self.files, self.bytes) = (0, 0);
    }
}

/// Works out where the contents of a step come from.
///
/// `supplier` and `receiver` are the trees of both sides. A content that the receiver holds anywhere is copied
/// there; the search for it is skipped for a handful of small files, where looking costs more than sending.
/// `unstable` are paths of the receiver that earlier steps of the same plan move or replace.
pub fn assemble(
    id: u128,
    step: Step,
    supplier: &Arc<Dir>,
    receiver: &Arc<Dir>,
    unstable: &HashSet<RelPath>,
) -> Batch {
    let mut wanted = Wanted::default();
    for change in &step.changes {
        if let Some(new) = &change.new {
            wanted.collect(&change.path, change.old.as_ref(), new);
        }
    }
    let mut copies = Vec::new();
    // A conflict copy's content stands at the receiver itself, under the name under dispute.
    let not_there = wanted.files.iter().any(|(path, file)| !holds(supplier, path, &file.digest));
    if not_there || wanted.bytes > 256 * 1024 || wanted.files.len() > 16 {
        let mut found = HashMap::new();
        locate(receiver, &RelPath::root(), &mut |parent, name, file| {
            if wanted.index.contains(&file.digest) && !found.contains_key(&file.digest) {
                let path = parent.join(name);
                if unstable.is_empty() || !ancestors(path.clone()).any(|path| unstable.contains(&path)) {
                    found.insert(file.digest, path);
                }
            }
        });
        wanted.files.retain(|(_, file)| match found.get(&file.digest) {
            Some(path) => {
                copies.push(LocalCopy { digest: file.digest, path: path.clone() });
                false
            }
            None => true,
        });
    }
    let misplaced: HashSet<Digest> = wanted
        .files
        .iter()
        .filter(|(path, file)| !holds(supplier, path, &file.digest))
        .map(|(_, file)| file.digest)
        .collect();
    let mut elsewhere = HashMap::new();
    if !misplaced.is_empty() {
        locate(supplier, &RelPath::root(), &mut |parent, name, file| {
            if misplaced.contains(&file.digest) {
                elsewhere.entry(file.digest).or_insert_with(|| parent.join(name));
            }
        });
    }
    let mut items = Vec::with_capacity(wanted.files.len());
    let mut bases = Vec::new();
    for (path, file) in wanted.files {
        let at = elsewhere.remove(&file.digest).unwrap_or_else(|| path.clone());
        if file.size >= DELTA_LIMIT
            && let Some(Entry::File(old)) = receiver.get(&path)
            && old.size >= DELTA_LIMIT / 4
            && let Ok(item) = u32::try_from(items.len())
        {
            bases.push(Basis { item, path });
        }
        items.push(Item { digest: file.digest, size: file.size, path: at });
    }
    Batch { id, moves: step.moves, changes: step.changes, items, copies, bases, ..Batch::default() }
}

/// Puts all changes for one side into one step, without renames, so that the receiver can carry them out as a whole or
/// not at all. What moved within the receiver is copied there.
pub fn one_step(changes: &[Change]) -> Option<Step> {
    let (deletions, others): (Vec<_>, Vec<_>) =
        changes.iter().cloned().partition(|change| change.new.is_none());
    let (closing, mut ordered): (Vec<_>, Vec<_>) = others.into_iter().partition(closes);
    ordered.extend(deletions.into_iter().rev());
    ordered.extend(closing.into_iter().rev());
    (!ordered.is_empty()).then(|| Step { moves: Vec::new(), changes: ordered })
}

/// Makes a batch that brings every content of a step from the supplier, also what the receiver holds already.
pub fn assemble_again(id: u128, step: Step) -> Batch {
    let mut wanted = Wanted::default();
    for change in &step.changes {
        if let Some(new) = &change.new {
            // Without the old content nothing looks unchanged; of two directories only the bits are meant.
            let old = change.old.as_ref().filter(|old| matches!(old, Entry::Dir(_)));
            wanted.collect(&change.path, old, new);
        }
    }
    let item = |(path, file): (RelPath, File)| Item { digest: file.digest, size: file.size, path };
    let items = wanted.files.into_iter().map(item).collect();
    Batch { id, changes: step.changes, items, again: true, ..Batch::default() }
}

#[derive(Default)]
struct Wanted {
    index: HashSet<Digest>,
    files: Vec<(RelPath, File)>,
    bytes: u64,
}

impl Wanted {
    fn collect(&mut self, path: &RelPath, old: Option<&Entry>, new: &Entry) {
        match new {
            Entry::File(file) => {
                let unchanged = old.is_some_and(|old| old.same_content(new));
                if !unchanged && self.index.insert(file.digest) {
                    self.bytes += file.size;
                    self.files.push((path.clone(), *file));
                }
            }
            // Of two directories only the permission bits change; children have changes of their own.
            Entry::Dir(_) if matches!(old, Some(Entry::Dir(_))) => {}
            Entry::Dir(dir) => {
                for child in dir.children() {
                    self.collect(&path.join(&child.name), None, &child.entry);
                }
            }
            Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
}

fn holds(tree: &Arc<Dir>, path: &RelPath, digest: &Digest) -> bool {
    tree.get(path).and_then(Entry::as_file).is_some_and(|file| file.digest == *digest)
}

fn locate(dir: &Dir, path: &RelPath, visit: &mut dyn FnMut(&RelPath, &Name, &File)) {
    for child in dir.children() {
        match &child.entry {
            Entry::File(file) => visit(path, &child.name, file),
            Entry::Dir(inner) => locate(inner, &path.join(&child.name), visit),
            Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
}
