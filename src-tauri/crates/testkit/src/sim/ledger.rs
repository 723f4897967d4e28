//! What users did, kept apart from everything that Evenfold knows, to judge by.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use evenfold_core::conflict::parse_conflict_name;
use evenfold_core::{Digest, RelPath};

use super::survey::Found;

/// The record of all users' acts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Counts contents, so that each is unlike all others.
    pub(crate) contents: u64,
    /// Contents that users wrote.
    pub(crate) written: BTreeMap<Digest, String>,
    /// Contents that a user replaced or deleted who had them before their eyes.
    pub(crate) ended: HashSet<Digest>,
    /// The same, with the machines on which that happened, as bits.
    pub(crate) ended_on: HashMap<Digest, u32>,
    /// On which machine a content was written first.
    pub(crate) authors: HashMap<Digest, usize>,
    /// Contents that came to stand somewhere other than by being written: copies, restored versions and backups.
    pub(crate) revived: HashSet<Digest>,
    /// What stood where after a user had acted. Conflict copies stand under the name that they are a copy of.
    pub(crate) pairs: HashSet<(RelPath, Digest)>,
    /// What was written into files that had been opened before and stood nowhere at that moment.
    anywhere: HashSet<Digest>,
    /// What users of each machine wrote in the middle of the last cycle.
    pub(crate) meanwhile: Vec<BTreeSet<Digest>>,
    /// What users removed from its place in the middle of a cycle, and what is among the versions at that moment.
    fleeting: Vec<BTreeSet<Digest>>,
    /// What has to survive that the folder of a machine was restored, because its epoch tells so.
    pub(crate) spared: Vec<Vec<Digest>>,
    /// What must be found on each machine from now on, whatever Evenfold does.
    pub(crate) secured: Vec<BTreeSet<Digest>>,
    /// What happened, if somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
}

impl Ledger {
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Takes down what a user changed on a machine, given how it was and is, and what is present there.
    pub(crate) fn user_acted(
        &mut self,
        node: usize,
        before: &BTreeMap<RelPath, Found>,
        after: &BTreeMap<RelPath, Found>,
        present: &BTreeSet<Digest>,
    ) {
        let empty = Digest::of(b"");
        let contents = |entries: &BTreeMap<RelPath, Found>| {
            let mut counts = BTreeMap::<Digest, u32>::new();
            for digest in entries.values().filter_map(|entry| entry.digest).filter(|digest| *digest != empty)
            {
                *counts.entry(digest).or_default() += 1;
            }
            counts
        };
        let (was, is) = (contents(before), contents(after));
        // Whoever replaces one of several copies of a content has seen it.
        for digest in
            was.iter().filter(|(digest, count)| is.get(digest) < Some(count)).map(|(digest, _)| digest)
        {
            self.ended.insert(*digest);
            *self.ended_on.entry(*digest).or_default() |= 1 << node;
            if !present.contains(digest) {
                self.secured[node].remove(digest);
            } else if !is.contains_key(digest) {
                self.fleeting[node].insert(*digest);
            }
        }
        for (path, entry) in after {
            let Some(digest) = entry.digest.filter(|digest| *digest != empty) else { continue };
            if !was.contains_key(&digest) && self.written.contains_key(&digest) {
                self.revived.insert(digest);
            }
            self.authors.entry(digest).or_insert(node);
            self.written.entry(digest).or_insert_with(|| {
                let short: String = digest.to_string().chars().take(4).collect();
                format!("{path:?} ({short}) on machine {node}")
            });
            self.pairs.insert((path.clone(), digest));
            if !was.contains_key(&digest) {
                self.secured[node].insert(digest);
                self.meanwhile[node].insert(digest);
            }
        }
    }

    /// Begins a record for `machines`, with a trace if somebody wants to read it.
    pub(crate) fn new(machines: usize, trace: bool) -> Self {
        let each = vec![BTreeSet::new(); machines];
        let trace = trace.then(Vec::new);
        let spared = vec![Vec::new(); machines];
        Ledger {
            meanwhile: each.clone(),
            fleeting: each.clone(),
            spared,
            secured: each,
            trace,
            ..Ledger::default()
        }
    }

    /// Forgets what was done in the middle of a cycle.
    pub(crate) fn forget_meanwhile(&mut self) {
        self.meanwhile.iter_mut().chain(&mut self.fleeting).for_each(BTreeSet::clear);
    }

    /// Lets go of what a user removed from its place while Evenfold was about to put the same content elsewhere: for
    /// a moment it lies where versions lie, and is none if it never comes to be exchanged with what it was to replace.
    /// Whoever removed it had seen it, and a version that was kept before is there afterwards, too.
    pub(crate) fn let_go(&mut self, node: usize, present: &BTreeSet<Digest>) {
        for digest in std::mem::take(&mut self.fleeting[node]).difference(present) {
            self.secured[node].remove(digest);
        }
    }

    /// Excuses what is kept as a version only, although nobody replaced it: a user wrote it between the look at a name
    /// and the moment in which something else took that name, and before it was put back the machine stopped, or
    /// the name had been taken again. No content is lost by that (promise 1): the newest one is live and this one is
    /// among the versions, as `versions` says, and as the check of what each machine must keep goes on demanding.
    pub(crate) fn overtaken(&mut self, node: usize, versions: &BTreeSet<Digest>, live: &BTreeSet<Digest>) {
        let excused = self.meanwhile[node].iter().filter(|digest| versions.contains(*digest));
        self.ended.extend(excused.filter(|digest| !live.contains(*digest)));
    }

    /// Takes down that a process wrote into a file that it had opened before, wherever that is now.
    pub(crate) fn replaced(&mut self, node: usize, old: Digest, new: Digest, present: &BTreeSet<Digest>) {
        self.ended.insert(old);
        if !present.contains(&old) {
            self.secured[node].remove(&old);
        }
        self.written
            .entry(new)
            .or_insert_with(|| format!("a file that had been opened before on machine {node}"));
        self.meanwhile[node].insert(new);
        if present.contains(&new) {
            self.secured[node].insert(new);
            self.anywhere.insert(new);
        }
    }

    /// Tells whether a content at a path goes back to a user's act.
    pub(crate) fn is_a_users(&self, path: &RelPath, digest: Digest) -> bool {
        digest == Digest::of(b"")
            || self.anywhere.contains(&digest)
            || (self.written.contains_key(&digest)
                && (self.pairs.contains(&(path.clone(), digest)) || self.is_copy(path, digest, 4)))
    }

    fn is_copy(&self, path: &RelPath, digest: Digest, depth: u32) -> bool {
        let Some((parent, name)) = path.split_last() else { return false };
        let Some(parsed) = parse_conflict_name(&name) else { return false };
        // A long name was cut, so what it stood for is not known exactly.
        if name.as_bytes().len() > 240 {
            return true;
        }
        let original = parent.join(&parsed.original);
        self.pairs.contains(&(original.clone(), digest))
            || (depth > 0 && self.is_copy(&original, digest, depth - 1))
    }

    /// Contents that no user has ever replaced or deleted, and that were not brought back from elsewhere.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (&Digest, &String)> {
        self.written.iter().filter(|(digest, _)| !self.ended.contains(*digest))
    }
}
