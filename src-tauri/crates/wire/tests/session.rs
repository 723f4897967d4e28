//! Calls of an endpoint session: what arrives, and what happens when someone goes away.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Fake, Random, connect, file, path, server};
use evenfold_core::apply::{Basis, Batch, LocalCopy, Move, Outcome, Refusal};
use evenfold_core::plan::Change;
use evenfold_core::snapshot::Extent;
use evenfold_core::transfer::{Item, MAX_PART, Need, Piece, SupplyFailure};
use evenfold_core::{Digest, Dir, Entry, RelPath};
use evenfold_wire::{CallError, Client, Progress, WireError};
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

fn names() -> impl Strategy<Value = RelPath> {
    let odd = prop_oneof![
        Just(b"-rf".to_vec()),
        Just(b" \n".to_vec()),
        Just(vec![0xff, 0xfe]),
        Just(vec![b'x'; 255]),
        Just("e\u{301}".into()),
        prop::collection::vec(any::<u8>(), 1..20),
    ];
    prop::collection::vec(odd, 0..5)
        .prop_map(|parts| parts.join(&b'/'))
        .prop_filter_map("no path", |bytes| RelPath::new(&bytes).ok())
}

fn entries() -> impl Strategy<Value = Entry> {
    any::<u64>().prop_map(|seed| Random(seed).entry(3))
}

fn items() -> impl Strategy<Value = Item> {
    (any::<[u8; 32]>(), any::<u64>(), names()).prop_map(|(d, size, path)| Item {
        digest: Digest(d),
        size,
        path,
    })
}

fn batches() -> impl Strategy<Value = Batch> {
    let slot = || prop::option::of(entries());
    let changes = (names(), slot(), slot()).prop_map(|(path, old, new)| Change { path, old, new });
    let moves = (names(), names(), entries()).prop_map(|(from, to, entry)| Move { from, to, entry });
    let copies = (any::<[u8; 32]>(), names()).prop_map(|(d, path)| LocalCopy { digest: Digest(d), path });
    let bases = (any::<u32>(), names()).prop_map(|(item, path)| Basis { item, path });
    (
        (any::<u128>(), any::<bool>(), any::<bool>()),
        prop::collection::vec(moves, 0..3),
        prop::collection::vec(changes, 0..5),
        prop::collection::vec(items(), 0..5),
        prop::collection::vec(copies, 0..3),
        prop::collection::vec(bases, 0..3),
    )
        .prop_map(|((id, together, again), moves, changes, items, copies, bases)| Batch {
            id,
            together,
            again,
            moves,
            changes,
            items,
            copies,
            bases,
        })
}

fn refusals() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::MovedOn),
        Just(Refusal::NotSupplied(SupplyFailure::Changed)),
        ".{0,20}".prop_map(|text| Refusal::NotSupplied(SupplyFailure::Unreadable(text))),
        Just(Refusal::Damaged),
        Just(Refusal::NoSpace),
        ".{0,20}".prop_map(Refusal::NameClash),
        Just(Refusal::NameNotPossible),
        Just(Refusal::HoldsUntracked),
        Just(Refusal::WaitsForMove),
        Just(Refusal::WaitsForOthers),
        ".{0,20}".prop_map(Refusal::Io),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let short = prop::collection::vec((names(), refusals()), 0..3);
    prop_oneof![
        (prop::option::of(entries()), short).prop_map(|(now, short)| Outcome::Applied { now, short }),
        refusals().prop_map(Outcome::Refused),
    ]
}

fn pieces() -> impl Strategy<Value = Piece> {
    let bytes = || {
        prop_oneof![Just(vec![7; MAX_PART]), Just(vec![1; 40_000]), prop::collection::vec(any::<u8>(), 0..90)]
    };
    prop_oneof![
        (any::<u32>(), bytes()).prop_map(|(item, bytes)| Piece::Whole { item, bytes }),
        (any::<u32>(), any::<u64>(), bytes()).prop_map(|(item, offset, bytes)| Piece::Part {
            item,
            offset,
            bytes
        }),
        any::<u32>().prop_map(|item| Piece::End { item }),
        any::<u32>().prop_map(|item| Piece::Failed { item, reason: SupplyFailure::Changed }),
        (any::<u32>(), ".{0,20}")
            .prop_map(|(item, text)| Piece::Failed { item, reason: SupplyFailure::Unreadable(text) }),
    ]
}

fn needs() -> impl Strategy<Value = Vec<Need>> {
    let ranges = || prop::collection::vec((any::<u64>(), any::<u64>()), 0..5);
    let kinds = prop::collection::vec((prop::option::of(ranges()), any::<u64>()), 0..6);
    kinds.prop_map(|kinds| {
        let need = |(item, (ranges, from)): (usize, (Option<Vec<_>>, u64))| match ranges {
            Some(ranges) => Need::Ranges { item: item as u32, ranges },
            None => Need::Rest { item: item as u32, from },
        };
        kinds.into_iter().enumerate().map(need).collect()
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(LIMIT, work).await.unwrap() })
}

fn channel(pieces: Vec<Piece>) -> mpsc::Receiver<Piece> {
    let (tx, rx) = mpsc::channel(1);
    tokio::spawn(async move {
        for piece in pieces {
            if tx.send(piece).await.is_err() {
                return;
            }
        }
    });
    rx
}

async fn drain(mut pieces: mpsc::Receiver<Piece>) -> Vec<Piece> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.recv().await {
        all.push(piece);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_reports_and_pieces_arrive_as_they_are(
        batch in batches(),
        mut given in prop::collection::vec(outcomes(), 8),
        sent in prop::collection::vec(pieces(), 0..6),
        wanted in needs(),
        prepare in any::<bool>(),
    ) {
        block_on(async {
            let fake = Fake::new(&Arc::new(Dir::empty()));
            let count = batch.moves.len() + batch.changes.len();
            given.truncate(count);
            *fake.outcomes.lock().unwrap() = Some(given.clone());
            *fake.needs.lock().unwrap() = wanted.clone();
            let fake = Arc::new(fake);
            let (client, _, _) = connect(&server(&fake));
            let shared = Arc::new(batch.clone());
            if prepare {
                client.read_bases(Arc::new(batch.resemblances())).await.unwrap();
                assert_eq!(fake.batches.lock().unwrap().pop(), Some(Batch { id: 0, ..batch.resemblances() }));
                assert_eq!(client.prepare(Arc::clone(&shared), Vec::new()).await.unwrap(), wanted);
            }
            let report = client.apply(shared, channel(sent.clone()), None).await.unwrap();
            assert_eq!(report.outcomes, given);
            assert_eq!(report.epoch, 8);
            assert!(fake.batches.lock().unwrap().iter().all(|got| *got == batch));
            let expected = if batch.items.is_empty() { Vec::new() } else { sent.clone() };
            if !batch.items.is_empty() {
                assert_eq!(*fake.pieces.lock().unwrap(), expected);
            }
            // The same pieces the other way.
            *fake.supplies.lock().unwrap() = sent.clone();
            match client.supply(batch.items.clone(), wanted.clone()).await {
                Ok(got) => assert_eq!(drain(got).await, sent),
                Err(error) => assert!(sent.is_empty() && matches!(error, CallError::Remote(_))),
            }
            assert_eq!(*fake.needs.lock().unwrap(), wanted);
        });
    }
}

#[test]
fn authors_manifests_and_states_are_answered() {
    block_on(async {
        let (client, _, _) = connect(&server(&Arc::new(Fake::new(&Arc::new(Dir::empty())))));
        let odd = path(b"a/\xff");
        assert_eq!(
            client.author(odd.clone(), Digest::of(b"a/\xff")).await.unwrap().as_deref(),
            Some("läptop")
        );
        assert_eq!(client.author(odd.clone(), Digest::of(b"")).await.unwrap(), None);
        let item = Item { digest: Digest::of(b""), size: 1, path: odd };
        let got = client.manifest(vec![item; 3], vec![2, 0]).await.unwrap();
        assert_eq!(
            got.iter().map(|m| (m.item, m.chunks.len())).collect::<Vec<_>>(),
            [(2, 10_000), (0, 10_000)]
        );
        client.report_state(vec![b'x'; 64 * 1024]).await.unwrap();
        for state in [vec![], vec![0; 64 * 1024 + 1]] {
            assert!(matches!(client.report_state(state).await, Err(CallError::Remote(_))));
        }
        match client.report_state(vec![]).await {
            Err(CallError::Remote(error)) => {
                assert_eq!((&*error.code, &*error.message, &*error.hint), ("empty", "no status", "send one"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn directories_that_the_hub_has_are_named_not_sent() {
    block_on(async {
        let big = Entry::Dir(common::dir((0..5000).map(|i| (format!("f{i}"), file(i))).collect()));
        let tree = common::dir(vec![("big".into(), big.clone())]);
        let fake = Arc::new(Fake::new(&tree));
        let server = server(&fake);
        let (client, _, _) = connect(&server);
        client.current(&[]).await.unwrap();
        let (client, count, _) = connect(&server);
        let change = Change { path: path("big"), old: Some(big.clone()), new: None };
        let batch = Arc::new(Batch { id: 1, changes: vec![change.clone()], ..Batch::default() });
        client.prepare(Arc::clone(&batch), Vec::new()).await.unwrap();
        client.apply(Arc::clone(&batch), channel(Vec::new()), None).await.unwrap();
        client.apply(Arc::clone(&batch), channel(Vec::new()), None).await.unwrap();
        let bytes = count.take();
        assert!(bytes <= 500, "{bytes}");
        assert!(fake.batches.lock().unwrap().iter().all(|got| *got == *batch));
        // A hub that has forgotten it gets all of it.
        let strange = Arc::new(Fake::new(&Arc::new(Dir::empty())));
        let (client, _, _) = connect(&common::server(&strange));
        client.prepare(Arc::clone(&batch), Vec::new()).await.unwrap();
        let item = Item { digest: Digest::of(b"x"), size: 1, path: path("x") };
        let other = Arc::new(Batch { id: 2, changes: vec![change], items: vec![item], ..Batch::default() });
        let piece = Piece::Whole { item: 0, bytes: b"x".to_vec() };
        client.apply(Arc::clone(&other), channel(vec![piece.clone()]), None).await.unwrap();
        assert_eq!(*strange.batches.lock().unwrap(), [(*batch).clone(), (*other).clone()]);
        assert_eq!(*strange.pieces.lock().unwrap(), [piece]);
    });
}

#[test]
fn progress_is_told() {
    block_on(async {
        let fake = Arc::new(Fake::new(&Arc::new(Dir::empty())));
        let (client, _, _) = connect(&server(&fake));
        let item = Item { digest: Digest::of(b"x"), size: 1, path: path("x") };
        let batch = Arc::new(Batch { items: vec![item], ..Batch::default() });
        let (tx, rx) = mpsc::channel(1);
        let (progress, mut told) = watch::channel(Progress::default());
        let applying = tokio::spawn(async move { client.apply(batch, rx, Some(progress)).await });
        let feeding = tokio::spawn(async move {
            while tx.send(Piece::Whole { item: 0, bytes: vec![1] }).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if tx.is_closed() {
                    break;
                }
            }
        });
        told.wait_for(|progress| progress.items > 0).await.unwrap();
        feeding.abort();
        applying.await.unwrap().unwrap();
    });
}

fn endless(size: usize) -> Fake {
    let mut fake = Fake::new(&Arc::new(Dir::empty()));
    // Noise, because what compresses well takes no room on its way.
    let mut random = Random(1);
    let bytes = (0..size).map(|_| random.next() as u8).collect();
    fake.supplies = vec![Piece::Part { item: 0, offset: 0, bytes }].into();
    fake.endless = true;
    fake
}

fn one_need() -> (Vec<Item>, Vec<Need>) {
    let item = Item { digest: Digest::of(b"x"), size: u64::MAX, path: path("x") };
    (vec![item], vec![Need::Rest { item: 0, from: 0 }])
}

#[test]
fn a_cancelled_supply_leaves_the_stream_usable() {
    block_on(async {
        let fake = Arc::new(endless(MAX_PART));
        let (client, _, _) = connect(&server(&fake));
        for _ in 0..3 {
            let (items, needs) = one_need();
            let mut pieces = client.supply(items, needs).await.unwrap();
            assert!(pieces.recv().await.is_some());
            drop(pieces);
            assert_eq!(
                client.author(RelPath::root(), Digest::of(b"")).await.unwrap().as_deref(),
                Some("läptop")
            );
            assert_eq!(*fake.running.borrow(), 0, "the supplier was stopped");
        }
    });
}

#[test]
fn a_cancelled_scan_is_dropped_and_the_stream_usable() {
    block_on(async {
        let mut fake = Fake::new(&Arc::new(Dir::empty()));
        fake.hang = true;
        let fake = Arc::new(fake);
        let (client, _, _) = connect(&server(&fake));
        let scanning = {
            let client = client.clone();
            tokio::spawn(async move { client.scan(Extent::Full, &[]).await.map(drop) })
        };
        let mut running = fake.running.subscribe();
        running.wait_for(|n| *n == 1).await.unwrap();
        scanning.abort();
        running.wait_for(|n| *n == 0).await.unwrap();
        client.current(&[]).await.unwrap();
    });
}

#[test]
fn a_cancelled_apply_ends_early_and_in_order() {
    block_on(async {
        let fake = Arc::new(Fake::new(&Arc::new(Dir::empty())));
        let (client, _, _) = connect(&server(&fake));
        let (items, _) = one_need();
        let batch = Arc::new(Batch { id: 3, items, ..Batch::default() });
        let (tx, rx) = mpsc::channel(1);
        let applying = {
            let client = client.clone();
            tokio::spawn(async move { client.apply(batch, rx, None).await.map(drop) })
        };
        tx.send(Piece::Whole { item: 0, bytes: vec![1] }).await.unwrap();
        fake.running.subscribe().wait_for(|n| *n == 1).await.unwrap();
        applying.abort();
        client.current(&[]).await.unwrap();
        assert_eq!(*fake.running.borrow(), 0);
        assert_eq!(fake.batches.lock().unwrap().len(), 1, "the handler came to its end");
    });
}

#[test]
fn a_slow_reader_stops_the_supplier() {
    block_on(async {
        let fake = Arc::new(endless(MAX_PART));
        let (client, _, _) = connect(&server(&fake));
        let (items, needs) = one_need();
        let pieces = client.supply(items, needs).await.unwrap();
        // Until nothing moves any more, however slow the machine is.
        let mut before = u64::MAX;
        while before != fake.sent.load(Ordering::SeqCst) {
            before = fake.sent.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // Two channels of 32, a queue of 4, and what is in hands in between.
        assert!((1..=80).contains(&before), "{before} pieces are held");
        drop(pieces);
        client.current(&[]).await.unwrap();
    });
}

#[test]
fn a_server_that_vanishes_gives_clean_errors() {
    block_on(async {
        let mut fake = Fake::new(&Arc::new(Dir::empty()));
        fake.hang = true;
        let fake = Arc::new(fake);
        let (client, _, serving) = connect(&server(&fake));
        let mut nudges = client.subscribe().await.unwrap();
        let scan = {
            let client = client.clone();
            tokio::spawn(async move { client.scan(Extent::Full, &[]).await })
        };
        fake.running.subscribe().wait_for(|n| *n == 1).await.unwrap();
        serving.abort();
        assert!(matches!(scan.await.unwrap(), Err(CallError::Lost(_))));
        assert!(matches!(client.current(&[]).await, Err(CallError::Lost(_))));
        assert!(nudges.changed().await.is_err());
    });
}

#[test]
fn a_server_that_vanishes_while_supplying_fails_every_open_need() {
    block_on(async {
        let fake = Arc::new(endless(100));
        let (client, _, serving) = connect(&server(&fake));
        let (items, needs) = one_need();
        let mut pieces = client.supply(items, needs).await.unwrap();
        pieces.recv().await.unwrap();
        serving.abort();
        let last = drain(pieces).await.pop();
        assert!(
            matches!(last, Some(Piece::Failed { item: 0, reason: SupplyFailure::Unreadable(_) })),
            "{last:?}"
        );
    });
}

#[test]
fn a_client_that_vanishes_ends_the_call_at_the_server() {
    block_on(async {
        let mut fake = Fake::new(&Arc::new(Dir::empty()));
        fake.hang = true;
        let fake = Arc::new(fake);
        let server = server(&fake);
        let (near, far) = tokio::io::duplex(1024);
        let serving = tokio::spawn(async move { server.serve(far).await });
        let runtime = std::thread::spawn(move || {
            // A client whose whole runtime goes away in the middle of a call.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let client = Client::over(near).unwrap();
                let _ = timeout(Duration::from_millis(300), client.scan(Extent::Full, &[])).await;
            });
            runtime.shutdown_background();
        });
        let result = serving.await.unwrap();
        runtime.join().unwrap();
        assert!(matches!(result, Ok(()) | Err(WireError::Truncated | WireError::Io(_))), "{result:?}");
        assert_eq!(*fake.running.borrow(), 0);
    });
}

#[test]
fn closing_the_last_client_ends_the_session_cleanly() {
    block_on(async {
        let (client, _, serving) = connect(&server(&Arc::new(Fake::new(&Arc::new(Dir::empty())))));
        client.current(&[]).await.unwrap();
        drop(client);
        serving.await.unwrap().unwrap();
    });
}
