//! `evenfold doctor`, `gc` and `config`.

use evenfold_node::api::{ApiError, DoctorFinding, Request};
use evenfold_node::config::Flags;
use evenfold_node::text::human_size;

use crate::args::ConfigCommand;
use crate::context::{Context, Network};
use crate::engine::{self, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn doctor(context: &mut Context) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let mut findings = ask!(engine, Request::Doctor, Doctor)?;
    findings.push(running(engine.is_daemon()));
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "findings": findings }))?;
    } else {
        for finding in &findings {
            let (style, sign) = match finding.level.as_str() {
                "ok" => (Style::Good, "✓"),
                "warning" => (Style::Attention, "!"),
                _ => (Style::Bad, "✗"),
            };
            let head = Line::styled(style, format!("{sign} ")).then(Style::Strong, &finding.check);
            context.out.line(head.then(Style::Plain, format!(": {}", finding.message)))?;
            if let Some(hint) = &finding.hint {
                context.out.line(format!("    {hint}"))?;
            }
        }
    }
    let failed = findings.iter().any(|finding| !matches!(finding.level.as_str(), "ok" | "warning"));
    Ok(if failed { Exit::Error } else { Exit::Done })
}

fn running(is_daemon: bool) -> DoctorFinding {
    let (level, message, hint) = if is_daemon {
        ("ok", "it runs and answers", None)
    } else {
        (
            "warning",
            "none runs on this home, so nothing is synced by itself",
            Some("Start `evenfold daemon`."),
        )
    };
    DoctorFinding {
        level: level.to_owned(),
        check: "daemon".to_owned(),
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

pub(crate) async fn gc(context: &mut Context) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let report = ask!(engine, Request::Gc, Gc)?;
    if context.out.is_json() {
        context.out.document(&report)?;
    } else {
        let versions = words::counted(report.versions, "version", "versions");
        let partials = words::counted(report.partials, "leftover", "leftovers");
        let freed = human_size(report.bytes);
        context.out.line(format!(
            "Dropped {versions} and {partials} of interrupted transfers; {freed} are free again."
        ))?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn config(context: &mut Context, command: ConfigCommand) -> Result<Exit, ApiError> {
    let ConfigCommand::Show { origin } = command;
    // What a running daemon uses counts, flags included; without one, what it would use.
    let entries = match engine::daemon(&context.home).await? {
        Some(client) => {
            let mut engine = engine::Engine::Daemon(client);
            ask!(engine, Request::ConfigShow, Config)?
        }
        None => context.config(Flags::default())?.entries(),
    };
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "settings": entries }))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<Line>> = entries
        .iter()
        .map(|entry| {
            let mut row = vec![Line::plain(&entry.key), Line::plain(&entry.value)];
            if origin {
                row.push(Line::styled(Style::Faint, &entry.origin));
            }
            row
        })
        .collect();
    context.out.lines(table(&rows))?;
    if origin {
        note(format!("The file is {}", context.home.config_file().display()));
    }
    Ok(Exit::Done)
}
