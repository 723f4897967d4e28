use evenfold_core::apply::Refusal;

use crate::apply::testing::{Rig, assert_applied, refusal};

#[test]
fn whole_batch_is_refused_where_one_part_moved_on() {
    let mut rig = Rig::new();
    for name in ["edited", "deleted", "moved-on"] {
        rig.write_old(name, name.as_bytes());
    }
    rig.scan();
    let new = rig.file(b"new");
    let changes = vec![
        rig.change("created", Some(new.clone())),
        rig.change("edited", Some(new.clone())),
        rig.change("deleted", None),
        rig.change("moved-on", Some(new)),
    ];
    let mut batch = rig.batch(changes);
    batch.together = true;
    std::fs::write(rig.at("moved-on"), b"somebody wrote meanwhile").unwrap();
    let before = rig.live();
    let outcomes = rig.apply_batch(&batch).report.outcomes;
    assert_eq!(refusal(&outcomes[3]), &Refusal::MovedOn);
    for outcome in &outcomes[..3] {
        assert_eq!(refusal(outcome), &Refusal::WaitsForOthers);
    }
    assert_eq!(rig.live(), before);
    assert!(rig.versions().is_empty());
}

#[test]
fn whole_batch_is_refused_where_one_content_did_not_come() {
    let mut rig = Rig::new();
    rig.write_old("edited", b"old");
    rig.scan();
    let (one, two) = (rig.file(b"one"), rig.file(b"two"));
    let mut batch = rig.batch(vec![rig.change("edited", Some(one)), rig.change("d/new", Some(two))]);
    batch.together = true;
    let mut pieces = rig.pieces(&batch);
    pieces.truncate(1);
    let before = rig.live();
    let outcomes = rig.apply_pieces(&batch, pieces).unwrap().report.outcomes;
    assert_eq!(refusal(&outcomes[0]), &Refusal::WaitsForOthers);
    assert!(matches!(refusal(&outcomes[1]), Refusal::NotSupplied(_)));
    assert_eq!(rig.live(), before);
}

#[test]
fn whole_batch_is_carried_out_where_nothing_is_in_the_way() {
    let mut rig = Rig::new();
    for name in ["edited", "deleted", "d/kept"] {
        rig.write_old(name, name.as_bytes());
    }
    rig.scan();
    let new = rig.file(b"new");
    let changes = vec![
        rig.change("created", Some(new.clone())),
        rig.change("edited", Some(new)),
        rig.change("deleted", None),
    ];
    let mut batch = rig.batch(changes);
    batch.together = true;
    assert_applied(&rig.apply_batch(&batch).report.outcomes);
    assert_eq!((rig.read("created"), rig.read("edited")), (b"new".to_vec(), b"new".to_vec()));
    rig.assert_index_is_true();
}

#[test]
fn equal_content_that_is_sent_again_is_put_in_place_and_the_old_is_a_version() {
    let mut rig = Rig::new();
    rig.write_old("same", b"content");
    rig.scan();
    let entry = rig.entry("same").unwrap();
    let before = rig.ino("same");
    let mut change = rig.batch(Vec::new());
    change.again = true;
    rig.file(b"content");
    let changes = vec![rig.change("same", Some(entry.clone()))];
    change.items = vec![evenfold_core::transfer::Item {
        digest: entry.as_file().unwrap().digest,
        size: 7,
        path: changes[0].path.clone(),
    }];
    change.changes = changes;
    assert_applied(&rig.apply_batch(&change).report.outcomes);
    assert_ne!(rig.ino("same"), before, "it was left as it was");
    assert_eq!(rig.read("same"), b"content");
    assert_eq!(rig.versions().len(), 1);
    rig.assert_index_is_true();
}
