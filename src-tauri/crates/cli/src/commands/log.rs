//! `evenfold log`: the newest lines of the daemon's log, straight from the home.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenfold_node::api::{ApiError, ErrorCode};

use crate::args::LogArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::out::{Line, note};
use evenfold_node::log;

/// How often the file is looked at while following.
const PAUSE: Duration = Duration::from_millis(250);

/// Most bytes that are shown at a time while following; the rest comes right after.
const PIECE: u64 = 1 << 20;

pub(crate) async fn run(context: &mut Context, arguments: LogArgs) -> Result<Exit, ApiError> {
    let file = context.home.log_file();
    // Taken first, so that what is written meanwhile is shown after the newest lines, not lost.
    let mut follower = Follower::at_end(file.clone());
    let lines = log::newest_lines(&context.home, usize::try_from(arguments.lines).unwrap_or(usize::MAX))?;
    if context.out.is_json() && !arguments.follow {
        context.out.document(&serde_json::json!({ "lines": lines }))?;
        return Ok(Exit::Done);
    }
    if lines.is_empty() && !arguments.follow {
        note(format!("There is no log yet at {}; the daemon writes one.", file.display()));
    }
    context.out.lines(lines.into_iter().map(Line::plain))?;
    while arguments.follow && !context.out.is_closed() {
        let new = follower.read().map_err(|error| {
            ApiError::new(ErrorCode::Io, format!("the log {} cannot be read: {error}", file.display()))
        })?;
        if new.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        context.out.lines(new.into_iter().map(Line::plain))?;
    }
    Ok(Exit::Done)
}

/// Reads what is added to a file that may be replaced by a new one.
struct Follower {
    path: PathBuf,
    file: Option<File>,
    partial: Vec<u8>,
}

impl Follower {
    fn at_end(path: PathBuf) -> Follower {
        let file = File::open(&path).ok().and_then(|mut file| file.seek(SeekFrom::End(0)).ok().map(|_| file));
        Follower { path, file, partial: Vec::new() }
    }

    /// Returns the lines that were completed since the last call.
    fn read(&mut self) -> io::Result<Vec<String>> {
        let mut added = 0;
        if let Some(file) = &mut self.file {
            added = file.by_ref().take(PIECE).read_to_end(&mut self.partial)?;
        }
        // What was left in the old file has been read by now.
        if added == 0 && !self.is_current()? {
            self.file = match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                opened => Some(opened?),
            };
        }
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let rest = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&complete).lines().map(str::to_owned).collect())
    }

    fn is_current(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        same_file(file, &self.path)
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        found => found.map(|found| (found.dev(), found.ino()) == (open.dev(), open.ino())),
    }
}

#[cfg(not(unix))]
fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    // A new file is shorter than the one that had grown to its size.
    Ok(std::fs::metadata(path)?.len() >= file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn following_goes_on_in_the_next_file() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("log");
        let mut follower = Follower::at_end(path.clone());
        assert!(follower.read().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        let mut seen = Vec::new();
        let mut until = |follower: &mut Follower, count: usize| {
            while seen.len() < count {
                seen.extend(follower.read().unwrap());
            }
            seen.clone()
        };
        assert_eq!(until(&mut follower, 1), ["one"]);
        file.write_all(b"o\n").unwrap();
        std::fs::rename(&path, temporary.path().join("old")).unwrap();
        file.write_all(b"three\n").unwrap();
        std::fs::write(&path, b"four\n").unwrap();
        assert_eq!(until(&mut follower, 4), ["one", "two", "three", "four"]);
    }
}
