//! T5 and T37: whatever breaks off in mid-file, it resumes, and nothing partial is ever seen under a final name.

use std::path::Path;

use crate::common::tree::{tree, write};
use crate::common::{LIMIT, TestNode, signal};
use crate::rig::{Pair, bytes, noise, partial_bytes};

const LEN: usize = 60_000_000;

/// What a resumed transfer of [`LEN`] bytes may send at most: it is interrupted after a quarter at least.
const RESUMED: u64 = 50_000_000;

/// Writes a large file at `from` and waits until a quarter of it or more has arrived at `to`, but not all. Where the
/// machine is so quick that it is over before we look, the next file is tried. Returns name and content.
#[track_caller]
fn in_mid_transfer(from: &Path, to: &Path) -> (String, Vec<u8>) {
    for nth in 0..20 {
        let (name, content) = (format!("large {nth}"), noise(500 + nth, LEN));
        // By rename, so that nothing is read while it is being written.
        let aside = from.with_extension("writing");
        std::fs::write(&aside, &content).unwrap();
        std::fs::rename(&aside, from.join(&name)).unwrap();
        let began = std::time::Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "nothing of {name} arrives");
            if to.join(&name).exists() {
                break;
            }
            if partial_bytes(to) > LEN as u64 / 4 {
                return (name, content);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    panic!("every transfer was over before it could be interrupted");
}

/// Waits until the file is whole at its place, and makes sure that it is never anything else meanwhile.
#[track_caller]
fn until_whole(to: &Path, name: &str, content: &[u8]) {
    let began = std::time::Instant::now();
    while !to.join(name).exists() {
        assert!(began.elapsed() < LIMIT, "{name} does not arrive: {:?}", tree(to).keys());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // A name that is there is whole at once.
    assert!(std::fs::read(to.join(name)).unwrap() == content, "{name} is not what was sent");
}

fn small(a: &Path) {
    write(a, "small", "1");
}

/// Interrupts a transfer by killing `victim` and makes sure that the rest, not the whole, is sent afterwards.
fn killed(from_hub: bool, victim_is_hub: bool) {
    let mut pair = Pair::two_way(small);
    let (from, to) =
        if from_hub { (pair.a.clone(), pair.b.clone()) } else { (pair.b.clone(), pair.a.clone()) };
    let (name, content) = in_mid_transfer(&from, &to);
    let victim: &mut TestNode = if victim_is_hub { &mut pair.hub } else { &mut pair.spoke };
    victim.kill9();
    let over = to.join(&name).exists();
    victim.restart();
    until_whole(&to, &name, &content);
    pair.until_same();
    // The connection is new since the kill, so its bytes are those of the rest.
    let sent = bytes(&pair.spoke, &pair.hub);
    assert!(over || sent < RESUMED, "{sent} of {LEN} bytes were sent although a quarter was there");
    assert_eq!(partial_bytes(&to), 0, "something of the transfer was left over");
}

#[test]
fn t05_receiving_spoke_killed_in_mid_transfer_resumes() {
    killed(true, false);
}

#[test]
fn t05_sending_hub_killed_in_mid_transfer_resumes() {
    killed(true, true);
}

#[test]
fn t05_sending_spoke_killed_in_mid_transfer_resumes() {
    killed(false, false);
}

#[test]
fn t05_receiving_hub_killed_in_mid_transfer_resumes() {
    killed(false, true);
}

#[test]
fn t37_stopped_sender_resumes_when_it_goes_on() {
    let pair = Pair::two_way(small);
    let (name, content) = in_mid_transfer(&pair.a, &pair.b);
    let before = partial_bytes(&pair.b);
    signal(pair.hub.process(), "STOP");
    // Commands to the other node are answered meanwhile.
    pair.spoke.run(["status"]).ok();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let held = partial_bytes(&pair.b);
    assert!(
        held >= before || pair.b.join(&name).exists(),
        "what had arrived was given up: {before}, now {held}"
    );
    signal(pair.hub.process(), "CONT");
    until_whole(&pair.b, &name, &content);
    pair.until_same();
}
