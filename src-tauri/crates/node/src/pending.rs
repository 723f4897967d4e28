//! What a comparison left to do, row by row: what travels by itself, and what does not, and why.
//!
//! Only the rows of one page are put into words, so that paging through a million of them costs no more than through
//! a hundred.

use evenfold_core::plan::{Blocked, Change};
use evenfold_core::{Conflict, Entry, RelPath, Side};
use evenfold_engine::CycleReport;

use crate::api::{ChangeInfo, MOST_ROWS, PendingChange, PendingChanges, WhichChanges};
use crate::plans::change_info;
use crate::reasons::{CONFLICT, HELD, MANUAL, PAUSED, PENDING, TO_PULL, TO_PUSH};
use crate::text::path_text;

/// Reasons with which something travels by itself, now or in the next cycle.
const TRAVEL: [&str; 3] = [PENDING, "waits-for-move", "moved-on"];

/// What keeps all changes of a relationship from travelling by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    /// A person has to look first.
    pub(crate) held: bool,
    pub(crate) paused: bool,
    /// What is sent is chosen by hand.
    pub(crate) by_hand: bool,
    /// Nothing travels before somebody says so.
    pub(crate) manual: bool,
}

impl Standing {
    fn reason(self, on: Side) -> &'static str {
        match (self, on) {
            (Standing { held: true, .. }, _) => HELD,
            (Standing { paused: true, .. }, _) => PAUSED,
            (Standing { by_hand: true, .. }, Side::Theirs) => TO_PUSH,
            (Standing { by_hand: true, .. }, Side::Ours) => TO_PULL,
            (Standing { manual: true, .. }, _) => MANUAL,
            _ => PENDING,
        }
    }
}

/// A path that is left to do.
#[derive(Clone, Copy)]
enum Row<'a> {
    Change { change: &'a Change, on: Side, copy: bool },
    Conflict(&'a Conflict),
    Blocked(&'a Blocked),
}

/// Returns a page of what a report left to do; what stays comes first. `ours` and `theirs` name the machines.
pub(crate) fn page(
    report: &CycleReport,
    standing: Standing,
    (ours, theirs): (&str, &str),
    which: WhichChanges,
    (offset, limit): (u64, u32),
) -> PendingChanges {
    let travels = rows(report).filter(|row| TRAVEL.contains(&row.reason(standing))).count();
    let all = rows(report).count();
    let stays = all - travels;
    let wanted = |going: bool| {
        let part = move |row: &Row<'_>| TRAVEL.contains(&row.reason(standing)) == going;
        rows(report).filter(part)
    };
    let (total, found): (usize, Box<dyn Iterator<Item = Row<'_>>>) = match which {
        WhichChanges::All => (all, Box::new(wanted(false).chain(wanted(true)))),
        WhichChanges::Travels => (travels, Box::new(wanted(true))),
        WhichChanges::Stays => (stays, Box::new(wanted(false))),
    };
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let machine = |side| if side == Side::Ours { ours } else { theirs };
    let shown = found.skip(offset).take(limit.min(MOST_ROWS) as usize).map(|row| PendingChange {
        change: row.info(report, machine),
        reason: row.reason(standing).to_owned(),
    });
    PendingChanges {
        total: total as u64,
        rows: shown.collect(),
        travels: Some(travels as u64),
        stays: Some(stays as u64),
    }
}

fn rows(report: &CycleReport) -> impl Iterator<Item = Row<'_>> {
    let plan = &report.plan;
    let blocked = report.blocked.iter().map(Row::Blocked);
    let conflicts = plan.conflicts.iter().map(Row::Conflict);
    let changes = [Side::Ours, Side::Theirs].into_iter().flat_map(|on| {
        let copies = plan.copies(on).iter().map(move |change| Row::Change { change, on, copy: true });
        copies.chain(plan.changes(on).iter().map(move |change| Row::Change { change, on, copy: false }))
    });
    blocked.chain(conflicts).chain(changes)
}

impl<'a> Row<'a> {
    fn reason(&self, standing: Standing) -> &'static str {
        match self {
            Row::Change { on, .. } => standing.reason(*on),
            Row::Conflict(_) => CONFLICT,
            Row::Blocked(blocked) => blocked.reason.code(),
        }
    }

    fn info(&self, report: &CycleReport, machine: impl Fn(Side) -> &'a str) -> ChangeInfo {
        match self {
            Row::Change { change, on, copy } => change_info(change, machine(*on), *copy),
            Row::Conflict(conflict) => stays(report, &conflict.path),
            Row::Blocked(blocked) => stays(report, &blocked.path),
        }
    }
}

/// A path at which nothing happens, with what stands there.
fn stays(report: &CycleReport, path: &RelPath) -> ChangeInfo {
    let entry = report.ours.get(path).or_else(|| report.theirs.get(path));
    let totals = entry.map(Entry::totals).unwrap_or_default();
    ChangeInfo {
        node: String::new(),
        path: path_text(path.as_bytes()),
        act: "none".to_owned(),
        bytes: totals.bytes,
        files: totals.files,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evenfold_core::apply::Refusal;
    use evenfold_core::plan::{Plan, Reason};
    use evenfold_core::{Dir, ProblemKind};
    use evenfold_engine::Ending;

    use super::*;
    use crate::conflicts::tests::{dir, file, path};

    fn report() -> CycleReport {
        let create = |name: &str| Change { path: path(name), old: None, new: Some(file(name)) };
        let delete = |name: &str| Change { path: path(name), old: Some(file(name)), new: None };
        let (ours, theirs) = (Some(file("1")), Some(file("2")));
        let conflict = Conflict { path: path("both"), ancestor: None, ours, theirs };
        let blocked = |name: &str, reason| Blocked { path: path(name), reason };
        CycleReport {
            ending: Ending::Planned,
            plan: Plan {
                ours: vec![create("new here")],
                theirs: vec![create("new there"), delete("old there")],
                conflicts: vec![conflict],
                ..Plan::default()
            },
            settled: Vec::new(),
            blocked: vec![
                blocked("pipe", Reason::Problem(Side::Ours, ProblemKind::Special)),
                blocked("again", Reason::Refused(Side::Theirs, Refusal::MovedOn)),
            ],
            conflict_copies: 0,
            files: 0,
            bytes: 0,
            ancestor: Arc::new(Dir::empty()),
            ours: dir(vec![("both", file("1"))]),
            theirs: dir(vec![("both", file("2"))]),
            problems: Vec::new(),
            compared_at: 0,
            again: false,
            settles_in: None,
        }
    }

    fn paths(standing: Standing, which: WhichChanges, window: (u64, u32)) -> Vec<String> {
        let page = page(&report(), standing, ("desk", "nas"), which, window);
        page.rows.into_iter().map(|row| format!("{} {}", row.change.path.path, row.reason)).collect()
    }

    #[test]
    fn what_travels_and_what_stays_add_up_and_are_told_apart() {
        let (usual, whole) = (Standing::default(), (0, 100));
        let found = page(&report(), usual, ("desk", "nas"), WhichChanges::All, whole);
        assert_eq!((found.total, found.travels, found.stays), (6, Some(4), Some(2)));
        let stays = ["pipe special-file", "both conflict"];
        let travels = ["again moved-on", "new here pending", "new there pending", "old there pending"];
        assert_eq!(paths(usual, WhichChanges::Stays, whole), stays);
        assert_eq!(paths(usual, WhichChanges::Travels, whole), travels);
        assert_eq!(paths(usual, WhichChanges::All, whole), [&stays[..], &travels[..]].concat());
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        let standing = Standing::default();
        let all = paths(standing, WhichChanges::All, (0, 100));
        let mut paged = Vec::new();
        for offset in (0..8).step_by(2) {
            paged.extend(paths(standing, WhichChanges::All, (offset, 2)));
        }
        assert_eq!(paged, all);
        assert!(paths(standing, WhichChanges::All, (u64::MAX, 5)).is_empty());
    }

    #[test]
    fn what_keeps_everything_from_travelling_is_the_reason() {
        let usual = Standing::default();
        for (standing, here, there) in [
            (Standing { held: true, paused: true, ..usual }, HELD, HELD),
            (Standing { paused: true, by_hand: true, ..usual }, PAUSED, PAUSED),
            (Standing { by_hand: true, manual: true, ..usual }, TO_PULL, TO_PUSH),
            (Standing { manual: true, ..usual }, MANUAL, MANUAL),
        ] {
            let rows = paths(standing, WhichChanges::All, (0, 100));
            assert!(rows.contains(&format!("new here {here}")), "{rows:?}");
            assert!(rows.contains(&format!("new there {there}")), "{rows:?}");
        }
    }

    #[test]
    fn row_names_the_machine_on_which_it_happens_and_what_stands_there() {
        let rows = page(&report(), Standing::default(), ("desk", "nas"), WhichChanges::All, (0, 100)).rows;
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row.change.node.as_str(), row.change.act.as_str(), row.change.bytes))
            .collect();
        assert_eq!(said[1], ("", "none", 1), "the size of the file under dispute");
        assert_eq!((said[3].0, said[4].0, said[5].1), ("desk", "nas", "delete"));
    }
}
