//! The immutable result of a reconcile.

use crate::apply::Refusal;
use crate::digest::Digest;
use crate::entry::{Entry, ProblemKind};
use crate::path::RelPath;
use crate::policy::Side;

/// One change: `path` holds `old` and shall hold `new`. Both may be whole subtrees. Applied only where the
/// disk still holds `old`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: RelPath,
    /// What stands there, with everything below; `None`: nothing. Where `new` is a directory, too, only the
    /// permission bits are compared, because what is below has changes of its own.
    pub old: Option<Entry>,
    /// What shall stand there, with everything below; `None`: nothing. Where both are directories, only the
    /// permission bits change and children are left as they are.
    pub new: Option<Entry>,
}

/// Both sides changed one path, differently. Nothing at or below the path changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: RelPath,
    /// The last state on which both agreed.
    pub ancestor: Option<Entry>,
    /// What stands on our side.
    pub ours: Option<Entry>,
    /// What stands on their side.
    pub theirs: Option<Entry>,
}

/// Why a path does not converge although it is no conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It could not be looked at, or cannot take part, on this side.
    Problem(Side, ProblemKind),
    /// The receiving side of a one-way relationship was changed by itself.
    DestinationChanged,
    /// It exists only on the receiving side of a one-way relationship, where it was never sent.
    DestinationExtra,
    /// It was deleted on one side, and deletions do not travel.
    DeletionIgnored,
    /// The relationship only compares.
    CompareOnly,
    /// It has not been the same for as long as it has to be before it travels.
    Settling,
    /// The change was tried and refused on this side.
    Refused(Side, Refusal),
}

impl Reason {
    /// Returns the stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Problem(_, ProblemKind::Unreadable) => "unreadable",
            Reason::Problem(_, ProblemKind::Special) => "special-file",
            Reason::Problem(_, ProblemKind::Changing) => "still-changing",
            Reason::Problem(_, ProblemKind::NameClash) => "name-clash",
            Reason::Problem(_, ProblemKind::TooLong) => "path-too-long",
            Reason::Problem(_, ProblemKind::OtherFileSystem) => "other-file-system",
            Reason::Problem(_, ProblemKind::SuspectedRot) => "suspected-rot",
            Reason::Problem(_, ProblemKind::SizeLimit) => "size-limit",
            Reason::DestinationChanged => "destination-changed",
            Reason::DestinationExtra => "destination-extra",
            Reason::DeletionIgnored => "deletion-ignored",
            Reason::CompareOnly => "compare-only",
            Reason::Settling => "settling",
            Reason::Refused(_, refusal) => match refusal {
                Refusal::MovedOn => "moved-on",
                Refusal::NotSupplied(_) => "not-supplied",
                Refusal::Damaged => "damaged",
                Refusal::NoSpace => "no-space",
                Refusal::NameClash(_) => "name-clash",
                Refusal::NameNotPossible => "name-not-possible",
                Refusal::HoldsUntracked => "holds-untracked",
                Refusal::WaitsForMove => "waits-for-move",
                Refusal::WaitsForOthers => "waits-for-others",
                Refusal::Io(_) => "io",
            },
        }
    }
}

/// A path that does not converge, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Where; everything below is meant, too.
    pub path: RelPath,
    /// Why.
    pub reason: Reason,
}

/// A path on which both sides agree although the ancestor says otherwise: only the record changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Where.
    pub path: RelPath,
    /// What the ancestor shall say.
    pub entry: Option<Entry>,
    /// Whether only a directory itself (its existence and permission bits) is meant, not what is below.
    pub shallow: bool,
}

/// The immutable result of a reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Conflict copies to be created on our side before anything else changes on either side.
    pub copies_ours: Vec<Change>,
    /// Conflict copies to be created on their side before anything else changes on either side.
    pub copies_theirs: Vec<Change>,
    /// Changes to be carried out on our side.
    pub ours: Vec<Change>,
    /// Changes to be carried out on their side.
    pub theirs: Vec<Change>,
    /// Records to be changed without touching a disk.
    pub agreed: Vec<Agreement>,
    /// Paths that both sides changed, differently.
    pub conflicts: Vec<Conflict>,
    /// Paths that do not converge for another reason.
    pub blocked: Vec<Blocked>,
}

impl Plan {
    /// Returns the changes for one side.
    pub fn changes(&self, side: Side) -> &[Change] {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }

    /// Returns the conflict copies for one side.
    pub fn copies(&self, side: Side) -> &[Change] {
        match side {
            Side::Ours => &self.copies_ours,
            Side::Theirs => &self.copies_theirs,
        }
    }

    /// Blocks every path at or below `path` that is [`Entry::Unknown`] in `side`'s `entry`.
    pub fn report_unknown(&mut self, side: Side, path: &RelPath, entry: &Entry) {
        match entry {
            Entry::Unknown(kind) => {
                self.blocked.push(Blocked { path: path.clone(), reason: Reason::Problem(side, *kind) });
            }
            Entry::Dir(dir) if dir.has_unknown() => {
                for child in dir.children() {
                    self.report_unknown(side, &path.join(&child.name), &child.entry);
                }
            }
            _ => {}
        }
    }

    /// Tells whether carrying out the plan would touch no disk and no record.
    pub fn is_empty(&self) -> bool {
        self.moves_nothing() && self.agreed.is_empty()
    }

    /// Tells whether carrying out the plan would touch no disk.
    pub fn moves_nothing(&self) -> bool {
        [&self.copies_ours, &self.copies_theirs, &self.ours, &self.theirs].iter().all(|list| list.is_empty())
    }

    /// Returns the identity of the plan: a digest over its changes. Two plans with one identity do the same
    /// to the same content.
    pub fn id(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for (tag, changes) in [
            (b"copo", &self.copies_ours),
            (b"copt", &self.copies_theirs),
            (b"ours", &self.ours),
            (b"thrs", &self.theirs),
        ] {
            hasher.update(tag);
            for change in changes.iter() {
                hasher.update(&(change.path.as_bytes().len() as u64).to_le_bytes());
                hasher.update(change.path.as_bytes());
                hash_entry(&mut hasher, change.old.as_ref());
                hash_entry(&mut hasher, change.new.as_ref());
            }
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

fn hash_entry(hasher: &mut blake3::Hasher, entry: Option<&Entry>) {
    // An entry is hashed as the only child of a directory, so that there is one encoding of entries only.
    let children = entry.and_then(|entry| {
        crate::path::Name::new(b"x").ok().map(|name| crate::entry::Child { name, entry: entry.clone() })
    });
    let dir = crate::entry::Dir::new(crate::entry::Mode::new(0), children.into_iter().collect());
    hasher.update(&dir.digest().0);
}
