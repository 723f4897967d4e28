//! `evenfold rel export` and `rel apply`: relationships as a file.

mod document;

use std::path::Path;

use evenfold_node::api::{ApiError, ErrorCode, Join, PathText, RelationshipInfo, Request, Setting, Tracked};
use evenfold_node::settings::{Key, Kind, Scope, Settings};
use serde::Serialize;

use super::join;
use crate::context::{Context, Network};
use crate::engine::{Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note};
use document::{Document, Entry};

pub(crate) async fn export(context: &mut Context, wanted: Option<String>) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    match wanted {
        Some(relationship) => {
            let found = ask!(engine, Request::RelShow { relationship }, Relationship)?;
            let entry = entry_of(&mut engine, &found).await?;
            print(context, &entry)?;
        }
        None => {
            let mut relationship = Vec::new();
            for one in ask!(engine, Request::RelList, Relationships)? {
                relationship.push(entry_of(&mut engine, &one).await?);
            }
            print(context, &Document { relationship })?;
        }
    }
    Ok(Exit::Done)
}

fn print(context: &mut Context, what: &impl Serialize) -> Result<(), ApiError> {
    if context.out.is_json() {
        return context.out.document(what);
    }
    let text = toml::to_string_pretty(what).map_err(|error| {
        ApiError::new(ErrorCode::Internal, format!("the file cannot be written: {error}"))
    })?;
    context.out.raw(text.as_bytes())
}

async fn entry_of(engine: &mut Engine, one: &RelationshipInfo) -> Result<Entry, ApiError> {
    let tracked = match one.kind.as_str() {
        "manual" if one.hub.is_some() => Some(tracked(engine, one).await?),
        _ => None,
    };
    Entry::of(one, tracked.as_ref())
}

async fn tracked(engine: &mut Engine, one: &RelationshipInfo) -> Result<Tracked, ApiError> {
    track(engine, &one.id, Vec::new(), true).await
}

async fn track(
    engine: &mut Engine,
    relationship: &str,
    paths: Vec<PathText>,
    tracked: bool,
) -> Result<Tracked, ApiError> {
    // A file may choose what only a first pull brings.
    let relationship = relationship.to_owned();
    ask!(engine, Request::Track { relationship, paths, tracked, missing: true }, Tracked)
}

/// What became of one relationship of a file.
#[derive(Debug, Serialize)]
struct Applied {
    name: String,
    /// `shared`, `joined`, `changed`, `unchanged`.
    outcome: &'static str,
    /// The keys that changed.
    changes: Vec<String>,
}

pub(crate) async fn apply(context: &mut Context, path: &Path, yes: bool) -> Result<Exit, ApiError> {
    let entries = document::read(path)?;
    let mut engine = context.engine(Network::DialOnly).await?;
    let all = ask!(engine, Request::RelList, Relationships)?;
    // Everything that can be known to be wrong is found before anything is changed.
    let mut work = Vec::new();
    for entry in entries {
        let existing = all.iter().find(|one| one.name == entry.name).cloned();
        check(&entry, existing.as_ref(), path)?;
        work.push((entry, existing));
    }
    let mut done: Vec<Applied> = Vec::new();
    for (entry, existing) in work {
        match apply_one(context, &mut engine, &entry, existing, path, yes).await {
            Ok(Some(applied)) => {
                tell(&applied);
                done.push(applied);
            }
            Ok(None) => return Ok(Exit::Error),
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => {
                let names: Vec<&str> = done.iter().map(|one| one.name.as_str()).collect();
                let message = format!("{}; done before: {}", error.message, names.join(", "));
                return Err(ApiError { message, ..error });
            }
        }
    }
    if context.out.is_json() {
        context.out.document(&serde_json::json!({ "relationships": done }))?;
    } else if done.iter().all(|one| one.outcome == "unchanged") {
        note(format!("Everything is as {} says; nothing was changed.", path.display()));
    }
    Ok(Exit::Done)
}

fn tell(applied: &Applied) {
    let what = match applied.outcome {
        "unchanged" => " is as the file says.".to_owned(),
        "changed" => format!(" has changed: {}.", applied.changes.join(", ")),
        outcome => format!(" is {outcome}."),
    };
    note(Line::styled(Style::Strong, &applied.name).then(Style::Plain, what));
}

/// Finds what a file asks of a relationship that cannot be done.
fn check(entry: &Entry, existing: Option<&RelationshipInfo>, file: &Path) -> Result<(), ApiError> {
    let wrong = |code, what: String, hint: &str| {
        let message = format!("{}, line {}: {what}; nothing was changed", file.display(), entry.line);
        Err(ApiError::new(code, message).with_hint(hint))
    };
    if entry.tracked.is_some() && (entry.kind != "manual" || entry.hub.is_none()) {
        let what = "tracked belongs to the kind manual, on a machine that joined".to_owned();
        return wrong(ErrorCode::Setting, what, "Leave it out.");
    }
    let Some(existing) = existing else { return Ok(()) };
    if existing.kind != entry.kind || existing.path != entry.folder(file) {
        let what = format!(
            "{} exists with another kind or folder ({}, {})",
            entry.name, existing.kind, existing.path.path
        );
        let hint = "Kind and folder cannot be edited; remove it first, or choose another name.";
        return wrong(ErrorCode::Exists, what, hint);
    }
    if existing.hub != entry.hub {
        let at = existing.hub.as_deref().unwrap_or("this node");
        let what = format!("{} exists and is shared by {at}", entry.name);
        return wrong(ErrorCode::Exists, what, "Remove it first, or choose another name.");
    }
    if existing.hub.is_some() {
        let shared = |key: &str| key.parse::<Key>().is_ok_and(|key| key.scope() == Scope::Relationship);
        let foreign = entry.pairs.iter().find(|pair| shared(&pair.0) && !existing.settings.contains(pair));
        if let Some((key, _)) = foreign {
            let what = format!(
                "{key} belongs to the whole relationship and is set by {}",
                existing.hub.as_deref().unwrap_or_default()
            );
            return wrong(ErrorCode::Setting, what, "Set it there, or leave it out.");
        }
    }
    Ok(())
}

async fn apply_one(
    context: &Context,
    engine: &mut Engine,
    entry: &Entry,
    existing: Option<RelationshipInfo>,
    file: &Path,
    yes: bool,
) -> Result<Option<Applied>, ApiError> {
    let (one, outcome, mut changes) = match existing {
        Some(existing) => {
            let settings = differing(entry, &existing)?;
            let mut changes: Vec<String> = settings.iter().map(|(key, _)| key.clone()).collect();
            changes.dedup();
            let one = match settings.is_empty() {
                true => existing,
                false => {
                    let relationship = existing.id.clone();
                    ask!(engine, Request::RelEdit { relationship, settings }, Relationship)?
                }
            };
            (one, "unchanged", changes)
        }
        None => match &entry.hub {
            None => {
                let request = Request::Share {
                    path: entry.folder(file),
                    name: entry.name.clone(),
                    kind: entry.kind.clone(),
                    settings: entry.pairs.clone(),
                    paused: false,
                };
                (ask!(engine, request, Relationship)?, "shared", Vec::new())
            }
            Some(hub) => match joined(context, engine, entry, hub, file, yes).await? {
                Some(one) => (one, "joined", Vec::new()),
                None => return Ok(None),
            },
        },
    };
    changes.extend(choose(engine, entry, &one).await?);
    changes.extend(allow(engine, entry, &one).await?);
    let outcome = if outcome == "unchanged" && !changes.is_empty() { "changed" } else { outcome };
    Ok(Some(Applied { name: one.name, outcome, changes }))
}

async fn joined(
    context: &Context,
    engine: &mut Engine,
    entry: &Entry,
    hub: &str,
    file: &Path,
    yes: bool,
) -> Result<Option<RelationshipInfo>, ApiError> {
    let own = |key: &str| key.parse::<Key>().is_ok_and(|key| key.scope() == Scope::Endpoint);
    let join = Join {
        peer: Some(hub.to_owned()),
        share: Some(entry.share.clone().unwrap_or_else(|| entry.name.clone())),
        path: entry.folder(file),
        role: entry.role.clone(),
        settings: entry.pairs.iter().filter(|(key, _)| own(key)).cloned().collect(),
        paused: false,
    };
    let preview = ask!(engine, Request::JoinPreview(join.clone()), Preview)?;
    if preview.kind != entry.kind {
        let message = format!(
            "{}, line {}: {hub} shares {} as {}, not as {}; nothing was changed",
            file.display(),
            entry.line,
            entry.name,
            preview.kind,
            entry.kind
        );
        return Err(ApiError::new(ErrorCode::Setting, message).with_hint("Correct the kind in the file."));
    }
    join::approve_and_join(context, engine, join, &preview, yes).await
}

/// Returns the settings that have to change. At the hub, what the file leaves out is what the kind suggests; of a joined
/// relationship only what the file says is meant, because the rest is the hub's.
fn differing(entry: &Entry, existing: &RelationshipInfo) -> Result<Vec<Setting>, ApiError> {
    let kind: Kind = entry.kind.parse()?;
    let now = Settings::parse(kind, &existing.settings)?;
    let wanted = match existing.hub {
        None => Settings::parse(kind, &entry.pairs)?,
        Some(_) => now.with(&entry.pairs)?,
    };
    Ok(wanted.overrides_of(&now))
}

/// Lets members do what the file says; returns what changed.
async fn allow(engine: &mut Engine, entry: &Entry, one: &RelationshipInfo) -> Result<Vec<String>, ApiError> {
    let mut changes = Vec::new();
    for (member, access) in &entry.members {
        match one.member_access.get(member) {
            Some(now) if now == access => {}
            Some(_) => {
                let request = Request::RelAccess {
                    relationship: one.id.clone(),
                    member: Some(member.clone()),
                    access: Some(access.clone()),
                };
                ask!(engine, request, Relationship)?;
                changes.push(format!("members.{member}"));
            }
            None => note(format!(
                "{member} has not joined {} yet: apply the file again when it has, so that it may {access}.",
                one.name
            )),
        }
    }
    Ok(changes)
}

/// Chooses by hand what the file says; returns what changed.
async fn choose(engine: &mut Engine, entry: &Entry, one: &RelationshipInfo) -> Result<Vec<String>, ApiError> {
    let Some(wanted) = &entry.tracked else { return Ok(Vec::new()) };
    let now = tracked(engine, one).await?;
    let missing = |wanted: &[String], now: &[PathText]| {
        let new = wanted.iter().filter(|path| !now.iter().any(|known| known.path == **path));
        new.map(|path| PathText { path: path.clone(), path_bytes: None }).collect::<Vec<_>>()
    };
    let mut changes = Vec::new();
    let add = missing(wanted, &now.tracked);
    if !add.is_empty() {
        track(engine, &one.id, add, true).await?;
        changes.push("tracked".to_owned());
    }
    let listed = |path: &PathText| wanted.contains(&path.path);
    let mut stop = missing(&entry.untracked, &now.untracked);
    stop.extend(now.tracked.iter().filter(|path| path.path_bytes.is_none() && !listed(path)).cloned());
    if !stop.is_empty() {
        track(engine, &one.id, stop, false).await?;
        changes.push("untracked".to_owned());
    }
    Ok(changes)
}
