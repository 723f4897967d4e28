//! The application: its parts put together, from the start to an orderly end.

use std::sync::Arc;

use evenfold_node::home::Home;
use tauri::async_runtime::{spawn, spawn_blocking};
use tauri::{AppHandle, Manager as _, RunEvent, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tokio::sync::watch;

use crate::args::Args;
use crate::engine::Engine;
use crate::overview::Overview;
use crate::settings::Settings;
use crate::shell::{Shell, shell};
use crate::{autostart, commands, events, links, notify, overview, tray, window};

/// Name of the application on the session bus; homes of their own have instances of their own.
const BUS_NAME: &str = "app.evenfold.desktop";

/// Runs the application until it ends.
///
/// # Errors
/// When the toolkit cannot start, as without a screen.
pub(crate) fn run(args: Args, home: Home) -> tauri::Result<()> {
    let app = tauri::Builder::default()
        // First, so that a second instance ends before it does anything.
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .dbus_id(bus_name(&home))
                .callback(|app, words, _| {
                    let other = Args::of_other(words);
                    if !other.background {
                        window::open(app, other.link.as_deref().and_then(links::route));
                    }
                })
                .build(),
        )
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
                .build(),
        )
        .invoke_handler(tauri::generate_handler![
            commands::request,
            commands::take_over,
            commands::read_text,
            commands::scan_folder,
            commands::pick_folder,
            commands::save_text,
            commands::open_path,
            commands::reveal_path,
            commands::shell_info,
            commands::autostart_get,
            commands::autostart_set,
            commands::app_settings_get,
            commands::app_settings_set,
            commands::notify_test,
            commands::quit,
        ])
        .setup(move |app| {
            set_up(app.handle(), &args, home);
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run(on_event);
    Ok(())
}

/// Two homes are two nodes, each with a desktop of its own; the usual one has the plain name.
fn bus_name(home: &Home) -> String {
    if Home::locate(None, None).is_ok_and(|usual| usual == *home) {
        return BUS_NAME.to_owned();
    }
    let hash =
        home.dir().as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{BUS_NAME}.h{hash:016x}")
}

fn set_up(app: &AppHandle, args: &Args, home: Home) {
    let settings = Arc::new(Settings::load(&home));
    // Listened for before there is anything to end: whoever sees the node answer may ask the application to end.
    #[cfg(unix)]
    let signals = tauri::async_runtime::block_on(async { Signals::listen() });
    let engine = tauri::async_runtime::block_on(async { Engine::start(home) });
    let (told, known) = watch::channel(Overview::default());
    app.manage(Shell::new(Arc::clone(&engine), settings, known.clone()));
    if !args.background {
        window::open(app, args.link.as_deref().and_then(links::route));
    }
    notify::listen(app);
    spawn(overview::keep(app.clone(), Arc::clone(&engine), told));
    spawn(events::pump(app.clone(), Arc::clone(&engine)));
    spawn(follow_tray(app.clone(), known));
    spawn(notify::needs(app.clone()));
    spawn(notify::summaries(app.clone()));
    spawn(end_with_engine(app.clone(), engine));
    #[cfg(unix)]
    match signals {
        Ok(signals) => drop(spawn(end_with_signal(app.clone(), signals))),
        Err(error) => tracing::warn!(
            %error,
            "signals cannot be listened for; they end the application at once, which loses nothing"
        ),
    }
    #[cfg(target_os = "linux")]
    {
        spawn(tray::presence::keep(app.clone()));
        spawn(crate::theme::follow(app.clone()));
    }
    #[cfg(not(target_os = "linux"))]
    match tray::show::create(app) {
        Ok(()) => shell(app).tray_changed(true),
        Err(error) => tracing::warn!(%error, "there is no tray"),
    }
    let app = app.clone();
    spawn_blocking(move || match autostart::of(shell(&app).engine.home()) {
        Ok(autostart) => autostart.repair(),
        Err(error) => tracing::warn!(%error, "the start at login could not be looked at"),
    });
}

/// Brings the tray up to date whenever something is known anew.
async fn follow_tray(app: AppHandle, mut known: watch::Receiver<Overview>) {
    while known.changed().await.is_ok() {
        let handle = app.clone();
        if app.run_on_main_thread(move || tray::show::refresh(&handle)).is_err() {
            return;
        }
    }
}

/// A node that somebody else asked to end, over the control socket, takes the application with it.
async fn end_with_engine(app: AppHandle, engine: Arc<Engine>) {
    engine.ended().await;
    quit(&app);
}

/// The signals that ask a program to end.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Begins to listen; from now on a signal is heard, however late it is asked for. Needs a runtime around it.
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

#[cfg(unix)]
async fn end_with_signal(app: AppHandle, mut signals: Signals) {
    tokio::select! {
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    quit(&app);
}

/// Ends the node, if it runs here, and then the application. Returns at once.
pub(crate) fn quit(app: &AppHandle) {
    if shell(app).begin_to_end() {
        return;
    }
    tracing::info!("the application ends");
    let app = app.clone();
    spawn(async move {
        shell(&app).tray_changed(false);
        let engine = Arc::clone(&shell(&app).engine);
        engine.end().await;
        let handle = app.clone();
        // The tray belongs to the main thread, as everything that is seen.
        let asked = app.run_on_main_thread(move || {
            shell(&handle).tray.hide();
            handle.exit(0);
        });
        if asked.is_err() {
            app.exit(0);
        }
    });
}

fn on_event(app: &AppHandle, event: RunEvent) {
    match event {
        // The last window is gone; whether the application goes with it is decided here.
        RunEvent::ExitRequested { code: None, api, .. } => {
            api.prevent_exit();
            if !shell(app).lives_without_window() {
                quit(app);
            }
        }
        #[cfg(not(target_os = "linux"))]
        RunEvent::WindowEvent { event: WindowEvent::ThemeChanged(theme), .. } => {
            let theme = match theme {
                tauri::Theme::Dark => crate::shell::Theme::Dark,
                _ => crate::shell::Theme::Light,
            };
            if shell(app).desktop_prefers(Some(theme)) {
                events::tell(app, "evenfold://theme", &theme);
                tray::show::refresh(app);
            }
        }
        RunEvent::WindowEvent { event: WindowEvent::Destroyed, label, .. } => {
            tracing::debug!(label, "the window is gone, and its web process with it");
        }
        #[cfg(target_os = "macos")]
        RunEvent::Opened { urls } => {
            window::open(app, urls.first().and_then(|url| links::route(url.as_str())));
        }
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::open(app, None),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_have_instances_of_their_own() {
        let name = |dir: &str| bus_name(&Home::at(dir.into()).unwrap());
        assert_ne!(name("/a"), name("/b"));
        assert_eq!(name("/a"), name("/a"));
        assert!(
            name("/a")
                .split('.')
                .all(|part| !part.is_empty() && !part.starts_with(|c: char| c.is_ascii_digit()))
        );
    }
}
