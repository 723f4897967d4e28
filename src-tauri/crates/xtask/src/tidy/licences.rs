//! Licences and origins of everything that is linked, by the same list in `deny.toml` that cargo-deny reads.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Finding;
use crate::shell;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let rules = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let allowed = allow_list(&rules);
    let mut command = shell::cargo();
    command.args(["metadata", "--format-version", "1"]);
    let output = shell::output_within(&mut command, Duration::from_secs(300))?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata: packages")?;
    let lock = Path::new("Cargo.lock");
    let mut findings = Vec::new();
    for package in packages {
        let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, licence, source) = (text("name"), text("license"), text("source"));
        if !is_allowed(licence, &allowed) {
            let message = format!("{name} has the licence {licence:?}, which deny.toml does not allow");
            findings.push(Finding::new(lock, 0, message));
        }
        if !source.is_empty() && !source.starts_with("registry+") {
            findings.push(Finding::new(lock, 0, format!("{name} does not come from the registry: {source}")));
        }
    }
    Ok(findings)
}

/// The strings of the first `allow = [ … ]` in `deny.toml`.
fn allow_list(rules: &str) -> Vec<String> {
    let list = rules.split_once("\nallow = [").map_or("", |(_, rest)| rest.split(']').next().unwrap_or(""));
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met with allowed licences only.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // The old way to write OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        // Not `met || …`: the words have to be read in any case.
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = single(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= single(words, at, allowed);
    }
    met
}

fn single(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let met = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut licence = word.to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        licence = format!("{word} WITH {exception}");
        *at += 2;
    }
    allowed.contains(&licence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_with_allowed_licences_only() {
        let allowed = allow_list(
            "[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\", \"Apache-2.0 WITH LLVM-exception\",\n]\n",
        );
        assert_eq!(allowed, ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
        let cases = [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("Apache-2.0/MIT", true),
            ("MIT AND ISC", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND ISC", true),
            ("ISC AND (GPL-2.0 OR GPL-3.0)", false),
            ("GPL-3.0 OR Apache-2.0 WITH LLVM-exception", true),
            ("", false),
            ("MIT)", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
