//! Rules about single files: size, finished work, no SQL outside the store, nobody's own paths.

use std::path::Path;

use super::Finding;
use super::rust_text;

/// A file longer than this has more than one purpose.
const MAX_LINES: usize = 600;

/// Written in two halves, so that this file keeps the rule.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const MACROS: [&str; 2] = [concat!("to", "do!"), concat!("unimpl", "emented!")];

/// A literal with all words of one of these is taken for SQL.
const SQL: [&[&str]; 5] = [
    &[concat!("SEL", "ECT "), "FROM "],
    &[concat!("INS", "ERT INTO ")],
    &[concat!("DEL", "ETE FROM ")],
    &[concat!("UPD", "ATE "), " SET "],
    &[concat!("CRE", "ATE TABLE ")],
];

const CHECKED: [&str; 9] = ["rs", "ts", "svelte", "css", "html", "sh", "py", "toml", "sql"];

/// `path` is relative to `root`.
pub(super) fn check(path: &Path, text: &str, root: &Path, findings: &mut Vec<Finding>) {
    own_paths(path, text, root, findings);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !CHECKED.contains(&extension) || path.components().any(|part| part.as_os_str() == "generated") {
        return;
    }
    for (i, line) in text.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            findings.push(Finding::new(path, i + 1, format!("{mark}: finish it, or say why it is so")));
        }
    }
    if extension == "rs" {
        rust(path, text, findings);
    }
}

fn rust(path: &Path, text: &str, findings: &mut Vec<Finding>) {
    let length = text.lines().count();
    if length > MAX_LINES {
        let message = format!("{length} lines; split it by purpose, {MAX_LINES} are the limit");
        findings.push(Finding::new(path, 0, message));
    }
    let lines = rust_text::split(text);
    for (i, line) in lines.iter().enumerate() {
        for name in MACROS.iter().filter(|name| line.code.contains(**name)) {
            findings.push(Finding::new(path, i + 1, format!("{name}() is not finished work")));
        }
    }
    if path.starts_with("src-tauri/crates/store") {
        return;
    }
    // A statement may span the lines of one literal: look at each line and the next few together.
    let strings: Vec<&str> = lines.iter().map(|line| line.strings.as_str()).collect();
    for (i, first) in strings.iter().enumerate() {
        let nearby = strings.iter().skip(i).take(6).copied().collect::<Vec<_>>().join(" ");
        let found = SQL.iter().any(|words| {
            words.first().is_some_and(|word| first.contains(word))
                && words.iter().all(|word| nearby.contains(word))
        });
        if found {
            findings.push(Finding::new(path, i + 1, "SQL belongs into the store"));
        }
    }
}

/// A checkout's own place must not get into the repository. A short root such as `/src` would match by chance.
fn own_paths(path: &Path, text: &str, root: &Path, findings: &mut Vec<Finding>) {
    let Some(root) = root.to_str().filter(|_| root.components().count() > 2) else { return };
    for (i, line) in text.lines().enumerate() {
        let after = line.split_once(root).map(|(_, after)| after.chars().next());
        if after.is_some_and(|next| next.is_none_or(|c| !c.is_alphanumeric())) {
            findings.push(Finding::new(path, i + 1, "names the place of somebody's own checkout"));
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let mut findings = Vec::new();
        check(Path::new(path), text, Path::new("/somebody/evenfold"), &mut findings);
        findings.into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    #[test]
    fn unfinished_work_is_found_where_it_counts() {
        let mark = concat!("TO", "DO");
        assert_eq!(found("a/b.rs", &format!("fn a() {{}}\n// {mark}: b\n")).len(), 1);
        assert_eq!(found("a/b.svelte", &format!("<!-- {mark} -->")).len(), 1);
        assert_eq!(found("a/generated/b.ts", &format!("// {mark}")).len(), 0);
        assert_eq!(found("a/b.rs", "let TODOS = 1;").len(), 0);
        assert_eq!(found("a/b.rs", concat!("fn a() { to", "do!() }")).len(), 1);
        assert_eq!(found("a/b.rs", concat!("// never write to", "do!()")).len(), 0);
    }

    #[test]
    fn long_files_are_found_but_not_generated_ones() {
        let text = "//\n".repeat(601);
        assert_eq!(found("a/b.rs", &text).len(), 1);
        assert_eq!(found("a/generated/b.rs", &text).len(), 0);
        assert_eq!(found("a/b.rs", &"//\n".repeat(600)).len(), 0);
    }

    #[test]
    fn sql_is_found_in_literals_outside_the_store() {
        let select = concat!("let q = \"SEL", "ECT a\n   FROM b\";");
        assert_eq!(found("src-tauri/crates/node/src/a.rs", select).len(), 1);
        assert_eq!(found("src-tauri/crates/store/src/a.rs", select).len(), 0);
        let prose = concat!("// SEL", "ECT a FROM b\nlet a = \"SEL", "ECT one\";");
        assert_eq!(found("src-tauri/crates/node/src/a.rs", prose).len(), 0);
    }

    #[test]
    fn the_checkouts_own_place_is_found_in_any_file() {
        assert_eq!(found("notes.md", "see /somebody/evenfold/target").len(), 1);
        assert_eq!(found("notes.md", "see /somebody/evenfolding").len(), 0);
    }
}
