//! The content of a file, to be looked at before somebody decides: text, a picture, or only how large it is.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenfold_fs::disk::{Kind, ReadFile};

use crate::api::{ApiError, Content, ErrorCode, PathText};
use crate::node::Node;
use crate::relationship::Relationship;
use crate::versions::{folder_failed, rel_path};

/// Most bytes that are shown of one file, whatever is asked: it travels as one line and is laid out as a whole.
const MOST: u64 = 16 << 20;

/// Pictures that every web view draws, by their first bytes.
const PICTURES: [(&[u8], &str); 6] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"RIFF", "image/webp"),
];

impl Node {
    /// Reads a file below the folder of a relationship, or one of its versions, without following links.
    ///
    /// # Errors
    /// Where there is no such file, or it cannot be read.
    pub(crate) async fn content(
        &self,
        wanted: &str,
        path: &PathText,
        version: Option<String>,
        max_bytes: u64,
    ) -> Result<Content, ApiError> {
        let relationship = self.find(wanted)?;
        let place = rel_path(path)?;
        let limit = max_bytes.min(MOST);
        let read = relationship
            .local
            .on_disk(move |replica| read(replica.open_file(&place, version.as_deref())?, limit))
            .await
            .map_err(|error| folder_failed(&relationship, error))?;
        read.map_err(|error| failed(&relationship, path, &error))
    }
}

fn failed(relationship: &Relationship, path: &PathText, error: &io::Error) -> ApiError {
    let root = relationship.local.root().display().to_string();
    let message = format!("'{}' in {root} cannot be read: {error}", path.path.escape_debug());
    match error.kind() {
        io::ErrorKind::NotFound => ApiError::new(ErrorCode::NotFound, message)
            .with_hint("it was moved or removed meanwhile; look again"),
        _ => ApiError::new(ErrorCode::Io, message).with_hint("only files can be shown, not folders or links"),
    }
}

fn read(mut file: Box<dyn ReadFile>, limit: u64) -> io::Result<Content> {
    let stat = file.stat()?;
    if stat.kind != Kind::File {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let plain = |kind: &str| Content { kind: kind.to_owned(), size: stat.size, text: None, data_url: None };
    if stat.size > limit {
        return Ok(plain("too-large"));
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        // A file may grow while it is read.
        match read {
            0 => break,
            _ if bytes.len() as u64 > limit => return Ok(plain("too-large")),
            _ => {}
        }
    }
    if let Some(media) = picture(&bytes) {
        let data_url = format!("data:{media};base64,{}", STANDARD.encode(&bytes));
        return Ok(Content { data_url: Some(data_url), ..plain("image") });
    }
    match String::from_utf8(bytes) {
        // A zero byte is no text that anybody wrote.
        Ok(text) if !text.contains('\0') => Ok(Content { text: Some(text), ..plain("text") }),
        _ => Ok(plain("binary")),
    }
}

fn picture(bytes: &[u8]) -> Option<&'static str> {
    let (_, media) = PICTURES.iter().find(|(start, _)| bytes.starts_with(start))?;
    match *media {
        "image/webp" => (bytes.get(8..12) == Some(b"WEBP")).then_some(*media),
        // Two letters begin many texts; a bitmap's header goes on with its own length.
        "image/bmp" => {
            let length = bytes.get(2..6)?.try_into().map(u32::from_le_bytes).ok()?;
            (length as usize == bytes.len()).then_some(*media)
        }
        _ => Some(*media),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenfold_core::RelPath;
    use evenfold_fs::disk::{Disk as _, Place};
    use evenfold_fs::platform::RealDisk;

    use super::*;

    fn shown(root: &Path, name: &str, limit: u64) -> io::Result<Content> {
        let disk = RealDisk::open(root)?;
        read(disk.open(&Place::User(RelPath::new(name.as_bytes()).unwrap()))?, limit)
    }

    #[test]
    fn content_decides_what_is_shown_not_the_name() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        let bitmap = [b"BM\x0a\0\0\0".as_slice(), &[0; 4]].concat();
        for (name, content, kind) in [
            ("empty", b"".as_slice(), "text"),
            ("a.png", "Grüße\n".as_bytes(), "text"),
            ("b.txt", b"\x89PNG\r\n\x1a\nrest", "image"),
            ("c.txt", b"BMW drives", "text"),
            ("d", &bitmap, "image"),
            ("e", b"RIFF....WAVE", "text"),
            ("f", b"a\0b", "binary"),
            ("g", b"\xff\xfe", "binary"),
            ("h", &[b'x'; 101], "too-large"),
        ] {
            std::fs::write(root.join(name), content).unwrap();
            let found = shown(root, name, 100).unwrap();
            assert_eq!((found.kind.as_str(), found.size), (kind, content.len() as u64), "{name}");
            assert_eq!(found.text.is_some(), kind == "text", "{name}");
            assert_eq!(found.data_url.is_some(), kind == "image", "{name}");
        }
    }

    #[test]
    fn links_and_folders_are_not_shown() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("root");
        std::fs::create_dir_all(root.join("folder")).unwrap();
        std::fs::write(temporary.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        for name in ["folder", "link", "up/secret", "absent"] {
            shown(&root, name, 100).unwrap_err();
        }
    }
}
