//! The history: complete, newest first, searchable at once.

use evenfold_core::Digest;
use evenfold_store::{Event, EventRow, HistoryFilter, Store};
use uuid::Uuid;

use crate::{Fixture, path};

fn event(time: i64, kind: &str, at: impl AsRef<[u8]>) -> Event {
    Event {
        time,
        relationship: Some(Uuid::from_u128(7)),
        batch: Some(u128::MAX - 1),
        node: "laptop".to_owned(),
        peer: Some("nas".to_owned()),
        kind: kind.to_owned(),
        path: Some(path(at)),
        digest: Some(Digest::of(b"x")),
        size: Some(u64::MAX),
        detail: Some("{\"a\":1}".to_owned()),
    }
}

fn paths(rows: &[EventRow]) -> Vec<String> {
    rows.iter().map(|row| row.event.path.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

async fn found(store: &Store, filter: HistoryFilter) -> Vec<String> {
    paths(&store.history().page(&filter, 100).await.unwrap())
}

async fn filled() -> Fixture {
    let fixture = Fixture::new().await;
    let mut events = vec![
        event(10, "create", "docs/Report.txt"),
        event(20, "update", "docs/report.txt"),
        event(30, "delete", "docs.old/50%_off.txt"),
        event(40, "create", "Zürich/ß.txt"),
    ];
    events.push(Event { node: "nas".to_owned(), path: None, relationship: None, ..event(50, "halt", "x") });
    fixture.store.history().add(&events).await.unwrap();
    fixture
}

#[tokio::test]
async fn rows_come_back_as_they_were_written_byte_for_byte() {
    let fixture = Fixture::new().await;
    let odd = event(1, "create", b"a\xff/\x01b");
    fixture.store.history().add(&[odd.clone(), event(2, "create", "b")]).await.unwrap();
    let fixture = fixture.reopened().await;
    let rows = fixture.store.history().page(&HistoryFilter::default(), 100).await.unwrap();
    let events: Vec<Event> = rows.iter().map(|row| row.event.clone()).collect();
    assert_eq!(events, [event(2, "create", "b"), odd]);
}

#[tokio::test]
async fn filters_select_rows() {
    let fixture = filled().await;
    let store = &fixture.store;
    let all = HistoryFilter::default;
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (HistoryFilter { path: text("docs"), ..all() }, vec!["docs/report.txt", "docs/Report.txt"]),
        (HistoryFilter { path: text("docs/Report.txt"), ..all() }, vec!["docs/Report.txt"]),
        (HistoryFilter { path: text("*/?eport.txt"), ..all() }, vec!["docs/report.txt", "docs/Report.txt"]),
        (
            HistoryFilter { since: Some(20), until: Some(40), ..all() },
            vec!["docs.old/50%_off.txt", "docs/report.txt"],
        ),
        (HistoryFilter { node: text("nas"), ..all() }, vec![""]),
        (
            HistoryFilter { kinds: vec!["update".into(), "delete".into()], ..all() },
            vec!["docs.old/50%_off.txt", "docs/report.txt"],
        ),
        (HistoryFilter { relationship: Some(Uuid::from_u128(9)), ..all() }, vec![]),
        (HistoryFilter { batch: Some(1), ..all() }, vec![]),
    ] {
        assert_eq!(found(store, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn history_of_a_relationship_is_followed_by_its_numbers() {
    let fixture = filled().await;
    let history = fixture.store.history();
    let id = Uuid::from_u128(7);
    assert_eq!(history.last_id().await.unwrap(), 5);
    let first = history.after(id, 0, 3).await.unwrap();
    assert_eq!(paths(&first), ["docs/Report.txt", "docs/report.txt", "docs.old/50%_off.txt"]);
    let last = first.last().unwrap().id;
    assert_eq!(paths(&history.after(id, last, 3).await.unwrap()), ["Zürich/ß.txt"]);
    assert!(history.after(id, 5, 3).await.unwrap().is_empty());
    assert!(history.after(Uuid::from_u128(8), 0, 3).await.unwrap().is_empty());
    assert_eq!(Fixture::new().await.store.history().last_id().await.unwrap(), 0);
}

#[tokio::test]
async fn text_is_found_whether_indexed_or_not() {
    let fixture = filled().await;
    let store = &fixture.store;
    for round in ["pending", "indexed"] {
        for (text, expected) in [
            ("REPORT", vec!["docs/report.txt", "docs/Report.txt"]),
            ("50%_off", vec!["docs.old/50%_off.txt"]),
            ("0%%off", vec![]),
            ("ß", vec!["Zürich/ß.txt"]),
            ("ürich", vec!["Zürich/ß.txt"]),
            ("s/", vec!["docs/report.txt", "docs/Report.txt"]),
            ("\"; DROP", vec![]),
            ("ort.txt", vec!["docs/report.txt", "docs/Report.txt"]),
        ] {
            let filter = HistoryFilter { text: Some(text.to_owned()), ..HistoryFilter::default() };
            assert_eq!(found(store, filter).await, expected, "{text} {round}");
        }
        store.history().index_pending().await.unwrap();
    }
    store.history().add(&[event(60, "create", "new/report2")]).await.unwrap();
    let filter = HistoryFilter { text: Some("report2".to_owned()), ..HistoryFilter::default() };
    assert_eq!(found(store, filter).await, ["new/report2"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let events: Vec<Event> = (0..1_234).map(|n| event(n, "create", format!("f{n}"))).collect();
    store.history().add(&events).await.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page =
            store.history().page(&HistoryFilter { before, ..HistoryFilter::default() }, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(paths(&page));
    }
    let expected: Vec<String> = (0..1_234).rev().map(|n| format!("f{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn author_is_who_last_brought_this_content() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.relationship);
    let by = |node: &str, content: &str| Event {
        node: node.to_owned(),
        digest: Some(Digest::of(content.as_bytes())),
        ..event(1, "update", b"a/\xff")
    };
    let events = [by("laptop", "1"), by("nas", "1"), by("desk", "2")];
    store.history().add(&events).await.unwrap();
    let author = |content: &'static str| async move {
        store.history().last_author(id, &path(b"a/\xff"), Digest::of(content.as_bytes())).await.unwrap()
    };
    assert_eq!(author("1").await.as_deref(), Some("nas"));
    assert_eq!(author("2").await.as_deref(), Some("desk"));
    assert_eq!(author("3").await, None);
}

#[tokio::test]
async fn pruned_rows_are_gone_from_rows_and_search() {
    let fixture = filled().await;
    let store = &fixture.store;
    assert_eq!(store.history().prune(25).await.unwrap(), 2);
    let filter = HistoryFilter { text: Some("report".to_owned()), ..HistoryFilter::default() };
    assert!(found(store, filter).await.is_empty());
    assert_eq!(found(store, HistoryFilter::default()).await.len(), 3);
    let fixture = fixture.reopened().await;
    let filter = HistoryFilter { text: Some("50%_off".to_owned()), ..HistoryFilter::default() };
    assert_eq!(found(&fixture.store, filter).await.len(), 1);
}
