//! `cargo xtask demo`: two nodes on this machine find each other, sync, disagree and recover; watched by our own eyes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::args::Args;
use crate::node::{self, Node};
use crate::scratch::Scratch;
use crate::setup::{self, For};
use crate::{corpus, stats, tree};

const HELP: &str = "\
cargo xtask demo [--files N] [--keep] [--program PATH]

Builds evenfold and shows it at work, in a temporary folder and without a
screen: two nodes on this machine are paired by a one-time code, thousands of
real files are synced, edits travel both ways, a conflict keeps both versions,
a replaced file comes back. Each result is checked against the disk. Prints how
long everything took. Ends with 0 only if both folders are equal.

  --files N       how many files to begin with (default 10,000)
  --keep          leave the temporary folder in place
  --program PATH  show this evenfold instead of building one
";

/// The relationship's name.
const NAME: &str = "sources";
/// A single edit has to arrive within this time, or the demo fails.
const EDIT_LIMIT: Duration = Duration::from_secs(30);
const EDITS: usize = 10;

struct Timings(Vec<Vec<String>>);

impl Timings {
    fn add(&mut self, what: &str, took: String) {
        println!("   -> {what}: {took}");
        self.0.push(vec![what.to_owned(), took]);
    }
}

/// `cargo xtask demo`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let files = args.parsed::<usize>("--files")?.unwrap_or(10_000);
    let keep = args.flag("--keep");
    let program = args.value("--program")?.map(PathBuf::from);
    args.finish()?;
    setup::ensure(&[For::Build], false)?;
    let program = program.map_or_else(|| node::build("fast"), Ok)?;
    let mut scratch = Scratch::new("demo", None)?;
    if keep {
        scratch.keep();
    }
    let mut timings = Timings(Vec::new());
    show(&program, scratch.path(), files, &mut timings)?;
    println!("\n{}", stats::table(&["what", "took"], &timings.0));
    println!("Both folders are equal, byte by byte. That is all there is to it.");
    Ok(())
}

fn show(program: &Path, dir: &Path, files: usize, timings: &mut Timings) -> Result<()> {
    title(1, "Two folders");
    let (ours, theirs) = (dir.join("desk-folder"), dir.join("laptop-folder"));
    fs::create_dir_all(&ours)?;
    fs::create_dir_all(&theirs)?;
    corpus::copy_sources(&ours, files)?;
    add_odd_entries(&ours)?;
    let (count, bytes) = tree::size(&ours)?;
    println!(
        "   {} holds {} real files, {}.",
        ours.display(),
        stats::count(count),
        stats::bytes(bytes as f64)
    );
    println!("   {} is empty.", theirs.display());

    title(2, "Two nodes");
    println!("   Two machines are played by two nodes here, each with a home of its own.");
    println!("   \"desk$ evenfold …\" stands for: evenfold --home {} …", dir.join("desk").display());
    let desk = Node::start(program, dir, "desk", true)?;
    let laptop = match Node::start(program, dir, "laptop", true) {
        Ok(laptop) => laptop,
        Err(error) => {
            desk.show_log();
            return Err(error);
        }
    };
    println!("   desk listens on {}, laptop on {}.", desk.address, laptop.address);

    let outcome = acts(&desk, &laptop, &ours, &theirs, count, timings);
    if outcome.is_err() {
        desk.show_log();
        laptop.show_log();
        return outcome;
    }
    println!("\n   Both daemons are asked to end.");
    laptop.stop()?;
    desk.stop()
}

fn acts(
    desk: &Node,
    laptop: &Node,
    ours: &Path,
    theirs: &Path,
    count: usize,
    timings: &mut Timings,
) -> Result<()> {
    title(3, "They get to know each other");
    println!(
        "   desk shows a one-time code; whoever types it at laptop has paired the two. No passwords, no accounts."
    );
    node::pair(desk, laptop)?;

    title(4, "The first sync");
    println!("   desk offers its folder under a name, laptop joins it.");
    desk.cli(&["share", path(ours)?, "--name", NAME])?;
    let began = Instant::now();
    let joining = ["join", &format!("desk:{NAME}"), path(theirs)?, "--yes", "--wait"];
    laptop.cli_within(&joining, Duration::from_secs(600))?;
    timings.add(&format!("first sync of {} files", stats::count(count)), stats::duration(began.elapsed()));
    equal(ours, theirs)?;
    let began = Instant::now();
    laptop.cli_within(&["sync", NAME, "--wait"], Duration::from_secs(120))?;
    timings.add("comparing again, nothing changed", stats::duration(began.elapsed()));

    title(5, "Edits travel by themselves, both ways");
    edits("desk to laptop", ours, theirs, timings)?;
    edits("laptop to desk", theirs, ours, timings)?;
    rename(ours, theirs, timings)?;
    equal(ours, theirs)?;

    title(6, "A conflict keeps both versions");
    conflict(desk, laptop, ours, theirs)?;

    title(7, "What was replaced can be had back");
    bring_back(laptop, ours, theirs, timings)?;

    title(8, "How far apart are they now?");
    let check = laptop.json(&["check", NAME, "--json"])?;
    let counts = check.get("counts").map(ToString::to_string).unwrap_or_default();
    println!("   verified: {}, {counts}", node::text(&check, "verified"));
    print_indented(&laptop.try_cli(&["status"], Duration::from_secs(30))?.stdout);
    equal(ours, theirs)
}

/// What makes a folder awkward, and belongs into it all the same.
fn add_odd_entries(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("empty directory"))?;
    fs::write(root.join("notes.txt"), "shopping: bread, milk\n")?;
    fs::write(root.join("draft.txt"), "the first draft\n")?;
    fs::write(root.join("it's -rf $(here).txt"), "an odd name is a name\n")?;
    std::os::unix::fs::symlink("notes.txt", root.join("a link")).context("a link")
}

fn edits(direction: &str, from: &Path, to: &Path, timings: &mut Timings) -> Result<()> {
    let mut took = Vec::new();
    for n in 0..EDITS {
        let content = format!("edit {n}, {direction}\n");
        let name = format!("{direction}.txt");
        let began = Instant::now();
        fs::write(from.join(&name), &content)?;
        let limit = EDIT_LIMIT;
        node::wait_until(&format!("edit {n} from {direction}"), limit, || {
            Ok(reads(&to.join(&name), &content))
        })?;
        took.push(began.elapsed().as_secs_f64());
        // People do not save twice within a blink.
        std::thread::sleep(Duration::from_millis(100));
    }
    let median = stats::median(&took).unwrap_or_default();
    timings.add(&format!("an edit from {direction}, median of {EDITS}"), stats::seconds(median));
    Ok(())
}

fn rename(ours: &Path, theirs: &Path, timings: &mut Timings) -> Result<()> {
    let first = fs::read_dir(ours)?
        .filter_map(Result::ok)
        .find(|entry| {
            entry.path().is_dir() && entry.file_name() != tree::OWN && entry.path().join("src").is_dir()
        })
        .context("no directory to rename")?;
    let (before, after) = (first.file_name(), "renamed directory");
    println!("   A directory of many files gets another name at desk; nothing is to be sent again for that.");
    let began = Instant::now();
    fs::rename(ours.join(&before), ours.join(after))?;
    node::wait_until("the renamed directory", EDIT_LIMIT, || {
        let gone = !theirs.join(&before).exists();
        Ok(gone
            && tree::differences(&ours.join(after), &theirs.join(after), 1)
                .is_ok_and(|found| found.is_empty()))
    })?;
    timings.add("a renamed directory", stats::duration(began.elapsed()));
    Ok(())
}

fn conflict(desk: &Node, laptop: &Node, ours: &Path, theirs: &Path) -> Result<()> {
    println!("   laptop pauses; both edit notes.txt, each in another way; laptop goes on.");
    laptop.cli(&["rel", "pause", NAME])?;
    let contents = ["shopping: bread, milk, apples\n", "shopping: bread, oat milk\n"];
    fs::write(ours.join("notes.txt"), contents[0])?;
    fs::write(theirs.join("notes.txt"), contents[1])?;
    laptop.cli(&["rel", "resume", NAME])?;
    node::wait_until("both contents on both sides", EDIT_LIMIT, || {
        let everywhere =
            [ours, theirs].iter().all(|root| contents.iter().all(|content| holds(root, content)));
        Ok(everywhere && tree::differences(ours, theirs, 1).is_ok_and(|found| found.is_empty()))
    })?;
    let shown = laptop.json(&["conflicts", "--json"])?;
    let (holder, shown) = if node::rows(&shown, "conflicts").is_empty() {
        (desk, desk.json(&["conflicts", "--json"])?)
    } else {
        (laptop, shown)
    };
    let rows = node::rows(&shown, "conflicts");
    if rows.is_empty() {
        bail!("both contents are there, but `conflicts` does not show the conflict");
    }
    print_indented(&holder.try_cli(&["conflicts"], Duration::from_secs(30))?.stdout);
    for root in [ours, theirs] {
        let names: Vec<String> = contents.iter().filter_map(|content| name_of(root, content)).collect();
        println!("   {}: {}", root.display(), names.join("  and  "));
    }
    println!("   Both are kept, under the same names on both sides. Whoever has read them says so:");
    for id in rows.iter().map(|row| node::text(row, "id")) {
        holder.cli(&["resolve", &id, "--keep", "both"])?;
    }
    laptop.cli_within(&["sync", NAME, "--wait"], Duration::from_secs(120))?;
    equal(ours, theirs)
}

fn bring_back(laptop: &Node, ours: &Path, theirs: &Path, timings: &mut Timings) -> Result<()> {
    let (old, new) = ("the first draft\n", "the second draft, much worse than the first\n");
    println!("   draft.txt is overwritten at desk, and the new text arrives at laptop.");
    fs::write(ours.join("draft.txt"), new)?;
    node::wait_until("the new draft", EDIT_LIMIT, || Ok(reads(&theirs.join("draft.txt"), new)))?;
    let versions = laptop.json(&["versions", NAME, "draft.txt", "--json"])?;
    let rows = node::rows(&versions, "versions");
    let wanted = rows.iter().find(|row| row.get("size").and_then(Value::as_u64) == Some(old.len() as u64));
    let id =
        wanted.map(|row| node::text(row, "id")).with_context(|| format!("no old version in {versions}"))?;
    let began = Instant::now();
    laptop.cli(&["restore", NAME, "draft.txt", "--version", &id])?;
    node::wait_until("the old draft at laptop", EDIT_LIMIT, || Ok(reads(&theirs.join("draft.txt"), old)))?;
    node::wait_until("the old draft at desk", EDIT_LIMIT, || Ok(reads(&ours.join("draft.txt"), old)))?;
    timings.add("an old version is back on both sides", stats::duration(began.elapsed()));
    laptop.cli_within(&["sync", NAME, "--wait"], Duration::from_secs(120))?;
    equal(ours, theirs)
}

/// Compares both folders with our own eyes; a difference fails the demo.
fn equal(ours: &Path, theirs: &Path) -> Result<()> {
    let found = tree::differences(ours, theirs, 10)?;
    if !found.is_empty() {
        bail!("the folders differ:\n  {}", found.join("\n  "));
    }
    println!("   Checked: names, bytes, modes, times and links are equal on both sides.");
    Ok(())
}

fn reads(path: &Path, content: &str) -> bool {
    fs::read(path).is_ok_and(|found| found == content.as_bytes())
}

/// The top-level file with this content.
fn name_of(root: &Path, content: &str) -> Option<String> {
    let mut paths = fs::read_dir(root).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let found: PathBuf = paths.find(|path| !path.is_symlink() && path.is_file() && reads(path, content))?;
    Some(found.file_name()?.to_string_lossy().into_owned())
}

fn holds(root: &Path, content: &str) -> bool {
    name_of(root, content).is_some()
}

fn title(number: usize, text: &str) {
    println!("\n{number}. {text}");
}

fn print_indented(output: &[u8]) {
    for line in String::from_utf8_lossy(output).lines() {
        println!("   | {line}");
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
