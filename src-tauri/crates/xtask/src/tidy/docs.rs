//! README and ARCHITECTURE stay true: every crate is on the map, every link leads somewhere.

use std::path::Path;

use super::Finding;
use super::manifest::Manifest;

const MAP: &str = "src-tauri/ARCHITECTURE.md";
const PAGES: [&str; 3] = ["README.md", MAP, "CHANGELOG.md"];

pub(super) fn check(root: &Path, manifests: &[Manifest], findings: &mut Vec<Finding>) {
    for page in PAGES {
        let path = Path::new(page);
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            findings.push(Finding::new(path, 0, "is missing"));
            continue;
        };
        for (line, target) in links(&text) {
            let base = path.parent().unwrap_or(Path::new(""));
            if !root.join(base).join(&target).exists() {
                findings.push(Finding::new(path, line, format!("the link to {target:?} leads nowhere")));
            }
        }
        if page == MAP {
            for manifest in manifests.iter().filter(|manifest| !is_on_map(&text, manifest)) {
                let message = format!("does not say what the crate {} is for", manifest.name);
                findings.push(Finding::new(path, 0, message));
            }
        }
    }
}

/// A crate is on the map under its name or its directory's name, as a word of its own.
fn is_on_map(text: &str, manifest: &Manifest) -> bool {
    let directory = manifest.path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    [Some(manifest.name.as_str()), directory].into_iter().flatten().any(|name| {
        text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').any(|word| word == name)
    })
}

/// Targets of Markdown links to files of the repository, with their lines; code blocks have none.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:") {
                found.push((i + 1, file.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_are_followed() {
        let text = "[a](b.md) and [c](d/e.md#part), [f](#here)\n[g](https://example.org/x)\n```\n[h](i.md)\n```\n![j](k.png \"l\")";
        let expected = [(1, "b.md"), (1, "d/e.md"), (6, "k.png")];
        assert_eq!(links(text), expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn a_crate_is_on_the_map_by_either_name() {
        let manifest = |directory: &str| {
            let path = format!("src-tauri/crates/{directory}/Cargo.toml");
            super::super::manifest::parse(Path::new(&path), "[package]\nname = \"evenfold-fs\"\n")
        };
        assert!(is_on_map("the disk: `crates/fs` scans", &manifest("fs")));
        assert!(is_on_map("evenfold-fs scans", &manifest("other")));
        assert!(!is_on_map("it syncs nfs and fsync", &manifest("fs")));
    }
}
