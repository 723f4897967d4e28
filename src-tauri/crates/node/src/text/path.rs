//! Paths as text, lossless also where they are not UTF-8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::PathText;

/// Why a [`PathText`] is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathTextError {
    /// `path_bytes` is not base64.
    #[error("the field `path_bytes` beside {0:?} is not base64")]
    NotBase64(String),
    /// No file system can hold a name with a zero byte.
    #[error("the path {0:?} holds a zero byte")]
    ZeroByte(String),
}

/// Writes the bytes of a path as text. The exact bytes stand beside it where the text had to replace some.
pub fn path_text(bytes: &[u8]) -> PathText {
    match std::str::from_utf8(bytes) {
        Ok(path) => PathText { path: path.to_owned(), path_bytes: None },
        Err(_) => PathText {
            path: String::from_utf8_lossy(bytes).into_owned(),
            path_bytes: Some(STANDARD.encode(bytes)),
        },
    }
}

/// Returns the bytes of a path that was written as text.
///
/// # Errors
/// When `path_bytes` is not base64, or the path holds a zero byte.
pub fn path_bytes(text: &PathText) -> Result<Vec<u8>, PathTextError> {
    let bytes = match &text.path_bytes {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| PathTextError::NotBase64(text.path.clone()))?,
        None => text.path.clone().into_bytes(),
    };
    if bytes.contains(&0) { Err(PathTextError::ZeroByte(text.path.clone())) } else { Ok(bytes) }
}

#[cfg(unix)]
impl From<&std::path::Path> for PathText {
    fn from(path: &std::path::Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        path_text(path.as_os_str().as_bytes())
    }
}

#[cfg(unix)]
impl TryFrom<&PathText> for std::path::PathBuf {
    type Error = PathTextError;

    fn try_from(text: &PathText) -> Result<Self, PathTextError> {
        use std::os::unix::ffi::OsStringExt as _;
        Ok(std::ffi::OsString::from_vec(path_bytes(text)?).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn utf8_path_needs_no_second_form() {
        let text = path_text("Fotos/Köln".as_bytes());
        assert_eq!(text, PathText { path: "Fotos/Köln".into(), path_bytes: None });
    }

    #[test]
    fn path_that_is_not_utf8_keeps_its_bytes() {
        let text = path_text(b"caf\xe9");
        assert_eq!(text.path, "caf\u{fffd}");
        assert_eq!(text.path_bytes.as_deref(), Some("Y2Fm6Q=="));
        assert_eq!(path_bytes(&text).unwrap(), b"caf\xe9");
    }

    #[test]
    fn nonsense_in_place_of_a_path_is_refused() {
        let text = PathText { path: "a".into(), path_bytes: Some("%".into()) };
        assert_eq!(path_bytes(&text), Err(PathTextError::NotBase64("a".into())));
        let text = PathText { path: "a\0b".into(), path_bytes: None };
        assert_eq!(path_bytes(&text), Err(PathTextError::ZeroByte("a\0b".into())));
    }

    proptest! {
        #[test]
        fn any_path_survives_the_way_through_text(bytes in proptest::collection::vec(1u8.., 0..40)) {
            prop_assert_eq!(path_bytes(&path_text(&bytes)).unwrap(), bytes);
        }
    }
}
