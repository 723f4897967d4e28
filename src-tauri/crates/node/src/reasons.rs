//! The one reason why a path is, or is not, in sync: a decision over what a comparison found, and the table of
//! what to do about each reason.

use std::sync::Arc;

use evenfold_core::conflict::is_conflict_name;
use evenfold_core::plan::{Blocked, Change};
use evenfold_core::{Dir, Entry, Reason, RelPath, Side};
use evenfold_engine::{CycleReport, Ending};

use crate::findings::problem_words;

/// Equal on both sides.
pub(crate) const IN_SYNC: &str = "in-sync";
/// Nothing stands there on either side.
pub(crate) const ABSENT: &str = "absent";
/// Equal on both sides, but conflict copies wait for a decision.
pub(crate) const CONFLICT_COPIES: &str = "conflict-copies";
/// Left out by the rules.
pub(crate) const EXCLUDED: &str = "excluded";
/// A side cannot be asked.
pub(crate) const UNKNOWN: &str = "unknown";
/// Nobody has joined the relationship.
pub(crate) const NO_MEMBERS: &str = "no-members";
/// The relationship is held until a person looked.
pub(crate) const HELD: &str = "held";
/// The relationship is paused.
pub(crate) const PAUSED: &str = "paused";
/// Nothing travels before somebody says so.
pub(crate) const MANUAL: &str = "manual";
/// It is sent when somebody pushes.
pub(crate) const TO_PUSH: &str = "to-push";
/// It is fetched when somebody pulls.
pub(crate) const TO_PULL: &str = "to-pull";
/// It was changed here, and this machine may not change the hub's folder.
pub(crate) const READ_ONLY: &str = "read-only";
/// Nobody chose it to be sent.
pub(crate) const UNTRACKED: &str = "untracked";
/// It is about to travel.
pub(crate) const PENDING: &str = "pending";
/// Both sides changed it, and a person is to decide.
pub(crate) const CONFLICT: &str = "conflict";

/// What is known when the reason is looked for.
pub(crate) struct Facts<'a> {
    /// A comparison that was just made.
    pub(crate) report: &'a CycleReport,
    /// What the last cycle could not carry out.
    pub(crate) refused: &'a [Blocked],
    /// Why the relationship is held, in words.
    pub(crate) held: Option<&'a str>,
    pub(crate) paused: bool,
    pub(crate) manual: bool,
    /// Whether what is sent is chosen by hand.
    pub(crate) by_hand: bool,
    /// Whether it stands in our folder, and nobody chose it.
    pub(crate) untracked: bool,
    /// Whether we may not change their folder.
    pub(crate) read_only: bool,
    /// Names of the machines.
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
}

/// The reason and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) in_sync: bool,
    pub(crate) code: &'static str,
    pub(crate) evidence: String,
}

fn verdict(in_sync: bool, code: &'static str, evidence: impl Into<String>) -> Verdict {
    Verdict { in_sync, code, evidence: evidence.into() }
}

/// Returns what stands at a path of a tree; the root path is the tree itself.
pub(crate) fn entry_at(tree: &Arc<Dir>, path: &RelPath) -> Option<Entry> {
    if path.is_root() { Some(Entry::Dir(Arc::clone(tree))) } else { tree.get(path).cloned() }
}

/// Finds the one reason. A reason that concerns the path itself, or a folder above it, comes before one that
/// concerns something below it.
pub(crate) fn judge(path: &RelPath, facts: &Facts<'_>) -> Verdict {
    let report = facts.report;
    if let (Ending::Held(halt), Some(held)) = (&report.ending, facts.held)
        && !halt.approvable()
    {
        return verdict(false, HELD, held);
    }
    let (ours, theirs) = (entry_at(&report.ours, path), entry_at(&report.theirs, path));
    let differs = |blocked: &&Blocked| report.ours.get(&blocked.path) != report.theirs.get(&blocked.path);
    let blocked: Vec<_> = report.blocked.iter().chain(facts.refused.iter().filter(differs)).collect();
    if let Some(found) = blocked.iter().find(|blocked| path.starts_with(&blocked.path)) {
        return because(found, path, facts);
    }
    if let Some(conflict) = report.plan.conflicts.iter().find(|conflict| related(&conflict.path, path)) {
        let text = format!("changed on {} and on {}{}", facts.ours, facts.theirs, at(&conflict.path, path));
        return verdict(false, CONFLICT, text);
    }
    if facts.untracked {
        return verdict(false, UNTRACKED, format!("only on {}, where nobody tracks it", facts.ours));
    }
    if ours.is_none() && theirs.is_none() {
        return verdict(true, ABSENT, "");
    }
    if ours == theirs && !ours.as_ref().is_some_and(Entry::has_unknown) {
        return match copies(path, &report.ours) {
            0 => verdict(true, IN_SYNC, ""),
            1 => verdict(true, CONFLICT_COPIES, "1 conflict copy waits for a decision"),
            many => verdict(true, CONFLICT_COPIES, format!("{many} conflict copies wait for a decision")),
        };
    }
    let special =
        |blocked: &Blocked| matches!(blocked.reason, Reason::Problem(_, kind) if kind.takes_no_part());
    if let Some(found) = blocked.iter().find(|b| b.path.starts_with(path) && !special(b)) {
        return because(found, path, facts);
    }
    let folders = matches!((&ours, &theirs), (Some(Entry::Dir(_)), Some(Entry::Dir(_))));
    if ours == theirs || (folders && !travels(path, report)) {
        return verdict(
            true,
            IN_SYNC,
            "apart from what takes no part: devices, sockets, pipes, and files beyond the size limits",
        );
    }
    if let Some(held) = facts.held {
        return verdict(false, HELD, held);
    }
    let direction = direction(path, facts);
    match () {
        () if facts.paused => verdict(false, PAUSED, direction),
        () if facts.by_hand => verdict(false, by_hand(path, facts), direction),
        () if facts.manual => verdict(false, MANUAL, direction),
        () => verdict(false, PENDING, direction),
    }
}

fn related(a: &RelPath, b: &RelPath) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// Names the place where it is not the one that was asked about.
fn at(place: &RelPath, asked: &RelPath) -> String {
    match () {
        () if place == asked => String::new(),
        () if place.is_root() => " (the whole folder)".to_owned(),
        () => format!(" ({place})"),
    }
}

/// Says why a path does not converge.
pub(crate) fn reason_words<'a>(reason: &Reason, machine: impl Fn(Side) -> &'a str) -> String {
    match reason {
        Reason::Problem(side, kind) => format!("on {}: {}", machine(*side), problem_words(*kind)),
        Reason::DestinationChanged => "the receiving side was changed by itself".to_owned(),
        Reason::DestinationExtra => {
            "it exists only on the receiving side, where it was never sent".to_owned()
        }
        Reason::DeletionIgnored => "deleted on one side, and deletions do not travel".to_owned(),
        Reason::CompareOnly => "the relationship only compares".to_owned(),
        Reason::Settling => "it has not been unchanged for as long as the setting 'settle' wants".to_owned(),
        Reason::Refused(side, refusal) => format!("on {}: {refusal}", machine(*side)),
    }
}

fn because(blocked: &Blocked, asked: &RelPath, facts: &Facts<'_>) -> Verdict {
    let machine = |side: &Side| match side {
        Side::Ours => facts.ours,
        Side::Theirs => facts.theirs,
    };
    let place = at(&blocked.path, asked);
    if facts.read_only && matches!(blocked.reason, Reason::DestinationChanged | Reason::DestinationExtra) {
        let (ours, theirs) = (facts.ours, facts.theirs);
        let text =
            format!("{ours} may only read what is on {theirs}, so its own change{place} stays on {ours}");
        return verdict(false, READ_ONLY, text);
    }
    let text = match &blocked.reason {
        Reason::Problem(side, kind) => {
            let own = facts.report.problems.iter();
            let mut own = own.filter(|problem| *side == Side::Ours && problem.path == blocked.path);
            let words = own.next().map_or(problem_words(*kind), |problem| problem.detail.as_str());
            format!("on {}{place}: {words}", machine(side))
        }
        Reason::Refused(side, refusal) => format!("on {}{place}: {refusal}", machine(side)),
        reason => format!("{}{place}", reason_words(reason, |side| machine(&side))),
    };
    verdict(false, blocked.reason.code(), text)
}

/// Counts the conflict copies at a path: itself, beside it, or below it.
fn copies(path: &RelPath, tree: &Arc<Dir>) -> u64 {
    if let Some(dir) = tree.dir_at(path) {
        return dir.totals().conflict_copies;
    }
    let Some((parent, name)) = path.split_last() else { return 0 };
    if is_conflict_name(name.as_bytes()) {
        return 1;
    }
    let Some(dir) = tree.dir_at(&parent).filter(|dir| dir.totals().conflict_copies > 0) else { return 0 };
    let names =
        dir.children().iter().filter_map(|child| evenfold_core::conflict::parse_conflict_name(&child.name));
    names.filter(|copy| copy.original == name).count() as u64
}

/// Tells whether anything at, above or below a path is about to change.
fn travels(path: &RelPath, report: &CycleReport) -> bool {
    let plan = &report.plan;
    let lists = [&plan.copies_ours, &plan.copies_theirs, &plan.ours, &plan.theirs];
    lists.into_iter().flatten().any(|change| related(&change.path, path))
}

fn by_hand(path: &RelPath, facts: &Facts<'_>) -> &'static str {
    match towards(path, facts) {
        (true, false) => TO_PULL,
        (false, true) => TO_PUSH,
        _ => MANUAL,
    }
}

/// Tells whether something at, above or below a path is about to change on our side, and on theirs.
fn towards(path: &RelPath, facts: &Facts<'_>) -> (bool, bool) {
    let plan = &facts.report.plan;
    let touches = |changes: &[Change]| changes.iter().any(|change| related(&change.path, path));
    let to_ours = touches(&plan.ours) || touches(&plan.copies_ours);
    let to_theirs = touches(&plan.theirs) || touches(&plan.copies_theirs);
    (to_ours, to_theirs)
}

fn direction(path: &RelPath, facts: &Facts<'_>) -> String {
    if let Some(conflict) = facts.report.settled.iter().find(|conflict| related(&conflict.path, path)) {
        let place = at(&conflict.path, path);
        return format!(
            "changed on {} and on {}{place}; the rule for conflicts decides",
            facts.ours, facts.theirs
        );
    }
    match towards(path, facts) {
        (true, false) => format!("it travels from {} to {}", facts.theirs, facts.ours),
        (false, true) => format!("it travels from {} to {}", facts.ours, facts.theirs),
        (true, true) => "changes travel both ways".to_owned(),
        (false, false) => "it changed just now".to_owned(),
    }
}

/// Returns what to do about a reason; `{R}` stands for the relationship and `{P}` for the path. Every code has
/// its line here.
pub(crate) fn next_step(code: &str) -> Option<&'static str> {
    Some(match code {
        IN_SYNC => "",
        ABSENT => {
            "Check the spelling. What was deleted is listed by 'evenfold history {R} --path {P}' and can be \
                   brought back with 'evenfold restore {R} {P}'."
        }
        CONFLICT_COPIES | CONFLICT => {
            "List the versions with 'evenfold conflicts {R}' and decide with \
                                       'evenfold resolve ID --keep NODE' or '--keep both'."
        }
        EXCLUDED => {
            "If it is to take part, change the rules: 'evenfold rel show {R}', then 'evenfold rel edit {R}'."
        }
        UNKNOWN => "Start 'evenfold daemon' there; it connects by itself, and this is known again.",
        NO_MEMBERS => "Join it from another machine with 'evenfold join'.",
        HELD => "See 'evenfold status {R}' for what to do.",
        PAUSED => "Go on with 'evenfold rel resume {R}'.",
        MANUAL => "Send it with 'evenfold sync {R}'.",
        TO_PUSH => "Send it with 'evenfold push {R} {P}'.",
        TO_PULL => "Fetch it with 'evenfold pull {R} {P}'.",
        READ_ONLY => {
            "Undo the change, or have whoever owns the hub allow it there: 'evenfold rel access {R} NODE write'."
        }
        UNTRACKED => "If it is to be sent, choose it with 'evenfold track {R} {P}'.",
        PENDING => "Nothing need be done; 'evenfold status {R}' shows how far it is.",
        "unreadable" => "Mend its permissions, or the disk if it reports errors; it is then read by itself.",
        "special-file" => "It cannot be carried; exclude it, and this is not reported any more.",
        "still-changing" => "Let the program that writes to it finish; it is read again by itself.",
        "name-clash" => "Rename one of the files whose names fall together on one of the machines.",
        "path-too-long" => "Shorten its name or those of the folders above it.",
        "other-file-system" => "Share what is mounted there as a folder of its own.",
        "suspected-rot" => {
            "Compare it with the other machine's. If that one is right, 'evenfold restore {R} {P} --from NODE'; if \
                            this one is right, 'touch' it, so that it counts as an edit."
        }
        "destination-changed" => {
            "Undo the change on the receiving side, or let the source win with \
                                  'evenfold rel edit {R} --set conflict=prefer:NODE'."
        }
        "destination-extra" => "Nothing need be done: it stays. Move it elsewhere if it should not be there.",
        "deletion-ignored" => {
            "Delete it on the other machine, too, or let deletions travel with \
                               'evenfold rel edit {R} --set delete=propagate'."
        }
        "settling" => "Nothing need be done: it travels by itself when it holds still.",
        "size-limit" => {
            "If it is to take part, change 'size.min' or 'size.max': 'evenfold rel edit {R} --set size.max=off'."
        }
        "compare-only" => "Nothing travels in a relationship of this kind; copy it by hand.",
        "moved-on" => "It changed while it was about to be replaced; the next cycle looks again by itself.",
        "not-supplied" => {
            "It changed or could not be read while it was sent; the next cycle tries again by itself."
        }
        "damaged" => {
            "The next cycle sends it again; if that repeats, check memory and disks of both machines."
        }
        "no-space" => "Make room on that machine; the next cycle goes on by itself.",
        "name-not-possible" => "Rename it to something that every machine of the relationship allows.",
        "holds-untracked" => "Move what the rules leave out of that folder elsewhere, or delete it by hand.",
        "waits-for-move" => "Nothing need be done: it goes when its new place is complete.",
        "waits-for-others" => "Mend what stopped the others that were sent with it, and send again.",
        "io" => "Mend what the system says; the next cycle tries again by itself.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use evenfold_core::apply::Refusal;
    use evenfold_core::plan::Plan;
    use evenfold_core::transfer::SupplyFailure;
    use evenfold_core::{Conflict, ProblemKind, safety::Halt};

    use super::*;
    use crate::conflicts::tests::{dir, file, path};

    #[test]
    fn every_reason_has_a_next_step() {
        let mut codes: Vec<&str> = vec![
            IN_SYNC,
            ABSENT,
            CONFLICT_COPIES,
            EXCLUDED,
            UNKNOWN,
            NO_MEMBERS,
            HELD,
            PAUSED,
            MANUAL,
            TO_PUSH,
            TO_PULL,
            READ_ONLY,
            UNTRACKED,
            PENDING,
            CONFLICT,
        ];
        let refusals = [
            Refusal::MovedOn,
            Refusal::NotSupplied(SupplyFailure::Changed),
            Refusal::Damaged,
            Refusal::NoSpace,
            Refusal::NameClash(String::new()),
            Refusal::NameNotPossible,
            Refusal::HoldsUntracked,
            Refusal::WaitsForMove,
            Refusal::WaitsForOthers,
            Refusal::Io(String::new()),
        ];
        codes.extend(refusals.map(|refusal| Reason::Refused(Side::Ours, refusal).code()));
        codes.extend(ProblemKind::ALL.map(|kind| Reason::Problem(Side::Ours, kind).code()));
        let others = [
            Reason::DestinationChanged,
            Reason::DestinationExtra,
            Reason::DeletionIgnored,
            Reason::CompareOnly,
            Reason::Settling,
        ];
        codes.extend(others.map(|reason| reason.code()));
        for code in codes {
            assert!(next_step(code).is_some_and(|next| code == IN_SYNC || !next.is_empty()), "{code}");
        }
        assert_eq!(next_step("no such reason"), None);
    }

    fn report(ours: Arc<Dir>, theirs: Arc<Dir>) -> CycleReport {
        CycleReport {
            ending: Ending::Planned,
            plan: Plan::default(),
            settled: Vec::new(),
            blocked: Vec::new(),
            conflict_copies: 0,
            files: 0,
            bytes: 0,
            ancestor: Arc::new(Dir::empty()),
            ours,
            theirs,
            problems: Vec::new(),
            compared_at: 0,
            again: false,
            settles_in: None,
        }
    }

    #[track_caller]
    fn check<'a>(
        report: &'a CycleReport,
        at: &str,
        change: impl FnOnce(&mut Facts<'a>),
        expected: (bool, &str),
    ) -> Verdict {
        let mut facts = Facts {
            report,
            refused: &[],
            held: None,
            paused: false,
            manual: false,
            by_hand: false,
            untracked: false,
            read_only: false,
            ours: "desk",
            theirs: "nas",
        };
        change(&mut facts);
        let found = judge(&path(at), &facts);
        assert_eq!((found.in_sync, found.code), expected);
        found
    }

    #[test]
    fn equal_absent_and_differing_paths_are_told_apart() {
        let ours = dir(vec![("a", file("1")), ("b", file("1"))]);
        let theirs = dir(vec![("a", file("1")), ("b", file("2"))]);
        let mut report = report(ours, theirs);
        let change = Change { path: path("b"), old: Some(file("1")), new: Some(file("2")) };
        report.plan.ours.push(change);
        check(&report, "a", |_| (), (true, IN_SYNC));
        check(&report, "x", |_| (), (true, ABSENT));
        let found = check(&report, "b", |_| (), (false, PENDING));
        assert_eq!(found.evidence, "it travels from nas to desk");
        check(&report, "", |_| (), (false, PENDING));
        check(&report, "b", |facts| facts.paused = true, (false, PAUSED));
        check(&report, "b", |facts| facts.manual = true, (false, MANUAL));
        check(&report, "b", |facts| facts.by_hand = true, (false, TO_PULL));
        check(&report, "x", |facts| facts.untracked = true, (false, UNTRACKED));
        check(&report, "b", |facts| facts.held = Some("would delete all"), (false, HELD));
        check(&report, "a", |facts| facts.held = Some("would delete all"), (true, IN_SYNC));
    }

    #[test]
    fn missing_folder_is_the_reason_for_everything() {
        let tree = dir(vec![("a", file("1"))]);
        let mut report = report(tree.clone(), tree);
        report.ending = Ending::Held(Halt::RootMissing(Side::Theirs));
        check(&report, "a", |facts| facts.held = Some("the folder on nas is missing"), (false, HELD));
    }

    #[test]
    fn reason_of_a_folder_above_counts_for_what_is_below() {
        let mut report = report(dir(vec![]), dir(vec![("d", Entry::Dir(dir(vec![("a", file("1"))])))]));
        report.blocked.push(Blocked { path: path("d"), reason: Reason::DestinationExtra });
        let found = check(&report, "d/a", |_| (), (false, "destination-extra"));
        assert!(found.evidence.ends_with("(d)"), "{}", found.evidence);
    }

    #[test]
    fn own_change_of_a_machine_that_may_only_read_is_told_as_that() {
        let mut report = report(dir(vec![("a", file("2"))]), dir(vec![("a", file("1"))]));
        report.blocked.push(Blocked { path: path("a"), reason: Reason::DestinationChanged });
        check(&report, "a", |_| (), (false, "destination-changed"));
        let found = check(&report, "a", |facts| facts.read_only = true, (false, READ_ONLY));
        assert!(found.evidence.contains("desk may only read"), "{}", found.evidence);
    }

    #[test]
    fn refusal_of_the_last_cycle_counts_while_the_path_differs() {
        let report = report(dir(vec![("a", file("1"))]), dir(vec![("a", file("1")), ("b", file("2"))]));
        let refused = |at: &str| {
            vec![Blocked { path: path(at), reason: Reason::Refused(Side::Ours, Refusal::NoSpace) }]
        };
        let (equal, differing) = (refused("a"), refused("b"));
        check(&report, "a", |facts| facts.refused = &equal, (true, IN_SYNC));
        let found = check(&report, "b", |facts| facts.refused = &differing, (false, "no-space"));
        assert_eq!(found.evidence, "on desk: no space left");
    }

    #[test]
    fn conflicts_and_conflict_copies_are_named() {
        let copy = "a.conflict-20261121T140207Z-nas.txt";
        let tree = dir(vec![("a.txt", file("1")), (copy, file("2")), ("b", file("3"))]);
        let mut report = report(tree.clone(), tree);
        check(&report, "a.txt", |_| (), (true, CONFLICT_COPIES));
        check(&report, copy, |_| (), (true, CONFLICT_COPIES));
        check(&report, "b", |_| (), (true, IN_SYNC));
        report.theirs = dir(vec![("b", file("4"))]);
        let (ours, theirs) = (Some(file("3")), Some(file("4")));
        report.plan.conflicts.push(Conflict { path: path("b"), ancestor: None, ours, theirs });
        check(&report, "b", |_| (), (false, CONFLICT));
        report.settled = std::mem::take(&mut report.plan.conflicts);
        let found = check(&report, "b", |_| (), (false, PENDING));
        assert_eq!(found.evidence, "changed on desk and on nas; the rule for conflicts decides");
    }

    #[test]
    fn folder_that_is_equal_apart_from_a_socket_is_in_sync() {
        let socket = || ("s", Entry::Unknown(ProblemKind::Special));
        let with = dir(vec![("d", Entry::Dir(dir(vec![("a", file("1")), socket()])))]);
        let without = dir(vec![("d", Entry::Dir(dir(vec![("a", file("1"))])))]);
        let mut report = report(with, without);
        let reason = Reason::Problem(Side::Ours, ProblemKind::Special);
        report.blocked.push(Blocked { path: path("d/s"), reason });
        check(&report, "d", |_| (), (true, IN_SYNC));
        check(&report, "d/s", |_| (), (false, "special-file"));
        report.theirs = report.ours.clone();
        check(&report, "d", |_| (), (true, IN_SYNC));
    }
}
