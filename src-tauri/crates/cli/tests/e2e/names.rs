//! T6: names that other programs stumble over.

use std::os::unix::ffi::OsStrExt as _;

use crate::common::tree::{assert_same, raw, tree, write};
use crate::rig::{Pair, REL};

fn odd_names() -> Vec<std::path::PathBuf> {
    let long = "x".repeat(255);
    let names: [&[u8]; 14] = [
        b"two words",
        b" lead",
        b"trail ",
        b"-rf",
        b"a\nb",
        b"\xff",
        b"it's",
        b"$(touch PWNED).txt",
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        long.as_bytes(),
        b"CON",
        b"back\\slash",
        b"\"; DROP TABLE ancestor; --",
    ];
    names.iter().map(|name| raw(name)).collect()
}

#[test]
fn t06_odd_names_arrive_byte_by_byte_in_both_directions() {
    let pair = Pair::two_way(|a| {
        for (nth, name) in odd_names().iter().enumerate() {
            write(a, name, format!("file {nth}"));
            write(a, raw(b"dir").join(name), format!("below {nth}"));
        }
        write(a, raw(b"\xfe\xfd").join(raw(b"\xff\xff")), "in a directory without UTF-8");
    });
    assert_same(&pair.a, &pair.b);
    assert_eq!(tree(&pair.b).len(), 2 * odd_names().len() + 3);
    for name in odd_names() {
        write(&pair.b, &name, "edited at the spoke");
    }
    pair.sync();
    assert_same(&pair.a, &pair.b);
    for root in [&pair.a, &pair.b] {
        assert!(!tree(root).keys().any(|path| path.as_os_str().as_bytes().ends_with(b"PWNED")));
    }
}

#[test]
fn t06_name_that_is_not_utf8_is_lossless_in_json() {
    let pair = Pair::by_hand(|a| write(a, "plain", "1"));
    write(&pair.a, raw(b"\xff"), "only at the hub");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    let item = &check["items"][0];
    assert_eq!((&item["finding"], &item["path_bytes"]), (&"missing".into(), &"/w==".into()), "{check}");
    assert!(item["path"].is_string());
    // The exact bytes lead back to the file.
    let why = pair.spoke.run([raw(b"why"), REL.into(), raw(b"\xff"), "--json".into()]).exits(3).json();
    assert_eq!(why["path_bytes"], "/w==", "{why}");
}
