//! The ledger and the hooks.

use evenfold_core::Digest;
use evenfold_core::delivery::{Event, Key, Ledger, Party, Row, Skip, State, Wait};
use evenfold_store::LedgerRow;
use uuid::Uuid;

use crate::{Fixture, path, relationship_row};

fn row(at: &str, destination: u8, state: State) -> Row {
    let key = Key {
        origin: Party([1; 32]),
        path: path(at),
        version: Digest::of(at.as_bytes()),
        destination: Party([destination; 32]),
    };
    Row { state, ..Row::new(key, path(at), 7, 2, 11) }
}

#[tokio::test]
async fn ledger_rows_are_read_as_they_were_written_in_any_state() {
    let fixture = Fixture::new().await;
    let states = [
        State::Ready,
        State::Waiting(Wait::NoSpace),
        State::Waiting(Wait::Unreadable("'x' cannot be read".to_owned())),
        State::Retrying { reason: "the line broke".to_owned(), at: 99 },
        State::Quarantined("rot".to_owned()),
        State::Skipped(Skip::Marked),
        State::Failed("exit code 3".to_owned()),
        State::Released,
    ];
    let names = ["a", "a.b", "a/b", "c", "two words", "-rf", "x\ny", "z"];
    let rows: Vec<Row> = states.into_iter().zip(names).map(|(state, name)| row(name, 2, state)).collect();
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|row| Row { landed_at: Some(path("other")), delivered: Some(3), gone: Some(-4), ..row })
        .collect();
    fixture.store.ledger().write(fixture.relationship, rows.clone()).await.unwrap();
    let fixture = fixture.reopened().await;
    let mut read: Vec<Row> =
        fixture.store.ledger().load(fixture.relationship).await.unwrap().into_iter().map(|r| r.row).collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    read.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(read, rows);
}

#[tokio::test]
async fn names_that_are_not_text_are_kept_byte_for_byte() {
    let fixture = Fixture::new().await;
    let odd = Row { place: path(b"\xff\xfe"), ..row("a", 2, State::Ready) };
    fixture.store.ledger().write(fixture.relationship, vec![odd]).await.unwrap();
    let read = fixture.store.ledger().load(fixture.relationship).await.unwrap();
    assert_eq!(read[0].row.place.as_bytes(), b"\xff\xfe");
}

#[tokio::test]
async fn every_write_is_a_later_change_and_a_copy_follows_by_number() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    assert_eq!(store.ledger().last(id).await.unwrap(), 0);
    let rows: Vec<Row> = (0..700).map(|n| row(&format!("f{n}"), 2, State::Ready)).collect();
    let written = store.ledger().write(id, rows.clone()).await.unwrap();
    assert_eq!((written[0].seq, written[699].seq), (1, 700));
    let mut changed = rows[5].clone();
    changed.apply(&Event::Landed, 50).unwrap();
    store.ledger().write(id, vec![changed.clone()]).await.unwrap();
    let news = store.ledger().since(id, 700, 100).await.unwrap();
    assert_eq!(news, [LedgerRow { row: changed, seq: 701, untold: false }]);
    assert_eq!(store.ledger().since(id, 0, 300).await.unwrap().len(), 300);
    assert_eq!(store.ledger().load(id).await.unwrap().len(), 700);
}

#[tokio::test]
async fn relationships_of_one_database_have_ledgers_of_their_own() {
    let fixture = Fixture::new().await;
    let other = Uuid::from_u128(8);
    fixture.store.relationships().add(&relationship_row(other, "other")).await.unwrap();
    let one = row("same name", 2, State::Ready);
    fixture.store.ledger().write(fixture.relationship, vec![one.clone()]).await.unwrap();
    fixture.store.ledger().write(other, vec![Row { size: 9, ..one }]).await.unwrap();
    let size = async |id| fixture.store.ledger().load(id).await.unwrap()[0].row.size;
    assert_eq!((size(fixture.relationship).await, size(other).await), (7, 9));
    fixture.store.relationships().remove(other).await.unwrap();
    assert!(fixture.store.ledger().load(other).await.unwrap().is_empty());
    assert_eq!(fixture.store.ledger().load(fixture.relationship).await.unwrap().len(), 1);
}

#[tokio::test]
async fn copy_remembers_what_the_hub_was_not_told() {
    let fixture = Fixture::new().await;
    let row = LedgerRow { row: row("a", 2, State::Delivered), seq: 17, untold: true };
    fixture.store.ledger().copy(fixture.relationship, std::slice::from_ref(&row)).await.unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.ledger().load(fixture.relationship).await.unwrap(), [row]);
}

#[tokio::test]
async fn many_removed_items_are_dropped_at_once_and_numbers_go_on() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let gone = |n: usize| Row { gone: Some(5), ..row(&format!("f{n}"), 2, State::Finalised) };
    store.ledger().write(id, (0..1200).map(gone).collect()).await.unwrap();
    assert_eq!(store.ledger().drop_gone(id, 5).await.unwrap(), 0);
    // The newest number stays as it is.
    assert_eq!(store.ledger().drop_gone(id, 6).await.unwrap(), 1199);
    let next = store.ledger().write(id, vec![row("new", 2, State::Ready)]).await.unwrap();
    assert_eq!(next[0].seq, 1201);
    let mut ledger = Ledger::default();
    ledger.put(store.ledger().load(id).await.unwrap().into_iter().map(|row| row.row));
    assert_eq!(ledger.len(), 2);
}

#[tokio::test]
async fn hook_is_asked_for_once_and_pending_until_it_ended_well() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let ask = |name: &str| (name.to_owned(), path("a"), "[\"true\"]".to_owned());
    store.hook_runs().ask(id, &[ask("1"), ask("2")], 10).await.unwrap();
    store.hook_runs().failed(id, "1", "exit code 3", 500).await.unwrap();
    store.hook_runs().ask(id, &[ask("1")], 20).await.unwrap();
    let fixture = fixture.reopened().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let pending = store.hook_runs().pending(id, 10).await.unwrap();
    let shown: Vec<_> =
        pending.iter().map(|run| (&*run.id, run.attempts, run.next_at, &*run.error)).collect();
    assert_eq!(shown, [("2", 0, 0, ""), ("1", 1, 500, "exit code 3")]);
    store.hook_runs().done(id, "2", 30).await.unwrap();
    store.hook_runs().ask(id, &[ask("2")], 40).await.unwrap();
    assert_eq!(store.hook_runs().pending(id, 10).await.unwrap().len(), 1);
    store.hook_runs().drop_done(id, 31).await.unwrap();
}
