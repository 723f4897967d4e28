//! The TypeScript types of the public API, which the user interface is written against, are those of this version.
//!
//! `EVENFOLD_UPDATE=1 cargo test -p evenfold-node --features ts --test typescript` writes them anew.

use std::collections::BTreeMap;
use std::path::Path;

use evenfold_node::api::{ApiError, Event, Reply, Request};
use ts_rs::{Config, TS, TypeVisitor};

const FILE: &str = "../../../ui/src/backend/generated/api.ts";

/// Types with a flattened path that may be absent, which the derive cannot express.
const PATH_IF_ANY: [&str; 2] = ["EndpointStatus", "HistoryRow"];

const HEADING: &str = "\
// Generated from the node's public API (src-tauri/crates/node/src/api.rs); do not edit. To write it anew:
// EVENFOLD_UPDATE=1 cargo test -p evenfold-node --features ts --test typescript
";

/// Collects a type and everything it is made of, by name.
struct Collector<'a> {
    config: &'a Config,
    found: BTreeMap<String, String>,
}

impl TypeVisitor for Collector<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only our own types have a place of their own; numbers and lists have none.
        if T::output_path().is_some() && !self.found.contains_key(&T::ident(self.config)) {
            let name = T::ident(self.config);
            let docs = T::docs().unwrap_or_default();
            let mut declaration = T::decl(self.config).trim_end_matches(';').to_owned();
            if PATH_IF_ANY.contains(&name.as_str()) {
                declaration.push_str(" & Partial<PathText>");
            }
            self.found.insert(name, format!("\n{docs}export {declaration};\n"));
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

#[test]
fn typescript_types_are_current() {
    // Counts and sizes stay far below 2^53, above which a JavaScript number would be inexact.
    let config = Config::new().with_large_int("number");
    let mut collector = Collector { config: &config, found: BTreeMap::new() };
    collector.visit::<Request>();
    collector.visit::<Reply>();
    collector.visit::<Event>();
    collector.visit::<ApiError>();
    let text = collector.found.into_values().fold(HEADING.to_owned(), |text, one| text + &one);
    let text = on_one_line(&text);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("EVENFOLD_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let present = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(present == text, "{} is not what the API says; see the top of this test", file.display());
}

/// Writes comments of one line as such, and leaves no white space behind lines.
fn on_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut result = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match (*line, lines.get(at + 1).and_then(|next| next.strip_prefix(" * ")), lines.get(at + 2)) {
            ("/**", Some(text), Some(&" */")) => {
                result += &format!("/** {text} */\n");
                at += 3;
            }
            _ => {
                result += line;
                result += "\n";
                at += 1;
            }
        }
    }
    result
}
