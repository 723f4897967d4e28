//! Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::started::User;
use super::{Packed, SOON, VERSION, run_version, said};
use crate::{shell, tree};

/// Builds one from a filled stage, which stays as it is.
pub(super) fn build(what: &Packed, depends: &str, stage: &Path, out: &Path) -> Result<PathBuf> {
    let dir = out.join("deb");
    said(Command::new("cp").arg("-a").arg(stage).arg(&dir))?;
    let (_, bytes) = tree::size(&dir)?;
    let architecture = said(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    let template = shell::root().join("installers/deb").join(what.control);
    let control = fs::read_to_string(&template)
        .with_context(|| template.display().to_string())?
        .replace("@VERSION@", VERSION)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@INSTALLED_SIZE@", &bytes.div_ceil(1024).to_string())
        .replace("@DEPENDS@", depends);
    let sums = said(
        Command::new("sh")
            .current_dir(&dir)
            .args(["-c", "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"]),
    )?;
    fs::create_dir(dir.join("DEBIAN"))?;
    fs::write(dir.join("DEBIAN/control"), control)?;
    fs::write(dir.join("DEBIAN/md5sums"), sums)?;
    let package = out.join(format!("{}_{VERSION}_{architecture}.deb", what.name));
    // Everything belongs to root, whoever builds.
    said(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&dir).arg(&package))?;
    fs::remove_dir_all(&dir)?;
    Ok(package)
}

/// What the headless program needs at run time, read from the program itself.
pub(super) fn dependencies(program: &Path) -> Result<String> {
    let dynamic = said(Command::new("objdump").arg("-p").arg(program))?;
    let mut found = Vec::new();
    if let Some((major, minor)) = newest_glibc(&dynamic) {
        found.push(format!("libc6 (>= {major}.{minor})"));
    }
    for library in needed(&dynamic) {
        match library {
            "libgcc_s.so.1" => found.push("libgcc-s1".to_owned()),
            _ if KNOWN.iter().any(|known| library.starts_with(known)) => {}
            other => bail!("evenfold is linked to {other}, and no package is known for it"),
        }
    }
    Ok(found.join(", "))
}

/// Parts of libc6.
const KNOWN: [&str; 5] = ["libc.so.", "libm.so.", "ld-linux", "libpthread.so.", "libdl.so."];

/// The newest `GLIBC_x.y` that `objdump -p` names.
fn newest_glibc(dynamic: &str) -> Option<(u32, u32)> {
    dynamic
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_")?.split_once('.'))
        .filter_map(|(major, rest)| {
            Some((major.parse().ok()?, rest.split('.').next().unwrap_or(rest).parse().ok()?))
        })
        .max()
}

fn needed(dynamic: &str) -> impl Iterator<Item = &str> {
    dynamic.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim)
}

/// Installs it into an empty root, starts it, removes it, and looks at what is left. `headless` is an `evenfold` to ask
/// the started program with.
pub(super) fn check(what: &Packed, package: &Path, root: &Path, headless: &Path) -> Result<()> {
    let admin = root.join("var/lib/dpkg");
    for dir in ["info", "updates"] {
        fs::create_dir_all(admin.join(dir))?;
    }
    for file in ["status", "available"] {
        fs::write(admin.join(file), "")?;
    }
    // An empty root has no libc6 package, and only root may be root; both do not matter here.
    let dpkg = || {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", root.display()));
        command.args(["--force-depends", "--force-not-root", "--force-script-chrootless", "--log=/dev/null"]);
        command
    };
    said(dpkg().arg("--install").arg(package))?;
    let program = root.join("usr/bin").join(what.program);
    run_version(&program)?;
    for installed in what.installs {
        if fs::metadata(root.join(installed)).with_context(|| (*installed).to_owned())?.len() == 0 {
            bail!("{installed} is empty");
        }
    }
    if root.join("usr/lib/systemd").exists() {
        units(root)?;
    }
    let user = User::of(what, root, headless)?;
    said(dpkg().args(["--purge", what.name]))?;
    user.has_everything()?;
    if program.exists() || root.join("usr/share/doc").join(what.name).exists() {
        bail!("after its removal, files are left below {}", root.display());
    }
    Ok(())
}

/// Lets systemd read the unit files, with the program where it lies in this root.
fn units(root: &Path) -> Result<()> {
    if shell::find("systemd-analyze").is_none() {
        println!("package: there is no systemd-analyze here; the unit files were not checked");
        return Ok(());
    }
    for (unit, manager) in [("user/evenfold.service", "--user"), ("system/evenfold@.service", "--system")] {
        let text = fs::read_to_string(root.join("usr/lib/systemd").join(unit))?;
        let program = root.join("usr/bin/evenfold");
        let copy = root.join(unit.rsplit('/').next().unwrap_or(unit));
        fs::write(&copy, text.replace("/usr/bin/evenfold", &program.display().to_string()))?;
        let mut verify = Command::new("systemd-analyze");
        verify.env("XDG_RUNTIME_DIR", root).args(["verify", manager, "--man=no"]).arg(&copy);
        let output = shell::output_within(&mut verify, SOON)?;
        // Mistyped keys are mere warnings to it, and it also warns about units that are not ours.
        let complaints = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("evenfold")).collect();
        if !output.status.success() || !ours.is_empty() {
            bail!("systemd does not like {unit}: {}", ours.join("; "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJDUMP: &str = "\nDynamic Section:\n  NEEDED               libgcc_s.so.1\n  NEEDED               libc.so.6\n\
        \nVersion References:\n  required from libc.so.6:\n    0x06969185 0x00 25 GLIBC_2.9\n    0x069691b9 0x00 24 GLIBC_2.34\n    0x1 0x00 2 GLIBC_2.2.5\n";

    #[test]
    fn the_newest_libc_symbol_decides() {
        assert_eq!(newest_glibc(OBJDUMP), Some((2, 34)));
        assert_eq!(needed(OBJDUMP).collect::<Vec<_>>(), ["libgcc_s.so.1", "libc.so.6"]);
    }
}
