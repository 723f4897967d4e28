//! Contents that come whole, in parts, in pieces out of order, damaged, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenfold_core::Digest;
use evenfold_core::apply::{LocalCopy, Outcome, Refusal};
use evenfold_core::transfer::{MAX_PART, Piece, SupplyFailure};

use crate::apply::testing::*;
use crate::apply::{Progress, Rules};

const LARGE: usize = 3 * 1024 * 1024 + 17;

fn outcomes<D: crate::disk::Disk>(
    rig: &Rig<D>,
    names: &[(&str, evenfold_core::Entry)],
    pieces: impl FnOnce(Vec<Piece>) -> Vec<Piece>,
) -> Vec<Outcome> {
    let changes = names.iter().map(|(name, entry)| rig.change(name, Some(entry.clone())));
    let batch = rig.batch(changes.collect());
    let pieces = pieces(rig.pieces(&batch));
    rig.apply_pieces(&batch, pieces).unwrap().report.outcomes
}

fn refused(outcome: &Outcome) -> &Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Applied { .. } => panic!("{outcome:?}"),
    }
}

fn applied(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { short, .. } if short.is_empty())
}

#[test]
fn small_medium_and_large_contents_arrive_in_several_places() {
    let mut rig = Rig::new();
    rig.scan();
    let contents = [noise(1, 10), noise(2, 300_000), noise(3, LARGE)];
    let entries: Vec<_> = contents.iter().map(|bytes| rig.file(bytes)).collect();
    let tree = dir(&[("s", entries[0].clone()), ("m", entries[1].clone()), ("l", entries[2].clone())]);
    let result = outcomes(&rig, &[("t", tree.clone()), ("u", tree), ("l", entries[2].clone())], |p| p);
    assert!(result.iter().all(applied), "{result:?}");
    for top in ["t", "u"] {
        for (name, bytes) in ["s", "m", "l"].iter().zip(&contents) {
            assert!(rig.read(&format!("{top}/{name}")) == *bytes);
        }
    }
    assert!(rig.read("l") == contents[2]);
    rig.assert_index_is_true();
    rig.assert_staging_is_empty();
    assert_eq!(files_below(&rig.at(".evenfold/partial")), []);
}

#[test]
fn many_small_files_arrive_through_all_writers() {
    let mut rig = Rig::new();
    rig.scan();
    let names: Vec<String> = (0..500).map(|n| format!("f{n}")).collect();
    let children: Vec<_> = names.iter().map(|name| (name.as_str(), rig.file(name.as_bytes()))).collect();
    let result = outcomes(&rig, &[("t", dir(&children))], |p| p);
    assert!(applied(&result[0]));
    for name in &names {
        assert_eq!(rig.read(&format!("t/{name}")), name.as_bytes());
    }
    rig.assert_index_is_true();
}

#[test]
fn damaged_contents_are_refused_and_leave_nothing() {
    for size in [100, 300_000, LARGE] {
        let mut rig = Rig::new();
        rig.scan();
        let bad = rig.file(&noise(1, size));
        let good = rig.file(b"good");
        let flip = |mut pieces: Vec<Piece>| {
            match &mut pieces[0] {
                Piece::Whole { bytes, .. } | Piece::Part { bytes, .. } => bytes[7] ^= 1,
                _ => panic!(),
            }
            pieces
        };
        let result = outcomes(&rig, &[("bad", bad), ("good", good)], flip);
        assert_eq!(refused(&result[0]), &Refusal::Damaged);
        assert!(applied(&result[1]));
        assert!(!rig.exists("bad"));
        assert_eq!(files_below(&rig.at(".evenfold/partial")), []);
    }
}

#[test]
fn failing_part_of_a_tree_is_left_out_and_named() {
    let mut rig = Rig::new();
    rig.scan();
    let (a, b) = (rig.file(b"a"), rig.file(b"b"));
    let tree = dir(&[("a", a), ("b", b)]);
    let lose = |mut pieces: Vec<Piece>| {
        pieces[0] = Piece::Failed { item: 0, reason: SupplyFailure::Changed };
        pieces
    };
    let result = outcomes(&rig, &[("t", tree)], lose);
    let Outcome::Applied { short, now } = &result[0] else { panic!("{result:?}") };
    assert_eq!(short, &[(path("t/a"), Refusal::NotSupplied(SupplyFailure::Changed))]);
    assert_eq!(now, &rig.entry("t"));
    assert!(!rig.exists("t/a") && rig.exists("t/b"));
    rig.assert_index_is_true();
}

#[test]
fn whole_unit_with_a_failing_part_does_not_appear() {
    let mut rig = Rig::new();
    rig.rules = Rules { whole: true, ..Rules::default() };
    rig.scan();
    let tree = dir(&[("a", rig.file(b"a")), ("b", rig.file(b"b"))]);
    let result = outcomes(&rig, &[("t", tree)], |pieces| pieces[1..].to_vec());
    assert!(matches!(refused(&result[0]), Refusal::NotSupplied(_)));
    assert!(!rig.exists("t"));
}

#[test]
fn pieces_out_of_order_overlapping_or_too_long_are_damage() {
    let content = noise(1, LARGE);
    let part = |offset: usize, len: usize| Piece::Part {
        item: 0,
        offset: offset as u64,
        bytes: content[offset..(offset + len).min(LARGE)].to_vec(),
    };
    let beyond = Piece::Part { item: 0, offset: LARGE as u64 - 1, bytes: vec![0; 2] };
    let overlap = vec![part(0, 1000), part(500, 1000), Piece::End { item: 0 }];
    let swapped = vec![part(0, 1000), part(2000, 1000), part(1000, 1000), Piece::End { item: 0 }];
    let short = vec![part(0, 1000), Piece::End { item: 0 }];
    for pieces in [overlap, swapped, short, vec![part(0, LARGE - 1), beyond, Piece::End { item: 0 }]] {
        let mut rig = Rig::new();
        rig.scan();
        let file = rig.file(&content);
        let result = outcomes(&rig, &[("a", file)], |_| pieces);
        assert_eq!(refused(&result[0]), &Refusal::Damaged);
        assert!(!rig.exists("a"));
    }
}

#[test]
fn pieces_that_nobody_asked_for_are_dropped() {
    let mut rig = Rig::new();
    rig.scan();
    let file = rig.file(b"wanted");
    let result = outcomes(&rig, &[("a", file)], |mut pieces| {
        pieces.insert(0, Piece::Whole { item: 99, bytes: b"?".to_vec() });
        pieces.insert(0, Piece::End { item: 98 });
        pieces.push(Piece::Whole { item: 0, bytes: b"again".to_vec() });
        pieces.push(Piece::Failed { item: 0, reason: SupplyFailure::Changed });
        pieces
    });
    assert!(applied(&result[0]));
    assert_eq!(rig.read("a"), b"wanted");
}

#[test]
fn interrupted_large_content_stays_for_another_attempt() {
    let mut rig = Rig::new();
    rig.scan();
    let content = noise(1, LARGE);
    let file = rig.file(&content);
    let result = outcomes(&rig, &[("a", file)], |pieces| pieces[..4].to_vec());
    assert!(matches!(refused(&result[0]), Refusal::NotSupplied(_)));
    let partial = files_below(&rig.at(".evenfold/partial"));
    assert!(partial[0].1 == content[..4 * MAX_PART]);
}

#[test]
fn no_space_refuses_what_does_not_fit_and_lets_smaller_pass() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.scan();
    rig.rules.reserve = 1_000_000;
    rig.disk.control().free.store(1_000_000 + 200_000, Ordering::SeqCst);
    let (big, small) = (rig.file(&noise(1, 300_000)), rig.file(b"small"));
    let result = outcomes(&rig, &[("big", big), ("small", small)], |p| p);
    assert_eq!(refused(&result[0]), &Refusal::NoSpace);
    assert!(applied(&result[1]));
}

#[test]
fn full_disk_while_writing_is_no_space_and_leaves_nothing() {
    for size in [100, LARGE] {
        let mut rig = Rig::on(FaultyDisk::wrap);
        rig.scan();
        rig.disk.control().full.store(true, Ordering::SeqCst);
        let file = rig.file(&noise(1, size));
        let result = outcomes(&rig, &[("a", file)], |p| p);
        assert_eq!(refused(&result[0]), &Refusal::NoSpace);
        assert_eq!(files_below(&rig.at(".evenfold")), []);
    }
}

#[test]
fn long_zeros_become_holes() {
    use std::os::unix::fs::MetadataExt;
    let mut rig = Rig::new();
    rig.scan();
    let mut content = vec![0; 8 << 20];
    content[..100].copy_from_slice(&noise(1, 100));
    content[4_000_000] = 1;
    let file = rig.file(&content);
    assert!(applied(&outcomes(&rig, &[("a", file)], |p| p)[0]));
    assert!(rig.read("a") == content);
    let taken = rig.at("a").metadata().unwrap().blocks() * 512;
    assert!(taken < 1 << 20, "{taken} bytes");
}

#[test]
fn local_copies_are_verified() {
    for size in [1000, LARGE] {
        let mut rig = Rig::new();
        let content = noise(1, size);
        rig.write_old("have", &content);
        rig.scan();
        let file = rig.file(&content);
        let copied = |rig: &Rig, digest| {
            let mut batch = rig.batch(vec![rig.change("copy", Some(file.clone()))]);
            batch.items.clear();
            batch.copies = vec![LocalCopy { digest, path: path("have") }];
            rig.apply_pieces(&batch, Vec::new()).unwrap().report.outcomes.remove(0)
        };
        // It holds something else by now.
        rig.write("have", b"something else");
        assert!(matches!(copied(&rig, Digest::of(&content)), Outcome::Refused(Refusal::NotSupplied(_))));
        rig.write_old("have", &content);
        rig.scan();
        assert!(applied(&copied(&rig, Digest::of(&content))));
        assert!(rig.read("copy") == content);
        rig.assert_index_is_true();
    }
}

#[test]
fn names_that_fall_together_are_found_while_staging() {
    // The file system at hand tells cases apart, so a second creation of one name stands for it.
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.scan();
    let tree = dir(&[("A", rig.file(b"1")), ("a", rig.file(b"2"))]);
    let folder = rig.folder.clone();
    rig.disk.hook(move |call| {
        // As soon as "A" is finished, its other name appears.
        if call == "finish"
            && let Some((at, _)) =
                files_below(&folder.join(".evenfold/staging")).into_iter().find(|(at, _)| at.ends_with("A"))
        {
            let at = folder.join(".evenfold/staging").join(at);
            std::fs::hard_link(&at, at.with_file_name("a")).ok();
        }
    });
    let result = outcomes(&rig, &[("t", tree)], |p| p);
    let Outcome::Applied { short, .. } = &result[0] else { panic!("{result:?}") };
    assert!(matches!(&short[0], (at, Refusal::NameClash(_)) if *at == path("t/a")));
}

struct Count(AtomicU64, AtomicU64);

impl Progress for Count {
    fn staged(&self, files: u64, bytes: u64) {
        self.0.fetch_add(files, Ordering::Relaxed);
        self.1.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[test]
fn progress_adds_up_to_what_was_staged() {
    let mut rig = Rig::new();
    rig.scan();
    let tree = dir(&[("a", rig.file(&noise(1, 1000))), ("b", rig.file(&noise(2, LARGE)))]);
    let batch = rig.batch(vec![rig.change("t", Some(tree))]);
    let count = Arc::new(Count(AtomicU64::new(0), AtomicU64::new(0)));
    let site = crate::apply::Site {
        disk: &rig.disk,
        relationship: RELATIONSHIP,
        index: &rig.index,
        takes_part: &|_, _| true,
        bump_epoch: &|| Ok(2),
        epoch: 1,
        prepared: &rig.prepared,
        rules: rig.rules,
    };
    crate::apply::apply(&site, &batch, &mut rig.pieces(&batch).into_iter(), &*count).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(count.1.load(Ordering::Relaxed), 1000 + LARGE as u64);
}

#[test]
fn staging_that_cannot_be_made_durable_publishes_nothing() {
    let mut rig = Rig::on(FaultyDisk::wrap);
    rig.scan();
    let file = rig.file(b"new");
    let batch = rig.batch(vec![rig.change("a", Some(file))]);
    let control = rig.disk.control();
    rig.disk.once("sync_dirs", move || control.crash_now());
    assert!(rig.apply_pieces(&batch, rig.pieces(&batch)).is_err());
    assert!(!rig.exists("a"));
}

#[test]
fn two_batches_with_one_large_content_do_not_share_a_file() {
    let mut rig = Rig::new();
    rig.scan();
    let content = noise(1, LARGE);
    let file = rig.file(&content);
    let batches = ["a", "b"].map(|name| rig.batch(vec![rig.change(name, Some(file.clone()))]));
    let [first, second] = &batches;
    let half = rig.pieces(first).len() / 2;
    let (mut begun, rest) = (rig.pieces(first), rig.pieces(first).split_off(half));
    begun.truncate(half);
    // The second arrives as a whole, with other bytes at first, while the first is in the middle.
    let mut damaged = rig.pieces(second);
    if let Piece::Part { bytes, .. } = &mut damaged[0] {
        bytes[0] ^= 1;
    }
    let outcome = std::cell::RefCell::new(None);
    let between = std::iter::once_with(|| {
        *outcome.borrow_mut() =
            Some(rig.apply_pieces(second, damaged.clone()).unwrap().report.outcomes.remove(0));
        Piece::End { item: 99 }
    });
    let mut pieces = begun.into_iter().chain(between).chain(rest);
    let result = rig.apply_iter(first, &mut pieces).unwrap().report.outcomes.remove(0);
    assert!(applied(&result), "{result:?}");
    assert!(rig.read("a") == content);
    assert_eq!(outcome.into_inner(), Some(Outcome::Refused(Refusal::Damaged)));
    rig.assert_staging_is_empty();
}

#[test]
fn deepest_trees_fit_on_the_stack_of_an_ordinary_thread() {
    let work = || {
        let mut rig = Rig::new();
        rig.scan();
        let mut tree = rig.file(b"deep");
        for _ in 0..1900 {
            tree = dir(&[("d", tree)]);
        }
        let result = outcomes(&rig, &[("d", tree)], |p| p);
        assert!(applied(&result[0]));
        let result = rig.apply(vec![rig.change("d", None)]);
        assert!(applied(&result[0]));
        let keep = crate::versions::Keep { age: std::time::Duration::ZERO, bytes: Some(0) };
        assert_eq!(crate::versions::drop_versions(&rig.disk, &keep).unwrap().bytes, 4);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
