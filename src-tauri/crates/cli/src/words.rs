//! The sentences in which commands speak of plans, progress and times.

use evenfold_node::api::{Counts, Movement, PlanInfo, Progress, WayInfo};
use evenfold_node::settings::Kind;
use evenfold_node::text::{human_count, human_duration, human_size};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::out::{Line, Style, table};

/// Changes of a plan that are listed for a person; a machine gets all of them.
const LISTED: usize = 20;

/// Writes "1 file", "1,204 files".
pub(crate) fn files(count: u64) -> String {
    counted(count, "file", "files")
}

/// Writes a number with its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", human_count(count), if count == 1 { one } else { many })
}

/// Returns the kind as it begins a sentence; that of a newer node as it is.
pub(crate) fn kind(name: &str) -> String {
    name.parse::<Kind>().map_or_else(|_| name.to_owned(), |kind| kind.label().to_owned())
}

/// Says how another machine is reached.
pub(crate) fn way(way: &WayInfo) -> String {
    let how = match way.kind.as_str() {
        "evenfold" => "over SSH",
        "sftp" => "over SFTP",
        "direct" => "directly",
        "through" => "through another node",
        other => other,
    };
    match (way.kind.as_str(), &way.note) {
        ("through", Some(node)) => format!("through {node}"),
        (_, Some(note)) => format!("{how} ({note})"),
        (_, None) => how.to_owned(),
    }
}

/// Returns the sign between two machines.
pub(crate) fn sign(name: &str) -> &'static str {
    name.parse::<Kind>().map_or("–", Kind::sign)
}

/// Says what a plan would do: a sentence, what stands against it, and its first changes.
pub(crate) fn plan(plan: &PlanInfo) -> Vec<Line> {
    let mut lines = vec![Line::plain(sentence(plan))];
    for (what, node, free) in
        [(&plan.here, &plan.ours, plan.free_here), (&plan.there, &plan.theirs, plan.free_there)]
    {
        if let Some(free) = free.filter(|_| what.bytes > 0) {
            let style = if what.bytes > free { Style::Bad } else { Style::Plain };
            let text =
                format!("Needs {} on {node}, where {} are free.", human_size(what.bytes), human_size(free));
            lines.push(Line::styled(style, text));
        }
    }
    if plan.conflicts > 0 {
        let text = format!(
            "{} on both sides differently.",
            counted(plan.conflicts, "path was changed", "paths were changed")
        );
        lines.push(Line::styled(Style::Attention, text));
    }
    if plan.blocked > 0 {
        let text = format!(
            "{} not be synced; `evenfold why` says why.",
            counted(plan.blocked, "path can", "paths can")
        );
        lines.push(Line::styled(Style::Attention, text));
    }
    if let Some(halt) = &plan.halt {
        lines.push(Line::styled(Style::Attention, format!("Held: {}", halt.message)));
        lines.push(Line::plain(&halt.hint));
    }
    let rows: Vec<Vec<Line>> = plan
        .changes
        .iter()
        .take(LISTED)
        .map(|change| {
            let size = if change.bytes > 0 { human_size(change.bytes) } else { String::new() };
            let style = if change.act == "delete" { Style::Attention } else { Style::Plain };
            let act = format!("  {} on {}", change.act, change.node);
            vec![Line::styled(style, act), Line::plain(&change.path.path), Line::styled(Style::Faint, size)]
        })
        .collect();
    lines.extend(table(&rows));
    let rest = plan.changes.len().saturating_sub(LISTED);
    if rest > 0 {
        let rest = u64::try_from(rest).unwrap_or(u64::MAX);
        lines.push(Line::styled(
            Style::Faint,
            format!("  and {} more, listed with --json", human_count(rest)),
        ));
    }
    lines
}

/// Says in one sentence what would be copied each way, replaced and deleted.
fn sentence(plan: &PlanInfo) -> String {
    let nothing = |side: &Movement| side.new + side.replaced + side.deleted == 0;
    let kind = kind(&plan.kind);
    if nothing(&plan.here) && nothing(&plan.there) {
        let rest = if plan.changes.is_empty() { "Nothing" } else { "No file" };
        return format!(
            "{kind}. {rest} to copy, replace or delete between {} and {}.",
            plan.ours, plan.theirs
        );
    }
    let copied: Vec<String> =
        [(&plan.there, &plan.ours, &plan.theirs), (&plan.here, &plan.theirs, &plan.ours)]
            .into_iter()
            .filter(|(side, _, _)| side.new > 0)
            .map(|(side, from, to)| {
                // Bytes of replacements arrive too; where there are both, they cannot be told apart.
                let size =
                    if side.replaced == 0 { format!(" ({})", human_size(side.bytes)) } else { String::new() };
                format!("{}{size} {from} → {to}", files(side.new))
            })
            .collect();
    let on = |count: fn(&Movement) -> u64| {
        let sides = [(&plan.there, &plan.theirs), (&plan.here, &plan.ours)];
        let parts = sides.into_iter().filter(|(side, _)| count(side) > 0);
        parts.map(|(side, node)| format!("{} on {node}", files(count(side)))).collect::<Vec<_>>()
    };
    let (replaced, deleted) = (on(|side| side.replaced), on(|side| side.deleted));
    let part = |verb: &str, parts: Vec<String>| match parts.is_empty() {
        true => format!("{verb} nothing"),
        false => format!("{verb} {}", parts.join(" and ")),
    };
    let arriving = plan.here.bytes.saturating_add(plan.there.bytes);
    let total = match plan.here.replaced + plan.there.replaced {
        0 => String::new(),
        _ => format!(" {} travel in all.", human_size(arriving)),
    };
    format!(
        "{kind}. Will {}; {}; {}.{total}",
        part("copy", copied),
        part("replace", replaced),
        part("delete", deleted)
    )
}

/// Says how far something is.
pub(crate) fn progress(progress: &Progress) -> String {
    let mut parts = Vec::new();
    if progress.bytes_total > 0 {
        let percent = u128::from(progress.bytes_done) * 100 / u128::from(progress.bytes_total);
        parts.push(format!("{} %", percent.min(100)));
        let of = format!("{} of {}", human_size(progress.bytes_done), human_size(progress.bytes_total));
        parts.push(of);
    } else {
        parts.push(progress.phase.clone());
    }
    if progress.files_total > 0 {
        let of = format!("{} of {}", human_count(progress.files_done), files(progress.files_total));
        parts.push(of);
    } else if progress.files_done > 0 {
        parts.push(files(progress.files_done));
    }
    if progress.bytes_per_second > 0 {
        parts.push(format!("{}/s", human_size(progress.bytes_per_second)));
    }
    if let Some(seconds) = progress.eta_seconds {
        parts.push(format!("about {}", human_duration(std::time::Duration::from_secs(seconds))));
    }
    parts.join(" · ")
}

/// Writes a moment (RFC 3339) for people in local time: the time today, otherwise with the day. What is no moment
/// stays as it is.
pub(crate) fn moment(text: &str, now: Timestamp) -> String {
    in_zone(text, now, &TimeZone::system())
}

fn in_zone(text: &str, now: Timestamp, zone: &TimeZone) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    let (time, now) = (time.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let pattern = if time.date() == now.date() {
        "%H:%M"
    } else if time.year() == now.year() {
        "%-d %b %H:%M"
    } else {
        "%-d %b %Y %H:%M"
    };
    time.strftime(pattern).to_string()
}

/// Says how long ago a moment (RFC 3339) was.
pub(crate) fn ago(text: &str, now: Timestamp) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    match std::time::Duration::try_from(now.duration_since(time)) {
        Ok(passed) if passed.as_secs() == 0 => "now".to_owned(),
        Ok(passed) => format!("{} ago", human_duration(passed)),
        // Clocks differ.
        Err(_) => "now".to_owned(),
    }
}

/// Returns the numbers of a comparison with their names, worst first.
pub(crate) fn findings(counts: &Counts) -> [(&'static str, u64); 10] {
    [
        ("corrupt", counts.corrupt),
        ("conflict", counts.conflict),
        ("error", counts.error),
        ("missing", counts.missing),
        ("stale", counts.stale),
        ("orphaned", counts.orphaned),
        ("moved", counts.moved),
        ("unknown", counts.unknown),
        ("excluded", counts.excluded),
        ("in sync", counts.in_sync),
    ]
}

#[cfg(test)]
mod tests {
    use evenfold_node::api::{ChangeInfo, HaltInfo, PathText};

    use super::*;

    fn example() -> PlanInfo {
        PlanInfo {
            id: None,
            kind: "two-way".into(),
            ours: "desk".into(),
            theirs: "nas".into(),
            here: Movement::default(),
            there: Movement { new: 1204, replaced: 0, deleted: 0, bytes: 8_100_000_000 },
            conflicts: 0,
            blocked: 0,
            free_here: None,
            free_there: None,
            changes: Vec::new(),
            halt: None,
        }
    }

    fn said(plan_info: &PlanInfo) -> Vec<String> {
        plan(plan_info).iter().map(|line| line.render(false)).collect()
    }

    #[test]
    fn preview_says_what_is_copied_replaced_and_deleted() {
        assert_eq!(
            said(&example()),
            ["Two-way. Will copy 1,204 files (8.1 GB) desk → nas; replace nothing; delete nothing."]
        );
        let mut both = example();
        both.here = Movement { new: 1, replaced: 3, deleted: 2, bytes: 500 };
        assert_eq!(
            said(&both),
            [
                "Two-way. Will copy 1,204 files (8.1 GB) desk → nas and 1 file nas → desk; replace 3 files on desk; \
              delete 2 files on desk. 8.1 GB travel in all."
            ]
        );
        let mut none = example();
        none.there = Movement::default();
        assert_eq!(said(&none), ["Two-way. Nothing to copy, replace or delete between desk and nas."]);
    }

    #[test]
    fn preview_tells_what_stands_against_it() {
        let mut plan = example();
        plan.free_there = Some(1_000_000_000);
        plan.conflicts = 1;
        plan.blocked = 2;
        plan.halt = Some(HaltInfo {
            code: "too-many-deletions".into(),
            message: "would delete 812 of 900 items on nas".into(),
            hint: "Look at them first.".into(),
            plan: None,
            machine: None,
            items: None,
            of: None,
        });
        assert_eq!(
            said(&plan).get(1..).unwrap(),
            [
                "Needs 8.1 GB on nas, where 1.0 GB are free.",
                "1 path was changed on both sides differently.",
                "2 paths can not be synced; `evenfold why` says why.",
                "Held: would delete 812 of 900 items on nas",
                "Look at them first."
            ]
        );
    }

    #[test]
    fn long_plan_is_cut_for_people() {
        let mut plan = example();
        let change = |number: u64| ChangeInfo {
            node: "nas".into(),
            path: PathText { path: format!("a{number}\u{1b}"), path_bytes: None },
            act: "create".into(),
            bytes: number,
            files: 1,
        };
        plan.changes = (0..25).map(change).collect();
        let said = said(&plan);
        assert_eq!(said.len(), 22);
        assert_eq!(said.get(1).unwrap().trim_end(), "  create on nas  a0\\u{1b}");
        assert_eq!(said.last().unwrap(), "  and 5 more, listed with --json");
    }

    #[test]
    fn progress_tells_bytes_files_speed_and_time() {
        let mut now = Progress {
            phase: "transferring".into(),
            files_done: 340,
            files_total: 1204,
            bytes_done: 620,
            bytes_total: 1000,
            bytes_per_second: 48_000_000,
            eta_seconds: Some(25),
        };
        assert_eq!(progress(&now), "62 % · 620 B of 1.0 kB · 340 of 1,204 files · 48.0 MB/s · about 25 s");
        now = Progress {
            phase: "scanning".into(),
            bytes_total: 0,
            files_total: 0,
            bytes_per_second: 0,
            eta_seconds: None,
            ..now
        };
        assert_eq!(progress(&now), "scanning · 340 files");
    }

    #[test]
    fn times_are_as_short_as_they_can_be() {
        let now: Timestamp = "2026-11-21T14:02:07Z".parse().unwrap();
        let said = |text: &str| in_zone(text, now, &TimeZone::UTC);
        assert_eq!(said("2026-11-21T09:05:00Z"), "09:05");
        assert_eq!(said("2026-11-02T09:05:00Z"), "2 Nov 09:05");
        assert_eq!(said("2025-11-02T09:05:00Z"), "2 Nov 2025 09:05");
        assert_eq!(said("soon"), "soon");
        assert_eq!(ago("2026-11-21T11:02:07Z", now), "3 h ago");
        assert_eq!(ago("2026-11-21T15:02:07Z", now), "now");
    }
}
