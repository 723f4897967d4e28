//! Relationships with hosts that have only SSH: accepting keys, asking for passphrases.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use evenfold_node::api::{
    ApiError, ErrorCode, HostAdd, PathText, RelationshipInfo, Reply, Request, Secret, Setting,
};

use crate::context::{Context, Network};
use crate::exit::Exit;
use crate::out::note;
use crate::paths;

/// How often somebody is asked: a key for each host on the way, and a few wrong passphrases.
const MOST_QUESTIONS: usize = 8;

/// The two folders of a relationship with a host.
pub(crate) struct Ends {
    path: PathText,
    target: String,
    from_host: bool,
}

/// Returns the folders if one of them is on a host.
///
/// # Errors
/// Where both are, or the target is no text.
pub(crate) fn ends(first: &Path, second: &Path) -> Result<Option<Ends>, ApiError> {
    let on_host = |path: &Path| path.as_os_str().as_encoded_bytes().starts_with(b"ssh://");
    let (path, target, from_host) = match (on_host(first), on_host(second)) {
        (false, false) => return Ok(None),
        (false, true) => (first, second, false),
        (true, false) => (second, first, true),
        (true, true) => {
            let message = "one of the two folders must be on this machine";
            return Err(ApiError::new(ErrorCode::Usage, message)
                .with_hint("run Evenfold on one of the two hosts, or add both to a folder here"));
        }
    };
    Ok(Some(Ends { path: paths::folder(path)?, target: text(target)?, from_host }))
}

/// Reads a target as text.
pub(crate) fn text(target: &Path) -> Result<String, ApiError> {
    target.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("'{}' is no text", target.display());
        ApiError::new(ErrorCode::Usage, message).with_hint("write bytes that are no text as %XX")
    })
}

/// Makes the relationship; asks for what only a person can know, where there is one.
pub(crate) async fn add(
    context: &mut Context,
    name: String,
    kind: String,
    ends: Ends,
    settings: Vec<Setting>,
    accept_keys: Vec<String>,
    paused: bool,
) -> Result<RelationshipInfo, ApiError> {
    let Ends { path, target, from_host } = ends;
    let passphrases = Vec::new();
    let mut add = HostAdd { name, kind, path, target, from_host, settings, paused, accept_keys, passphrases };
    let mut engine = context.engine(Network::DialOnly).await?;
    for _ in 0..MOST_QUESTIONS {
        let error = match engine.ask(Request::HostAdd(Box::new(add.clone()))).await {
            Ok(Reply::Relationship(made)) => return Ok(made),
            Ok(_) => return Err(ApiError::new(ErrorCode::Internal, "the node answered something else")),
            Err(error) => error,
        };
        match error.code {
            ErrorCode::KeyUnknown if context.can_ask() => {
                let Some(fingerprint) = fingerprint(&error.message) else { return Err(error) };
                let question = format!("{}\nIs that the fingerprint of the host's key?", error.message);
                if !context.confirm(&question).await? {
                    return Err(error);
                }
                add.accept_keys.push(fingerprint);
            }
            ErrorCode::KeyEncrypted if context.can_ask() => {
                let prompt = format!("{}. Passphrase: ", error.message);
                let passphrase = ask_secretly(prompt).await?;
                if passphrase.is_empty() {
                    return Err(error);
                }
                add.passphrases.push(Secret(passphrase));
            }
            _ => return Err(error),
        }
    }
    Err(ApiError::new(ErrorCode::Refused, "too many questions were needed; nothing was changed"))
}

/// Finds the fingerprint that a message names.
fn fingerprint(message: &str) -> Option<String> {
    let start = message.find("SHA256:")?;
    let rest = message.get(start..)?;
    let end = rest.find([';', ' ', ',', ')']).unwrap_or(rest.len());
    rest.get(..end).map(str::to_owned)
}

/// Gives a passphrase to the daemon.
pub(crate) async fn unlock(context: &mut Context) -> Result<Exit, ApiError> {
    let mut daemon = context.daemon("passphrases are kept by the daemon, in its memory only").await?;
    let passphrase = if context.can_ask() {
        ask_secretly("Passphrase: ".to_owned()).await?
    } else if io::stdin().is_terminal() {
        let message = "nobody is there to be asked for the passphrase";
        return Err(ApiError::new(ErrorCode::Usage, message)
            .with_hint("run it on a terminal without --no-input, or pipe the passphrase into it"));
    } else {
        let read = tokio::task::spawn_blocking(read_line).await;
        read.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?.map_err(unreadable)?
    };
    daemon.call(Request::HostUnlock { passphrase: Secret(passphrase) }, &mut |_| {}).await?;
    note("The daemon has the passphrase and tries again.");
    Ok(Exit::Done)
}

fn unreadable(error: io::Error) -> ApiError {
    ApiError::new(ErrorCode::Io, format!("the passphrase could not be read, so nothing was done: {error}"))
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn ask_secretly(prompt: String) -> Result<String, ApiError> {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr().lock();
        stderr.write_all(crate::out::safe(&prompt).as_bytes())?;
        stderr.flush()?;
        let hidden = hide_input();
        let line = read_line();
        drop(hidden);
        stderr.write_all(b"\n")?;
        line
    });
    asked.await.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?.map_err(unreadable)
}

/// What is typed is not shown while this lives.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
fn hide_input() -> Option<Hidden> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let before = tcgetattr(io::stdin()).ok()?;
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &now).ok()?;
    Some(Hidden(before))
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // Fails only if the terminal is gone, and then nobody misses the echo.
        _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(not(unix))]
fn hide_input() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_found_in_a_message() {
        let message = "the key of nas is not known: ssh-ed25519 SHA256:abc+/; nothing was changed";
        assert_eq!(fingerprint(message).as_deref(), Some("SHA256:abc+/"));
        assert_eq!(fingerprint("none"), None);
    }

    #[test]
    fn direction_follows_the_order_of_the_folders() {
        let (here, there) = (Path::new("/tmp"), Path::new("ssh://nas/x"));
        assert!(ends(here, Path::new("nas:/x")).unwrap().is_none());
        assert!(!ends(here, there).unwrap().unwrap().from_host);
        assert!(ends(there, here).unwrap().unwrap().from_host);
        assert!(ends(there, there).is_err());
    }
}
