//! Tests with bytes that no honest peer would send.

use std::sync::Arc;

use evenfold_core::{Child, Digest, Dir, Entry, File, Mode, Mtime, Name, RelPath};
use proptest::prelude::*;

use crate::batch::{Body, receive_body};
use crate::descent::receive_tree;
use crate::error::WireError;
use crate::frame::{Frame, FrameReader, Head, MAX_FRAME};
use crate::history::History;
use crate::inbox::{Arrival, Inbox};
use crate::message::{Blob, Hash, Message, Slot, WireFile};
use crate::report;
use crate::tree::Catalog;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn framed(messages: &[Message<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        message.encode(&mut body).unwrap();
    }
    let mut bytes = Vec::new();
    Head { len: body.len() as u32, part: None, raw: None }.encode(&mut bytes);
    bytes.extend_from_slice(&body);
    bytes
}

fn sample() -> Vec<u8> {
    let file = WireFile { digest: Hash(Digest::of(b"x")), size: 300, secs: -5, nanos: 7, mode: 0o644 };
    let name = |bytes: &'static [u8]| Blob(bytes);
    framed(&[
        Message::Batch { id: 77, together: true, again: false },
        Message::Move { from: Blob(b"a/b"), to: Blob(b"c"), entry: Slot::Inline },
        Message::Dir { name: name(b""), mode: 0o755 },
        Message::File { name: name(b"f1"), file },
        Message::Symlink { name: name(b"l"), target: Blob(b"../x") },
        Message::Leave,
        Message::Change { path: Blob(b"p"), old: Slot::Absent, new: Slot::Inline },
        Message::Unknown { name: name(b""), kind: 2 },
        Message::Item { digest: Hash(Digest::of(b"y")), size: 9, path: Blob(b"q/r") },
        Message::Chunks { item: 0, chunks: Blob(&[7; 40]), more: true },
        Message::Rest { item: 1, from: 5 },
        Message::Ranges { item: 2, ranges: vec![(1, 2), (5, 6)], more: false },
        Message::Index(3),
        Message::End,
    ])
}

/// Reads bytes in every way that a session reads them. Only its coming to an end is of interest.
async fn read_all_ways(bytes: &[u8], history: &History) {
    let _ = receive_body(&mut Inbox::new(bytes), Some(history), &mut Body::default()).await;
    let mut catalog = Catalog::default();
    let _ = receive_tree(&mut Inbox::new(bytes), &RelPath::root(), None, Some(&mut catalog), Digest::of(b""))
        .await;
    let mut inbox = Inbox::new(bytes);
    while let Ok(arrival) = inbox.next().await {
        if let Arrival::Message(message) = &arrival {
            let _ = report::Head::read(message);
        }
        let _ = arrival.piece();
    }
}

#[test]
fn random_and_mutated_bytes_are_survived() {
    let valid = sample();
    let history = History::default();
    let mut state = 42u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    block_on(async {
        for round in 0..50_000 {
            let mut bytes = if round % 3 == 0 { Vec::new() } else { valid.clone() };
            if bytes.is_empty() {
                let len = random(60);
                bytes = (0..len).map(|_| random(256) as u8).collect();
                if round % 2 == 0 {
                    // A plausible head makes the rest be looked at.
                    bytes.splice(0..0, [len as u8, 0, 0, 0, [0, 1, 0x80, 0x81][random(4)]]);
                }
            } else {
                for _ in 0..=random(3) {
                    let at = 5 + random(bytes.len() - 5);
                    match random(3) {
                        0 => bytes[at] = random(256) as u8,
                        1 => bytes[at] ^= 1 << random(8),
                        _ => bytes.truncate(at.max(6)),
                    }
                }
            }
            read_all_ways(&bytes, &history).await;
        }
    });
}

#[test]
fn the_unmutated_stream_is_read() {
    let bytes = sample();
    let mut body = Body::default();
    block_on(receive_body(&mut Inbox::new(&bytes[..]), None, &mut body)).unwrap();
    assert_eq!((body.batch.moves.len(), body.batch.changes.len(), body.batch.items.len()), (1, 1, 1));
    assert_eq!((body.manifests.len(), body.needs.len(), body.indices.len()), (1, 2, 1));
}

#[test]
fn lengths_out_of_bounds_are_refused_before_anything_is_allocated() {
    for (bytes, what) in [
        (vec![0xff, 0xff, 0xff, 0xff, 0], "messages"),
        (vec![0xff, 0xff, 0xff, 0xff, 1], "part"),
        ([vec![4, 0, 0, 0, 0x80], vec![0xff; 8]].concat(), "decompressed"),
        (vec![1, 0, 4, 0, 1], "part beyond its own limit"),
        (((MAX_FRAME + 1) as u32).to_le_bytes().into_iter().chain([0]).collect(), "one too many"),
    ] {
        let result = block_on(FrameReader::new(&bytes[..]).next());
        assert!(matches!(result, Err(WireError::FrameTooLong(_))), "{what}");
    }
    assert!(block_on(FrameReader::new(&[0u8, 0, 0, 0, 7][..]).next()).is_err());
}

#[test]
fn a_compressed_frame_that_lies_about_its_length_is_refused() {
    let packed = zstd::bulk::compress(&vec![0; 500_000], 1).unwrap();
    for (raw, good) in [(500_000, true), (1000, false), (500_001, false)] {
        let mut bytes = Vec::new();
        Head { len: packed.len() as u32, part: None, raw: Some(raw) }.encode(&mut bytes);
        bytes.extend_from_slice(&packed);
        let result = block_on(FrameReader::new(&bytes[..]).next());
        assert_eq!(matches!(result, Ok(Some(Frame::Messages(_)))), good, "{raw}");
    }
}

#[test]
fn truncated_streams_are_told_from_ended_ones() {
    let bytes = sample();
    assert!(matches!(block_on(FrameReader::new(&bytes[..0]).next()), Ok(None)));
    for len in 1..bytes.len() {
        let result = block_on(FrameReader::new(&bytes[..len]).next());
        assert!(matches!(result, Err(WireError::Truncated)), "{len}");
    }
}

#[test]
fn counts_of_u32_max_are_refused() {
    // Variant of Ranges, item 0, then a length of 2^32 - 1 with nothing behind it.
    let mut body = Vec::new();
    Message::Ranges { item: 0, ranges: Vec::new(), more: false }.encode(&mut body).unwrap();
    body.truncate(2);
    body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1]);
    let mut bytes = Vec::new();
    Head { len: body.len() as u32, part: None, raw: None }.encode(&mut bytes);
    bytes.extend_from_slice(&body);
    let result = block_on(receive_body(&mut Inbox::new(&bytes[..]), None, &mut Body::default()));
    assert!(matches!(result, Err(WireError::Malformed(_))));
}

#[test]
fn a_tree_that_was_not_announced_is_refused() {
    let bytes = framed(&[Message::Dir { name: Blob(b""), mode: 0o755 }, Message::Leave]);
    let wrong =
        block_on(receive_tree(&mut Inbox::new(&bytes[..]), &RelPath::root(), None, None, Digest::of(b"?")));
    assert!(matches!(wrong, Err(WireError::WrongDigest { .. })));
    let right = Dir::empty().digest();
    block_on(receive_tree(&mut Inbox::new(&bytes[..]), &RelPath::root(), None, None, right)).unwrap();
}

#[test]
fn bad_paths_in_requests_are_refused() {
    for bad in [&b"../x"[..], b"/etc", b"a//b", b"a\0", b".evenfold/x", b".evenfold"] {
        for message in [
            Message::Item { digest: Hash(Digest::of(b"")), size: 0, path: Blob(bad) },
            Message::Move { from: Blob(bad), to: Blob(b"x"), entry: Slot::Absent },
            Message::Change { path: Blob(bad), old: Slot::Absent, new: Slot::Absent },
            Message::Basis { item: 0, path: Blob(bad) },
            Message::Copy { digest: Hash(Digest::of(b"")), path: Blob(bad) },
        ] {
            let bytes = framed(&[message]);
            let result = block_on(receive_body(&mut Inbox::new(&bytes[..]), None, &mut Body::default()));
            assert!(matches!(result, Err(WireError::Path(_))), "{bad:?}");
        }
    }
}

#[test]
fn a_chain_as_deep_as_allowed_can_be_dropped_on_a_small_stack() {
    let mut tree = Arc::new(Dir::empty());
    for _ in 0..crate::assemble::MAX_DEPTH {
        let child = Child { name: Name::new(b"d").unwrap(), entry: Entry::Dir(tree) };
        tree = Arc::new(Dir::new(Mode::new(0o755), vec![child]));
    }
    std::thread::Builder::new().stack_size(2 << 20).spawn(move || drop(tree)).unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn files_keep_every_field(size: u64, secs: i64, nanos in 0u32..1_000_000_000, mode in 0u32..0o1000) {
        let file = File { digest: Digest::of(b""), size, mtime: Mtime { secs, nanos }, mode: Mode::new(mode) };
        let wire = crate::convert::wire_file(&file);
        prop_assert_eq!(crate::convert::file(wire).unwrap(), Entry::File(file));
    }
}
