//! Who may depend on whom: desktop, cli → node → engine, store, ssh, fs, wire → core.

use super::Finding;
use super::manifest::{Dependency, Kind, Manifest};

/// What each package may use of the others. `testkit` besides, in tests only.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("evenfold-core", &[]),
    ("evenfold-fs", &["core"]),
    ("evenfold-wire", &["core"]),
    ("evenfold-ssh", &["core"]),
    ("evenfold-store", &["core"]),
    ("evenfold-engine", &["core"]),
    ("evenfold-node", &["core", "engine", "fs", "ssh", "store", "wire"]),
    ("evenfold-cli", &["node"]),
    ("evenfold-desktop", &["node"]),
    ("evenfold-testkit", &["core", "engine", "fs"]),
    ("xtask", &[]),
];

/// Libraries that exactly one package may know.
const EXCLUSIVE: [(&str, &str); 4] = [
    ("russh", "evenfold-ssh"),
    ("sqlx", "evenfold-store"),
    ("notify", "evenfold-fs"),
    ("tauri", "evenfold-desktop"),
];

/// Names that begin like an exclusive library but have nothing to do with it.
const UNRELATED: [&str; 1] = ["notify-rust"];

/// The core stays pure: nothing that could reach a clock, a disk or a network.
const CORE_MAY_USE: [&str; 2] = ["blake3", "thiserror"];

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let allowed = ALLOWED.iter().find(|(name, _)| *name == manifest.name).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else {
        let message =
            format!("{:?} has no place in the layers; give it one in tidy/layers.rs", manifest.name);
        findings.push(Finding::new(&manifest.path, 0, message));
        return;
    };
    for dependency in &manifest.dependencies {
        if let Some(message) = wrong(&manifest.name, allowed, dependency) {
            findings.push(Finding::new(&manifest.path, dependency.line, message));
        }
    }
}

fn wrong(package: &str, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if let Some(short) = name.strip_prefix("evenfold-") {
        let in_tests = dependency.kind == Kind::Dev;
        if allowed.contains(&short) || in_tests && (short == "testkit" || package == "evenfold-cli") {
            return None;
        }
        return Some(format!("{package} may not depend on {name}: it is not below it"));
    }
    for (library, owner) in EXCLUSIVE {
        let same = name == library || name.strip_prefix(library).is_some_and(|rest| rest.starts_with('-'));
        if same && package != owner && !UNRELATED.contains(&name) {
            return Some(format!("only {owner} may use {name}"));
        }
    }
    if package == "evenfold-core" && dependency.kind != Kind::Dev && !CORE_MAY_USE.contains(&name) {
        return Some(format!("the core is pure and may use only {}, not {name}", CORE_MAY_USE.join(", ")));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::manifest;
    use super::*;

    fn findings(package: &str, tables: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{package}\"\n{tables}");
        let mut findings = Vec::new();
        check(&manifest::parse(Path::new("Cargo.toml"), &text), &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn what_points_downwards_is_fine() {
        let fine = [
            ("evenfold-cli", "[dependencies]\nevenfold-node.workspace = true\nclap.workspace = true"),
            (
                "evenfold-node",
                "[dependencies]\nevenfold-store.workspace = true\nevenfold-ssh.workspace = true",
            ),
            (
                "evenfold-engine",
                "[dependencies]\nevenfold-core.workspace = true\n[dev-dependencies]\nevenfold-testkit.workspace = true",
            ),
            ("evenfold-ssh", "[dependencies]\nrussh.workspace = true\nrussh-sftp = \"3\""),
            (
                "evenfold-core",
                "[dependencies]\nblake3.workspace = true\n[dev-dependencies]\nproptest.workspace = true",
            ),
            (
                "evenfold-desktop",
                "[dependencies]\ntauri = \"2\"\ntauri-plugin-opener = \"2\"\nnotify-rust = \"4\"",
            ),
        ];
        for (package, tables) in fine {
            assert_eq!(findings(package, tables), Vec::<String>::new(), "{package}");
        }
    }

    #[test]
    fn what_points_sideways_or_up_is_found() {
        let wrong = [
            ("evenfold-core", "[dependencies]\ntokio.workspace = true"),
            ("evenfold-fs", "[dependencies]\nevenfold-store.workspace = true"),
            ("evenfold-engine", "[dependencies]\nevenfold-testkit.workspace = true"),
            ("evenfold-cli", "[dependencies]\nevenfold-engine.workspace = true"),
            ("evenfold-node", "[dependencies]\nsqlx.workspace = true"),
            ("evenfold-cli", "[dev-dependencies]\nrussh-sftp = \"3\""),
            ("evenfold-fs", "[dependencies]\nx = { package = \"tauri\", version = \"2\" }"),
            ("evenfold-new", ""),
        ];
        for (package, tables) in wrong {
            assert_eq!(findings(package, tables).len(), 1, "{package}: {tables}");
        }
    }
}
