//! Tables of every decision.

use std::sync::Arc;

use super::*;
use crate::digest::Digest;
use crate::edit::{Edit, edit};
use crate::entry::{Dir, Entry, File, Mode, Mtime, ProblemKind};
use crate::path::RelPath;

const ME: Party = Party([1; 32]);
const B: Party = Party([2; 32]);
const C: Party = Party([3; 32]);
const SECOND: i64 = 1_000_000;

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn file(content: &str) -> Entry {
    let (digest, size) = (Digest::of(content.as_bytes()), content.len() as u64);
    Entry::File(File { digest, size, mtime: Mtime::default(), mode: Mode::new(0o644) })
}

fn tree(files: &[(&str, Entry)]) -> Arc<Dir> {
    let put =
        |(at, entry): &(&str, Entry)| Edit { path: path(at), entry: Some(entry.clone()), shallow: false };
    edit(&Arc::new(Dir::empty()), files.iter().map(put))
}

fn key(at: &str, content: &str, destination: Party) -> Key {
    let version = Digest::of(content.as_bytes());
    Key { origin: ME, path: path(at), version, destination }
}

fn row(at: &str, content: &str, destination: Party, state: State) -> Row {
    Row { state, ..Row::new(key(at, content, destination), path(at), content.len() as u64, 1, 0) }
}

fn ledger(rows: impl IntoIterator<Item = Row>) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.put(rows);
    ledger
}

fn retrying(at: i64) -> State {
    State::Retrying { reason: "the line broke".to_owned(), at }
}

/// Every state, in the order of the table below.
fn states() -> Vec<State> {
    vec![
        State::Settling,
        State::Ready,
        State::Reserved,
        State::Transferring,
        State::Verifying,
        State::Delivered,
        State::Acknowledged,
        State::Finalised,
        State::Released,
        State::Waiting(Wait::NoSpace),
        retrying(7),
        State::Quarantined("rot".to_owned()),
        State::Skipped(Skip::Superseded),
        State::Failed("broken".to_owned()),
    ]
}

#[test]
fn every_transition_is_as_the_table_says() {
    let stumbled = Event::Stumbled { reason: "x".to_owned(), at: 9 };
    let cases: [(Event, &str); 14] = [
        // set rdy res tra ver del ack fin rel wai ret qua ski fai
        (Event::Settled, "ready ready ready ready ready - - - - ready ready ready ready ready"),
        (
            Event::Admitted,
            "reserved reserved reserved reserved reserved - - - - reserved reserved reserved - reserved",
        ),
        (
            Event::Began,
            "transferring transferring transferring transferring transferring - - - - transferring transferring transferring - transferring",
        ),
        (
            Event::Stored,
            "transferring transferring transferring transferring transferring - - - - transferring transferring transferring - transferring",
        ),
        (
            Event::Arrived,
            "verifying verifying verifying verifying verifying - - - - verifying verifying verifying - verifying",
        ),
        (
            Event::Landed,
            "delivered delivered delivered delivered delivered delivered acknowledged finalised released delivered delivered delivered skipped delivered",
        ),
        (Event::Heard, "- - - - - acknowledged acknowledged finalised released - - - - -"),
        (Event::Confirmed, "- - - - - finalised finalised finalised released - - - - -"),
        (Event::Dropped, "- - - - - delivered acknowledged released released - - - skipped -"),
        (
            Event::Waits(Wait::NoSpace),
            "waiting waiting waiting waiting waiting - - - - waiting waiting waiting - waiting",
        ),
        (
            stumbled,
            "retrying retrying retrying retrying retrying - - - - retrying retrying retrying - retrying",
        ),
        (
            Event::Damaged("x".to_owned()),
            "quarantined quarantined quarantined quarantined quarantined - - - - quarantined quarantined quarantined - quarantined",
        ),
        (
            Event::Skips(Skip::Superseded),
            "skipped skipped skipped skipped skipped skipped skipped - - skipped skipped skipped skipped skipped",
        ),
        (
            Event::GivesUp("x".to_owned()),
            "failed failed failed failed failed - - - - failed failed failed - failed",
        ),
    ];
    for (event, expected) in cases {
        let found: Vec<&str> =
            states().iter().map(|state| state.after(&event).map_or("-", |next| next.word())).collect();
        assert_eq!(found.join(" "), expected, "{event:?}");
    }
}

#[test]
fn person_may_forget_or_mark_in_any_state() {
    for state in states() {
        for skip in [Skip::Forgotten, Skip::Marked] {
            assert_eq!(state.after(&Event::Skips(skip)), Ok(State::Skipped(skip)), "{state:?}");
        }
    }
}

#[test]
fn states_are_read_as_they_were_written() {
    let more = [Skip::Marked, Skip::Withdrawn, Skip::Forgotten].map(State::Skipped);
    let waits =
        [Wait::TooLarge, Wait::NoDestination, Wait::OriginOffline, Wait::NameTaken].map(State::Waiting);
    for state in states().into_iter().chain(more).chain(waits) {
        assert_eq!(State::parse(state.word(), state.reason(), Some(7)), Some(state.clone()), "{state:?}");
    }
    assert_eq!(State::parse("lost", "", None), None);
}

#[test]
fn what_is_sent_anew_is_a_delivery_of_its_own() {
    let mut row = row("a", "1", B, State::Finalised);
    (row.delivered, row.finalised) = (Some(1), Some(2));
    row.apply(&Event::Skips(Skip::Forgotten), 3).unwrap();
    assert!(!row.counts());
    row.apply(&Event::Settled, 4).unwrap();
    assert_eq!((row.round, row.delivered, row.state.clone()), (1, None, State::Ready));
}

#[test]
fn illegal_step_leaves_the_row_as_it_is() {
    let mut row = row("a", "1", B, State::Finalised);
    let before = row.clone();
    assert!(row.apply(&Event::Began, 5).is_err());
    assert_eq!(row, before);
}

/// What becomes of the unit `a` with content `2`, seen first at 0 and looked at again at `now`.
#[track_caller]
fn check(rows: Vec<Row>, to: &[Party], resend: Resend, now: i64, expected: &str) {
    let (units, blocked) = units(&tree(&[("a", file("2"))]), UnitKind::Entry);
    let mut quiet = Quiet::default();
    quiet.observe(&units, 0);
    quiet.observe(&units, now);
    let terms = Terms { settle: 2 * SECOND, resend };
    let plan = plan(&units, &blocked, &ledger(rows), ME, to, &quiet, terms, now);
    let mut said = Vec::new();
    said.extend(plan.settling.iter().map(|(_, until)| format!("settling until {}", until / SECOND)));
    said.extend(plan.offers.iter().map(|unit| format!("offer {}", unit.path)));
    said.extend(plan.events.iter().map(|(_, event)| match event {
        Event::Skips(skip) => skip.reason().to_owned(),
        other => other.word().to_owned(),
    }));
    said.extend(plan.next.filter(|_| plan.settling.is_empty()).map(|at| format!("next {}", at / SECOND)));
    assert_eq!(said.join(", "), expected);
}

#[test]
fn origin_decides_from_snapshot_and_ledger() {
    use Resend::{Changed, Never};
    let late = 10 * SECOND;
    // New: it settles, then it is offered; to nobody it is not.
    check(vec![], &[B], Never, SECOND, "settling until 2");
    check(vec![], &[B], Never, 2 * SECOND, "offer a");
    check(vec![], &[], Never, late, "");
    // This version is there: nothing, whatever is resent.
    for state in [State::Delivered, State::Acknowledged, State::Finalised, State::Released] {
        check(vec![row("a", "2", B, state.clone())], &[B], Changed, late, "");
        check(vec![row("a", "2", B, state)], &[B, C], Changed, late, "offer a");
    }
    check(vec![row("a", "2", B, State::Skipped(Skip::Marked))], &[B], Never, late, "");
    check(vec![row("a", "2", Party::ANY, State::Skipped(Skip::Marked))], &[B, C], Never, late, "");
    // Forgotten: it is sent again.
    check(vec![row("a", "2", B, State::Skipped(Skip::Forgotten))], &[B], Never, late, "offer a");
    // An older version was final.
    check(vec![row("a", "1", B, State::Finalised)], &[B], Never, late, "");
    check(vec![row("a", "1", B, State::Skipped(Skip::Marked))], &[B], Never, late, "");
    check(vec![row("a", "1", B, State::Finalised)], &[B], Changed, late, "offer a");
    // An older version was on its way, or not final yet: the newer one is what was meant.
    for state in [State::Transferring, State::Delivered, State::Acknowledged, State::Failed("x".to_owned())] {
        check(vec![row("a", "1", B, state)], &[B], Never, late, "offer a, a newer version took its place");
    }
    // On its way.
    let stored = Row { stored: true, ..row("a", "2", B, State::Transferring) };
    check(vec![stored], &[B], Never, late, "");
    check(vec![row("a", "2", B, State::Transferring)], &[B], Never, late, "offer a");
    check(vec![row("a", "2", B, State::Waiting(Wait::NoSpace))], &[B], Never, late, "offer a");
    check(vec![row("a", "2", B, State::Quarantined("rot".to_owned()))], &[B], Never, late, "offer a");
    check(vec![row("a", "2", B, retrying(late + SECOND))], &[B], Never, late, "next 11");
    check(vec![row("a", "2", B, retrying(late))], &[B], Never, late, "offer a");
    check(vec![row("a", "2", B, State::Failed("x".to_owned()))], &[B], Never, late, "");
    // A row of something that was gone is history.
    let history = Row { gone: Some(5), ..row("a", "2", B, State::Finalised) };
    check(vec![history], &[B], Never, late, "offer a");
}

#[test]
fn change_starts_the_settling_anew() {
    let mut quiet = Quiet::default();
    let look = |content: &str| units(&tree(&[("a", file(content))]), UnitKind::Entry).0;
    let terms = Terms { settle: 2 * SECOND, resend: Resend::Never };
    let offers = |quiet: &Quiet, content: &str, now| {
        plan(&look(content), &[], &Ledger::default(), ME, &[B], quiet, terms, now).offers.len()
    };
    quiet.observe(&look("1"), 0);
    quiet.observe(&look("12"), SECOND);
    assert_eq!(offers(&quiet, "12", 2 * SECOND), 0);
    assert_eq!(offers(&quiet, "12", 3 * SECOND), 1);
    quiet.disturbed(&path("a"), 3 * SECOND);
    assert_eq!(offers(&quiet, "12", 4 * SECOND), 0);
    assert_eq!(offers(&quiet, "12", 5 * SECOND), 1);
}

#[test]
fn refused_offer_is_made_again_later_or_when_the_hub_has_news() {
    let (units, _) = units(&tree(&[("a", file("1"))]), UnitKind::Entry);
    let terms = Terms { settle: 0, resend: Resend::Never };
    let mut quiet = Quiet::default();
    quiet.observe(&units, 0);
    quiet.refused(units.first().unwrap(), 0);
    let at = |quiet: &Quiet, now| plan(&units, &[], &Ledger::default(), ME, &[B], quiet, terms, now);
    assert_eq!((at(&quiet, SECOND).offers.len(), at(&quiet, SECOND).next), (0, Some(5 * SECOND)));
    assert_eq!(at(&quiet, 5 * SECOND).offers.len(), 1);
    quiet.hub_has_news();
    assert_eq!(at(&quiet, SECOND).offers.len(), 1);
}

#[test]
fn what_is_gone_is_withdrawn_or_history_but_an_empty_tree_proves_nothing() {
    let rows = || {
        ledger([
            row("sent", "1", B, State::Finalised),
            row("unsent", "1", B, State::Ready),
            row("hidden/x", "1", B, State::Finalised),
            Row { stored: true, ..row("at hub", "1", B, State::Transferring) },
            row("not final", "1", B, State::Delivered),
        ])
    };
    let terms = Terms { settle: 0, resend: Resend::Never };
    let quiet = Quiet::default();
    let (some, _) = units(&tree(&[("other", file("1"))]), UnitKind::Entry);
    let blocked = [(path("hidden"), ProblemKind::Unreadable)];
    let found = plan(&some, &blocked, &rows(), ME, &[], &quiet, terms, 0);
    assert_eq!(found.gone, [key("sent", "1", B)]);
    assert_eq!(found.events, [(key("unsent", "1", B), Event::Skips(Skip::Withdrawn))]);
    let nothing = plan(&[], &[], &rows(), ME, &[], &quiet, terms, 0);
    assert_eq!(nothing, Plan::default());
}

#[test]
fn receipt_is_final_only_if_the_origin_still_holds_what_arrived() {
    let terms = Terms { settle: 2 * SECOND, resend: Resend::Never };
    let one = |content: &str| Digest::of(content.as_bytes());
    let cases: [(Result<Option<Digest>, ()>, &str); 4] = [
        (Ok(Some(one("1"))), "finalised"),
        (Ok(None), "finalised"),
        (Ok(Some(one("2"))), "skipped"),
        (Err(()), ""),
    ];
    for (holds, expected) in cases {
        let mut quiet = Quiet::default();
        let mut rows = ledger([row("a", "1", B, State::Delivered)]);
        let first = close(&rows, ME, &|_| holds, &mut quiet, terms, 0);
        assert_eq!(first.events, [(key("a", "1", B), Event::Heard)]);
        assert_eq!(first.next, Some(2 * SECOND));
        rows.put([row("a", "1", B, State::Acknowledged)]);
        assert!(close(&rows, ME, &|_| holds, &mut quiet, terms, SECOND).events.is_empty());
        let last = close(&rows, ME, &|_| holds, &mut quiet, terms, 2 * SECOND);
        let said: Vec<_> = last.events.iter().map(|(_, event)| event.word()).collect();
        assert_eq!(said.join(" "), expected, "{holds:?}");
    }
}

#[test]
fn destination_fetches_what_the_hub_holds_for_it() {
    let stored = |at: &str, to: Party, state: State| Row { stored: true, ..row(at, "1", to, state) };
    let rows = ledger([
        stored("b", B, State::Transferring),
        stored("a", B, State::Ready),
        row("not there yet", "1", B, State::Ready),
        stored("for another", C, State::Ready),
        stored("has it", B, State::Delivered),
        stored("later", B, retrying(9)),
        stored("now", B, retrying(5)),
        stored("failed", B, State::Failed("x".to_owned())),
    ]);
    let (due, next) = due(&rows, B, 5);
    let places: Vec<_> = due.iter().map(|row| row.place.to_string()).collect();
    assert_eq!((places, next), (vec!["a".to_owned(), "b".to_owned(), "now".to_owned()], Some(9)));
}

#[test]
fn hub_takes_in_what_fits_beside_its_promises_and_reserve() {
    let check = |size, free, promised, expected| {
        assert_eq!(admit(size, free, 100, 5, promised), expected, "{size} {free} {promised}");
    };
    check(40, 100, 0, Admission::Admitted);
    check(40, 100, 40, Admission::Admitted);
    check(40, 100, 80, Admission::Refused(Wait::NoSpace));
    check(16, 100, 80, Admission::Refused(Wait::NoSpace));
    check(15, 100, 80, Admission::Admitted);
    check(95, 100, 0, Admission::Admitted);
    check(96, 100, 0, Admission::Refused(Wait::TooLarge));
    check(1, 5, 0, Admission::Refused(Wait::NoSpace));
    check(0, 0, 0, Admission::Admitted);
}

#[test]
fn hub_drops_its_copy_after_the_last_delivery_and_never_before() {
    let delivered = |to: Party, state: State, at| Row { delivered: Some(at), ..row("a", "1", to, state) };
    let b = delivered(B, State::Finalised, 10);
    assert_eq!(released([&b, &delivered(C, State::Delivered, 30)], 5), Some(35));
    assert_eq!(released([&b, &row("a", "1", C, State::Transferring)], 5), None);
    assert_eq!(released([&b, &row("a", "1", C, State::Failed("x".to_owned()))], 5), None);
    assert_eq!(released([], 5), None);
    let skipped = Row { changed: 3, ..row("a", "1", C, State::Skipped(Skip::Superseded)) };
    assert_eq!(released([&skipped], 5), Some(3));
}

#[test]
fn version_is_content_names_and_permissions_but_not_times() {
    let touched = |content: &str| match file(content) {
        Entry::File(file) => Entry::File(File { mtime: Mtime { secs: 9, nanos: 1 }, ..file }),
        other => other,
    };
    let of = |files: &[(&str, Entry)]| unit_at(&tree(files), &path("job")).unwrap().version;
    let base = of(&[("job/one", file("1")), ("job/two", file("2"))]);
    assert_eq!(base, of(&[("job/one", touched("1")), ("job/two", file("2"))]));
    assert_ne!(base, of(&[("job/x", file("1")), ("job/two", file("2"))]));
    assert_ne!(base, of(&[("job/one", file("3")), ("job/two", file("2"))]));
    let empty = Entry::dir(Mode::new(0o755), Vec::new());
    assert_ne!(base, of(&[("job/one", file("1")), ("job/two", file("2")), ("job/void", empty)]));
    assert_eq!(version(&file("1")), Some(Digest::of(b"1")));
}

#[test]
fn units_are_files_or_top_level_entries() {
    let tree = tree(&[
        ("a/b/c", file("1")),
        ("a/void", Entry::dir(Mode::new(0o755), Vec::new())),
        ("d", file("2")),
        ("bad/x", Entry::Unknown(ProblemKind::Unreadable)),
    ]);
    let paths = |kind| {
        let (units, blocked) = units(&tree, kind);
        let units: Vec<_> = units.iter().map(|unit| unit.path.to_string()).collect();
        let blocked: Vec<_> = blocked.iter().map(|(path, _)| path.to_string()).collect();
        (units.join(" "), blocked.join(" "))
    };
    assert_eq!(paths(UnitKind::File), ("a/b/c a/void d".to_owned(), "bad/x".to_owned()));
    assert_eq!(paths(UnitKind::Entry), ("a d".to_owned(), "bad".to_owned()));
}

#[test]
fn what_passes_through_the_hub_is_not_the_hubs_own() {
    let of = |at: &str, state: State| {
        let mut row = row(at, "1", B, state);
        row.key.origin = C;
        row
    };
    let dropped = Row { released: Some(1), ..of("dropped", State::Finalised) };
    let rows = ledger([
        of("coming", State::Reserved),
        Row { stored: true, ..of("here", State::Finalised) },
        of("not dropped yet", State::Delivered),
        dropped,
        of("superseded", State::Skipped(Skip::Superseded)),
        row("own", "1", B, State::Ready),
        Row { stored: true, gone: Some(1), ..of("gone from its origin", State::Finalised) },
    ]);
    let mut places: Vec<String> = rows.in_transit(ME).into_iter().map(|path| path.to_string()).collect();
    places.sort();
    assert_eq!(places, ["coming", "gone from its origin", "here", "not dropped yet"]);
}

#[test]
fn spent_copy_that_is_neither_itself_nor_what_comes_next_is_nobodys() {
    let of = |content: &str, state: State| {
        let mut row = row("a", content, B, state);
        row.key.origin = C;
        row
    };
    let spent = Row { stored: true, delivered: Some(1), ..of("1", State::Finalised) };
    let check = |others: Option<Row>, stands: Option<&str>, expected: bool| {
        let (found, _) = spent_copies(&ledger([spent.clone()].into_iter().chain(others)), ME, 0, 5);
        assert_eq!(found.len(), 1);
        let stands = stands.map(file);
        assert_eq!(found[0].is_changed(stands.as_ref()), expected, "{stands:?}");
    };
    let next = || Some(of("2", State::Transferring));
    for (stands, expected) in [(None, false), (Some("1"), false), (Some("2"), true), (Some("damaged"), true)]
    {
        check(None, stands, expected);
    }
    // The next version of the item may stand there by now; anything else is not left behind as an item of the hub's.
    for (stands, expected) in [(None, false), (Some("1"), false), (Some("2"), false), (Some("damaged"), true)]
    {
        check(next(), stands, expected);
    }
    let unreadable = Entry::Unknown(ProblemKind::Unreadable);
    let (found, _) = spent_copies(&ledger([spent.clone()].into_iter().chain(next())), ME, 0, 5);
    assert!(!found[0].is_changed(Some(&unreadable)));
}
