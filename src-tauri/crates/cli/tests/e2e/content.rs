//! T30: what decides about sending is the content, not times, names or permissions.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::common::tree::{assert_same, write};
use crate::rig::{Pair, noise};

/// What comparing, permissions and the ping itself may cost; the contents are thirty times as large.
const TALK: u64 = 200_000;

fn one_large() -> Pair {
    Pair::by_hand(|a| write(a, "d/large", noise(30, 6_000_000)))
}

#[track_caller]
fn sends_no_content(pair: &Pair) {
    let before = pair.bytes();
    let synced = pair.sync();
    let travelled = pair.bytes() - before;
    assert_same(&pair.a, &pair.b);
    assert_eq!(synced["bytes"], 0, "{synced}");
    assert!(travelled < TALK, "{travelled} bytes travelled");
}

#[test]
fn t30_touch_sends_no_content() {
    let pair = one_large();
    let file = std::fs::File::options().write(true).open(pair.b.join("d/large")).unwrap();
    let earlier = SystemTime::now() - Duration::from_secs(1000);
    file.set_times(std::fs::FileTimes::new().set_modified(earlier)).unwrap();
    drop(file);
    sends_no_content(&pair);
}

#[test]
fn t30_chmod_sends_no_content() {
    let pair = one_large();
    std::fs::set_permissions(pair.a.join("d/large"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::fs::set_permissions(pair.b.join("d"), std::fs::Permissions::from_mode(0o700)).unwrap();
    sends_no_content(&pair);
}

#[test]
fn t30_rewrite_with_the_same_content_sends_none() {
    let pair = one_large();
    write(&pair.b, "d/large", noise(30, 6_000_000));
    sends_no_content(&pair);
}

#[test]
fn t30_rename_and_copy_send_no_content() {
    let pair = one_large();
    std::fs::rename(pair.b.join("d/large"), pair.b.join("d/renamed")).unwrap();
    sends_no_content(&pair);
    std::fs::copy(pair.b.join("d/renamed"), pair.b.join("copy")).unwrap();
    sends_no_content(&pair);
}

#[test]
fn t30_small_edit_of_a_large_file_sends_a_part() {
    let pair = one_large();
    let mut content = noise(30, 6_000_000);
    content.splice(3_000_000..3_000_000, *b"inserted in the middle");
    write(&pair.b, "d/large", content);
    let before = pair.bytes();
    pair.sync();
    let travelled = pair.bytes() - before;
    assert_same(&pair.a, &pair.b);
    assert!(travelled < 2_000_000, "{travelled} bytes travelled for 22 new ones");
}
