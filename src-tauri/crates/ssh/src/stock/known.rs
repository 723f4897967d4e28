//! Host keys that are known: the user's `known_hosts`, which is only read, and a file of our own.
//!
//! A key is trusted only because it stands in one of these files, or because a person named its fingerprint; then it
//! is added to ours. A key other than the one that stands there is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;

use super::wildcard::fits_list;

/// What is read of a file at most, in bytes: known hosts by the hundred thousand.
const LARGEST: u64 = 64 << 20;

/// What the files say of a key that a host has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is said of this host.
    Unknown,
    /// The host has another key of this kind.
    Changed { file: PathBuf, line: usize },
    /// The key must not be used any more.
    Revoked { file: PathBuf, line: usize },
}

/// The files of known hosts.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts {
    /// Ours, to which keys are added.
    pub(super) own: PathBuf,
    /// The user's and the system's.
    pub(super) others: Vec<PathBuf>,
}

struct Line {
    file: PathBuf,
    number: usize,
    marker: Option<Marker>,
    key: PublicKey,
}

impl KnownHosts {
    /// Judges the key that the host called `name` at `port` shows.
    ///
    /// # Errors
    /// Where a file exists and cannot be read: then nobody knows what it would have said.
    pub(super) fn judge(&self, name: &str, port: u16, key: &PublicKey) -> io::Result<Verdict> {
        let verdict = judge_lines(&self.lines(&entry_name(name, port))?, key);
        if verdict == Verdict::Unknown && port != 22 {
            // As OpenSSH does: the key noted for the usual port counts where it is the very same.
            let lines = self.lines(name)?;
            if let known @ (Verdict::Known | Verdict::Revoked { .. }) = judge_lines(&lines, key) {
                return Ok(known);
            }
        }
        Ok(verdict)
    }

    /// Returns the kinds of keys that are known of a host, so that it can be asked for one of these.
    pub(super) fn algorithms(&self, name: &str, port: u16) -> io::Result<Vec<Algorithm>> {
        let mut lines = self.lines(&entry_name(name, port))?;
        if lines.is_empty() {
            lines = self.lines(name)?;
        }
        Ok(lines.iter().filter(|line| line.marker.is_none()).map(|line| line.key.algorithm()).collect())
    }

    /// Notes durably that a key is the host's.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn learn(&self, name: &str, port: u16, key: &PublicKey) -> io::Result<()> {
        let line = key.to_openssh().map_err(io::Error::other)?;
        let mut file = open_private(&self.own)?;
        // A line of its own, even if somebody's editor left the last one open.
        writeln!(file, "\n{} {line}", entry_name(name, port))?;
        file.sync_all()
    }

    fn lines(&self, name: &str) -> io::Result<Vec<Line>> {
        let mut found = Vec::new();
        for file in std::iter::once(&self.own).chain(&self.others) {
            read_lines(file, name, &mut found).map_err(|error| {
                io::Error::new(error.kind(), format!("{} cannot be read: {error}", file.display()))
            })?;
        }
        Ok(found)
    }
}

fn judge_lines(lines: &[Line], key: &PublicKey) -> Verdict {
    let same = |line: &&Line| line.key.key_data() == key.key_data();
    if let Some(line) = lines.iter().filter(same).find(|line| line.marker == Some(Marker::Revoked)) {
        return Verdict::Revoked { file: line.file.clone(), line: line.number };
    }
    let mut plain = lines.iter().filter(|line| line.marker.is_none());
    if plain.clone().any(|line| same(&line)) {
        return Verdict::Known;
    }
    match plain.find(|line| line.key.algorithm() == key.algorithm()) {
        Some(line) => Verdict::Changed { file: line.file.clone(), line: line.number },
        None => Verdict::Unknown,
    }
}

fn read_lines(path: &Path, name: &str, found: &mut Vec<Line>) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for (number, line) in (1..).zip(BufReader::new(file.take(LARGEST)).split(b'\n')) {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        // A line that is not understood says nothing, as in OpenSSH.
        if let Some((marker, key)) = parse(&text, name) {
            found.push(Line { file: path.to_path_buf(), number, marker, key });
        }
    }
    Ok(())
}

/// Reads one line; `None` if it is not about `name` or not understood.
fn parse(line: &str, name: &str) -> Option<(Option<Marker>, PublicKey)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (marker, rest) = match line.strip_prefix('@') {
        Some(_) => {
            let (marker, rest) = line.split_once(char::is_whitespace)?;
            (Some(marker.parse().ok()?), rest.trim_start())
        }
        None => (None, line),
    };
    let (hosts, key) = rest.split_once(char::is_whitespace)?;
    let about = match hosts.parse().ok()? {
        HostPatterns::Patterns(patterns) => fits_list(patterns.iter().map(String::as_str), name),
        HostPatterns::HashedName { salt, hash } => {
            let mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
            mac.chain_update(name.to_ascii_lowercase()).verify_slice(&hash).is_ok()
        }
    };
    about.then(|| PublicKey::from_openssh(key.trim()).ok()).flatten().map(|key| (marker, key))
}

/// Writes a host as these files do: the port only where it is not the usual one.
fn entry_name(name: &str, port: u16) -> String {
    if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") }
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Writes the fingerprint of a key as people compare it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkkPafQ8EE9lxYQPaHnCgLYefR+YqSpYby2cBkdkJrS";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn judge(text: &str, name: &str, port: u16) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, text).unwrap();
        let hosts = KnownHosts { own: folder.path().join("own"), others: vec![file] };
        hosts.judge(name, port, &PublicKey::from_openssh(ONE).unwrap()).unwrap()
    }

    #[test]
    fn key_is_judged_by_what_the_files_say() {
        assert_eq!(judge("", "nas", 22), Verdict::Unknown);
        assert_eq!(judge(&format!("# nas {ONE}\nother {ONE}\n"), "nas", 22), Verdict::Unknown);
        assert_eq!(judge(&format!("x,nas {ONE} comment\n"), "nas", 22), Verdict::Known);
        assert_eq!(judge(&format!("[nas]:2222 {ONE}\n"), "nas", 2222), Verdict::Known);
        assert_eq!(judge(&format!("nas {ONE}\n"), "nas", 2222), Verdict::Known, "as OpenSSH falls back");
        assert_eq!(judge(&format!("nas {TWO}\n"), "nas", 2222), Verdict::Unknown);
        assert_eq!(judge(&format!("*.lan,!old.lan {ONE}\n"), "a.lan", 22), Verdict::Known);
        assert!(matches!(judge(&format!("\nnas {TWO}\n"), "nas", 22), Verdict::Changed { line: 2, .. }));
        assert_eq!(judge(&format!("nas {TWO}\nnas {ONE}\n"), "nas", 22), Verdict::Known, "a second key");
        let revoked = format!("nas {ONE}\n@revoked * {ONE}\n");
        assert!(matches!(judge(&revoked, "nas", 22), Verdict::Revoked { line: 2, .. }));
        assert_eq!(judge("nas ssh-ed25519 rubbish\n@what nas\n|1|x nas\n", "nas", 22), Verdict::Unknown);
    }

    #[test]
    fn hashed_name_is_recognised() {
        // Made by ssh-keygen -H for example.com.
        let line = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ssh-ed25519 \
                    AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF\n";
        assert!(matches!(judge(line, "example.com", 22), Verdict::Changed { line: 1, .. }));
        assert_eq!(judge(line, "example.org", 22), Verdict::Unknown);
    }

    #[test]
    fn learnt_key_is_known_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = KnownHosts { own: folder.path().join("own"), others: Vec::new() };
        let key = PublicKey::from_openssh(ONE).unwrap();
        hosts.learn("nas", 2222, &key).unwrap();
        assert_eq!(hosts.judge("nas", 2222, &key).unwrap(), Verdict::Known);
        let other = PublicKey::from_openssh(TWO).unwrap();
        assert!(matches!(hosts.judge("nas", 2222, &other).unwrap(), Verdict::Changed { .. }));
        assert_eq!(hosts.algorithms("nas", 2222).unwrap(), [Algorithm::Ed25519]);
    }
}
