use evenfold_core::transfer::{Item, Need, Piece, SupplyFailure};
use evenfold_core::{Digest, RelPath};

use super::*;
use crate::apply::testing::*;

fn item(name: &str, content: &[u8]) -> Item {
    Item { digest: Digest::of(content), size: content.len() as u64, path: path(name) }
}

fn rest(item: u32) -> Need {
    Need::Rest { item, from: 0 }
}

fn supplied(rig: &Rig, items: &[Item], needs: &[Need]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let lookup = |path: &RelPath| rig.index.lock().unwrap().look_up(path);
    supply(&rig.disk, &lookup, items, needs, &mut |piece| {
        pieces.push(piece);
        Ok(())
    })
    .unwrap();
    pieces
}

fn failed(pieces: &[Piece]) -> bool {
    matches!(pieces, [Piece::Failed { item: 0, reason: SupplyFailure::Changed }])
}

#[test]
fn needs_are_served_in_order_whatever_their_size() {
    let rig = Rig::new();
    let contents: Vec<Vec<u8>> =
        (0..300).map(|n| noise(n, if n % 50 == 7 { 700_000 } else { n as usize * 10 })).collect();
    for (n, content) in contents.iter().enumerate() {
        rig.write_old(&format!("f{n}"), content);
    }
    rig.scan();
    let items: Vec<_> =
        contents.iter().enumerate().map(|(n, content)| item(&format!("f{n}"), content)).collect();
    let needs: Vec<_> = (0..300).rev().map(rest).collect();
    let mut got: Vec<(u32, Vec<u8>)> = Vec::new();
    for piece in supplied(&rig, &items, &needs) {
        match piece {
            Piece::Whole { item, bytes } => got.push((item, bytes)),
            Piece::Part { item, offset, bytes } => {
                if offset == 0 {
                    got.push((item, Vec::new()));
                }
                let last = got.last_mut().unwrap();
                assert_eq!((last.0, last.1.len() as u64), (item, offset));
                last.1.extend(bytes);
            }
            Piece::End { item } => assert_eq!(got.last().unwrap().0, item),
            Piece::Failed { .. } => panic!("{piece:?}"),
        }
    }
    let expected: Vec<_> = contents.into_iter().enumerate().map(|(n, c)| (n as u32, c)).rev().collect();
    assert!(got == expected);
}

#[test]
fn what_the_index_does_not_have_is_never_sent() {
    let mut rig = Rig::new();
    rig.excluded = vec!["secret"];
    rig.write_old("secret", b"mine");
    rig.write_old("a", b"content");
    rig.write_old(".evenfold/marker-1", b"marker");
    std::os::unix::fs::symlink("a", rig.at("link")).unwrap();
    rig.scan();
    for wanted in [
        item("secret", b"mine"),
        item("link", b"content"),
        item("a", b"other"),
        item("nothing", b"content"),
        Item { size: 3, ..item("a", b"content") },
        Item { path: RelPath::root(), ..item("a", b"content") },
    ] {
        assert!(failed(&supplied(&rig, std::slice::from_ref(&wanted), &[rest(0)])), "{wanted:?}");
    }
    assert!(matches!(supplied(&rig, &[], &[rest(7)])[..], [Piece::Failed { item: 7, .. }]));
}

#[test]
fn file_that_changed_since_the_scan_is_not_sent() {
    let rig = Rig::new();
    rig.write_old("a", b"content");
    rig.scan();
    let wanted = [item("a", b"content")];
    rig.write("a", b"CONTENT");
    assert!(failed(&supplied(&rig, &wanted, &[rest(0)])));
    std::fs::remove_file(rig.at("a")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", rig.at("a")).unwrap();
    assert!(failed(&supplied(&rig, &wanted, &[rest(0)])));
}

#[test]
fn file_that_changes_while_it_is_sent_fails_instead_of_ending() {
    let rig = Rig::new();
    let content = noise(1, 1_000_000);
    rig.write_old("a", &content);
    rig.scan();
    let lookup = |path: &RelPath| rig.index.lock().unwrap().look_up(path);
    let mut last = None;
    supply(&rig.disk, &lookup, &[item("a", &content)], &[rest(0)], &mut |piece| {
        if last.is_none() {
            rig.write("a", &noise(2, 1_000_000));
        }
        last = Some(piece);
        Ok(())
    })
    .unwrap();
    assert_eq!(last, Some(Piece::Failed { item: 0, reason: SupplyFailure::Changed }));
}

#[test]
fn ranges_and_rests_are_exact_and_bounded() {
    let rig = Rig::new();
    let content = noise(1, 600_000);
    rig.write_old("a", &content);
    rig.scan();
    let items = [item("a", &content)];
    let sent = |need| {
        let mut bytes = vec![0; content.len()];
        let mut ended = false;
        for piece in supplied(&rig, &items, &[need]) {
            match piece {
                Piece::Part { offset, bytes: part, .. } => {
                    bytes[offset as usize..offset as usize + part.len()].copy_from_slice(&part);
                }
                Piece::End { .. } => ended = true,
                _ => return None,
            }
        }
        ended.then_some(bytes)
    };
    let rest = sent(Need::Rest { item: 0, from: 599_990 }).unwrap();
    assert!(rest[599_990..] == content[599_990..] && rest[..599_990].iter().all(|b| *b == 0));
    let ranges = sent(Need::Ranges { item: 0, ranges: vec![(5, 10), (300_000, 290_000)] }).unwrap();
    assert!(ranges[5..15] == content[5..15] && ranges[300_000..590_000] == content[300_000..590_000]);
    assert_eq!(sent(Need::Ranges { item: 0, ranges: vec![(0, 600_001)] }), None);
    assert_eq!(sent(Need::Ranges { item: 0, ranges: vec![(u64::MAX, 2)] }), None);
}

#[test]
fn sink_that_stops_ends_the_reading() {
    let rig = Rig::new();
    for n in 0..200 {
        rig.write_old(&format!("f{n}"), b"x");
    }
    rig.scan();
    let items: Vec<_> = (0..200).map(|n| item(&format!("f{n}"), b"x")).collect();
    let needs: Vec<_> = (0..200).map(rest).collect();
    let lookup = |path: &RelPath| rig.index.lock().unwrap().look_up(path);
    let mut taken = 0;
    let result = supply(&rig.disk, &lookup, &items, &needs, &mut |_| {
        taken += 1;
        if taken < 50 { Ok(()) } else { Err(Stopped) }
    });
    assert_eq!((result, taken), (Err(Stopped), 50));
}
