//! What the window may ask for. This list and that of `build.rs` are the whole of the window's powers.

mod desktop;
mod node;
mod paths;

pub(crate) use desktop::*;
pub(crate) use node::*;
pub(crate) use paths::*;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Texts that stand between quotes right after `before`.
    fn after<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
        let found = text.split(before).skip(1);
        found.filter_map(|rest| rest.split(['\'', '"']).next()).filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn what_the_window_calls_is_there_and_allowed_and_nothing_else() {
        let called = after(include_str!("../../ui/src/backend/tauri.ts"), "command('");
        let typed = after(include_str!("../../ui/src/backend/tauri.ts"), "command<Reply>('");
        let called: BTreeSet<&str> = called.union(&typed).copied().collect();
        let build = include_str!("../build.rs");
        let list = build.split_once("&[").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
        let there: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
        assert!(called.is_subset(&there), "{:?} is called and not there", called.difference(&there));
        let allowed = after(include_str!("../capabilities/main.json"), "\"allow-");
        let dashed: BTreeSet<String> = there.iter().map(|name| name.replace('_', "-")).collect();
        assert_eq!(allowed, dashed.iter().map(String::as_str).collect());
    }
}
