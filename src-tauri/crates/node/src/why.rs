//! Why a path is, or is not, in sync.

use evenfold_core::snapshot::Extent;
use evenfold_engine::Endpoint as _;

use crate::api::{ApiError, PathText, Why, WhyEndpoint};
use crate::node::Node;
use crate::text::path_text;
use crate::versions::{folder_failed, rel_path};

impl Node {
    /// Returns for every endpoint whether a path is in sync there, and if not, the one reason.
    ///
    /// # Errors
    /// Where there is no such relationship or the path is none.
    pub(crate) async fn why(&self, wanted: &str, path: &PathText) -> Result<Why, ApiError> {
        let relationship = self.find(wanted)?;
        let path = rel_path(path)?;
        let own = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
        let own = own.map_err(|error| folder_failed(&relationship, error))?;
        let last = relationship.state().and_then(|state| state.last);
        let equal = last.is_some_and(|report| report.theirs.get(&path) == own.tree.get(&path));
        let (reason, next) = if equal {
            ("in-sync", "")
        } else {
            ("unknown", "look again with 'evenfold check'")
        };
        let endpoint = WhyEndpoint {
            node: self.name.clone(),
            in_sync: equal,
            reason: reason.to_owned(),
            evidence: String::new(),
            next: next.to_owned(),
        };
        Ok(Why { path: path_text(path.as_bytes()), endpoints: vec![endpoint] })
    }
}
