//! `evenfold track`, `untrack`, `push` and `pull`.

use std::path::PathBuf;

use evenfold_node::api::{ApiError, ErrorCode, PathText, Reply, Request, Tracked, Transfer};
use evenfold_node::text::human_size;

use crate::args::{PullArgs, PushArgs, TrackArgs, UntrackArgs};
use crate::context::{Context, Network};
use crate::engine::{self, Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::progress::Bar;
use crate::{paths, words};

pub(crate) async fn track(context: &mut Context, arguments: TrackArgs) -> Result<Exit, ApiError> {
    choose(context, arguments.relationship, &arguments.paths, true).await
}

pub(crate) async fn untrack(context: &mut Context, arguments: UntrackArgs) -> Result<Exit, ApiError> {
    choose(context, arguments.relationship, &arguments.paths, false).await
}

async fn choose(
    context: &mut Context,
    relationship: String,
    typed: &[PathBuf],
    tracked: bool,
) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let paths = inside(&mut engine, &relationship, typed).await?;
    let only_asks = paths.is_empty();
    let answer = ask!(engine, Request::Track { relationship, paths, tracked, missing: false }, Tracked)?;
    if context.out.is_json() {
        context.out.document(&answer)?;
    } else if only_asks {
        list(context, &answer)?;
    } else {
        let done =
            if tracked { "is tracked" } else { "takes no part any more; it stays as it is everywhere" };
        let already = if tracked { "is tracked already" } else { "takes no part already" };
        for path in &answer.changed {
            note(Line::styled(Style::Strong, &path.path).then(Style::Plain, format!(" {done}.")));
        }
        for path in &answer.already {
            note(Line::styled(Style::Strong, &path.path).then(Style::Plain, format!(" {already}.")));
        }
    }
    Ok(Exit::Done)
}

fn list(context: &mut Context, answer: &Tracked) -> Result<(), ApiError> {
    if answer.tracked.is_empty() && answer.untracked.is_empty() {
        note("Nothing is tracked yet; what was pulled is sent again when it is edited.");
    }
    let row = |sign: &str, path: &PathText| vec![Line::plain(sign), Line::plain(&path.path)];
    let rows = answer.tracked.iter().map(|path| row("+", path));
    let rows: Vec<_> = rows.chain(answer.untracked.iter().map(|path| row("-", path))).collect();
    context.out.lines(table(&rows))
}

pub(crate) async fn push(context: &mut Context, arguments: PushArgs) -> Result<Exit, ApiError> {
    let PushArgs { relationship, paths, force, dry_run } = arguments;
    let mut engine = context.engine(Network::IfPossible).await?;
    let paths = inside(&mut engine, &relationship, &paths).await?;
    transfer(context, &mut engine, Request::Push { relationship, paths, force, dry_run }).await
}

pub(crate) async fn pull(context: &mut Context, arguments: PullArgs) -> Result<Exit, ApiError> {
    let PullArgs { relationship, paths, dry_run } = arguments;
    let mut engine = context.engine(Network::IfPossible).await?;
    let paths = inside(&mut engine, &relationship, &paths).await?;
    transfer(context, &mut engine, Request::Pull { relationship, paths, dry_run }).await
}

/// Finds out which paths below the relationship's folder are meant.
async fn inside(
    engine: &mut Engine,
    relationship: &str,
    typed: &[PathBuf],
) -> Result<Vec<PathText>, ApiError> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let found = ask!(engine, Request::RelShow { relationship: relationship.to_owned() }, Relationship)?;
    let root = PathBuf::try_from(&found.path)
        .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    let here = std::env::current_dir().ok();
    typed.iter().map(|typed| paths::inside(&root, here.as_deref(), typed)).collect()
}

async fn transfer(context: &mut Context, engine: &mut Engine, request: Request) -> Result<Exit, ApiError> {
    let mut bar = Bar::new();
    let reply = engine.call(request, &mut |event| bar.event(&event)).await;
    drop(bar);
    let Reply::Transfer(done) = reply? else { return Err(engine::unexpected()) };
    if context.out.is_json() {
        context.out.document(&done)?;
    } else {
        context.out.lines(render(&done))?;
    }
    Ok(Exit::from(done.as_ref()))
}

fn render(done: &Transfer) -> Vec<Line> {
    let name = &done.status.name;
    let travelled = format!(" {}, {} travelled.", words::files(done.files), human_size(done.bytes));
    let attention = |text: &str| Line::styled(Style::Attention, text);
    let mut lines = match done.outcome.as_str() {
        "pushed" => vec![Line::styled(Style::Good, "Pushed.").then(Style::Plain, travelled)],
        "pulled" => vec![Line::styled(Style::Good, "Pulled.").then(Style::Plain, travelled)],
        "unchanged" => vec![Line::styled(Style::Good, "Nothing has changed.")],
        "refused" => vec![
            attention("Refused: the hub has changes that you have not pulled. Nothing was sent."),
            Line::plain(format!("Pull first with `evenfold pull {name}`, or send over them with --force.")),
        ],
        "conflicts" => vec![
            attention("Changed on both sides; nothing of yours was replaced.").then(Style::Plain, travelled),
            Line::plain(format!("Decide with `evenfold conflicts {name}` and `evenfold resolve`.")),
        ],
        "incomplete" => vec![attention("Not everything could be carried out.").then(Style::Plain, travelled)],
        "held" | "planned" => done.plan.as_ref().map(words::plan).unwrap_or_default(),
        _ => vec![attention("Unknown: the hub could not be asked. Nothing is known to have changed.")],
    };
    if let Some(id) = done.plan.as_ref().and_then(|plan| plan.id.as_ref()) {
        let how = if done.outcome == "held" {
            "Approve exactly this with:  "
        } else {
            "Carry out exactly this with:  "
        };
        lines.push(Line::plain(how).then(Style::Strong, format!("evenfold apply {id}")));
    }
    if let Some(error) = done.status.error.as_ref().filter(|_| done.outcome == "unknown") {
        lines.extend([Line::plain(&error.message), Line::plain(&error.hint)]);
    }
    let rows: Vec<Vec<Line>> = done
        .left
        .iter()
        .map(|left| {
            let path = Line::plain(format!("  {}", left.path.path));
            vec![path, Line::styled(Style::Faint, &left.detail)]
        })
        .collect();
    lines.extend(table(&rows));
    lines
}

impl From<&Transfer> for Exit {
    fn from(done: &Transfer) -> Self {
        let conflict = done.left.iter().any(|left| left.reason == "conflict");
        match done.outcome.as_str() {
            "pushed" | "pulled" | "unchanged" => Exit::Done,
            "refused" if !conflict => Exit::Differs,
            "refused" | "conflicts" => Exit::Conflicts,
            "incomplete" => Exit::Differs,
            "held" => Exit::Held,
            "planned" => done.plan.as_ref().map_or(Exit::Done, Exit::from),
            _ => Exit::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenfold_node::api::{LeftPath, RelationshipStatus};

    use super::*;

    fn example(outcome: &str) -> Transfer {
        let status = RelationshipStatus {
            id: "1".into(),
            name: "project".into(),
            kind: "manual".into(),
            role: "spoke".into(),
            state: "in-sync".into(),
            halt: None,
            verified_at: None,
            unknown_since: None,
            endpoints: Vec::new(),
            drift: None,
            waiting: None,
            progress: None,
            conflicts: 0,
            problems: 0,
            error: None,
            retry_at: None,
            paused_until: None,
            deliveries: None,
        };
        Transfer { outcome: outcome.into(), files: 2, bytes: 1500, left: Vec::new(), plan: None, status }
    }

    fn check(done: &Transfer, first: &str, exit: Exit) {
        assert_eq!(render(done).first().map(|line| line.render(false)).as_deref(), Some(first));
        assert_eq!(Exit::from(done), exit);
    }

    #[test]
    fn every_outcome_has_its_words_and_its_code() {
        check(&example("pushed"), "Pushed. 2 files, 1.5 kB travelled.", Exit::Done);
        check(&example("unchanged"), "Nothing has changed.", Exit::Done);
        let refused = "Refused: the hub has changes that you have not pulled. Nothing was sent.";
        check(&example("refused"), refused, Exit::Differs);
        let path = PathText { path: "a".into(), path_bytes: None };
        let conflict = LeftPath { path, reason: "conflict".into(), detail: "changed on both".into() };
        check(&Transfer { left: vec![conflict], ..example("refused") }, refused, Exit::Conflicts);
        check(
            &example("of a newer node"),
            "Unknown: the hub could not be asked. Nothing is known to have changed.",
            Exit::Unknown,
        );
    }

    #[test]
    fn paths_are_found_from_where_one_is() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("sub/deep")).unwrap();
        std::fs::write(root.join("sub/x"), "").unwrap();
        std::fs::write(root.join("x"), "").unwrap();
        let sub = root.join("sub");
        for (here, typed, expected) in [
            (Some(&root), "x", Some("x")),
            (Some(&sub), "x", Some("sub/x")),
            (Some(&sub), "../x", Some("x")),
            (Some(&sub), "sub/x", Some("sub/x")),
            (Some(&sub), "gone", Some("sub/gone")),
            (Some(&sub), ".", Some("sub")),
            (Some(&sub), "..", Some(".")),
            (Some(&sub), "../../x", None),
            (None, "sub/x", Some("sub/x")),
            (None, "./sub/./x", Some("sub/x")),
            (None, "../x", None),
            (None, "/etc/passwd", None),
        ] {
            let found = paths::inside(&root, here.map(PathBuf::as_path), Path::new(typed));
            assert_eq!(found.ok().map(|path| path.path).as_deref(), expected, "{typed} in {here:?}");
        }
        let absolute = root.join("sub/gone");
        assert_eq!(paths::inside(&root, None, &absolute).unwrap().path, "sub/gone");
    }
}
