//! Conflicts that wait for a person.

use crate::api::{ApiError, ConflictInfo, ErrorCode};
use crate::node::Node;

impl Node {
    /// Returns the conflicts of one relationship, or of all.
    pub(crate) async fn conflicts(&self, wanted: Option<&str>) -> Result<Vec<ConflictInfo>, ApiError> {
        if let Some(wanted) = wanted {
            self.find(wanted)?;
        }
        Ok(Vec::new())
    }

    /// Decides a conflict.
    pub(crate) async fn resolve(&self, id: &str, _keep: &str) -> Result<(), ApiError> {
        let message = format!("no conflict '{}' waits here", id.escape_debug());
        Err(ApiError::new(ErrorCode::NotFound, message).with_hint("list them with 'evenfold conflicts'"))
    }
}
