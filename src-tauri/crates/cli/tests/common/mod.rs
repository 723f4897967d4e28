//! Real nodes for tests: daemons with homes of their own, commands given to them, and folders to compare.
//!
//! Everything lies in temporary directories and ends with the test. When a test fails, the ends of the logs are shown.

// Each test file uses another part of this module; helpers of tests may end the test.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

pub mod tree;

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up. Generous: machines that run tests are busy.
pub const LIMIT: Duration = Duration::from_secs(120);

/// How long between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Makes sure that it succeeded.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.exits(0)
    }

    /// Makes sure that it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Returns the one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Makes sure that standard error holds a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "{text:?} is not said: {self:#?}");
        self
    }
}

/// Returns `evenfold` with an environment that does not depend on who runs the tests, on the given home.
pub fn evenfold(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenfold"));
    let settings =
        ["HOME", "NAME", "LISTEN", "LOG", "LOG_SIZE", "NEARBY", "FORWARD", "FORWARD_LIMIT", "SILENCE"];
    for variable in settings {
        command.env_remove(format!("EVENFOLD_{variable}"));
    }
    command.env("NO_COLOR", "1").env("TZ", "UTC").stdin(Stdio::null()).arg("--home").arg(home);
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(LIMIT).unwrap_or_else(|_| {
        signal(id, "KILL");
        panic!("{shown} did not end within {LIMIT:?}")
    });
    let output = output.unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        command: shown,
    }
}

/// Looks until `done` holds; fails the test if it takes too long.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Sends a signal, such as `TERM`, to one process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success(), "process {process} could not be sent {name}");
}

/// A daemon with a home of its own.
pub struct TestNode {
    name: String,
    dir: tempfile::TempDir,
    /// Where it listens; the same after a restart, so that peers find it again.
    address: String,
    /// Further words for `daemon`.
    words: Vec<String>,
    /// What is set in the environment of each of its daemons.
    environment: Vec<(String, String)>,
    /// The network namespace in which its daemons run, if not ours.
    network: Option<String>,
    /// Whether its daemons may read only what permissions let them read, even where root runs the tests.
    unprivileged: bool,
    child: Option<Child>,
}

impl TestNode {
    /// Starts a daemon on a free port of 127.0.0.1 and waits until it answers.
    #[track_caller]
    pub fn start(name: &str) -> TestNode {
        TestNode::start_with(name, "127.0.0.1:0", &[])
    }

    /// Starts a daemon that listens on `listen`, with further words for `daemon`.
    #[track_caller]
    pub fn start_with(name: &str, listen: &str, words: &[&str]) -> TestNode {
        TestNode::start_as(name, listen, words, &[])
    }

    /// The same, with variables in the environment of the daemon.
    #[track_caller]
    pub fn start_as(name: &str, listen: &str, words: &[&str], environment: &[(&str, &str)]) -> TestNode {
        let mut node = TestNode::stopped(name, listen, words, environment);
        node.restart();
        node
    }

    /// Starts a daemon in a network namespace.
    #[track_caller]
    pub fn start_in(network: &str, name: &str, listen: &str) -> TestNode {
        TestNode::start_in_as(network, name, listen, &[])
    }

    /// The same, with variables in the environment of the daemon.
    #[track_caller]
    pub fn start_in_as(network: &str, name: &str, listen: &str, environment: &[(&str, &str)]) -> TestNode {
        let mut node = TestNode::stopped(name, listen, &[], environment);
        node.network = Some(network.to_owned());
        node.restart();
        node
    }

    /// Starts a daemon that permission bits hold up, even where root runs the tests.
    #[track_caller]
    pub fn start_without_privileges(name: &str) -> TestNode {
        let mut node = TestNode::stopped(name, "127.0.0.1:0", &[], &[]);
        node.unprivileged = true;
        node.restart();
        node
    }

    fn stopped(name: &str, listen: &str, words: &[&str], environment: &[(&str, &str)]) -> TestNode {
        TestNode {
            name: name.to_owned(),
            dir: tempfile::tempdir().unwrap(),
            address: listen.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            network: None,
            unprivileged: false,
            child: None,
        }
    }

    /// Has the node listen elsewhere from the next start on.
    pub fn move_to(&mut self, address: &str) {
        self.address = address.to_owned();
    }

    /// Returns the node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the node's home.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Returns where the node listens, as others dial it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the daemon's process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// Makes an empty folder for this node, outside its home.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("folders").join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Returns a command to this node, without words yet.
    pub fn command(&self) -> Command {
        evenfold(&self.home())
    }

    /// Gives a command and waits for its end.
    #[track_caller]
    pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, words: I) -> Output {
        finish(self.command().args(words))
    }

    /// Gives a command that has to succeed, and returns its JSON document.
    #[track_caller]
    pub fn json<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, words: I) -> Value {
        finish(self.command().arg("--json").args(words)).ok().json()
    }

    /// Gives a command, and returns what it printed if it ended soon. For use where a test has failed already.
    pub fn try_run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, words: I) -> Option<String> {
        let mut command = self.command();
        let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let began = Instant::now();
        while child.try_wait().ok()?.is_none() {
            if began.elapsed() > Duration::from_secs(10) {
                child.kill().ok()?;
            }
            std::thread::sleep(PAUSE);
        }
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stdout?, &mut said).ok()?;
        Some(said)
    }

    /// Starts the daemon again with a variable in its environment, and does not wait for anything.
    #[track_caller]
    pub fn spawn_with(&mut self, variable: &str, value: &str) {
        self.spawn(&[(variable, value)]);
    }

    /// Waits until the daemon has ended by itself, for the reason that `why` says.
    #[track_caller]
    pub fn until_ended(&mut self, why: &str) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().expect("the daemon was started").try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(began.elapsed() < LIMIT, "the daemon of {} does not end: {why}", self.name);
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts the daemon again with a variable in its environment, and waits until it answers.
    #[track_caller]
    pub fn restart_with(&mut self, variable: &str, value: &str) {
        self.spawn(&[(variable, value)]);
        self.until_it_answers(&[(variable, value)]);
    }

    /// Starts the daemon again, on the same home and port, and waits until it answers.
    #[track_caller]
    pub fn restart(&mut self) {
        self.spawn(&[]);
        self.until_it_answers(&[]);
    }

    #[track_caller]
    fn spawn(&mut self, environment: &[(&str, &str)]) {
        assert!(self.child.is_none(), "the daemon of {} still runs", self.name);
        let log = std::fs::File::options().create(true).append(true).open(self.output_file()).unwrap();
        let words = ["daemon", "--listen", &self.address, "--name", &self.name];
        let mut command = dying_with_us(self.command().args(words).args(&self.words), self.unprivileged);
        if let Some(network) = &self.network {
            command = inside(network, &command);
        }
        command.envs(self.environment.iter().cloned()).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    #[track_caller]
    fn until_it_answers(&mut self, environment: &[(&str, &str)]) {
        let began = Instant::now();
        loop {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some_and(|status| status.code() == Some(7)) && began.elapsed() < LIMIT {
                // Our own question was there first and held the home for a moment, on a busy machine.
                self.child = None;
                self.spawn(environment);
                continue;
            }
            assert!(
                ended.is_none(),
                "the daemon of {} ended at once: {ended:?}\n{}",
                self.name,
                self.log_tail()
            );
            let shown = self.run(["node", "show", "--json"]);
            let address = serde_json::from_str::<Value>(&shown.stdout)
                .ok()
                .and_then(|document| Some(document.get("addresses")?.get(0)?.as_str()?.to_owned()));
            if let Some(address) = address.filter(|address| shown.code == 0 && !address.ends_with(":0")) {
                self.address = address;
                return;
            }
            assert!(began.elapsed() < LIMIT, "the daemon of {} does not answer: {shown:#?}", self.name);
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends the daemon at once, without any chance to tidy up.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the daemon to end and says how it did.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the daemon runs");
        signal(child.id(), "TERM");
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if began.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the daemon of {} did not end when asked to", self.name);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Pairs with another node by a code that the other offers.
    #[track_caller]
    pub fn pair_with(&self, other: &TestNode) {
        let offer = other.json(["pair", "offer", "--no-wait"]);
        let code = offer.get("code").and_then(Value::as_str).expect("the offer has a code");
        self.run(["pair", "accept", code, other.address(), "--yes"]).ok();
    }

    /// Returns the last lines that the daemon logged.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.output_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn output_file(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log_tail());
        }
    }
}

/// Returns a command that runs in a network namespace.
fn inside(network: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("ip");
    wrapped.args(["netns", "exec", network]).arg(command.get_program());
    like(wrapped, command)
}

/// Returns a command that the system ends if the test is killed, where it can, so that no daemon is left behind.
/// `unprivileged` takes from root what reads and writes past permission bits; nobody else has it.
fn dying_with_us(command: &Command, unprivileged: bool) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let wrapped = if setpriv.exists() {
        let mut wrapped = Command::new(setpriv);
        wrapped.args(["--pdeathsig", "KILL"]);
        if unprivileged && is_root {
            let without = "-dac_override,-dac_read_search";
            wrapped.args(["--inh-caps", without, "--bounding-set", without]);
        }
        wrapped.arg("--").arg(command.get_program());
        wrapped
    } else {
        Command::new(command.get_program())
    };
    like(wrapped, command)
}

/// Gives `wrapped` the words and the environment of a command.
fn like(mut wrapped: Command, command: &Command) -> Command {
    wrapped.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}
