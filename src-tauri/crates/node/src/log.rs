//! The log of a node: bounded files in its home, what goes into them, and their newest lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;

use crate::api::{ApiError, ErrorCode};
use crate::config::LogLevel;
use crate::home::Home;

/// Older files that are kept beside the one being written.
const KEPT: u32 = 2;

/// Most bytes that are read to show the newest lines.
const MOST_READ: u64 = 16 << 20;

/// Returns what is logged at a level.
pub fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries say a lot about what they do; only their warnings concern anybody here.
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("evenfold", level)
}

/// The log files of a home, to write to: a file begins anew when it has grown to its size; two older ones stay.
#[derive(Debug)]
pub struct LogFiles {
    dir: PathBuf,
    size: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    written: u64,
}

impl LogFiles {
    /// Opens the log of a home; `size` is in bytes.
    ///
    /// # Errors
    /// When the log file cannot be written.
    pub fn open(home: &Home, size: u64) -> Result<LogFiles, ApiError> {
        LogFiles::below(home.log_dir(), size).map_err(|error| {
            let message = format!("the log {} cannot be written: {error}", home.log_file().display());
            ApiError::new(ErrorCode::Io, message).with_hint("Make the home writable for this user.")
        })
    }

    fn below(dir: PathBuf, size: u64) -> io::Result<LogFiles> {
        std::fs::create_dir_all(&dir)?;
        let state = State::open(&dir)?;
        Ok(LogFiles { dir, size, state: Mutex::new(state) })
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if state.written > 0 && state.written.saturating_add(length) > self.size {
            for old in (0..KEPT).rev() {
                match std::fs::rename(numbered(&self.dir, old), numbered(&self.dir, old + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            *state = State::open(&self.dir)?;
        }
        state.file.write_all(line)?;
        state.written = state.written.saturating_add(length);
        Ok(())
    }
}

impl State {
    fn open(dir: &Path) -> io::Result<State> {
        let file = OpenOptions::new().create(true).append(true).open(numbered(dir, 0))?;
        let written = file.metadata()?.len();
        Ok(State { file, written })
    }
}

/// Returns the path of the log file that is `age` rotations old.
fn numbered(dir: &Path, age: u32) -> PathBuf {
    match age {
        0 => dir.join("evenfold.log"),
        _ => dir.join(format!("evenfold.log.{age}")),
    }
}

impl<'a> MakeWriter<'a> for LogFiles {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { files: self, text: Vec::new() }
    }
}

/// One entry of the log; it is written as a whole when it is complete.
#[derive(Debug)]
pub struct Line<'a> {
    files: &'a LogFiles,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        // A full disk must not end the node; standard error still has the entry.
        let _ = self.files.write(&self.text);
    }
}

/// Returns the newest lines of the log, oldest first; none if there is no log yet. Blocking.
///
/// # Errors
/// When the log cannot be read.
pub fn newest_lines(home: &Home, count: usize) -> Result<Vec<String>, ApiError> {
    let mut lines: Vec<String> = Vec::new();
    for age in 0..=KEPT {
        if lines.len() >= count {
            break;
        }
        let path = numbered(&home.log_dir(), age);
        let text = tail(&path).map_err(|error| {
            ApiError::new(ErrorCode::Io, format!("the log {} cannot be read: {error}", path.display()))
        })?;
        let mut older: Vec<String> = text.lines().map(str::to_owned).collect();
        older.append(&mut lines);
        lines = older;
    }
    let superfluous = lines.len().saturating_sub(count);
    Ok(lines.split_off(superfluous))
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_READ)))?;
    let mut bytes = Vec::new();
    file.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_stays_bounded_and_its_newest_lines_are_found_across_files() {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at(temporary.path().to_path_buf()).unwrap();
        let files = LogFiles::below(home.log_dir(), 100).unwrap();
        for number in 0..50 {
            writeln!(files.make_writer(), "line number {number:02}").unwrap();
        }
        let sizes: Vec<u64> = std::fs::read_dir(home.log_dir())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
        let newest = newest_lines(&home, 10).unwrap();
        let expected: Vec<String> = (40..50).map(|number| format!("line number {number:02}")).collect();
        assert_eq!(newest, expected);
        assert!(newest_lines(&home, 0).unwrap().is_empty());
    }

    #[test]
    fn log_goes_on_where_it_ended() {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at(temporary.path().to_path_buf()).unwrap();
        assert!(newest_lines(&home, 5).unwrap().is_empty());
        for line in ["one\n", "two\n"] {
            LogFiles::below(home.log_dir(), 1000).unwrap().make_writer().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(newest_lines(&home, 5).unwrap(), ["one", "two"]);
    }
}
