//! Installed programs at work: started as a user starts them, asked, given a folder, ended; and what their removal must
//! leave alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Packed, SOON};
use crate::node::{Node, dying_with_us, wait_until};
use crate::tree::{self, Item};
use crate::{node, shell};

/// How long a program may take to answer or to show its window, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A made-up user below an installed root: a home of a node, and a folder that it shares.
pub(super) struct User {
    /// Home of the node and synced folder, with what they held after the program had ended.
    kept: Vec<(PathBuf, BTreeMap<PathBuf, Item>)>,
}

impl User {
    /// Lets the user start what was installed below `root` and share a folder. `headless` is an `evenfold` to ask with.
    pub(super) fn of(what: &Packed, root: &Path, headless: &Path) -> Result<User> {
        let dir = root.join("home/alice");
        let folder = dir.join("Photos");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("harbour.txt"), "seven boats\n")?;
        let program = root.join("usr/bin").join(what.program);
        let share = ["share", &folder.display().to_string(), "--name", "photos"].map(str::to_owned);
        let share: Vec<&str> = share.iter().map(String::as_str).collect();
        if what.window {
            let screen = Screen::start(&dir)?;
            let application = Application::start(&program, &screen, &dir)?;
            application.ask(headless, &share)?;
            application.end()?;
        } else {
            let node = Node::start(&program, &dir, "alice", false)?;
            node.cli(&share)?;
            node.stop()?;
        }
        println!("package: {} was started and shares a folder", program.display());
        let keeps = [dir.join("alice"), folder.clone(), folder.join(tree::OWN)];
        let kept = keeps.into_iter().map(|dir| Ok((dir.clone(), tree::walk(&dir)?)));
        Ok(User { kept: kept.collect::<Result<_>>()? })
    }

    /// Sees that the user still has everything.
    pub(super) fn has_everything(&self) -> Result<()> {
        for (dir, before) in &self.kept {
            if before.is_empty() || tree::walk(dir)? != *before {
                bail!("the removal has changed something below {}", dir.display());
            }
        }
        Ok(())
    }
}

/// An X server and a session bus, ended when dropped.
struct Screen {
    parts: Vec<Child>,
    display: String,
    bus: String,
}

impl Screen {
    fn start(dir: &Path) -> Result<Screen> {
        let mut screen = Screen { parts: Vec::new(), display: String::new(), bus: String::new() };
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        screen.bus = screen.part(&mut bus, dir)?;
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
        screen.display = format!(":{}", screen.part(&mut server, dir)?);
        Ok(screen)
    }

    /// Starts a program that prints where it can be reached, and returns that.
    fn part(&mut self, command: &mut Command, dir: &Path) -> Result<String> {
        let what = shell::shown(command);
        let log = File::options().create(true).append(true).open(dir.join("screen.log"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{what} cannot be started"))?;
        let out = child.stdout.take();
        self.parts.push(child);
        let mut line = String::new();
        BufReader::new(out.context("no output")?).read_line(&mut line)?;
        if line.trim().is_empty() {
            bail!("{what} does not say where it can be reached");
        }
        Ok(line.trim().to_owned())
    }

    fn on(&self, mut command: Command) -> Command {
        command.env("DISPLAY", &self.display).env("DBUS_SESSION_BUS_ADDRESS", &self.bus);
        command
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for part in self.parts.iter_mut().rev() {
            // It may have ended already.
            let _ = part.kill();
            let _ = part.wait();
        }
    }
}

/// The desktop application, with its window.
struct Application {
    child: Child,
    home: PathBuf,
}

impl Application {
    fn start(program: &Path, screen: &Screen, dir: &Path) -> Result<Application> {
        let home = dir.join("alice");
        let log = File::create(dir.join("application.log"))?;
        let run = dir.join("run");
        fs::create_dir(&run)?;
        let mut command = screen.on(dying_with_us(program));
        node::plain_environment(&mut command);
        command.arg("--home").arg(&home).env("EVENFOLD_LISTEN", "127.0.0.1:0").env_remove("WAYLAND_DISPLAY");
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command.env("HOME", dir).env("XDG_RUNTIME_DIR", &run).env("NO_AT_BRIDGE", "1");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut application = Application { child, home };
        let seen = || {
            let mut search = screen.on(Command::new("xdotool"));
            search.args(["search", "--onlyvisible", "--name", "^Evenfold$"]);
            shell::output_within(&mut search, PATIENCE).map(|found| !found.stdout.is_empty())
        };
        let child = &mut application.child;
        wait_until("the window is seen", PATIENCE, || match child.try_wait()? {
            Some(status) => {
                let said = fs::read_to_string(dir.join("application.log")).unwrap_or_default();
                bail!("the application ended at once ({status}); it said:\n{said}")
            }
            None => seen(),
        })?;
        Ok(application)
    }

    /// Gives a command to its node, as soon as that answers.
    fn ask(&self, headless: &Path, words: &[&str]) -> Result<()> {
        let command = |words: &[&str]| {
            let mut command = Command::new(headless);
            node::plain_environment(&mut command);
            command.arg("--home").arg(&self.home).args(words);
            command
        };
        // Only a node that runs listens somewhere.
        wait_until("the node of the application answers", PATIENCE, || {
            let shown = shell::output_within(&mut command(&["node", "show", "--json"]), SOON)?;
            let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
            Ok(shown["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty()))
        })?;
        super::said(&mut command(words)).map(|_| ())
    }

    /// Asks it to end, and sees that it does so in order.
    fn end(mut self) -> Result<()> {
        shell::terminate(self.child.id());
        match shell::wait_within(&mut self.child, PATIENCE) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the application ended badly ({status})"),
            None => bail!("the application did not end when asked to"),
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
