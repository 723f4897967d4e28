//! A temporary folder that goes away with its owner.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder of our own below the temporary directory (or below a given one), removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes it. The name is short, because the paths of Unix sockets inside of it are limited to about 100 bytes.
    pub(crate) fn new(purpose: &str, below: Option<&Path>) -> Result<Self> {
        let parent = below.map_or_else(std::env::temp_dir, Path::to_path_buf);
        std::fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
        for n in 0..1000 {
            let path = parent.join(format!("evenfold-{purpose}-{}-{n}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep: false }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        anyhow::bail!("no free name left below {}", parent.display())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder in place for a look at it.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("{} could not be removed: {error}", self.path.display());
        }
    }
}
