//! Splits Rust source into code, comments and string literals, so that a rule looks only where it applies.

/// One line of Rust, each part with everything else left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) strings: String,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Nested this deep.
    BlockComment(u32),
    Text,
    /// Ends at a quote and this many hashes.
    RawText(usize),
}

/// Splits a whole file. It need not be valid Rust; then the parts are a good guess.
pub(super) fn split(source: &str) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\n');
    let mut i = 0;
    while i < chars.len() {
        let c = at(i);
        if c == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            i += 1;
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        match state {
            State::Code => match c {
                '/' if at(i + 1) == '/' => state = State::LineComment,
                '/' if at(i + 1) == '*' => {
                    state = State::BlockComment(1);
                    i += 1;
                }
                '"' => {
                    state = match raw_hashes(&line.code) {
                        Some(hashes) => State::RawText(hashes),
                        None => State::Text,
                    };
                    line.code.push(c);
                }
                '\'' => {
                    // A character ends two or more places on; a lifetime has no end.
                    let end = if at(i + 1) == '\\' { (i + 3..i + 12).find(|&j| at(j) == '\'') } else { None };
                    if let Some(end) = end.or((at(i + 2) == '\'').then_some(i + 2)) {
                        i = end;
                    }
                    line.code.push(c);
                }
                _ => line.code.push(c),
            },
            State::LineComment => {}
            State::BlockComment(depth) => {
                if c == '*' && at(i + 1) == '/' {
                    i += 1;
                    state = if depth == 1 { State::Code } else { State::BlockComment(depth - 1) };
                } else if c == '/' && at(i + 1) == '*' {
                    i += 1;
                    state = State::BlockComment(depth + 1);
                }
            }
            State::Text => match c {
                '\\' => i += 1,
                '"' => state = end_text(line),
                _ => line.strings.push(c),
            },
            State::RawText(hashes) => {
                if c == '"' && (1..=hashes).all(|n| at(i + n) == '#') {
                    i += hashes;
                    state = end_text(line);
                } else {
                    line.strings.push(c);
                }
            }
        }
        // A backslash at the end of a line inside a string skips the line break: count it all the same.
        if i < chars.len() && at(i) == '\n' && c == '\\' {
            lines.push(Line::default());
        }
        i += 1;
    }
    lines
}

fn end_text(line: &mut Line) -> State {
    line.code.push('"');
    line.strings.push(' ');
    State::Code
}

/// The number of hashes if the code so far ends in `r`, `r#`, `br##`, …; a name ending in r is not that.
fn raw_hashes(code: &str) -> Option<usize> {
    let without = code.trim_end_matches('#');
    let before = without.strip_suffix('r')?;
    let before = before.strip_suffix(['b', 'c']).unwrap_or(before);
    let part_of_a_name = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    (!part_of_a_name).then_some(code.len() - without.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, code: &str, strings: &str) {
        let lines = split(source);
        let joined = |part: fn(&Line) -> &str| lines.iter().map(part).collect::<Vec<_>>().join("|");
        assert_eq!(joined(|line| &line.code), code, "{source}");
        assert_eq!(joined(|line| line.strings.trim_end()), strings, "{source}");
    }

    #[test]
    fn comments_strings_and_code_are_told_apart() {
        check("let a = 1; // b", "let a = 1; ", "");
        check("a /* b /* c */ d */ e", "a  e", "");
        check(r#"f("a \" // b", c)"#, r#"f("", c)"#, "a  // b");
        check("x = r#\"a \"b\" c\"#;", "x = r#\"\";", "a \"b\" c");
        check("for(\"a\")", "for(\"\")", "a");
        check("'\"' 'a' '\\'' &'a str \"b\"", "' ' ' &'a str \"\"", "b");
        check("\"a\nb\"\nc", "\"|\"|c", "a|b|");
        check("\"a\\\n  b\" c", "\"|\" c", "a|  b");
    }
}
