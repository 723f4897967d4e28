//! `evenfold rel export` and `rel apply`: a relationship as a file.

use std::path::Path;

use evenfold_node::api::{ApiError, ErrorCode, Join, PathText, RelationshipInfo, Request, Setting};
use evenfold_node::settings::{Key, Kind, Scope, Settings};
use serde::{Deserialize, Serialize};

use super::join;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::note;

/// Largest file that is read.
const LARGEST: u64 = 10_000_000;

/// A relationship as one node has it. Settings are those that differ from the kind's.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    kind: String,
    /// Local folder.
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    /// The peer that shares it; absent where this node does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default)]
    settings: toml::Table,
}

pub(crate) async fn export(context: &mut Context, relationship: String) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let found = ask!(engine, Request::RelShow { relationship }, Relationship)?;
    let file = File::of(&found)?;
    if context.out.is_json() {
        context.out.document(&file)?;
    } else {
        let text = toml::to_string_pretty(&file).map_err(|error| {
            ApiError::new(ErrorCode::Internal, format!("the file cannot be written: {error}"))
        })?;
        context.out.raw(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn apply(context: &mut Context, path: &Path, yes: bool) -> Result<Exit, ApiError> {
    let file = File::read(path)?;
    let wanted = file.parse(path)?;
    let mut engine = context.engine(Network::DialOnly).await?;
    let all = ask!(engine, Request::RelList, Relationships)?;
    let existing = all.into_iter().find(|one| one.name == file.name);
    let made = match existing {
        Some(existing) => {
            if existing.kind != file.kind || existing.path != file.folder() {
                let message = format!(
                    "{} exists with another kind or folder ({}, {}); nothing was changed",
                    file.name, existing.kind, existing.path.path
                );
                let hint = "Kind and folder cannot be edited; remove it first, or choose another name.";
                return Err(ApiError::new(ErrorCode::Exists, message).with_hint(hint));
            }
            let settings = settable(wanted.to_pairs(), existing.hub.is_some());
            ask!(engine, Request::RelEdit { relationship: existing.id, settings }, Relationship)?
        }
        None => match &file.hub {
            None => {
                let request = Request::Share {
                    path: file.folder(),
                    name: file.name.clone(),
                    kind: file.kind.clone(),
                    settings: wanted.overrides(),
                };
                ask!(engine, request, Relationship)?
            }
            Some(hub) => {
                let settings = settable(wanted.overrides(), true);
                let join = Join {
                    peer: Some(hub.clone()),
                    share: Some(file.name.clone()),
                    path: file.folder(),
                    role: file.role.clone(),
                    settings,
                };
                let preview = ask!(engine, Request::JoinPreview(join.clone()), Preview)?;
                match join::approve_and_join(context, &mut engine, join, &preview, yes).await? {
                    Some(joined) => joined,
                    None => return Ok(Exit::Error),
                }
            }
        },
    };
    if context.out.is_json() {
        context.out.document(&made)?
    } else {
        note(format!("{} is as the file says.", made.name))
    }
    Ok(Exit::Done)
}

/// Leaves out what only the hub may set.
fn settable(pairs: Vec<Setting>, endpoint_only: bool) -> Vec<Setting> {
    let may = |name: &str| name.parse::<Key>().is_ok_and(|key| key.scope() == Scope::Endpoint);
    pairs.into_iter().filter(|(name, _)| !endpoint_only || may(name)).collect()
}

impl File {
    fn of(one: &RelationshipInfo) -> Result<File, ApiError> {
        let settings = Settings::parse(one.kind.parse::<Kind>()?, &one.settings)?;
        let mut table = toml::Table::new();
        for (key, value) in settings.overrides() {
            let list = key.parse::<Key>()?.is_list();
            match table.get_mut(&key) {
                Some(toml::Value::Array(values)) => values.push(value.into()),
                _ if list => drop(table.insert(key, toml::Value::Array(vec![value.into()]))),
                _ => drop(table.insert(key, value.into())),
            }
        }
        Ok(File {
            name: one.name.clone(),
            kind: one.kind.clone(),
            path: one.path.path.clone(),
            path_bytes: one.path.path_bytes.clone(),
            hub: one.hub.clone(),
            role: one.hub.is_some().then(|| one.role.clone()),
            settings: table,
        })
    }

    fn folder(&self) -> PathText {
        PathText { path: self.path.clone(), path_bytes: self.path_bytes.clone() }
    }

    fn read(path: &Path) -> Result<File, ApiError> {
        let unreadable = |why: String| {
            ApiError::new(ErrorCode::Usage, format!("{} cannot be read: {why}", path.display()))
                .with_hint("Give a file that `evenfold rel export` printed.")
        };
        let found = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
        if found.len() > LARGEST {
            return Err(unreadable("it is larger than 10 MB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        // Its message shows line and column.
        toml::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    fn parse(&self, path: &Path) -> Result<Settings, ApiError> {
        let mut pairs: Vec<Setting> = Vec::new();
        flatten("", &self.settings, &mut pairs);
        let settings = self.kind.parse::<Kind>().and_then(|kind| Settings::parse(kind, &pairs));
        settings.map_err(|error| {
            let message = format!("{}: {error}; nothing was changed", path.display());
            ApiError::new(ErrorCode::Setting, message).with_hint(error.hint())
        })
    }
}

/// Writes a table of settings as pairs; `[settings.versions] keep = …` is the same as `"versions.keep" = …`.
fn flatten(prefix: &str, table: &toml::Table, pairs: &mut Vec<Setting>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, pairs),
            toml::Value::Array(values) if values.is_empty() => pairs.push((key, String::new())),
            toml::Value::Array(values) => {
                pairs.extend(values.iter().map(|value| (key.clone(), scalar(value))));
            }
            single => pairs.push((key, scalar(single))),
        }
    }
}

fn scalar(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(set: &[(&str, &str)]) -> RelationshipInfo {
        let pairs: Vec<Setting> = set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        RelationshipInfo {
            id: "1".into(),
            name: "photos".into(),
            kind: "two-way".into(),
            role: "spoke".into(),
            path: PathText { path: "/home/u/Photos".into(), path_bytes: None },
            hub: Some("nas".into()),
            members: Vec::new(),
            paused: false,
            settings: Settings::parse(Kind::TwoWay, &pairs).unwrap().to_pairs(),
        }
    }

    #[test]
    fn relationship_survives_the_way_through_a_file() {
        let set = [
            ("exclude", "*.tmp"),
            ("exclude", "cache/"),
            ("versions.keep", "90d"),
            ("hook.on_error", r#"["logger","a b"]"#),
            ("hidden", "false"),
        ];
        let file = File::of(&example(&set)).unwrap();
        let text = toml::to_string_pretty(&file).unwrap();
        let back: File = toml::from_str(&text).unwrap();
        assert_eq!(back, file);
        let expected = example(&set).settings;
        assert_eq!(back.parse(Path::new("f")).unwrap().to_pairs(), expected);
    }

    #[test]
    fn file_may_be_written_by_hand() {
        let text = "name = 'p'\nkind = 'two-way'\npath = '/p'\n[settings]\nparallel = 8\nhidden = false\n\
                    exclude = ['a', 'b']\n[settings.versions]\nkeep = '90d'\n";
        let file: File = toml::from_str(text).unwrap();
        let settings = file.parse(Path::new("f")).unwrap();
        assert_eq!((settings.parallel, settings.hidden, settings.exclude.len()), (8, false, 2));
        assert_eq!(settings.get(Key::VersionsKeep), ["90d"]);
    }

    #[test]
    fn wrong_setting_is_named_with_the_file() {
        let text = "name = 'p'\nkind = 'two-way'\npath = '/p'\n[settings]\nexlude = 'a'\n";
        let file: File = toml::from_str(text).unwrap();
        let error = file.parse(Path::new("p.toml")).unwrap_err();
        assert_eq!(error.message, "p.toml: there is no setting \"exlude\"; nothing was changed");
    }
}
