//! Changing many paths of a tree at once, rebuilding each directory on the way only once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry::{Child, Dir, Entry, Mode};
use crate::path::{Name, RelPath};

/// One change to a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where. The root itself is never edited.
    pub path: RelPath,
    /// What shall stand there; `None`: nothing.
    pub entry: Option<Entry>,
    /// Whether only a directory itself is meant (it shall exist, with these permission bits) and not what is
    /// below it.
    pub shallow: bool,
}

/// Returns `tree` after `edits`, applied in their order. Directories that an edit needs and that are not there
/// are made with permission bits `0o755`. Untouched subtrees are shared with `tree`.
pub fn edit(tree: &Arc<Dir>, edits: impl IntoIterator<Item = Edit>) -> Arc<Dir> {
    let mut trie = Trie::default();
    for edit in edits {
        trie.insert(&edit.path.clone(), edit);
    }
    if trie.below.is_empty() {
        return Arc::clone(tree);
    }
    Arc::new(Dir::new(tree.mode(), merged(tree.children(), trie.below)))
}

#[derive(Default)]
struct Trie {
    own: Option<Edit>,
    below: BTreeMap<Name, Trie>,
}

impl Trie {
    fn insert(&mut self, path: &RelPath, edit: Edit) {
        let mut node = self;
        for component in path.components() {
            let Ok(name) = Name::new(component) else { return };
            node = node.below.entry(name).or_default();
        }
        // A complete entry, or absence, makes earlier edits below it void.
        if !edit.shallow {
            node.below.clear();
            node.own = Some(edit);
            return;
        }
        node.own = Some(match (node.own.take(), edit) {
            // After a complete entry of the same call, only its directory's own bits change.
            (Some(complete), Edit { path, entry: Some(Entry::Dir(shell)), .. }) if !complete.shallow => {
                let children =
                    complete.entry.as_ref().and_then(Entry::as_dir).map(|dir| dir.children().to_vec());
                let entry = Entry::dir(shell.mode(), children.unwrap_or_default());
                Edit { path, entry: Some(entry), shallow: false }
            }
            (_, edit) => edit,
        });
    }

    fn applied(self, base: Option<&Entry>) -> Option<Entry> {
        let base = match self.own {
            None => base.cloned(),
            Some(Edit { entry: Some(Entry::Dir(shell)), shallow: true, .. }) => {
                let children =
                    base.and_then(Entry::as_dir).map(|dir| dir.children().to_vec()).unwrap_or_default();
                Some(Entry::dir(shell.mode(), children))
            }
            Some(edit) => edit.entry,
        };
        if self.below.is_empty() {
            return base;
        }
        let (mode, children) = match &base {
            Some(Entry::Dir(dir)) => (dir.mode(), dir.children()),
            _ if self.below.values().all(Trie::only_removes) => return base,
            _ => (Mode::new(0o755), &[][..]),
        };
        Some(Entry::dir(mode, merged(children, self.below)))
    }

    fn only_removes(&self) -> bool {
        self.own.as_ref().is_none_or(|edit| edit.entry.is_none())
            && self.below.values().all(Trie::only_removes)
    }
}

fn merged(children: &[Child], mut edits: BTreeMap<Name, Trie>) -> Vec<Child> {
    let mut result = Vec::with_capacity(children.len() + edits.len());
    for child in children {
        match edits.remove(&child.name) {
            None => result.push(child.clone()),
            Some(trie) => {
                let entry = trie.applied(Some(&child.entry));
                result.extend(entry.map(|entry| Child { name: child.name.clone(), entry }));
            }
        }
    }
    for (name, trie) in edits {
        result.extend(trie.applied(None).map(|entry| Child { name, entry }));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::entry::{File, Mtime};

    fn file(content: &str) -> Entry {
        Entry::File(File {
            digest: Digest::of(content.as_bytes()),
            size: content.len() as u64,
            mtime: Mtime::default(),
            mode: Mode::new(0o644),
        })
    }

    fn set(path: &str, entry: Option<Entry>) -> Edit {
        Edit { path: RelPath::new(path.as_bytes()).unwrap(), entry, shallow: false }
    }

    #[test]
    fn edits_apply_in_order() {
        let empty = Arc::new(Dir::empty());
        let one = edit(
            &empty,
            [set("a/b", Some(file("1"))), set("a/c", Some(file("2"))), set("d", Some(file("3")))],
        );
        assert_eq!(one.totals().files, 3);
        let replaced = edit(&one, [set("a/b", None), set("a", Some(file("x")))]);
        assert_eq!(replaced.totals().files, 2);
        let refilled = edit(&one, [set("a", None), set("a/n", Some(file("y")))]);
        assert_eq!(refilled.get(&RelPath::new(b"a").unwrap()).unwrap().totals().files, 1);
    }

    #[test]
    fn shallow_edit_keeps_what_is_below() {
        let tree = edit(&Arc::new(Dir::empty()), [set("a/b", Some(file("1")))]);
        let shell = Entry::dir(Mode::new(0o700), Vec::new());
        let edited = edit(&tree, [Edit { shallow: true, ..set("a", Some(shell)) }]);
        let dir = edited.dir_at(&RelPath::new(b"a").unwrap()).unwrap();
        assert_eq!((dir.mode().bits(), dir.children().len()), (0o700, 1));
    }

    #[test]
    fn removing_below_nothing_makes_nothing() {
        let empty = Arc::new(Dir::empty());
        assert_eq!(edit(&empty, [set("a/b", None)]), empty);
    }
}
