//! Listing, showing and changing relationships.

use std::sync::Arc;

use evenfold_store::Pause;

use crate::access::access_of;
use crate::api::{ApiError, ErrorCode, Event, PathText, RelationshipInfo, Setting};
use crate::join::{to_json, wrong_setting};
use crate::local::lock;
use crate::node::{Node, db};
use crate::relationship::Relationship;
use crate::serving::node_client;
use evenfold_engine::Command;
use evenfold_ssh::PeerKey;

impl Node {
    /// Describes one relationship.
    pub(crate) async fn relationship_info(
        &self,
        relationship: &Relationship,
    ) -> Result<RelationshipInfo, ApiError> {
        let row = relationship.row();
        let mut members = Vec::new();
        let mut member_access = std::collections::BTreeMap::new();
        if row.hub.is_none() {
            for member in self.store.members().list(row.id).await.map_err(db)? {
                let peer = self.store.peers().get(&member.peer).await.map_err(db)?;
                let name =
                    peer.map_or_else(|| PeerKey::from_bytes(member.peer).fingerprint(), |peer| peer.name);
                member_access.insert(name.clone(), access_of(member.permission).word().to_owned());
                members.push(name);
            }
        }
        Ok(RelationshipInfo {
            id: row.id.to_string(),
            name: row.name,
            kind: row.kind,
            role: row.role,
            path: PathText::from(row.root.as_path()),
            hub: relationship.hub_name(),
            share: row.hub_share,
            members,
            access: row.hub.map(|_| lock(&relationship.access).word().to_owned()),
            member_access,
            paused: row.pause != Pause::Running,
            settings: relationship.settings().to_pairs(),
            way: relationship.spoke().and_then(|spoke| lock(&spoke.way).clone()),
        })
    }

    pub(crate) async fn rel_list(&self) -> Result<Vec<RelationshipInfo>, ApiError> {
        let mut list = Vec::new();
        for relationship in self.all() {
            list.push(self.relationship_info(&relationship).await?);
        }
        Ok(list)
    }

    pub(crate) async fn rel_show(&self, wanted: &str) -> Result<RelationshipInfo, ApiError> {
        self.relationship_info(&*self.find(wanted)?).await
    }

    /// Changes settings; where this node is the hub, members take the shared ones over at once.
    pub(crate) async fn rel_edit(
        self: &Arc<Self>,
        wanted: &str,
        pairs: &[Setting],
    ) -> Result<RelationshipInfo, ApiError> {
        let relationship = self.find(wanted)?;
        let row = relationship.row();
        if row.hub.is_some() {
            let shared = |error: crate::settings::SettingError| {
                let hint = format!(
                    "change it where '{}' is shared, on {}",
                    row.name,
                    relationship.hub_name().unwrap_or_else(|| "the hub".to_owned())
                );
                ApiError::new(ErrorCode::Setting, error.to_string()).with_hint(hint)
            };
            crate::settings::check_endpoint_keys(pairs).map_err(shared)?;
        }
        let before = relationship.settings();
        let settings = before.with(pairs).map_err(wrong_setting)?;
        settings.check_effect(pairs, crate::settings::Stage::Running(&before)).map_err(wrong_setting)?;
        if row.hub.is_some() {
            self.record_own_settings(&relationship, pairs).await?;
        }
        self.change_settings(&relationship, settings).await?;
        if row.hub.is_none() {
            self.tell_members(&relationship).await;
        }
        self.relationship_info(&relationship).await
    }

    /// Records and adopts settings.
    pub(crate) async fn change_settings(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        settings: crate::settings::Settings,
    ) -> Result<(), ApiError> {
        let id = relationship.row().id;
        // What cannot be understood must not be stored.
        evenfold_fs::matcher::Matcher::new(&settings.select())
            .map_err(|error| ApiError::new(ErrorCode::Setting, error.to_string()))?;
        let json = to_json(&settings.overrides())?;
        self.store.relationships().set_settings(id, &json).await.map_err(db)?;
        crate::local::lock(&relationship.row).settings = json;
        relationship.adopt(settings, &self.name, self.serves()).await?;
        if let Some(hooks) = relationship.hooks.get() {
            // Commands that were set follow what comes from now on, so what has come is passed over before this is answered.
            hooks.look(self, relationship).await;
        }
        self.tell(Event::Relationship { id: id.to_string() });
        Ok(())
    }

    pub(crate) async fn rel_pause(self: &Arc<Self>, wanted: &str, pause: bool) -> Result<(), ApiError> {
        self.set_pause(wanted, if pause { Pause::Paused } else { Pause::Running }).await
    }

    /// Pauses or resumes a relationship and answers when it holds.
    pub(crate) async fn set_pause(self: &Arc<Self>, wanted: &str, state: Pause) -> Result<(), ApiError> {
        let relationship = self.find(wanted)?;
        let id = relationship.row().id;
        let pause = state != Pause::Running;
        self.store.relationships().set_pause(id, state).await.map_err(db)?;
        crate::local::lock(&relationship.row).pause = state;
        if let Pause::Until(until) = state {
            self.resume_in_time(id, until);
        }
        if let Some(delivery) = relationship.delivery() {
            if pause {
                delivery.handle.pause().await;
            } else {
                delivery.handle.resume().await;
            }
            // Answer only when it holds: whoever asked may change files next.
            let mut state = delivery.handle.state();
            _ = state.wait_for(|state| state.paused == pause).await;
        }
        match relationship.spoke() {
            Some(spoke) => {
                let command = if pause { Command::Pause } else { Command::Resume };
                spoke.driver.send(command).await.map_err(crate::relationship::stopped)?;
                // Answer only when it holds: whoever asked may change files next.
                let mut state = spoke.driver.state();
                _ = state.wait_for(|state| state.paused == pause && !(pause && state.running)).await;
            }
            None if pause => relationship.served.pause(),
            None => relationship.served.resume(),
        }
        self.tell(Event::Relationship { id: id.to_string() });
        Ok(())
    }

    /// Forgets a relationship. The folder stays as it is, and so do the history and the versions in it.
    pub(crate) async fn rel_remove(self: &Arc<Self>, wanted: &str) -> Result<(), ApiError> {
        let relationship = self.find(wanted)?;
        let row = relationship.row();
        if let Some(hub) = row.hub
            && let Some(connection) = self.network.connection(&PeerKey::from_bytes(hub))
        {
            // A hub that cannot be told keeps a member that never comes; its owner sees it as offline.
            let left = async {
                let client = node_client(self, &connection).await?;
                client.leave(row.id.as_u128()).await.map_err(|error| error.to_string())
            };
            if let Err(error) = left.await {
                tracing::warn!(error, "the hub could not be told that this node leaves");
            }
        }
        self.stop(row.id);
        self.store.relationships().remove(row.id).await.map_err(db)?;
        self.host_forget(row.id).await;
        if let Err(error) = crate::hooks::forget(&self.store, row.id).await {
            tracing::debug!(%error, "what its hooks followed stays noted, which harms nobody");
        }
        if let Err(error) = crate::local::forget_counters(&self.store, row.id).await {
            tracing::debug!(%error, "the counters of its folder stay noted, which harms nobody");
        }
        Ok(())
    }
}
