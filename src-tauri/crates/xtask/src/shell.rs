//! Runs other programs: always without standard input, and never longer than allowed where a limit is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The repository's top directory.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(manifest);
    here.ancestors().nth(3).map_or(here.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where cargo puts what it builds with a profile.
pub(crate) fn profile_dir(profile: &str) -> PathBuf {
    target_dir().join(if profile == "dev" { "debug" } else { profile })
}

/// A cargo of the same toolchain, in the top directory, free of what `cargo run` put into our environment: build
/// scripts would otherwise see other variables than in a plain `cargo build`, and everything would be built twice.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) || text == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// A cargo that lints our own crates while it builds them. `cargo clippy` would look at all dependencies a second time, which
/// takes as long as half a build; so clippy takes the compiler's place for our crates, in the way in which `cargo clippy`
/// itself has it done, and what is tested is what was linted. Every warning is an error.
pub(crate) fn linting_cargo() -> Command {
    let mut command = cargo();
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    command
}

/// Builds all that our own crates have to build, with all its tests, and lints it.
pub(crate) fn build_linted(packages: &[&str]) -> Result<()> {
    run(linting_cargo().args(["build", "--all-targets"]).args(packages))
}

/// One line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for word in command.get_args() {
        let word = word.to_string_lossy();
        line.push(' ');
        if word.is_empty() || word.contains([' ', '\'', '(', '&', '|', '*']) {
            line.push_str(&format!("{word:?}"));
        } else {
            line.push_str(&word);
        }
    }
    line
}

/// Runs a program in the foreground; its failure is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{} cannot be started", shown(command)))?;
    ensure_ok(command, status)
}

fn ensure_ok(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{}` failed ({status})", shown(command))
}

/// Runs a program in the foreground and also returns what it printed, both streams together.
pub(crate) fn run_and_keep(command: &mut Command) -> Result<(ExitStatus, String)> {
    println!("$ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", shown(command)))?;
    let out = child.stdout.take().map(|stream| tee(stream, std::io::stdout()));
    let err = child.stderr.take().map(|stream| tee(stream, std::io::stderr()));
    let status = child.wait()?;
    let mut text = String::new();
    for reader in [out, err].into_iter().flatten() {
        text.push_str(&reader.join().unwrap_or_default());
    }
    Ok((status, text))
}

fn tee(stream: impl Read + Send + 'static, mut to: impl Write + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // A closed terminal must not stop the program that is being watched.
            let _ = to.write_all(&line).and_then(|()| to.flush());
            kept.append(&mut line);
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// Runs a program quietly, for at most `limit`; then it is killed, and that is an error.
pub(crate) fn output_within(command: &mut Command, limit: Duration) -> Result<Output> {
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{line} cannot be started"))?;
    let out = child.stdout.take().map(swallow);
    let err = child.stderr.take().map(swallow);
    let status = wait_within(&mut child, limit);
    if status.is_none() {
        // It may have ended in this very moment; then there is nothing to kill.
        let _ = child.kill();
        let _ = child.wait();
    }
    let stdout = out.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let stderr = err.and_then(|reader| reader.join().ok()).unwrap_or_default();
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => bail!(
            "`{line}` did not end within {} s; it had said: {}",
            limit.as_secs(),
            String::from_utf8_lossy(&stderr).trim()
        ),
    }
}

fn swallow(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut kept);
        kept
    })
}

/// Waits for a child; `None` when it still runs after `limit`.
pub(crate) fn wait_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    // Short commands are what the benchmark times: look often at first, seldom later.
    let mut pause = Duration::from_micros(200);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Finds a program on the path or where administrators' programs live.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// True if a quiet run of the program ends well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output_within(command, Duration::from_secs(60)).is_ok_and(|output| output.status.success())
}

/// Asks a process to end (SIGTERM). It may be gone already; then there is nothing to ask.
pub(crate) fn terminate(pid: u32) {
    let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_killed_and_named() {
        let error = output_within(Command::new("sleep").arg("60"), Duration::from_millis(50))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sleep 60"), "{error}");
    }

    #[test]
    fn output_larger_than_a_pipe_is_read_whole() {
        let mut command = Command::new("head");
        command.args(["-c", "300000", "/dev/zero"]);
        let output = output_within(&mut command, Duration::from_secs(20)).unwrap();
        assert_eq!(output.stdout.len(), 300_000);
    }

    #[test]
    fn root_holds_the_workspace_manifest() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
