//! rsync over ssh, with an sshd of our own on the loopback, as a contestant.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::probe::{self, Sample};
use super::{Who, end};
use crate::{node, shell, tree};

const LIMIT: Duration = Duration::from_secs(1800);

/// A running sshd with keys and configuration of its own, and one connection to it that is kept open.
pub(super) struct Sshd {
    dir: PathBuf,
    server: Child,
    master: Option<Child>,
}

impl Sshd {
    /// Starts it below `below`. Nothing of the machine's own ssh configuration is read or changed.
    pub(super) fn start(below: &Path) -> Result<Self> {
        let dir = below.join("ssh");
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for key in ["host_key", "user_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key));
            let made = shell::output_within(&mut keygen, Duration::from_secs(20))?;
            if !made.status.success() {
                bail!("ssh-keygen failed: {}", String::from_utf8_lossy(&made.stderr).trim());
            }
        }
        fs::copy(dir.join("user_key.pub"), dir.join("authorized_keys"))?;
        // The port is free now; nobody else takes ports in order at this moment.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::write(dir.join("sshd_config"), server_configuration(&dir, port))?;
        fs::write(dir.join("ssh_config"), client_configuration(&dir, port))?;
        // sshd wants this directory when it runs as root; Debian makes it when the service is started.
        let made = fs::create_dir_all("/run/sshd");
        let sshd = shell::find("sshd").context("there is no sshd")?;
        let log = fs::File::create(dir.join("sshd.log"))?;
        let mut command = node::dying_with_us(&sshd);
        command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = command.spawn().context("sshd cannot be started")?;
        let mut sshd = Self { dir, server, master: None };
        let ready = sshd.wait_for_port(port);
        ready.with_context(|| {
            let log = fs::read_to_string(sshd.dir.join("sshd.log")).unwrap_or_default();
            format!("sshd does not listen ({made:?} for /run/sshd): {log}")
        })?;
        sshd.keep_connection()?;
        Ok(sshd)
    }

    fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.server.try_wait()? {
                bail!("it ended at once ({status})");
            }
            if Instant::now() > deadline {
                bail!("not within 10 s");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn keep_connection(&mut self) -> Result<()> {
        let mut master = node::dying_with_us(Path::new("ssh"));
        master.arg("-F").arg(self.dir.join("ssh_config")).args(["-M", "-N", "-S"]).arg(self.socket());
        master.arg("bench").stdin(Stdio::null()).stdout(Stdio::null());
        self.master = Some(master.spawn().context("ssh cannot be started")?);
        let socket = self.socket();
        node::wait_until("the kept ssh connection", Duration::from_secs(10), || Ok(socket.exists()))?;
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("kept")
    }

    /// Runs rsync once from `src` to `dst` and measures it.
    pub(super) fn sync(&self, who: Who, src: &Path, dst: &Path) -> Result<Sample> {
        self.measure(who, src, dst, || Ok(()))
    }

    /// The same after a change to `src` that is part of what is measured.
    pub(super) fn measure(
        &self,
        who: Who,
        src: &Path,
        dst: &Path,
        change: impl FnOnce() -> Result<()>,
    ) -> Result<Sample> {
        let mut shell_command = format!("ssh -F {}", self.dir.join("ssh_config").display());
        if who == Who::RsyncKept {
            shell_command.push_str(&format!(" -S {}", self.socket().display()));
        }
        let mut command = Command::new("rsync");
        command.args([
            "-a",
            "--delete",
            "--stats",
            &format!("--exclude=/{}", tree::OWN),
            "-e",
            &shell_command,
        ]);
        command.arg(format!("{}/", src.display())).arg(format!("bench:{}/", dst.display()));
        let mut pids = vec![self.server.id()];
        pids.extend(self.master.as_ref().map(Child::id));
        let cpu = || Ok::<f64, anyhow::Error>(probe::cpu_of_trees(&pids)? + probe::cpu_of_ended_children()?);
        let cpu_before = cpu()?;
        let began = Instant::now();
        change()?;
        let output = shell::output_within(&mut command, LIMIT)?;
        let seconds = began.elapsed().as_secs_f64();
        if !output.status.success() {
            bail!("rsync failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        // The server's processes end a moment later.
        std::thread::sleep(Duration::from_millis(200));
        let wire = parse_stats(&String::from_utf8_lossy(&output.stdout));
        Ok(Sample { seconds, cpu: cpu()? - cpu_before, wire, memory: None })
    }
}

impl Sshd {
    /// Sends files one by one to a directory, each with a process and a connection of its own.
    pub(super) fn one_by_one(&self, who: Who, files: &[PathBuf], dst: &Path) -> Result<Sample> {
        let configuration = self.dir.join("ssh_config");
        let pids = [self.server.id()];
        let cpu = || Ok::<f64, anyhow::Error>(probe::cpu_of_trees(&pids)? + probe::cpu_of_ended_children()?);
        let cpu_before = cpu()?;
        let began = Instant::now();
        for file in files {
            let to = format!("bench:{}/", dst.display());
            let mut command = if who == Who::ScpEach {
                let mut scp = Command::new("scp");
                scp.args(["-q", "-p", "-F"]).arg(&configuration).arg(file).arg(to);
                scp
            } else {
                let mut rsync = Command::new("rsync");
                rsync.args(["-a", "-e", &format!("ssh -F {}", configuration.display())]).arg(file).arg(to);
                rsync
            };
            let output = shell::output_within(&mut command, LIMIT)?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                bail!("{} failed ({}): {said}", who.name(), output.status);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        // The server's processes end a moment later.
        std::thread::sleep(Duration::from_millis(200));
        Ok(Sample { seconds, cpu: cpu()? - cpu_before, wire: None, memory: None })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if let Some(master) = &mut self.master {
            end(master);
        }
        end(&mut self.server);
    }
}

fn server_configuration(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
         PidFile none\nStrictModes no\nSubsystem sftp internal-sftp\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nMaxStartups 100\n"
    )
}

fn client_configuration(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "Host bench\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {dir}/user_key\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  BatchMode yes\n  LogLevel ERROR\n"
    )
}

/// Bytes in both directions, as `rsync --stats` counts them (without what ssh adds).
fn parse_stats(text: &str) -> Option<f64> {
    let value = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().replace([',', '.'], "").parse().ok()
    };
    Some(value("Total bytes sent:")? + value("Total bytes received:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_of_rsync_are_summed_with_and_without_separators() {
        assert_eq!(
            parse_stats("x\nTotal bytes sent: 1,234,567\nTotal bytes received: 33\n"),
            Some(1_234_600.0)
        );
        assert_eq!(parse_stats("Total bytes sent: 12\nTotal bytes received: 3\n"), Some(15.0));
        assert_eq!(parse_stats("nothing"), None);
    }
}
