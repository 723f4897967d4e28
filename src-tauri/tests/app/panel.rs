//! A panel that shows tray icons: `org.kde.StatusNotifierWatcher` on the session bus, and what it sees of the items.

use std::sync::{Arc, Mutex};

use zbus::blocking::{Connection, Proxy, connection};
use zbus::interface;
use zbus::zvariant::{OwnedValue, Value};

use crate::process::eventually;

type Items = Arc<Mutex<Vec<String>>>;

struct Watcher(Items);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(
        &self,
        service: String,
        #[zbus(header)] header: zbus::message::Header<'_>,
    ) {
        let name = if service.starts_with('/') { header.sender().unwrap().to_string() } else { service };
        self.0.lock().unwrap().push(name);
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// A panel.
pub(crate) struct Panel {
    items: Items,
    bus: Connection,
}

/// An entry of a menu as the panel sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: i32,
    pub(crate) label: String,
    pub(crate) enabled: bool,
    pub(crate) children: Vec<Seen>,
}

impl Panel {
    pub(crate) fn start(address: &str) -> Panel {
        let items = Items::default();
        let bus = connection::Builder::address(address)
            .unwrap()
            .serve_at("/StatusNotifierWatcher", Watcher(Arc::clone(&items)))
            .unwrap()
            .name("org.kde.StatusNotifierWatcher")
            .unwrap()
            .build()
            .unwrap();
        Panel { items, bus }
    }

    /// Waits for the application's item.
    #[track_caller]
    pub(crate) fn item(&self) -> String {
        eventually("a tray item is registered", || self.items.lock().unwrap().last().cloned())
    }

    fn of_item(&self, name: &str) -> zbus::Result<OwnedValue> {
        let proxy = Proxy::new(&self.bus, self.item(), "/StatusNotifierItem", "org.kde.StatusNotifierItem")?;
        proxy.get_property(name)
    }

    /// The tooltip's text.
    pub(crate) fn tooltip(&self) -> String {
        let Ok(value) = self.of_item("ToolTip") else { return String::new() };
        /// Icon, pictures, title and text, as the specification of status items has them.
        type ToolTip = (String, Vec<(i32, i32, Vec<u8>)>, String, String);
        let tip: ToolTip = value.try_into().unwrap();
        tip.3
    }

    /// The picture: width, height, pixels.
    pub(crate) fn icon(&self) -> (i32, i32, Vec<u8>) {
        let value = self.of_item("IconPixmap").unwrap();
        let icons: Vec<(i32, i32, Vec<u8>)> = value.try_into().unwrap();
        icons.into_iter().next().unwrap()
    }

    /// The title.
    pub(crate) fn title(&self) -> String {
        self.of_item("Title").unwrap().try_into().unwrap()
    }

    fn menu_proxy(&self) -> zbus::Result<Proxy<'_>> {
        Proxy::new(&self.bus, self.item(), "/MenuBar", "com.canonical.dbusmenu")
    }

    /// The whole menu.
    pub(crate) fn menu(&self) -> Vec<Seen> {
        let proxy = self.menu_proxy().unwrap();
        let reply = proxy.call_method("GetLayout", &(0_i32, -1_i32, Vec::<&str>::new())).unwrap();
        let body = reply.body();
        type Layout = (u32, (i32, std::collections::HashMap<String, OwnedValue>, Vec<OwnedValue>));
        let (_, (_, _, children)): Layout = body.deserialize().unwrap();
        children.iter().map(|child| seen(child)).collect()
    }

    /// Labels of the first level; separators are empty.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.menu().into_iter().map(|entry| entry.label).collect()
    }

    /// Finds an entry by the beginning of its label, on any level; waits for it.
    #[track_caller]
    pub(crate) fn entry(&self, label: &str) -> Seen {
        fn find(entries: &[Seen], label: &str) -> Option<Seen> {
            entries.iter().find_map(|entry| {
                if entry.label.starts_with(label) {
                    Some(entry.clone())
                } else {
                    find(&entry.children, label)
                }
            })
        }
        eventually(&format!("the menu has {label:?}"), || find(&self.menu(), label))
    }

    /// Chooses an entry.
    #[track_caller]
    pub(crate) fn choose(&self, label: &str) {
        let entry = self.entry(label);
        assert!(entry.enabled, "{entry:?}");
        let proxy = self.menu_proxy().unwrap();
        proxy.call_method("Event", &(entry.id, "clicked", Value::I32(0), 0_u32)).unwrap();
    }

    /// Clicks on the icon.
    pub(crate) fn click(&self) {
        let proxy =
            Proxy::new(&self.bus, self.item(), "/StatusNotifierItem", "org.kde.StatusNotifierItem").unwrap();
        proxy.call_method("Activate", &(0_i32, 0_i32)).unwrap();
    }

    /// Waits until the first line of the menu begins with a text.
    #[track_caller]
    pub(crate) fn until_says(&self, text: &str) {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("the tray says {text:?}"), || {
                last = self.tooltip();
                last.starts_with(text).then_some(())
            });
        }));
        assert!(found.is_ok(), "the tray says {last:?} instead of {text:?}");
    }
}

fn seen(value: &Value<'_>) -> Seen {
    let value = match value {
        Value::Value(inner) => inner,
        other => other,
    };
    let Value::Structure(fields) = value else { panic!("{value:?}") };
    let [Value::I32(id), Value::Dict(properties), Value::Array(children)] = fields.fields() else {
        panic!("{fields:?}")
    };
    let text = |name: &str| -> Option<String> {
        let found: Option<Value<'_>> = properties.get(&name).unwrap();
        found.and_then(|value| String::try_from(value).ok())
    };
    let enabled: Option<Value<'_>> = properties.get(&"enabled").unwrap();
    Seen {
        id: *id,
        // Underscores mark letters; real ones are written twice.
        label: text("label")
            .unwrap_or_default()
            .replace("__", "\u{0}")
            .replace('_', "")
            .replace('\u{0}', "_"),
        enabled: enabled.and_then(|value| bool::try_from(value).ok()).unwrap_or(true),
        children: children.iter().map(seen).collect(),
    }
}
