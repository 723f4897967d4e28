//! `evenfold://` addresses and the pages of the window that they open.
//!
//! An address only opens a page, where a person then decides. It never does anything by itself.

/// Longest address that is looked at, in bytes: a code with a few addresses fits many times.
const LONGEST: usize = 1024;

/// First words of pages; what else an address names is opened as the home page.
const PAGES: [&str; 7] = ["relationships", "needs-you", "history", "machines", "settings", "pair", "new"];

/// Returns the page of the window that an address names, such as `/relationships/ID/conflicts`; `None` if it is not an
/// address of ours.
pub(crate) fn route(link: &str) -> Option<String> {
    let rest = link.strip_prefix("evenfold://")?.trim_matches('/');
    let first = rest.split(['/', '?']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/?&=%:,[]+".contains(c);
    let known =
        PAGES.contains(&first) && rest.len() <= LONGEST && rest.chars().all(plain) && !rest.contains("..");
    Some(if known { format!("/{rest}") } else { "/".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_opens_its_page_and_nothing_else() {
        for (link, expected) in [
            ("evenfold://needs-you", Some("/needs-you")),
            ("evenfold://needs-you/", Some("/needs-you")),
            ("evenfold://relationships/0b9c/conflicts", Some("/relationships/0b9c/conflicts")),
            (
                "evenfold://pair?code=4-lantern-otter&address=[::1]:22722",
                Some("/pair?code=4-lantern-otter&address=[::1]:22722"),
            ),
            ("evenfold://", Some("/")),
            ("evenfold://quit", Some("/")),
            ("evenfold://settings/../../etc", Some("/")),
            ("evenfold://history?<script>", Some("/")),
            ("https://example.org", None),
            ("machines", None),
        ] {
            assert_eq!(route(link).as_deref(), expected, "{link}");
        }
        assert_eq!(route(&format!("evenfold://new?{}", "x".repeat(LONGEST))).as_deref(), Some("/"));
    }
}
