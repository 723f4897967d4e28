//! `ssh://user@host:port/path`, as users write it.

use std::fmt;
use std::str::FromStr;

/// A folder on a host that runs OpenSSH's server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The user to log in as; what the settings say, or the local one, if left out.
    pub user: Option<String>,
    /// The host, or what `~/.ssh/config` calls it.
    pub host: String,
    /// The port; what the settings say, or 22, if left out.
    pub port: Option<u16>,
    /// The folder: absolute, or below the user's home if it began with `/~/`.
    pub path: TargetPath,
}

/// Where the folder lies on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetPath {
    /// From the top, beginning with `/`.
    Absolute(Vec<u8>),
    /// Below the home folder; may be empty.
    Home(Vec<u8>),
}

/// The text is no `ssh://user@host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not ssh://user@host:port/path: {why}")]
pub struct ParseTargetError {
    text: String,
    why: &'static str,
}

/// A name that could be taken for an option, or that no host has.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && !host.starts_with('-')
        && !host.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | '@' | '[' | ']'))
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let wrong = |why| ParseTargetError { text: text.to_owned(), why };
        let rest = text.strip_prefix("ssh://").ok_or_else(|| wrong("it does not begin with ssh://"))?;
        let (login, path) = rest.split_once('/').ok_or_else(|| wrong("a path is missing"))?;
        let (user, host, port) = parse_login(login).ok_or_else(|| wrong("the host or port is wrong"))?;
        let path = decode(path).ok_or_else(|| wrong("a percent sign is not followed by two hex digits"))?;
        if path.contains(&0) {
            return Err(wrong("a path holds no zero byte"));
        }
        let path = match path.strip_prefix(b"~") {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                TargetPath::Home(rest.strip_prefix(b"/").unwrap_or(rest).to_vec())
            }
            _ => TargetPath::Absolute([b"/", &path[..]].concat()),
        };
        Ok(Target { user, host, port, path })
    }
}

/// Reads `[user@]host[:port]`, with an IPv6 address in brackets.
pub(super) fn parse_login(text: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() => (Some(user.to_owned()), host),
        Some(_) => return None,
        None => (None, text),
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    is_host(host).then(|| (user, host.to_owned(), port))
}

/// Resolves `%20` and the like.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (bytes.next()?, bytes.next()?);
            let digit = |byte: u8| (byte as char).to_digit(16);
            out.push((digit(high)? * 16 + digit(low)?) as u8);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        let path = match &self.path {
            TargetPath::Absolute(path) => path.clone(),
            TargetPath::Home(path) => [b"/~/", &path[..]].concat(),
        };
        for byte in path {
            match byte {
                b'%' | b'?' | b'#' | 0..=b' ' | 0x7f.. => write!(f, "%{byte:02X}")?,
                byte => write!(f, "{}", byte as char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        for (text, user, host, port, path) in [
            ("ssh://nas/srv", None, "nas", None, TargetPath::Absolute(b"/srv".to_vec())),
            ("ssh://me@nas:22/", Some("me"), "nas", Some(22), TargetPath::Absolute(b"/".to_vec())),
            ("ssh://[::1]:2222/a%20b", None, "::1", Some(2222), TargetPath::Absolute(b"/a b".to_vec())),
            ("ssh://a@b@nas/~/x", Some("a@b"), "nas", None, TargetPath::Home(b"x".to_vec())),
            ("ssh://nas/~/", None, "nas", None, TargetPath::Home(Vec::new())),
            ("ssh://nas/~x/%FF", None, "nas", None, TargetPath::Absolute(b"/~x/\xff".to_vec())),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.user.as_deref(), target.host.as_str(), target.port), (user, host, port));
            assert_eq!(target.path, path, "{text}");
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "nas:/srv",
            "ssh://nas",
            "ssh:///srv",
            "ssh://@nas/srv",
            "ssh://-oProxyCommand=x/srv",
            "ssh://nas:0/srv",
            "ssh://nas:x/srv",
            "ssh://[::1/srv",
            "ssh://nas/%zz",
            "ssh://nas/%00",
            "ssh://a b/srv",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
