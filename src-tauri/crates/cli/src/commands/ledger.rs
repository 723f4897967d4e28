//! `evenfold ledger`: what was delivered to whom.

use std::path::Path;

use evenfold_node::api::{ApiError, LedgerItem, Request};
use evenfold_node::text::human_size;

use crate::args::LedgerCommand;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::{paths, words};

pub(crate) async fn run(context: &mut Context, command: LedgerCommand) -> Result<Exit, ApiError> {
    let below = |typed: &std::ffi::OsString| paths::below(Path::new(typed));
    let (request, done) = match command {
        LedgerCommand::List { relationship, all } => return list(context, relationship, all).await,
        LedgerCommand::Mark { relationship, paths: which } => {
            let paths = which.iter().map(|path| paths::below(path)).collect();
            (Request::LedgerMark { relationship, paths }, "counted as delivered")
        }
        LedgerCommand::Forget { relationship, which } => {
            let which = which.iter().map(below).collect();
            (Request::LedgerForget { relationship, which }, "forgotten; what is still there is sent again")
        }
        LedgerCommand::Retry { relationship, which } => {
            let which = which.iter().map(below).collect();
            (Request::LedgerRetry { relationship, which }, "tried again")
        }
    };
    let mut engine = context.engine(Network::IfPossible).await?;
    let count = ask!(engine, request, Counted)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "count": count }))?;
    } else {
        context.out.line(format!("{} {done}.", words::counted(count, "entry", "entries")))?;
    }
    Ok(Exit::Done)
}

async fn list(context: &mut Context, relationship: String, all: bool) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let items = ask!(engine, Request::LedgerList { relationship, all }, Ledger)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "ledger": items }))?;
    } else if items.is_empty() {
        note("Nothing was delivered yet, and nothing is waiting.");
    } else {
        let rows: Vec<Vec<Line>> = items.iter().map(line).collect();
        context.out.lines(table(&rows))?;
    }
    Ok(Exit::Done)
}

fn line(item: &LedgerItem) -> Vec<Line> {
    let style = match item.state.as_str() {
        "delivered" | "acknowledged" | "finalised" | "released" => Style::Good,
        "failed" | "quarantined" => Style::Bad,
        "waiting" | "retrying" => Style::Attention,
        _ => Style::Plain,
    };
    let mut why = item.reason.clone().unwrap_or_default();
    if item.attempts > 0 && matches!(item.state.as_str(), "retrying" | "failed") {
        why = format!("{why} ({})", words::counted(u64::from(item.attempts), "attempt", "attempts"));
    }
    if let Some(error) = &item.hook_error {
        why = format!("hook: {error}");
    }
    let way = match item.destination.as_str() {
        "" => item.origin.clone(),
        destination => format!("{} → {destination}", item.origin),
    };
    vec![
        Line::styled(Style::Faint, &item.id),
        Line::styled(style, &item.state),
        item.path.path.as_str().into(),
        way.into(),
        human_size(item.bytes).into(),
        Line::styled(Style::Faint, why),
    ]
}
