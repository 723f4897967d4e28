//! Changing one line of `config.toml`. Everything else in it, comments among it, stays as somebody wrote it.

use std::io::{self, Write as _};
use std::path::Path;

use toml::de::DeTable;

use super::{Config, ConfigError, ConfigKey, Origin, Place, file};
use crate::home::Home;
use crate::text::nearest;

/// Writes one setting into the file of a home, or takes it out where `value` is empty; of several values each stands
/// between commas. Blocks until it is durable.
///
/// # Errors
/// When the key or value makes no sense, the file is wrong in another place, or cannot be written. Nothing was changed
/// then.
pub(super) fn change(home: &Home, key: &str, value: &str) -> Result<(), ConfigError> {
    let known = ConfigKey::ALL.iter().copied();
    let Some(key) = known.clone().find(|known| known.name() == key) else {
        let nearest = nearest(key, known.map(ConfigKey::name));
        return Err(ConfigError::UnknownKey { place: Place::Asked, key: key.to_owned(), nearest });
    };
    let values: Vec<String> = match (value.trim(), key) {
        ("", _) => Vec::new(),
        (list, ConfigKey::Listen) => list.split(',').map(|one| one.trim().to_owned()).collect(),
        (one, _) => vec![one.to_owned()],
    };
    if !values.is_empty() {
        Config::default().set(key, &values, Origin::File, Place::Asked)?;
    }
    let path = home.config_file();
    // What is wrong in another line is said before anything is written beside it.
    for (key, values, place) in file::read(&path)? {
        Config::default().set(key, &values, Origin::File, place)?;
    }
    let failed = |error: io::Error| ConfigError::Unwritable {
        file: path.display().to_string(),
        reason: error.to_string(),
    };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.map_err(failed)?,
    };
    let edited = edited(&text, key, &values);
    if edited == text {
        return Ok(());
    }
    replace(&path, &edited).map_err(failed)
}

/// Returns the text with another value of a key; without it where there is no value. The text is known to be valid.
fn edited(text: &str, key: ConfigKey, values: &[String]) -> String {
    let table = DeTable::parse(text).ok();
    let spans = table.as_ref().and_then(|table| {
        let found = table.get_ref().iter().find(|(name, _)| name.get_ref().as_ref() == key.name());
        found.map(|(name, value)| (name.span(), value.span()))
    });
    let mut new = text.to_owned();
    match (spans, values) {
        (None, []) => {}
        (None, values) => {
            if !new.is_empty() && !new.ends_with('\n') {
                new.push('\n');
            }
            new.push_str(&format!("{} = {}\n", key.name(), written(key, values)));
        }
        (Some((name, value)), []) => {
            let before =
                |at: usize| text.get(..at).and_then(|text| text.rfind('\n')).map_or(0, |end| end + 1);
            let after = |at: usize| {
                text.get(at..).and_then(|text| text.find('\n')).map_or(text.len(), |end| at + end + 1)
            };
            new.replace_range(before(name.start)..after(value.end), "");
        }
        (Some((_, value)), values) => new.replace_range(value, &written(key, values)),
    }
    new
}

fn written(key: ConfigKey, values: &[String]) -> String {
    // Valid values have no characters that would need an escape.
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    match key {
        ConfigKey::Listen => format!("[{}]", quoted.join(", ")),
        _ => quoted.concat(),
    }
}

/// Puts a new text in the place of a file; readers see the old or the new one. A link stays a link.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        target => target?,
    };
    let fresh = target.with_extension("toml.new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    if let Ok(found) = std::fs::metadata(&target) {
        file.set_permissions(found.permissions())?;
    }
    file.sync_all()?;
    std::fs::rename(&fresh, &target)?;
    match target.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, key: ConfigKey, values: &[&str]) -> String {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        edited(text, key, &values)
    }

    #[test]
    fn one_line_changes_and_the_others_stay_as_they_were_written() {
        let text =
            "# ours\nname   = 'desk' # the name\n\nlisten = [\n  \"127.0.0.1:1\", # here\n]\nlog = \"warn\"";
        let named = edit(text, ConfigKey::Name, &["nas"]);
        assert_eq!(named, text.replace("'desk'", "\"nas\""));
        let listening = edit(text, ConfigKey::Listen, &["[::]:2", "127.0.0.1:0"]);
        let list = "[\n  \"127.0.0.1:1\", # here\n]";
        assert_eq!(listening, text.replace(list, "[\"[::]:2\", \"127.0.0.1:0\"]"));
        assert_eq!(edit(text, ConfigKey::Nearby, &["off"]), format!("{text}\nnearby = \"off\"\n"));
    }

    #[test]
    fn line_that_is_taken_out_goes_as_a_whole() {
        let text = "name = \"a\" # why\nlisten = [\n  \"127.0.0.1:1\",\n]\nlog = \"warn\"";
        assert_eq!(edit(text, ConfigKey::Name, &[]), text.split_once('\n').unwrap().1);
        assert_eq!(edit(text, ConfigKey::Listen, &[]), "name = \"a\" # why\nlog = \"warn\"");
        assert_eq!(edit(text, ConfigKey::Log, &[]), text.strip_suffix("log = \"warn\"").unwrap());
        assert_eq!(edit(text, ConfigKey::Nearby, &[]), text);
    }

    fn home() -> (tempfile::TempDir, Home) {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at(temporary.path().join("home")).unwrap();
        home.create().unwrap();
        (temporary, home)
    }

    #[test]
    fn what_was_written_is_read_again_and_an_empty_value_brings_the_default_back() {
        let (_temporary, home) = home();
        let load = || Config::load(&home, &super::super::Flags::default(), &|_| None).unwrap();
        change(&home, "listen", "127.0.0.1:0, [::1]:7").unwrap();
        change(&home, "name", "desk").unwrap();
        let config = load();
        assert_eq!((config.name.value.as_str(), config.name.origin), ("desk", Origin::File));
        assert_eq!(config.listen.value, ["127.0.0.1:0".parse().unwrap(), "[::1]:7".parse().unwrap()]);
        change(&home, "listen", " ").unwrap();
        assert_eq!(load().listen.origin, Origin::Default);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_the_file_stays() {
        let (_temporary, home) = home();
        let text = "name = \"desk\"\n";
        std::fs::write(home.config_file(), text).unwrap();
        for (key, value, said) in [
            ("nmae", "x", "nothing was changed: there is no setting \"nmae\"; did you mean name?"),
            ("name", "a b", "nothing was changed: name cannot be \"a b\""),
            ("name", "a\"\nlog = \"trace", "nothing was changed: name cannot be"),
            ("listen", "127.0.0.1:0,", "nothing was changed: listen cannot be \"\""),
            ("log", "loud", "nothing was changed: log cannot be \"loud\""),
        ] {
            let error = change(&home, key, value).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(std::fs::read_to_string(home.config_file()).unwrap(), text);
    }

    #[test]
    fn file_that_is_wrong_elsewhere_is_not_written_to() {
        let (_temporary, home) = home();
        for text in ["name = \"a b\"\n", "name = \n", "nmae = \"x\"\n"] {
            std::fs::write(home.config_file(), text).unwrap();
            change(&home, "log", "warn").unwrap_err();
            assert_eq!(std::fs::read_to_string(home.config_file()).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn file_that_is_a_link_stays_one() {
        let (temporary, home) = home();
        let elsewhere = temporary.path().join("dotfiles.toml");
        std::fs::write(&elsewhere, "log = \"warn\"\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, home.config_file()).unwrap();
        change(&home, "log", "info").unwrap();
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "log = \"info\"\n");
        assert!(home.config_file().symlink_metadata().unwrap().is_symlink());
    }
}
