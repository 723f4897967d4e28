//! Paths and settings as a user types them.

use std::io;
use std::path::{Component, Path, PathBuf};

use evenfold_node::api::{ApiError, ErrorCode, PathText, Setting};
use evenfold_node::settings::Key;

/// Largest pattern file that is read.
const LARGEST: u64 = 10_000_000;

/// Turns a folder as typed into the absolute path that the node needs. Links are resolved where the folder exists, so
/// that it is found again when the working directory of the daemon is another.
///
/// # Errors
/// When the working directory is gone.
pub(crate) fn folder(typed: &Path) -> Result<PathText, ApiError> {
    let absolute = std::fs::canonicalize(typed).or_else(|_| std::path::absolute(typed)).map_err(|error| {
        let message = format!("the path {} cannot be made absolute: {error}", typed.display());
        ApiError::new(ErrorCode::Usage, message).with_hint("Give an absolute path.")
    })?;
    Ok(PathText::from(absolute.as_path()))
}

/// Makes a path absolute, without looking at what is there.
///
/// # Errors
/// When the working directory is gone.
pub(crate) fn absolute(typed: &Path) -> Result<PathBuf, ApiError> {
    std::path::absolute(typed).map_err(|error| {
        let message = format!("the path {} cannot be made absolute: {error}", typed.display());
        ApiError::new(ErrorCode::Usage, message).with_hint("Give an absolute path.")
    })
}

/// Turns a path below a root as typed into its text; a leading `./` is dropped.
pub(crate) fn below(typed: &Path) -> PathText {
    PathText::from(typed.strip_prefix(".").unwrap_or(typed))
}

/// Finds the path below `root` that is meant by one as typed: absolute, relative to `here` where that lies within the
/// root, or relative to the root.
///
/// # Errors
/// When it lies outside the root.
pub(crate) fn inside(root: &Path, here: Option<&Path>, typed: &Path) -> Result<PathText, ApiError> {
    let outside = || {
        let message = format!("{} lies outside {}; nothing was changed", typed.display(), root.display());
        ApiError::new(ErrorCode::Usage, message).with_hint("Name files and folders below it.")
    };
    let below_root = root.join(typed);
    let from_here = here.filter(|here| here.starts_with(root)).map(|here| here.join(typed));
    let stands = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    let full = match from_here {
        _ if typed.is_absolute() => resolved(typed),
        Some(from_here) if stands(&from_here) || !stands(&below_root) => from_here,
        _ => below_root,
    };
    let full = without_dots(&full);
    let below = full.strip_prefix(root).map_err(|_| outside())?;
    Ok(PathText::from(if below.as_os_str().is_empty() { Path::new(".") } else { below }))
}

/// Resolves links in all but the last component, which may be gone or a link itself.
fn resolved(path: &Path) -> PathBuf {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    std::fs::canonicalize(parent).map_or_else(|_| path.to_owned(), |parent| parent.join(name))
}

fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean
}

/// Reads the files of `include=@FILE` and `exclude=@FILE`: one pattern per line; empty lines and comments are left out.
///
/// # Errors
/// When a file cannot be read or holds no pattern.
pub(crate) fn expand(set: &[Setting]) -> Result<Vec<Setting>, ApiError> {
    let mut pairs = Vec::with_capacity(set.len());
    for (key, value) in set {
        let takes_file = key == Key::Include.name() || key == Key::Exclude.name();
        match value.strip_prefix('@').filter(|_| takes_file) {
            Some(file) => pairs.extend(patterns(key, Path::new(file))?),
            None => pairs.push((key.clone(), value.clone())),
        }
    }
    Ok(pairs)
}

fn patterns(key: &str, file: &Path) -> Result<Vec<Setting>, ApiError> {
    let wrong = |why: &str| {
        let message = format!("the patterns for {key} in {} cannot be used: {why}", file.display());
        let hint = "A pattern that itself begins with @ is written \\@.";
        ApiError::new(ErrorCode::Usage, message).with_hint(hint)
    };
    let read = || -> io::Result<String> {
        if std::fs::metadata(file)?.len() > LARGEST {
            return Err(io::Error::other("it is larger than 10 MB"));
        }
        std::fs::read_to_string(file)
    };
    let text = read().map_err(|error| wrong(&error.to_string()))?;
    let pattern = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
    let pairs: Vec<Setting> =
        text.lines().filter(|line| pattern(line)).map(|line| (key.to_owned(), line.to_owned())).collect();
    if pairs.is_empty() { Err(wrong("it holds no pattern")) } else { Ok(pairs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_from_a_file_without_comments() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("ignore");
        std::fs::write(&file, "# caches\n*.tmp\n\n\\#kept\n  \ntarget/\n").unwrap();
        let at = format!("@{}", file.display());
        let set = [("hidden".to_owned(), "@x".to_owned()), ("exclude".to_owned(), at)];
        let pairs = expand(&set).unwrap();
        let texts: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(texts, ["@x", "*.tmp", "\\#kept", "target/"]);
    }

    #[test]
    fn missing_or_empty_pattern_file_is_named() {
        for file in ["/no/such/file", "/dev/null"] {
            let error = expand(&[("include".to_owned(), format!("@{file}"))]).unwrap_err();
            assert!(error.message.contains(file), "{}", error.message);
        }
    }

    #[test]
    fn path_below_a_root_is_taken_as_it_is() {
        assert_eq!(below(Path::new("./a/b")).path, "a/b");
        assert_eq!(below(Path::new("a/../b")).path, "a/../b");
    }
}
