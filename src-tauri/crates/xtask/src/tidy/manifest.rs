//! Reads of a `Cargo.toml` what the rules need: its name and its dependencies. No TOML parser has to be built for that.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Which table a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Dev,
    Build,
}

/// One dependency.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Counted from 1.
    pub(super) line: usize,
}

/// One package of the workspace.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Relative to the repository.
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// Every package below `src-tauri`, the desktop's own among them once it exists.
pub(super) fn all(root: &Path) -> Result<Vec<Manifest>> {
    let crates = root.join("src-tauri/crates");
    let mut paths = vec![PathBuf::from("src-tauri/Cargo.toml")];
    for entry in std::fs::read_dir(&crates).with_context(|| crates.display().to_string())? {
        paths.push(Path::new("src-tauri/crates").join(entry?.file_name()).join("Cargo.toml"));
    }
    paths.sort();
    let mut manifests = Vec::new();
    for path in paths {
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            manifests.push(parse(&path, &text));
        }
    }
    Ok(manifests)
}

pub(super) fn parse(path: &Path, text: &str) -> Manifest {
    let mut manifest = Manifest { path: path.to_path_buf(), name: String::new(), dependencies: Vec::new() };
    let mut section = String::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
            // [dependencies.name] is a dependency by itself.
            if let Some((table, name)) = section.rsplit_once('.')
                && let Some(kind) = kind_of(table)
            {
                manifest.dependencies.push(Dependency { name: unquoted(name), kind, line: i + 1 });
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if section == "package" && key == "name" {
            manifest.name = unquoted(value);
        } else if let Some(kind) = kind_of(&section) {
            let alias = key.split('.').next().unwrap_or(key);
            let name = renamed(value).unwrap_or_else(|| unquoted(alias));
            manifest.dependencies.push(Dependency { name, kind, line: i + 1 });
        }
    }
    manifest
}

fn kind_of(section: &str) -> Option<Kind> {
    // [target.'cfg(unix)'.dependencies] counts like [dependencies].
    match section.rsplit('.').next() {
        Some("dependencies") => Some(Kind::Normal),
        Some("dev-dependencies") => Some(Kind::Dev),
        Some("build-dependencies") => Some(Kind::Build),
        _ => None,
    }
}

/// The real name in `{ package = "name", … }`.
fn renamed(value: &str) -> Option<String> {
    let (_, after) = value.split_once("package")?;
    let after = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    after.split('"').next().map(str::to_owned)
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_dependency_is_found() {
        let text = "[package]\nname = \"evenfold-x\" # comment\n\n[dependencies]\na.workspace = true\nb = \"1\"\n\
                    c = { package = \"real-c\", version = \"1\" }\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n\
                    [dependencies.e]\nversion = \"1\"\n[dev-dependencies]\nf = \"1\"\n[build-dependencies]\ng = \"1\"\n\
                    [[bin]]\nname = \"y\"\n[features]\nz = []\n";
        let manifest = parse(Path::new("Cargo.toml"), text);
        assert_eq!(manifest.name, "evenfold-x");
        let found: Vec<(&str, Kind)> =
            manifest.dependencies.iter().map(|found| (found.name.as_str(), found.kind)).collect();
        let normal = ["a", "b", "real-c", "d", "e"].map(|name| (name, Kind::Normal));
        assert_eq!(found[..5], normal);
        assert_eq!(found[5..], [("f", Kind::Dev), ("g", Kind::Build)]);
    }
}
