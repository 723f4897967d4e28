//! Streams between a program on a host and whoever started it there over SSH: `evenfold serve --stdio`.
//!
//! A [`Pipe`] is the same `mux` as in a [`crate::Connection`], over the program's standard input and output. It proves
//! nothing by itself: the SSH login around it says who both sides are. It begins with one line in each direction,
//!
//! ```text
//! EVENFOLD-DRIVE 1 0.1.0\n      from whoever started the program, at once
//! EVENFOLD-SERVE 1 0.1.0\n      from the program
//! ```
//!
//! in which the number is that of the protocol, and the rest names the version of Evenfold for people. What a login shell
//! prints before the second line is skipped.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Limits;
use crate::mux::carrier::{BytesInward, BytesOutward, Inward, Outward};
use crate::mux::{Mux, OpenError, Stream};

/// The one version of what follows on the pipe.
pub(crate) const VERSION: u32 = 1;

const DRIVE: &str = "EVENFOLD-DRIVE ";
const SERVE: &[u8] = b"EVENFOLD-SERVE ";
/// The longest line, in bytes.
const LONGEST_LINE: usize = 128;
/// What may be printed before the program's line, in bytes: more than any greeting of a host.
const MOST_NOISE: usize = 64 * 1024;

/// Streams over the standard input and output of a program.
#[derive(Debug)]
pub struct Pipe {
    mux: Mux,
}

/// Why no pipe came about at the program's side.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What is read is no greeting.
    #[error("whoever started this does not speak Evenfold's protocol")]
    NotEvenfold,
    /// The other side speaks another version.
    #[error("whoever started this speaks version {theirs} of the protocol, and this machine {VERSION}")]
    Version {
        /// The version that it names.
        theirs: u32,
    },
    /// Standard input or output broke.
    #[error("standard input or output failed: {0}")]
    Io(#[from] std::io::Error),
}

impl Pipe {
    /// Begins at the program's side. `version` is that of Evenfold, for people.
    ///
    /// # Errors
    /// See [`ServeError`]; the line that names our version has been written even if theirs does not fit.
    pub async fn serve<R, W>(
        mut reader: R,
        mut writer: W,
        version: &str,
        limits: &Limits,
    ) -> Result<Pipe, ServeError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let mut ours = SERVE.to_vec();
        ours.extend_from_slice(format!("{VERSION} {version}\n").as_bytes());
        writer.write_all(&ours).await?;
        writer.flush().await?;
        let mut line = Vec::new();
        // A byte at a time: what follows the line belongs to the streams.
        while line.last() != Some(&b'\n') {
            if line.len() >= LONGEST_LINE {
                return Err(ServeError::NotEvenfold);
            }
            line.push(reader.read_u8().await?);
        }
        let theirs = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(DRIVE));
        let (theirs, _) = theirs.and_then(numbered).ok_or(ServeError::NotEvenfold)?;
        if theirs != VERSION {
            return Err(ServeError::Version { theirs });
        }
        Ok(Pipe::start(BytesInward::new(reader), BytesOutward(writer), false, limits))
    }

    pub(crate) fn start(inward: impl Inward, outward: impl Outward, drives: bool, limits: &Limits) -> Self {
        Pipe { mux: Mux::start(inward, outward, drives, limits) }
    }

    /// Opens a stream; see [`crate::Connection::open`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self) -> Result<Stream, OpenError> {
        self.mux.open()
    }

    /// Waits for the next stream that the other side opened; `None` once the pipe has ended. Safe to cancel.
    pub async fn accept(&self) -> Option<Stream> {
        self.mux.accept().await
    }

    /// Waits until the pipe has ended, and returns why, in words.
    pub async fn ended(&self) -> String {
        self.mux.ended().await.to_string()
    }

    /// Ends it.
    pub fn close(&self, reason: &str) {
        self.mux.end(reason);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.mux.end("no longer needed");
    }
}

/// Reads `1 0.1.0\n`.
fn numbered(text: &str) -> Option<(u32, &str)> {
    let (number, version) = text.trim_end().split_once(' ')?;
    Some((number.parse().ok()?, version))
}

/// The line that whoever starts a program sends.
pub(crate) fn drive_line(version: &str) -> String {
    format!("{DRIVE}{VERSION} {version}\n")
}

/// What the output of a program has shown so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Its line may still come.
    Wanted,
    /// Its line has come.
    Found { protocol: u32, version: String, rest: Bytes },
    /// It does not come any more.
    Noise,
}

/// Looks for the program's line in all that it has put out.
pub(crate) fn look_for_greeting(output: &[u8]) -> Greeting {
    let Some(start) = output.windows(SERVE.len()).position(|window| window == SERVE) else {
        return if output.len() > MOST_NOISE { Greeting::Noise } else { Greeting::Wanted };
    };
    let rest = output.get(start + SERVE.len()..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'\n') {
        None if rest.len() > LONGEST_LINE => Greeting::Noise,
        None => Greeting::Wanted,
        Some(end) => {
            let line = rest.get(..end).and_then(|line| std::str::from_utf8(line).ok()).and_then(numbered);
            let rest = Bytes::copy_from_slice(rest.get(end + 1..).unwrap_or_default());
            match line {
                Some((protocol, version)) => {
                    let version = version.chars().filter(|c| !c.is_control()).collect();
                    Greeting::Found { protocol, version, rest }
                }
                None => Greeting::Noise,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(output: &[u8]) -> Option<(u32, String, Vec<u8>)> {
        match look_for_greeting(output) {
            Greeting::Found { protocol, version, rest } => Some((protocol, version, rest.to_vec())),
            _ => None,
        }
    }

    #[test]
    fn greeting_is_found_behind_what_a_shell_prints() {
        let noise = b"Welcome to nas!\n\xff\xfe EVENFOLD \nEVENFOLD-SERVE 1 0.3.0\n\x01\x02";
        assert_eq!(found(noise), Some((1, "0.3.0".to_owned(), vec![1, 2])));
        assert_eq!(found(b"EVENFOLD-SERVE 7 9.0\n").unwrap().0, 7);
    }

    #[test]
    fn unfinished_greeting_is_waited_for_and_endless_noise_is_not() {
        for output in [&b""[..], b"Welcome", b"EVENFOLD-SERVE 1 0.3"] {
            assert_eq!(look_for_greeting(output), Greeting::Wanted);
        }
        assert_eq!(look_for_greeting(&vec![b'x'; MOST_NOISE + 1]), Greeting::Noise);
        let long = [SERVE, &[b'1'; LONGEST_LINE + 1]].concat();
        assert_eq!(look_for_greeting(&long), Greeting::Noise);
        assert_eq!(look_for_greeting(b"EVENFOLD-SERVE what?\n"), Greeting::Noise);
    }

    async fn serve(said: &str) -> (Result<Pipe, ServeError>, String) {
        let (mut here, there) = tokio::io::duplex(4096);
        here.write_all(said.as_bytes()).await.unwrap();
        let (reader, writer) = tokio::io::split(there);
        let served = Pipe::serve(reader, writer, "0.1.0", &Limits::default()).await;
        let mut line = vec![0; SERVE.len() + 8];
        here.read_exact(&mut line).await.unwrap();
        (served, String::from_utf8(line).unwrap())
    }

    #[tokio::test]
    async fn program_names_its_version_and_refuses_others() {
        let (served, line) = serve(&drive_line("0.1.0")).await;
        assert_eq!(line, "EVENFOLD-SERVE 1 0.1.0\n");
        served.unwrap();
        let (served, _) = serve("EVENFOLD-DRIVE 2 9.9.9\n").await;
        assert!(matches!(served, Err(ServeError::Version { theirs: 2 })), "{served:?}");
        for wrong in ["SSH-2.0-OpenSSH\n", "EVENFOLD-DRIVE one two\n", &"x".repeat(LONGEST_LINE + 1)] {
            let (served, _) = serve(wrong).await;
            assert!(matches!(served, Err(ServeError::NotEvenfold)), "{served:?}");
        }
    }

    #[tokio::test]
    async fn streams_run_both_ways_over_a_pipe() {
        let (here, there) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(there);
        let serving =
            tokio::spawn(
                async move { Pipe::serve(reader, writer, "0.1.0", &Limits::default()).await.unwrap() },
            );
        let (mut reader, mut writer) = tokio::io::split(here);
        writer.write_all(drive_line("0.1.0").as_bytes()).await.unwrap();
        let mut line = vec![0; SERVE.len() + 8];
        reader.read_exact(&mut line).await.unwrap();
        let served = serving.await.unwrap();
        let drives = Pipe::start(BytesInward::new(reader), BytesOutward(writer), true, &Limits::default());
        let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut asked = drives.open().unwrap();
        let mut answering = served.accept().await.unwrap();
        let sent = large.clone();
        let send = tokio::spawn(async move {
            asked.write_all(&sent).await.unwrap();
            asked.shutdown().await.unwrap();
            let mut answer = Vec::new();
            asked.read_to_end(&mut answer).await.unwrap();
            answer
        });
        let mut got = Vec::new();
        answering.read_to_end(&mut got).await.unwrap();
        answering.write_all(b"all of it").await.unwrap();
        answering.shutdown().await.unwrap();
        assert_eq!(send.await.unwrap(), b"all of it");
        assert!(got == large);
        drop(drives);
        assert!(served.accept().await.is_none());
        served.ended().await;
    }
}
