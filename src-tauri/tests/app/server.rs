//! The desktop's notification server and its portal for settings, as far as the application asks them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use zbus::blocking::{Connection, connection};
use zbus::interface;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedValue, Value};

/// A notification that was shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: u32,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) actions: Vec<String>,
}

struct Server(Arc<Mutex<Vec<Shown>>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Server {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        _app: String,
        replaces: u32,
        _icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let mut shown = self.0.lock().unwrap();
        let id = if replaces == 0 { shown.len() as u32 + 1 } else { replaces };
        shown.push(Shown { id, title, body, actions });
        id
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body"].map(str::to_owned).to_vec()
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("test".into(), "test".into(), "1".into(), "1.2".into())
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, action: &str) -> zbus::Result<()>;
}

struct Portal(Arc<Mutex<u32>>);

#[interface(name = "org.freedesktop.portal.Settings")]
impl Portal {
    fn read_one(&self, namespace: String, key: String) -> zbus::fdo::Result<OwnedValue> {
        if (namespace.as_str(), key.as_str()) != ("org.freedesktop.appearance", "color-scheme") {
            return Err(zbus::fdo::Error::Failed("no such setting".into()));
        }
        Ok(OwnedValue::from(*self.0.lock().unwrap()))
    }

    #[zbus(signal)]
    async fn setting_changed(
        emitter: &SignalEmitter<'_>,
        namespace: &str,
        key: &str,
        value: Value<'_>,
    ) -> zbus::Result<()>;
}

/// The two services.
pub(crate) struct Notifications {
    shown: Arc<Mutex<Vec<Shown>>>,
    scheme: Arc<Mutex<u32>>,
    bus: Connection,
}

pub(crate) fn start(address: &str) -> Notifications {
    let (shown, scheme) = (Arc::default(), Arc::default());
    let bus = connection::Builder::address(address)
        .unwrap()
        .serve_at("/org/freedesktop/Notifications", Server(Arc::clone(&shown)))
        .unwrap()
        .serve_at("/org/freedesktop/portal/desktop", Portal(Arc::clone(&scheme)))
        .unwrap()
        .name("org.freedesktop.Notifications")
        .unwrap()
        .name("org.freedesktop.portal.Desktop")
        .unwrap()
        .build()
        .unwrap();
    Notifications { shown, scheme, bus }
}

impl Notifications {
    /// All that were shown so far.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.shown.lock().unwrap().clone()
    }

    /// Clicks on one.
    pub(crate) fn click(&self, id: u32) {
        let signal = self.bus.emit_signal(
            None::<&str>,
            "/org/freedesktop/Notifications",
            "org.freedesktop.Notifications",
            "ActionInvoked",
            &(id, "default"),
        );
        signal.unwrap();
    }

    /// Changes what the desktop prefers: 1 is dark, 2 is light.
    pub(crate) fn prefer(&self, scheme: u32) {
        *self.scheme.lock().unwrap() = scheme;
        let signal = self.bus.emit_signal(
            None::<&str>,
            "/org/freedesktop/portal/desktop",
            "org.freedesktop.portal.Settings",
            "SettingChanged",
            &("org.freedesktop.appearance", "color-scheme", Value::U32(scheme)),
        );
        signal.unwrap();
    }
}
