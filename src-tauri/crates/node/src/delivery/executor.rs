//! A user's command as the one who delivers.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::delivery::Unit;
use evenfold_engine::delivery::Executor;
use evenfold_engine::delivery::command::{Subject, run};

use crate::back::Back;
use crate::relationship::Relationship;
use crate::settings::Executor as Setting;

/// Runs the relationship's command for each item.
pub(super) struct CommandExecutor {
    relationship: Back<Relationship>,
}

impl CommandExecutor {
    pub(super) fn shared(relationship: &Arc<Relationship>) -> Arc<dyn Executor> {
        Arc::new(CommandExecutor { relationship: Back::to(relationship) })
    }
}

/// Returns what is put into a command about an item of a relationship.
pub(super) fn subject(relationship: &Relationship, path: &evenfold_core::RelPath, id: &str) -> Subject {
    let row = relationship.row();
    let absolute = match path.is_root() {
        true => row.root.as_os_str().as_bytes().to_vec(),
        false => [row.root.as_os_str().as_bytes(), b"/", path.as_bytes()].concat(),
    };
    Subject { path: absolute, name: path.as_bytes().to_vec(), relationship: row.name, id: id.to_owned() }
}

#[async_trait]
impl Executor for CommandExecutor {
    async fn carry(&self, unit: &Unit, id: &str) -> Result<(), String> {
        let relationship = self.relationship.upgrade().ok_or("the relationship was stopped")?;
        let settings = relationship.settings();
        let Setting::Command(argv) = &settings.executor else {
            return Err("the relationship has no command any more".to_owned());
        };
        let subject = subject(&relationship, &unit.path, id);
        run(argv, &subject, settings.hook_timeout).await.map_err(|error| error.to_string())
    }
}
