//! T18, T19, T21: four spokes around a hub that people work on, too.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::tree::{same, tree, write};
use crate::common::{LIMIT, TestNode, eventually};
use crate::rig::{REL, bytes, join, share, status, until_same};

pub(crate) struct Star {
    pub(crate) hub: TestNode,
    pub(crate) folder: PathBuf,
    /// Spokes with their folders.
    pub(crate) spokes: Vec<(TestNode, PathBuf)>,
}

impl Star {
    #[track_caller]
    pub(crate) fn of(spokes: usize, settings: &[&str], fill: impl FnOnce(&Path)) -> Star {
        let hub = TestNode::start("hub");
        let folder = hub.folder("shared");
        fill(&folder);
        share(&hub, REL, &folder, "two-way", settings);
        let mut star = Star { hub, folder, spokes: Vec::new() };
        for nth in 1..=spokes {
            star.add(&format!("c{nth}"));
        }
        star.until_same();
        star
    }

    #[track_caller]
    pub(crate) fn add(&mut self, name: &str) {
        let spoke = TestNode::start(name);
        spoke.pair_with(&self.hub);
        let folder = join(&spoke, &self.hub, REL);
        self.spokes.push((spoke, folder));
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.folder).chain(self.spokes.iter().map(|(_, folder)| folder))
    }

    #[track_caller]
    pub(crate) fn until_same(&self) {
        for (_, folder) in &self.spokes {
            until_same(&self.folder, folder);
        }
        // One that was reached first may have changed meanwhile.
        eventually("all hold the same", || self.spokes.iter().all(|(_, folder)| same(&self.folder, folder)));
    }
}

impl Drop for Star {
    fn drop(&mut self) {
        let spokes = self.spokes.iter().map(|(spoke, folder)| (spoke, &**folder));
        crate::rig::show_if_failed(std::iter::once((&self.hub, &*self.folder)).chain(spokes));
    }
}

fn start(a: &Path) {
    write(a, "notes.txt", "from the start");
    write(a, "d/e/deep.txt", "below");
}

/// The quickest of a few edits counts: what else the machine does meanwhile is not our subject.
#[track_caller]
fn within_a_second(star: &Star, from: &Path, stem: &str) {
    let began = Instant::now();
    let mut quickest = LIMIT;
    for nth in 0.. {
        let name = format!("{stem} {nth}");
        let content = format!("edit {nth} of {stem}");
        let edited = Instant::now();
        write(from, &name, &content);
        eventually("the edit is everywhere", || {
            star.folders().all(|folder| {
                std::fs::read(folder.join(&name)).is_ok_and(|found| found == content.as_bytes())
            })
        });
        quickest = quickest.min(edited.elapsed());
        if quickest <= Duration::from_secs(1) {
            return;
        }
        assert!(began.elapsed() < LIMIT, "the quickest edit took {quickest:?} to be everywhere");
    }
}

#[test]
fn t18_edit_at_one_spoke_reaches_all_within_a_second() {
    let star = Star::of(4, &[], start);
    within_a_second(&star, &star.spokes[0].1, "spoke");
    star.until_same();
}

#[test]
fn t18_edit_at_the_hub_reaches_all_spokes_within_a_second() {
    let star = Star::of(4, &[], start);
    within_a_second(&star, &star.folder, "hub");
    star.until_same();
}

#[test]
fn t18_nothing_echoes_when_nothing_changes() {
    let star = Star::of(3, &[], start);
    write(&star.spokes[0].1, "large", crate::rig::noise(18, 500_000));
    star.until_same();
    for (spoke, _) in &star.spokes {
        eventually("the spoke has compared", || status(spoke)["state"] == "in-sync");
    }
    let count = || star.spokes.iter().map(|(spoke, _)| bytes(spoke, &star.hub)).sum::<u64>();
    let written = || {
        let nodes = std::iter::once(&star.hub).chain(star.spokes.iter().map(|(spoke, _)| spoke));
        let rows = |node: &TestNode| node.json(["history", REL])["history"].as_array().unwrap().len();
        nodes.map(rows).collect::<Vec<_>>()
    };
    // A file that is written again is another one to the disk.
    let numbers = || {
        let of = |folder: &PathBuf| {
            let paths = tree(folder).into_keys();
            paths.map(|path| std::fs::symlink_metadata(folder.join(path)).unwrap().ino()).collect::<Vec<_>>()
        };
        star.folders().map(of).collect::<Vec<_>>()
    };
    let before = (written(), numbers());
    // Each count is a question that travels itself.
    let asking = {
        let first = count();
        count() - first
    };
    let sent = count();
    // What would echo does so at once; the pause only gives it the time.
    std::thread::sleep(Duration::from_secs(15));
    let travelled = count() - sent;
    assert!(travelled < asking + 3 * 1000, "{travelled} bytes travelled although nothing changed");
    assert_eq!((written(), numbers()), before, "something was written although nothing changed");
    let trees: Vec<_> = star.folders().map(|folder| tree(folder)).collect();
    assert!(trees.iter().all(|tree| *tree == trees[0]), "something new came up");
}

#[test]
fn t19_edits_while_apart_keep_both_contents_under_the_same_names_everywhere() {
    let mut star = Star::of(4, &[], start);
    for (spoke, _) in &mut star.spokes[..2] {
        assert!(spoke.stop().success());
    }
    write(&star.spokes[0].1, "notes.txt", "edited at c1 while apart");
    write(&star.spokes[1].1, "notes.txt", "edited at c2 while apart, longer");
    // One after the other, so that the hub has noted whose the first edit is when the second meets it.
    star.spokes[0].0.restart();
    eventually("the hub knows that c1 wrote it", || {
        let history = star.hub.json(["history", REL, "--path", "notes.txt", "--node", "c1"]);
        history["history"].as_array().is_some_and(|rows| !rows.is_empty())
    });
    star.spokes[1].0.restart();
    let both = |folder: &Path| {
        let files = tree(folder);
        let holds = |content: &[u8]| {
            files.keys().any(|path| std::fs::read(folder.join(path)).is_ok_and(|found| found == content))
        };
        holds(b"edited at c1 while apart") && holds(b"edited at c2 while apart, longer")
    };
    eventually("both contents are on all", || star.folders().all(|folder| both(folder)));
    star.until_same();
    let copies: Vec<_> =
        tree(&star.folder).into_keys().filter(|path| path.to_string_lossy().contains(".conflict-")).collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    // Every node lists the same conflict under the same id, and names who wrote what.
    let listed: Vec<_> = std::iter::once(&star.hub)
        .chain(star.spokes.iter().map(|(spoke, _)| spoke))
        .map(|node| node.json(["conflicts"])["conflicts"].take())
        .collect();
    for one in &listed {
        assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
        assert_eq!((&one[0]["id"], &one[0]["path"]), (&listed[0][0]["id"], &"notes.txt".into()));
        let mut nodes: Vec<_> =
            one[0]["versions"].as_array().unwrap().iter().map(|v| v["node"].as_str().unwrap()).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, ["c1", "c2"], "{one}");
    }
}

#[test]
fn t17_clocks_that_are_wrong_choose_the_same_winner_everywhere_and_nothing_goes_round() {
    for rule in ["conflict=newest", "conflict=keep-both"] {
        let mut star = Star::of(2, &[rule], start);
        let day: i64 = 24 * 3600;
        for ((spoke, folder), (ahead, content)) in
            star.spokes.iter_mut().zip([(3 * day, "of one three days ahead"), (-day, "of one a day behind")])
        {
            assert!(spoke.stop().success());
            write(folder, "notes.txt", content);
            // A machine stamps its files by its clock.
            let now = std::time::SystemTime::now();
            let hours = Duration::from_secs(ahead.unsigned_abs());
            let time = if ahead > 0 { now + hours } else { now - hours };
            let file = std::fs::File::options().write(true).open(folder.join("notes.txt")).unwrap();
            file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
        }
        for ((spoke, _), ahead) in star.spokes.iter_mut().zip([3 * day, -day]) {
            spoke.restart_with("EVENFOLD_TEST_CLOCK", &ahead.to_string());
        }
        let settled = |star: &Star| {
            star.until_same();
            star.spokes.iter().all(|(spoke, _)| {
                let state = status(spoke)["state"].clone();
                state == "in-sync" || state == "conflicts"
            })
        };
        eventually("all have compared", || settled(&star));
        let contents: Vec<Vec<u8>> = tree(&star.folder)
            .into_keys()
            .filter(|path| path.to_string_lossy().contains("notes"))
            .map(|path| std::fs::read(star.folder.join(path)).unwrap())
            .collect();
        assert!(contents.contains(&b"of one three days ahead".to_vec()), "the later one is lost by {rule}");
        assert_eq!(contents.len(), if rule.ends_with("newest") { 1 } else { 2 }, "{rule}");
        let rows = |star: &Star| star.hub.json(["history", REL])["history"].as_array().unwrap().len();
        let before = rows(&star);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(rows(&star), before, "something goes round by {rule}");
    }
}

#[test]
fn t19_edits_of_one_file_on_all_nodes_at_once_lose_no_content() {
    let star = Star::of(3, &[], start);
    let mut written = Vec::new();
    for (nth, folder) in star.folders().enumerate() {
        let content = format!("{nth} edited it at the same time as all others").into_bytes();
        write(folder, "notes.txt", &content);
        written.push(content);
    }
    star.until_same();
    for (spoke, _) in &star.spokes {
        eventually("the spoke has compared", || {
            let state = status(spoke)["state"].clone();
            state == "conflicts" || state == "in-sync"
        });
    }
    star.until_same();
    let mut found = Vec::new();
    for folder in star.folders() {
        crate::rig::each_file(folder, &mut |path| found.extend(std::fs::read(path)));
    }
    for content in &written {
        assert!(found.contains(content), "lost: {}", String::from_utf8_lossy(content));
    }
    let live = tree(&star.folder).into_keys().filter(|path| path.to_string_lossy().contains("notes")).count();
    assert!(live >= 2, "only one version is left in sight");
}

#[test]
fn t21_spoke_that_was_away_catches_up_and_a_new_one_gets_everything() {
    let mut star = Star::of(3, &[], |a| {
        start(a);
        for nth in 0..10 {
            write(a, format!("old/{nth}"), format!("old {nth}"));
        }
    });
    assert!(star.spokes[2].0.stop().success());
    let c1 = star.spokes[0].1.clone();
    for nth in 0..10 {
        write(&c1, format!("new/{nth}"), format!("new {nth}"));
        write(&c1, format!("old/{nth}"), format!("changed {nth}"));
    }
    std::fs::remove_file(c1.join("notes.txt")).unwrap();
    std::fs::rename(c1.join("d/e"), c1.join("moved")).unwrap();
    until_same(&c1, &star.folder);
    let offline = star.hub.json(["status", REL])["relationships"][0]["endpoints"].take();
    let away = offline.as_array().unwrap().iter().find(|endpoint| endpoint["node"] == "c3").unwrap().clone();
    assert_eq!(away["online"], false, "{away}");
    assert!(away["last_seen"].is_string(), "{away}");
    star.spokes[2].0.restart();
    let back = Instant::now();
    until_same(&star.folder, &star.spokes[2].1);
    assert!(back.elapsed() < Duration::from_secs(10), "it took {:?} to catch up", back.elapsed());
    star.until_same();
    star.add("c5");
    star.until_same();
    assert!(!star.spokes[3].1.join("notes.txt").exists());
    eventually("the hub sees all online and in sync", || {
        let status = status(&star.hub);
        let endpoints = status["endpoints"].as_array().unwrap();
        status["state"] == "in-sync" && endpoints.len() == 5 && endpoints.iter().all(|e| e["online"] == true)
    });
}
