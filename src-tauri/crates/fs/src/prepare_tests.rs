use evenfold_core::apply::{Basis, Outcome, Refusal};
use evenfold_core::transfer::{MAX_PART, Piece};

use super::*;
use crate::apply::testing::*;
use crate::supply::{manifests, supply};

/// Changes `old` into `new` over a supplier and a receiver, and returns what went between them in bytes of
/// content, and the outcome.
fn transfer(old: &[u8], new: &[u8], meddle: impl FnOnce(&Rig, &Batch)) -> (usize, Outcome, Rig) {
    let supplier = Rig::new();
    supplier.write_old("f", new);
    supplier.scan();
    let receiver = Rig::new();
    receiver.write_old("f", old);
    receiver.scan();
    let mut batch = receiver.batch(vec![receiver.change("f", supplier.entry("f"))]);
    batch.bases = vec![Basis { item: 0, path: path("f") }];
    meddle(&receiver, &batch);
    let (sent, outcome) = exchange(&supplier, &receiver, &batch);
    (sent, outcome, receiver)
}

fn exchange(supplier: &Rig, receiver: &Rig, batch: &Batch) -> (usize, Outcome) {
    let theirs = |path: &RelPath| supplier.index.lock().unwrap().look_up(path);
    let ours = |path: &RelPath| receiver.index.lock().unwrap().look_up(path);
    let manifests = manifests(&supplier.disk, &theirs, &batch.items, &[0]);
    let needs =
        prepare(&receiver.disk, RELATIONSHIP, &ours, &receiver.prepared, batch, &manifests, Rules::default());
    let mut pieces = Vec::new();
    supply(&supplier.disk, &theirs, &batch.items, &needs, &mut |piece| {
        pieces.push(piece);
        Ok(())
    })
    .unwrap();
    let sent = pieces.iter().map(|piece| match piece {
        Piece::Whole { bytes, .. } | Piece::Part { bytes, .. } => bytes.len(),
        _ => 0,
    });
    let sent =
        sent.sum::<usize>() + manifests.iter().map(|manifest| manifest.chunks.len() * 10).sum::<usize>();
    (sent, receiver.apply_pieces(batch, pieces).unwrap().report.outcomes.remove(0))
}

fn applied(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { short, .. } if short.is_empty())
}

#[test]
fn insertion_at_the_front_moves_little() {
    let old = noise(1, 64 << 20);
    let new = [b"x", &old[..]].concat();
    let (sent, outcome, receiver) = transfer(&old, &new, |_, _| {});
    assert!(applied(&outcome), "{outcome:?}");
    assert!(receiver.read("f") == new);
    assert!(sent < 120_000, "{sent} bytes for 64 MiB");
    receiver.assert_index_is_true();
}

#[test]
fn overwriting_in_the_middle_moves_little() {
    let old = noise(1, 64 << 20);
    let mut new = old.clone();
    new[32 << 20..(32 << 20) + 4096].copy_from_slice(&noise(2, 4096));
    let (sent, outcome, receiver) = transfer(&old, &new, |_, _| {});
    assert!(applied(&outcome), "{outcome:?}");
    assert!(receiver.read("f") == new);
    assert!(sent < 120_000, "{sent} bytes for 64 MiB");
}

#[test]
fn unlike_contents_are_sent_whole() {
    let (old, new) = (noise(1, 3 << 20), noise(2, 3 << 20));
    let (sent, outcome, receiver) = transfer(&old, &new, |_, _| {});
    assert!(applied(&outcome));
    assert!(sent >= 3 << 20);
    assert!(receiver.read("f") == new);
}

#[test]
fn basis_that_changed_after_preparing_is_damage_and_the_next_attempt_is_whole() {
    let old = noise(1, 4 << 20);
    let new = [b"x", &old[..]].concat();
    let supplier = Rig::new();
    supplier.write_old("f", &new);
    supplier.scan();
    let receiver = Rig::new();
    receiver.write_old("basis", &old);
    receiver.scan();
    let batch = || {
        let mut batch = receiver.batch(vec![receiver.change("f", supplier.entry("f"))]);
        batch.bases = vec![Basis { item: 0, path: path("basis") }];
        batch
    };
    let theirs = |path: &RelPath| supplier.index.lock().unwrap().look_up(path);
    let ours = |path: &RelPath| receiver.index.lock().unwrap().look_up(path);
    let first = batch();
    let manifests = manifests(&supplier.disk, &theirs, &first.items, &[0]);
    let needs = prepare(
        &receiver.disk,
        RELATIONSHIP,
        &ours,
        &receiver.prepared,
        &first,
        &manifests,
        Rules::default(),
    );
    assert!(matches!(needs[..], [Need::Ranges { .. }]), "{needs:?}");
    receiver.write("basis", &noise(9, 4 << 20));
    let mut pieces = Vec::new();
    supply(&supplier.disk, &theirs, &first.items, &needs, &mut |piece| {
        pieces.push(piece);
        Ok(())
    })
    .unwrap();
    let outcome = receiver.apply_pieces(&first, pieces).unwrap().report.outcomes.remove(0);
    assert_eq!(outcome, Outcome::Refused(Refusal::Damaged));
    receiver.write_old("basis", &old);
    receiver.scan();
    let (sent, outcome) = exchange(&supplier, &receiver, &batch());
    assert!(applied(&outcome) && sent > 4 << 20, "{sent} {outcome:?}");
    assert!(receiver.read("f") == new);
}

#[test]
fn interrupted_transfer_goes_on_where_it_ended() {
    let new = noise(1, 5 << 20);
    let (sent, outcome, receiver) = transfer(b"old", &new, |receiver, batch| {
        let pieces = pieces_of(0, &new);
        let cut = Batch { id: 99, ..batch.clone() };
        receiver.apply_pieces(&cut, pieces[..10].to_vec()).unwrap();
    });
    assert!(applied(&outcome), "{outcome:?}");
    assert!(receiver.read("f") == new);
    let left = new.len() - 10 * MAX_PART;
    assert!(sent < left + 10_000, "{sent}");
}

#[test]
fn damaged_beginning_is_found_and_the_next_attempt_is_whole() {
    let new = noise(1, 3 << 20);
    let damage = |receiver: &Rig, _: &Batch| {
        let at = format!(".evenfold/partial/{RELATIONSHIP:032x}/{}", Digest::of(&new));
        receiver.write(&at, &noise(7, 1 << 20));
    };
    let (_, outcome, receiver) = transfer(b"old", &new, damage);
    assert_eq!(outcome, Outcome::Refused(Refusal::Damaged));
    assert_eq!(receiver.read("f"), b"old");
    assert_eq!(files_below(&receiver.at(".evenfold/partial")), []);
}

#[test]
fn complete_partial_needs_nothing_to_be_sent() {
    let new = noise(1, 3 << 20);
    let (sent, outcome, receiver) = transfer(b"old", &new, |receiver, _| {
        let at = format!(".evenfold/partial/{RELATIONSHIP:032x}/{}", Digest::of(&new));
        receiver.write(&at, &new);
    });
    assert!(applied(&outcome), "{outcome:?}");
    assert!(sent < 10_000);
    assert!(receiver.read("f") == new);
}

#[test]
fn manifest_that_does_not_cover_the_item_is_ignored() {
    let old = noise(1, 2 << 20);
    let rig = Rig::new();
    rig.write_old("f", &old);
    rig.scan();
    let mut batch = rig.batch(vec![rig.change("f", Some(file_with(&noise(2, 2 << 20), 0o644, 1)))]);
    batch.bases = vec![Basis { item: 0, path: path("f") }];
    let lookup = |path: &RelPath| rig.index.lock().unwrap().look_up(path);
    for chunks in
        [vec![], vec![Chunk { hash: [0; 6], len: 5 }], vec![Chunk { hash: [0; 6], len: u32::MAX }; 3]]
    {
        let manifest = Manifest { item: 0, chunks };
        let needs =
            prepare(&rig.disk, RELATIONSHIP, &lookup, &rig.prepared, &batch, &[manifest], Rules::default());
        assert_eq!(needs, [Need::Rest { item: 0, from: 0 }]);
    }
}

#[test]
fn old_partials_are_dropped_and_young_ones_stay() {
    let rig = Rig::new();
    rig.write(&format!(".evenfold/partial/{RELATIONSHIP:032x}/abc"), b"12345");
    assert_eq!(drop_partials(&rig.disk, RELATIONSHIP, Duration::from_secs(60)).unwrap(), 0);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(drop_partials(&rig.disk, RELATIONSHIP, Duration::ZERO).unwrap(), 5);
}

#[test]
fn file_that_is_edited_again_is_not_cut_again() {
    let old = noise(1, 4 << 20);
    let supplier = Rig::new();
    let receiver = Rig::new();
    receiver.write_old("f", &old);
    receiver.scan();
    for round in 0..3u8 {
        let mut new = receiver.read("f");
        new[2 << 20] ^= 1 + round;
        supplier.write_old("f", &new);
        supplier.scan();
        let mut batch = receiver.batch(vec![receiver.change("f", supplier.entry("f"))]);
        batch.bases = vec![Basis { item: 0, path: path("f") }];
        let sizes = ChunkSizes::of(batch.items[0].size);
        let Some(Entry::File(file)) = receiver.entry("f") else { panic!() };
        assert_eq!(receiver.prepared.list(file.digest, sizes).is_some(), round > 0);
        let (sent, outcome) = exchange(&supplier, &receiver, &batch);
        assert!(applied(&outcome) && sent < 200_000, "{sent}");
        assert!(receiver.read("f") == new);
    }
}

#[test]
fn bases_can_be_read_ahead() {
    let receiver = Rig::new();
    receiver.write_old("f", &noise(1, 2 << 20));
    receiver.scan();
    let mut batch = receiver.batch(vec![receiver.change("f", Some(file_with(&noise(2, 2 << 20), 0o644, 1)))]);
    batch.bases = vec![Basis { item: 0, path: path("f") }, Basis { item: 9, path: path("none") }];
    let ours = |path: &RelPath| receiver.index.lock().unwrap().look_up(path);
    read_bases(&receiver.disk, &ours, &receiver.prepared, &batch);
    assert!(receiver.prepared.list(Digest::of(&noise(1, 2 << 20)), ChunkSizes::of(2 << 20)).is_some());
}

#[test]
fn what_does_not_fit_is_not_asked_for() {
    let rig = Rig::on(FaultyDisk::wrap);
    rig.scan();
    rig.disk.control().free.store(5_000_000, std::sync::atomic::Ordering::SeqCst);
    let big = file_with(&noise(2, 2 << 20), 0o644, 1);
    let small = file_with(b"small", 0o644, 1);
    let batch = rig.batch(vec![rig.change("big", Some(big)), rig.change("small", Some(small))]);
    let lookup = |path: &RelPath| rig.index.lock().unwrap().look_up(path);
    let rules = Rules { reserve: 4_000_000, ..Rules::default() };
    let needs = prepare(&rig.disk, RELATIONSHIP, &lookup, &rig.prepared, &batch, &[], rules);
    assert_eq!(needs, [Need::Rest { item: 1, from: 0 }]);
}

#[test]
fn large_content_that_could_not_be_published_is_not_sent_again() {
    let (old, new) = (b"old", noise(1, 3 << 20));
    let (_, outcome, receiver) = transfer(old, &new, |receiver, _| receiver.write("f", b"mine"));
    assert_eq!(outcome, Outcome::Refused(Refusal::MovedOn));
    receiver.scan();
    let supplier = Rig::new();
    supplier.write_old("f", &new);
    supplier.scan();
    let batch = receiver.batch(vec![receiver.change("f", supplier.entry("f"))]);
    let (sent, outcome) = exchange(&supplier, &receiver, &batch);
    assert!(applied(&outcome) && sent < 10_000, "{sent} {outcome:?}");
    assert!(receiver.read("f") == new);
    receiver.assert_staging_is_empty();
}
