//! Relationships with hosts that are reached by OpenSSH's server: `ssh://user@host:port/path`.
//!
//! The node that has the relationship drives the pair alone: [`add`] makes it, [`keeper`] keeps a session. Where the host
//! has Evenfold, [`served`] is the folder there as the engine sees it; elsewhere [`endpoint`] is, and [`disk`] and
//! [`files`] carry its calls over SFTP. A row of such a
//! relationship has no hub, and the target in the place of the hub's share.

mod add;
mod disk;
mod endpoint;
mod files;
mod hosts;
mod inodes;
mod keeper;
mod root;
mod served;
mod shared;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::select::Select;
use evenfold_engine::Endpoint;
use evenfold_fs::apply::Rules;
use evenfold_fs::versions::Keep;
use evenfold_ssh::stock::Target;
use evenfold_store::{RelationshipRow, Store};
use tokio::sync::watch;

use crate::api::{Setting, WayInfo};
use crate::limits::Limits;
use crate::local::LocalEndpoint;
use crate::settings::{Flow, Kind, Program, Settings};
use endpoint::Place;
pub(crate) use hosts::Hosts;
pub(crate) use keeper::Keeper;

/// What a relationship with a host needs of its node.
pub(crate) struct Surroundings<'a> {
    pub(crate) hosts: &'a Arc<Hosts>,
    pub(crate) store: &'a Arc<Store>,
    pub(crate) local: &'a Arc<LocalEndpoint>,
    pub(crate) limits: &'a Arc<Limits>,
    pub(crate) tuning: &'a Arc<watch::Sender<Tuning>>,
}

/// What a keeper tells of its session.
pub(crate) struct Telling {
    /// Why there is none.
    pub(crate) refusal: Arc<Mutex<Option<String>>>,
    /// How the folder was reached last.
    pub(crate) way: Arc<Mutex<Option<WayInfo>>>,
    /// The folder while it can be reached.
    pub(crate) link: watch::Sender<Option<Arc<dyn Endpoint>>>,
}

/// What a folder on a host obeys; may change at any time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tuning {
    pub(crate) select: Select,
    pub(crate) rules: Rules,
    /// Whether it is looked at again and again.
    pub(crate) watch: bool,
    /// How long versions are kept there.
    pub(crate) keep: Keep,
    /// How long parts of interrupted transfers are kept there.
    pub(crate) lease: Duration,
    /// What is started there; only SFTP is used if `None`.
    pub(crate) program: Option<Program>,
    /// The kind and the settings that Evenfold there gets to know.
    pub(crate) kind: Kind,
    pub(crate) settings: Vec<Setting>,
}

/// Returns the host's folder of a relationship, if it has one.
pub(crate) fn target_of(row: &RelationshipRow) -> Option<Target> {
    let text = row.hub_share.as_deref().filter(|_| row.hub.is_none())?;
    text.parse().ok()
}

/// Makes the task that keeps the session of a relationship with a host.
pub(crate) fn keeper(
    row: &RelationshipRow,
    target: Target,
    settings: &Settings,
    around: &Surroundings<'_>,
    telling: Telling,
) -> Keeper {
    let place = Place {
        machine: target.host.clone(),
        path: Vec::new(),
        relationship: row.id,
        tuning: Arc::clone(around.tuning),
        store: Arc::clone(around.store),
        local: Arc::clone(around.local),
        limits: Arc::clone(around.limits),
    };
    let Telling { refusal, way, link } = telling;
    Keeper {
        hosts: Arc::clone(around.hosts),
        target,
        place,
        only_compares: settings.flow == Flow::None,
        limits: Arc::clone(around.limits),
        refusal,
        way,
        link,
        short_sessions: 0,
    }
}
