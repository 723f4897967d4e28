//! What each member may do with the hub's folder: kept and enforced by the hub, known to the member, so that it says what
//! of its own stays there instead of trying to send it.

use std::sync::Arc;

use evenfold_ssh::PeerKey;
use evenfold_store::{MemberRow, Permission, Store, StoreError};
use evenfold_wire::Share;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{ApiError, ErrorCode, Event, RelationshipInfo};
use crate::local::lock;
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::settings::{Access, Flow, Settings};

/// Scope in the store, at a member: what it may do, by relationship.
const OWN: &str = "own-access";

/// How the right to change a folder is written on the wire.
const READ_WRITE: &str = "rw";

/// What the hub tells a member about its access.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccessRequest {
    pub(crate) relationship: Uuid,
    pub(crate) access: String,
}

/// Tells whether a member may change the hub's folder. Where changes travel one way only sources have a reason to.
pub(crate) fn may_write(member: &MemberRow, settings: &Settings) -> bool {
    let one_way = settings.flow == Flow::OneWay;
    member.permission == Permission::ReadWrite && (!one_way || member.role == "source")
}

/// Returns the access that a permission means.
pub(crate) fn access_of(permission: Permission) -> Access {
    match permission {
        Permission::ReadWrite => Access::Write,
        Permission::ReadOnly => Access::Read,
    }
}

/// Returns the access of a member as it is shown: nothing where only the flow decides who writes.
pub(crate) fn shown(access: Access, role: &str, settings: &Settings) -> Option<String> {
    let decides = match settings.flow {
        Flow::Both => true,
        Flow::OneWay => role == "source",
        Flow::None => false,
    };
    decides.then(|| access.word().to_owned())
}

fn permission_of(access: Access) -> Permission {
    match access {
        Access::Write => Permission::ReadWrite,
        Access::Read => Permission::ReadOnly,
    }
}

/// Returns the access that a share says the asking machine has.
pub(crate) fn access_told(share: &Share) -> Access {
    match share.permissions.iter().any(|permission| permission == READ_WRITE) {
        true => Access::Write,
        false => Access::Read,
    }
}

/// Returns the permissions of a share as they travel.
pub(crate) fn permissions_told(permission: Permission) -> Vec<String> {
    match permission {
        Permission::ReadWrite => vec![READ_WRITE.to_owned()],
        Permission::ReadOnly => vec!["ro".to_owned()],
    }
}

/// Scope in the store, at a hub: what somebody has set for each machine, by its fingerprint. It outlives the membership, so
/// that nobody gains access by leaving and joining again.
fn set_for(relationship: Uuid) -> String {
    format!("access-{relationship}")
}

/// Returns what a machine that joins may do.
///
/// # Errors
/// Where the database fails.
pub(crate) async fn permission_at_joining(
    store: &Store,
    relationship: Uuid,
    peer: &PeerKey,
    settings: &Settings,
) -> Result<Permission, StoreError> {
    let set = store.settings().get(&set_for(relationship), &peer.fingerprint()).await?;
    let set = set.as_deref().and_then(Access::from_word);
    Ok(permission_of(set.unwrap_or(settings.access)))
}

/// Returns what this node may do at the hub, as the hub said last.
pub(crate) async fn own_access(store: &Store, relationship: Uuid) -> Result<Access, StoreError> {
    let text = store.settings().get(OWN, &relationship.to_string()).await?;
    Ok(text.as_deref().and_then(Access::from_word).unwrap_or(Access::Write))
}

impl Node {
    /// Says what each member may do, where this node is the hub, or what this node may; `member` and `access` (`read`,
    /// `write`, `default`) change it first. A member that is connected obeys at once; the others when they connect,
    /// and the hub refuses what they may not from now on.
    ///
    /// # Errors
    /// Where this node is not the hub, there is no such member, or `access` is no word for it.
    pub(crate) async fn rel_access(
        self: &Arc<Self>,
        wanted: &str,
        change: Option<(&str, &str)>,
    ) -> Result<RelationshipInfo, ApiError> {
        let relationship = self.find(wanted)?;
        if let Some((member, access)) = change {
            self.set_access(&relationship, member, access).await?;
        }
        self.relationship_info(&relationship).await
    }

    async fn set_access(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        member: &str,
        access: &str,
    ) -> Result<(), ApiError> {
        let row = relationship.row();
        if let Some(hub) = relationship.hub_name() {
            let message = format!("'{}' is shared by {hub}, which decides; nothing was changed", row.name);
            let hint = format!("on {hub}: evenfold rel access {} {} {access}", row.name, self.name);
            return Err(ApiError::new(ErrorCode::Refused, message).with_hint(hint));
        }
        let usual = relationship.settings().access;
        let (set, access) = match (access, Access::from_word(access)) {
            (_, Some(access)) => (true, access),
            ("default", None) => (false, usual),
            _ => {
                let message = format!("'{access}' is no access; nothing was changed");
                return Err(ApiError::new(ErrorCode::Usage, message).with_hint("read, write or default"));
            }
        };
        let peer = self.peer(member).await?;
        let (key, scope) = (PeerKey::from_bytes(peer.key), set_for(row.id));
        if self.store.members().get(row.id, &peer.key).await.map_err(db)?.is_none() {
            let names = self.relationship_info(relationship).await?.members.join(", ");
            let message = format!("'{member}' has not joined '{}'; nothing was changed", row.name);
            let hint = format!("members: {names}; for machines that will join: --set access=read");
            return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint));
        }
        // First shut, then noted: whatever fails after this, nothing is written that should not be.
        self.store.members().permit(row.id, &peer.key, permission_of(access)).await.map_err(db)?;
        let settings = self.store.settings();
        match set {
            true => {
                settings.set(&scope, &key.fingerprint(), access.word(), now_micros()).await.map_err(db)?
            }
            false => _ = settings.remove(&scope, &key.fingerprint()).await.map_err(db)?,
        }
        let request = AccessRequest { relationship: row.id, access: access.word().to_owned() };
        if let Err(error) = self.ask(&key, "access", &request).await {
            tracing::info!(%error, member, "a member learns of its access when it connects");
        }
        self.tell(Event::Relationship { id: row.id.to_string() });
        Ok(())
    }

    /// Takes over what the hub says that this node may do.
    pub(crate) async fn adopt_access(
        self: &Arc<Self>,
        relationship: &Relationship,
        access: Access,
    ) -> Result<(), ApiError> {
        if *lock(&relationship.access) == access {
            return Ok(());
        }
        self.remember_access(relationship.row().id, access).await?;
        *lock(&relationship.access) = access;
        relationship.adopt(relationship.settings(), &self.name, self.serves()).await?;
        self.tell(Event::Relationship { id: relationship.row().id.to_string() });
        Ok(())
    }

    pub(crate) async fn remember_access(&self, relationship: Uuid, access: Access) -> Result<(), ApiError> {
        let settings = self.store.settings();
        settings.set(OWN, &relationship.to_string(), access.word(), now_micros()).await.map_err(db)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Kind;

    fn check(kind: Kind, role: &str, permission: Permission, expected: bool) {
        let member = MemberRow {
            relationship: Uuid::nil(),
            peer: [7; 32],
            role: role.to_owned(),
            permission,
            joined: 0,
            last_seen: None,
            endpoint: String::new(),
            drift: None,
            state: None,
        };
        assert_eq!(may_write(&member, &Settings::preset(kind)), expected, "{kind} {role} {permission:?}");
    }

    #[test]
    fn member_writes_where_it_may_and_changes_come_from_it() {
        use Permission::{ReadOnly, ReadWrite};
        check(Kind::TwoWay, "spoke", ReadWrite, true);
        check(Kind::TwoWay, "spoke", ReadOnly, false);
        check(Kind::Mirror, "destination", ReadWrite, false);
        check(Kind::Mirror, "source", ReadWrite, true);
        check(Kind::Relay, "source", ReadOnly, false);
        check(Kind::Relay, "destination", ReadWrite, false);
    }
}
