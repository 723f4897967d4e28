//! Making a relationship with a host.

use std::sync::Arc;

use evenfold_ssh::stock::sftp::{SftpError, status};
use evenfold_ssh::stock::{Host, StockError, Target};
use evenfold_store::RelationshipRow;
use uuid::Uuid;

use super::hosts::failure;
use super::keeper::absolute;
use super::served::{Started, Unfit};
use crate::api::{ApiError, ErrorCode, HostAdd, RelationshipInfo, Secret};
use crate::join::{begin, folder, to_json, wrong_setting};
use crate::node::Node;
use crate::record::now_micros;
use crate::settings::{Flow, Kind, Settings, Stage};

/// The end of every message about a relationship that did not come about.
const NOTHING: &str = "nothing was changed";

impl Node {
    /// Makes a relationship between a folder here and one on a host, and begins to sync.
    pub(crate) async fn host_add(self: &Arc<Self>, add: &HostAdd) -> Result<RelationshipInfo, ApiError> {
        let kind: Kind = add.kind.parse().map_err(wrong_setting)?;
        if !matches!(kind, Kind::TwoWay | Kind::Mirror | Kind::SendOnce | Kind::Compare) {
            let message =
                format!("a relationship of the kind '{kind}' needs Evenfold on both machines; {NOTHING}");
            let hint = "with a host that has only SSH: two-way, mirror, send-once, compare";
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
        }
        let target: Target = add.target.parse().map_err(|error: evenfold_ssh::stock::ParseTargetError| {
            ApiError::new(ErrorCode::Usage, error.to_string())
                .with_hint("for example ssh://me@nas:22/srv/photos; /~/photos lies in the home folder")
        })?;
        let settings = Settings::parse(kind, &add.settings).map_err(wrong_setting)?;
        settings.check_effect(&add.settings, Stage::New).map_err(wrong_setting)?;
        if crate::delivery::delivers(&settings) && add.from_host {
            let message = format!("items are sent to a host, not from one; {NOTHING}");
            let hint = "name the folder of this machine first; to fetch from a host, use the kind mirror";
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
        }
        if matches!(settings.executor, crate::settings::Executor::Command(_)) {
            let message = format!("either a host or a command takes the items, not both; {NOTHING}");
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint("leave one of them out"));
        }
        let root = folder(&add.path)?;
        self.check_new_name(&add.name).await?;
        self.check_root_free(&root)?;
        for passphrase in &add.passphrases {
            self.hosts.take_passphrase(&passphrase.0);
        }
        self.try_host(&target, add, &settings).await?;
        let role = match settings.flow {
            Flow::Both => "spoke",
            // Where nothing travels, one side is what the other is measured against.
            Flow::OneWay | Flow::None if add.from_host => "destination",
            Flow::OneWay | Flow::None => "source",
        };
        let row = RelationshipRow {
            id: Uuid::new_v4(),
            name: add.name.clone(),
            kind: kind.name().to_owned(),
            role: role.to_owned(),
            root,
            hub: None,
            hub_share: Some(target.to_string()),
            settings: to_json(&settings.overrides())?,
            pause: begin(add.paused),
            created: now_micros(),
            root_identity: None,
            last_verified: None,
        };
        self.begin(row).await
    }

    /// Logs in once and looks whether the folder can be used, so that what is wrong is said now and not later.
    async fn try_host(&self, target: &Target, add: &HostAdd, settings: &Settings) -> Result<(), ApiError> {
        let mut may_write = settings.flow != Flow::None;
        let login = async {
            let mut login = self.hosts.login()?;
            login.accept = add.accept_keys.clone();
            login.connect(target).await
        };
        let host = login.await.map_err(|error| failure(&error, NOTHING))?;
        let started = match &settings.host_program {
            None => Err(Unfit::Fallback("the setting host.program is off".to_owned())),
            Some(program) => match Started::start(&host, program, &self.name).await {
                Ok(started) => started.look(target).await,
                Err(unfit) => Err(unfit),
            },
        };
        let found = match started {
            Ok(looked) => {
                // What is only read needs no marker where Evenfold can tell the folder by its inode.
                may_write &= settings.flow != Flow::OneWay || !add.from_host;
                Ok(Found {
                    path: crate::text::path_bytes(&looked.path).unwrap_or_default(),
                    exists: looked.exists,
                    is_folder: looked.is_folder,
                    writable: looked.writable,
                })
            }
            Err(Unfit::Refused(error)) => {
                host.close().await;
                let message = format!("{}: {}; {NOTHING}", target.host, error.message);
                return Err(ApiError::new(ErrorCode::Refused, message).with_hint(error.hint));
            }
            Err(Unfit::Fallback(why)) => look_over_sftp(&host, target).await.map_err(|error| {
                let error = failure(&error, NOTHING);
                ApiError { message: format!("{}; Evenfold is not used there: {why}", error.message), ..error }
            }),
        };
        host.close().await;
        let found = found?;
        let shown = format!("{} on {}", String::from_utf8_lossy(&found.path), target.host);
        let wrong = |what: &str| {
            let message = format!("{shown} {what}; {NOTHING}");
            let hint = "a folder is never created silently: make it first, or correct the path";
            Err(ApiError::new(ErrorCode::Folder, message).with_hint(hint))
        };
        match found {
            Found { exists: false, .. } => wrong("does not exist"),
            Found { is_folder: false, .. } => wrong("is not a folder"),
            Found { writable: false, .. } if may_write => wrong("may not be written to"),
            _ => Ok(()),
        }
    }

    /// Takes a passphrase for an encrypted key.
    pub(crate) fn host_unlock(&self, passphrase: &Secret) {
        self.hosts.take_passphrase(&passphrase.0);
    }

    /// Forgets what is noted of a folder on a host.
    pub(crate) async fn host_forget(&self, relationship: Uuid) {
        super::root::forget(&self.store, relationship).await;
    }
}

/// What is at a path on a host.
struct Found {
    path: Vec<u8>,
    exists: bool,
    is_folder: bool,
    writable: bool,
}

async fn look_over_sftp(host: &Host, target: &Target) -> Result<Found, StockError> {
    let sftp = host.sftp().await?;
    let path = absolute(&sftp, target).await?;
    let found = async {
        let real = sftp.real_path(&path).await?.await?.name()?;
        let found = sftp.lstat(&real).await?.await?.attributes()?;
        Ok(found.permissions.unwrap_or(0))
    };
    match found.await {
        Ok(permissions) => Ok(Found {
            exists: true,
            is_folder: permissions & 0o170_000 == 0o040_000,
            writable: permissions & 0o222 != 0,
            path,
        }),
        Err(SftpError::Status { code: status::NO_SUCH_FILE, .. }) => {
            Ok(Found { path, exists: false, is_folder: false, writable: false })
        }
        Err(error) => Err(StockError::Protocol {
            host: target.host.clone(),
            why: format!("{} cannot be used: {error}", String::from_utf8_lossy(&path)),
        }),
    }
}
