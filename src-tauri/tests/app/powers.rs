//! What the window may do, and what it may not.

use serde_json::json;

use crate::desk::{Desk, application};
use crate::driver::Window;
use crate::node::{run, share};
use crate::process::eventually;

#[test]
fn window_asks_the_node_and_is_refused_with_a_code() {
    let desk = Desk::new();
    let window = Window::open(&desk, &[]);
    let node = window.request(json!({ "request": "node-show" })).unwrap();
    assert_eq!(node["name"], "desk");
    let error = window.request(json!({ "request": "rel-show", "relationship": "nothing" })).unwrap_err();
    assert_eq!(error["code"], "not-found", "{error}");
    assert!(error["message"].is_string() && error["hint"].is_string(), "{error}");
    for wrong in [json!({ "request": "no-such-thing" }), json!({ "request": "shutdown" }), json!(7)] {
        assert_eq!(window.request(wrong).unwrap_err()["code"], "usage");
    }
    let info = window.invoke("shell_info", &json!({})).unwrap();
    assert_eq!(
        (&info["platform"], &info["attached"], &info["tray"]),
        (&json!("linux"), &json!(false), &json!(true))
    );
}

#[test]
fn window_has_no_powers_but_ours() {
    let desk = Desk::new();
    let window = Window::open(&desk, &[]);
    window.request(json!({ "request": "node-show" })).unwrap();
    for (command, arguments) in [
        ("plugin:dialog|open", json!({ "options": {} })),
        ("plugin:dialog|message", json!({ "message": "x" })),
        ("plugin:notification|notify", json!({ "options": { "title": "x" } })),
        ("plugin:opener|open_path", json!({ "path": "/etc" })),
        ("plugin:window-state|save_window_state", json!({ "flags": 1 })),
        ("plugin:window|close", json!({ "label": "main" })),
        ("plugin:webview|create_webview_window", json!({ "options": { "label": "x" } })),
        ("plugin:event|emit", json!({ "event": "x", "payload": 1 })),
        ("plugin:path|resolve_directory", json!({ "directory": 1 })),
        ("plugin:app|version", json!({})),
    ] {
        let refused = window.invoke(command, &arguments).unwrap_err().to_string();
        assert!(refused.contains("not allowed") || refused.contains("not found"), "{command}: {refused}");
    }
    let script = "try { return new Function('return 1')() } catch (error) { return error.name }";
    assert_eq!(window.script(script), "EvalError", "the policy forbids to make code from text");
    let fetched = window.script("window.bad = null; const s = document.createElement('script'); s.textContent = 'window.bad = 1'; document.head.append(s); return window.bad");
    assert!(fetched.is_null(), "the policy forbids scripts that are not ours: {fetched}");
}

#[test]
fn window_reads_and_opens_what_is_synced_and_nothing_else() {
    let desk = Desk::new();
    let window = Window::open(&desk, &[]);
    let shared = share(&desk);
    std::fs::write(desk.path("home/secret"), "secret").unwrap();
    std::os::unix::fs::symlink(desk.path("home/secret"), shared.here.join("link")).unwrap();
    let read = |path: &str| {
        let arguments = json!({ "relationship": "Code", "path": { "path": path }, "maxBytes": 1000 });
        window.invoke("read_text", &arguments)
    };
    let content = read("notes.txt").unwrap();
    assert_eq!((&content["kind"], &content["text"]), (&json!("text"), &json!("first\n")));
    for outside in ["link", "../secret", "absent", ".evenfold/marker"] {
        let error = read(outside).unwrap_err();
        assert!(error["code"].is_string(), "{outside}: {error}");
    }
    for outside in ["secret", "Code/link"] {
        let arguments = json!({ "path": { "path": desk.path("home").join(outside) } });
        assert_eq!(window.invoke("open_path", &arguments).unwrap_err()["code"], "refused", "{outside}");
    }
    let arguments = json!({ "path": { "path": shared.here }, "patterns": ["*.txt"] });
    let folder = window.invoke("scan_folder", &arguments).unwrap();
    assert_eq!((&folder["files"], &folder["ignored"]), (&json!(1), &json!(1)), "{folder}");
}

/// Where cargo builds is no place to start from at login; a copy at a place with an awkward name is.
fn installed(desk: &Desk) -> std::path::PathBuf {
    let dir = desk.path("My $Programs");
    std::fs::create_dir(&dir).unwrap();
    let program = dir.join("evenfold-desktop");
    std::fs::copy(application(), &program).unwrap();
    program
}

#[test]
fn login_switch_writes_an_entry_that_starts_this_program_hidden() {
    let desk = Desk::new();
    let program = installed(&desk);
    let window = Window::open_program(&desk, &program, &["evenfold://settings"]);
    let status = || window.invoke("autostart_get", &json!({})).unwrap();
    assert_eq!(status()["enabled"], false);
    let entry = desk.path("config/autostart/app.evenfold.desktop.desktop");
    window.press("Start Evenfold when I log in");
    eventually("the entry is there", || entry.exists().then_some(()));
    let on = status();
    assert_eq!((&on["enabled"], &on["problem"], &on["path"]), (&json!(true), &json!(null), &json!(entry)));
    let text = std::fs::read_to_string(&entry).unwrap();
    let quoted = program.to_str().unwrap().replace('$', "\\\\$");
    assert!(text.contains(&format!("\nExec=\"{quoted}\" --background\n")), "{text}");
    let valid = std::process::Command::new("desktop-file-validate").arg(&entry).output().unwrap();
    assert!(valid.status.success(), "{valid:?}");
    window.press("Start Evenfold when I log in");
    eventually("the entry is gone", || (!entry.exists()).then_some(()));
    assert_eq!(status()["enabled"], false);
}

#[test]
fn entry_of_a_program_that_is_gone_names_this_one_after_the_next_start() {
    let desk = Desk::new();
    let program = installed(&desk);
    let entry = desk.path("config/autostart/app.evenfold.desktop.desktop");
    std::fs::create_dir_all(entry.parent().unwrap()).unwrap();
    let stale =
        "[Desktop Entry]\nType=Application\nName=Evenfold\nExec=/opt/gone/evenfold-desktop --background\n";
    std::fs::write(&entry, stale).unwrap();
    let _app = desk.start_program(&program, &["--background"]);
    let quoted = program.to_str().unwrap().replace('$', "\\\\$");
    eventually("the entry names the program that runs", || {
        let text = std::fs::read_to_string(&entry).unwrap();
        text.contains(&format!("\nExec=\"{quoted}\" --background\n")).then_some(())
    });
}

#[test]
fn development_build_refuses_to_start_at_login() {
    let desk = Desk::new();
    let window = Window::open(&desk, &[]);
    let error = window.invoke("autostart_set", &json!({ "enabled": true })).unwrap_err();
    assert_eq!(error["code"], "usage", "{error}");
    assert!(window.invoke("autostart_get", &json!({})).unwrap()["problem"].is_string());
}

#[test]
fn settings_of_the_desktop_are_kept_and_followed() {
    let desk = Desk::new();
    let window = Window::open(&desk, &[]);
    let mut settings = window.invoke("app_settings_get", &json!({})).unwrap();
    assert_eq!((&settings["theme"], &settings["close_to_tray"]), (&json!("system"), &json!(true)));
    settings["locale"] = json!("de");
    window.invoke("app_settings_set", &json!({ "settings": settings })).unwrap();
    desk.panel().until_says("Noch keine Ordner");
    desk.panel().entry("Beenden – der Abgleich hört auf");
    let error = window.invoke("app_settings_set", &json!({ "settings": { "theme": "pink" } })).unwrap_err();
    assert!(error.to_string().contains("pink"), "{error}");
    assert_eq!(window.invoke("app_settings_get", &json!({})).unwrap()["locale"], "de");
    assert_eq!(run(&desk.node_home(), &["node", "show"])["name"], "desk");
}
