use crate::diff::{Finding, compare};
use crate::notation::tree;
use crate::policy::Side;

fn word(finding: &Finding) -> String {
    match finding {
        Finding::Missing => "missing".to_owned(),
        Finding::Stale => "stale".to_owned(),
        Finding::Orphaned => "orphaned".to_owned(),
        Finding::Moved(to) => format!("moved({to})"),
        Finding::Corrupt => "corrupt".to_owned(),
        Finding::Conflict => "conflict".to_owned(),
        Finding::Error(side, _) => format!("error({side:?})"),
        Finding::Metadata => "metadata".to_owned(),
    }
}

/// Ancestor, source (ours), target, the findings; then files and bytes in sync.
type Case<'a> = (Option<&'a str>, &'a str, &'a str, &'a str, (u64, u64));

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for (ancestor, ours, theirs, expected, in_sync) in cases {
        let ancestor = ancestor.map(tree);
        let drift = compare(ancestor.as_ref(), &tree(ours), &tree(theirs), Side::Ours);
        let items: Vec<_> =
            drift.items.iter().map(|item| format!("{}:{}", item.path, word(&item.finding))).collect();
        assert_eq!(items.join(" "), *expected, "[{ours}] [{theirs}]");
        assert_eq!((drift.in_sync, drift.bytes_in_sync), *in_sync, "[{ours}] [{theirs}]");
    }
}

#[test]
fn every_finding_without_a_record() {
    check(&[
        (None, "", "", "", (0, 0)),
        (None, "a:1*5 d/b>x", "a:1*5 d/b>x", "", (2, 5)),
        (None, "a:1", "", "a:missing", (0, 0)),
        (None, "d/a:1 d/e/", "", "d/a:missing d/e:missing", (0, 0)),
        (None, "", "a:1 e/", "a:orphaned e:orphaned", (0, 0)),
        (None, "a:1@2*5", "a:2@1*6", "a:stale", (0, 0)),
        (None, "a:1@1*5", "a:2@2*6", "a:conflict", (0, 0)),
        (None, "a:1@1*5", "a:2@1*5", "a:corrupt", (0, 0)),
        (None, "a:1@1", "a:1@2", "a:metadata", (0, 0)),
        (None, "d/!700 d/a:1", "d/a:1", "d:metadata", (1, 1)),
        (None, "a?", "a:1", "a:error(Ours)", (0, 0)),
        (None, "d/a:1 d/b:2", "d/a:1 d/b?", "d/b:error(Theirs)", (1, 1)),
        (None, "d/a?", "d/a?", "d/a:error(Ours)", (0, 0)),
        (None, "a:1", "a/b:1", "a:conflict", (0, 0)),
    ]);
}

#[test]
fn record_tells_stale_from_conflict() {
    check(&[
        (Some("a:1@1*5"), "a:2@2*6", "a:1@1*5", "a:stale", (0, 0)),
        (Some("a:1@1*5"), "a:1@1*5", "a:2@2*6", "a:stale", (0, 0)),
        (Some("a:1@1*5"), "a:2@2*6", "a:3@3*7", "a:conflict", (0, 0)),
        (Some("a:1@1*5"), "a:2@3*6", "a:3@2*7", "a:conflict", (0, 0)),
        // Same size and time as the known content, other bytes: rot, not an edit.
        (Some("a:1@1*5"), "a:1@1*5", "a:2@1*5", "a:corrupt", (0, 0)),
        (Some("a:1@1*5"), "a:2@2*5", "a:3@2*5", "a:conflict", (0, 0)),
    ]);
}

#[test]
fn missing_and_orphaned_of_one_content_have_moved() {
    check(&[
        (None, "a:1", "b:1", "a:moved(b)", (0, 0)),
        (None, "d/a:1 d/b:2", "e/a:1 e/b:2", "d/a:moved(e/a) d/b:moved(e/b)", (0, 0)),
        (None, "a:1 b:1", "c:1", "a:moved(c) b:missing", (0, 0)),
        (None, "a:1", "b:1 c:1", "a:moved(c) b:orphaned", (0, 0)),
        (None, "a:*0", "b:*0", "a:missing b:orphaned", (0, 0)),
    ]);
}

#[test]
fn source_decides_what_is_missing() {
    let drift = compare(None, &tree("a:1"), &tree(""), Side::Theirs);
    assert_eq!(drift.items[0].finding, Finding::Orphaned);
    let drift = compare(None, &tree(""), &tree("a:1*9"), Side::Theirs);
    assert_eq!((drift.items[0].finding.clone(), drift.items[0].bytes), (Finding::Missing, 9));
}
