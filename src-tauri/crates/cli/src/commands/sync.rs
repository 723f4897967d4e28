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
        context.out.document(&synced)?;
    } else {
        context.out.lines(render(&synced, engine.is_daemon()))?;
    }
    Ok(Exit::from(synced.as_ref()))
}

/// Says how a cycle ended. `goes_on` tells whether somebody continues after this command.
fn render(synced: &Synced, goes_on: bool) -> Vec<Line> {
    let name = &synced.status.name;
    let look = |command: &str| Line::plain(format!("Look with `evenfold {command} {name}`."));
    let headline = |style: Style, text: &str| {
        let done = match synced.files {
            0 => String::new(),
            files => format!(" {} changed, {} travelled.", words::files(files), human_size(synced.bytes)),
        };
        Line::styled(style, text).then(Style::Plain, done)
    };
    let mut lines = match synced.outcome.as_str() {
        "equal" if synced.status.deliveries.is_some() => {
            vec![headline(Style::Good, "Everything is delivered.")]
        }
        "equal" => vec![headline(Style::Good, "In sync.")],
        "started" => vec![Line::plain("Started."), look("status")],
        "planned" => planned(synced, "Carry out exactly this with:  "),
        "conflicts" => {
            let waiting = words::counted(synced.status.conflicts, "conflict waits", "conflicts wait");
            vec![headline(Style::Attention, &format!("{waiting} for a decision.")), look("conflicts")]
        }
        "held" => {
            let mut lines = vec![headline(Style::Attention, "Held; this needs a person.")];
            match (&synced.plan, &synced.status.halt) {
                (None, Some(halt)) => lines.extend([Line::plain(&halt.message), Line::plain(&halt.hint)]),
                (None, None) => lines.push(look("status")),
                (Some(_), _) => lines.extend(planned(synced, "Approve exactly this with:  ")),
            }
            lines
        }
        "timeout" if goes_on => {
            vec![headline(Style::Attention, "Not done in time; it goes on."), look("status")]
        }
        "timeout" => vec![headline(Style::Attention, "Not done in time.")],
        "failed" => vec![headline(Style::Bad, "Something failed."), look("ledger list")],
        "differs" if synced.status.deliveries.is_some() => {
            vec![headline(Style::Attention, "Not everything is delivered yet."), look("ledger list")]
        }
        "differs" => vec![headline(Style::Attention, "Not equal yet."), look("check")],
        _ => vec![headline(Style::Attention, "Unknown: a side could not be verified.")],
    };
    if let Some(error) = synced.status.error.as_ref().filter(|_| synced.outcome != "equal") {
        lines.extend([Line::plain(&error.message), Line::plain(&error.hint)]);
    }
    lines
}

/// Shows the plan and, unless its own words do, how to have it carried out.
fn planned(synced: &Synced, how: &str) -> Vec<Line> {
    let Some(plan) = &synced.plan else { return Vec::new() };
    let mut lines = words::plan(plan);
    let said = |id: &str| plan.halt.as_ref().is_some_and(|halt| halt.hint.contains(id));
    if let Some(id) = plan.id.as_ref().filter(|id| !said(id)) {
        lines.push(Line::plain(how).then(Style::Strong, format!("evenfold apply {id}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use evenfold_node::api::{HaltInfo, Movement, PlanInfo, RelationshipStatus};

    use super::*;

    fn example(outcome: &str) -> Synced {
        let status = RelationshipStatus {
            id: "1".into(),
            name: "photos".into(),
            kind: "two-way".into(),
            role: "spoke".into(),
            state: "in-sync".into(),
            halt: None,
            verified_at: None,
            unknown_since: None,
            endpoints: Vec::new(),
            drift: None,
            waiting: None,
            progress: None,
            conflicts: 2,
            problems: 0,
            error: None,
            retry_at: None,
            paused_until: None,
            deliveries: None,
        };
        Synced { outcome: outcome.into(), status, plan: None, files: 0, bytes: 0 }
    }

    fn check(synced: &Synced, expected: &[&str], exit: Exit) {
        let said: Vec<String> = render(synced, true).iter().map(|line| line.render(false)).collect();
        assert_eq!(said, expected);
        assert_eq!(Exit::from(synced), exit);
    }

    #[test]
    fn every_outcome_has_its_words_and_its_code() {
        check(
            &Synced { files: 12, bytes: 3_400_000, ..example("equal") },
            &["In sync. 12 files changed, 3.4 MB travelled."],
            Exit::Done,
        );
        check(&example("equal"), &["In sync."], Exit::Done);
        check(&example("started"), &["Started.", "Look with `evenfold status photos`."], Exit::Done);
        check(
            &example("conflicts"),
            &["2 conflicts wait for a decision.", "Look with `evenfold conflicts photos`."],
            Exit::Conflicts,
        );
        check(&example("differs"), &["Not equal yet.", "Look with `evenfold check photos`."], Exit::Differs);
        check(&example("unknown"), &["Unknown: a side could not be verified."], Exit::Unknown);
        check(&example("of a newer node"), &["Unknown: a side could not be verified."], Exit::Unknown);
        check(
            &example("timeout"),
            &["Not done in time; it goes on.", "Look with `evenfold status photos`."],
            Exit::Unknown,
        );
    }

    #[test]
    fn plan_is_shown_with_the_way_to_carry_it_out() {
        let mut plan = PlanInfo {
            id: Some("p7".into()),
            kind: "two-way".into(),
            ours: "desk".into(),
            theirs: "nas".into(),
            here: Movement::default(),
            there: Movement { deleted: 3, ..Movement::default() },
            conflicts: 0,
            blocked: 0,
            free_here: None,
            free_there: None,
            changes: Vec::new(),
            halt: None,
        };
        let sentence = "Two-way. Will copy nothing; replace nothing; delete 3 files on nas.";
        check(
            &Synced { plan: Some(plan.clone()), ..example("planned") },
            &[sentence, "Carry out exactly this with:  evenfold apply p7"],
            Exit::Differs,
        );
        plan.halt = Some(HaltInfo {
            code: "root-emptied".into(),
            message: "the folder on desk is empty".into(),
            hint: "if that is meant, run 'evenfold apply p7'".into(),
            plan: Some("p7".into()),
            machine: None,
            items: None,
            of: None,
        });
        check(
            &Synced { plan: Some(plan), ..example("held") },
            &[
                "Held; this needs a person.",
                sentence,
                "Held: the folder on desk is empty",
                "if that is meant, run 'evenfold apply p7'",
            ],
            Exit::Held,
        );
    }
}
