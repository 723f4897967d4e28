//! `evenfold sync`, `apply` and `run`: a cycle now.

use evenfold_node::api::{ApiError, Reply, Request, Synced};
use evenfold_node::text::human_size;

use crate::args::{ApplyArgs, RunArgs, SyncArgs};
use crate::context::{Context, Network};
use crate::engine::{self, Engine};
use crate::exit::Exit;
use crate::out::{Line, Style};
use crate::progress::Bar;
use crate::words;

pub(crate) async fn sync(context: &mut Context, arguments: SyncArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    let request = Request::Sync {
        relationship: arguments.relationship,
        dry_run: arguments.dry_run,
        // Without a daemon nothing goes on after this command.
        wait: arguments.wait || (!engine.is_daemon() && !arguments.dry_run),
        timeout_seconds: arguments.timeout,
    };
    cycle(context, &mut engine, request).await
}

pub(crate) async fn apply(context: &mut Context, arguments: ApplyArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    cycle(context, &mut engine, Request::Apply { plan: arguments.plan }).await
}

pub(crate) async fn run_once(context: &mut Context, arguments: RunArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    wait_for(context, &mut engine, arguments.relationship, arguments.timeout).await
}

/// Syncs until all reachable endpoints are equal or something needs a person.
pub(crate) async fn wait_for(
    context: &mut Context,
    engine: &mut Engine,
    relationship: String,
    timeout_seconds: Option<u64>,
) -> Result<Exit, ApiError> {
    let request = Request::Sync { relationship, dry_run: false, wait: true, timeout_seconds };
    cycle(context, engine, request).await
}

async fn cycle(context: &mut Context, engine: &mut Engine, request: Request) -> Result<Exit, ApiError> {
    let mut bar = Bar::new();
    let reply = engine.call(request, &mut |event| bar.event(&event)).await;
    drop(bar);
    let Reply::Synced(synced) = reply? else { return Err(engine::unexpected()) };
    if context.out.is_json() {
        context.out.document(&synced)?
    } else {
        context.out.lines(render(&synced))?
    }
    Ok(Exit::from(synced.as_ref()))
}

fn render(synced: &Synced) -> Vec<Line> {
    let name = &synced.status.name;
    let done = match synced.files {
        0 => "Nothing had to be changed.".to_owned(),
        files => format!("{} changed, {} travelled.", words::files(files), human_size(synced.bytes)),
    };
    let plan = || synced.plan.as_ref().map(words::plan).unwrap_or_default();
    let mut lines = Vec::new();
    match synced.outcome.as_str() {
        "equal" => lines.push(Line::styled(Style::Good, "In sync. ").then(Style::Plain, done)),
        "started" => lines.push(Line::plain(format!("Started. Look with `evenfold status {name}`."))),
        "planned" => {
            lines.extend(plan());
            if let Some(id) = synced.plan.as_ref().and_then(|plan| plan.id.as_ref()) {
                lines.push(
                    Line::plain("Carry out exactly this with:  ")
                        .then(Style::Strong, format!("evenfold apply {id}")),
                );
            }
        }
        "conflicts" => {
            let waiting = words::counted(synced.status.conflicts, "conflict waits", "conflicts wait");
            lines.push(
                Line::styled(Style::Attention, format!("{waiting} for a decision. "))
                    .then(Style::Plain, done),
            );
            lines.push(Line::plain(format!("Look with `evenfold conflicts {name}`.")));
        }
        "held" => {
            lines.push(
                Line::styled(Style::Attention, "Held; this needs your approval. ").then(Style::Plain, done),
            );
            match (&synced.status.halt, &synced.plan) {
                (_, Some(_)) => lines.extend(plan()),
                (Some(halt), None) => {
                    lines.push(Line::plain(&halt.message));
                    lines.push(Line::plain(&halt.hint));
                }
                (None, None) => {}
            }
            let approve = synced.status.halt.as_ref().and_then(|halt| halt.plan.as_ref());
            if let Some(id) = approve.or(synced.plan.as_ref().and_then(|plan| plan.id.as_ref())) {
                lines.push(
                    Line::plain("Approve exactly this with:  ")
                        .then(Style::Strong, format!("evenfold apply {id}")),
                );
            }
        }
        "timeout" => lines.push(Line::styled(
            Style::Attention,
            format!("Not done in time; it goes on. Look with `evenfold status {name}`."),
        )),
        "differs" => {
            lines.push(Line::styled(Style::Attention, "Not equal yet. ").then(Style::Plain, done));
            lines.push(Line::plain(format!("Look with `evenfold check {name}`.")));
        }
        _ => lines.push(
            Line::styled(Style::Attention, "Unknown: a side could not be verified. ")
                .then(Style::Plain, done),
        ),
    }
    if let Some(error) = synced.status.error.as_ref().filter(|_| synced.outcome != "equal") {
        lines.push(Line::plain(&error.message));
        lines.push(Line::plain(&error.hint));
    }
    lines
}
