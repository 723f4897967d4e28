//! `evenfold check`: counts, bytes and age first, then the items.

use evenfold_node::api::{ApiError, Check, Request};
use evenfold_node::text::{human_count, human_size, now};
use jiff::Timestamp;

use super::survey;
use super::watch::{Changes, clear};
use crate::args::CheckArgs;
use crate::context::{Context, Network};
use crate::engine::{Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, table};
use crate::words;

pub(crate) async fn run(context: &mut Context, arguments: CheckArgs) -> Result<Exit, ApiError> {
    let request = || Request::Check { relationship: arguments.relationship.clone(), deep: arguments.deep };
    if arguments.is_survey() {
        return survey::run(context, arguments).await;
    }
    if !arguments.watch {
        let mut engine = context.engine(Network::IfPossible).await?;
        let check = ask!(engine, request(), Check)?;
        return show(context, check, &arguments.only);
    }
    let mut changes = Changes::subscribe(context).await?;
    let mut engine = Engine::Daemon(context.daemon("watching needs somebody who watches").await?);
    let mut exit = Exit::Done;
    let mut last = String::new();
    while !context.out.is_closed() {
        let check = ask!(engine, request(), Check)?;
        let told = format!("{:?}{:?}", check.counts, check.items);
        if told != last {
            clear(context)?;
            exit = show(context, check, &arguments.only)?;
            last = told;
        }
        changes.next().await?;
    }
    Ok(exit)
}

fn show(context: &mut Context, mut check: Check, only: &[String]) -> Result<Exit, ApiError> {
    let exit = Exit::from(&check);
    if !only.is_empty() {
        check.items.retain(|item| only.contains(&item.finding));
    }
    if context.out.is_json() {
        context.out.document(&check)?
    } else {
        context.out.lines(render(&check, now()))?
    }
    Ok(exit)
}

fn render(check: &Check, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    let compared = check.compared_at.as_ref().map(|time| format!(" Compared {}.", words::moment(time, now)));
    let compared = compared.unwrap_or_default();
    let (counts, bytes) = (words::findings(&check.counts), words::findings(&check.bytes));
    let differing: u64 =
        counts.iter().filter(|(name, _)| !matches!(*name, "in sync" | "excluded")).map(|(_, n)| n).sum();
    if !check.verified {
        let since = check.unknown_since.as_ref().map(|time| format!(" since {}", words::moment(time, now)));
        let text =
            format!("Not verified: it is unknown{} whether both sides are equal.", since.unwrap_or_default());
        lines.push(Line::styled(Style::Attention, text));
        if let Some(reason) = &check.unverified_reason {
            lines.push(Line::plain(&reason.message));
            lines.push(Line::plain(&reason.hint));
        }
    } else if differing == 0 && check.suspects == 0 {
        lines.push(Line::styled(Style::Good, "Equal.").then(Style::Plain, compared));
    } else {
        let text = format!("{}.", words::counted(differing, "path differs", "paths differ"));
        lines.push(Line::styled(Style::Attention, text).then(Style::Plain, compared));
    }
    if check.suspects > 0 {
        let text = words::counted(
            check.suspects,
            "file agrees in size and time, but not in what is known of its content",
            "files agree in size and time, but not in what is known of their contents",
        );
        lines.push(Line::styled(Style::Attention, format!("{text}; look closer with --deep.")));
    }
    let rows: Vec<Vec<Line>> = counts
        .iter()
        .zip(&bytes)
        .filter(|((_, count), _)| *count > 0)
        .map(|((name, count), (_, bytes))| {
            vec![Line::plain(format!("  {name}")), human_count(*count).into(), human_size(*bytes).into()]
        })
        .collect();
    lines.extend(table(&rows));
    let rows: Vec<Vec<Line>> = check
        .items
        .iter()
        .map(|item| {
            let style = if item.finding == "corrupt" { Style::Bad } else { Style::Attention };
            let path = item.path.path.as_str();
            vec![Line::styled(style, &item.finding), path.into(), Line::styled(Style::Faint, &item.detail)]
        })
        .collect();
    if !rows.is_empty() {
        lines.push(Line::default());
    }
    lines.extend(table(&rows));
    lines
}

#[cfg(test)]
mod tests {
    use evenfold_node::api::{CheckItem, Counts, ErrorInfo, PathText};

    use super::*;

    fn example() -> Check {
        Check {
            verified: true,
            unverified_reason: None,
            unknown_since: None,
            compared_at: None,
            counts: Counts { in_sync: 20_000, ..Counts::default() },
            bytes: Counts { in_sync: 195_000_000, ..Counts::default() },
            suspects: 0,
            items: Vec::new(),
        }
    }

    fn said(check: &Check) -> Vec<String> {
        let now = "2026-11-21T14:00:00Z".parse().unwrap();
        render(check, now).iter().map(|line| line.render(false)).collect()
    }

    #[test]
    fn equal_sides_are_told_in_two_lines() {
        assert_eq!(said(&example()), ["Equal.", "  in sync  20,000  195 MB"]);
    }

    #[test]
    fn what_differs_is_counted_and_listed() {
        let mut check = example();
        check.counts.missing = 1;
        check.bytes.missing = 7;
        check.items.push(CheckItem {
            path: PathText { path: "a\nb".into(), path_bytes: None },
            finding: "missing".into(),
            detail: "only on desk".into(),
            bytes: 7,
        });
        assert_eq!(
            said(&check),
            [
                "1 path differs.",
                "  missing  1       7 B",
                "  in sync  20,000  195 MB",
                "",
                "missing  a\\nb  only on desk"
            ]
        );
    }

    #[test]
    fn unverified_comparison_says_why_and_never_equal() {
        let mut check = example();
        check.verified = false;
        check.unknown_since = Some("13:00".into());
        check.unverified_reason = Some(ErrorInfo {
            code: "unreachable".into(),
            message: "nas does not answer".into(),
            hint: "Start it.".into(),
        });
        assert_eq!(
            said(&check).get(..3).unwrap(),
            [
                "Not verified: it is unknown since 13:00 whether both sides are equal.",
                "nas does not answer",
                "Start it."
            ]
        );
    }
}
