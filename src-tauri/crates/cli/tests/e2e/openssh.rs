//! Debian's own OpenSSH server on a loopback port, with keys of its own, and a home from which it is reached.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{Output, TestNode, eventually, finish};

/// A host on which only OpenSSH runs, and the user that logs in to it.
pub(crate) struct SshHost {
    dir: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    agent: Option<Child>,
}

impl SshHost {
    /// Starts the server. The user's home has a key that it accepts, and a config in which it is called `nas`.
    #[track_caller]
    pub(crate) fn start() -> SshHost {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut host = SshHost { dir, port, server: None, agent: None };
        std::fs::create_dir_all(host.dot_ssh()).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        host.new_key(&host.host_key(), "");
        host.new_key(&host.key(), "");
        host.authorise(&host.key());
        host.configure("");
        host.serve();
        host
    }

    /// Starts the server again, on the same port.
    #[track_caller]
    pub(crate) fn serve(&mut self) {
        let config = self.dir.path().join("sshd_config");
        let text = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             AllowTcpForwarding yes\nMaxStartups 100\nLogLevel VERBOSE\nPermitUserEnvironment yes\n\
             Subsystem sftp /usr/lib/openssh/sftp-server\n",
            self.port,
            self.host_key().display(),
            self.dir.path().join("authorized_keys").display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&config).stdin(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().unwrap());
        let address = format!("127.0.0.1:{}", self.port);
        eventually("sshd listens", || std::net::TcpStream::connect(&address).is_ok());
    }

    /// Ends the server and all its connections.
    pub(crate) fn stop(&mut self) {
        self.cut();
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Ends all connections at once, as a failing line would.
    pub(crate) fn cut(&self) {
        let Some(server) = &self.server else { return };
        for process in below(server.id()) {
            // It may have ended by itself meanwhile.
            _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }

    /// Gives the host another key, as if it were set up anew.
    pub(crate) fn change_host_key(&mut self) {
        self.stop();
        std::fs::remove_file(self.host_key()).unwrap();
        self.new_key(&self.host_key(), "");
        self.serve();
    }

    /// Returns the fingerprint of the host's key, as OpenSSH prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let shown = finish(Command::new("ssh-keygen").arg("-lf").arg(self.host_key())).ok().stdout;
        shown.split(' ').nth(1).unwrap().to_owned()
    }

    /// Writes the user's `~/.ssh/config`: `nas` is the host, then what `more` says.
    pub(crate) fn configure(&self, more: &str) {
        let port = self.port;
        let config = format!(
            "Host nas\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile ~/.ssh/id_test\n{more}"
        );
        std::fs::write(self.dot_ssh().join("config"), config).unwrap();
    }

    /// Notes the host's key in the user's `known_hosts`, hashed as Debian does.
    pub(crate) fn trust(&self) {
        let key = std::fs::read_to_string(self.host_key().with_extension("pub")).unwrap();
        let file = self.dot_ssh().join("known_hosts");
        std::fs::write(&file, format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        finish(Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file)).ok();
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    }

    /// Makes a key, encrypted if there is a passphrase.
    pub(crate) fn new_key(&self, file: &Path, passphrase: &str) {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(file);
        finish(&mut command).ok();
    }

    /// Lets a key in.
    pub(crate) fn authorise(&self, key: &Path) {
        let mut public = key.as_os_str().to_owned();
        public.push(".pub");
        std::fs::copy(public, self.dir.path().join("authorized_keys")).unwrap();
    }

    /// Lets the user's key in, with options as in `authorized_keys`.
    pub(crate) fn authorise_with(&self, options: &str) {
        let public = std::fs::read_to_string(self.key().with_extension("pub")).unwrap();
        std::fs::write(self.dir.path().join("authorized_keys"), format!("{options} {public}")).unwrap();
    }

    /// Gives the host Evenfold, with a home of its own there: whoever logs in finds it.
    pub(crate) fn install(&self) {
        let program = Path::new(env!("CARGO_BIN_EXE_evenfold")).parent().unwrap();
        self.authorise_with(&format!(
            "environment=\"PATH={}:/usr/bin:/bin\",environment=\"EVENFOLD_HOME={}\"",
            program.display(),
            self.kept().display()
        ));
    }

    /// Where Evenfold on the host keeps what it keeps.
    pub(crate) fn kept(&self) -> PathBuf {
        self.dir.path().join("kept")
    }

    /// Returns the processes of Evenfold that were started by logins.
    pub(crate) fn programs(&self) -> Vec<u32> {
        let Some(server) = &self.server else { return Vec::new() };
        let serves = |process: &u32| {
            let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.first().is_some_and(|word| word.ends_with(b"evenfold")) && words.contains(&&b"serve"[..])
        };
        below(server.id()).into_iter().filter(serves).collect()
    }

    /// Starts an agent without keys.
    #[track_caller]
    pub(crate) fn start_agent(&mut self) {
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(self.agent_socket()).stdout(Stdio::null());
        self.agent = Some(command.spawn().unwrap());
        let socket = self.agent_socket();
        eventually("the agent listens", || socket.exists());
    }

    /// Gives a key to the agent.
    #[track_caller]
    pub(crate) fn give_to_agent(&self, key: &Path, passphrase: &str) {
        let ask = self.dir.path().join("askpass");
        std::fs::write(&ask, format!("#!/bin/sh\necho '{passphrase}'\n")).unwrap();
        finish(Command::new("chmod").arg("700").arg(&ask)).ok();
        let mut command = Command::new("ssh-add");
        command.arg(key).env("SSH_AUTH_SOCK", self.agent_socket()).env("SSH_ASKPASS", &ask);
        finish(command.env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0")).ok();
    }

    /// Starts a node of the user whose home this is.
    #[track_caller]
    pub(crate) fn node(&self) -> TestNode {
        let home = self.home().display().to_string();
        let socket = self.agent_socket().display().to_string();
        let mut environment = vec![("HOME", home.as_str()), ("USER", "root")];
        environment.push(("SSH_AUTH_SOCK", if self.agent.is_some() { &socket } else { "" }));
        TestNode::start_as("desk", "127.0.0.1:0", &[], &environment)
    }

    /// Makes an empty folder on the host.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("host").join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Where the server listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The user's `~/.ssh`.
    pub(crate) fn dot_ssh(&self) -> PathBuf {
        self.home().join(".ssh")
    }

    /// The user's key.
    pub(crate) fn key(&self) -> PathBuf {
        self.dot_ssh().join("id_test")
    }

    fn host_key(&self) -> PathBuf {
        self.dir.path().join("host_key")
    }

    fn agent_socket(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("sshd.log")
    }

    /// What the server has logged.
    pub(crate) fn logged(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Returns the number of logins that the server has let in.
    pub(crate) fn logins(&self) -> usize {
        self.logged().matches("Accepted publickey").count()
    }
}

impl Drop for SshHost {
    fn drop(&mut self) {
        self.stop();
        if let Some(mut agent) = self.agent.take() {
            _ = agent.kill();
            _ = agent.wait();
        }
        if std::thread::panicking() {
            let logged = self.logged();
            let lines: Vec<&str> = logged.lines().collect();
            eprintln!("--- log of sshd\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// Returns all processes below one.
fn below(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold anything, in brackets; the parent is the second word behind it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(process) {
            found.push(id);
            found.extend(below(id));
        }
    }
    found
}

/// Adds a relationship between a folder and one on the host.
#[track_caller]
pub(crate) fn add(node: &TestNode, kind: &str, here: &Path, there: &str, more: &[&str]) -> Output {
    let mut command = node.command();
    command
        .args(["rel", "add", crate::rig::REL, "--kind", kind, "--no-input"])
        .arg(here)
        .arg(there)
        .args(more);
    finish(&mut command)
}
