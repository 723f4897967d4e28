use evenfold_node::api::{DriftInfo, EndpointStatus, ErrorInfo, HaltInfo, NodeInfo, Progress};

use super::*;

const RUNNING: Link = Link::Running { attached: false };

pub(crate) fn relationship(name: &str, state: &str) -> RelationshipStatus {
    let endpoint = |node: &str| EndpointStatus {
        node: node.to_owned(),
        role: "spoke".to_owned(),
        path: None,
        online: true,
        last_seen: None,
        way: None,
        access: None,
    };
    RelationshipStatus {
        deliveries: None,
        id: format!("id-{name}"),
        name: name.to_owned(),
        kind: "two-way".to_owned(),
        role: "spoke".to_owned(),
        state: state.to_owned(),
        halt: None,
        verified_at: (state == "in-sync").then(|| "2026-11-21T14:02:00Z".to_owned()),
        unknown_since: None,
        endpoints: vec![endpoint("desk"), endpoint("nas")],
        drift: None,
        waiting: None,
        progress: None,
        conflicts: 0,
        problems: 0,
        error: None,
        retry_at: None,
        paused_until: None,
    }
}

pub(crate) fn status(relationships: Vec<RelationshipStatus>) -> Status {
    let node = NodeInfo {
        name: "desk".to_owned(),
        fingerprint: String::new(),
        addresses: Vec::new(),
        home: "/home/u/.local/share/evenfold".to_owned(),
        version: "1".to_owned(),
    };
    Status { node, relationships }
}

fn conflicts() -> RelationshipStatus {
    RelationshipStatus { conflicts: 2, ..relationship("Code", "conflicts") }
}

fn held(plan: Option<&str>) -> RelationshipStatus {
    let halt = HaltInfo {
        code: "too-many-deletions".to_owned(),
        message: "would delete 812 of 900 items".to_owned(),
        hint: String::new(),
        plan: plan.map(str::to_owned),
        machine: None,
        items: None,
        of: None,
    };
    RelationshipStatus { halt: Some(halt), ..relationship("Backup", "held") }
}

fn failing(code: &str) -> RelationshipStatus {
    let error = ErrorInfo { code: code.to_owned(), message: "disk full".to_owned(), hint: String::new() };
    RelationshipStatus { error: Some(error), ..relationship("Photos", "unknown") }
}

fn away(name: &str) -> RelationshipStatus {
    let mut one = failing("offline");
    one.name = name.to_owned();
    one.endpoints[1].online = false;
    one
}

fn progress(phase: &str) -> RelationshipStatus {
    let progress = Progress {
        phase: phase.to_owned(),
        files_done: 412_000,
        files_total: 0,
        bytes_done: 100,
        bytes_total: 1_000,
        bytes_per_second: 1,
        eta_seconds: Some(240),
    };
    RelationshipStatus { progress: Some(progress), ..relationship("Photos", "in-sync") }
}

fn differs() -> RelationshipStatus {
    let drift = DriftInfo { files: 31, bytes: 5, oldest_seconds: None };
    RelationshipStatus { drift: Some(drift), ..relationship("Site", "differs") }
}

fn state(all: Vec<RelationshipStatus>) -> TrayState {
    summarise(&RUNNING, Some(&status(all))).state
}

#[test]
fn the_worst_of_all_relationships_wins() {
    // Each is worse than all before it.
    let rising = [
        (vec![relationship("Ok", "in-sync")], TrayState::Ok),
        (vec![differs()], TrayState::Drifted),
        (vec![relationship("Still", "paused")], TrayState::Paused),
        (vec![away("Music"), relationship("Ok", "in-sync")], TrayState::Apart),
        (vec![progress("scanning")], TrayState::Scanning),
        (vec![progress("transferring")], TrayState::Busy),
        (vec![conflicts()], TrayState::Attention),
        (vec![failing("clock")], TrayState::Attention),
        (vec![failing("endpoint")], TrayState::Error),
        (vec![failing("hook"), failing("endpoint")], TrayState::Error),
    ];
    let mut all = Vec::new();
    for (more, expected) in rising {
        assert_eq!(state(more.clone()), expected);
        all.extend(more);
        assert_eq!(state(all.clone()), expected);
        all.reverse();
        assert_eq!(state(all.clone()), expected);
    }
}

#[test]
fn everybody_away_is_offline_even_beside_paused_ones() {
    assert_eq!(state(vec![away("Music"), away("Code")]), TrayState::Offline);
    let mut code = away("Code");
    code.waiting = Some(DriftInfo { files: 41, bytes: 5, oldest_seconds: None });
    let line = summarise(&RUNNING, Some(&status(vec![away("Music"), code]))).line;
    assert_eq!(line, Line::NobodyReachable { waiting: 41 });
    assert_eq!(state(vec![away("Music"), relationship("Still", "paused")]), TrayState::Offline);
    assert_eq!(state(vec![relationship("Still", "paused")]), TrayState::Paused);
}

#[test]
fn nothing_is_green_that_was_not_compared() {
    for unverified in ["unknown", "waiting", "differs", "scanning", "paused", "conflicts", "anything new"] {
        assert_ne!(
            state(vec![relationship("Ok", "in-sync"), relationship("Other", unverified)]),
            TrayState::Ok
        );
    }
    assert_eq!(summarise(&Link::Starting, None).state, TrayState::Starting);
    assert_eq!(summarise(&RUNNING, None).state, TrayState::Starting);
}

#[test]
fn engine_that_is_gone_is_an_error_whatever_was_known() {
    let green = status(vec![relationship("Ok", "in-sync")]);
    let failed = Link::Failed { message: "the port is taken".to_owned(), hint: None };
    for link in [Link::Lost, failed] {
        let summary = summarise(&link, Some(&green));
        assert_eq!((summary.state, summary.needs.len()), (TrayState::Error, 1), "{link:?}");
    }
}

#[test]
fn one_cause_is_named_and_several_are_counted_with_errors_first() {
    let one = summarise(&RUNNING, Some(&status(vec![conflicts()])));
    assert!(matches!(one.line, Line::Need(Need::Conflicts { count: 2, .. })), "{one:?}");
    let two = summarise(&RUNNING, Some(&status(vec![conflicts(), held(None), held(Some("p"))])));
    assert_eq!((two.state, two.line.clone()), (TrayState::Error, Line::Needs(3)));
    assert!(two.needs[0].is_error() && !two.needs[1].is_error(), "{two:?}");
}

#[test]
fn held_batch_waits_for_approval_and_a_missing_folder_is_an_error() {
    assert_eq!(state(vec![held(Some("plan"))]), TrayState::Attention);
    assert_eq!(state(vec![held(None)]), TrayState::Error);
}

#[test]
fn more_conflicts_are_the_same_cause() {
    let cause = |count| Need::Conflicts { id: "a".into(), name: "Code".into(), count }.cause();
    assert_eq!(cause(1), cause(2));
}

#[test]
fn verified_time_is_the_oldest() {
    let mut early = relationship("Early", "in-sync");
    early.verified_at = Some("2026-11-21T09:00:00Z".to_owned());
    let summary = summarise(&RUNNING, Some(&status(vec![relationship("Late", "in-sync"), early])));
    assert_eq!(summary.line, Line::UpToDate { verified: "2026-11-21T09:00:00Z".parse().ok() });
}

#[test]
fn socket_in_a_folder_that_is_in_sync_needs_nobody() {
    let one = RelationshipStatus { problems: 1, ..relationship("Home", "in-sync") };
    assert_eq!(state(vec![one]), TrayState::Ok);
    assert_eq!(state(vec![RelationshipStatus { problems: 1, ..differs() }]), TrayState::Attention);
}

#[test]
fn estimate_is_the_longest_and_missing_if_one_is_missing() {
    let line = |all| summarise(&RUNNING, Some(&status(all))).line;
    let mut slow = progress("transferring");
    slow.progress.as_mut().unwrap().eta_seconds = Some(900);
    let expected = Line::Syncing { count: 2, bytes_left: 1_800, seconds: Some(900) };
    assert_eq!(line(vec![progress("transferring"), slow.clone()]), expected);
    slow.progress.as_mut().unwrap().eta_seconds = None;
    let expected = Line::Syncing { count: 2, bytes_left: 1_800, seconds: None };
    assert_eq!(line(vec![progress("transferring"), slow]), expected);
}
