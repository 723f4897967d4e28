//! The list of everything that is to be built, with the directories and links already made.

use std::io;

use evenfold_core::apply::{Batch, Refusal};
use evenfold_core::{Digest, Dir, Entry, File, Mode, Name, RelPath};

use super::needs_content;
use crate::apply::Site;
use crate::disk::{Disk, Place, Stat};
use crate::index::StatKey;
use crate::own;

/// How far one entry has come.
#[derive(Debug)]
pub(super) enum State {
    /// Its content has not come yet.
    Waiting,
    /// It stands there as wanted.
    Done(StatKey),
    /// It stands there, but the file system keeps its time or permissions differently.
    Odd(Box<Stat>),
    /// A directory that was made; the number of its path.
    Dir(u32),
    /// It could not be built.
    Failed(Box<Refusal>),
    /// It could not be built, and a part of it could not be removed: what holds it must not be published.
    Stuck(Box<Refusal>),
}

impl State {
    pub(super) fn failed(refusal: Refusal) -> Self {
        State::Failed(Box::new(refusal))
    }
}

/// One entry to be built. Trees are listed with every directory before what it holds.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) entry: &'a Entry,
    /// Its name below `base`; `None` if `base` is its own path.
    name: Option<&'a Name>,
    base: u32,
    pub(super) state: State,
}

impl Node<'_> {
    /// Tells whether it is what a change puts at its path, not something below it.
    pub(super) fn is_top(&self) -> bool {
        self.name.is_none()
    }
}

/// Everything that is to be built.
pub(super) struct Layout<'a> {
    /// In the order of the batch; of a change that brings a tree, the whole tree.
    pub(super) nodes: Vec<Node<'a>>,
    bases: Vec<RelPath>,
    /// Files that wait for a content, by digest.
    by_digest: Vec<(Digest8, u32)>,
    /// Bytes that may still be written before the reserve is touched.
    room: u64,
}

/// The first bytes of a digest: enough to find candidates, a quarter of the memory.
type Digest8 = [u8; 8];

fn digest8(digest: &Digest) -> Digest8 {
    digest.0.first_chunk().copied().unwrap_or_default()
}

impl<'a> Layout<'a> {
    /// Lists what the batch wants and makes the directories and links of it below `folder`.
    pub(super) fn new<D: Disk>(site: &Site<'_, D>, batch: &'a Batch, folder: RelPath) -> Self {
        // If the file system does not say how much is free, writing will tell.
        let room = site.disk.space().map_or(u64::MAX, |(free, _)| free.saturating_sub(site.rules.reserve));
        let mut layout = Layout { nodes: Vec::new(), bases: Vec::new(), by_digest: Vec::new(), room };
        for (n, change) in batch.changes.iter().enumerate() {
            let (true, Some(entry)) = (needs_content(batch, change), &change.new) else { continue };
            let Ok(name) = Name::new(n.to_string().as_bytes()) else { continue };
            let base = layout.base(folder.join(&name));
            layout.add(site, entry, None, base, &change.path);
        }
        layout.by_digest = layout.waiting();
        layout.by_digest.sort_unstable();
        layout
    }

    /// Returns the files that wait for this content.
    pub(super) fn wants(&self, digest: &Digest, size: u64) -> Vec<u32> {
        let key = digest8(digest);
        let begin = self.by_digest.partition_point(|(other, _)| *other < key);
        let candidates = self.by_digest.iter().skip(begin).take_while(|(other, _)| *other == key);
        let matches =
            |node: &u32| self.file(*node).is_some_and(|file| file.digest == *digest && file.size == size);
        candidates.map(|(_, node)| *node).filter(matches).collect()
    }

    /// Returns the file that a node is to become.
    pub(super) fn file(&self, node: u32) -> Option<&'a File> {
        self.nodes.get(node as usize)?.entry.as_file()
    }

    /// Returns where a node is built.
    pub(super) fn place(&self, node: u32) -> Option<RelPath> {
        let node = self.nodes.get(node as usize)?;
        let base = self.bases.get(node.base as usize)?;
        Some(node.name.map_or_else(|| base.clone(), |name| base.join(name)))
    }

    /// Returns the path with this number.
    pub(super) fn path(&self, base: u32) -> Option<&RelPath> {
        self.bases.get(base as usize)
    }

    fn base(&mut self, path: RelPath) -> u32 {
        self.bases.push(path);
        (self.bases.len() - 1) as u32
    }

    fn waiting(&self) -> Vec<(Digest8, u32)> {
        let files = (0u32..).zip(&self.nodes).filter_map(|(at, node)| match (&node.state, node.entry) {
            (State::Waiting, Entry::File(file)) => Some((digest8(&file.digest), at)),
            _ => None,
        });
        files.collect()
    }

    /// Adds an entry with everything below it. `path` is its final one.
    fn add<D: Disk>(
        &mut self,
        site: &Site<'_, D>,
        entry: &'a Entry,
        name: Option<&'a Name>,
        base: u32,
        path: &RelPath,
    ) {
        let at = self.nodes.len() as u32;
        self.nodes.push(Node { entry, name, base, state: State::Waiting });
        let state = self.begin(site, entry, at, path);
        let made = match (&state, entry) {
            (State::Dir(base), Entry::Dir(dir)) => Some((*base, dir)),
            _ => None,
        };
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.state = state;
        }
        if let Some((base, dir)) = made {
            self.add_children(site, dir, base, path);
        }
    }

    fn add_children<D: Disk>(&mut self, site: &Site<'_, D>, dir: &'a Dir, base: u32, path: &RelPath) {
        for child in dir.children() {
            self.add(site, &child.entry, Some(&child.name), base, &path.join(&child.name));
        }
    }

    fn begin<D: Disk>(&mut self, site: &Site<'_, D>, entry: &Entry, at: u32, path: &RelPath) -> State {
        if !(site.takes_part)(path, matches!(entry, Entry::Dir(_))) {
            // Both sides share the rules, so only a peer that is out of step or hostile asks for this.
            return State::failed(out_of_scope());
        }
        let Some(place) = self.place(at) else { return State::Waiting };
        match entry {
            Entry::File(file) => match self.room.checked_sub(own::allocated(file.size)) {
                Some(left) => {
                    self.room = left;
                    State::Waiting
                }
                None => State::failed(Refusal::NoSpace),
            },
            Entry::Dir(dir) => {
                // The owner may write until everything is in it.
                let made =
                    site.disk.make_dir(&Place::Own(place.clone()), Mode::new(dir.mode().bits() | 0o700));
                match made {
                    Ok(()) => State::Dir(self.base(place)),
                    Err(error) => State::failed(creation_refusal(site.disk, &place, &error)),
                }
            }
            Entry::Symlink(link) => {
                let place = Place::Own(place);
                let made = site.disk.make_link(&place, &link.target).and_then(|()| site.disk.stat(&place));
                match (made, &place) {
                    // Its change time would not tell another link that a user makes in its place at once.
                    (Ok(stat), _) => State::Done(StatKey::unsure_of(&stat)),
                    (Err(error), Place::Own(path) | Place::User(path)) => {
                        State::failed(creation_refusal(site.disk, path, &error))
                    }
                }
            }
            // No plan carries an unknown entry to the other side; one from a peer is left out.
            Entry::Unknown(_) => State::failed(out_of_scope()),
        }
    }
}

/// The refusal of a path that is no part of the relationship.
pub(crate) fn out_of_scope() -> Refusal {
    Refusal::Io("the path does not take part in the relationship".to_owned())
}

/// Tells why something new could not be created in staging. Each name is created once there, so a name that
/// exists already is a sibling's that this file system takes for the same.
pub(super) fn creation_refusal<D: Disk>(disk: &D, place: &RelPath, error: &io::Error) -> Refusal {
    match (error.kind(), place.split_last()) {
        (io::ErrorKind::AlreadyExists, Some((parent, name))) => {
            let sibling = same_entry(disk, &Place::Own(place.clone()), &Place::Own(parent));
            Refusal::NameClash(sibling.unwrap_or(name).to_string())
        }
        _ => own::refusal(error),
    }
}

/// Returns the name, as the directory lists it, of what is found at `place`.
pub(crate) fn same_entry<D: Disk>(disk: &D, place: &Place, parent: &Place) -> Option<Name> {
    let found = disk.stat(place).ok()?;
    let listed = disk.list(parent).ok()?;
    let same = listed.iter().find(|listed| listed.stat.as_ref().is_ok_and(|stat| stat.ino == found.ino))?;
    Name::new(&same.name).ok()
}

/// A content and who wants it.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) wants: Vec<u32>,
}
