//! Says, change by change, what stands in staging when all contents have come.

use evenfold_core::apply::{Batch, Refusal};
use evenfold_core::transfer::SupplyFailure;
use evenfold_core::{Child, Entry, File, RelPath};

use super::layout::{Layout, State};
use super::{Built, Ready, Staged, needs_content};
use crate::apply::Site;
use crate::disk::{Disk, Place};
use crate::index::{DirKeys, Keys, StatKey};

/// Gives directories their final permission bits and puts together what was built for each change.
pub(super) fn collect<D: Disk>(
    site: &Site<'_, D>,
    batch: &Batch,
    mut layout: Layout<'_>,
    synced: bool,
) -> Staged {
    let mut dirs = Vec::new();
    // Backwards, so that a directory is closed after everything in it.
    for at in (0..layout.nodes.len()).rev() {
        let Some(node) = layout.nodes.get(at) else { continue };
        let (State::Dir(base), Entry::Dir(dir)) = (&node.state, node.entry) else { continue };
        let Some(path) = layout.path(*base) else { continue };
        let place = Place::Own(path.clone());
        let closed = dir.mode().bits() & 0o700 != 0o700 && !node.is_top();
        if closed && let Err(error) = site.disk.set_mode(&place, dir.mode()) {
            // With other permission bits than its plan says it must not be published.
            let refusal = crate::own::refusal(&error);
            if let Some(node) = layout.nodes.get_mut(at) {
                node.state = State::Stuck(Box::new(refusal));
            }
            continue;
        }
        dirs.push(place);
    }
    let mut walk = Walk { site, layout: &layout, at: 0, stuck: None };
    let ready = batch.changes.iter().map(|change| match &change.new {
        Some(_) if needs_content(batch, change) => walk.change(&change.path),
        _ => Ready::Nothing,
    });
    Staged { ready: ready.collect(), dirs, synced }
}

/// Goes through the nodes in the order in which they were listed.
struct Walk<'a, 'n, D> {
    site: &'a Site<'a, D>,
    layout: &'a Layout<'n>,
    at: usize,
    stuck: Option<Refusal>,
}

type Part = Result<(Entry, Keys), Refusal>;

impl<D: Disk> Walk<'_, '_, D> {
    fn change(&mut self, path: &RelPath) -> Ready {
        let Some(place) = self.layout.place(self.at as u32) else {
            return Ready::Refused(Refusal::NameNotPossible);
        };
        let wanted_mode =
            self.layout.nodes.get(self.at).and_then(|node| node.entry.as_dir()).map(|dir| dir.mode());
        let mut short = Vec::new();
        self.stuck = None;
        let part = self.next(path, &mut short);
        let refusal = match (part, self.stuck.take()) {
            (_, Some(refusal)) | (Err(refusal), None) => refusal,
            (Ok(_), None) if self.site.rules.whole && !short.is_empty() => {
                // The unit appears whole or not at all; the first missing part says why it does not.
                short.swap_remove(0).1
            }
            (Ok((entry, keys)), None) => {
                let late_mode = wanted_mode.filter(|mode| mode.bits() & 0o700 != 0o700);
                return Ready::Content(Box::new(Built {
                    place: Place::Own(place),
                    entry,
                    keys,
                    short,
                    late_mode,
                }));
            }
        };
        Ready::Refused(refusal)
    }

    fn next(&mut self, path: &RelPath, short: &mut Vec<(RelPath, Refusal)>) -> Part {
        let Some(node) = self.layout.nodes.get(self.at) else { return Err(not_sent()) };
        self.at += 1;
        match (&node.state, node.entry) {
            (State::Dir(base), Entry::Dir(dir)) => {
                let mut children = Vec::with_capacity(dir.children().len());
                let mut keys = Vec::with_capacity(dir.children().len());
                let mut same = true;
                for child in dir.children() {
                    let below = path.join(&child.name);
                    match self.next(&below, short) {
                        Ok((entry, key)) => {
                            same = same && entry == child.entry;
                            children.push(Child { name: child.name.clone(), entry });
                            keys.push(key);
                        }
                        Err(refusal) => {
                            same = false;
                            short.push((below, refusal));
                        }
                    }
                }
                let entry = if same { node.entry.clone() } else { Entry::dir(dir.mode(), children) };
                Ok((entry, Keys::Dir(self.key(*base), DirKeys::new(keys).into())))
            }
            (State::Done(key), entry) => Ok((entry.clone(), Keys::Leaf(*key))),
            (State::Odd(stat), Entry::File(file)) => {
                // What is recorded is what stands there, so that the difference is seen and not sent again.
                let file = File { mtime: stat.mtime, mode: stat.mode, ..*file };
                Ok((Entry::File(file), Keys::Leaf(StatKey::written(stat, self.site.disk.now()))))
            }
            (State::Failed(refusal), _) => Err((**refusal).clone()),
            (State::Stuck(refusal), _) => {
                self.stuck.get_or_insert_with(|| (**refusal).clone());
                // The nodes below a directory that is stuck are still in the list.
                self.skip(node.entry);
                Err((**refusal).clone())
            }
            (State::Waiting | State::Odd(_) | State::Dir(_), _) => Err(not_sent()),
        }
    }

    fn skip(&mut self, entry: &Entry) {
        if let Entry::Dir(dir) = entry {
            for child in dir.children() {
                let listed_below = matches!(
                    self.layout.nodes.get(self.at).map(|node| &node.state),
                    Some(State::Dir(_) | State::Stuck(_))
                );
                self.at += 1;
                if listed_below {
                    self.skip(&child.entry);
                }
            }
        }
    }

    fn key(&self, base: u32) -> StatKey {
        let path = self.layout.path(base).cloned().unwrap_or_default();
        self.site.disk.stat(&Place::Own(path)).map_or(StatKey::UNSURE, |stat| StatKey::of(&stat))
    }
}

/// The refusal of a content of which nothing, or not all, has come.
fn not_sent() -> Refusal {
    Refusal::NotSupplied(SupplyFailure::Unreadable("the transfer ended before it had arrived".to_owned()))
}
