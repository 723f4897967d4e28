//! `evenfold history`: what happened, newest first.

use evenfold_node::api::{ApiError, HistoryQuery, HistoryRow, Request};
use evenfold_node::text::{human_size, now};
use jiff::Timestamp;

use crate::args::HistoryArgs;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn run(context: &mut Context, arguments: HistoryArgs) -> Result<Exit, ApiError> {
    let query = HistoryQuery {
        relationship: arguments.relationship,
        path: arguments.path,
        since: arguments.since,
        node: arguments.node,
        kind: arguments.kind,
        limit: Some(arguments.limit),
        before: arguments.before,
    };
    let mut engine = context.engine(Network::DialOnly).await?;
    let rows = ask!(engine, Request::History(query), History)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "history": rows }))?;
    } else if rows.is_empty() {
        note("Nothing happened that matches.");
    } else {
        let now = now();
        let shown: Vec<Vec<Line>> = rows.iter().map(|row| line(row, now)).collect();
        context.out.lines(table(&shown))?;
        let full = usize::try_from(arguments.limit).is_ok_and(|limit| rows.len() >= limit);
        if let Some(last) = rows.last().filter(|_| full) {
            note(format!("Older rows: --before {}", last.id));
        }
    }
    Ok(Exit::Done)
}

fn line(row: &HistoryRow, now: Timestamp) -> Vec<Line> {
    let machines = if row.node == row.on { row.node.clone() } else { format!("{} → {}", row.node, row.on) };
    let style = match row.kind.as_str() {
        "delete" | "conflict" | "halt" => Style::Attention,
        "error" => Style::Bad,
        _ => Style::Plain,
    };
    vec![
        Line::styled(Style::Faint, words::moment(&row.time, now)),
        Line::styled(style, &row.kind),
        row.relationship.as_str().into(),
        row.path.as_ref().map_or("", |path| path.path.as_str()).into(),
        machines.into(),
        row.bytes.map_or_else(String::new, human_size).into(),
        Line::styled(Style::Faint, row.detail.as_deref().unwrap_or_default()),
    ]
}
