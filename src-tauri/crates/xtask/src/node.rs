//! An `evenfold` node as a user runs it: a daemon with a home of its own, and commands given to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// How long a command may take that only asks or arranges something.
const SOON: Duration = Duration::from_secs(60);

/// A running daemon. It is ended when dropped, whatever happened.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Where it listens, as another node dials it.
    pub(crate) address: String,
    program: PathBuf,
    home: PathBuf,
    log: PathBuf,
    child: Child,
    /// Print each command, as a person would type it.
    narrate: bool,
}

/// Builds `evenfold` and returns its path. `profile` is one of the workspace's profiles.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    shell::run(shell::cargo().args(["build", "--profile", profile, "--package", "evenfold-cli"]))?;
    let program = shell::profile_dir(profile).join("evenfold");
    if !program.is_file() {
        bail!("the build has left no {}", program.display());
    }
    Ok(program)
}

impl Node {
    /// Starts a daemon with a new home below `dir` and waits until it answers.
    pub(crate) fn start(program: &Path, dir: &Path, name: &str, narrate: bool) -> Result<Self> {
        let (home, log) = (dir.join(name), dir.join(format!("{name}.log")));
        let words = ["daemon", "--listen", "127.0.0.1:0", "--name", name];
        if narrate {
            println!("   {name}$ evenfold {} &", words.join(" "));
        }
        let mut command = dying_with_us(program);
        command.arg("--home").arg(&home).args(words);
        plain_environment(&mut command);
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let mut node = Self {
            name: name.to_owned(),
            address: String::new(),
            program: program.to_path_buf(),
            home,
            log,
            child,
            narrate,
        };
        let outcome = node.wait_until_listening();
        if outcome.is_err() {
            node.show_log();
        }
        outcome.map(|()| node)
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon of {} ended at once ({status})", self.name);
            }
            let shown = shell::output_within(&mut self.command(&["node", "show", "--json"]), SOON)?;
            let address = parse(&shown.stdout).ok().and_then(|document| {
                let first = document.get("addresses")?.get(0)?.as_str()?.to_owned();
                (!first.ends_with(":0")).then_some(first)
            });
            if let Some(address) = address.filter(|_| shown.status.success()) {
                self.address = address;
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the daemon of {} does not answer `node show`: {}{}",
                    self.name,
                    String::from_utf8_lossy(&shown.stdout),
                    String::from_utf8_lossy(&shown.stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(words);
        plain_environment(&mut command);
        command
    }

    /// Gives a command and returns whatever came of it within `limit`.
    pub(crate) fn try_cli(&self, words: &[&str], limit: Duration) -> Result<Output> {
        if self.narrate {
            println!("   {}$ evenfold {}", self.name, words.join(" "));
        }
        shell::output_within(&mut self.command(words), limit)
    }

    /// Gives a command that has to end well within `limit`; returns its standard output.
    pub(crate) fn cli_within(&self, words: &[&str], limit: Duration) -> Result<Vec<u8>> {
        let output = self.try_cli(words, limit)?;
        if !output.status.success() {
            bail!(
                "on {}, `evenfold {}` failed ({}): {}{}",
                self.name,
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output.stdout)
    }

    /// The same for a command that only asks or arranges something.
    pub(crate) fn cli(&self, words: &[&str]) -> Result<Vec<u8>> {
        self.cli_within(words, SOON)
    }

    /// Gives a command and reads its JSON document. An exit code that reports a state (differs, conflicts) is fine.
    pub(crate) fn json(&self, words: &[&str]) -> Result<Value> {
        let output = self.try_cli(words, SOON)?;
        parse(&output.stdout).with_context(|| {
            format!(
                "on {}, `evenfold {}` ({}) said {:?} and {:?}",
                self.name,
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The last lines of the daemon's log, on standard error.
    pub(crate) fn show_log(&self) {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- the last lines of {}", self.log.display());
        for line in lines.iter().skip(lines.len().saturating_sub(30)) {
            eprintln!("{line}");
        }
    }

    /// Asks the daemon to end and waits for it; says how it ended.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        shell::terminate(self.child.id());
        match shell::wait_within(&mut self.child, Duration::from_secs(15)) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the daemon of {} ended badly ({status})", self.name),
            None => {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the daemon of {} did not end when asked to", self.name)
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}

/// Settings of the user's own node must not reach ours.
pub(crate) fn plain_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EVENFOLD_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
}

/// A command that the system ends if we are killed, so that no daemon is left behind.
pub(crate) fn dying_with_us(program: &Path) -> Command {
    match shell::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Makes two nodes know each other, by a one-time code: `offering` shows it, `accepting` types it.
pub(crate) fn pair(offering: &Node, accepting: &Node) -> Result<()> {
    let offer = offering.json(&["pair", "offer", "--no-wait", "--json"])?;
    let code = offer.get("code").and_then(Value::as_str).context("`pair offer --json` has no code")?;
    accepting.cli(&["pair", "accept", code, &offering.address, "--yes"])?;
    Ok(())
}

fn parse(output: &[u8]) -> Result<Value> {
    serde_json::from_slice(output).context("not one JSON document")
}

/// The rows of a document that is an array, or an object with an array under `key`.
pub(crate) fn rows<'a>(document: &'a Value, key: &str) -> &'a [Value] {
    let list = document.as_array().or_else(|| document.get(key).and_then(Value::as_array));
    list.map_or(&[], Vec::as_slice)
}

/// A field as text, whether the document has it as a string or as a number.
pub(crate) fn text(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Looks until `done` holds, for at most `limit`; returns how long it took.
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_bare_or_under_their_key() {
        let bare: Value = serde_json::from_str(r#"[{"id": 7}]"#).unwrap();
        let keyed: Value = serde_json::from_str(r#"{"versions": [{"id": "a"}]}"#).unwrap();
        assert_eq!(rows(&bare, "versions").iter().map(|row| text(row, "id")).collect::<Vec<_>>(), ["7"]);
        assert_eq!(rows(&keyed, "versions").iter().map(|row| text(row, "id")).collect::<Vec<_>>(), ["a"]);
        assert!(rows(&keyed, "conflicts").is_empty());
        assert_eq!(text(&keyed, "missing"), "");
    }
}
