//! Looking after the node: self-check, retention, log, settings.

use evenfold_fs::versions::Keep;

use crate::api::{ApiError, ConfigEntry, DoctorFinding, ErrorCode, GcReport};
use crate::config::{Config, Flags};
use crate::home::Home;
use crate::node::{Node, db};
use crate::versions::folder_failed;

impl Node {
    pub(crate) async fn doctor(&self) -> Result<Vec<DoctorFinding>, ApiError> {
        Ok(Vec::new())
    }

    /// Drops what retention no longer keeps.
    pub(crate) async fn gc(&self) -> Result<GcReport, ApiError> {
        let mut report = GcReport::default();
        for relationship in self.all() {
            let settings = relationship.settings();
            let keep = Keep { age: settings.versions_keep, bytes: settings.versions_max };
            let dropped = relationship.local.on_disk(move |replica| replica.drop_versions(&keep)).await;
            let dropped = dropped.map_err(|error| folder_failed(&relationship, error))?;
            let dropped = dropped.map_err(|error| folder_failed(&relationship, error))?;
            report.versions += dropped.sets;
            report.bytes += dropped.bytes;
        }
        self.store.history().index_pending().await.map_err(db)?;
        Ok(report)
    }

    /// Returns the newest lines of the log.
    pub(crate) async fn log(&self, lines: u32) -> Result<Vec<String>, ApiError> {
        let file = self.home.join("log").join("evenfold.log");
        let text = tokio::fs::read_to_string(&file).await.unwrap_or_default();
        let all: Vec<_> = text.lines().map(str::to_owned).collect();
        Ok(all.into_iter().rev().take(lines as usize).rev().collect())
    }

    /// Returns the settings of the node and where each comes from.
    pub(crate) fn config_show(&self) -> Result<Vec<ConfigEntry>, ApiError> {
        let home = Home::at(self.home.clone())
            .map_err(|error| ApiError::new(ErrorCode::Io, error.to_string()).with_hint(error.hint()))?;
        let config = Config::load(&home, &Flags::default(), &|variable| std::env::var_os(variable))?;
        Ok(config.entries())
    }
}
