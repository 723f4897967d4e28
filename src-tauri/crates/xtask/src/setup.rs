//! Installs what the verbs need: each step is checked for need first and says what it does.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::shell;

const HELP: &str = "\
cargo xtask setup [--dry-run] [--deny]

Installs whatever is missing for building, testing, measuring and packaging,
the desktop application among it:
Debian packages (through apt-get, with sudo if not root), rustfmt and clippy,
cargo-nextest. Steps that are not needed are skipped.

  --dry-run   only say what would be done
  --deny      also install cargo-deny (some minutes of compiling); without it,
              tidy checks licences and sources, but no advisories

The other verbs call this by themselves for what they need.
";

/// What a step is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Build,
    Test,
    Bench,
    Package,
    Desktop,
}

struct Debian {
    package: &'static str,
    /// Present when all of these programs are found; one that ends in `.pc` is a library as pkg-config knows it.
    programs: &'static [&'static str],
    needed: &'static [For],
    why: &'static str,
}

const DEBIAN: [Debian; 19] = [
    Debian {
        package: "build-essential",
        programs: &["cc", "ar"],
        needed: &[For::Build],
        why: "cryptography, SQLite and zstd are compiled from C",
    },
    Debian {
        package: "openssh-server",
        programs: &["sshd"],
        needed: &[For::Test, For::Bench],
        why: "tests against a stock SSH host; the other end of rsync in the benchmark",
    },
    Debian {
        package: "openssh-client",
        programs: &["ssh", "ssh-keygen"],
        needed: &[For::Test, For::Bench],
        why: "the same",
    },
    Debian {
        package: "iproute2",
        programs: &["ip", "ss"],
        needed: &[For::Test, For::Bench],
        why: "cut links in tests; bytes on the wire in the benchmark",
    },
    Debian {
        package: "strace",
        programs: &["strace"],
        needed: &[For::Test],
        why: "makes system calls fail in tests",
    },
    Debian {
        package: "rsync",
        programs: &["rsync"],
        needed: &[For::Bench],
        why: "the peer to measure against",
    },
    Debian {
        package: "dpkg",
        programs: &["dpkg-deb"],
        needed: &[For::Package],
        why: "builds the Debian package",
    },
    Debian {
        package: "libwebkit2gtk-4.1-dev",
        programs: &["webkit2gtk-4.1.pc"],
        needed: &[For::Desktop],
        why: "the web view of the desktop application",
    },
    Debian {
        package: "webkit2gtk-driver",
        programs: &["WebKitWebDriver"],
        needed: &[For::Desktop],
        why: "tests look into the window",
    },
    Debian {
        package: "chromium",
        programs: &["chromium"],
        needed: &[For::Desktop],
        why: "draws every page of the window for its tests",
    },
    Debian { package: "xvfb", programs: &["Xvfb"], needed: &[For::Desktop], why: "a screen for each test" },
    Debian {
        package: "dbus",
        programs: &["dbus-daemon"],
        needed: &[For::Desktop],
        why: "a session bus for each test",
    },
    Debian {
        package: "openbox",
        programs: &["openbox"],
        needed: &[For::Desktop],
        why: "closes windows as a person does",
    },
    Debian { package: "wmctrl", programs: &["wmctrl"], needed: &[For::Desktop], why: "the same" },
    Debian {
        package: "xdotool",
        programs: &["xdotool"],
        needed: &[For::Desktop],
        why: "finds windows on the screen",
    },
    Debian {
        package: "desktop-file-utils",
        programs: &["desktop-file-validate"],
        needed: &[For::Desktop, For::Package],
        why: "checks the desktop entries",
    },
    Debian {
        package: "appstream",
        programs: &["appstreamcli"],
        needed: &[For::Package],
        why: "checks what software centres show",
    },
    Debian {
        package: "rpm",
        programs: &["rpmbuild"],
        needed: &[For::Package],
        why: "builds the RPM package",
    },
    Debian {
        package: "dpkg-dev",
        programs: &["dpkg-shlibdeps"],
        needed: &[For::Package],
        why: "finds the libraries that the desktop needs",
    },
];

/// `cargo xtask setup`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let dry = args.flag("--dry-run");
    let deny = args.flag("--deny");
    args.finish()?;
    ensure(&[For::Build, For::Test, For::Bench, For::Package, For::Desktop], dry)?;
    components(dry)?;
    nextest(dry)?;
    if deny {
        cargo_subcommand("deny", dry)?;
    }
    println!("setup: {}", if dry { "nothing was changed" } else { "everything is there" });
    Ok(())
}

/// rustfmt and clippy.
pub(crate) fn components(dry: bool) -> Result<()> {
    rust_component("rustfmt", "fmt", dry)?;
    rust_component("clippy", "clippy", dry)
}

/// The test runner.
pub(crate) fn nextest(dry: bool) -> Result<()> {
    cargo_subcommand("nextest", dry)
}

/// Sees to it that the system's packages for these purposes are there.
pub(crate) fn ensure(purposes: &[For], dry: bool) -> Result<()> {
    let mut missing = Vec::new();
    for entry in DEBIAN.iter().filter(|entry| entry.needed.iter().any(|need| purposes.contains(need))) {
        if entry.programs.iter().all(|program| is_there(program)) {
            println!("setup: {} is there", entry.package);
        } else {
            println!("setup: {} is missing ({})", entry.package, entry.why);
            missing.push(entry.package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install these by hand, then try again: {}", missing.join(" "));
    if shell::find("apt-get").is_none() {
        bail!("there is no apt-get here; {by_hand}");
    }
    let Some(prefix) = as_root() else {
        bail!("packages can only be installed by root, and there is no sudo; {by_hand}");
    };
    let mut update = elevated(&prefix, "apt-get");
    update.args(["update", "-q"]);
    let mut install = elevated(&prefix, "apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing);
    for command in [&mut update, &mut install] {
        if dry {
            println!("setup: would run `{}`", shell::shown(command));
        } else if let Err(error) = shell::run(command) {
            bail!("{error:#}; {by_hand}");
        }
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    match program.strip_suffix(".pc") {
        Some(library) => shell::succeeds(Command::new("pkg-config").args(["--exists", library])),
        None => shell::find(program).is_some(),
    }
}

/// What has to stand before a command so that it runs as root; `None` if there is no way.
fn as_root() -> Option<Vec<&'static str>> {
    let output = Command::new("id").arg("-u").output().ok()?;
    if String::from_utf8_lossy(&output.stdout).trim() == "0" {
        return Some(vec!["env"]);
    }
    shell::find("sudo").map(|_| vec!["sudo", "env"])
}

fn elevated(prefix: &[&str], program: &str) -> Command {
    let (first, others) = prefix.split_first().unwrap_or((&"env", &[]));
    let mut command = Command::new(first);
    // RUNLEVEL=1 keeps apt from starting an SSH server on somebody's laptop: only its program is wanted.
    command.args(others).args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]).arg(program);
    command
}

fn rust_component(component: &str, subcommand: &str, dry: bool) -> Result<()> {
    if shell::succeeds(shell::cargo().args([subcommand, "--version"])) {
        println!("setup: {component} is there");
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["component", "add", component]);
    if dry {
        println!("setup: {component} is missing, would run `{}`", shell::shown(&add));
        return Ok(());
    }
    shell::run(&mut add)
}

/// Installs `cargo-NAME` from source if it is missing. It goes where cargo itself looks, whatever HOME is.
fn cargo_subcommand(name: &str, dry: bool) -> Result<()> {
    if shell::succeeds(shell::cargo().args([name, "--version"])) {
        println!("setup: cargo-{name} is there");
        return Ok(());
    }
    let mut install = shell::cargo();
    install.args(["install", "--locked", &format!("cargo-{name}")]);
    if dry {
        println!("setup: cargo-{name} is missing, would run `{}`", shell::shown(&install));
        return Ok(());
    }
    println!("setup: cargo-{name} is missing; compiling it takes some minutes, once");
    shell::run(&mut install)
}
