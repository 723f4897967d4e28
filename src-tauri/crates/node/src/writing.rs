//! Whose batches are being carried out right now.
//!
//! The history says who wrote a content, but only after the content stands in the folder. Who asks in between learns it
//! from here.

use std::sync::{Arc, Mutex};

use evenfold_core::apply::Batch;
use evenfold_core::{Digest, Entry, RelPath};

use crate::local::lock;

/// The batches of peers that are being carried out in one folder. One batch at a time is, and few wait.
#[derive(Default)]
pub(crate) struct Writing(Mutex<Vec<(Arc<Batch>, String)>>);

/// A batch that is being carried out, until this is dropped.
pub(crate) struct Underway<'a> {
    writing: &'a Writing,
    batch: u128,
}

impl Writing {
    /// Notes that `machine`'s batch is about to be carried out. Keep the result until the history knows it.
    pub(crate) fn begin(&self, batch: &Arc<Batch>, machine: &str) -> Underway<'_> {
        lock(&self.0).push((Arc::clone(batch), machine.to_owned()));
        Underway { writing: self, batch: batch.id }
    }

    /// Returns the machine whose batch puts this content at this path.
    pub(crate) fn author(&self, path: &RelPath, digest: Digest) -> Option<String> {
        let writes =
            |batch: &Batch| batch.changes.iter().any(|change| puts(&change.path, &change.new, path, digest));
        lock(&self.0).iter().rev().find(|(batch, _)| writes(batch)).map(|(_, machine)| machine.clone())
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        lock(&self.writing.0).retain(|(batch, _)| batch.id != self.batch);
    }
}

fn puts(at: &RelPath, new: &Option<Entry>, path: &RelPath, digest: Digest) -> bool {
    let is_it = |entry: &Entry| entry.as_file().is_some_and(|file| file.digest == digest);
    match new {
        Some(Entry::Dir(dir)) => {
            // Files lie below a directory, never at it.
            let below = path.as_bytes().get(at.as_bytes().len() + 1..).unwrap_or_default();
            path.starts_with(at) && RelPath::new(below).is_ok_and(|below| dir.get(&below).is_some_and(is_it))
        }
        Some(entry) => at == path && is_it(entry),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use evenfold_core::entry::{Child, File, Mode};
    use evenfold_core::{Change, Mtime, Name};

    use super::*;

    fn file(digest: u8) -> Entry {
        let digest = Digest::of(&[digest]);
        Entry::File(File { digest, size: 1, mode: Mode::new(0o644), mtime: Mtime::default() })
    }

    fn path(path: &str) -> RelPath {
        RelPath::new(path.as_bytes()).unwrap()
    }

    #[test]
    fn author_of_what_is_being_written_is_known_until_it_is_done() {
        let child = Child { name: Name::new(b"below").unwrap(), entry: file(2) };
        let changes = vec![
            Change { path: path("a"), old: None, new: Some(file(1)) },
            Change { path: path("d"), old: None, new: Some(Entry::dir(Mode::new(0o755), vec![child])) },
        ];
        let writing = Writing::default();
        let underway = writing.begin(&Arc::new(Batch { id: 7, changes, ..Batch::default() }), "nas");
        let author = |at: &str, digest: u8| writing.author(&path(at), Digest::of(&[digest]));
        assert_eq!(author("a", 1).as_deref(), Some("nas"));
        assert_eq!(author("d/below", 2).as_deref(), Some("nas"));
        for (at, digest) in [("a", 2), ("d/below", 1), ("d", 2), ("dd/below", 2), ("b", 1)] {
            assert_eq!(author(at, digest), None, "{at} {digest}");
        }
        drop(underway);
        assert_eq!(writing.author(&path("a"), Digest::of(&[1])), None);
    }
}
