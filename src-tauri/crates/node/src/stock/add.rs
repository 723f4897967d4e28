//! Making a relationship with a host.

use std::sync::Arc;

use evenfold_ssh::stock::sftp::{Sftp, SftpError};
use evenfold_ssh::stock::{StockError, Target};
use evenfold_store::{Pause, RelationshipRow};
use uuid::Uuid;

use super::hosts::failure;
use super::keeper::absolute;
use crate::api::{ApiError, ErrorCode, HostAdd, RelationshipInfo, Secret};
use crate::join::{folder, to_json, wrong_setting};
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
        self.try_host(&target, &add.accept_keys, settings.flow != Flow::None).await?;
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
            pause: Pause::Running,
            created: now_micros(),
            root_identity: None,
            last_verified: None,
        };
        self.begin(row).await
    }

    /// Logs in once and looks whether the folder can be used, so that what is wrong is said now and not later.
    async fn try_host(&self, target: &Target, accept: &[String], may_write: bool) -> Result<(), ApiError> {
        let try_it = async {
            let mut login = self.hosts.login()?;
            login.accept = accept.to_vec();
            let host = login.connect(target).await?;
            let sftp = host.sftp().await?;
            let path = absolute(&sftp, target).await?;
            let found = look(&sftp, &path).await;
            host.close().await;
            Ok::<_, StockError>((path, found))
        };
        let (path, found) = try_it.await.map_err(|error| failure(&error, NOTHING))?;
        let shown = format!("{} on {}", String::from_utf8_lossy(&path), target.host);
        let wrong = |what: &str| {
            let message = format!("{shown} {what}; {NOTHING}");
            let hint = "a folder is never created silently: make it first, or correct the path";
            Err(ApiError::new(ErrorCode::Folder, message).with_hint(hint))
        };
        match found {
            Ok(permissions) if permissions & 0o170_000 != 0o040_000 => wrong("is not a folder"),
            Ok(permissions) if may_write && permissions & 0o222 == 0 => wrong("may not be written to"),
            Ok(_) => Ok(()),
            Err(SftpError::Status { code: evenfold_ssh::stock::sftp::status::NO_SUCH_FILE, .. }) => {
                wrong("does not exist")
            }
            Err(error) => wrong(&format!("cannot be used: {error}")),
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

async fn look(sftp: &Sftp, path: &[u8]) -> Result<u32, SftpError> {
    let real = sftp.real_path(path).await?.await?.name()?;
    let found = sftp.lstat(&real).await?.await?.attributes()?;
    Ok(found.permissions.unwrap_or(0))
}
