//! Paths as keys.
//!
//! Sorted by their bytes, `a.b` stands between `a` and `a/x`, because `.` is lower than `/`. With the slashes
//! replaced by NUL, which no name can hold, the order of the keys is that of a walk through the tree: each directory
//! is followed at once by everything below it, and `[p, p + 0x01)` is exactly `p` and what is below.

use evenfold_core::RelPath;

use crate::error::{StoreError, bad_row};

/// Returns the key of a path; the root has the empty key.
pub(crate) fn of(path: &RelPath) -> Vec<u8> {
    path.as_bytes().iter().map(|b| if *b == b'/' { 0 } else { *b }).collect()
}

/// Returns the path of a key.
pub(crate) fn path(table: &'static str, key: &[u8]) -> Result<RelPath, StoreError> {
    let bytes: Vec<u8> = key.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect();
    RelPath::new(&bytes)
        .map_err(|error| bad_row(table, format!("path {:?}: {error}", String::from_utf8_lossy(&bytes))))
}

/// Returns the first key behind `key` and everything below it, or `None` for the root, behind which is nothing.
pub(crate) fn end(key: &[u8]) -> Option<Vec<u8>> {
    (!key.is_empty()).then(|| [key, &[1]].concat())
}

/// The same as [`end`] as an SQL value: no key reaches this bound, because names have at most 255 bytes and a path
/// of nothing but 0xff would need a NUL among them.
pub(crate) fn end_or_last(key: &[u8]) -> Vec<u8> {
    end(key).unwrap_or_else(|| vec![0xff; 256])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &[u8]) -> Vec<u8> {
        of(&RelPath::new(text).unwrap())
    }

    #[test]
    fn order_of_keys_is_that_of_a_walk() {
        let mut keys =
            [&b"a.b"[..], b"a/x", b"a", b"a/x/y", b"a\x01", b"a/x.y", b"", b"\xff/\xff", b"\xff"].map(key);
        keys.sort();
        let walked =
            [&b""[..], b"a", b"a/x", b"a/x/y", b"a/x.y", b"a\x01", b"a.b", b"\xff", b"\xff/\xff"].map(key);
        assert_eq!(keys, walked);
    }

    #[test]
    fn range_of_a_path_holds_what_is_below_and_nothing_else() {
        let (from, to) = (key(b"a"), end_or_last(&key(b"a")));
        for (path, inside) in [
            (&b"a"[..], true),
            (b"a/x", true),
            (b"a/\xff", true),
            (b"a\x01", false),
            (b"a.b", false),
            (b"b", false),
        ] {
            assert_eq!(from <= key(path) && key(path) < to, inside, "{path:?}");
        }
        assert!(key(&[0xff; 255]) < end_or_last(b""));
        assert_eq!(path("t", &key(b"a/\xff b")).unwrap(), RelPath::new(b"a/\xff b").unwrap());
    }
}
