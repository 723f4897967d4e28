//! Lists directories and compares what they hold with the previous index.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use evenfold_core::path::MAX_PATH;
use evenfold_core::select::Sizes;
use evenfold_core::{Entry, Mode, Mtime, Name, ProblemKind, RelPath, Symlink};

use super::draft::{Draft, Drafted, Leaf, Prev, Read, Slot, SubDir};
use super::settle::Elsewhere;
use super::trie::Trie;
use super::{Gone, Scan, for_each};
use crate::disk::{Disk, ErrorKind, Kind, Listed, Place, Stat};
use crate::index::StatKey;

/// How much of a directory is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look<'t> {
    /// Everything below.
    All,
    /// A directory that the previous index knows. If it is named in the trie (or there is none), it is listed,
    /// and its known subdirectories are entered only where their stat changed or the trie leads there; if it is
    /// not named, only the children that the trie leads to are looked at.
    Known(Option<&'t Trie>),
}

/// Why a directory could not be looked at.
pub(super) struct Trouble {
    pub(super) kind: ProblemKind,
    pub(super) detail: String,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        Trouble { kind: kind_of(error.kind()), detail: error.to_string() }
    }
}

fn kind_of(error: io::ErrorKind) -> ProblemKind {
    match error {
        // It was there a moment ago. Nothing proves that it is gone: it may have been renamed to where the scan
        // had been already.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ProblemKind::Changing,
        io::ErrorKind::CrossesDevices => ProblemKind::OtherFileSystem,
        _ => ProblemKind::Unreadable,
    }
}

/// What becomes of one listed entry.
enum Seen {
    Skip,
    Slot(Slot),
    Dir(Stat),
}

/// A subdirectory that is still to be visited.
struct Pending<'t> {
    slot: usize,
    name: Name,
    path: RelPath,
    stat: Stat,
    /// Position in the previous directory, and its key there.
    known: Option<(usize, StatKey)>,
    prev: Option<Prev>,
    look: Look<'t>,
    result: Option<Slot>,
}

impl<D: Disk> Scan<'_, D> {
    /// Visits the directory at `path`, of which its parent said `stat`. Returns the key to be stored for it, or
    /// `None` if the previous one stays because the directory itself was not listed.
    pub(super) fn visit(
        &self,
        path: &RelPath,
        stat: &Stat,
        prev: Option<Prev>,
        look: Look<'_>,
    ) -> Result<(Drafted, Option<StatKey>), Trouble> {
        if self.hashing.stop.load(Ordering::Relaxed) {
            return Err(Trouble { kind: ProblemKind::Changing, detail: "the scan was stopped".into() });
        }
        let now = self.disk.now();
        match (look, prev) {
            (Look::Known(Some(trie)), Some(prev)) if !trie.named => {
                let listed = self.stat_named(path, trie);
                let keeps = |name: &Name| !trie.below.contains_key(name);
                Ok((self.merge(path, stat.mode, listed, Some(prev), look, now, &keeps), None))
            }
            (look, prev) => {
                if let Some(watch) = self.watch {
                    watch.enter(path);
                }
                let place = Place::User(path.clone());
                let mut listed = self.disk.list(&place).map_err(|error| Trouble::of(&error))?;
                self.hashing.counters.listed_dir(listed.len());
                listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                // Some file systems list an entry twice when others are renamed meanwhile.
                listed.dedup_by(|a, b| a.name == b.name);
                let drafted = self.merge(path, stat.mode, listed, prev, look, now, &|_| false);
                Ok((drafted, Some(StatKey::settled(stat, now))))
            }
        }
    }

    /// Looks at the children that the trie leads to, without listing the directory.
    fn stat_named(&self, path: &RelPath, trie: &Trie) -> Vec<Listed> {
        let stat = |name: &Name| {
            let stat = match self.disk.stat(&Place::User(path.join(name))) {
                Ok(stat) => Ok(stat),
                // The directory was there a moment ago, so this proves that the child is not.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(error) => Err(ErrorKind { kind: error.kind(), text: error.to_string() }),
            };
            Some(Listed { name: name.as_bytes().into(), stat })
        };
        trie.below.keys().filter_map(stat).collect()
    }

    /// Compares `listed` (in order) with the previous directory. Children of the latter that are not listed are
    /// gone, except those that `keeps` says were not looked at.
    #[allow(clippy::too_many_arguments, reason = "one call site for each of the two ways to look")]
    fn merge(
        &self,
        path: &RelPath,
        mode: Mode,
        listed: Vec<Listed>,
        prev: Option<Prev>,
        look: Look<'_>,
        now: Mtime,
        keeps: &dyn Fn(&Name) -> bool,
    ) -> Drafted {
        let old = prev.as_ref().map_or(&[][..], |prev| prev.dir.children());
        let mut slots = Vec::with_capacity(listed.len().max(old.len()));
        let mut pending = Vec::new();
        let mut at = 0;
        let pass = |position: usize, slots: &mut Vec<Slot>| {
            if let (Some(child), Some(prev)) = (old.get(position), &prev) {
                if keeps(&child.name) {
                    slots.push(Slot::Prev(position as u32));
                } else {
                    self.depart(path, prev, position, None);
                }
            }
        };
        for entry in listed {
            while old.get(at).is_some_and(|child| child.name.as_bytes() < &entry.name[..]) {
                pass(at, &mut slots);
                at += 1;
            }
            let same_name = old.get(at).is_some_and(|child| child.name.as_bytes() == &entry.name[..]);
            let known = prev.as_ref().filter(|_| same_name).map(|prev| (prev, at));
            at += usize::from(same_name);
            match self.look_at(path, &entry, known, now) {
                Seen::Skip => {}
                Seen::Slot(slot) => slots.push(slot),
                Seen::Dir(stat) => match self.plan_visit(path, &entry.name, stat, known, look, slots.len()) {
                    Ok(visit) => {
                        // Stands here until the subdirectory was visited.
                        slots.push(Slot::Prev(u32::MAX));
                        pending.push(visit);
                    }
                    Err(slot) => slots.push(slot),
                },
            }
        }
        for rest in at..old.len() {
            pass(rest, &mut slots);
        }
        self.visit_pending(pending, &mut slots);
        self.close(path, Draft { mode, prev, slots })
    }

    /// Finds out whether a directory is the previous one, and settles it if nothing stands against that: the
    /// fewer directories stay open, the less memory a scan takes.
    fn close(&self, path: &RelPath, mut draft: Draft) -> Drafted {
        let Draft { mode, prev, slots } = &mut draft;
        let unchanged = |prev: &Prev| {
            prev.dir.mode() == *mode
                && prev.dir.children().len() == slots.len()
                && slots
                    .iter()
                    .enumerate()
                    .all(|(at, slot)| matches!(slot, Slot::Prev(old) if *old as usize == at))
        };
        if let Some(prev) = prev.take_if(|prev| unchanged(prev)) {
            return Drafted::Same(prev);
        }
        let is_open = |slot: &Slot| match slot {
            Slot::Prev(_) | Slot::Leaf(_) => false,
            Slot::Read(read) => !self.reads_at_once || self.waits_for_all_threads(&read.stat),
            Slot::Dir(sub) => matches!(sub.drafted, Drafted::Open(_)),
        };
        if slots.iter().any(is_open) {
            slots.shrink_to_fit();
            Drafted::Open(Box::new(draft))
        } else {
            Drafted::Done(self.settle(draft, path, &Elsewhere::new()))
        }
    }

    /// Visits subdirectories, in parallel, and puts the results in their places.
    fn visit_pending(&self, mut pending: Vec<Pending<'_>>, slots: &mut Vec<Slot>) {
        for_each(self.hashing.parallel, &mut pending, |sub| sub.result = self.visit_sub(sub));
        let mut left_out = Vec::new();
        for sub in pending {
            match (sub.result, slots.get_mut(sub.slot)) {
                (Some(result), Some(slot)) => *slot = result,
                _ => left_out.push(sub.slot),
            }
        }
        if !left_out.is_empty() {
            let mut position = 0;
            slots.retain(|_| {
                position += 1;
                left_out.binary_search(&(position - 1)).is_err()
            });
        }
    }

    /// Visits one subdirectory. Returns `None` if it does not take part because it leads to nothing.
    fn visit_sub(&self, sub: &mut Pending<'_>) -> Option<Slot> {
        let Pending { name, path, stat, known, .. } = sub;
        match self.visit(path, stat, sub.prev.take(), sub.look) {
            Ok((drafted, _)) if drafted.is_empty() && !self.matcher.carries_empty(path) => None,
            Ok((drafted, key)) => {
                let old_key = known.map(|(_, key)| key);
                let key = key.or(old_key).unwrap_or(StatKey::UNSURE);
                Some(match (known, &drafted) {
                    (Some((at, old_key)), Drafted::Same(_)) if *old_key == key => Slot::Prev(*at as u32),
                    _ => Slot::Dir(Box::new(SubDir { name: name.clone(), key, drafted })),
                })
            }
            Err(Trouble { kind, detail }) => {
                self.report(path.clone(), kind, detail);
                let entry = Entry::Unknown(kind);
                Some(Slot::Leaf(Box::new(Leaf { name: name.clone(), entry, key: StatKey::UNSURE })))
            }
        }
    }

    /// Decides how a subdirectory is visited, or takes it over without a visit.
    fn plan_visit<'t>(
        &self,
        path: &RelPath,
        name: &[u8],
        stat: Stat,
        known: Option<(&Prev, usize)>,
        look: Look<'t>,
        slot: usize,
    ) -> Result<Pending<'t>, Slot> {
        // The name was checked by `look_at`.
        let Ok(name) = Name::new(name) else { return Err(Slot::Prev(u32::MAX)) };
        let prev = known.and_then(|(prev, at)| Some((at, prev.keys.own(at), prev.below(at)?)));
        let look = match (look, &prev) {
            (Look::All, _) | (_, None) => Look::All,
            (Look::Known(trie), Some((at, key, _))) => {
                let lead = trie.and_then(|trie| trie.below.get(&name));
                match lead {
                    None if key.holds(&stat) => return Err(Slot::Prev(*at as u32)),
                    _ if !key.same_inode(&stat) => Look::All,
                    lead => Look::Known(lead),
                }
            }
        };
        let (known, prev) = prev.map(|(at, key, prev)| ((at, key), prev)).unzip();
        Ok(Pending { slot, path: path.join(&name), name, stat, known, prev, look, result: None })
    }

    /// Decides what one listed entry is, as far as that is possible without reading files.
    fn look_at(&self, path: &RelPath, entry: &Listed, known: Option<(&Prev, usize)>, now: Mtime) -> Seen {
        let Ok(name) = Name::new(&entry.name) else {
            let shown = String::from_utf8_lossy(&entry.name);
            self.report(path.clone(), ProblemKind::TooLong, format!("the name '{shown}' is too long"));
            return Seen::Skip;
        };
        let is_dir = matches!(&entry.stat, Ok(Stat { kind: Kind::Dir, .. }));
        if !self.matcher.everything() && !self.matcher.takes_part_below(&path.join(&name), is_dir) {
            return Seen::Skip;
        }
        let was =
            known.and_then(|(prev, at)| Some((&prev.dir.children().get(at)?.entry, prev.keys.own(at), at)));
        let leaf = |entry, key| Seen::Slot(Slot::Leaf(Box::new(Leaf { name: name.clone(), entry, key })));
        let unknown = |kind: ProblemKind, detail: String| {
            self.report(path.join(&name), kind, detail);
            match was {
                Some((Entry::Unknown(old), key, at)) if *old == kind && key == StatKey::UNSURE => {
                    Seen::Slot(Slot::Prev(at as u32))
                }
                _ => leaf(Entry::Unknown(kind), StatKey::UNSURE),
            }
        };
        let stat = match &entry.stat {
            Ok(stat) => *stat,
            Err(error) => return unknown(kind_of(error.kind), error.text.clone()),
        };
        if let (Some((prev, at)), Some((_, key, _))) = (known, was)
            && (stat.kind != Kind::Dir || key.other_inode(&stat))
        {
            self.depart(path, prev, at, Some(&stat));
        }
        // The kernel takes paths of less than 4,096 bytes, including the closing NUL.
        if path.as_bytes().len() + 1 + name.as_bytes().len() >= MAX_PATH {
            return unknown(ProblemKind::TooLong, "the path is longer than 4,095 bytes".into());
        }
        match stat.kind {
            Kind::Special => unknown(ProblemKind::Special, "it is a device, socket or named pipe".into()),
            Kind::Dir if stat.dev != self.device => {
                unknown(ProblemKind::OtherFileSystem, "another file system is mounted here".into())
            }
            Kind::Dir => Seen::Dir(stat),
            Kind::Symlink => match was {
                Some((Entry::Symlink(_), key, at)) if key.holds(&stat) => Seen::Slot(Slot::Prev(at as u32)),
                _ => match self.disk.read_link(&Place::User(path.join(&name))) {
                    Ok(target) => {
                        leaf(Entry::Symlink(Symlink { target: target.into() }), StatKey::settled(&stat, now))
                    }
                    Err(error) => unknown(kind_of(error.kind()), error.to_string()),
                },
            },
            Kind::File if !self.matcher.sizes().allow(stat.size) => {
                unknown(ProblemKind::SizeLimit, size_limit(stat.size, self.matcher.sizes()))
            }
            Kind::File => self.look_at_file(path, &name, stat, was),
        }
    }

    fn look_at_file(
        &self,
        path: &RelPath,
        name: &Name,
        stat: Stat,
        was: Option<(&Entry, StatKey, usize)>,
    ) -> Seen {
        let mut expected = None;
        match was {
            Some((Entry::File(file), key, at)) if key.holds_file(file, &stat) => {
                if !self.deep && file.mode == stat.mode {
                    return Seen::Slot(Slot::Prev(at as u32));
                }
                expected = Some(file.digest);
                if !self.deep {
                    // A mode without a new change time: the index came from the cache, which has no modes.
                    let entry = Entry::File(evenfold_core::File { mode: stat.mode, ..*file });
                    return Seen::Slot(Slot::Leaf(Box::new(Leaf { name: name.clone(), entry, key })));
                }
            }
            Some((Entry::Unknown(ProblemKind::SuspectedRot), key, at)) if key.holds(&stat) => {
                if !self.deep {
                    self.report(path.join(name), ProblemKind::SuspectedRot, super::settle::ROT.into());
                    return Seen::Slot(Slot::Prev(at as u32));
                }
                expected = self.rot.get(&path.join(name)).map(|file| file.digest);
            }
            _ => {}
        }
        Seen::Slot(Slot::Read(Box::new(Read { name: name.clone(), stat, expected })))
    }

    /// Notes that what the previous index has at a position is not there any more. `now` is what is there
    /// instead.
    fn depart(&self, path: &RelPath, prev: &Prev, at: usize, now: Option<&Stat>) {
        let Some(child) = prev.dir.children().get(at) else { return };
        let key = prev.keys.own(at);
        match &child.entry {
            Entry::File(file) if key.is_sure() && now.is_none_or(|stat| !key.same_inode(stat)) => {
                self.gather(|gathered| gathered.gone.push(Gone::File(*file, key)));
            }
            Entry::Dir(dir) => {
                let keys = prev.keys.below(at).map(Arc::clone);
                let left = now.is_none_or(|stat| stat.kind != Kind::Dir).then(|| path.join(&child.name));
                self.gather(|gathered| {
                    gathered.gone.extend(keys.map(|keys| Gone::Dir(Arc::clone(dir), keys)));
                    gathered.left.extend(left);
                });
            }
            Entry::File(_) | Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
}

/// Says why a file of this size takes no part.
fn size_limit(size: u64, sizes: Sizes) -> String {
    match sizes {
        Sizes { max: Some(max), .. } if size > max => format!("it has {size} bytes, and {max} are the most"),
        Sizes { min, .. } => format!("it has {size} bytes, and {} are the least", min.unwrap_or(0)),
    }
}
