//! `evenfold versions` and `restore`.

use evenfold_node::api::{ApiError, Request};
use evenfold_node::text::{human_size, now};

use crate::args::{RestoreArgs, VersionsArgs};
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::{paths, words};

pub(crate) async fn list(context: &mut Context, arguments: VersionsArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let path = paths::below(&arguments.path);
    let shown = path.path.clone();
    let request = Request::Versions { relationship: arguments.relationship, path };
    let versions = ask!(engine, request, Versions)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "versions": versions }))?;
    } else if versions.is_empty() {
        note(format!("There are no earlier versions of {shown} on this node."));
    } else {
        let now = now();
        let rows: Vec<Vec<Line>> = versions
            .iter()
            .map(|version| {
                vec![
                    Line::styled(Style::Strong, &version.id),
                    Line::plain(format!("{} {}", version.reason, words::moment(&version.time, now))),
                    version.size.map_or_else(String::new, human_size).into(),
                    version.kind.as_str().into(),
                    version
                        .mtime
                        .as_ref()
                        .map_or_else(String::new, |time| format!("written {}", words::moment(time, now)))
                        .into(),
                    Line::styled(Style::Faint, &version.path.path),
                ]
            })
            .collect();
        context.out.lines(table(&rows))?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn restore(context: &mut Context, arguments: RestoreArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    let (relationship, path) = (arguments.relationship.clone(), paths::below(&arguments.path));
    let request = match arguments.from {
        Some(from) => Request::Heal { relationship, path, from },
        None => Request::Restore {
            relationship,
            path,
            at: arguments.at,
            version: arguments.version,
            to: arguments.to.as_deref().map(paths::below),
        },
    };
    let restored = ask!(engine, request, Restored)?;
    if context.out.is_json() {
        context.out.document(&restored)?;
        return Ok(Exit::Done);
    }
    let text = format!(" {} from {}.", restored.path.path, restored.version);
    note(Line::styled(Style::Good, "Restored").then(Style::Plain, text));
    if let Some(replaced) = &restored.replaced {
        let command = format!(
            "evenfold restore {} {} --version {replaced}",
            arguments.relationship, restored.path.path
        );
        note(Line::plain("What stood there is kept; undo with:  ").then(Style::Strong, command));
    }
    Ok(Exit::Done)
}
