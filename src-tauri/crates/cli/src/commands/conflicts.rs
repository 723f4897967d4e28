//! `evenfold conflicts` and `resolve`.

use evenfold_node::api::{ApiError, ConflictInfo, Request};
use evenfold_node::text::{human_size, now};

use crate::args::{ConflictsArgs, ResolveArgs};
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn list(context: &mut Context, arguments: ConflictsArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let conflicts = ask!(engine, Request::Conflicts { relationship: arguments.relationship }, Conflicts)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "conflicts": conflicts }))?;
    } else if conflicts.is_empty() {
        note("No conflicts wait.");
    } else {
        for conflict in &conflicts {
            context.out.lines(render(conflict))?;
        }
        note("Decide with:  evenfold resolve ID --keep NODE   or   --keep both");
    }
    Ok(Exit::Done)
}

fn render(conflict: &ConflictInfo) -> Vec<Line> {
    let now = now();
    let mut lines = vec![
        Line::styled(Style::Attention, format!("{}  ", conflict.id))
            .then(Style::Strong, &conflict.path.path)
            .then(Style::Faint, format!("  in {}", conflict.relationship)),
    ];
    let rows: Vec<Vec<Line>> = conflict
        .versions
        .iter()
        .map(|version| {
            vec![
                Line::plain(format!("    {}", version.node)),
                version.mtime.as_ref().map_or_else(String::new, |time| words::moment(time, now)).into(),
                version.size.map_or_else(String::new, human_size).into(),
                Line::plain(&version.at.path),
                Line::styled(Style::Faint, if version.current { "has the name now" } else { "" }),
            ]
        })
        .collect();
    lines.extend(table(&rows));
    lines
}

pub(crate) async fn resolve(context: &mut Context, arguments: ResolveArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    engine.ask(Request::Resolve { id: arguments.id.clone(), keep: arguments.keep.clone() }).await?;
    let kept = match arguments.keep.as_str() {
        "both" => "both versions stay".to_owned(),
        node => format!("the version of {node} stays; the other is kept as an earlier version"),
    };
    note(format!("Conflict {} is decided: {kept}.", arguments.id));
    Ok(Exit::Done)
}
