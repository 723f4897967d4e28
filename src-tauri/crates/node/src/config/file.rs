//! Reading `config.toml`, with the line of every key.

use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{ConfigError, ConfigKey, Place};
use crate::text::nearest;

/// Most bytes that are read: there are a handful of keys.
const LARGEST: u64 = 1_000_000;

/// A key, its values as text, and where it stands.
pub(super) type Line = (ConfigKey, Vec<String>, Place);

/// Reads the file; a missing one is empty.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, ConfigError> {
    let file = path.display().to_string();
    let unreadable = |reason: String| ConfigError::Unreadable { file: file.clone(), reason };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(found) if found.len() > LARGEST => {
            return Err(unreadable("it is larger than a megabyte".to_owned()));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text, &file)
}

fn parse(text: &str, file: &str) -> Result<Vec<Line>, ConfigError> {
    let place = |offset: usize| {
        let before = text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Place::Line { file: file.to_owned(), line: before + 1 }
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        place: place(error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut lines: Vec<(usize, Line)> = Vec::new();
    for (name, value) in table.get_ref() {
        let start = name.span().start;
        let known = ConfigKey::ALL.iter().copied();
        let Some(key) = known.clone().find(|key| key.name() == name.get_ref().as_ref()) else {
            return Err(ConfigError::UnknownKey {
                place: place(start),
                key: name.get_ref().to_string(),
                nearest: nearest(name.get_ref(), known.map(ConfigKey::name)),
            });
        };
        let values = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(|value| scalar(value.get_ref())).collect(),
            single => vec![scalar(single)],
        };
        lines.push((start, (key, values, place(start))));
    }
    lines.sort_by_key(|(start, _)| *start);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

fn scalar(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
