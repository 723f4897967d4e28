//! `evenfold check --stats`, `--duplicates`, `--find` and `--scans`: what the folders hold.

use evenfold_node::api::{ApiError, Request, ScanInfo, Survey, SurveyWish};
use evenfold_node::text::{human_count, human_size, now};
use jiff::Timestamp;

use crate::args::CheckArgs;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn run(context: &mut Context, arguments: CheckArgs) -> Result<Exit, ApiError> {
    let CheckArgs { relationship, stats, duplicates, find, scans, limit, .. } = arguments;
    let wish = SurveyWish { stats, duplicates, find, scans, limit };
    let mut engine = context.engine(Network::IfPossible).await?;
    let survey = ask!(engine, Request::Survey { relationship, wish: wish.clone() }, Survey)?;
    if context.out.is_json() {
        context.out.document(&survey)?;
    } else {
        context.out.lines(render(&survey, &wish, now()))?;
        if !survey.complete {
            note("Not every machine could be asked; what it holds is unknown.");
        }
    }
    Ok(if survey.complete { Exit::Done } else { Exit::Unknown })
}

fn render(survey: &Survey, wish: &SurveyWish, now: Timestamp) -> Vec<Line> {
    let mut parts: Vec<Vec<Line>> = Vec::new();
    if wish.stats {
        parts.push(endpoints(survey, now));
        parts.push(types(survey));
    }
    if wish.duplicates {
        parts.push(duplicates(survey));
    }
    if let Some(name) = &wish.find {
        parts.push(found(survey, name));
    }
    if wish.scans {
        parts.push(scans(&survey.scans, now));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(&Line::default())
}

fn endpoints(survey: &Survey, now: Timestamp) -> Vec<Line> {
    let row = |one: &evenfold_node::api::EndpointSummary| {
        let name = Line::styled(Style::Strong, &one.node);
        if !one.known {
            return vec![name, Line::styled(Style::Attention, "unknown: it cannot be asked")];
        }
        let errors = match one.errors {
            0 => Line::styled(Style::Good, "complete"),
            errors => Line::styled(Style::Attention, words::counted(errors, "error", "errors")),
        };
        let last = match &one.last_scan {
            Some(scan) => format!("scanned {}", words::moment(&scan.ended, now)),
            None => String::new(),
        };
        let held = format!("{}, {}", words::files(one.files), human_size(one.bytes));
        vec![name, held.into(), errors, Line::styled(Style::Faint, last)]
    };
    table(&survey.endpoints.iter().map(row).collect::<Vec<_>>())
}

fn types(survey: &Survey) -> Vec<Line> {
    let row = |one: &evenfold_node::api::TypeSummary| {
        let name =
            if one.extension.is_empty() { "no type".to_owned() } else { format!(".{}", one.extension) };
        vec![
            Line::styled(Style::Faint, &one.node),
            name.into(),
            human_count(one.files).into(),
            human_size(one.bytes).into(),
        ]
    };
    table(&survey.types.iter().map(row).collect::<Vec<_>>())
}

fn duplicates(survey: &Survey) -> Vec<Line> {
    if survey.duplicates.is_empty() {
        return vec![Line::plain("No two files are equal.")];
    }
    let mut lines = Vec::new();
    for set in &survey.duplicates {
        let head = format!("{} of {} each", words::files(set.count), human_size(set.size));
        lines.push(Line::styled(Style::Strong, head));
        lines.extend(set.paths.iter().map(|path| Line::plain(format!("  {}", path.path))));
        let rest = set.count.saturating_sub(set.paths.len() as u64);
        if rest > 0 {
            lines.push(Line::styled(Style::Faint, format!("  and {} more", human_count(rest))));
        }
    }
    lines
}

fn found(survey: &Survey, name: &str) -> Vec<Line> {
    if survey.found.is_empty() {
        return vec![Line::plain(format!("Nothing is called like {name}."))];
    }
    let row = |one: &evenfold_node::api::FoundPath| {
        let nodes = Line::styled(Style::Faint, one.nodes.join(", "));
        vec![one.path.path.as_str().into(), one.kind.as_str().into(), human_size(one.size).into(), nodes]
    };
    table(&survey.found.iter().map(row).collect::<Vec<_>>())
}

fn scans(scans: &[ScanInfo], now: Timestamp) -> Vec<Line> {
    let row = |one: &ScanInfo| {
        let outcome = match (&one.detail, one.errors) {
            (Some(detail), _) if !one.success => Line::styled(Style::Bad, format!("failed: {detail}")),
            (_, 0) => Line::styled(Style::Good, "complete"),
            (_, errors) => Line::styled(Style::Attention, words::counted(errors, "error", "errors")),
        };
        let rate = format!("{}/s read", human_size(one.bytes_per_second as u64));
        vec![
            Line::styled(Style::Strong, &one.node),
            words::moment(&one.started, now).into(),
            if one.deep { "deep" } else { "fast" }.into(),
            words::files(one.files).into(),
            human_size(one.bytes).into(),
            rate.into(),
            outcome,
        ]
    };
    table(&scans.iter().map(row).collect::<Vec<_>>())
}
