//! What a folder on a host was recognised by when it was joined.

use evenfold_store::Store;
use uuid::Uuid;

use crate::local::Mark;
use crate::record::now_micros;

/// Scope in the store, by relationship.
const SCOPE: &str = "host-folder";

/// Notes the identity that the folder got.
pub(super) async fn remember(store: &Store, relationship: Uuid, identity: u128) {
    let (key, value) = (relationship.to_string(), identity.to_string());
    if let Err(error) = store.settings().set(SCOPE, &key, &value, now_micros()).await {
        // The marker still has to be there, only a copy of the folder is not told from it.
        tracing::warn!(%error, "the identity of the folder on the host could not be noted");
    }
}

/// Returns how the folder is recognised.
pub(super) async fn mark(store: &Store, relationship: Uuid, only_compares: bool) -> Mark {
    if only_compares {
        return Mark::Look;
    }
    match store.settings().get(SCOPE, &relationship.to_string()).await {
        Ok(Some(identity)) => Mark::Expect(identity.parse().ok()),
        Ok(None) => Mark::Create,
        Err(error) => {
            tracing::warn!(%error, "the identity of the folder on the host cannot be read");
            Mark::Expect(None)
        }
    }
}

/// Forgets it with the relationship.
pub(super) async fn forget(store: &Store, relationship: Uuid) {
    if let Err(error) = store.settings().remove(SCOPE, &relationship.to_string()).await {
        tracing::debug!(%error, "the identity of a folder on a host stays noted, which harms nobody");
    }
}
