//! What the core asks of the settings.

use evenfold_core::select::{Select, Sizes};
use evenfold_core::{ConflictRule, Deletion, Flow as CoreFlow, Guard, Policy, Side};

use super::{Conflict, Flow, Settings};

/// A pair of endpoints as the spoke that drives it sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Name of our node.
    pub ours: &'a str,
    /// Name of the hub.
    pub theirs: &'a str,
    /// Which of the two is the source where changes travel one way.
    pub source: Side,
    /// Whether our node may change the hub's folder; otherwise nothing travels there.
    pub may_write: bool,
}

impl Settings {
    /// Returns the rules by which paths take part.
    pub fn select(&self) -> Select {
        Select {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            hidden: self.hidden,
            sizes: Sizes { min: self.size_min, max: self.size_max },
        }
    }

    /// Returns how many deletions pass without asking.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// Returns what happens elsewhere when a user deletes something.
    pub fn deletion(&self) -> Deletion {
        self.delete
    }

    /// Returns what becomes of conflicts of a pair. Where a node is preferred that is neither of the two, both
    /// versions are kept: the preference is carried out where that node takes part.
    pub fn conflict_rule(&self, part: Part<'_>) -> ConflictRule {
        match &self.conflict {
            Conflict::KeepBoth => ConflictRule::KeepBoth,
            Conflict::Newest => ConflictRule::Newest,
            Conflict::Refuse => ConflictRule::Refuse,
            Conflict::Prefer(node) if node == part.ours => ConflictRule::Prefer(Side::Ours),
            Conflict::Prefer(node) if node == part.theirs => ConflictRule::Prefer(Side::Theirs),
            Conflict::Prefer(_) => ConflictRule::KeepBoth,
        }
    }

    /// Returns the direction of changes of a pair.
    pub fn core_flow(&self, part: Part<'_>) -> CoreFlow {
        match self.flow {
            Flow::Both if part.may_write => CoreFlow::Both,
            Flow::Both => CoreFlow::From(Side::Theirs),
            Flow::OneWay => CoreFlow::From(part.source),
            Flow::None => CoreFlow::None,
        }
    }

    /// Returns the options that the reconcile of a pair obeys.
    pub fn policy(&self, part: Part<'_>) -> Policy {
        Policy { flow: self.core_flow(part), deletion: self.delete, conflict: self.conflict_rule(part) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Kind;

    fn check(kind: Kind, set: &[(&str, &str)], flow: CoreFlow, conflict: ConflictRule) {
        let pairs: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let settings = Settings::parse(kind, &pairs).unwrap();
        let part = Part { ours: "desk", theirs: "nas", source: Side::Theirs, may_write: true };
        let policy = settings.policy(part);
        assert_eq!((policy.flow, policy.conflict), (flow, conflict), "{kind} {set:?}");
    }

    #[test]
    fn member_that_may_only_read_sends_nothing() {
        let part = Part { ours: "desk", theirs: "nas", source: Side::Theirs, may_write: false };
        for (kind, flow) in [
            (Kind::TwoWay, CoreFlow::From(Side::Theirs)),
            (Kind::Manual, CoreFlow::From(Side::Theirs)),
            (Kind::Mirror, CoreFlow::From(Side::Theirs)),
            (Kind::Compare, CoreFlow::None),
        ] {
            assert_eq!(Settings::preset(kind).policy(part).flow, flow, "{kind}");
        }
    }

    #[test]
    fn a_pair_obeys_the_settings_from_its_own_side() {
        check(Kind::TwoWay, &[], CoreFlow::Both, ConflictRule::KeepBoth);
        check(Kind::TwoWay, &[("conflict", "prefer:desk")], CoreFlow::Both, ConflictRule::Prefer(Side::Ours));
        check(
            Kind::TwoWay,
            &[("conflict", "prefer:nas")],
            CoreFlow::Both,
            ConflictRule::Prefer(Side::Theirs),
        );
        check(Kind::TwoWay, &[("conflict", "prefer:pi")], CoreFlow::Both, ConflictRule::KeepBoth);
        check(Kind::Mirror, &[], CoreFlow::From(Side::Theirs), ConflictRule::Refuse);
        check(Kind::Compare, &[], CoreFlow::None, ConflictRule::KeepBoth);
    }
}
