//! Effects, refusals and odd names; what users do in between is in `race_tests.rs`, crashes in `crash_tests.rs`.

use evenfold_core::apply::{Move, Outcome, Refusal};
use evenfold_core::plan::Change;
use evenfold_core::{Entry, Mode, Mtime};

use crate::apply::KeptWhy;
use crate::apply::testing::*;

#[test]
fn new_file_link_and_tree_appear_with_times_and_modes() {
    let mut rig = Rig::new();
    rig.scan();
    let tree = dir_with(
        0o750,
        &[("sub", dir(&[("x", rig.file(b"deep"))])), ("empty", dir(&[])), ("l", link("../a"))],
    );
    let a = file_with(b"one", 0o600, 1_500_000_000);
    rig.file(b"one");
    let changes =
        vec![rig.change("a", Some(a)), rig.change("t", Some(tree)), rig.change("l", Some(link("nowhere")))];
    assert_applied(&rig.apply(changes));
    assert_eq!(rig.read("a"), b"one");
    assert_eq!(rig.mode("a"), 0o600);
    assert_eq!(rig.read("t/sub/x"), b"deep");
    assert_eq!(rig.mode("t"), 0o750);
    assert!(rig.exists("t/empty"));
    assert_eq!(std::fs::read_link(rig.at("l")).unwrap().to_str(), Some("nowhere"));
    rig.assert_index_is_true();
    rig.assert_staging_is_empty();
    assert_eq!(rig.versions(), []);
}

#[test]
fn empty_file_needs_no_piece() {
    let mut rig = Rig::new();
    rig.scan();
    let empty = rig.file(b"");
    let batch = rig.batch(vec![rig.change("e", Some(empty))]);
    assert!(batch.items.is_empty());
    assert_applied(&rig.apply_batch(&batch).report.outcomes);
    assert_eq!(rig.read("e"), b"");
}

#[test]
fn replaced_content_becomes_a_version_and_its_inode_is_untouched() {
    let mut rig = Rig::new();
    rig.write_old("a", b"old");
    std::fs::hard_link(rig.at("a"), rig.folder.join(".evenfold/elsewhere")).unwrap();
    rig.scan();
    let new = rig.file(b"new");
    let applied = rig.apply_batch(&rig.batch(vec![rig.change("a", Some(new))]));
    assert_applied(&applied.report.outcomes);
    assert_eq!(applied.report.epoch, 2);
    assert_eq!(rig.read("a"), b"new");
    assert_eq!(rig.read(".evenfold/elsewhere"), b"old", "the other name of a hard link keeps its content");
    assert_eq!(applied.kept.len(), 1);
    assert_eq!(applied.kept[0].why, KeptWhy::Replaced);
    assert_eq!(rig.read(&format!(".evenfold/versions/{}/a", applied.kept[0].version)), b"old");
    rig.assert_index_is_true();
}

#[test]
fn deleted_file_and_folder_become_versions() {
    let rig = Rig::new();
    rig.write_old("d/x/1", b"one");
    rig.write_old("d/2", b"two");
    rig.write_old("f", b"three");
    rig.scan();
    assert_applied(&rig.apply(vec![rig.change("d", None), rig.change("f", None)]));
    assert_eq!(rig.live(), []);
    let kept: Vec<_> = rig.versions().into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(kept, [b"two".to_vec(), b"one".to_vec(), b"three".to_vec()]);
    rig.assert_index_is_true();
}

#[test]
fn file_becomes_folder_and_folder_becomes_file() {
    let mut rig = Rig::new();
    rig.write_old("a", b"file");
    rig.write_old("b/x", b"inner");
    rig.scan();
    let tree = dir(&[("y", rig.file(b"y"))]);
    let file = rig.file(b"flat");
    assert_applied(&rig.apply(vec![rig.change("a", Some(tree)), rig.change("b", Some(file))]));
    assert_eq!(rig.read("a/y"), b"y");
    assert_eq!(rig.read("b"), b"flat");
    assert_eq!(rig.versions().len(), 2);
    rig.assert_index_is_true();
}

#[test]
fn same_content_changes_only_mode_and_time() {
    let rig = Rig::new();
    rig.write_old("a", b"same");
    rig.scan();
    let ino = rig.ino("a");
    let Some(Entry::File(mut file)) = rig.entry("a") else { panic!() };
    file.mode = Mode::new(0o600);
    file.mtime = Mtime { secs: 1_000_000_000, nanos: 7 };
    assert_applied(&rig.apply(vec![rig.change("a", Some(Entry::File(file)))]));
    assert_eq!(rig.ino("a"), ino);
    assert_eq!(rig.mode("a"), 0o600);
    assert_eq!(rig.versions(), []);
    rig.assert_index_is_true();
    // Known by its content although its key is not sure after the time was set.
    assert_applied(&rig.apply(vec![rig.change("a", None)]));
}

#[test]
fn folder_change_sets_only_the_mode_and_closing_comes_last() {
    let mut rig = Rig::new();
    rig.write_old("d/keep", b"k");
    rig.scan();
    let new = rig.file(b"n");
    let changes = vec![rig.change("d", Some(dir_with(0o555, &[]))), rig.change("d/new", Some(new))];
    assert_applied(&rig.apply(changes));
    assert_eq!(rig.mode("d"), 0o555);
    assert_eq!(rig.read("d/keep"), b"k");
    assert_eq!(rig.read("d/new"), b"n");
    rig.assert_index_is_true();
}

#[test]
fn read_only_folder_is_published_with_its_mode() {
    let mut rig = Rig::new();
    rig.scan();
    let tree = dir_with(0o555, &[("in", dir_with(0o500, &[("x", rig.file(b"x"))]))]);
    assert_applied(&rig.apply(vec![rig.change("d", Some(tree))]));
    assert_eq!((rig.mode("d"), rig.mode("d/in")), (0o555, 0o500));
    rig.assert_index_is_true();
    assert_applied(&rig.apply(vec![rig.change("d", None)]));
    assert_eq!(rig.versions().len(), 1);
}

#[test]
fn child_of_a_created_folder_comes_later_in_the_batch() {
    let mut rig = Rig::new();
    rig.scan();
    let inner = rig.file(b"inner");
    let changes = vec![rig.change("d", Some(dir(&[]))), rig.change("d/x", Some(inner))];
    assert_applied(&rig.apply(changes));
    assert_eq!(rig.read("d/x"), b"inner");
    rig.assert_index_is_true();
}

#[test]
fn missing_parent_is_moved_on() {
    let mut rig = Rig::new();
    rig.scan();
    let file = rig.file(b"x");
    let outcomes = rig.apply(vec![rig.change("no/such/x", Some(file))]);
    assert_eq!(refusal(&outcomes[0]), &Refusal::MovedOn);
    assert!(!rig.exists("no"));
}

#[test]
fn edit_after_the_scan_is_moved_on() {
    let mut rig = Rig::new();
    for name in ["replaced", "deleted", "touched"] {
        rig.write_old(name, b"old");
    }
    rig.write_old("dir/x", b"old");
    rig.write_old("dir2/x", b"old");
    rig.write_old("dir3/x", b"old");
    rig.scan();
    let (new, other) = (rig.file(b"new"), rig.file(b"other"));
    let Some(Entry::File(mut touched)) = rig.entry("touched") else { panic!() };
    touched.mtime.secs += 1;
    let changes = vec![
        rig.change("replaced", Some(new.clone())),
        rig.change("deleted", None),
        rig.change("touched", Some(Entry::File(touched))),
        rig.change("dir", None),
        rig.change("dir2", Some(new)),
        rig.change("dir3", None),
        rig.change("created", Some(other)),
    ];
    for name in ["replaced", "deleted", "touched", "dir/x", "dir2/x"] {
        rig.write(name, b"mine");
    }
    rig.write("dir3/extra", b"mine");
    rig.write("created", b"mine");
    let outcomes = rig.apply(changes);
    for outcome in &outcomes {
        assert_eq!(refusal(outcome), &Refusal::MovedOn);
    }
    assert_eq!(rig.versions(), []);
    for name in ["replaced", "deleted", "touched", "dir/x", "dir2/x", "created", "dir3/extra"] {
        assert_eq!(rig.read(name), b"mine");
    }
    assert_eq!(rig.read("dir3/x"), b"old");
}

#[test]
fn edit_of_equal_size_with_time_put_back_is_moved_on() {
    let mut rig = Rig::new();
    rig.write_old("a", b"old");
    rig.scan();
    let new = rig.file(b"new");
    let change = rig.change("a", Some(new));
    std::thread::sleep(std::time::Duration::from_millis(20));
    rig.write_old("a", b"min");
    assert_eq!(refusal(&rig.apply(vec![change])[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"min");
}

#[test]
fn stale_plan_is_moved_on() {
    let mut rig = Rig::new();
    rig.write_old("a", b"old");
    rig.scan();
    let new = rig.file(b"new");
    let wrong = Change { path: path("a"), old: Some(file_with(b"other", 0o644, 1)), new: Some(new.clone()) };
    let over = Change { path: path("a"), old: None, new: Some(new) };
    let gone = Change { path: path("b"), old: Some(file_with(b"other", 0o644, 1)), new: None };
    for change in [wrong, over, gone] {
        assert_eq!(refusal(&rig.apply(vec![change])[0]), &Refusal::MovedOn);
    }
    assert_eq!(rig.read("a"), b"old");
}

#[test]
fn folder_with_excluded_files_loses_only_what_is_tracked() {
    let mut rig = Rig::new();
    rig.excluded = vec!["secret"];
    rig.write_old("d/a", b"a");
    rig.write_old("d/sub/b", b"b");
    rig.write_old("d/clean/c", b"c");
    rig.write_old("d/sub/secret", b"mine");
    rig.scan();
    let outcomes = rig.apply(vec![rig.change("d", None)]);
    let Outcome::Applied { now: Some(Entry::Dir(now)), short } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(now.totals().files, 0);
    assert_eq!(short, &[(path("d"), Refusal::HoldsUntracked), (path("d/sub"), Refusal::HoldsUntracked)]);
    assert_eq!(rig.live(), [("d/sub/secret".into(), b"mine".to_vec())]);
    assert_eq!(rig.versions().len(), 3);
    rig.assert_index_is_true();
}

#[test]
fn folder_with_excluded_files_is_not_replaced_by_a_file() {
    let mut rig = Rig::new();
    rig.excluded = vec!["secret"];
    rig.write_old("d/a", b"a");
    rig.write_old("d/secret", b"mine");
    rig.scan();
    let file = rig.file(b"file");
    let outcomes = rig.apply(vec![rig.change("d", Some(file))]);
    assert_eq!(refusal(&outcomes[0]), &Refusal::HoldsUntracked);
    assert_eq!(rig.read("d/secret"), b"mine");
}

#[test]
fn special_file_is_never_deleted() {
    let rig = Rig::new();
    rig.write_old("d/a", b"a");
    let status = std::process::Command::new("mkfifo").arg(rig.at("d/pipe")).status().unwrap();
    assert!(status.success());
    rig.scan();
    let old = rig.entry("d").unwrap().without_unknown();
    let outcomes = rig.apply(vec![Change { path: path("d"), old, new: None }]);
    assert!(
        matches!(&outcomes[0], Outcome::Applied { now: Some(_), short } if short.len() == 1),
        "{outcomes:?}"
    );
    assert!(rig.exists("d/pipe"));
    assert!(!rig.exists("d/a"));
}

#[test]
fn paths_out_of_scope_are_refused() {
    let mut rig = Rig::new();
    rig.excluded = vec!["secret"];
    rig.write_old("secret", b"mine");
    rig.scan();
    let new = rig.file(b"new");
    let old = Some(file_with(b"mine", 0o644, OLD_TIME.secs));
    let changes = vec![
        Change { path: path("secret"), old: old.clone(), new: Some(new.clone()) },
        Change { path: path("secret"), old, new: None },
        Change { path: path("x/secret"), old: None, new: Some(new.clone()) },
        rig.change("t", Some(dir(&[("secret", new.clone()), ("fine", new)]))),
    ];
    let outcomes = rig.apply(changes);
    for outcome in &outcomes[..3] {
        assert!(matches!(refusal(outcome), Refusal::Io(text) if text.contains("does not take part")));
    }
    assert!(matches!(&outcomes[3], Outcome::Applied { short, .. } if short[0].0 == path("t/secret")));
    assert_eq!(rig.read("secret"), b"mine");
    assert!(rig.exists("t/fine") && !rig.exists("t/secret"));
    rig.assert_index_is_true();
}

#[test]
fn link_in_the_way_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let mut rig = Rig::new();
    rig.write_old("d/a", b"a");
    rig.scan();
    let new = rig.file(b"new");
    let changes =
        vec![rig.change("d/b", Some(new.clone())), rig.change("d/a", Some(new)), rig.change("d/a", None)];
    std::fs::rename(rig.at("d"), rig.at("moved")).unwrap();
    std::fs::write(outside.path().join("a"), b"outside").unwrap();
    std::os::unix::fs::symlink(outside.path(), rig.at("d")).unwrap();
    for change in changes {
        assert_eq!(refusal(&rig.apply(vec![change])[0]), &Refusal::MovedOn);
    }
    assert_eq!(files_below(outside.path()), [("a".into(), b"outside".to_vec())]);
    assert_eq!(rig.read("moved/a"), b"a");
}

#[test]
fn deletion_waits_for_the_other_half_of_its_move() {
    let mut rig = Rig::new();
    rig.write_old("old-name", b"content");
    rig.write_old("other", b"unrelated");
    rig.scan();
    let new = rig.file(b"content");
    let batch = rig.batch(vec![
        rig.change("old-name", None),
        rig.change("other", None),
        rig.change("new-name", Some(new)),
    ]);
    let outcomes = rig.apply_pieces(&batch, Vec::new()).unwrap().report.outcomes;
    assert_eq!(refusal(&outcomes[0]), &Refusal::WaitsForMove);
    assert_applied(&outcomes[1..2]);
    assert!(matches!(refusal(&outcomes[2]), Refusal::NotSupplied(_)));
    assert_eq!(rig.read("old-name"), b"content");
}

#[test]
fn moves_rename_and_are_checked() {
    let mut rig = Rig::new();
    for name in ["a/x", "b/x", "c/x", "taken/x"] {
        rig.write_old(name, name.as_bytes());
    }
    rig.scan();
    let ino = rig.ino("a/x");
    let mut batch = rig.batch(Vec::new());
    let step =
        |from: &str, to: &str| Move { from: path(from), to: path(to), entry: rig.entry(from).unwrap() };
    batch.moves = vec![step("a", "a2"), step("b", "b2"), step("c", "taken"), step("taken", "taken/below")];
    let edited = rig.file(b"edited");
    let Some(Entry::File(_)) = rig.entry("a/x") else { panic!() };
    batch.changes = vec![Change { path: path("a2/x"), old: rig.entry("a/x"), new: Some(edited) }];
    batch.items = rig.batch(batch.changes.clone()).items;
    rig.write("b/x", b"mine");
    let outcomes = rig.apply_batch(&batch).report.outcomes;
    assert_applied(&outcomes[..1]);
    for outcome in &outcomes[1..4] {
        assert_eq!(refusal(outcome), &Refusal::MovedOn);
    }
    assert_applied(&outcomes[4..]);
    assert_eq!(rig.read("a2/x"), b"edited");
    assert_eq!(rig.versions()[0].1, b"a/x");
    assert_eq!(
        rig.ino(rig.versions()[0].0.to_str().map(|p| format!(".evenfold/versions/{p}")).as_deref().unwrap()),
        ino
    );
    assert_eq!(rig.read("b/x"), b"mine");
}

#[test]
fn move_does_not_bring_excluded_files_into_the_relationship() {
    let mut rig = Rig::new();
    rig.excluded = vec!["secret"];
    rig.write_old("d/a", b"a");
    rig.write_old("d/secret", b"mine");
    rig.scan();
    let mut batch = rig.batch(Vec::new());
    batch.moves = vec![Move { from: path("d"), to: path("e"), entry: rig.entry("d").unwrap() }];
    // Excluded at both places by the same rule: it comes along.
    assert_applied(&rig.apply_batch(&batch).report.outcomes);
    assert_eq!(rig.read("e/secret"), b"mine");
    rig.assert_index_is_true();
}

#[test]
fn odd_names_arrive_byte_for_byte() {
    let mut rig = Rig::new();
    rig.scan();
    let long = "x".repeat(255);
    let file = rig.file(b"odd");
    let mut changes = Vec::new();
    for name in [
        &b"-rf"[..],
        b"\xff",
        b" lead",
        b"a\nb",
        b"$(touch PWNED).txt",
        long.as_bytes(),
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
    ] {
        let at = evenfold_core::RelPath::new(name).unwrap();
        changes.push(Change { path: at, old: None, new: Some(file.clone()) });
    }
    assert_applied(&rig.apply(changes.clone()));
    for change in &changes {
        assert_eq!(std::fs::read(rig.folder.join(os(&change.path))).unwrap(), b"odd");
    }
    rig.assert_index_is_true();
    let deletions = changes.into_iter().map(|c| Change { old: c.new.clone(), new: None, ..c }).collect();
    assert_applied(&rig.apply(deletions));
    assert_eq!(rig.versions().len(), 8);
}

#[test]
fn batch_without_effect_keeps_the_epoch_and_writes_nothing() {
    let mut rig = Rig::new();
    rig.scan();
    let file = rig.file(b"x");
    let applied = rig.apply_batch(&rig.batch(vec![rig.change("no/x", Some(file))]));
    assert_eq!(applied.report.epoch, 1);
    let applied = rig.apply_batch(&rig.batch(Vec::new()));
    assert_eq!(applied.report.epoch, 1);
    assert_eq!(rig.versions(), []);
}

#[test]
fn folder_created_and_closed_in_one_batch_holds_what_came_between() {
    let mut rig = Rig::new();
    rig.scan();
    let inner = rig.file(b"inner");
    let changes = vec![
        rig.change("d", Some(dir_with(0o755, &[]))),
        rig.change("d/x", Some(inner)),
        Change { path: path("d"), old: Some(dir_with(0o755, &[])), new: Some(dir_with(0o555, &[])) },
    ];
    assert_applied(&rig.apply(changes));
    assert_eq!(rig.mode("d"), 0o555);
    rig.assert_index_is_true();
}

#[test]
fn folder_emptied_by_a_move_is_deleted_in_the_same_batch() {
    let rig = Rig::new();
    rig.write_old("a/x", b"x");
    rig.write_old("b/y", b"y");
    rig.scan();
    let mut batch = rig.batch(Vec::new());
    batch.moves = vec![Move { from: path("a/x"), to: path("b/x"), entry: rig.entry("a/x").unwrap() }];
    batch.changes = vec![Change { path: path("a"), old: Some(dir(&[])), new: None }];
    assert_applied(&rig.apply_batch(&batch).report.outcomes);
    assert_eq!(rig.live().len(), 2);
    rig.assert_index_is_true();
}
