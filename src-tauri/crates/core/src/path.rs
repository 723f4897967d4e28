//! Names and paths below a root, as validated bytes.
//!
//! A [`RelPath`] can only be built through validation, so whoever receives one (from a peer, a database, a
//! user) knows that it stays below its root: no absolute path, no `.` or `..`, no empty component, no NUL.

use std::borrow::Borrow;
use std::fmt;

/// The name of Evenfold's own folder at the top of a root: staging, versions, marker. Never synced.
pub const RESERVED: &[u8] = b".evenfold";

/// The longest name of one component, in bytes, as on all common file systems.
pub const MAX_NAME: usize = 255;

/// The longest path below a root, in bytes (Linux's `PATH_MAX`).
pub const MAX_PATH: usize = 4096;

/// Why bytes are not a name or path below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is empty: a leading, trailing or doubled slash, or an empty name.
    #[error("a path component is empty")]
    Empty,
    /// A component is `.` or `..`, which could leave the root.
    #[error("a path component is '.' or '..'")]
    Dots,
    /// A NUL byte, or a slash within a name.
    #[error("a path component holds a NUL byte or a slash")]
    Forbidden,
    /// A component is longer than [`MAX_NAME`] bytes or the path longer than [`MAX_PATH`].
    #[error("a path or one of its components is too long")]
    TooLong,
    /// The first component is [`RESERVED`].
    #[error("'.evenfold' at the top of a root is reserved")]
    Reserved,
}

/// One component of a path: 1 to 255 bytes, no slash, no NUL, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Validates `bytes` as one component.
    ///
    /// # Errors
    /// Says which rule is broken. [`RESERVED`] is a valid name here, because only the top level reserves it.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        check_component(bytes)?;
        Ok(Name(bytes.into()))
    }

    /// Returns the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A path below a root: components joined by `/`; the empty path is the root itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// Returns the root itself.
    pub fn root() -> Self {
        RelPath(Box::default())
    }

    /// Validates `bytes` as a path below a root.
    ///
    /// # Errors
    /// Says which rule is broken; a path in the reserved folder is refused.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        for component in bytes.split(|b| *b == b'/') {
            check_component(component)?;
        }
        if first_component(bytes) == RESERVED {
            return Err(PathError::Reserved);
        }
        Ok(RelPath(bytes.into()))
    }

    /// Returns the path of `name` below this directory.
    pub fn join(&self, name: &Name) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.0.len());
        if !self.0.is_empty() {
            bytes.extend_from_slice(&self.0);
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&name.0);
        RelPath(bytes.into())
    }

    /// Returns the path of `tail` below this directory.
    pub fn join_path(&self, tail: &RelPath) -> Self {
        match (self.is_root(), tail.is_root()) {
            (true, _) => tail.clone(),
            (_, true) => self.clone(),
            _ => RelPath([&self.0[..], b"/", &tail.0[..]].concat().into()),
        }
    }

    /// Returns the directory that holds this path, or `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.split_last().map(|(parent, _)| parent)
    }

    /// Splits into the holding directory and the last component, or `None` for the root.
    pub fn split_last(&self) -> Option<(Self, Name)> {
        if self.is_root() {
            return None;
        }
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => Some((RelPath(self.0[..at].into()), Name(self.0[at + 1..].into()))),
            None => Some((Self::root(), Name(self.0.clone()))),
        }
    }

    /// Returns the last component, or `None` for the root.
    pub fn file_name(&self) -> Option<Name> {
        self.split_last().map(|(_, name)| name)
    }

    /// Iterates over the components from the top.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|component| !component.is_empty())
    }

    /// Tells whether this path is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &RelPath) -> bool {
        ancestor.is_root()
            || (self.0.starts_with(&ancestor.0) && matches!(self.0.get(ancestor.0.len()), None | Some(b'/')))
    }

    /// Tells whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes of the path, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

fn first_component(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == b'/').next().unwrap_or_default()
}

fn check_component(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        b"" => Err(PathError::Empty),
        b"." | b".." => Err(PathError::Dots),
        _ if bytes.len() > MAX_NAME => Err(PathError::TooLong),
        _ if bytes.iter().any(|b| matches!(b, 0 | b'/')) => Err(PathError::Forbidden),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        for (bytes, error) in [
            (&b"/etc"[..], PathError::Empty),
            (b"a//b", PathError::Empty),
            (b"a/", PathError::Empty),
            (b"..", PathError::Dots),
            (b"a/../b", PathError::Dots),
            (b"./a", PathError::Dots),
            (b"a\0b", PathError::Forbidden),
            (b".evenfold", PathError::Reserved),
            (b".evenfold/staging/x", PathError::Reserved),
        ] {
            assert_eq!(RelPath::new(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(RelPath::new(&[b'x'; 256]), Err(PathError::TooLong));
    }

    #[test]
    fn odd_but_legal_names_are_kept_byte_for_byte() {
        for bytes in [&b" lead"[..], b"-rf", b"a\nb", b"\xff", b"$(touch PWNED).txt", b"a/.evenfold", b"..."]
        {
            assert_eq!(RelPath::new(bytes).unwrap().as_bytes(), bytes);
        }
        assert!(RelPath::new(&[b'x'; 255]).is_ok());
    }

    #[test]
    fn splitting_undoes_joining() {
        let path = RelPath::new(b"a/b c/d").unwrap();
        let (parent, name) = path.split_last().unwrap();
        assert_eq!(parent.join(&name), path);
        assert_eq!(path.components().count(), 3);
        assert_eq!(RelPath::root().split_last(), None);
        assert_eq!(RelPath::root().join(&name).as_bytes(), b"d");
    }

    #[test]
    fn prefixes_end_at_component_borders() {
        let path = RelPath::new(b"ab/c").unwrap();
        assert!(path.starts_with(&RelPath::new(b"ab").unwrap()));
        assert!(!path.starts_with(&RelPath::new(b"a").unwrap()));
        assert!(path.starts_with(&RelPath::root()));
    }
}
