//! What the window decides, and only the window: a merged text, a setting; and what it is shown of work that is left.

use evenfold_node::api::{ErrorCode, PendingChanges, Reply, Request, WhichChanges};

use crate::machine::{Machine, join, keeps, until};

const FROM_HUB: &str = "as the hub wrote it\n";
const FROM_SPOKE: &str = "as the spoke wrote it\n";
const MERGED: &str = "as both meant it\n";

/// A hub and a spoke that both changed `notes` while they were apart. Returns them with the id of the conflict.
async fn disputed(settings: &[(&str, &str)]) -> (Machine, Machine, String) {
    let (hub, spoke) = (Machine::start("desk").await, Machine::start("nas").await);
    std::fs::write(hub.folder().join("notes"), "start\n").unwrap();
    std::fs::write(hub.folder().join("other"), "x").unwrap();
    join(&hub, &spoke, "two-way", settings).await;
    until("both are in sync", async || spoke.check(false).await.counts.in_sync == 2).await;
    spoke.ask(Request::RelPause { relationship: "r".into() }).await;
    std::fs::write(hub.folder().join("notes"), FROM_HUB).unwrap();
    std::fs::write(spoke.folder().join("notes"), FROM_SPOKE).unwrap();
    spoke.ask(Request::RelResume { relationship: "r".into() }).await;
    until("the conflict is seen", async || !conflicts(&spoke).await.is_empty()).await;
    let id = conflicts(&spoke).await.remove(0);
    (hub, spoke, id)
}

async fn conflicts(machine: &Machine) -> Vec<String> {
    let Reply::Conflicts(all) = machine.ask(Request::Conflicts { relationship: Some("r".into()) }).await
    else {
        panic!("no list")
    };
    all.into_iter().map(|conflict| conflict.id).collect()
}

fn holds(machine: &Machine, content: &str) -> bool {
    std::fs::read_to_string(machine.folder().join("notes")).is_ok_and(|found| found == content)
}

async fn end(machines: [Machine; 2]) {
    for mut machine in machines {
        machine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_text_takes_the_name_on_both_machines_and_both_versions_are_kept() {
    let (hub, spoke, id) = disputed(&[]).await;
    let merge = Request::ResolveMerged { id: id.clone(), text: MERGED.into() };
    spoke.ask(merge.clone()).await;
    until("both hold the merged text", async || holds(&hub, MERGED) && holds(&spoke, MERGED)).await;
    until("no conflict is left", async || {
        conflicts(&spoke).await.is_empty() && conflicts(&hub).await.is_empty()
    })
    .await;
    until("both are in sync", async || spoke.check(false).await.counts.in_sync == 2).await;
    for content in [FROM_HUB, FROM_SPOKE] {
        let kept = |machine: &Machine| keeps(&machine.folder(), content.as_bytes());
        assert!(kept(&hub) || kept(&spoke), "{content:?} is lost");
    }
    let error = spoke.try_ask(merge).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "it is decided already: {error:?}");
    end([hub, spoke]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_text_replaces_both_where_a_rule_left_the_decision_to_a_person() {
    let (hub, spoke, id) = disputed(&[("conflict", "refuse")]).await;
    assert!(holds(&hub, FROM_HUB) && holds(&spoke, FROM_SPOKE), "nothing was touched");
    spoke.ask(Request::ResolveMerged { id, text: MERGED.into() }).await;
    until("both hold the merged text", async || holds(&hub, MERGED) && holds(&spoke, MERGED)).await;
    until("no conflict is left", async || conflicts(&spoke).await.is_empty()).await;
    assert!(keeps(&hub.folder(), FROM_HUB.as_bytes()) && keeps(&spoke.folder(), FROM_SPOKE.as_bytes()));
    end([hub, spoke]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_text_is_refused_where_a_version_has_changed_meanwhile_or_it_is_too_long() {
    let (hub, spoke, id) = disputed(&[("conflict", "refuse")]).await;
    let long = Request::ResolveMerged { id: id.clone(), text: "x".repeat((4 << 20) + 1) };
    assert_eq!(spoke.try_ask(long).await.unwrap_err().code, ErrorCode::Usage);
    spoke.ask(Request::RelPause { relationship: "r".into() }).await;
    let later = "as the spoke wrote it later\n";
    std::fs::write(spoke.folder().join("notes"), later).unwrap();
    spoke.try_ask(Request::ResolveMerged { id, text: MERGED.into() }).await.unwrap_err();
    assert!(holds(&spoke, later) && holds(&hub, FROM_HUB), "somebody's edit was replaced unseen");
    end([hub, spoke]).await;
}

async fn changes(machine: &Machine, which: WhichChanges) -> PendingChanges {
    let request = Request::Changes { relationship: "r".into(), which, offset: 0, limit: 100 };
    let Reply::Changes(changes) = machine.ask(request).await else { panic!("no changes") };
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_to_do_is_told_at_the_hub_as_at_the_spoke() {
    let (hub, spoke, _) = disputed(&[("conflict", "refuse")]).await;
    for machine in [&spoke, &hub] {
        let all = changes(machine, WhichChanges::All).await;
        assert_eq!((all.total, all.travels, all.stays), (1, Some(0), Some(1)), "{all:?}");
        assert_eq!(
            (all.rows[0].change.path.path.as_str(), all.rows[0].reason.as_str()),
            ("notes", "conflict")
        );
        assert_eq!(changes(machine, WhichChanges::Travels).await.total, 0);
    }
    end([hub, spoke]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_is_written_holds_after_a_restart_and_nonsense_is_refused() {
    let mut machine = Machine::start("desk").await;
    let set = |key: &str, value: &str| Request::ConfigSet { key: key.into(), value: value.into() };
    let Reply::Config(entries) = machine.ask(set("nearby", "off")).await else { panic!("no settings") };
    let nearby = entries.iter().find(|entry| entry.key == "nearby").unwrap();
    assert_eq!((nearby.value.as_str(), nearby.origin.as_str()), ("off", "config.toml"));
    let error = machine.try_ask(set("nearby", "perhaps")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Setting, "{error:?}");
    machine.close().await;
    machine.open().await;
    let file = std::fs::read_to_string(machine.dir.path().join("home/config.toml")).unwrap();
    assert_eq!(file, "nearby = \"off\"\n");
    machine.ask(set("nearby", "")).await;
    assert_eq!(std::fs::read_to_string(machine.dir.path().join("home/config.toml")).unwrap(), "");
    machine.close().await;
}
