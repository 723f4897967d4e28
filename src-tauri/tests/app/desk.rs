//! A desktop for one test: X server, window manager, session bus, directories, and the application on it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::panel::Panel;
use crate::process::{Owned, eventually};
use crate::server::{self, Notifications};

/// A desktop. Its parts end in the order of the fields.
pub(crate) struct Desk {
    pub(crate) panel: Option<Panel>,
    pub(crate) notifications: Notifications,
    _parts: Vec<Owned>,
    display: String,
    bus: String,
    dir: TempDir,
}

impl Desk {
    /// A desktop with a panel that shows tray icons.
    pub(crate) fn new() -> Desk {
        let mut desk = Desk::without_panel();
        desk.panel = Some(Panel::start(&desk.bus));
        desk
    }

    /// A desktop that shows no tray icons.
    pub(crate) fn without_panel() -> Desk {
        let dir = tempfile::Builder::new().prefix("evenfold-desk").tempdir().unwrap();
        for name in ["home", "run", "config"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut bus = Owned::start(
            Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let address = first_line(&mut bus);
        let mut screen = Owned::start(
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let display = format!(":{}", first_line(&mut screen));
        let notifications = server::start(&address);
        let mut desk =
            Desk { panel: None, notifications, _parts: vec![bus, screen], display, bus: address, dir };
        let manager =
            Owned::start(desk.on(Command::new("openbox")).stdout(Stdio::null()).stderr(Stdio::null()));
        desk._parts.insert(0, manager);
        desk
    }

    /// Gives a program this desktop's surroundings.
    pub(crate) fn on(&self, mut command: Command) -> Command {
        for name in [
            "EVENFOLD_HOME",
            "WAYLAND_DISPLAY",
            "XDG_CURRENT_DESKTOP",
            "GTK_THEME",
            "APPIMAGE",
            "XDG_DATA_HOME",
        ] {
            command.env_remove(name);
        }
        command
            .env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("EVENFOLD_NAME", "desk")
            .env("EVENFOLD_LISTEN", "127.0.0.1:0")
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("NO_AT_BRIDGE", "1")
            .stdin(Stdio::null());
        command
    }

    /// A directory of this desktop.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The home of the node.
    pub(crate) fn node_home(&self) -> PathBuf {
        self.path("home/.local/share/evenfold")
    }

    /// Starts the application.
    pub(crate) fn start(&self, arguments: &[&str]) -> Owned {
        self.start_program(&application(), arguments)
    }

    /// Starts a copy of the application.
    pub(crate) fn start_program(&self, program: &Path, arguments: &[&str]) -> Owned {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.on(Command::new(program));
        Owned::start(command.args(arguments).stdout(Stdio::null()).stderr(log))
    }

    /// The number of the window on the screen, if one is seen.
    pub(crate) fn window(&self) -> Option<String> {
        let mut search = self.on(Command::new("xdotool"));
        let found = search.args(["search", "--onlyvisible", "--name", "^Evenfold$"]).output().unwrap();
        String::from_utf8_lossy(&found.stdout).lines().next().map(str::to_owned)
    }

    /// Waits for the window.
    #[track_caller]
    pub(crate) fn until_window(&self) -> String {
        eventually("a window is seen", || self.window())
    }

    /// Closes the window as its own button does.
    #[track_caller]
    pub(crate) fn close_window(&self) {
        self.until_window();
        // The window manager may not know the window yet: it is asked until the window is gone.
        eventually("the window is closed", || {
            self.on(Command::new("wmctrl")).args(["-c", "Evenfold"]).status().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.window().is_none().then_some(())
        });
    }

    /// The panel.
    pub(crate) fn panel(&self) -> &Panel {
        self.panel.as_ref().unwrap()
    }

    pub(crate) fn bus(&self) -> &str {
        &self.bus
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("--- the application said:\n{log}");
        }
    }
}

/// The application as cargo built it.
pub(crate) fn application() -> PathBuf {
    // Another build, such as an installed one, can be tried out in its place.
    std::env::var_os("EVENFOLD_TEST_APPLICATION")
        .map_or_else(|| env!("CARGO_BIN_EXE_evenfold-desktop").into(), Into::into)
}

fn first_line(process: &mut Owned) -> String {
    let out = process.0.stdout.take().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(out);
    reader.read_line(&mut line).unwrap();
    // Kept open: who prints into a closed pipe ends.
    std::mem::forget(reader);
    line.trim().to_owned()
}
