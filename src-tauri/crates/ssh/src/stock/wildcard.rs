//! The patterns of `~/.ssh/config` and `known_hosts`: `*`, `?`, and `!` before a pattern.

/// Tells whether `text` fits `pattern`, in which `*` stands for any characters and `?` for one. Upper and lower
/// case are the same, as in host names.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a star that took too little: a star takes one character more each time.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(wanted) if wanted.eq_ignore_ascii_case(byte) => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((after, from)) => {
                    (p, t) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Tells whether `text` fits one of the patterns and none of those that begin with `!`.
pub(super) fn fits_list<'p>(patterns: impl IntoIterator<Item = &'p str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if fits(not, text) => return false,
            Some(_) => {}
            None => found |= fits(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_openssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("192.168.0.?", "192.168.0.7", true),
            ("192.168.0.?", "192.168.0.17", false),
            ("Nas", "nAS", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn negated_pattern_wins_wherever_it_stands() {
        assert!(fits_list(["*.lan", "!old.lan"], "new.lan"));
        assert!(!fits_list(["*.lan", "!old.lan"], "old.lan"));
        assert!(!fits_list(["!old.lan", "*"], "old.lan"));
        assert!(!fits_list(["!old.lan"], "new.lan"), "a negation alone lets nothing in");
    }
}
