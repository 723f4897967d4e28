//! Running a command that a user configured: arguments without a shell, a process group of its own, a time limit.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

/// So much of what a command wrote to standard error is shown: its last words.
const LAST_WORDS: usize = 2048;

/// After a command has ended, something it left in the background may hold its standard error open.
const LAST_WORDS_PATIENCE: Duration = Duration::from_millis(200);

/// What is put into arguments and the environment, byte for byte.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Absolute path of the item on this machine.
    pub path: Vec<u8>,
    /// The item's path below the folder.
    pub name: Vec<u8>,
    /// Name of the relationship.
    pub relationship: String,
    /// Id of the occasion; the same when the command is run again for it.
    pub id: String,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("'{program}' could not be started: {detail}")]
    NotStarted {
        /// The program.
        program: String,
        /// The system's own words.
        detail: String,
    },
    /// It ended with an exit code that is not 0.
    #[error("'{program}' ended with exit code {code}{words}")]
    Exit {
        /// The program.
        program: String,
        /// Its exit code.
        code: i32,
        /// The end of what it wrote to standard error, after a colon.
        words: String,
    },
    /// A signal ended it.
    #[error("'{program}' was ended by a signal{words}")]
    Signal {
        /// The program.
        program: String,
        /// The end of what it wrote to standard error, after a colon.
        words: String,
    },
    /// It ran longer than allowed and was killed with all its children.
    #[error("'{program}' was killed after {} s (hook.timeout)", limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// How long it was allowed to run.
        limit: Duration,
    },
}

/// Puts the subject into the arguments: `{path}` (also `{}`), `{name}`, `{relationship}` and `{id}`, anywhere in an
/// argument. What was put in is not looked through again, and stays within its argument.
pub fn fill(argv: &[String], subject: &Subject) -> Vec<OsString> {
    argv.iter().map(|argument| OsString::from_vec(fill_one(argument.as_bytes(), subject))).collect()
}

fn fill_one(mut argument: &[u8], subject: &Subject) -> Vec<u8> {
    let values: [(&[u8], &[u8]); 5] = [
        (b"{}", &subject.path),
        (b"{path}", &subject.path),
        (b"{name}", &subject.name),
        (b"{relationship}", subject.relationship.as_bytes()),
        (b"{id}", subject.id.as_bytes()),
    ];
    let mut filled = Vec::with_capacity(argument.len() + subject.path.len());
    while let Some((first, rest)) = argument.split_first() {
        match values.iter().find_map(|(sign, value)| Some((argument.strip_prefix(*sign)?, value))) {
            Some((behind, value)) => {
                filled.extend_from_slice(value);
                argument = behind;
            }
            None => {
                filled.push(*first);
                argument = rest;
            }
        }
    }
    filled
}

/// Runs a command to its end. Dropping the future kills it with all its children.
///
/// # Errors
/// Where it could not be started, did not end with exit code 0, or took longer than `limit`.
pub async fn run(argv: &[String], subject: &Subject, limit: Duration) -> Result<(), CommandError> {
    let filled = fill(argv, subject);
    let Some((program, arguments)) = filled.split_first() else {
        return Err(CommandError::NotStarted { program: String::new(), detail: "no command".to_owned() });
    };
    let shown = program.to_string_lossy().into_owned();
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("EVENFOLD_PATH", bytes(&subject.path))
        .env("EVENFOLD_NAME", bytes(&subject.name))
        .env("EVENFOLD_RELATIONSHIP", &subject.relationship)
        .env("EVENFOLD_ID", &subject.id)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| CommandError::NotStarted { program: shown.clone(), detail: error.to_string() })?;
    let group = Group(child.id());
    let listening = child.stderr.take().map(|stderr| tokio::spawn(last_words(stderr)));
    let Ok(ended) = tokio::time::timeout(limit, child.wait()).await else {
        group.kill();
        // The process is dead or dies now; nobody is left behind as a zombie.
        _ = child.wait().await;
        group.end();
        return Err(CommandError::TimedOut { program: shown, limit });
    };
    group.end();
    let status = ended
        .map_err(|error| CommandError::NotStarted { program: shown.clone(), detail: error.to_string() })?;
    if status.success() {
        return Ok(());
    }
    let words = match listening {
        Some(task) => tokio::time::timeout(LAST_WORDS_PATIENCE, task).await.ok().and_then(Result::ok),
        None => None,
    };
    let words = words.filter(|words| !words.is_empty()).map(|words| format!(": {words}")).unwrap_or_default();
    match status.code() {
        Some(code) => Err(CommandError::Exit { program: shown, code, words }),
        None => Err(CommandError::Signal { program: shown, words }),
    }
}

/// The process group of a running command; dropping it kills all of it.
struct Group(Option<u32>);

impl Group {
    fn kill(&self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // An error means that nobody is left in the group.
            _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }

    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn last_words(mut from: tokio::process::ChildStderr) -> String {
    let mut words: Vec<u8> = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        words.extend_from_slice(bytes);
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
    }
    String::from_utf8_lossy(&words).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &[u8]) -> Subject {
        let path = [b"/root/", name].concat();
        Subject { path, name: name.to_vec(), relationship: "in".to_owned(), id: "7f".to_owned() }
    }

    #[test]
    fn placeholders_are_filled_once_and_stay_within_their_argument() {
        let check = |argument: &str, name: &[u8], expected: &[u8]| {
            let filled = fill(&[argument.to_owned()], &subject(name));
            assert_eq!(filled, [OsString::from_vec(expected.to_vec())], "{argument}");
        };
        check("{}", b"a", b"/root/a");
        check("--from={path}!", b"two words", b"--from=/root/two words!");
        check("{name}:{relationship}:{id}", b"x", b"x:in:7f");
        check("{name}", b"{id}", b"{id}");
        check("{name}", b"\xff\n$(touch PWNED)", b"\xff\n$(touch PWNED)");
        check("{other} {", b"x", b"{other} {");
    }

    #[tokio::test]
    async fn exit_code_and_last_words_are_told() {
        let run = async |script: &str| {
            let argv = ["sh", "-c", script, "sh", "{name}"].map(str::to_owned);
            run(&argv, &subject(b"it's"), Duration::from_secs(60)).await
        };
        assert_eq!(run("test \"$1\" = \"it's\" && test \"$EVENFOLD_NAME\" = \"$1\"").await, Ok(()));
        let failed = run("echo no such luck >&2; exit 3").await.unwrap_err();
        assert_eq!(failed.to_string(), "'sh' ended with exit code 3: no such luck");
        assert!(matches!(run("kill -9 $$").await, Err(CommandError::Signal { .. })));
    }

    #[tokio::test]
    async fn command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("child");
        let script = format!("(echo $$ > {0}; sleep 600) & wait", flag.display());
        let argv = ["sh", "-c", &script].map(str::to_owned);
        let began = std::time::Instant::now();
        let failed = run(&argv, &subject(b"x"), Duration::from_millis(500)).await.unwrap_err();
        assert!(matches!(failed, CommandError::TimedOut { .. }));
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn program_that_is_not_there_is_named() {
        let argv = ["/no/such/program".to_owned()];
        let failed = run(&argv, &subject(b"x"), Duration::from_secs(1)).await.unwrap_err();
        assert!(failed.to_string().starts_with("'/no/such/program' could not be started"), "{failed}");
    }
}
