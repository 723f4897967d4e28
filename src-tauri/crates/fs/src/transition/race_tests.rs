//! What users do between two steps, and folders that have to be opened for a step.

use evenfold_core::apply::{Batch, Move, Refusal};

use crate::apply::KeptWhy;
use crate::apply::testing::*;

#[test]
fn edit_between_look_and_exchange_is_put_back() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a", b"old");
    rig.scan();
    let new = rig.file(b"new");
    let batch = rig.batch(vec![rig.change("a", Some(new))]);
    let live = rig.at("a");
    rig.disk.once("exchange", move || {
        std::fs::write(live.with_extension("tmp"), b"just saved").unwrap();
        std::fs::rename(live.with_extension("tmp"), &live).unwrap();
    });
    let applied = rig.apply_batch(&batch);
    assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"just saved");
}

#[test]
fn edit_in_place_between_look_and_exchange_is_put_back() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a", b"old");
    rig.scan();
    let new = rig.file(b"new");
    let batch = rig.batch(vec![rig.change("a", Some(new))]);
    let live = rig.at("a");
    rig.disk.once("exchange", move || std::fs::write(&live, b"just saved").unwrap());
    let applied = rig.apply_batch(&batch);
    assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"just saved");
}

#[test]
fn two_edits_around_an_exchange_keep_both() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a", b"old");
    rig.scan();
    let new = rig.file(b"new");
    let batch = rig.batch(vec![rig.change("a", Some(new))]);
    let live = rig.at("a");
    let mut exchanges = 0;
    rig.disk.hook(move |call| {
        if call == "exchange" {
            exchanges += 1;
            if exchanges <= 2 {
                std::fs::write(live.with_extension("tmp"), format!("save {exchanges}")).unwrap();
                std::fs::rename(live.with_extension("tmp"), &live).unwrap();
            }
        }
    });
    let applied = rig.apply_batch(&batch);
    assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"save 2", "the newest stays live");
    assert!(rig.versions().iter().any(|(_, bytes)| bytes == b"save 1"));
    assert_eq!(applied.kept[0].why, KeptWhy::Displaced);
}

#[test]
fn edit_between_look_and_deletion_is_put_back() {
    let rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a", b"old");
    rig.write_old("d/x", b"old");
    rig.scan();
    for (name, edited) in [("a", "a"), ("d", "d/x"), ("d", "d/new")] {
        let batch = rig.batch(vec![rig.change(name, None)]);
        let live = rig.at(edited);
        rig.disk.once("shelve", move || std::fs::write(&live, b"just saved").unwrap());
        let applied = rig.apply_batch(&batch);
        assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn, "{edited}");
        assert_eq!(rig.read(edited), b"just saved");
        rig.scan();
    }
    assert_eq!(rig.versions(), []);
}

#[test]
fn name_taken_between_deletion_and_putting_back_keeps_both() {
    let rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a", b"old");
    rig.scan();
    let batch = rig.batch(vec![rig.change("a", None)]);
    let live = rig.at("a");
    rig.disk.hook(move |call| match call {
        "shelve" => std::fs::write(&live, b"save 1").unwrap(),
        "publish" => std::fs::write(&live, b"save 2").unwrap(),
        _ => {}
    });
    let applied = rig.apply_batch(&batch);
    assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"save 2");
    assert_eq!(rig.versions()[0].1, b"save 1");
    assert_eq!(applied.kept[0].why, KeptWhy::Displaced);
}

#[test]
fn name_taken_just_before_creation_is_moved_on() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.scan();
    let new = rig.file(b"new");
    let batch = rig.batch(vec![rig.change("a", Some(new))]);
    let live = rig.at("a");
    rig.disk.once("publish", move || std::fs::write(&live, b"mine").unwrap());
    assert_eq!(refusal(&rig.apply_batch(&batch).report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.read("a"), b"mine");
    rig.assert_staging_is_empty();
}

#[test]
fn edit_during_a_move_moves_it_back() {
    let rig = Rig::on(FaultyDisk::wrap);
    rig.write_old("a/x", b"old");
    rig.scan();
    let mut batch = rig.batch(Vec::new());
    batch.moves = vec![Move { from: path("a"), to: path("b"), entry: rig.entry("a").unwrap() }];
    let live = rig.at("a/x");
    rig.disk.once("move", move || std::fs::write(&live, b"just saved").unwrap());
    assert_eq!(refusal(&rig.apply_batch(&batch).report.outcomes[0]), &Refusal::MovedOn);
    assert_eq!(rig.live(), [("a/x".into(), b"just saved".to_vec())]);
}

/// Changes within, of and into folders without write permission.
fn closed_scene(rig: &mut Rig<FaultyDisk>) -> Batch {
    let close = |name: &str| {
        std::fs::set_permissions(rig.at(name), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    };
    rig.write_old("d/a", b"a");
    rig.write_old("gone/x", b"x");
    rig.write_old("moved/y", b"y");
    for name in ["d", "gone", "moved"] {
        close(name);
    }
    rig.scan();
    let new = rig.file(b"new");
    let mut batch = rig.batch(vec![
        rig.change("d/b", Some(new.clone())),
        rig.change("d/a", Some(new.clone())),
        rig.change("t", Some(dir_with(0o555, &[("n", new)]))),
        rig.change("gone", None),
    ]);
    batch.moves = vec![Move { from: path("moved"), to: path("d/moved"), entry: rig.entry("moved").unwrap() }];
    rig.disk.control().strict.store(true, std::sync::atomic::Ordering::SeqCst);
    batch
}

#[test]
fn folders_without_write_permission_are_opened_for_a_moment() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    let batch = closed_scene(&mut rig);
    assert_applied(&rig.apply_batch(&batch).report.outcomes);
    for name in ["d", "d/moved", "t"] {
        assert_eq!(rig.mode(name), 0o555, "{name}");
    }
    assert_eq!(rig.versions().len(), 2);
    rig.assert_index_is_true();
    rig.assert_staging_is_empty();
}

#[test]
fn crash_while_a_folder_is_open_leaves_no_trace_in_its_permissions() {
    for calls in 0.. {
        let mut rig = Rig::on(FaultyDisk::wrap);
        let batch = closed_scene(&mut rig);
        rig.disk.crash_after(calls);
        rig.apply_pieces(&batch, rig.pieces(&batch)).ok();
        if !rig.disk.control().crashed() {
            assert!(calls > 30);
            break;
        }
        let again = rig.reopened(|disk| disk);
        crate::recover::recover(&again.disk, RELATIONSHIP).unwrap();
        for name in ["d", "moved", "d/moved", "gone", "t"] {
            if again.exists(name) {
                assert_eq!(again.mode(name), 0o555, "{name} after {calls} calls");
            }
        }
        again.assert_staging_is_empty();
    }
}

#[test]
fn file_system_without_exchange_replaces_in_two_steps() {
    use std::sync::atomic::Ordering;
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.disk.control().no_exchange.store(true, Ordering::SeqCst);
    rig.write_old("a", b"old");
    rig.write_old("d/x", b"old");
    rig.scan();
    let new = rig.file(b"new");
    assert_applied(&rig.apply(vec![rig.change("a", Some(new.clone())), rig.change("d", Some(new.clone()))]));
    assert_eq!(rig.live(), [("a".into(), b"new".to_vec()), ("d".into(), b"new".to_vec())]);
    assert_eq!(rig.versions().len(), 2);
    rig.assert_index_is_true();
    rig.assert_staging_is_empty();
    // A user who saves in the moment in which the name is empty, or just before it is taken away.
    for (call, kept) in [("publish", &b"new"[..]), ("shelve", b"just saved")] {
        rig.write_old("a", b"new");
        rig.scan();
        let newer = rig.file(b"newer");
        let batch = rig.batch(vec![rig.change("a", Some(newer))]);
        let live = rig.at("a");
        rig.disk.once(call, move || std::fs::write(&live, b"just saved").unwrap());
        let applied = rig.apply_batch(&batch);
        assert_eq!(refusal(&applied.report.outcomes[0]), &Refusal::MovedOn);
        assert_eq!(rig.read("a"), b"just saved");
        let all = [rig.versions(), rig.live()].concat();
        assert!(all.iter().any(|(_, bytes)| bytes == kept));
    }
}
