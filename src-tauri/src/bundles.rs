//! The configuration of the bundler for all systems, read as the bundler reads it: mistyped keys are found here, before
//! somebody builds a release on a machine that we do not have.

use std::path::{Path, PathBuf};

use tauri::utils::config::{BundleTarget, BundleType, Config, Updater, parse};
use tauri::utils::platform::Target;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config(target: Target) -> Config {
    let (merged, _) = parse::read_from(target, here()).unwrap();
    serde_json::from_value(merged).unwrap_or_else(|error| panic!("{target}: {error}"))
}

fn types(target: Target) -> Vec<BundleType> {
    match config(target).bundle.targets {
        BundleTarget::List(list) => list,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn each_system_builds_what_its_users_install() {
    assert_eq!(types(Target::Linux), [BundleType::Deb, BundleType::Rpm, BundleType::AppImage]);
    assert_eq!(types(Target::Windows), [BundleType::Nsis, BundleType::Msi]);
    assert_eq!(types(Target::MacOS), [BundleType::App, BundleType::Dmg]);
}

#[test]
fn files_that_the_bundler_takes_are_there() {
    for target in [Target::Linux, Target::Windows, Target::MacOS] {
        let bundle = config(target).bundle;
        let linux = bundle.linux;
        let copied = [linux.deb.files, linux.rpm.files, linux.appimage.files].into_iter().flatten();
        let nsis = bundle.windows.nsis.unwrap_or_default();
        let files: Vec<PathBuf> = bundle
            .icon
            .iter()
            .map(PathBuf::from)
            .chain(copied.map(|(_, from)| from))
            .chain(bundle.license_file)
            .chain(nsis.installer_icon)
            .chain(nsis.uninstaller_icon)
            .collect();
        assert!(files.len() > 5);
        for file in files {
            assert!(here().join(&file).is_file(), "{target}: {} is not there", file.display());
        }
    }
}

#[test]
fn installer_of_windows_can_be_replaced_by_a_newer_one_and_asks_for_no_rights() {
    let windows = config(Target::Windows).bundle.windows;
    assert!(!windows.allow_downgrades);
    assert!(windows.wix.unwrap().upgrade_code.is_some(), "without it, each version is a program of its own");
    let nsis = windows.nsis.unwrap();
    assert_eq!(serde_json::to_value(nsis.install_mode).unwrap(), "currentUser");
}

#[test]
fn updates_are_fetched_encrypted_and_only_builds_with_a_key_have_them() {
    let (merged, _) = parse::read_from(Target::Windows, here()).unwrap();
    assert!(
        merged["plugins"].get("updater").is_none()
            && merged["bundle"].get("createUpdaterArtifacts").is_none()
    );
    let text = std::fs::read_to_string(here().join("../installers/updater.conf.json")).unwrap();
    let added: serde_json::Value = serde_json::from_str(&text).unwrap();
    let updater: Updater = serde_json::from_value(added["bundle"]["createUpdaterArtifacts"].clone()).unwrap();
    assert!(matches!(updater, Updater::Bool(true)));
    let endpoints = added["plugins"]["updater"]["endpoints"].as_array().unwrap();
    assert!(!endpoints.is_empty());
    assert!(endpoints.iter().all(|one| one.as_str().is_some_and(|one| one.starts_with("https://"))));
    assert_eq!(added["plugins"]["updater"]["pubkey"], "", "the key of the releases is not kept here");
}
