//! The file of `rel export` and `rel apply`: relationships as one node has them, with the line of every key.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use evenfold_node::api::{ApiError, ErrorCode, PathText, RelationshipInfo, Setting, Tracked};
use evenfold_node::settings::{Key, Kind, Scope, SettingError, Settings, Stage};
use evenfold_node::text::nearest;
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Largest file that is read.
const LARGEST: u64 = 10_000_000;

/// Keys beside the settings.
const KEYS: [&str; 11] = [
    "name",
    "kind",
    "path",
    "path_bytes",
    "hub",
    "share",
    "role",
    "tracked",
    "untracked",
    "members",
    "settings",
];

/// A relationship as one node has it. Settings are those that differ from the kind's; of a joined one, those of this
/// endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: String,
    /// Local folder.
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path_bytes: Option<String>,
    /// The peer that shares it; absent where this node does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hub: Option<String>,
    /// Its name at the hub, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    /// What is sent by push (kind manual).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracked: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) untracked: Vec<String>,
    /// What members may do, `read` or `write`, where that is not what the setting `access` says; at the hub.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) members: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    settings: toml::Table,
    /// The settings as pairs.
    #[serde(skip)]
    pub(super) pairs: Vec<Setting>,
    /// Where it stands in the file.
    #[serde(skip)]
    pub(super) line: usize,
}

/// Several relationships.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Document {
    pub(super) relationship: Vec<Entry>,
}

impl Entry {
    /// Describes a relationship.
    pub(super) fn of(one: &RelationshipInfo, tracked: Option<&Tracked>) -> Result<Entry, ApiError> {
        let settings = Settings::parse(one.kind.parse::<Kind>()?, &one.settings)?;
        let mut pairs = settings.overrides();
        if one.hub.is_some() {
            // What the hub set for all comes from the hub.
            pairs.retain(|(name, _)| name.parse::<Key>().is_ok_and(|key| key.scope() == Scope::Endpoint));
        }
        let mut table = toml::Table::new();
        for (key, value) in &pairs {
            let list = key.parse::<Key>()?.is_list();
            match table.get_mut(key) {
                Some(toml::Value::Array(values)) => values.push(value.as_str().into()),
                _ if list => drop(table.insert(key.clone(), toml::Value::Array(vec![value.as_str().into()]))),
                _ => drop(table.insert(key.clone(), value.as_str().into())),
            }
        }
        let texts = |list: &[PathText]| list.iter().map(|path| path.path.clone()).collect();
        Ok(Entry {
            name: one.name.clone(),
            kind: one.kind.clone(),
            path: one.path.path.clone(),
            path_bytes: one.path.path_bytes.clone(),
            hub: one.hub.clone(),
            share: one.share.clone().filter(|share| *share != one.name),
            role: one.hub.is_some().then(|| one.role.clone()),
            tracked: tracked.map(|known| texts(&known.tracked)),
            untracked: tracked.map_or_else(Vec::new, |known| texts(&known.untracked)),
            members: one
                .member_access
                .iter()
                .filter(|(_, access)| *access != settings.access.word())
                .map(|(member, access)| (member.clone(), access.clone()))
                .collect(),
            settings: table,
            pairs,
            line: 0,
        })
    }

    /// Returns the local folder: as it stands, below the home directory, or relative to the file.
    pub(super) fn folder(&self, file: &Path) -> PathText {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = match (self.path.strip_prefix("~/"), home) {
            _ if self.path_bytes.is_some() => {
                return PathText { path: self.path.clone(), path_bytes: self.path_bytes.clone() };
            }
            (Some(rest), Some(home)) => home.join(rest),
            _ => std::path::absolute(file).unwrap_or_default().parent().unwrap_or(file).join(&self.path),
        };
        PathText::from(std::fs::canonicalize(&path).unwrap_or(path).as_path())
    }
}

/// Reads a file with one relationship, or several as `[[relationship]]`.
///
/// # Errors
/// What is wrong, with file, line and key. Nothing was changed.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ApiError> {
    let unreadable = |why: String| {
        ApiError::new(ErrorCode::Usage, format!("{} cannot be read: {why}", path.display()))
            .with_hint("Give a file that `evenfold rel export` printed.")
    };
    let found = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if found.len() > LARGEST {
        return Err(unreadable("it is larger than 10 MB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text, path)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
}

type Key2Line = HashMap<String, usize>;

fn parse(text: &str, file: &Path) -> Result<Vec<Entry>, ApiError> {
    let reader = Reader { text, file };
    let table = DeTable::parse(text).map_err(|error| {
        reader.wrong(reader.line(error.span().map_or(0, |span| span.start)), error.message(), None)
    })?;
    let table = table.get_ref();
    let several = table.iter().find(|(name, _)| name.get_ref().as_ref() == "relationship");
    let entries = match several {
        None => vec![reader.entry(table, 1)?],
        Some((name, list)) => {
            if let Some((other, _)) = table.iter().find(|(other, _)| other.get_ref() != name.get_ref()) {
                let line = reader.line(other.span().start);
                return Err(reader.unknown(line, other.get_ref(), &["relationship"]));
            }
            let line = reader.line(name.span().start);
            let DeValue::Array(list) = list.get_ref() else {
                return Err(reader.wrong(line, "relationships are written as [[relationship]]", None));
            };
            let entry = |one: &Spanned<DeValue<'_>>| match one.get_ref() {
                DeValue::Table(table) => reader.entry(table, reader.line(one.span().start)),
                _ => Err(reader.wrong(line, "relationships are written as [[relationship]]", None)),
            };
            list.iter().map(entry).collect::<Result<_, _>>()?
        }
    };
    for (at, entry) in entries.iter().enumerate() {
        if let Some(other) = entries.iter().take(at).find(|other| other.name == entry.name) {
            let what = format!("\"{}\" stands in line {} already", entry.name, other.line);
            return Err(reader.wrong(entry.line, &what, Some("Give every relationship once.")));
        }
    }
    Ok(entries)
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn wrong(&self, line: usize, what: &str, hint: Option<&str>) -> ApiError {
        let message = format!("{}, line {line}: {what}; nothing was changed", self.file.display());
        let error = ApiError::new(ErrorCode::Setting, message);
        error.with_hint(hint.unwrap_or("`evenfold rel export` prints a file of the right form."))
    }

    fn unknown(&self, line: usize, key: &str, known: &[&'static str]) -> ApiError {
        let meant = nearest(key, known.iter().copied());
        let meant = meant.map(|word| format!("Did you mean {word}? ")).unwrap_or_default();
        let hint = format!("{meant}The keys are {}.", known.join(", "));
        self.wrong(line, &format!("there is no key \"{}\"", key.escape_debug()), Some(&hint))
    }

    fn entry(&self, table: &DeTable<'_>, line: usize) -> Result<Entry, ApiError> {
        let mut entry = Entry {
            name: String::new(),
            kind: String::new(),
            path: String::new(),
            path_bytes: None,
            hub: None,
            share: None,
            role: None,
            tracked: None,
            untracked: Vec::new(),
            members: BTreeMap::new(),
            settings: toml::Table::new(),
            pairs: Vec::new(),
            line,
        };
        let mut lines = Key2Line::new();
        for (name, value) in table {
            let (key, line) = (name.get_ref().as_ref(), self.line(name.span().start));
            lines.insert(key.to_owned(), line);
            let text = || match value.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err(self.wrong(line, &format!("{key} is a text"), None)),
            };
            let texts = || match value.get_ref() {
                DeValue::Array(list) => list
                    .iter()
                    .map(|one| match one.get_ref() {
                        DeValue::String(text) => Ok(text.to_string()),
                        _ => Err(self.wrong(line, &format!("{key} is a list of texts"), None)),
                    })
                    .collect::<Result<Vec<_>, _>>(),
                _ => Err(self.wrong(line, &format!("{key} is a list of texts"), None)),
            };
            match key {
                "name" => entry.name = text()?,
                "kind" => entry.kind = text()?,
                "path" => entry.path = text()?,
                "path_bytes" => entry.path_bytes = Some(text()?),
                "hub" => entry.hub = Some(text()?),
                "share" => entry.share = Some(text()?),
                "role" => entry.role = Some(text()?),
                "tracked" => entry.tracked = Some(texts()?),
                "untracked" => entry.untracked = texts()?,
                "members" => entry.members = self.members(value, line)?,
                "settings" => match value.get_ref() {
                    DeValue::Table(table) => self.flatten("", table, &mut entry.pairs, &mut lines),
                    _ => return Err(self.wrong(line, "settings is a table", None)),
                },
                _ => return Err(self.unknown(line, key, &KEYS)),
            }
        }
        for (key, value) in [("name", &entry.name), ("kind", &entry.kind), ("path", &entry.path)] {
            if value.is_empty() {
                return Err(self.wrong(line, &format!("a relationship without {key}"), None));
            }
        }
        if let (Some(hub), false) = (&entry.hub, entry.members.is_empty()) {
            let line = lines.get("members").copied().unwrap_or(line);
            let hint = format!("What members may do is said on {hub}, which shares it.");
            return Err(self.wrong(line, "members belong to the node that shares the folder", Some(&hint)));
        }
        let settings = entry.kind.parse::<Kind>().and_then(|kind| Settings::parse(kind, &entry.pairs));
        // What a file says of a joined relationship may be the hub's, which has been looked through there.
        let settings = settings.and_then(|settings| match entry.hub {
            None => settings.check_effect(&entry.pairs, Stage::New).map(|()| settings),
            Some(_) => Ok(settings),
        });
        settings.map_err(|error| {
            let key = match &error {
                SettingError::UnknownKind { .. } => "kind",
                SettingError::UnknownKey { key, .. } => key.as_str(),
                SettingError::WrongValue { key, .. }
                | SettingError::GivenTwice { key }
                | SettingError::Fixed { key }
                | SettingError::WholeRelationship { key } => key.name(),
                SettingError::Contradiction { .. } => "",
            };
            self.wrong(lines.get(key).copied().unwrap_or(line), &error.to_string(), Some(&error.hint()))
        })?;
        Ok(entry)
    }

    /// Reads what each member may do.
    fn members(
        &self,
        value: &Spanned<DeValue<'_>>,
        line: usize,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong(
                line,
                "members is a table",
                Some("For example: members.laptop = \"read\""),
            ));
        };
        let one = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| match value
            .get_ref()
        {
            DeValue::String(access) if ["read", "write"].contains(&access.as_ref()) => {
                Ok((name.get_ref().to_string(), access.to_string()))
            }
            _ => {
                let what = format!("what {} may do is \"read\" or \"write\"", name.get_ref());
                Err(self.wrong(self.line(name.span().start), &what, None))
            }
        };
        table.iter().map(one).collect()
    }

    /// Reads a table of settings as pairs; `[settings.versions] keep = …` is the same as `"versions.keep" = …`.
    fn flatten(&self, prefix: &str, table: &DeTable<'_>, pairs: &mut Vec<Setting>, lines: &mut Key2Line) {
        // As they stand in the file, so that the first that is wrong is named.
        let mut rows: Vec<_> = table.iter().collect();
        rows.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in rows {
            let key = format!("{prefix}{}", name.get_ref());
            lines.entry(key.clone()).or_insert_with(|| self.line(name.span().start));
            match value.get_ref() {
                DeValue::Table(inner) => self.flatten(&format!("{key}."), inner, pairs, lines),
                DeValue::Array(values) if values.is_empty() => pairs.push((key, String::new())),
                DeValue::Array(values) => {
                    pairs.extend(values.iter().map(|value| (key.clone(), scalar(value.get_ref()))));
                }
                single => pairs.push((key, scalar(single))),
            }
        }
    }
}

fn scalar(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => "a list or table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(set: &[(&str, &str)], hub: Option<&str>) -> RelationshipInfo {
        let pairs: Vec<Setting> = set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        RelationshipInfo {
            id: "1".into(),
            name: "photos".into(),
            kind: "two-way".into(),
            role: "spoke".into(),
            path: PathText { path: "/home/u/Photos".into(), path_bytes: None },
            hub: hub.map(str::to_owned),
            share: None,
            members: Vec::new(),
            access: None,
            member_access: Default::default(),
            paused: false,
            settings: Settings::parse(Kind::TwoWay, &pairs).unwrap().to_pairs(),
            way: None,
        }
    }

    const SET: [(&str, &str); 5] = [
        ("exclude", "*.tmp"),
        ("exclude", "cache/"),
        ("versions.keep", "90d"),
        ("hook.on_error", r#"["logger","a b"]"#),
        ("hidden", "false"),
    ];

    #[test]
    fn relationships_survive_the_way_through_a_file() {
        let hub = Entry::of(&example(&SET, None), None).unwrap();
        let text = toml::to_string_pretty(&hub).unwrap();
        let back = parse(&text, Path::new("f")).unwrap();
        let settings = |pairs: &[Setting]| Settings::parse(Kind::TwoWay, pairs).unwrap();
        assert_eq!(settings(&back[0].pairs).to_pairs(), example(&SET, None).settings);
        assert_eq!((back[0].name.as_str(), back.len()), ("photos", 1));
        let spoke = Entry::of(&example(&SET, Some("nas")), None).unwrap();
        let names: Vec<&str> = spoke.pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["hidden", "versions.keep", "hook.on_error"], "only its own");
        let other = Entry { name: "other".into(), ..spoke };
        let text = toml::to_string_pretty(&Document { relationship: vec![hub, other] }).unwrap();
        let back = parse(&text, Path::new("f")).unwrap();
        assert_eq!((back.len(), back[1].hub.as_deref()), (2, Some("nas")));
    }

    #[test]
    fn file_may_be_written_by_hand() {
        let text = "name = 'p'\nkind = 'two-way'\npath = '/p'\n[settings]\nsettle = '8s'\nhidden = false\n\
                    exclude = ['a', 'b']\n[settings.versions]\nkeep = '90d'\n";
        let entry = parse(text, Path::new("f")).unwrap().remove(0);
        let settings = Settings::parse(Kind::TwoWay, &entry.pairs).unwrap();
        assert_eq!((settings.settle.as_secs(), settings.hidden, settings.exclude.len()), (8, false, 2));
        assert_eq!(settings.get(Key::VersionsKeep), ["90d"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        let head = "name = 'p'\nkind = 'two-way'\npath = '/p'\n";
        let two = "[[relationship]]\nname = 'p'\nkind = 'mirror'\npath = '/p'\n";
        for (text, expected) in [
            (
                format!("{head}[settings]\nhidden = true\nexlude = 'a'\n"),
                "line 6: there is no setting \"exlude\"",
            ),
            (
                format!("{head}[settings.versions]\nkepe = 1\n"),
                "line 5: there is no setting \"versions.kepe\"",
            ),
            (format!("{head}[settings]\nparallel = 100\n"), "line 5: parallel cannot be \"100\""),
            (format!("pth = '/p'\n{head}"), "line 1: there is no key \"pth\""),
            (
                "name = 'p'\nkind = 'tow-way'\npath = '/p'\n".to_owned(),
                "line 2: there is no kind \"tow-way\"",
            ),
            ("name = 'p'\nkind = 'mirror'\n".to_owned(), "line 1: a relationship without path"),
            ("name = 'p\n".to_owned(), "line 1:"),
            (format!("{head}tracked = 'x'\n"), "line 4: tracked is a list of texts"),
            (format!("{two}{two}"), "line 5: \"p\" stands in line 1 already"),
            (format!("version = 1\n{two}"), "line 1: there is no key \"version\""),
        ] {
            let error = parse(&text, Path::new("p.toml")).unwrap_err();
            assert!(error.message.contains(expected), "{expected}: {}", error.message);
            assert!(error.message.starts_with("p.toml"), "{}", error.message);
        }
    }
}
