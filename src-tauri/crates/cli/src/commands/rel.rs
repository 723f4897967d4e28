//! `evenfold rel`: list and manage relationships.

use evenfold_node::api::{ApiError, ErrorCode, RelationshipInfo, Request};
use evenfold_node::settings::{Kind, Settings};

use super::join::tell_paused;
use super::share::tell_without_effect;
use super::{rel_file, rel_host};
use crate::args::{RelCommand, RelationshipArgs};
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::{paths, words};

pub(crate) async fn run(context: &mut Context, command: RelCommand) -> Result<Exit, ApiError> {
    match command {
        RelCommand::Add { name, path, target, accept_key, kind, paused, set } => {
            let settings = paths::expand(&set.set)?;
            tell_without_effect(&Settings::parse(kind.parse::<Kind>()?, &settings)?, &settings);
            if let Some(ends) = rel_host::ends(&path, &target)? {
                let made = rel_host::add(context, name, kind, ends, settings, accept_key, paused).await?;
                tell_paused(&made);
                return shown(context, &made, "Made ");
            }
            let target = rel_host::text(&target)?;
            let path = paths::folder(&path)?;
            let mut engine = context.engine(Network::DialOnly).await?;
            let add = Request::RelAdd { name, kind, path, target, settings, paused };
            let made = ask!(engine, add, Relationship)?;
            tell_paused(&made);
            shown(context, &made, "Made ")
        }
        RelCommand::List => list(context).await,
        RelCommand::Show(RelationshipArgs { relationship }) => {
            let mut engine = context.engine(Network::DialOnly).await?;
            let found = ask!(engine, Request::RelShow { relationship }, Relationship)?;
            if context.out.is_json() {
                context.out.document(&found)?
            } else {
                show(context, &found)?
            }
            Ok(Exit::Done)
        }
        RelCommand::Edit { relationship, set } => {
            let settings = paths::expand(&set.set)?;
            if settings.is_empty() {
                let message = "nothing to change was given";
                return Err(
                    ApiError::new(ErrorCode::Usage, message).with_hint("For example: --set conflict=newest")
                );
            }
            let mut engine = context.engine(Network::DialOnly).await?;
            let given = settings.clone();
            let changed = ask!(engine, Request::RelEdit { relationship, settings }, Relationship)?;
            let now = changed.kind.parse::<Kind>().and_then(|kind| Settings::parse(kind, &changed.settings));
            // What the node has taken can be read; a newer one may know more.
            if let Ok(now) = now {
                tell_without_effect(&now, &given);
            }
            shown(context, &changed, "Changed ")
        }
        RelCommand::Access { relationship, member, access } => {
            let mut engine = context.engine(Network::DialOnly).await?;
            let found = ask!(engine, Request::RelAccess { relationship, member, access }, Relationship)?;
            show_access(context, &found)
        }
        RelCommand::Unlock => rel_host::unlock(context).await,
        RelCommand::Pause(arguments) => pause(context, arguments).await,
        RelCommand::Resume(arguments) => resume(context, arguments).await,
        RelCommand::Remove(RelationshipArgs { relationship }) => {
            let mut engine = context.engine(Network::DialOnly).await?;
            engine.ask(Request::RelRemove { relationship: relationship.clone() }).await?;
            note(format!("{relationship} is no longer synced. Its folder stayed as it is."));
            Ok(Exit::Done)
        }
        RelCommand::Export { relationship } => rel_file::export(context, relationship).await,
        RelCommand::Apply { file, yes } => rel_file::apply(context, &file, yes).await,
    }
}

pub(crate) async fn pause(context: &mut Context, arguments: RelationshipArgs) -> Result<Exit, ApiError> {
    let relationship = arguments.relationship;
    let mut engine = context.engine(Network::DialOnly).await?;
    engine.ask(Request::RelPause { relationship: relationship.clone() }).await?;
    note(format!("{relationship} is paused. Go on with `evenfold rel resume {relationship}`."));
    Ok(Exit::Done)
}

pub(crate) async fn resume(context: &mut Context, arguments: RelationshipArgs) -> Result<Exit, ApiError> {
    let relationship = arguments.relationship;
    let mut engine = context.engine(Network::DialOnly).await?;
    engine.ask(Request::RelResume { relationship: relationship.clone() }).await?;
    note(format!("{relationship} goes on."));
    Ok(Exit::Done)
}

async fn list(context: &mut Context) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let all = ask!(engine, Request::RelList, Relationships)?;
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "relationships": all }))?;
    } else if all.is_empty() {
        note("No relationships yet. Begin with `evenfold share` or `evenfold join`.");
    } else {
        let rows: Vec<Vec<Line>> = all
            .iter()
            .map(|one| {
                vec![
                    Line::styled(Style::Strong, &one.name),
                    one.kind.as_str().into(),
                    part(one),
                    one.path.path.as_str().into(),
                    Line::styled(Style::Attention, if one.paused { "paused" } else { "" }),
                ]
            })
            .collect();
        context.out.lines(table(&rows))?;
    }
    Ok(Exit::Done)
}

fn part(one: &RelationshipInfo) -> Line {
    match (&one.hub, &one.share) {
        (Some(hub), _) => format!("{} of {hub}", one.role).into(),
        (None, Some(host)) => format!("{} with {host}", one.role).into(),
        (None, None) if one.members.is_empty() => format!("{}, nobody joined", one.role).into(),
        (None, None) => format!("{} for {}", one.role, one.members.join(", ")).into(),
    }
}

fn shown(context: &mut Context, one: &RelationshipInfo, done: &str) -> Result<Exit, ApiError> {
    if context.out.is_json() {
        context.out.document(one)?;
    } else {
        note(Line::styled(Style::Good, done).then(Style::Strong, &one.name).then(Style::Plain, "."));
    }
    Ok(Exit::Done)
}

fn show_access(context: &mut Context, one: &RelationshipInfo) -> Result<Exit, ApiError> {
    if context.out.is_json() {
        context.out.document(&serde_json::json!({
            "name": one.name, "access": one.access, "member_access": one.member_access,
        }))?;
    } else if let (Some(hub), Some(access)) = (&one.hub, &one.access) {
        let words = if access == "read" { "may only read" } else { "may read and write" };
        context
            .out
            .lines(vec![Line::plain(format!("This machine {words} what {hub} shares as {}.", one.name))])?;
    } else if one.member_access.is_empty() {
        note(format!("Nobody has joined {} yet.", one.name));
    } else {
        let rows: Vec<Vec<Line>> = one
            .member_access
            .iter()
            .map(|(member, access)| {
                let style = if access == "read" { Style::Attention } else { Style::Plain };
                vec![Line::styled(Style::Strong, member), Line::styled(style, access)]
            })
            .collect();
        context.out.lines(table(&rows))?;
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, one: &RelationshipInfo) -> Result<(), ApiError> {
    let faint = |key: &str| Line::styled(Style::Faint, key);
    let mut rows = vec![
        vec![faint("name"), Line::styled(Style::Strong, &one.name)],
        vec![faint("id"), one.id.as_str().into()],
        vec![faint("kind"), words::kind(&one.kind).into()],
        vec![faint("part"), part(one)],
        vec![faint("folder"), one.path.path.as_str().into()],
        vec![faint("paused"), if one.paused { "yes" } else { "no" }.into()],
        vec![],
    ];
    if let Some(way) = &one.way {
        rows.insert(5, vec![faint("way"), words::way(way).into()]);
    }
    // What somebody has set stands out from what the kind suggests.
    let set = one
        .kind
        .parse::<Kind>()
        .and_then(|kind| Settings::parse(kind, &one.settings))
        .map(|settings| settings.overrides())
        .unwrap_or_default();
    for pair in &one.settings {
        let style = if set.contains(pair) { Style::Strong } else { Style::Plain };
        rows.push(vec![faint(&pair.0), Line::styled(style, &pair.1)]);
    }
    context.out.lines(table(&rows))
}
