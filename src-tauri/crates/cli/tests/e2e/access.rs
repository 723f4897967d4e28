//! What members may do: read only, or write, decided and enforced by the hub.

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::couriers::holds;
use crate::rig::{Pair, REL, join, share, show_if_failed, status};

#[track_caller]
fn allow(pair: &Pair, access: &str) {
    pair.hub.run(["rel", "access", REL, pair.spoke.name(), access]).ok();
}

#[test]
fn member_that_may_only_read_gets_everything_and_sends_nothing() {
    let pair = Pair::two_way(|a| {
        write(a, "f", "1");
        write(a, "g", "1");
    });
    allow(&pair, "read");
    assert_eq!(status(&pair.spoke)["endpoints"][0]["access"], "read");
    assert_eq!(status(&pair.hub)["endpoints"][1]["access"], "read");
    assert_eq!(pair.hub.json(["rel", "access", REL])["member_access"][pair.spoke.name()], "read");

    write(&pair.b, "f", "changed by who may not");
    write(&pair.b, "own", "x");
    std::fs::remove_file(pair.b.join("g")).unwrap();
    write(&pair.a, "new", "2");
    eventually("it still gets what is new", || holds(&pair.b, "new", b"2"));
    pair.synced(3);
    assert!(holds(&pair.a, "f", b"1") && holds(&pair.a, "g", b"1") && !pair.a.join("own").exists());
    assert!(holds(&pair.b, "f", b"changed by who may not") && holds(&pair.b, "own", b"x"));
    for path in ["f", "own"] {
        let why = pair.spoke.run(["why", REL, path, "--json"]).exits(3).json();
        assert_eq!(why["endpoints"][0]["reason"], "read-only", "{why}");
        assert!(why["endpoints"][0]["next"].as_str().unwrap().contains("rel access"), "{why}");
    }
    // It may not change that itself.
    let refused = pair.spoke.run(["rel", "access", REL, pair.spoke.name(), "write"]).exits(1);
    refused.says("which decides");

    allow(&pair, "write");
    eventually("its changes travel now", || {
        holds(&pair.a, "f", b"changed by who may not")
            && holds(&pair.a, "own", b"x")
            && !pair.a.join("g").exists()
    });
    pair.until_state(&pair.spoke, "in-sync");
}

#[test]
fn t38_what_members_may_do_is_exported_and_applied() {
    let pair = Pair::two_way(|a| write(a, "f", "1"));
    let spoke = pair.spoke.name();
    let export = || pair.hub.run(["rel", "export", REL]).ok().stdout;
    assert!(!export().contains("members"));
    allow(&pair, "read");
    let exported = export();
    assert!(
        exported.contains("[members]") && exported.contains(&format!("{spoke} = \"read\"")),
        "{exported}"
    );
    let file = pair.hub.home().join("set-up.toml");
    let apply = |text: &str| {
        std::fs::write(&file, text).unwrap();
        pair.hub.run(["rel", "apply", file.to_str().unwrap(), "--json"])
    };
    let outcome = |text: &str| apply(text).ok().json()["relationships"][0]["outcome"].take();
    allow(&pair, "write");
    assert_eq!(outcome(&exported), "changed");
    assert_eq!(pair.hub.json(["rel", "access", REL])["member_access"][spoke], "read");
    assert_eq!(outcome(&exported), "unchanged");
    assert_eq!(export(), exported);
    // Wrong words are named with their line; who has not joined yet waits for another time.
    let line = exported.lines().position(|line| line.starts_with(spoke)).unwrap() + 1;
    let wrong = apply(&exported.replace("\"read\"", "\"delete\"")).exits(2);
    assert!(wrong.stderr.contains(&format!("line {line}")) && wrong.stderr.contains(spoke), "{wrong:#?}");
    let stranger = apply(&exported.replace(spoke, "attic")).ok();
    assert!(stranger.stderr.contains("attic has not joined"), "{stranger:#?}");
    assert!(!pair.spoke.run(["rel", "export", REL]).ok().stdout.contains("members"));
}

#[test]
fn access_is_kept_by_the_hub_across_restarts_and_leaving() {
    let mut pair = Pair::two_way(|a| write(a, "f", "1"));
    pair.spoke.stop();
    allow(&pair, "read");
    write(&pair.b, "f", "changed while it did not know");
    pair.spoke.restart();
    eventually("it learns of it", || status(&pair.spoke)["endpoints"][0]["access"] == "read");
    pair.synced(3);
    assert!(holds(&pair.a, "f", b"1"));
    // Joining anew gives nothing back.
    pair.spoke.run(["rel", "remove", REL]).ok();
    let joined = crate::rig::try_join(&pair.spoke, &pair.hub, REL, &pair.b);
    assert_eq!(joined.code, 3, "{joined:#?}");
    assert_eq!(status(&pair.spoke)["endpoints"][0]["access"], "read");
    assert!(holds(&pair.a, "f", b"1"));
}

#[test]
fn share_may_let_newcomers_only_read() {
    let (hub, spoke) = crate::rig::paired();
    let a = hub.folder("a");
    write(&a, "f", "1");
    share(&hub, REL, &a, "two-way", &["access=read"]);
    let b = join(&spoke, &hub, REL);
    show_if_failed([(&hub, &*a), (&spoke, &*b)]);
    assert_eq!(status(&spoke)["endpoints"][0]["access"], "read");
    write(&b, "own", "x");
    spoke.run(["sync", REL, "--wait"]).exits(3);
    assert!(!a.join("own").exists());
    hub.run(["rel", "access", REL, spoke.name(), "write"]).ok();
    eventually("it travels now", || holds(&a, "own", b"x"));
    hub.run(["rel", "access", REL, spoke.name(), "default"]).ok();
    eventually("it may only read again", || status(&spoke)["endpoints"][0]["access"] == "read");
}

#[test]
fn hub_refuses_what_a_member_may_not_whatever_it_believes() {
    // A push is refused before anything is sent, and named.
    let pair = Pair::with("manual", &[], |a| write(a, "f", "1"));
    allow(&pair, "read");
    write(&pair.b, "f", "2");
    pair.spoke.run(["track", REL, "f"]).ok();
    pair.spoke.run(["push", REL]).exits(1).says("may only read");
    assert!(holds(&pair.a, "f", b"1"));
    // A source that may only read offers nothing.
    let [source, hub, end] = ["origin", "middle", "end"].map(TestNode::start);
    source.pair_with(&hub);
    end.pair_with(&hub);
    let r = hub.folder("r");
    share(&hub, "way", &r, "relay", &["settle=1s"]);
    let a = crate::couriers::enter(&source, &hub, "way", "source", &[]);
    let b = crate::couriers::enter(&end, &hub, "way", "destination", &[]);
    hub.run(["rel", "access", "way", source.name(), "read"]).ok();
    write(&a, "x", "1");
    source.run(["run", "way", "--once"]).exits(1);
    eventually("it is told", || {
        status(&source)["error"]["message"].as_str().is_some_and(|text| text.contains("may only read"))
    });
    assert!(!r.join("x").exists());
    hub.run(["rel", "access", "way", source.name(), "write"]).ok();
    eventually("it arrives now", || holds(&b, "x", b"1"));
}
