//! What stands on a machine, as somebody would see it who looks at its disk from outside.

use std::collections::{BTreeMap, BTreeSet};

use evenfold_core::path::RESERVED;
use evenfold_core::{Digest, RelPath};
use evenfold_fs::disk::Kind;

use crate::disk::{Body, Ino, Tree};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) dir: Ino,
    pub(crate) ino: Ino,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) mtime: i64,
    /// Of a file or link.
    pub(crate) digest: Option<Digest>,
}

/// What does not depend on the machine.
pub(crate) type Looks = (Kind, u32, i64, Option<Digest>);

impl Found {
    /// What has to be equal on all machines.
    pub(crate) fn looks(&self) -> Looks {
        match self.kind {
            Kind::File => (self.kind, self.mode, self.mtime, self.digest),
            Kind::Dir => (self.kind, self.mode, 0, None),
            _ => (self.kind, 0, 0, self.digest),
        }
    }
}

/// All entries of a user below `root`, by path.
pub(crate) fn live(tree: &Tree, root: Option<Ino>) -> BTreeMap<RelPath, Found> {
    let mut found = BTreeMap::new();
    if let Some(root) = root {
        walk(tree, root, &RelPath::root(), true, &mut |path, entry| _ = found.insert(path.clone(), entry));
    }
    found
}

fn walk(tree: &Tree, dir: Ino, path: &RelPath, top: bool, visit: &mut dyn FnMut(&RelPath, Found)) {
    for (name, ino) in tree.entries(dir) {
        if top && **name == *RESERVED {
            continue;
        }
        let (Some(node), Ok(valid)) = (tree.get(*ino), evenfold_core::Name::new(name)) else { continue };
        let below = path.join(&valid);
        let entry = Found {
            dir,
            ino: *ino,
            kind: node.kind(),
            mode: node.mode,
            mtime: node.mtime,
            digest: digest(tree, *ino),
        };
        visit(&below, entry);
        walk(tree, *ino, &below, false, visit);
    }
}

/// The digest of what a file holds or a link says.
pub(crate) fn digest(tree: &Tree, ino: Ino) -> Option<Digest> {
    match &tree.get(ino)?.body {
        Body::File(content) => Some(content.digest()),
        Body::Link(target) => Some(Digest::of(target)),
        Body::Dir(_) => None,
    }
}

/// All contents that a user can get at: in place, or among the versions.
pub(crate) fn present(tree: &Tree, root: Option<Ino>) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    let Some(top) = root else { return found };
    walk(tree, top, &RelPath::root(), true, &mut |_, entry| found.extend(entry.digest));
    found.append(&mut contents_of_versions(tree, root));
    found.remove(&Digest::of(b""));
    found
}

/// All contents among the versions.
pub(crate) fn contents_of_versions(tree: &Tree, root: Option<Ino>) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    let own = root.and_then(|root| tree.child(root, RESERVED));
    if let Some(versions) = own.and_then(|own| tree.child(own, b"versions")) {
        walk(tree, versions, &RelPath::root(), false, &mut |_, entry| found.extend(entry.digest));
    }
    found
}

/// All contents in place.
pub(crate) fn contents_in_place(tree: &Tree, root: Option<Ino>) -> BTreeSet<Digest> {
    live(tree, root).values().filter_map(|entry| entry.digest).collect()
}

/// The versions that are kept: the name of their set, and what they were.
pub(crate) fn versions(tree: &Tree, root: Option<Ino>) -> Vec<(String, RelPath)> {
    let own = root.and_then(|root| tree.child(root, RESERVED));
    let Some(versions) = own.and_then(|own| tree.child(own, b"versions")) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, ino) in tree.entries(versions) {
        let id = String::from_utf8_lossy(name).into_owned();
        walk(tree, *ino, &RelPath::root(), false, &mut |path, entry| {
            if entry.kind != Kind::Dir {
                found.push((id.clone(), path.clone()));
            }
        });
    }
    found
}

/// What the folder says of how many batches it has seen.
pub(crate) fn epoch(tree: &Tree, root: Option<Ino>) -> u64 {
    let own = root.and_then(|root| tree.child(root, RESERVED));
    let file = own.and_then(|own| {
        tree.entries(own).iter().find(|(name, _)| name.starts_with(b"epoch-")).map(|(_, ino)| *ino)
    });
    let bytes = file.and_then(|ino| tree.file(ino)).and_then(|content| content.bytes().try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}
