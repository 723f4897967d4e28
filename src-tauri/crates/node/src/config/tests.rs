use super::*;

struct Case {
    _temporary: tempfile::TempDir,
    home: Home,
}

fn home_with(text: &str) -> Case {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::at(temporary.path().to_path_buf()).unwrap();
    std::fs::write(home.config_file(), text).unwrap();
    Case { _temporary: temporary, home }
}

fn load(case: &Case, flags: &Flags, set: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variable =
        |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    Config::load(&case.home, flags, &variable)
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let case = home_with("name = \"file\"\nlog = \"debug\"\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n");
    let flags = Flags { name: Some("flag".into()), ..Flags::default() };
    let config = load(&case, &flags, &[("EVENFOLD_NAME", "variable"), ("EVENFOLD_LOG", "warn")]).unwrap();
    let shown: Vec<(String, String, String)> =
        config.entries().into_iter().map(|entry| (entry.key, entry.value, entry.origin)).collect();
    let expected = [
        ("name", "flag", "flag"),
        ("listen", "127.0.0.1:1, [::1]:2", "config.toml"),
        ("log", "warn", "environment"),
        ("log_size", "10MB", "default"),
        ("nearby", "on", "default"),
        ("forward", "off", "default"),
        ("forward_limit", "20MB/s", "default"),
        ("silence", "15s", "default"),
    ];
    assert_eq!(shown, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
}

#[test]
fn missing_file_means_defaults_and_a_name_that_is_valid() {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::at(temporary.path().join("none")).unwrap();
    let config = Config::load(&home, &Flags::default(), &|_| None).unwrap();
    assert_eq!(config.listen.value, ["[::]:22722".parse().unwrap()]);
    assert!(valid_name(&config.name.value), "{}", config.name.value);
}

#[test]
fn environment_lists_addresses_with_commas() {
    let case = home_with("");
    let set = [("EVENFOLD_LISTEN", "127.0.0.1:0, [::1]:0"), ("EVENFOLD_NAME", "")];
    let config = load(&case, &Flags::default(), &set).unwrap();
    assert_eq!(config.listen.value.len(), 2);
    assert_eq!(config.name.origin, Origin::Default);
}

#[test]
fn a_wrong_line_is_named_with_file_line_and_key() {
    for (text, line, said) in [
        ("\n\nnmae = \"x\"\n", 3, "there is no setting \"nmae\"; did you mean name?"),
        ("name = \"a b\"", 1, "name cannot be \"a b\""),
        ("name = \"ok\"\nlisten = \"here\"", 2, "listen cannot be \"here\""),
        ("listen = []", 1, "listen cannot be \"\""),
        ("log = [\"info\", \"warn\"]", 1, "log cannot be \"info, warn\""),
        ("log_size = 12", 1, "log_size cannot be \"12\""),
        ("nearby = \"maybe\"", 1, "nearby cannot be \"maybe\""),
        ("name = \"ok\"\nname", 2, ""),
        ("[name]\nx = 1", 1, "name cannot be \"a table\""),
    ] {
        let case = home_with(text);
        let error = load(&case, &Flags::default(), &[]).unwrap_err().to_string();
        let place = format!("{}, line {line}: {said}", case.home.config_file().display());
        assert!(error.starts_with(&place), "{error} is not {place}");
    }
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let case = home_with("");
    let error = load(&case, &Flags::default(), &[("EVENFOLD_LOG", "loud")]).unwrap_err();
    assert!(error.to_string().starts_with("the variable EVENFOLD_LOG: log cannot be \"loud\""), "{error}");
    let flags = Flags { listen: vec!["22722".into()], ..Flags::default() };
    let error = load(&case, &flags, &[]).unwrap_err();
    assert!(error.to_string().starts_with("--listen: listen cannot be \"22722\""), "{error}");
}

#[test]
fn names_are_fit_for_file_names_and_addresses() {
    for (name, valid) in [
        ("desk", true),
        ("Desk-2_b.home", true),
        ("7", true),
        ("", false),
        (".desk", false),
        ("-desk", false),
        ("a:b", false),
        ("a/b", false),
        ("a b", false),
        ("bü", false),
    ] {
        assert_eq!(valid_name(name), valid, "{name}");
    }
    assert!(!valid_name(&"x".repeat(49)));
}
