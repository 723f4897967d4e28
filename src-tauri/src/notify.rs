//! Notifications: what `notices` says is due, shown by the desktop; a click opens the page where it can be seen to.

use std::sync::Arc;
use std::time::Duration;

use evenfold_node::api::{HistoryQuery, Reply, Request};
use jiff::{Timestamp, tz::TimeZone};
use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt as _;
use tokio::time::Instant;

use crate::events::until;
use crate::notices::Notices;
use crate::shell::shell;
use crate::tray::state::Need;
use crate::window;
use crate::words::Locale;

/// The key under which a notification carries its page.
const ROUTE: &str = "route";

/// Numbers by which the desktop knows ours; a newer one of a number replaces the older.
const NEEDS_YOU: i32 = 1;
const SUMMARY: i32 = 2;
const SHELL: i32 = 3;

/// The hour at which the day is summed up.
const EVENING: i8 = 18;

/// Rows of a day that are summed up at most.
const MOST_ROWS: u32 = 100_000;

/// Lets clicks open their pages.
pub(crate) fn listen(app: &AppHandle) {
    let handle = app.clone();
    let listened = app.notification().on_action(move |performed| {
        let shown = performed.notification();
        let route = shown.and_then(|shown| shown.extra().get(ROUTE)).and_then(|route| route.as_str());
        window::open(&handle, route.map(str::to_owned));
    });
    if let Err(error) = listened {
        tracing::warn!(%error, "clicks on notifications will do nothing");
    }
}

/// Shows what is due for as long as the process lives.
pub(crate) async fn needs(app: AppHandle) {
    let mut overview = shell(&app).overview.clone();
    let mut notices = Notices::default();
    loop {
        let needs = if shell(&app).settings.get().notifications.needs_you {
            shell(&app).summary().needs
        } else {
            Vec::new()
        };
        let due = notices.look(&needs, Instant::now());
        let locale = locale(&app);
        match due.tell.as_slice() {
            [] => {}
            [need] => show(&app, NEEDS_YOU, &locale.need(need), &hint(need, locale), &need.route()),
            several => {
                let lines: Vec<String> = several.iter().take(4).map(|need| locale.need(need)).collect();
                show(&app, NEEDS_YOU, &locale.needs(several.len()), &lines.join("\n"), "/needs-you");
            }
        }
        tokio::select! {
            changed = overview.changed() => if changed.is_err() { return },
            () = until(due.again) => {}
        }
    }
}

fn hint(need: &Need, locale: Locale) -> String {
    let text = match need {
        Need::EngineLost => locale.pick(
            "Start it again, or sync from this application.",
            "Starte ihn wieder oder gleiche von dieser Anwendung aus ab.",
        ),
        Need::Conflicts { .. } => locale.pick(
            "Both versions are kept. Click to decide.",
            "Beide Fassungen sind da. Klicke, um zu entscheiden.",
        ),
        Need::Held { approvable: true, .. } => locale
            .pick("Nothing was changed. Click to review.", "Nichts wurde geändert. Klicke, um es anzusehen."),
        _ => locale.pick("Click to see what can be done.", "Klicke, um zu sehen, was hilft."),
    };
    text.to_owned()
}

/// Says what was done, once a day, if that is wanted.
pub(crate) async fn summaries(app: AppHandle) {
    loop {
        let Some((day, wait)) = next_evening(Timestamp::now()) else { return };
        tokio::time::sleep(wait).await;
        let settings = Arc::clone(&shell(&app).settings);
        if !settings.get().notifications.daily_summary || settings.memory().summary.as_deref() == Some(&day) {
            // The clock may have been set back, or the machine slept: the next evening is found anew.
            tokio::time::sleep(Duration::from_secs(60)).await;
            continue;
        }
        let query =
            HistoryQuery { since: Some("24h".to_owned()), limit: Some(MOST_ROWS), ..HistoryQuery::default() };
        if let Ok(Reply::History(rows)) = shell(&app).engine.call(Request::History(query)).await {
            let rows: Vec<_> = rows.iter().filter(|row| row.path.is_some()).collect();
            let bytes = rows.iter().filter_map(|row| row.bytes).sum();
            let needs = shell(&app).summary().needs.len();
            let locale = locale(&app);
            let title = locale.pick("Evenfold today", "Evenfold heute");
            show(&app, SUMMARY, title, &locale.summary(rows.len() as u64, bytes, needs), "/history");
        }
        if let Err(error) = settings.remember(|memory| memory.summary = Some(day)) {
            tracing::warn!(%error, "it cannot be remembered that the day was summed up");
        }
    }
}

/// Returns the day of the next evening and how long it takes until then.
fn next_evening(now: Timestamp) -> Option<(String, Duration)> {
    let here = now.to_zoned(TimeZone::system());
    let today = here.with().hour(EVENING).minute(0).second(0).subsec_nanosecond(0).build().ok()?;
    let evening = if today.timestamp() > now { today } else { today.tomorrow().ok()? };
    let wait = Duration::try_from(evening.timestamp().duration_since(now)).ok()?;
    Some((evening.date().to_string(), wait))
}

/// Says that this desktop shows no tray icons.
pub(crate) fn no_tray(app: &AppHandle) {
    let locale = locale(app);
    let title =
        locale.pick("This desktop shows no tray icons", "Dieser Desktop zeigt keine Symbole in der Leiste");
    let body = locale.pick(
        "Evenfold therefore ends when its window is closed. On GNOME, the extension AppIndicator brings them.",
        "Evenfold endet darum mit seinem Fenster. In GNOME bringt sie die Erweiterung AppIndicator.",
    );
    show(app, SHELL, title, body, "/settings");
}

/// Shows that notifications work.
pub(crate) fn test(app: &AppHandle) {
    let locale = locale(app);
    let body = locale.pick("Notifications work.", "Benachrichtigungen kommen an.");
    show(app, SHELL, "Evenfold", body, "/settings/notifications");
}

fn locale(app: &AppHandle) -> Locale {
    Locale::chosen(shell(app).settings.get().locale)
}

fn show(app: &AppHandle, id: i32, title: &str, body: &str, route: &str) {
    let shown = app
        .notification()
        .builder()
        .id(id)
        .title(title)
        .body(body)
        .icon("evenfold")
        .extra(ROUTE, route)
        .show();
    if let Err(error) = shown {
        tracing::warn!(%error, title, "a notification could not be shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evening_is_always_ahead_and_less_than_25_hours_away() {
        let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        for minutes in (0..2880).step_by(7) {
            let now = start.checked_add(Duration::from_secs(minutes * 60)).unwrap();
            let (day, wait) = next_evening(now).unwrap();
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(25 * 3600), "{day} {wait:?}");
        }
    }
}
