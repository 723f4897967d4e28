//! Makes what is synced: random bytes, text, bursts, very many tiny files.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::rng::Rng;

/// Writes a file of bytes that do not compress.
pub(super) fn random_file(path: &Path, bytes: u64) -> Result<()> {
    let mut random = File::open("/dev/urandom").context("/dev/urandom")?.take(bytes);
    let mut file = File::create(path).with_context(|| path.display().to_string())?;
    std::io::copy(&mut random, &mut file)?;
    Ok(())
}

/// Reads random bytes into memory.
pub(super) fn random_bytes(bytes: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    File::open("/dev/urandom").context("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(buffer)
}

/// Writes numbered lines of words, like a log: it compresses well, and no long part of it occurs twice.
pub(super) fn text_file(path: &Path, bytes: u64) -> Result<()> {
    let mut rng = Rng::new(1);
    let words: Vec<String> = (0..2048).map(|_| word(&mut rng)).collect();
    let pick = |rng: &mut Rng| words.get(rng.below(words.len() as u64) as usize).map_or("", String::as_str);
    let phrases: Vec<String> =
        (0..4096).map(|_| (0..10).map(|_| pick(&mut rng)).collect::<Vec<_>>().join(" ")).collect();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = 0;
    for n in 0_u64.. {
        let phrase = phrases.get(rng.below(phrases.len() as u64) as usize).map_or("", String::as_str);
        let line = format!("{n} {phrase}\n");
        let line = line.as_bytes();
        let fits = (bytes - written).min(line.len() as u64);
        file.write_all(line.get(..fits as usize).unwrap_or(line))?;
        written += fits;
        if written == bytes {
            break;
        }
    }
    file.flush()?;
    Ok(())
}

fn word(rng: &mut Rng) -> String {
    let length = 2 + rng.below(9);
    (0..length).map(|_| char::from(b'a' + rng.below(26) as u8)).collect()
}

/// New files with the same total size in every burst, spread over directories of fifty.
pub(super) struct Burst {
    content: Vec<u8>,
    files: usize,
}

impl Burst {
    pub(super) fn new(files: usize, bytes: u64) -> Result<Self> {
        Ok(Self { content: random_bytes(bytes as usize)?, files })
    }

    /// Writes all files below `root` and returns their relative paths and sizes.
    pub(super) fn write(&self, root: &Path, name: &str) -> Result<Vec<(PathBuf, u64)>> {
        let mut written = Vec::with_capacity(self.files);
        let size = self.content.len() / self.files.max(1);
        for (n, chunk) in self.content.chunks(size.max(1)).take(self.files).enumerate() {
            let dir = Path::new(name).join(format!("{:03}", n / 50));
            if n % 50 == 0 {
                fs::create_dir_all(root.join(&dir))?;
            }
            let path = dir.join(format!("{n:05}.bin"));
            fs::write(root.join(&path), chunk)?;
            written.push((path, chunk.len() as u64));
        }
        Ok(written)
    }
}

/// Many files of 20 to 200 bytes, a hundred in a directory.
pub(super) fn tiny_files(root: &Path, files: usize) -> Result<()> {
    let mut rng = Rng::new(3);
    let mut buffer = [0_u8; 200];
    let mut dir = root.to_path_buf();
    for n in 0..files {
        if n % 100 == 0 {
            dir = root.join(format!("{:02}", n / 10_000)).join(format!("{:02}", n / 100 % 100));
            fs::create_dir_all(&dir)?;
        }
        let size = 20 + rng.below(180) as usize;
        let content = buffer.get_mut(..size).unwrap_or_default();
        rng.fill(content);
        fs::write(dir.join(format!("{n:06}")), content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::tree;

    #[test]
    fn sizes_and_counts_are_as_asked_for() {
        let scratch = Scratch::new("data-test", None).unwrap();
        let root = scratch.path();
        text_file(&root.join("text"), 100_001).unwrap();
        random_file(&root.join("random"), 70_000).unwrap();
        assert_eq!(tree::size(root).unwrap(), (2, 170_001));
        let burst = Burst::new(120, 12_345).unwrap().write(root, "burst").unwrap();
        assert_eq!(burst.len(), 120);
        assert_eq!(tree::size(&root.join("burst")).unwrap(), (120, 120 * 102));
        tiny_files(&root.join("tiny"), 10_150).unwrap();
        assert_eq!(tree::size(&root.join("tiny")).unwrap().0, 10_150);
    }
}
