//! Decides which paths take part in a relationship.
//!
//! Patterns are in gitignore syntax and come only from the relationship itself, never from files in the root,
//! because all endpoints must agree on them. As in git, nothing below an excluded directory takes part.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use evenfold_core::RelPath;
use evenfold_core::select::{Select, Sizes};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern '{pattern}' is not valid: {detail}")]
pub struct BadPattern {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The rules of a relationship, ready to be asked.
#[derive(Debug, Clone)]
pub struct Matcher {
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
    hidden: bool,
    sizes: Sizes,
}

impl Matcher {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Names the first pattern that is not valid.
    pub fn new(select: &Select) -> Result<Self, BadPattern> {
        Ok(Matcher {
            include: compile(&select.include)?,
            exclude: compile(&select.exclude)?,
            hidden: select.hidden,
            sizes: select.sizes,
        })
    }

    /// Returns the sizes that a file may have.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Tells whether a path takes part. A directory does if anything below it may, so with include patterns
    /// all directories do that are not excluded.
    pub fn takes_part(&self, path: &RelPath, is_dir: bool) -> bool {
        self.everything() || self.why_not(path, is_dir).is_none()
    }

    /// Returns the pattern by which a path is left out, or in words which rule it is; `None` if it takes part.
    pub fn why_not(&self, path: &RelPath, is_dir: bool) -> Option<String> {
        let bytes = path.as_bytes();
        for (at, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if let Some(why) = self.left_out(bytes.get(..at).unwrap_or_default(), true) {
                return Some(why);
            }
        }
        let here = if path.is_root() { None } else { self.left_out(bytes, is_dir) };
        here.or_else(|| {
            let missed = !is_dir && !self.is_included(bytes, false);
            missed.then(|| "no include pattern matches it".to_owned())
        })
    }

    /// Tells whether everything takes part, so that nothing need be asked.
    pub(crate) fn everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none() && self.hidden
    }

    /// Like [`Matcher::takes_part`] for a path of whose parent directory it is known that it takes part.
    pub(crate) fn takes_part_below(&self, path: &RelPath, is_dir: bool) -> bool {
        self.everything()
            || (self.left_out(path.as_bytes(), is_dir).is_none()
                && (is_dir || self.is_included(path.as_bytes(), false)))
    }

    /// Tells whether a directory takes part even if nothing below it does. With include patterns only those
    /// directories do that match one, so that not every directory of the root is carried empty.
    pub(crate) fn carries_empty(&self, path: &RelPath) -> bool {
        self.is_included(path.as_bytes(), true)
    }

    fn left_out(&self, path: &[u8], is_dir: bool) -> Option<String> {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if !self.hidden && name.first() == Some(&b'.') {
            return Some("hidden names do not take part".to_owned());
        }
        match self.exclude.as_ref()?.matched(as_path(path), is_dir) {
            ignore::Match::Ignore(glob) => Some(glob.original().to_owned()),
            ignore::Match::None | ignore::Match::Whitelist(_) => None,
        }
    }

    fn is_included(&self, path: &[u8], is_dir: bool) -> bool {
        let Some(include) = &self.include else { return true };
        // The nearest match decides: that of the path itself, else that of the closest directory above.
        include.matched_path_or_any_parents(as_path(path), is_dir).is_ignore()
    }
}

fn compile(patterns: &[String]) -> Result<Option<Gitignore>, BadPattern> {
    let bad = |pattern: &str, error: ignore::Error| BadPattern {
        pattern: pattern.to_owned(),
        detail: match error {
            ignore::Error::Glob { err, .. } => err,
            other => other.to_string(),
        },
    };
    let mut builder = GitignoreBuilder::new(".");
    // Git takes an unclosed bracket for a plain one; here it is more likely a slip, and its author can be asked.
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| bad(pattern, error))?;
    }
    let compiled = builder.build().map_err(|error| bad(&patterns.join(", "), error))?;
    Ok((!compiled.is_empty()).then_some(compiled))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(include: &[&str], exclude: &[&str], hidden: bool) -> Matcher {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Matcher::new(&Select {
            include: owned(include),
            exclude: owned(exclude),
            hidden,
            ..Select::default()
        })
        .unwrap()
    }

    #[track_caller]
    fn check(matcher: &Matcher, cases: &[(&[u8], bool)]) {
        for (bytes, expected) in cases {
            let is_dir = bytes.last() == Some(&b'/');
            let path = RelPath::new(bytes.strip_suffix(b"/").unwrap_or(bytes)).unwrap();
            assert_eq!(matcher.takes_part(&path, is_dir), *expected, "{path:?}");
        }
    }

    #[test]
    fn without_rules_everything_takes_part() {
        check(
            &matcher(&[], &[], true),
            &[(b"a", true), (b".hidden", true), (b"\xff/x", true), (b"d/", true)],
        );
        assert!(matcher(&[], &["# only a comment", ""], true).everything());
    }

    #[test]
    fn excluded_directories_take_everything_below_with_them() {
        let m = matcher(&[], &["node_modules/", "*.tmp", "/build", "!keep.tmp"], true);
        check(
            &m,
            &[
                (b"node_modules/", false),
                (b"node_modules", true),
                (b"a/node_modules/x/y", false),
                (b"x.tmp", false),
                (b"d/x.tmp", false),
                (b"d/keep.tmp", true),
                (b"x.tmp/keep.tmp", false),
                (b"build/", false),
                (b"d/build", true),
            ],
        );
    }

    #[test]
    fn hidden_names_are_left_out_at_any_depth() {
        let m = matcher(&[], &[], false);
        check(&m, &[(b".git/", false), (b"a/.b/c", false), (b"a/b.c", true), (b"a.", true)]);
    }

    #[test]
    fn included_files_take_part_and_directories_lead_to_them() {
        let m = matcher(&["*.rs", "docs/", "!docs/draft.md"], &["gen.rs"], true);
        check(
            &m,
            &[
                (b"a.rs", true),
                (b"x/y/a.rs", true),
                (b"a.txt", false),
                (b"x/", true),
                (b"docs/", true),
                (b"docs/a.txt", true),
                (b"docs/deep/a.txt", true),
                (b"docs/draft.md", false),
                (b"gen.rs", false),
            ],
        );
        let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
        assert!(m.carries_empty(&path("docs/deep")));
        assert!(!m.carries_empty(&path("x")));
    }

    #[test]
    fn names_that_are_not_utf8_are_matched() {
        check(&matcher(&[], &["*.tmp"], true), &[(b"\xff\xfe.tmp", false), (b"\xff\xfe.txt", true)]);
    }

    #[test]
    fn the_pattern_that_left_a_path_out_is_named() {
        let m = matcher(&["*.rs"], &["target/", "*.tmp"], false);
        let why = |text: &str| m.why_not(&RelPath::new(text.as_bytes()).unwrap(), false);
        assert_eq!(why("target/a/b.rs").as_deref(), Some("target/"));
        assert_eq!(why("a.txt").as_deref(), Some("no include pattern matches it"));
        assert_eq!(why(".a.rs").as_deref(), Some("hidden names do not take part"));
        assert_eq!(why("a.rs"), None);
        assert_eq!(m.why_not(&RelPath::root(), true), None);
    }

    #[test]
    fn invalid_patterns_are_named() {
        let select = Select { exclude: vec!["ok".into(), "a[".into()], ..Select::default() };
        assert_eq!(Matcher::new(&select).unwrap_err().pattern, "a[");
    }
}
