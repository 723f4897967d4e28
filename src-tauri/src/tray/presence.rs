//! Whether this desktop shows tray icons: somebody has to own `org.kde.StatusNotifierWatcher` on the session bus. At login
//! the panel may come after us, and it may go and come back.

use std::time::Duration;

use futures_lite::StreamExt as _;
use tauri::{AppHandle, Manager as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use super::show;
use crate::notify;
use crate::shell::Shell;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";

/// How long the panel may take to come before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A watcher is there before its panel at times: how often and how long it is tried again.
const AGAIN: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 15;

/// Shows the tray icon whenever there is a place for it, and says once if there is none.
pub(crate) async fn keep(app: AppHandle) {
    if let Err(error) = follow(&app).await {
        tracing::info!(%error, "there is no session bus to show a tray icon by");
        missing(&app).await;
    }
}

async fn follow(app: &AppHandle) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let names = DBusProxy::new(&bus).await?;
    let mut changes = names.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    let mut there = names.name_has_owner(BusName::try_from(WATCHER)?).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        let shown = there && show_it(app).await;
        app.state::<Shell>().tray_changed(shown);
        let change = if shown || told {
            changes.next().await
        } else {
            tokio::select! {
                change = changes.next() => change,
                () = tokio::time::sleep_until(deadline) => {
                    told = true;
                    missing(app).await;
                    continue;
                }
            }
        };
        let Some(change) = change else { return Ok(()) };
        there = change.args()?.new_owner().is_some();
    }
}

async fn show_it(app: &AppHandle) -> bool {
    for _ in 0..ATTEMPTS {
        let (tell, told) = oneshot::channel();
        let handle = app.clone();
        let asked = app.run_on_main_thread(move || {
            // Nobody listens only when the process ends.
            _ = tell.send(show::create(&handle).map_err(|error| error.to_string()));
        });
        match (asked, told.await) {
            (Ok(()), Ok(Ok(()))) => return true,
            (Ok(()), Ok(Err(error))) => tracing::info!(error, "the tray icon cannot be shown yet"),
            _ => return false,
        }
        sleep(AGAIN).await;
    }
    false
}

/// Says once and for all that this desktop shows no tray icons.
async fn missing(app: &AppHandle) {
    tracing::info!("this desktop shows no tray icons; the window is all there is");
    let shell = app.state::<Shell>();
    if shell.settings.memory().told_no_tray {
        return;
    }
    notify::no_tray(app);
    if let Err(error) = shell.settings.remember(|memory| memory.told_no_tray = true) {
        tracing::warn!(%error, "it cannot be remembered that this was said");
    }
}
