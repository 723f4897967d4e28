//! Finds out what a root holds: walk, recognise, read.
//!
//! 1. [`walk`] lists directories in parallel and compares each entry's stat with the previous index. Where
//!    nothing changed, the previous subtree is taken over as it is.
//! 2. [`settle`] gives each remaining file its digest: from a file that vanished elsewhere in the same scan and
//!    has the same inode and times (so renaming a folder of any size reads nothing), else by reading it.
//!
//! Nothing here decides what a change means. What cannot be looked at is an `Unknown` entry with a
//! [`Problem`], never an absence.

mod draft;
mod pool;
mod settle;
mod trie;
mod walk;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenfold_core::snapshot::{MAX_PROBLEMS, Problem};
use evenfold_core::{Dir, File, ProblemKind, RelPath};

use crate::disk::{Disk, Kind, Place};
use crate::hash::Hashing;
use crate::index::{DirKeys, Index, StatKey};
use crate::matcher::Matcher;
use crate::watch::DirWatch;

use draft::Prev;
pub(crate) use pool::run_in_pool;
pub(crate) use trie::Trie;
use walk::Look;

/// Why a scan has no result. The previous snapshot stays what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Nothing stands at the root's path.
    #[error("the folder is missing")]
    RootMissing,
    /// Something else stands at the root's path than what was joined: it was replaced, unmounted, moved, or its
    /// marker is gone.
    #[error("the folder is not the one that was joined: {detail}")]
    RootReplaced {
        /// What differs.
        detail: String,
    },
    /// The root, or its marker, cannot be read.
    #[error("the folder cannot be read: {0}")]
    RootUnreadable(String),
    /// [`crate::replica::Replica::interrupt`] was called.
    #[error("the scan was stopped")]
    Stopped,
}

/// What scanning has done so far; counted live, for progress and tests.
#[derive(Debug, Default)]
pub struct Counters {
    dirs: AtomicU64,
    entries: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// The values of [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Directories listed.
    pub dirs: u64,
    /// Entries looked at (by `lstat`).
    pub entries: u64,
    /// Files whose content was read.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
}

impl Counters {
    /// Returns the present values.
    pub fn get(&self) -> Counts {
        Counts {
            dirs: self.dirs.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn read_file(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn listed_dir(&self, entries: usize) {
        self.dirs.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries as u64, Ordering::Relaxed);
    }
}

/// What a scan looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Everything below the root.
    All,
    /// The paths of the trie.
    Named(&'a Trie),
}

/// One scan of one root.
pub(crate) struct Scan<'a, D> {
    pub(crate) disk: &'a D,
    pub(crate) matcher: &'a Matcher,
    pub(crate) watch: Option<&'a dyn DirWatch>,
    /// Whether all contents are read again.
    pub(crate) deep: bool,
    /// Files under suspicion of rot: what they held before.
    pub(crate) rot: &'a BTreeMap<RelPath, File>,
    pub(crate) hashing: Hashing<'a>,
    /// Device of the root, to notice mount points.
    device: u64,
    gathered: Mutex<Gathered>,
    /// Whether files are read during the walk, because nothing is known that may have been moved.
    reads_at_once: bool,
}

/// What the threads of a scan find besides the tree.
#[derive(Default)]
struct Gathered {
    problems: Vec<Problem>,
    /// Subtrees and files of the previous index that are not at their path any more.
    gone: Vec<Gone>,
    /// Paths of directories that are not there any more.
    left: Vec<RelPath>,
    rot: Vec<(RelPath, File)>,
}

/// What is not at its previous path any more, and may be at another.
enum Gone {
    File(File, StatKey),
    Dir(Arc<Dir>, Arc<DirKeys>),
}

/// What a scan found.
pub(crate) struct Found {
    pub(crate) index: Index,
    /// In the order of their paths.
    pub(crate) problems: Vec<Problem>,
    /// Directories that are not there any more.
    pub(crate) left: Vec<RelPath>,
    /// Files that came under suspicion of rot in this scan, and what they held before.
    pub(crate) rot: Vec<(RelPath, File)>,
}

impl<'a, D: Disk> Scan<'a, D> {
    pub(crate) fn new(
        disk: &'a D,
        matcher: &'a Matcher,
        watch: Option<&'a dyn DirWatch>,
        deep: bool,
        rot: &'a BTreeMap<RelPath, File>,
        hashing: Hashing<'a>,
    ) -> Self {
        Scan {
            disk,
            matcher,
            watch,
            deep,
            rot,
            hashing,
            device: 0,
            gathered: Mutex::default(),
            reads_at_once: false,
        }
    }

    /// Scans `target`; everything else is taken over from `before`.
    ///
    /// # Errors
    /// Only if nothing can be said about the root itself.
    pub(crate) fn run(mut self, before: &Index, target: Target<'_>) -> Result<Found, ScanError> {
        let root = RelPath::root();
        let stat = self
            .disk
            .stat(&Place::User(root.clone()))
            .map_err(|error| ScanError::RootUnreadable(error.to_string()))?;
        if stat.kind != Kind::Dir {
            return Err(ScanError::RootUnreadable("it is not a folder".into()));
        }
        self.device = stat.dev;
        let (dir, key, keys) = before.parts();
        self.reads_at_once = self.deep || dir.children().is_empty();
        let prev = Prev { dir: Arc::clone(dir), keys: Arc::clone(keys) };
        let look = match target {
            Target::All => Look::All,
            Target::Named(trie) => Look::Known(Some(trie)),
        };
        let visited = self.visit(&root, &stat, Some(prev), look);
        self.stopped()?;
        let (drafted, new_key) = visited.map_err(|trouble| ScanError::RootUnreadable(trouble.detail))?;
        let settled = self.settle_all(drafted);
        self.stopped()?;
        let Gathered { mut problems, left, rot, .. } =
            self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Found {
            index: Index::new(settled.dir, new_key.unwrap_or(key), settled.keys),
            problems,
            left,
            rot,
        })
    }

    fn stopped(&self) -> Result<(), ScanError> {
        if self.hashing.stop.load(Ordering::Relaxed) { Err(ScanError::Stopped) } else { Ok(()) }
    }

    fn gather(&self, add: impl FnOnce(&mut Gathered)) {
        add(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn report(&self, path: RelPath, kind: ProblemKind, detail: String) {
        self.gather(|gathered| {
            if gathered.problems.len() < MAX_PROBLEMS {
                gathered.problems.push(Problem { path, kind, detail });
            }
        });
    }
}

/// Runs `work` on each item, on several threads if told so.
fn for_each<T: Send>(parallel: bool, items: &mut [T], work: impl Fn(&mut T) + Sync + Send) {
    use rayon::prelude::*;
    if parallel && items.len() > 1 {
        // Items differ in cost by orders of magnitude, so they are handed out in small portions.
        items.par_iter_mut().with_max_len(8).for_each(work);
    } else {
        items.iter_mut().for_each(work);
    }
}
