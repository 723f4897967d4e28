//! Lays out the installed files of the desktop application below one directory, as they will lie below `/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::said;
use super::stage::{compress, put};
use crate::shell;

/// Sizes of the icon theme.
const SIZES: [&str; 9] = ["16", "22", "24", "32", "48", "64", "128", "256", "512"];

/// Copies of the repository's own files: from, to.
const COPIES: [(&str, &str); 6] = [
    (
        "installers/desktop/app.evenfold.desktop.desktop",
        "usr/share/applications/app.evenfold.desktop.desktop",
    ),
    (
        "installers/desktop/app.evenfold.desktop.metainfo.xml",
        "usr/share/metainfo/app.evenfold.desktop.metainfo.xml",
    ),
    ("icons/app.svg", "usr/share/icons/hicolor/scalable/apps/evenfold.svg"),
    ("icons/glyphs/ok.svg", "usr/share/icons/hicolor/symbolic/apps/evenfold-symbolic.svg"),
    ("installers/deb/copyright", "usr/share/doc/evenfold-desktop/copyright"),
    ("CHANGELOG.md", "usr/share/doc/evenfold-desktop/changelog"),
];

/// Fills `stage` with everything that gets installed.
pub(super) fn fill(program: &Path, stage: &Path) -> Result<()> {
    let content = fs::read(program).with_context(|| program.display().to_string())?;
    put(stage, "usr/bin/evenfold-desktop", &content, 0o755)?;
    let copy = |from: &str, to: &str| -> Result<()> {
        let path = shell::root().join(from);
        put(stage, to, &fs::read(&path).with_context(|| path.display().to_string())?, 0o644)
    };
    for (from, to) in COPIES {
        copy(from, to)?;
    }
    for size in SIZES {
        let to = format!("usr/share/icons/hicolor/{size}x{size}/apps/evenfold.png");
        copy(&format!("icons/app/{size}.png"), &to)?;
    }
    compress(&stage.join("usr/share/doc/evenfold-desktop/changelog"))?;
    validate(stage)
}

/// Lets the desktop's own tools read what is theirs.
fn validate(stage: &Path) -> Result<()> {
    let share = stage.join("usr/share");
    let entry = share.join("applications/app.evenfold.desktop.desktop");
    let complaints = said(Command::new("desktop-file-validate").arg(&entry))?;
    if !complaints.is_empty() {
        bail!("the desktop entry is not quite right: {complaints}");
    }
    let about = share.join("metainfo/app.evenfold.desktop.metainfo.xml");
    said(Command::new("appstreamcli").args(["validate", "--no-net"]).arg(about)).map(|_| ())
}

/// Which packages of Debian hold the libraries that the program is linked to, with the versions it needs.
pub(super) fn dependencies(program: &Path, out: &Path) -> Result<String> {
    let dir = out.join("shlibs");
    fs::create_dir_all(dir.join("debian"))?;
    // The tool wants to be in a source package; of that it reads only that there is one.
    fs::write(
        dir.join("debian/control"),
        "Source: evenfold\n\nPackage: evenfold-desktop\nArchitecture: any\n",
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    let said = said(command.current_dir(&dir).arg("-O").arg(program))?;
    fs::remove_dir_all(&dir)?;
    match said.lines().find_map(|line| line.strip_prefix("shlibs:Depends=")) {
        Some(found) if found.contains("libwebkit2gtk") => Ok(found.to_owned()),
        _ => bail!("the libraries of {} were not found: {said}", program.display()),
    }
}
