//! The commands of README.md and WALKTHROUGHS.md are given as they stand there, and do what the pages say.
//!
//! Each machine has a home of its own, a shell finds `evenfold` on its path, and codes and addresses are those that were
//! really printed. A daemon is started by the test, so that it listens on a free port and ends with it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::common::tree::{assert_same, set_age, write};
use crate::common::{Output, TestNode, eventually, finish};
use crate::couriers::{holds, until_state};
use crate::rig::{noise, until_same};

/// A command and the machine on which it is given.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    machine: String,
    command: String,
}

/// Returns the commands of a block of `console` lines.
fn commands(block: &str) -> Vec<Given> {
    let prompt = |line: &str| {
        let (machine, command) = line.split_once("$ ")?;
        let is_name = !machine.is_empty() && machine.bytes().all(|byte| byte.is_ascii_lowercase());
        is_name.then(|| Given { machine: machine.to_owned(), command: command.trim().to_owned() })
    };
    block.lines().filter_map(prompt).collect()
}

/// Returns the first `console` block after a heading or sentence of a page.
#[track_caller]
fn block<'a>(page: &'a str, after: &str) -> &'a str {
    let (_, rest) = page.split_once(after).unwrap_or_else(|| panic!("{after:?} is not on the page"));
    let (_, rest) = rest.split_once("```console\n").unwrap();
    rest.split_once("```").unwrap().0
}

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// Machines on which commands are given.
#[derive(Default)]
struct Machines {
    nodes: BTreeMap<String, TestNode>,
    /// Codes that were printed and not used yet.
    codes: VecDeque<String>,
    /// Which machine printed them.
    offering: String,
}

impl Machines {
    /// Machines that run and are paired with the first.
    #[track_caller]
    fn paired(names: &[&str]) -> Machines {
        let mut machines = Machines::default();
        for name in names {
            let node = TestNode::start(name);
            if let Some(first) = machines.nodes.get(names[0]) {
                node.pair_with(first);
            }
            machines.nodes.insert((*name).to_owned(), node);
        }
        machines
    }

    fn node(&self, name: &str) -> &TestNode {
        &self.nodes[name]
    }

    /// Returns a machine's `~`.
    fn user(&self, name: &str) -> PathBuf {
        self.nodes[name].folder("~")
    }

    /// Gives commands, each of which has to succeed, and returns what the last one said.
    #[track_caller]
    fn give(&mut self, given: &[Given]) -> Output {
        let mut last = None;
        for one in given {
            if one.command == "evenfold daemon &" {
                self.nodes.insert(one.machine.clone(), TestNode::start(&one.machine));
                continue;
            }
            last = Some(self.run(one));
        }
        last.unwrap()
    }

    #[track_caller]
    fn run(&mut self, given: &Given) -> Output {
        let node = &self.nodes[&given.machine];
        let home = node.folder("~");
        let path = node.folder("bin");
        let link = path.join("evenfold");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_evenfold"), link).unwrap();
        }
        let mut line = given.command.clone();
        for word in given.command.split_whitespace() {
            if let Some(folder) = word.strip_prefix("~/") {
                std::fs::create_dir_all(home.join(folder)).unwrap();
            }
        }
        if let Some(code) = code_in(&line) {
            let real = self.codes.pop_front().expect("a code was printed");
            line = line.replace(&code, &real);
            let address = line.split_whitespace().find(|word| word.ends_with(":22722")).unwrap().to_owned();
            line = line.replace(&address, self.nodes[&self.offering].address());
        }
        let shares = line.starts_with("evenfold share");
        // What is printed for people is printed on a terminal only, and questions are asked on one only.
        let asks = line.contains(" join ") && !line.contains("--yes");
        let mut command = if shares || asks {
            let mut command = std::process::Command::new("script");
            command.args(["-qec", &line, "/dev/null"]);
            command
        } else {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &line]);
            command
        };
        let paths = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        command.env("PATH", paths).env("HOME", &home).env("EVENFOLD_HOME", node.home()).env("NO_COLOR", "1");
        let answers = node.folder("bin").join("answers");
        std::fs::write(&answers, if asks { "y\ny\n" } else { "" }).unwrap();
        command.env("SHELL", "/bin/sh").stdin(std::fs::File::open(&answers).unwrap());
        let said = finish(&mut command);
        if shares {
            let codes = said.stdout.lines().filter_map(|line| line.trim().strip_prefix("code "));
            self.codes = codes.map(|code| code.trim().to_owned()).collect();
            self.offering.clone_from(&given.machine);
        }
        let compares = line.contains(" check ") && said.code == 3;
        assert!(said.code == 0 || compares, "{given:?}: {said:#?}");
        said
    }
}

/// Returns the code of a command, as the pages write it: `4-lantern-otter`.
fn code_in(line: &str) -> Option<String> {
    let is_code = |word: &&str| {
        let parts: Vec<&str> = word.split('-').collect();
        matches!(parts[..], [number, one, two] if number.parse::<u8>().is_ok()
            && [one, two].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_lowercase())))
    };
    line.split_whitespace().find(is_code).map(str::to_owned)
}

/// Returns the commands of a walk-through, which are at most six.
#[track_caller]
fn walk(title: &str) -> Vec<Given> {
    let page = page("src-tauri/WALKTHROUGHS.md");
    let given = commands(block(&page, &format!("\n## {title}\n")));
    assert!((1..=6).contains(&given.len()), "{given:?}");
    given
}

#[test]
fn walkthrough_of_a_relay_works_as_it_stands_there() {
    let mut machines = Machines::default();
    machines.give(&walk("Relay files from one machine to another, through a hub that both reach"));
    let (from, to) = (machines.user("camera").join("out"), machines.user("lab").join("in"));
    let content = noise(1, 300_000);
    write(&from, "image.raw", &content);
    eventually("it arrives", || holds(&to, "image.raw", &content));
    until_state(machines.node("camera"), "lab", "image.raw", &["finalised"]);
    for (node, other) in [("camera", "lab"), ("lab", "camera")] {
        let peers = machines.node(node).json(["peer", "list"]);
        assert!(peers["peers"].as_array().unwrap().iter().all(|peer| peer["name"] != other), "{peers}");
    }
}

#[test]
fn walkthrough_of_send_once_works_as_it_stands_there() {
    let mut machines = Machines::default();
    let given = walk("Send each file once");
    let (last, before) = given.split_last().unwrap();
    machines.give(before);
    let (from, to) = (machines.user("laptop").join("Outbox"), machines.user("desk").join("Inbox"));
    write(&from, "letter.pdf", "content");
    eventually("it arrives", || holds(&to, "letter.pdf", b"content"));
    until_state(machines.node("laptop"), "out", "letter.pdf", &["finalised"]);
    let listed = machines.give(std::slice::from_ref(last));
    assert!(listed.stdout.contains("letter.pdf"), "{listed:#?}");
    assert_eq!(std::fs::read_dir(&from).unwrap().count(), 1, "something was written into the outbox");
}

#[test]
fn walkthrough_of_a_star_works_as_it_stands_there() {
    let mut machines = Machines::default();
    let given = walk("Keep folders identical on any number of machines");
    machines.give(&given);
    let folders = ["hub", "desk", "laptop"].map(|name| machines.user(name).join("Code"));
    for (nth, folder) in folders.iter().enumerate() {
        write(folder, format!("from {nth}"), format!("{nth}"));
    }
    eventually("all have three", || {
        folders.iter().all(|folder| (0..3).all(|nth| folder.join(format!("from {nth}")).exists()))
    });
    until_same(&folders[1], &folders[2]);
}

#[test]
fn walkthrough_of_drift_works_as_it_stands_there() {
    let mut machines = Machines::default();
    let given = walk("See how far two directories have drifted apart");
    let (last, before) = given.split_last().unwrap();
    machines.give(before);
    let (here, there) = (machines.user("desk").join("Music"), machines.user("nas").join("Music"));
    for folder in [&here, &there] {
        write(folder, "same.ogg", "the same");
        set_age(&folder.join("same.ogg"), 0);
    }
    write(&here, "missing.ogg", "only here");
    let said = machines.give(std::slice::from_ref(last));
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.stdout.contains("missing.ogg") && !said.stdout.contains("same.ogg"), "{said:#?}");
    assert!(!there.join("missing.ogg").exists() && !here.join(".evenfold").exists());
}

#[test]
fn walkthrough_of_push_and_pull_works_as_it_stands_there() {
    let mut machines = Machines::default();
    let given = walk("Track, push, pull");
    let (last, before) = given.split_last().unwrap();
    let (track, before) = before.split_last().unwrap();
    machines.give(before);
    let (server, laptop) = (machines.user("server").join("project"), machines.user("laptop").join("project"));
    write(&laptop, "Data/one.csv", "1");
    write(&laptop, "notes.txt", "nobody chose it");
    machines.give(std::slice::from_ref(track));
    machines.give(std::slice::from_ref(last));
    assert_same(&server.join("Data"), &laptop.join("Data"));
    assert!(!server.join("notes.txt").exists());
    let again = machines.give(std::slice::from_ref(last));
    assert!(again.stdout.contains("Nothing has changed"), "{again:#?}");
}

#[test]
fn readme_shows_for_each_kind_three_lines_that_work() {
    let readme = page("README.md");
    let block = block(&readme, "Each kind in three lines.");
    let mut examples: BTreeMap<&str, Vec<Given>> = BTreeMap::new();
    for paragraph in block.split("\n\n") {
        let kind = paragraph.trim().strip_prefix("# ").unwrap().split_once(':').unwrap().0;
        let given = commands(paragraph);
        assert_eq!(given.len(), 3, "{paragraph}");
        examples.insert(kind, given);
    }
    let kinds: Vec<&str> = examples.keys().copied().collect();
    assert_eq!(kinds, ["compare", "manual", "mirror", "relay", "send-once", "two-way"]);
    for kind in &kinds {
        assert!(readme.contains(&format!("| `{kind}` |")), "the table has no row for {kind}");
    }
    let mut machines = Machines::paired(&["desk", "nas", "camera"]);
    let (desk, nas) = (machines.user("desk"), machines.user("nas"));
    write(&desk, "Code/main.rs", "1");
    write(&desk, "Code/target/main", "2");
    machines.give(&examples["two-way"]);
    assert!(holds(&nas, "Code/main.rs", b"1") && !nas.join("Code/target").exists());

    write(&desk, "www/index.html", "1");
    let checked = machines.give(&examples["mirror"]);
    assert_eq!(checked.code, 0);
    assert!(holds(&nas, "www/index.html", b"1"));

    write(&nas, "project/Data/one.csv", "1");
    machines.give(&examples["manual"]);
    assert!(holds(&desk, "project/Data/one.csv", b"1"));

    write(&desk, "Outbox/letter.pdf", "1");
    machines.give(&examples["send-once"]);
    assert!(holds(&nas, "Inbox/letter.pdf", b"1"));

    machines.give(&examples["relay"]);
    write(&machines.user("camera"), "results/image.raw", "1");
    eventually("it arrives", || holds(&nas, "results/image.raw", b"1"));

    write(&desk, "Music/only.ogg", "1");
    let compared = machines.give(&examples["compare"]);
    assert!(compared.code == 3 && compared.stdout.contains("only.ogg"), "{compared:#?}");
}

#[test]
fn readme_brings_two_machines_in_sync_as_it_says() {
    let readme = page("README.md");
    let (first, rest) = readme.split_once("On the second one").unwrap();
    let mut given = commands(block(first, "## In sync within two minutes"));
    given.extend(commands(block(rest, "")));
    assert!((1..=8).contains(&given.len()), "{given:?}");
    let mut machines = Machines::default();
    machines.nodes.insert("desk".to_owned(), TestNode::start("desk"));
    write(&machines.user("desk"), "Photos/beach.jpg", "1");
    machines.give(&given[1..]);
    let (here, there) = (machines.user("desk").join("Photos"), machines.user("nas").join("Photos"));
    assert_same(&here, &there);
    write(&there, "hills.jpg", "2");
    until_same(&here, &there);
}
