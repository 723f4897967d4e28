//! What the desktop prefers, light or dark. The web view of Linux does not know, so the desktop's portal is asked.

use futures_lite::StreamExt as _;
use tauri::AppHandle;
use zbus::Connection;
use zbus::zvariant::{OwnedValue, Value};

use crate::events::tell;
use crate::shell::{Theme, shell};
use crate::tray;
use crate::window;

const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";

#[zbus::proxy(
    interface = "org.freedesktop.portal.Settings",
    default_service = "org.freedesktop.portal.Desktop",
    default_path = "/org/freedesktop/portal/desktop"
)]
trait PortalSettings {
    /// Of version 2 of the interface.
    fn read_one(&self, namespace: &str, key: &str) -> zbus::Result<OwnedValue>;
    /// Of version 1: a value within a value.
    fn read(&self, namespace: &str, key: &str) -> zbus::Result<OwnedValue>;
    #[zbus(signal)]
    fn setting_changed(&self, namespace: String, key: String, value: Value<'_>) -> zbus::Result<()>;
}

/// Follows what the desktop prefers for as long as the process lives.
pub(crate) async fn follow(app: AppHandle) {
    // Without a portal the session may still say it in a variable.
    adopt(&app, of_variable(&std::env::var("GTK_THEME").unwrap_or_default()));
    if let Err(error) = follow_portal(&app).await {
        tracing::debug!(%error, "the desktop does not say whether it prefers dark");
    }
}

async fn follow_portal(app: &AppHandle) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let portal = PortalSettingsProxy::new(&bus).await?;
    let mut changes = portal.receive_setting_changed().await?;
    let value = match portal.read_one(NAMESPACE, KEY).await {
        Ok(value) => value,
        Err(_) => portal.read(NAMESPACE, KEY).await?,
    };
    adopt(app, of_value(&value));
    while let Some(change) = changes.next().await {
        let change = change.args()?;
        if change.namespace == NAMESPACE && change.key == KEY {
            adopt(app, of_value(&change.value));
        }
    }
    Ok(())
}

fn adopt(app: &AppHandle, theme: Option<Theme>) {
    if !shell(app).desktop_prefers(theme) {
        return;
    }
    if let Some(theme) = theme {
        tell(app, "evenfold://theme", &theme);
    }
    let handle = app.clone();
    let asked = app.run_on_main_thread(move || {
        window::follow_theme(&handle);
        tray::show::refresh(&handle);
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "there is no main thread any more to change the theme on");
    }
}

/// The portal's values: 1 prefers dark, 2 prefers light, anything else says nothing.
fn of_value(value: &Value<'_>) -> Option<Theme> {
    match value {
        Value::Value(inner) => of_value(inner),
        Value::U32(1) => Some(Theme::Dark),
        Value::U32(2) => Some(Theme::Light),
        _ => None,
    }
}

fn of_variable(gtk_theme: &str) -> Option<Theme> {
    if gtk_theme.ends_with(":dark") || gtk_theme.ends_with("-dark") { Some(Theme::Dark) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_answer_is_read_in_both_versions() {
        assert_eq!(of_value(&Value::U32(1)), Some(Theme::Dark));
        assert_eq!(of_value(&Value::Value(Box::new(Value::U32(2)))), Some(Theme::Light));
        assert_eq!(of_value(&Value::U32(0)), None);
        assert_eq!(of_value(&Value::from("dark")), None);
    }

    #[test]
    fn variable_says_dark_or_nothing() {
        assert_eq!(of_variable("Adwaita:dark"), Some(Theme::Dark));
        assert_eq!(of_variable("Adwaita"), None);
    }
}
