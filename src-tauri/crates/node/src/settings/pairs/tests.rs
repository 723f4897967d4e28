use std::num::NonZeroU64;

use super::*;
use crate::settings::{Scope, Timetable, check_endpoint_keys};

fn pairs(set: &[(&str, &str)]) -> Vec<Setting> {
    set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn parse(set: &[(&str, &str)]) -> Result<Settings, SettingError> {
    Settings::parse(Kind::TwoWay, &pairs(set))
}

#[test]
fn every_key_takes_its_own_example_and_gives_it_back() {
    for key in Key::ALL {
        let settings = parse(&[(key.name(), key.example())]).unwrap();
        assert_eq!(settings.get(*key), [key.example()], "{key}");
    }
}

#[test]
fn every_key_refuses_nonsense_and_says_what_it_takes() {
    // Patterns and the names of programs may be any text.
    for key in Key::ALL.iter().filter(|key| !matches!(key, Key::Include | Key::Exclude | Key::HostProgram)) {
        let error = parse(&[(key.name(), "§")]).unwrap_err();
        assert_eq!(error, SettingError::WrongValue { key: *key, value: "§".into() });
        assert!(error.to_string().contains(key.allowed()), "{error}");
    }
}

#[test]
fn values_at_the_edges() {
    for (key, value, accepted) in [
        ("trigger", "500ms", false),
        ("trigger", "1s", true),
        ("parallel", "0", false),
        ("parallel", "65", false),
        ("guard.percent", "0", false),
        ("guard.percent", "25%", true),
        ("guard.percent", "101", false),
        ("guard.count", "0", true),
        ("guard.count", "18446744073709551615", true),
        ("guard.count", "-1", false),
        ("reserve", "100%", false),
        ("reserve", "2GiB", true),
        ("conflict", "prefer:", false),
        ("conflict", "prefer:no/name", false),
        ("executor", "[]", false),
        ("executor", r#"[""]"#, false),
        ("executor", "rsync -a", false),
        ("hook.on_error", r#"["a", 1]"#, false),
        ("include", "   ", false),
        ("include", "a\nb", false),
        ("hidden", "yes", false),
        ("settle", "", false),
        ("versions.max", "off", true),
        ("versions.keep", "off", false),
    ] {
        assert_eq!(parse(&[(key, value)]).is_ok(), accepted, "{key}={value}");
    }
}

#[test]
fn unknown_key_is_named_with_what_was_meant() {
    let error = parse(&[("exlude", "*.tmp")]).unwrap_err();
    assert_eq!(error.to_string(), r#"there is no setting "exlude""#);
    assert!(error.hint().starts_with("Did you mean exclude? The settings are flow, "), "{}", error.hint());
    let error = parse(&[("colour", "blue")]).unwrap_err();
    assert_eq!(error.to_string(), r#"there is no setting "colour""#);
    assert!(error.hint().starts_with("The settings are flow, "), "{}", error.hint());
    let error = "twoway".parse::<Kind>().unwrap_err();
    assert_eq!(
        error.hint(),
        "Did you mean two-way? The kinds are two-way, mirror, manual, send-once, relay, compare."
    );
}

#[test]
fn guard_of_a_hundred_percent_is_no_guard() {
    assert_eq!(parse(&[("guard.percent", "100")]).unwrap().guard.percent, None);
    assert_eq!(parse(&[("guard.percent", "off")]).unwrap().guard.percent, None);
    assert_eq!(parse(&[]).unwrap().guard, evenfold_core::Guard { percent: Some(25), count: Some(500) });
}

#[test]
fn list_is_replaced_by_all_values_given_at_once_and_cleared_by_nothing() {
    let both = parse(&[("exclude", "a"), ("hidden", "false"), ("exclude", "b")]).unwrap();
    assert_eq!(both.exclude, ["a", "b"]);
    assert_eq!(both.with(&pairs(&[("exclude", "c")])).unwrap().exclude, ["c"]);
    assert!(both.with(&pairs(&[("exclude", "")])).unwrap().exclude.is_empty());
}

#[test]
fn single_value_given_twice_is_refused() {
    let error = parse(&[("settle", "1s"), ("settle", "2s")]).unwrap_err();
    assert_eq!(error, SettingError::GivenTwice { key: Key::Settle });
}

#[test]
fn default_gives_the_preset_again() {
    let settings = Settings::parse(Kind::SendOnce, &pairs(&[("settle", "9s")])).unwrap();
    assert_eq!(settings.with(&pairs(&[("settle", "default")])).unwrap(), Settings::preset(Kind::SendOnce));
}

#[test]
fn only_what_differs_from_the_preset_is_stored() {
    let set = [("exclude", "*.tmp"), ("exclude", "node_modules/"), ("limit.up", "2MB/s")];
    let settings = parse(&set).unwrap();
    assert_eq!(settings.overrides(), pairs(&set));
    assert_eq!(settings.limit_up, Timetable::always(NonZeroU64::new(2_000_000)));
    assert!(parse(&[("versions.keep", "720h")]).unwrap().overrides().is_empty());
}

#[test]
fn settings_survive_the_way_through_pairs() {
    for kind in Kind::ALL {
        let all: Vec<Setting> =
            Key::ALL.iter().map(|key| (key.name().to_owned(), key.example().to_owned())).collect();
        let settings = Settings::parse(kind, &all).unwrap();
        assert_eq!(Settings::parse(kind, &settings.to_pairs()).unwrap(), settings);
        assert_eq!(Settings::parse(kind, &settings.overrides()).unwrap(), settings);
        let preset = Settings::preset(kind);
        assert_eq!(Settings::parse(kind, &preset.to_pairs()).unwrap(), preset);
        assert_eq!(settings.with(&preset.overrides_of(&settings)).unwrap(), preset);
    }
}

#[test]
fn endpoint_may_differ_in_hooks_limits_hidden_and_versions_only() {
    let free: Vec<&str> =
        Key::ALL.iter().filter(|key| key.scope() == Scope::Endpoint).map(|key| key.name()).collect();
    assert_eq!(
        free,
        [
            "hidden",
            "versions.keep",
            "versions.max",
            "hook.after_arrival",
            "hook.after_delivery",
            "hook.on_conflict",
            "hook.on_error",
            "hook.timeout",
            "parallel",
            "limit.up",
            "limit.down"
        ]
    );
    assert_eq!(check_endpoint_keys(&pairs(&[("hidden", "false")])), Ok(()));
    assert_eq!(
        check_endpoint_keys(&pairs(&[("conflict", "newest")])),
        Err(SettingError::WholeRelationship { key: Key::Conflict })
    );
}
