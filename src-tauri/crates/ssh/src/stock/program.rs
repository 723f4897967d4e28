//! Starting `evenfold serve --stdio` on a host that we are logged in to.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::timeout;

use super::Host;
use crate::Limits;
use crate::mux::carrier::{ChannelInward, ChannelOutward};
use crate::pipe::{Greeting, Pipe, VERSION, drive_line, look_for_greeting};

/// How long the program may take to start: longer than a shell's start-up files do, and not so long that a host which
/// answers with silence could not be used over SFTP.
const START: Duration = Duration::from_secs(10);

/// What is kept of a program's complaints, in bytes.
const MOST_SAID: usize = 2048;

/// Why a program on a host cannot be used. The host's SFTP may still be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is no such program.
    #[error("'{program}' was not found there")]
    Missing {
        /// What was looked for.
        program: String,
    },
    /// It speaks another version of the protocol.
    #[error(
        "Evenfold {version} there speaks version {theirs} of the protocol, and this machine version {VERSION}"
    )]
    Version {
        /// The version of Evenfold there.
        version: String,
        /// The version of the protocol there.
        theirs: u32,
    },
    /// It ended, or something else answered.
    #[error("'{program}' there did not answer as Evenfold does{said}")]
    Failed {
        /// What was started.
        program: String,
        /// What it said or how it ended, as the end of the sentence; may be empty.
        said: String,
    },
    /// The host starts no programs for us.
    #[error("the host starts no program for this login")]
    Refused,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Lost(String),
}

/// A program that was started on a host.
#[derive(Debug)]
pub struct Program {
    /// Streams to it.
    pub pipe: Pipe,
    /// The version of Evenfold there, as it says.
    pub version: String,
}

impl Host {
    /// Starts `program` as `program serve --stdio`, through the user's shell there. `version` is ours, for people.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub async fn start(
        &self,
        program: &str,
        version: &str,
        limits: &Limits,
    ) -> Result<Program, ProgramError> {
        match timeout(START, self.start_now(program, version, limits)).await {
            Ok(started) => started,
            Err(_) => {
                let said = format!(" within {} s", START.as_secs());
                Err(ProgramError::Failed { program: program.to_owned(), said })
            }
        }
    }

    async fn start_now(
        &self,
        program: &str,
        version: &str,
        limits: &Limits,
    ) -> Result<Program, ProgramError> {
        let lost = |error: russh::Error| ProgramError::Lost(error.to_string());
        let channel = self.session.channel_open_session().await.map_err(lost)?;
        channel.exec(true, command(program)).await.map_err(lost)?;
        let (mut read, write) = channel.split();
        let (version, rest) = {
            // At once, so that a server of another kind, as a forced SFTP, sees that it is not meant, and ends. It
            // waits for a window, which the host opens only once something runs.
            let greeting = async {
                write.data_bytes(drive_line(version).into_bytes()).await.map_err(lost)?;
                std::future::pending::<Result<std::convert::Infallible, _>>().await
            };
            tokio::select! {
                answered = answer(program, &mut read) => answered?,
                failed = greeting => match failed? {},
            }
        };
        let inward = ChannelInward::new(read, None, rest);
        let pipe = Pipe::start(inward, ChannelOutward::new(write, None), true, limits);
        Ok(Program { pipe, version })
    }
}

/// Waits for the program's line. Returns its version, and what came behind the line.
async fn answer(program: &str, read: &mut ChannelReadHalf) -> Result<(String, Bytes), ProgramError> {
    let (mut output, mut said, mut status) = (BytesMut::new(), Vec::new(), None);
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data }) => output.extend_from_slice(&data),
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                let room = MOST_SAID.saturating_sub(said.len());
                said.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                continue;
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                status = Some(exit_status);
                continue;
            }
            Some(ChannelMsg::Failure) => return Err(ProgramError::Refused),
            Some(ChannelMsg::Close) | None => return Err(ending(program, status, &said)),
            Some(_) => continue,
        }
        match look_for_greeting(&output) {
            Greeting::Wanted => {}
            Greeting::Noise => return Err(ending(program, None, &[])),
            Greeting::Found { protocol, version, .. } if protocol != VERSION => {
                return Err(ProgramError::Version { version, theirs: protocol });
            }
            Greeting::Found { version, rest, .. } => return Ok((version, rest)),
        }
    }
}

/// Says why a program ended without a greeting.
fn ending(program: &str, status: Option<u32>, said: &[u8]) -> ProgramError {
    // What every POSIX shell says of a command that does not exist, or that may not be run.
    if matches!(status, Some(126 | 127)) {
        return ProgramError::Missing { program: program.to_owned() };
    }
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line: Option<String> = line.map(|line| line.chars().filter(|c| !c.is_control()).take(200).collect());
    let said = match (line, status) {
        (Some(line), _) => format!(": {line}"),
        (None, Some(status)) => format!(" and ended with {status}"),
        (None, None) => String::new(),
    };
    ProgramError::Failed { program: program.to_owned(), said }
}

/// Writes the command line for the user's shell. A path below `~/` is left to the shell.
fn command(program: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./+-@%=:,".contains(c);
    let (home, rest) = match program.strip_prefix("~/") {
        Some(rest) => ("~/", rest),
        None => ("", program),
    };
    if rest.chars().all(plain) {
        format!("{home}{rest} serve --stdio")
    } else {
        format!("{home}'{}' serve --stdio", rest.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_one_word_for_the_shell_whatever_it_holds() {
        for (program, expected) in [
            ("evenfold", "evenfold serve --stdio"),
            ("/opt/even fold/bin/evenfold", "'/opt/even fold/bin/evenfold' serve --stdio"),
            ("~/.local/bin/evenfold", "~/.local/bin/evenfold serve --stdio"),
            ("~/my bin/x", "~/'my bin/x' serve --stdio"),
            ("a; rm -rf $HOME", "'a; rm -rf $HOME' serve --stdio"),
            ("it's", r"'it'\''s' serve --stdio"),
        ] {
            assert_eq!(command(program), expected);
        }
    }

    #[test]
    fn ending_is_told_from_what_the_shell_says() {
        let missing = ending("evenfold", Some(127), b"bash: line 1: evenfold: command not found\n");
        assert_eq!(missing.to_string(), "'evenfold' was not found there");
        let old = ending("evenfold", Some(2), b"\nerror: unrecognized subcommand 'serve'\nmore");
        assert!(old.to_string().ends_with(": error: unrecognized subcommand 'serve'"), "{old}");
        assert!(ending("evenfold", Some(1), b"").to_string().ends_with("and ended with 1"));
        assert!(ending("evenfold", None, b"").to_string().ends_with("as Evenfold does"));
    }
}
