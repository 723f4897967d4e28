//! The trees that the exhaustive check combines.

use std::sync::Arc;

use evenfold_core::{Child, Digest, Dir, Entry, File, Mode, Mtime, Name, ProblemKind};

/// What may stand at a name; `None`: nothing.
pub type Options = Vec<Option<Entry>>;

/// Returns a file with content number `content`. Content 3 is large, so that renames of it become moves.
pub fn file(content: u8) -> Entry {
    stamped(content, i64::from(content), 0o644)
}

/// Returns a file with this content, time and permission bits.
pub fn stamped(content: u8, secs: i64, mode: u32) -> Entry {
    Entry::File(File {
        digest: Digest([content; 32]),
        size: if content == 3 { 1 << 20 } else { 1 },
        mtime: Mtime { secs, nanos: 0 },
        mode: Mode::new(mode),
    })
}

/// Returns something that could not be looked at.
pub fn unknown() -> Entry {
    Entry::Unknown(ProblemKind::Unreadable)
}

/// Returns all directories over the names `a` and `b` with these options for each.
pub fn directories(mode: u32, options: &Options) -> Vec<Arc<Dir>> {
    let mut all = Vec::with_capacity(options.len() * options.len());
    for a in options {
        for b in options {
            all.push(directory(mode, [a, b]));
        }
    }
    all
}

/// Returns all directories over the single name `a` with these options.
pub fn single(options: &Options) -> Vec<Arc<Dir>> {
    options.iter().map(|a| directory(0o755, [a, &None])).collect()
}

fn directory(mode: u32, entries: [&Option<Entry>; 2]) -> Arc<Dir> {
    let names = [&b"a"[..], b"b"].into_iter().flat_map(Name::new);
    let children = names.zip(entries).filter_map(|(name, entry)| Some(Child { name, entry: entry.clone()? }));
    Arc::new(Dir::new(Mode::new(mode), children.collect()))
}

/// Nothing, or one of three contents.
pub fn leaves() -> Options {
    vec![None, Some(file(1)), Some(file(2)), Some(file(3))]
}

/// Adds `dirs` to what may stand at a name.
pub fn with_directories(mut options: Options, dirs: Vec<Arc<Dir>>) -> Options {
    options.extend(dirs.into_iter().map(|dir| Some(Entry::Dir(dir))));
    options
}

/// The 5 options of depth 1: nothing, three contents, an empty directory.
pub fn depth_1() -> Options {
    with_directories(leaves(), vec![Arc::new(Dir::empty())])
}

/// The 29 options of depth 2: nothing, three contents, the 25 directories of depth 1.
pub fn depth_2() -> Options {
    with_directories(leaves(), directories(0o755, &depth_1()))
}

/// A set of triples: every ancestor with every pair of states.
pub struct Space {
    /// For messages.
    pub name: &'static str,
    /// What was agreed.
    pub ancestors: Vec<Arc<Dir>>,
    /// What each side holds now.
    pub states: Vec<Arc<Dir>>,
}

impl Space {
    /// Returns the number of triples.
    pub fn len(&self) -> usize {
        self.ancestors.len() * self.states.len() * self.states.len()
    }

    /// Tells whether there are no triples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the triple with this number.
    pub fn triple(&self, index: usize) -> Option<super::Triple> {
        let states = self.states.len();
        let ancestor = Arc::clone(self.ancestors.get(index / states / states)?);
        let ours = Arc::clone(self.states.get(index / states % states)?);
        let theirs = Arc::clone(self.states.get(index % states)?);
        Some(super::Triple { ancestor, ours, theirs })
    }
}

/// All 15,625 triples over two names with three contents and empty directories.
pub fn shallow() -> Space {
    let trees = directories(0o755, &depth_1());
    Space { name: "depth 1", ancestors: trees.clone(), states: trees }
}

/// All 24,389 triples over one name with everything of depth 2 below it.
pub fn deep_below_one_name() -> Space {
    let trees = single(&depth_2());
    Space { name: "depth 2 below one name", ancestors: trees.clone(), states: trees }
}

/// Two names, one of which may be unreadable: 16 ancestors, 25 states.
pub fn with_unknown() -> Space {
    let known = with_directories(vec![None, Some(file(1)), Some(file(2))], vec![Arc::new(Dir::empty())]);
    let mut partly = known.clone();
    partly.push(Some(unknown()));
    Space { name: "unknown", ancestors: directories(0o755, &known), states: directories(0o755, &partly) }
}

/// One name, below which something may be unreadable.
pub fn with_unknown_below() -> Space {
    let known = vec![None, Some(file(1)), Some(file(2))];
    let empty = vec![Arc::new(Dir::empty())];
    let mut partly = with_directories(known.clone(), empty.clone());
    let ancestors = with_directories(known.clone(), directories(0o755, &partly));
    partly.push(Some(unknown()));
    let states = with_directories(known, directories(0o755, &partly));
    Space { name: "unknown below", ancestors: single(&ancestors), states: single(&states) }
}

/// One name with equal contents of different times and permissions, and directories of different permissions.
pub fn with_metadata() -> Space {
    let mut options: Options = vec![None, Some(stamped(2, 1, 0o644))];
    for mode in [0o644, 0o600] {
        options.extend([1, 2].map(|secs| Some(stamped(1, secs, mode))));
    }
    let children = [None, Some(stamped(1, 1, 0o644)), Some(stamped(1, 2, 0o644))];
    for mode in [0o755, 0o700, 0o555] {
        let dirs = children.iter().map(|child| directory(mode, [child, &None])).collect();
        options = with_directories(options, dirs);
    }
    Space { name: "metadata", ancestors: single(&options), states: single(&options) }
}

/// Prints a tree compactly: `a:1 b/ c/a:2 d?`.
pub fn print(dir: &Dir) -> String {
    let mut words = Vec::new();
    print_below(dir, "", &mut words);
    words.join(" ")
}

fn print_below(dir: &Dir, prefix: &str, words: &mut Vec<String>) {
    for child in dir.children() {
        let path = format!("{prefix}{}", child.name);
        match &child.entry {
            Entry::File(file) => {
                let content = file.digest.0.first().copied().unwrap_or_default();
                words.push(format!("{path}:{content}@{}!{:o}", file.mtime.secs, file.mode.bits()));
            }
            Entry::Symlink(link) => words.push(format!("{path}>{}", String::from_utf8_lossy(&link.target))),
            Entry::Unknown(_) => words.push(format!("{path}?")),
            Entry::Dir(inner) => {
                words.push(format!("{path}/!{:o}", inner.mode().bits()));
                print_below(inner, &format!("{path}/"), words);
            }
        }
    }
}
