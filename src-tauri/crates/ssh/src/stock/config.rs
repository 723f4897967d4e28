//! What `~/.ssh/config` and `/etc/ssh/ssh_config` say of a host, as `ssh_config(5)` describes it: for each keyword the
//! first value found counts, of identity files all.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::wildcard::{fits, fits_list};

/// The system's own settings, which count after the user's.
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// Files included by files included by …: OpenSSH's own bound.
const DEEPEST_INCLUDE: usize = 16;

/// Larger files are no settings, in bytes.
const LARGEST: u64 = 1 << 20;

/// What is set for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostSettings {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    /// In the order in which they are tried.
    pub(super) identity_files: Vec<PathBuf>,
    pub(super) identities_only: bool,
    /// `none` switches the agent off.
    pub(super) identity_agent: Option<String>,
    /// Hosts to go through, first to last.
    pub(super) proxy_jump: Vec<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) known_hosts: Vec<PathBuf>,
}

/// The settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct ConfigError {
    /// In this file.
    pub file: PathBuf,
    /// What is wrong, with the line.
    pub why: String,
}

/// Finds what is set for the host that the user calls `name`.
///
/// # Errors
/// Where a file exists and cannot be read or understood. Keywords that mean nothing here are passed over.
pub(super) fn look_up(home: &Path, name: &str, local_user: &str) -> Result<HostSettings, ConfigError> {
    let mut search = Search { home, name, local_user, found: HostSettings::default(), seen: BTreeSet::new() };
    search.read(&home.join(".ssh/config"), 0)?;
    search.read(Path::new(SYSTEM), 0)?;
    let mut found = search.found;
    let host = found.host_name.clone().unwrap_or_else(|| name.to_owned());
    let (port, user) = (found.port.unwrap_or(22), found.user.clone());
    let expand = |path: &Path| {
        let text = path.to_string_lossy();
        let text = tokens(&text, home, name, &host, port, user.as_deref().unwrap_or(local_user), local_user);
        at_home(&text, home)
    };
    found.identity_files = found.identity_files.iter().map(|path| expand(path)).collect();
    found.known_hosts = found.known_hosts.iter().map(|path| expand(path)).collect();
    found.identity_agent =
        found.identity_agent.map(|text| expand(Path::new(&text)).to_string_lossy().into_owned());
    Ok(found)
}

struct Search<'a> {
    home: &'a Path,
    name: &'a str,
    local_user: &'a str,
    found: HostSettings,
    /// Keywords that have their value.
    seen: BTreeSet<&'static str>,
}

impl Search<'_> {
    fn read(&mut self, file: &Path, depth: usize) -> Result<(), ConfigError> {
        let wrong = |why: String| ConfigError { file: file.to_path_buf(), why };
        let text = match read_text(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(wrong(format!("it cannot be read: {error}"))),
            Ok(text) => text,
        };
        let mut active = true;
        for (number, line) in (1..).zip(text.lines()) {
            let at = |why: &str| wrong(format!("line {number}: {why}"));
            let words = words(line).ok_or_else(|| at("a quotation mark is not closed"))?;
            let Some((keyword, values)) = words.split_first() else { continue };
            match keyword.to_ascii_lowercase().as_str() {
                "host" => active = fits_list(values.iter().map(String::as_str), self.name),
                "match" => active = self.matches(values),
                "include" if active => {
                    if depth >= DEEPEST_INCLUDE {
                        return Err(at("files include each other too deeply"));
                    }
                    for value in values {
                        for included in self.included(value, file) {
                            self.read(&included, depth + 1)?;
                        }
                    }
                }
                keyword if active => self.take(keyword, values).map_err(|why| at(&why))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Understands the conditions that need no process and no name server; others do not hold.
    fn matches(&self, conditions: &[String]) -> bool {
        let host = self.found.host_name.as_deref().unwrap_or(self.name);
        let user = self.found.user.as_deref().unwrap_or(self.local_user);
        let mut conditions = conditions.iter();
        while let Some(condition) = conditions.next() {
            if condition.eq_ignore_ascii_case("all") {
                continue;
            }
            let (not, condition) =
                condition.strip_prefix('!').map_or((false, condition.as_str()), |rest| (true, rest));
            let Some(patterns) = conditions.next() else { return false };
            let text = match condition.to_ascii_lowercase().as_str() {
                "host" => host,
                "originalhost" => self.name,
                "user" => user,
                "localuser" => self.local_user,
                _ => return false,
            };
            if fits_list(patterns.split(','), text) == not {
                return false;
            }
        }
        true
    }

    fn take(&mut self, keyword: &str, values: &[String]) -> Result<(), String> {
        let first = || values.first().cloned().ok_or_else(|| format!("{keyword} has no value"));
        let found = &mut self.found;
        let mut once = |keyword: &'static str| self.seen.insert(keyword);
        match keyword {
            "hostname" if once("hostname") => {
                let name = first()?;
                found.host_name = Some(name.replace("%h", self.name).replace("%%", "%"));
            }
            "port" if once("port") => {
                let port = first()?.parse().ok().filter(|port| *port > 0);
                found.port = Some(port.ok_or("the port is not a number from 1 to 65535")?);
            }
            "user" if once("user") => found.user = Some(first()?),
            "identityfile" => {
                let file = PathBuf::from(first()?);
                if !found.identity_files.contains(&file) {
                    found.identity_files.push(file);
                }
            }
            "identitiesonly" if once("identitiesonly") => {
                found.identities_only = first()?.eq_ignore_ascii_case("yes");
            }
            "identityagent" if once("identityagent") => found.identity_agent = Some(first()?),
            "hostkeyalias" if once("hostkeyalias") => found.host_key_alias = Some(first()?),
            "userknownhostsfile" if once("userknownhostsfile") => {
                found.known_hosts = values.iter().map(PathBuf::from).collect();
            }
            // These two compete: the first one counts.
            "proxyjump" if once("proxy") => {
                first()?;
                let jumps = values.concat();
                if !jumps.eq_ignore_ascii_case("none") {
                    found.proxy_jump = jumps.split(',').map(|jump| jump.trim().to_owned()).collect();
                }
            }
            "proxycommand" if once("proxy") => match first()?.to_ascii_lowercase().as_str() {
                "none" => {}
                _ => return Err("ProxyCommand is not supported; ProxyJump is".to_owned()),
            },
            _ => {}
        }
        Ok(())
    }

    /// Returns the files that an `Include` names, in order; patterns are understood in the last component.
    fn included(&self, value: &str, from: &Path) -> Vec<PathBuf> {
        let path = at_home(value, self.home);
        let base = if from.starts_with("/etc") { PathBuf::from("/etc/ssh") } else { self.home.join(".ssh") };
        let path = base.join(path);
        let Some((folder, pattern)) = path.parent().zip(path.file_name().and_then(|name| name.to_str()))
        else {
            return Vec::new();
        };
        if !pattern.contains(['*', '?']) {
            return vec![path];
        }
        let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = listed
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| fits(pattern, name)))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files
    }
}

fn read_text(file: &Path) -> io::Result<String> {
    if std::fs::metadata(file)?.len() > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

/// Splits `Keyword value "quoted value"` or `Keyword=value`; `None` if a quotation mark is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = |c: char| c.is_whitespace() || (words.is_empty() && c == '=');
                rest.split_at(rest.find(end).unwrap_or(rest.len()))
            }
        };
        words.push(word.to_owned());
        rest = after.trim_start();
        if words.len() == 1 {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
    }
    Some(words)
}

/// Resolves `~/` and bare `~`.
pub(super) fn at_home(text: &str, home: &Path) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(below) => home.join(below),
        None if text == "~" => home.to_path_buf(),
        None => PathBuf::from(text),
    }
}

fn tokens(
    text: &str,
    home: &Path,
    name: &str,
    host: &str,
    port: u16,
    user: &str,
    local_user: &str,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('h') => out.push_str(host),
            Some('n') => out.push_str(name),
            Some('p') => out.push_str(&port.to_string()),
            Some('r') => out.push_str(user),
            Some('u') => out.push_str(local_user),
            Some('d') => out.push_str(&home.to_string_lossy()),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(files: &[(&str, &str)], name: &str) -> Result<HostSettings, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        for (file, text) in files {
            std::fs::write(home.path().join(".ssh").join(file), text).unwrap();
        }
        let mut found = look_up(home.path(), name, "me")?;
        for path in &mut found.identity_files {
            *path = path.strip_prefix(home.path()).unwrap_or(path).to_path_buf();
        }
        Ok(found)
    }

    #[test]
    fn first_value_counts_and_identity_files_add_up() {
        let config = "\
            Host nas nas2\n  HostName=10.0.0.5\n  Port 2222\n\tIdentityFile ~/.ssh/nas key\n\
            Host n*\n  Port 99\n  User \"back up\"\n  IdentityFile %d/keys/%r@%h\n\
            Host other\n  User nobody\n";
        let found = settings(&[("config", config)], "nas").unwrap();
        assert_eq!(found.host_name.as_deref(), Some("10.0.0.5"));
        assert_eq!((found.port, found.user.as_deref()), (Some(2222), Some("back up")));
        let files = [PathBuf::from(".ssh/nas"), PathBuf::from("keys/back up@10.0.0.5")];
        assert_eq!(found.identity_files, files);
    }

    #[test]
    fn included_files_and_jumps_are_found() {
        let files = [
            ("config", "Include conf.*\nHost *\n ProxyJump none\n"),
            ("conf.a", "Host far\n  ProxyJump hop@gate:2222, second\n  HostName %h.example.com\n"),
            ("conf.b", "Match originalhost far user me\n  User found\nMatch exec true\n  Port 1\n"),
        ];
        let found = settings(&files, "far").unwrap();
        assert_eq!(found.proxy_jump, ["hop@gate:2222", "second"]);
        assert_eq!(found.host_name.as_deref(), Some("far.example.com"));
        assert_eq!((found.user.as_deref(), found.port), (Some("found"), None));
        assert_eq!(settings(&files, "near").unwrap(), HostSettings::default());
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_line() {
        for (text, part) in [
            ("Host *\n Port x\n", "line 2: the port"),
            ("Host \"a\n", "line 1: a quotation mark"),
            ("ProxyCommand nc %h %p\n", "ProxyCommand is not supported"),
            ("User\n", "user has no value"),
        ] {
            let error = settings(&[("config", text)], "x").unwrap_err();
            assert!(error.why.contains(part), "{}", error.why);
        }
        let circle = [("config", "Include config\n")];
        assert!(settings(&circle, "x").unwrap_err().why.contains("too deeply"));
    }

    #[test]
    fn no_file_means_no_settings() {
        assert_eq!(settings(&[], "x").unwrap(), HostSettings::default());
    }
}
