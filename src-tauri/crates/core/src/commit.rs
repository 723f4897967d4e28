//! From what was accomplished on either side to what the ancestor says.
//!
//! The ancestor is what both sides have in common. So a change that was carried out on one side enters it only
//! where the other side now holds the same. This matters wherever one decision needs both sides: a conflict copy
//! that only one side has so far would otherwise look, to the next cycle, as if the other side's user had
//! deleted it. What is left out here is safe: the next cycle compares again and finds it agreed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::edit::{Edit, edit};
use crate::entry::{Dir, Entry};
use crate::moves::ancestors;
use crate::path::{Name, RelPath};

/// Returns how the ancestor changes after `done_ours` was accomplished on `ours` and `done_theirs` on `theirs`.
///
/// `ours` and `theirs` are the trees from which the plan was made. An accomplished change counts with the entry
/// that was wanted, not with what a file system made of it: where it rounds a time, that side then looks touched
/// and its value travels back, once, instead of the wanted value being sent for ever.
pub fn agreed(
    ancestor: &Arc<Dir>,
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
    done_ours: &[Edit],
    done_theirs: &[Edit],
) -> Vec<Edit> {
    let ours = edit(ours, done_ours.iter().cloned());
    let theirs = edit(theirs, done_theirs.iter().cloned());
    common(ancestor, &ours, &theirs, done_ours.iter().chain(done_theirs))
}

/// Returns how the ancestor changes at the paths of `touched`, where `ours` and `theirs` are the trees afterwards.
pub fn common<'a>(
    ancestor: &Arc<Dir>,
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
    touched: impl IntoIterator<Item = &'a Edit>,
) -> Vec<Edit> {
    let mut record = Record { trees: [ancestor, ours, theirs], whole: HashSet::new(), edits: Vec::new() };
    for edit in touched {
        record.touched(&edit.path, edit.shallow);
    }
    record.edits
}

struct Record<'a> {
    trees: [&'a Arc<Dir>; 3],
    /// Directories that were looked at with everything below.
    whole: HashSet<RelPath>,
    edits: Vec<Edit>,
}

impl Record<'_> {
    fn touched(&mut self, path: &RelPath, shallow: bool) {
        if !self.whole.is_empty() && ancestors(path.clone()).any(|above| self.whole.contains(&above)) {
            return;
        }
        let depth = path.components().count();
        let mut dirs = self.trees.map(Some);
        for (above, name) in path.components().enumerate() {
            let row = dirs.map(|dir| dir.and_then(|dir| dir.child(name)));
            let is_end = above + 1 == depth;
            let known = matches!(row, [Some(Entry::Dir(_)), ..]);
            if is_end || !known {
                // The ancestor does not know the directory above: with it, everything below is decided.
                let at = ancestors(path.clone()).nth(depth - above - 1).unwrap_or_else(|| path.clone());
                let deep = !(is_end && shallow && known);
                compare(&mut self.edits, &at, row, deep);
                if deep && row.iter().any(|entry| matches!(entry, Some(Entry::Dir(_)))) {
                    self.whole.insert(at);
                }
                return;
            }
            dirs = row.map(|entry| entry.and_then(Entry::as_dir));
        }
    }
}

fn compare(edits: &mut Vec<Edit>, path: &RelPath, [a, o, t]: [Option<&Entry>; 3], deep: bool) {
    if o == t && !o.is_some_and(Entry::has_unknown) {
        if a != o {
            edits.push(Edit { path: path.clone(), entry: o.cloned(), shallow: false });
        }
        return;
    }
    let (Some(Entry::Dir(ours)), Some(Entry::Dir(theirs))) = (o, t) else { return };
    let known = a.and_then(Entry::as_dir);
    if ours.mode() == theirs.mode() {
        if known.is_none_or(|dir| dir.mode() != ours.mode()) {
            let shell = Entry::dir(ours.mode(), Vec::new());
            edits.push(Edit { path: path.clone(), entry: Some(shell), shallow: true });
        }
    } else if known.is_none() {
        // There is no directory to record the children in before its own bits are agreed on.
        return;
    }
    if deep {
        let lists = [known, Some(ours), Some(theirs)];
        let mut names: Vec<&Name> =
            lists.iter().flatten().flat_map(|dir| dir.children()).map(|child| &child.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let row = lists.map(|dir| dir.and_then(|dir| dir.child(name.as_bytes())));
            compare(edits, &path.join(name), row, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::{path, tree};

    fn set(at: &str, from: &str) -> Edit {
        Edit { path: path(at), entry: tree(from).get(&path(at)).cloned(), shallow: false }
    }

    #[test]
    fn only_what_both_sides_hold_enters_the_ancestor() {
        for (situation, ancestor, ours, theirs, done_ours, done_theirs, expected) in [
            ("a creation", "", "a:1", "", vec![], vec![set("a", "a:1")], "a:1"),
            ("a deletion", "a:1", "", "a:1", vec![], vec![set("a", "")], ""),
            ("one half of a conflict copy", "", "", "", vec![set("c", "c:1")], vec![], ""),
            ("both halves of it", "", "", "", vec![set("c", "c:1")], vec![set("c", "c:1")], "c:1"),
            (
                "half of a survival",
                "d/x:1 d/y:1",
                "",
                "d/x:1 d/y:2",
                vec![set("d", "d/y:2")],
                vec![],
                "d/x:1 d/y:2",
            ),
            ("its other half", "d/x:1 d/y:1", "", "d/x:1 d/y:2", vec![], vec![set("d/x", "")], "d/y:1"),
            (
                "below a directory that both made",
                "",
                "d/a:1",
                "d/b:2",
                vec![set("d/b", "d/b:2")],
                vec![],
                "d/b:2",
            ),
        ] {
            let ancestor = tree(ancestor);
            let edits = agreed(&ancestor, &tree(ours), &tree(theirs), &done_ours, &done_theirs);
            assert_eq!(edit(&ancestor, edits), tree(expected), "{situation}");
        }
    }
}
