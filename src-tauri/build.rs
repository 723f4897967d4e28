//! Names what the window may ask for: each command is denied until a capability allows it.

/// The whole of the window's powers, as in `src/commands.rs`.
const COMMANDS: &[&str] = &[
    "request",
    "take_over",
    "read_text",
    "scan_folder",
    "pick_folder",
    "save_text",
    "open_path",
    "reveal_path",
    "shell_info",
    "autostart_get",
    "autostart_set",
    "app_settings_get",
    "app_settings_set",
    "notify_test",
    "quit",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../ui/dist");
    if !std::path::Path::new("../ui/dist/index.html").is_file() {
        return Err(
            "the user interface is not built: run `cargo xtask desktop`, or `npm run build` in ui/".into()
        );
    }
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    tauri_build::try_build(tauri_build::Attributes::new().app_manifest(manifest))?;
    Ok(())
}
