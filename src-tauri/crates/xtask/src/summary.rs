//! Reads how many tests passed and failed from what nextest and `cargo test` print.

/// Tests that ran, by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Adds both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// Reads nextest's last summary line; `None` if there is none, which means that the tests were not even built.
pub(crate) fn nextest(output: &str) -> Option<Counts> {
    let plain = without_colours(output);
    let line = plain.lines().rev().find(|line| line.contains("Summary [") && line.contains(" run: "))?;
    let (_, outcomes) = line.split_once(" run: ")?;
    let mut counts = Counts::default();
    for part in without_parentheses(outcomes).split(',') {
        let mut words = part.split_whitespace();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
        match words.next() {
            Some("passed") => counts.passed += number,
            Some("skipped") | None => {}
            // failed, exec failed, timed out: none of them passed.
            Some(_) => counts.failed += number,
        }
    }
    Some(counts)
}

/// Sums the `test result:` lines of `cargo test`.
pub(crate) fn cargo_test(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in without_colours(output).lines() {
        let Some((_, outcomes)) = line.split_once("test result: ") else { continue };
        for part in outcomes.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) {
                (Some(number), Some("passed")) => counts.passed += number,
                (Some(number), Some("failed")) => counts.failed += number,
                _ => {}
            }
        }
    }
    counts
}

/// Reads the line `Tests  2 failed | 118 passed (120)` of vitest; `None` if there is none, which means that nothing ran.
pub(crate) fn vitest(output: &str) -> Option<Counts> {
    let plain = without_colours(output);
    let line = plain.lines().rev().find_map(|line| line.trim().strip_prefix("Tests  "))?;
    let mut counts = Counts::default();
    for part in without_parentheses(line).split('|') {
        let mut words = part.split_whitespace();
        match (words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) {
            (Some(number), Some("passed")) => counts.passed += number,
            (Some(number), Some("failed")) => counts.failed += number,
            _ => {}
        }
    }
    Some(counts)
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|&c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].find('m').map_or("", |end| &rest[at + end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_lines_are_counted() {
        let cases = [
            ("     Summary [   0.012s] 12 tests run: 12 passed, 2 skipped", 12, 0),
            (
                "     Summary [   1.2s] 12 tests run: 9 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 0 skipped",
                9,
                3,
            ),
            ("     Summary [   1.2s] 1/12 tests run: 0 passed, 1 exec failed, 0 skipped", 0, 1),
            ("     Summary [   1.2s] 1 test run: 1 passed, 0 skipped", 1, 0),
            (
                "\u{1b}[32m     Summary\u{1b}[0m [   1.2s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m, 0 skipped",
                3,
                0,
            ),
        ];
        for (line, passed, failed) in cases {
            let output = format!("   Compiling x\n{line}\n error: test run failed\n");
            assert_eq!(nextest(&output), Some(Counts { passed, failed }), "{line}");
        }
    }

    #[test]
    fn lines_of_vitest_are_counted() {
        let files = " Test Files  1 failed | 8 passed (9)\n";
        for (line, passed, failed) in [
            ("      Tests  120 passed (120)", 120, 0),
            ("      Tests  2 failed | 117 passed | 1 skipped (120)", 117, 2),
            ("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[32m3 passed\u{1b}[39m (3)", 3, 0),
        ] {
            assert_eq!(vitest(&format!("{files}{line}\n")), Some(Counts { passed, failed }), "{line}");
        }
    }

    #[test]
    fn no_summary_is_not_zero_failures() {
        assert_eq!(nextest("error[E0432]: unresolved import"), None);
        assert_eq!(vitest("Error: Cannot find module"), None);
    }

    #[test]
    fn results_of_cargo_test_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\n";
        assert_eq!(cargo_test(output), Counts { passed: 4, failed: 2 });
    }
}
