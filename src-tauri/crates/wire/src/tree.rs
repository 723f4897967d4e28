//! Tokens of entries, fingerprints of children, and directories looked up by digest.

use std::collections::HashMap;
use std::sync::Arc;

use evenfold_core::{Child, Digest, Dir, Entry};

use crate::convert;
use crate::error::WireError;
use crate::message::{Blob, Hash, Message};

/// Length of a fingerprint: 48 bits make a collision within one directory of 20,000 children a matter of one
/// in a million, and a collision costs a full transfer, never a wrong entry, because digests are checked.
pub(crate) const PRINT: usize = 6;

/// A short hash of a child's name and entry.
pub(crate) type Print = [u8; PRINT];

/// Returns the token of an entry, a directory only by its digest.
pub(crate) fn token<'a>(name: &'a [u8], entry: &'a Entry) -> Message<'a> {
    let name = Blob(name);
    match entry {
        Entry::File(file) => Message::File { name, file: convert::wire_file(file) },
        Entry::Symlink(link) => Message::Symlink { name, target: Blob(&link.target) },
        Entry::Unknown(kind) => Message::Unknown { name, kind: kind.code() },
        Entry::Dir(dir) => Message::Stub { name, digest: Hash(dir.digest()) },
    }
}

/// Returns the fingerprint of a child; `scratch` saves allocations.
pub(crate) fn fingerprint(child: &Child, scratch: &mut Vec<u8>) -> Result<Print, WireError> {
    scratch.clear();
    token(child.name.as_bytes(), &child.entry).encode(scratch)?;
    let hash = blake3::hash(scratch);
    let mut print = Print::default();
    print.copy_from_slice(hash.as_bytes().first_chunk::<PRINT>().unwrap_or(&Print::default()));
    Ok(print)
}

/// Finds directories of known trees by digest, wherever they stand. The map is made at the first look-up,
/// because most transfers need none.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    trees: Vec<Arc<Dir>>,
    map: Option<HashMap<Digest, Arc<Dir>>>,
}

impl Catalog {
    pub(crate) fn new(trees: Vec<Arc<Dir>>) -> Self {
        Catalog { trees, map: None }
    }

    /// Finds the directory with this digest.
    pub(crate) fn get(&mut self, digest: &Digest) -> Option<Arc<Dir>> {
        let trees = &self.trees;
        self.map.get_or_insert_with(|| map_of(trees)).get(digest).cloned()
    }
}

fn map_of(trees: &[Arc<Dir>]) -> HashMap<Digest, Arc<Dir>> {
    let mut map = HashMap::new();
    let mut open: Vec<Arc<Dir>> = trees.to_vec();
    while let Some(dir) = open.pop() {
        if map.insert(dir.digest(), Arc::clone(&dir)).is_none() {
            open.extend(dir.children().iter().filter_map(|child| child.entry.as_dir()).map(Arc::clone));
        }
    }
    map
}
