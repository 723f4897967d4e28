//! Running the check over whole spaces, with threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenfold_core::{Dir, Policy};

use super::space::{self, Space};
use super::{Subject, TWO_WAY, Triple, Violation, check, check_all};

/// What was found: the triple and the policy that break a property, and how.
#[derive(Debug)]
pub struct Failure {
    /// Which property, where and how.
    pub violation: Violation,
    /// The triple and the policy, in words.
    pub case: String,
}

/// Checks every triple of `space` under every one of `policies`, and parts of the plans under `partial`.
/// Returns how many plans were checked.
///
/// # Errors
/// A failure, if there is one; with several threads not necessarily the first.
pub fn check_space(
    subject: &Subject,
    space: &Space,
    policies: &[Policy],
    partial: &[Policy],
) -> Result<u64, Box<Failure>> {
    let checked = AtomicU64::new(0);
    in_parallel(space.len(), 64, |index| {
        let Some(triple) = space.triple(index) else { return Ok(()) };
        check_all(subject, &triple, policies, partial).map_err(|broken| {
            let (violation, policy) = *broken;
            failure(violation, space.name, &triple, &policy)
        })?;
        checked.fetch_add(policies.len() as u64, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(checked.into_inner())
}

fn failure(violation: Violation, space: &str, triple: &Triple, policy: &Policy) -> Box<Failure> {
    Box::new(Failure { violation, case: format!("{space}: {triple} under {policy:?}") })
}

/// Calls `work` for each index below `end` on all cores, in chunks, until one fails.
fn in_parallel(
    end: usize,
    chunk: usize,
    work: impl Fn(usize) -> Result<(), Box<Failure>> + Sync,
) -> Result<(), Box<Failure>> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let from = next.fetch_add(chunk, Ordering::Relaxed);
                    if from >= end {
                        break;
                    }
                    if let Err(error) = (from..end.min(from + chunk)).try_for_each(&work) {
                        stop.store(true, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// What the check of depth 2 has done.
#[derive(Debug, Default)]
pub struct Counts {
    /// Triples up to symmetry that were checked.
    pub checked: u64,
    /// Triples that these stand for.
    pub stands_for: u64,
}

/// Checks all triples of trees over two names with depth 2 under [`TWO_WAY`]: 841³, of which one of each class is
/// taken that exchanging the sides, the names at the top and the contents maps onto each other.
///
/// `every` takes only each n-th ancestor (1: all). `progress` is told the share that is done.
///
/// # Errors
/// A failure, if there is one.
pub fn check_depth_2(
    subject: &Subject,
    every: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Counts, Box<Failure>> {
    let symmetries = Symmetries::new(&space::depth_2());
    let trees = space::directories(0o755, &space::depth_2());
    let (checked, stands_for) = (AtomicU64::new(0), AtomicU64::new(0));
    let ancestors: Vec<usize> =
        (0..trees.len()).filter(|a| symmetries.is_least(*a)).step_by(every.max(1)).collect();
    let rows = ancestors.len() * trees.len();
    in_parallel(rows, 8, |row| {
        let (a, o) = (ancestors[row / trees.len()], row % trees.len());
        if o == 0 {
            progress(row / trees.len(), ancestors.len());
        }
        let stabiliser = symmetries.keeping(a);
        for t in 0..trees.len() {
            let Some(orbit) = symmetries.orbit_if_least(&stabiliser, a, o, t) else { continue };
            let triple = Triple {
                ancestor: Arc::clone(&trees[a]),
                ours: Arc::clone(&trees[o]),
                theirs: Arc::clone(&trees[t]),
            };
            check(subject, &triple, &TWO_WAY)
                .map_err(|violation| failure(violation, "depth 2", &triple, &TWO_WAY))?;
            checked.fetch_add(1, Ordering::Relaxed);
            stands_for.fetch_add(orbit, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(Counts { checked: checked.into_inner(), stands_for: stands_for.into_inner() })
}

/// Twelve renamings of trees: six of contents, with and without exchanging the names at every level.
struct Symmetries {
    maps: Vec<Vec<usize>>,
}

impl Symmetries {
    fn new(options: &space::Options) -> Self {
        let trees = space::directories(0o755, options);
        let index: HashMap<_, usize> =
            trees.iter().enumerate().map(|(at, tree)| (tree.digest(), at)).collect();
        let contents = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
        let mut maps = Vec::new();
        for names in [false, true] {
            for contents in contents {
                let image = |tree: &Arc<Dir>| index.get(&renamed(tree, names, contents).digest()).copied();
                maps.push(trees.iter().map(|tree| image(tree).unwrap_or_default()).collect());
            }
        }
        Symmetries { maps }
    }

    fn is_least(&self, tree: usize) -> bool {
        self.maps.iter().all(|map| map[tree] >= tree)
    }

    fn keeping(&self, tree: usize) -> Vec<&Vec<usize>> {
        self.maps.iter().filter(|map| map[tree] == tree).collect()
    }

    /// Returns the size of the orbit, if the triple is the least in it.
    fn orbit_if_least(&self, stabiliser: &[&Vec<usize>], a: usize, o: usize, t: usize) -> Option<u64> {
        let mut fixed = 0;
        for map in stabiliser {
            for image in [(map[o], map[t]), (map[t], map[o])] {
                match image.cmp(&(o, t)) {
                    std::cmp::Ordering::Less => return None,
                    std::cmp::Ordering::Equal => fixed += 1,
                    std::cmp::Ordering::Greater => {}
                }
            }
        }
        debug_assert!(self.is_least(a));
        Some(2 * self.maps.len() as u64 / fixed)
    }
}

fn renamed(dir: &Dir, names: bool, contents: [u8; 3]) -> Dir {
    use evenfold_core::{Child, Entry, Name};
    let children = dir.children().iter().map(|child| {
        let name = match (names, child.name.as_bytes()) {
            (true, b"a") => Name::new(b"b").unwrap_or_else(|_| child.name.clone()),
            (true, b"b") => Name::new(b"a").unwrap_or_else(|_| child.name.clone()),
            _ => child.name.clone(),
        };
        let entry = match &child.entry {
            Entry::File(file) => space::file(contents[usize::from(file.digest.0[0]) - 1]),
            Entry::Dir(inner) => Entry::Dir(Arc::new(renamed(inner, names, contents))),
            other => other.clone(),
        };
        Child { name, entry }
    });
    Dir::new(dir.mode(), children.collect())
}
