//! A compact notation of trees for tests: `a:1 d/b:2 e/ l>t u?` is a file `a` holding "1", a file `b` holding "2"
//! in directory `d`, an empty directory `e`, a link `l` to "t" and an unreadable `u`. `a:1@7` sets a file's time to 7
//! seconds, `a:1*9` its size to 9 bytes, `a:1!600` or `d/!700` permission bits.

use std::sync::Arc;

use crate::digest::Digest;
use crate::edit::{Edit, edit};
use crate::entry::{Dir, Entry, File, Mode, Mtime, ProblemKind, Symlink};
use crate::path::RelPath;
use crate::plan::{Change, Plan};

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn tree(text: &str) -> Arc<Dir> {
    edit(&Arc::new(Dir::empty()), text.split_whitespace().map(parse))
}

fn parse(word: &str) -> Edit {
    let (word, mode) = match word.split_once('!') {
        Some((rest, mode)) => (rest, Some(u32::from_str_radix(mode, 8).unwrap())),
        None => (word, None),
    };
    if let Some(dir) = word.strip_suffix('/') {
        let entry = Entry::dir(Mode::new(mode.unwrap_or(0o755)), Vec::new());
        return Edit { path: path(dir), entry: Some(entry), shallow: true };
    }
    let (at, entry) = if let Some(at) = word.strip_suffix('?') {
        (at, Entry::Unknown(ProblemKind::Unreadable))
    } else if let Some((at, target)) = word.split_once('>') {
        (at, Entry::Symlink(Symlink { target: target.as_bytes().into() }))
    } else {
        let (at, rest) = word.split_once(':').unwrap();
        let (rest, size) = match rest.split_once('*') {
            Some((rest, size)) => (rest, Some(size.parse().unwrap())),
            None => (rest, None),
        };
        let (content, secs) = rest.split_once('@').unwrap_or((rest, "0"));
        let file = File {
            digest: Digest::of(content.as_bytes()),
            size: size.unwrap_or(content.len() as u64),
            mtime: Mtime { secs: secs.parse().unwrap(), nanos: 0 },
            mode: Mode::new(mode.unwrap_or(0o644)),
        };
        (at, Entry::File(file))
    };
    Edit { path: path(at), entry: Some(entry), shallow: false }
}

/// Prints what a change does: `+` creates, `-` deletes, `~` replaces, `m` changes a directory's own bits.
pub(crate) fn change(change: &Change) -> String {
    let sign = match (&change.old, &change.new) {
        (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => 'm',
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    format!("{sign}{}", change.path)
}

pub(crate) fn changes(list: &[Change]) -> String {
    list.iter().map(change).collect::<Vec<_>>().join(" ")
}

/// Prints a plan on one line: `o` our changes, `t` theirs, `co`/`ct` copies, `=` agreements, `!` conflicts, `#` reasons.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut parts = Vec::new();
    for (label, list) in
        [("co", &plan.copies_ours), ("ct", &plan.copies_theirs), ("o", &plan.ours), ("t", &plan.theirs)]
    {
        parts.extend(list.iter().map(|c| format!("{label}{}", change(c))));
    }
    parts.extend(plan.agreed.iter().map(|a| format!("={}", a.path)));
    parts.extend(plan.conflicts.iter().map(|c| format!("!{}", c.path)));
    parts.extend(plan.blocked.iter().map(|b| format!("#{}({})", b.path, b.reason.code())));
    parts.join(" ")
}
