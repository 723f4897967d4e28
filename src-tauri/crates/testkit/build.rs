//! Seeds mistakes into the core's reconcile and settling, one per module, for `tests/mutants.rs`.
//!
//! Each mistake is a textual replacement that must match exactly once, so that a change of the source cannot
//! silently turn a mistake into none.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

include!("mutants.rs");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutants.rs");
    let core = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../core/src");
    let mut out = String::new();
    let mut list = String::new();
    for (file, mutants) in [("reconcile", RECONCILE), ("settle", SETTLE)] {
        let path = core.join(file).with_extension("rs");
        println!("cargo::rerun-if-changed={}", path.display());
        let source = outside_the_core(&fs::read_to_string(&path)?);
        for (name, from, to) in mutants {
            let matches = source.matches(from).count();
            if matches != 1 {
                let path = path.display();
                return Err(format!(
                    "mutant '{name}': its pattern must match {path} exactly once and matches {matches} times; \
                     adapt testkit/mutants.rs to the changed source. The pattern:\n{from}"
                )
                .into());
            }
            writeln!(out, "pub mod {name} {{\n{}\n}}", source.replacen(from, to, 1))?;
            let functions = match file {
                "reconcile" => format!("reconcile: {name}::reconcile, ..Subject::CORE"),
                _ => format!("settle: {name}::settle, ..Subject::CORE"),
            };
            writeln!(list, "    (\"{name}\", Subject {{ {functions} }}),")?;
        }
    }
    writeln!(out, "pub const ALL: &[(&str, Subject)] = &[\n{list}];")?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("mutants.rs"), out)?;
    Ok(())
}

/// Makes a module of the core a module of another crate: its own tests and inner documentation left out.
fn outside_the_core(source: &str) -> String {
    let source =
        source.split("#[cfg(test)]").next().unwrap_or_default().replace("crate::", "evenfold_core::");
    // Its own copy of the type would be another type to the caller.
    let own_type = "pub struct Authors {";
    let source = match source.contains(own_type) {
        true => source.replace(own_type, "struct Unused {") + "use evenfold_core::settle::Authors;",
        false => source,
    };
    source.lines().filter(|line| !line.starts_with("//!")).collect::<Vec<_>>().join("\n")
}
