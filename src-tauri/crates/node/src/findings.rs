//! A comparison in numbers and words.

use evenfold_core::diff::{Drift, Finding};
use evenfold_core::{ProblemKind, RelPath, Side};
use evenfold_engine::CycleReport;

use crate::api::{Check, CheckItem, Counts};
use crate::peers::time_text;
use crate::text::path_text;

/// Names of the two machines of a comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machines<'a> {
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
    /// Which of them the other is measured against.
    pub(crate) source: Side,
}

impl<'a> Machines<'a> {
    fn name(&self, side: Side) -> &'a str {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }
}

/// How far a comparison goes before it says that a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Equal sizes and times are enough, as where a relationship only compares and nobody asked for more.
    SizesAndTimes,
    /// What is known of contents counts, and differs because somebody edited.
    Digests,
    /// All contents were read again.
    Contents,
}

/// Puts a comparison into numbers and words.
pub(crate) fn describe(report: &CycleReport, machines: Machines<'_>, verify: Verify) -> Check {
    // Said of two trees that were looked at just now, both completely.
    let Drift { in_sync, bytes_in_sync, mut items } = report.drift(machines.source);
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let mut counts = Counts { in_sync, ..Counts::default() };
    let mut bytes = Counts { in_sync: bytes_in_sync, ..Counts::default() };
    let mut listed = Vec::with_capacity(items.len());
    let mut suspects = 0;
    for item in items {
        let (finding, detail) = match (&item.finding, verify) {
            (Finding::Corrupt, Verify::SizesAndTimes) => {
                suspects += 1;
                counts.in_sync += 1;
                bytes.in_sync += item.bytes;
                continue;
            }
            // Whoever put size and time back edited it, and the edit is about to travel.
            (Finding::Corrupt, Verify::Digests) => {
                ("stale", words(&item.path, &item.finding, report, machines).1)
            }
            _ => words(&item.path, &item.finding, report, machines),
        };
        *counter(&mut counts, finding) += 1;
        *counter(&mut bytes, finding) += item.bytes;
        listed.push(CheckItem {
            path: path_text(item.path.as_bytes()),
            finding: finding.to_owned(),
            detail,
            bytes: item.bytes,
        });
    }
    Check {
        verified: true,
        unverified_reason: None,
        unknown_since: None,
        compared_at: time_text(report.compared_at),
        counts,
        bytes,
        suspects,
        items: listed,
    }
}

fn words(
    path: &RelPath,
    finding: &Finding,
    report: &CycleReport,
    machines: Machines<'_>,
) -> (&'static str, String) {
    let source = machines.name(machines.source);
    let target = machines.name(machines.source.other());
    match finding {
        Finding::Missing => ("missing", format!("only on {source}")),
        Finding::Orphaned => ("orphaned", format!("only on {target}")),
        Finding::Stale => ("stale", format!("{target} does not have the content of {source}")),
        Finding::Metadata => ("stale", "times or permissions differ".to_owned()),
        Finding::Moved(to) => ("moved", format!("on {target} it is at {to}")),
        Finding::Corrupt => {
            ("corrupt", format!("{target} has another content, although size and time are those of {source}"))
        }
        Finding::Conflict => ("conflict", format!("changed on {source} and on {target}")),
        Finding::Error(side, ProblemKind::SuspectedRot) => {
            let machine = machines.name(*side);
            ("corrupt", format!("on {machine} the content changed while size and time did not"))
        }
        Finding::Error(side, kind @ ProblemKind::SizeLimit) => {
            ("excluded", format!("on {}: {}", machines.name(*side), problem_words(*kind)))
        }
        Finding::Error(side, kind) => {
            let machine = machines.name(*side);
            let problem = report.problems.iter().find(|problem| *side == Side::Ours && problem.path == *path);
            let why =
                problem.map_or_else(|| problem_words(*kind).to_owned(), |problem| problem.detail.clone());
            ("error", format!("on {machine}: {why}"))
        }
    }
}

/// Says what a problem means.
pub(crate) fn problem_words(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unreadable => "it cannot be read",
        ProblemKind::Special => "it is a device, socket or pipe, which cannot be carried",
        ProblemKind::Changing => "it changed each time it was read",
        ProblemKind::NameClash => "its name falls together with another one's",
        ProblemKind::TooLong => "its path is too long",
        ProblemKind::OtherFileSystem => "another file system is mounted there",
        ProblemKind::SuspectedRot => "its content changed while size and time did not",
        ProblemKind::SizeLimit => "it is smaller or larger than this relationship takes",
    }
}

pub(crate) fn counter<'a>(counts: &'a mut Counts, finding: &str) -> &'a mut u64 {
    match finding {
        "in_sync" => &mut counts.in_sync,
        "missing" => &mut counts.missing,
        "stale" => &mut counts.stale,
        "orphaned" => &mut counts.orphaned,
        "moved" => &mut counts.moved,
        "corrupt" => &mut counts.corrupt,
        "conflict" => &mut counts.conflict,
        "error" => &mut counts.error,
        "excluded" => &mut counts.excluded,
        _ => &mut counts.unknown,
    }
}

/// Puts the answers of several members together: numbers add up, and each item says whose it is.
pub(crate) fn merge(answers: Vec<(String, Check)>) -> Check {
    let mut merged = Check {
        verified: true,
        unverified_reason: None,
        unknown_since: None,
        compared_at: None,
        counts: Counts::default(),
        bytes: Counts::default(),
        suspects: 0,
        items: Vec::new(),
    };
    for (machine, check) in answers {
        merged.verified &= check.verified;
        merged.unverified_reason = merged.unverified_reason.or(check.unverified_reason);
        // RFC 3339 in UTC sorts as text: unknown since the first, compared when the first was.
        merged.unknown_since = earlier(merged.unknown_since, check.unknown_since);
        merged.compared_at = earlier(merged.compared_at, check.compared_at);
        merged.counts = add(&merged.counts, &check.counts);
        merged.bytes = add(&merged.bytes, &check.bytes);
        merged.suspects += check.suspects;
        merged.items.extend(check.items.into_iter().map(|item| {
            let says_whose = item.detail.contains(&machine);
            let detail = if says_whose { item.detail } else { format!("{machine}: {}", item.detail) };
            CheckItem { detail, ..item }
        }));
    }
    merged.items.sort_by(|a, b| a.path.path.cmp(&b.path.path));
    merged
}

fn earlier(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(crate) fn add(a: &Counts, b: &Counts) -> Counts {
    Counts {
        in_sync: a.in_sync + b.in_sync,
        missing: a.missing + b.missing,
        stale: a.stale + b.stale,
        orphaned: a.orphaned + b.orphaned,
        moved: a.moved + b.moved,
        corrupt: a.corrupt + b.corrupt,
        conflict: a.conflict + b.conflict,
        error: a.error + b.error,
        excluded: a.excluded + b.excluded,
        unknown: a.unknown + b.unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evenfold_core::plan::Plan;
    use evenfold_core::snapshot::Problem;
    use evenfold_core::{Dir, Entry};
    use evenfold_engine::Ending;

    use super::*;
    use crate::api::ErrorInfo;
    use crate::conflicts::tests::{dir, file, path};

    const MACHINES: Machines<'_> = Machines { ours: "desk", theirs: "nas", source: Side::Theirs };

    fn report(ancestor: Arc<Dir>, ours: Arc<Dir>, theirs: Arc<Dir>) -> CycleReport {
        CycleReport {
            ending: Ending::Planned,
            plan: Plan::default(),
            settled: Vec::new(),
            blocked: Vec::new(),
            conflict_copies: 0,
            files: 0,
            bytes: 0,
            ancestor,
            ours,
            theirs,
            problems: Vec::new(),
            compared_at: 1_000_000,
            again: false,
            settles_in: None,
        }
    }

    #[test]
    fn findings_are_counted_sorted_and_put_into_words() {
        let unreadable = || Entry::Unknown(ProblemKind::Unreadable);
        let rotten = || Entry::Unknown(ProblemKind::SuspectedRot);
        let theirs =
            dir(vec![("same", file("1")), ("new", file("2")), ("gone", file("longer")), ("rot", file("r"))]);
        let ours = dir(vec![
            ("same", file("1")),
            ("extra", file("3")),
            ("moved", file("longer")),
            ("rot", rotten()),
            ("no", unreadable()),
        ]);
        let mut report = report(Arc::new(Dir::empty()), ours, theirs);
        let detail = "permission denied".to_owned();
        report.problems.push(Problem { path: path("no"), kind: ProblemKind::Unreadable, detail });
        let check = describe(&report, MACHINES, Verify::Contents);
        let counts = Counts {
            in_sync: 1,
            missing: 1,
            orphaned: 1,
            moved: 1,
            corrupt: 1,
            error: 1,
            ..Counts::default()
        };
        assert_eq!(check.counts, counts);
        let said: Vec<_> = check
            .items
            .iter()
            .map(|item| format!("{} {}: {}", item.finding, item.path.path, item.detail))
            .collect();
        assert_eq!(
            said,
            [
                "orphaned extra: only on desk",
                "moved gone: on desk it is at moved",
                "missing new: only on nas",
                "error no: on desk: permission denied",
                "corrupt rot: on desk the content changed while size and time did not",
            ]
        );
        assert!(check.verified);
        assert_eq!(check.compared_at.as_deref(), Some("1970-01-01T00:00:01Z"));
    }

    #[test]
    fn answers_of_members_add_up_and_one_unknown_leaves_all_unverified() {
        let answer = |verified: bool, in_sync: u64, since: Option<&str>| Check {
            verified,
            unverified_reason: (!verified).then(|| ErrorInfo {
                code: "offline".to_owned(),
                message: "gone".to_owned(),
                hint: String::new(),
            }),
            unknown_since: since.map(str::to_owned),
            compared_at: Some("2026-11-21T14:00:00Z".to_owned()),
            counts: Counts { in_sync, missing: 1, ..Counts::default() },
            bytes: Counts { in_sync: 10, ..Counts::default() },
            suspects: 0,
            items: vec![CheckItem {
                path: path_text(b"a"),
                finding: "missing".to_owned(),
                detail: "only on hub".to_owned(),
                bytes: 1,
            }],
        };
        let merged = merge(vec![
            ("one".to_owned(), answer(true, 5, None)),
            ("two".to_owned(), answer(false, 7, Some("2026-11-20T00:00:00Z"))),
        ]);
        assert!(!merged.verified);
        assert_eq!(merged.unverified_reason.map(|reason| reason.message).as_deref(), Some("gone"));
        assert_eq!(merged.unknown_since.as_deref(), Some("2026-11-20T00:00:00Z"));
        assert_eq!((merged.counts.in_sync, merged.counts.missing, merged.bytes.in_sync), (12, 2, 20));
        let details: Vec<_> = merged.items.iter().map(|item| item.detail.as_str()).collect();
        assert_eq!(details, ["one: only on hub", "two: only on hub"]);
        assert!(merge(vec![("one".to_owned(), answer(true, 5, None))]).verified);
    }
}
