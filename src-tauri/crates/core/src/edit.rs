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
    let mut trie = Trie { nodes: vec![Node::default()] };
    for edit in edits {
        trie.insert(edit);
    }
    match trie.nodes.first() {
        Some(root) if !root.below.is_empty() => {
            Arc::new(Dir::new(tree.mode(), trie.merged(tree.children(), root)))
        }
        _ => Arc::clone(tree),
    }
}

/// Edits arranged by path. Nodes refer to each other by index, so that the deepest path needs no stack to drop.
struct Trie {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    own: Option<Edit>,
    below: BTreeMap<Name, usize>,
}

impl Trie {
    fn insert(&mut self, edit: Edit) {
        let mut at = 0;
        for component in edit.path.components() {
            let Ok(name) = Name::new(component) else { return };
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = *node.below.entry(name).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(at) else { return };
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

    fn applied(&self, node: &Node, base: Option<&Entry>) -> Option<Entry> {
        let base = match &node.own {
            None => base.cloned(),
            Some(edit) => edited(edit, base),
        };
        if node.below.is_empty() {
            return base;
        }
        let (mode, children) = match &base {
            Some(Entry::Dir(dir)) => (dir.mode(), dir.children()),
            _ if self.below(node).all(|node| self.only_removes(node)) => return base,
            _ => (Mode::new(0o755), &[][..]),
        };
        Some(Entry::dir(mode, self.merged(children, node)))
    }

    fn below<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        node.below.values().filter_map(|at| self.nodes.get(*at))
    }

    fn only_removes(&self, node: &Node) -> bool {
        node.own.as_ref().is_none_or(|edit| edit.entry.is_none())
            && self.below(node).all(|node| self.only_removes(node))
    }

    /// Both listings are in the order of their names, and so is the result.
    fn merged(&self, children: &[Child], node: &Node) -> Vec<Child> {
        let mut result = Vec::with_capacity(children.len() + node.below.len());
        let mut children = children.iter().peekable();
        for (name, at) in &node.below {
            while let Some(child) = children.next_if(|child| child.name < *name) {
                result.push(child.clone());
            }
            let base = children.next_if(|child| child.name == *name).map(|child| &child.entry);
            let entry = self.nodes.get(*at).and_then(|node| self.applied(node, base));
            result.extend(entry.map(|entry| Child { name: name.clone(), entry }));
        }
        result.extend(children.cloned());
        result
    }
}

fn edited(edit: &Edit, base: Option<&Entry>) -> Option<Entry> {
    match (&edit.entry, edit.shallow) {
        (Some(Entry::Dir(shell)), true) => {
            let children = base.and_then(Entry::as_dir).map(|dir| dir.children().to_vec());
            Some(Entry::dir(shell.mode(), children.unwrap_or_default()))
        }
        (entry, _) => entry.clone(),
    }
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
    fn shallow_edit_after_a_complete_one_keeps_what_that_one_brought() {
        let shell = Entry::dir(Mode::new(0o500), Vec::new());
        let dir = Entry::Dir(edit(&Arc::new(Dir::empty()), [set("x", Some(file("1")))]));
        let edits = [
            set("a", Some(dir)),
            set("a/y", Some(file("2"))),
            Edit { shallow: true, ..set("a", Some(shell)) },
        ];
        let edited = edit(&Arc::new(Dir::empty()), edits);
        let dir = edited.dir_at(&RelPath::new(b"a").unwrap()).unwrap();
        assert_eq!((dir.mode().bits(), dir.children().len()), (0o500, 2));
    }

    #[test]
    fn removing_below_nothing_makes_nothing() {
        let empty = Arc::new(Dir::empty());
        assert_eq!(edit(&empty, [set("a/b", None)]), empty);
    }
}
