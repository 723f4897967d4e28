use clap::CommandFactory as _;

use super::*;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once(&"evenfold").chain(words))
}

#[test]
fn definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_and_says_what_it_does() {
    fn visit(command: &clap::Command, leaves: &mut usize) {
        assert!(command.get_about().is_some(), "{} does not say what it does", command.get_name());
        if command.get_subcommands().next().is_some() {
            command.get_subcommands().for_each(|below| visit(below, leaves));
            return;
        }
        *leaves += 1;
        let help = command.clone().render_long_help().to_string();
        let example = format!("evenfold {}", command.get_name());
        assert!(help.contains("Example"), "{} has no example", command.get_name());
        let named = help.contains(&example) || help.contains(&format!(" {} ", command.get_name()));
        assert!(
            named || help.contains(command.get_name()),
            "the example of {} shows another",
            command.get_name()
        );
    }
    let mut leaves = 0;
    Cli::command().get_subcommands().for_each(|command| visit(command, &mut leaves));
    assert!(leaves >= 38, "{leaves}");
}

#[test]
fn every_example_is_a_command_that_exists() {
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found
            .extend(help.lines().filter_map(|line| line.trim().strip_prefix("evenfold ")).map(str::to_owned));
        command.get_subcommands().for_each(|below| examples(below, found));
    }
    let mut found = Vec::new();
    examples(&Cli::command(), &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for example in found {
        // What follows two spaces explains; what follows | or > belongs to the shell.
        let words = example.split("  ").next().unwrap().split(['|', '>']).next().unwrap();
        let words: Vec<String> =
            words.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        parse(&words).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for words in [
        &["--home", "/h", "--json", "status"][..],
        &["status", "--home", "/h", "--json"],
        &["--json", "rel", "list", "--home", "/h"],
        &["rel", "--home", "/h", "show", "photos", "--json"],
    ] {
        let cli = parse(words).unwrap();
        assert!(cli.global.json, "{words:?}");
        assert_eq!(cli.global.home.as_deref(), Some(std::path::Path::new("/h")), "{words:?}");
    }
}

#[test]
fn misuse_is_told_as_such() {
    for words in [
        &["stats"][..],
        &["run", "photos"],
        &["sync"],
        &["share", "/p"],
        &["share", "/p", "--name", "p", "--set", "novalue"],
        &["share", "/p", "--name", "p", "--set", "=x"],
        &["check", "p", "--only", "missing,lost"],
        &["sync", "p", "--wait", "--dry-run"],
        &["restore", "p", "x", "--at", "2h", "--version", "7"],
        &["pair", "offer", "--minutes", "0"],
        &["join", "nas:photos"],
        &["join", "a", "b", "c", "d"],
        &["join", "nas:p", "/p", "--role", "boss"],
    ] {
        let error = parse(words).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{words:?}");
    }
}

#[test]
fn setting_keeps_what_follows_the_first_equals_sign() {
    let cli = parse(&["share", "/p", "--name", "p", "--set", "hook.on_error=[\"a=b\"]", "--set", "exclude="])
        .unwrap();
    let Command::Share(share) = cli.command else { panic!("another command") };
    let expected = [("hook.on_error", "[\"a=b\"]"), ("exclude", "")];
    assert_eq!(share.set.set, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn findings_are_separated_by_commas() {
    let cli = parse(&["check", "p", "--only", "missing,corrupt"]).unwrap();
    let Command::Check(check) = cli.command else { panic!("another command") };
    assert_eq!(check.only, ["missing", "corrupt"]);
}
