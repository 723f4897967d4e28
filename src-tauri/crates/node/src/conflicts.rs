//! Conflicts that wait for a person.
//!
//! There are two kinds: conflict copies, which stand in the tree of every endpoint, so every node lists the same
//! ones under the same ids; and conflicts that a rule refuses to settle, which only the spoke of the pair knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::conflict::{conflict_name, parse_conflict_name};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Conflict, Digest, Dir, Entry, Mtime, Name, RelPath};
use evenfold_engine::Endpoint as _;
use uuid::Uuid;

use crate::api::{ApiError, ConflictInfo, ConflictVersion, ErrorCode};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::relationship::Relationship;
use crate::text::path_text;
use crate::versions::{folder_failed, micros};

/// How long the hub is asked who wrote a content; without an answer the hub itself is named.
const ASK_AUTHOR: Duration = Duration::from_secs(2);

/// A path under dispute on one node.
pub(crate) struct Case {
    pub(crate) relationship: Arc<Relationship>,
    pub(crate) id: String,
    pub(crate) path: RelPath,
    pub(crate) dispute: Dispute,
    pub(crate) versions: Vec<Version>,
}

/// What kind of dispute it is.
pub(crate) enum Dispute {
    /// Conflict copies stand beside the path.
    Copies,
    /// A rule leaves the decision to a person.
    Refused(Box<Conflict>),
}

/// One version of a path under dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Name of the machine that wrote it.
    pub(crate) machine: String,
    /// Under which name it stands.
    pub(crate) at: RelPath,
    pub(crate) entry: Entry,
    /// Whether it has the original name.
    pub(crate) current: bool,
}

/// A conflict copy that stands in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) at: RelPath,
    /// The machine as the name of the copy writes it.
    pub(crate) label: String,
    pub(crate) entry: Entry,
}

impl Node {
    /// Returns the conflicts of one relationship, or of all, that wait on this node.
    ///
    /// # Errors
    /// Where there is no such relationship, or its folder cannot be looked at.
    pub(crate) async fn conflicts(&self, wanted: Option<&str>) -> Result<Vec<ConflictInfo>, ApiError> {
        let cases = match wanted {
            Some(wanted) => self.cases(&self.find(wanted)?).await?,
            None => self.all_cases().await?,
        };
        Ok(cases.iter().map(shown).collect())
    }

    /// Returns the conflicts of all relationships whose folders can be looked at.
    ///
    /// # Errors
    /// Where there are none, but a folder could not be looked at: that is not the same as none.
    pub(crate) async fn all_cases(&self) -> Result<Vec<Case>, ApiError> {
        let mut cases = Vec::new();
        let mut failure = None;
        for relationship in self.all() {
            match self.cases(&relationship).await {
                Ok(found) => cases.extend(found),
                // Its state says so, with what to do; the others are listed all the same.
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if cases.is_empty() => Err(error),
            _ => Ok(cases),
        }
    }

    /// Returns the conflicts of a relationship, by path.
    pub(crate) async fn cases(&self, relationship: &Arc<Relationship>) -> Result<Vec<Case>, ApiError> {
        let own = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
        let Snapshot { tree, .. } = own.map_err(|error| folder_failed(relationship, error))?;
        let machines = self.machines(relationship).await?;
        let id = relationship.row().id;
        let mut cases = Vec::new();
        for (path, copies) in disputes(&tree) {
            let mut versions = Vec::new();
            if let Some(entry) = tree.get(&path) {
                let machine = self.author(relationship, &path, entry, &copies).await?;
                versions.push(Version { machine, at: path.clone(), entry: entry.clone(), current: true });
            }
            versions.extend(copies.into_iter().map(|copy| Version {
                machine: machine_of(&copy.label, &machines),
                at: copy.at,
                entry: copy.entry,
                current: false,
            }));
            cases.push(Case {
                relationship: Arc::clone(relationship),
                id: id_of(id, &path),
                path,
                dispute: Dispute::Copies,
                versions,
            });
        }
        if let (Some(spoke), Some(last)) =
            (relationship.spoke(), relationship.state().and_then(|state| state.last))
        {
            for conflict in &last.plan.conflicts {
                // Whoever changed our side since then has decided, or made it another conflict.
                if tree.get(&conflict.path) != conflict.ours.as_ref() {
                    continue;
                }
                let path = conflict.path.clone();
                let sides = [(&self.name, &conflict.ours), (&spoke.hub_name, &conflict.theirs)];
                let versions = sides.into_iter().filter_map(|(machine, entry)| {
                    let (machine, entry) = (machine.clone(), entry.clone()?);
                    Some(Version { machine, at: path.clone(), entry, current: true })
                });
                cases.push(Case {
                    relationship: Arc::clone(relationship),
                    id: id_of(id, &path),
                    versions: versions.collect(),
                    path,
                    dispute: Dispute::Refused(Box::new(conflict.clone())),
                });
            }
        }
        cases.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(cases)
    }

    /// Returns the names of machines that may have written something here.
    async fn machines(&self, relationship: &Relationship) -> Result<Vec<String>, ApiError> {
        let mut machines = vec![self.name.clone()];
        machines.extend(relationship.spoke().map(|spoke| spoke.hub_name.clone()));
        machines.extend(self.store.peers().list().await.map_err(db)?.into_iter().map(|peer| peer.name));
        Ok(machines)
    }

    /// Says who wrote what has the original name.
    async fn author(
        &self,
        relationship: &Relationship,
        path: &RelPath,
        entry: &Entry,
        copies: &[Copy],
    ) -> Result<String, ApiError> {
        let mut known = None;
        if let Some(file) = entry.as_file() {
            let author = relationship.local.author(path, file.digest).await;
            known = author.map_err(|error| ApiError::new(ErrorCode::Store, error.to_string()))?;
            let spoke = relationship.spoke();
            let perhaps_the_hub = |hub: &str| known.as_ref().is_none_or(|machine| machine == hub);
            let remote = spoke.filter(|spoke| perhaps_the_hub(&spoke.hub_name));
            let remote = remote.and_then(|spoke| spoke.link.borrow().clone());
            if let Some(remote) = remote {
                // The hub knows which of its spokes it has it from.
                let asked = tokio::time::timeout(ASK_AUTHOR, remote.author(path, file.digest)).await;
                known = asked.ok().and_then(Result::ok).flatten().or(known);
            }
        }
        Ok(known.unwrap_or_else(|| {
            let ours = label(&self.name);
            let own_is_a_copy = copies.iter().any(|copy| copy.label == ours);
            match relationship.spoke() {
                Some(spoke) if own_is_a_copy => spoke.hub_name.clone(),
                _ => self.name.clone(),
            }
        }))
    }
}

fn shown(case: &Case) -> ConflictInfo {
    let versions = case.versions.iter().map(|version| {
        let file = version.entry.as_file();
        ConflictVersion {
            node: version.machine.clone(),
            at: path_text(version.at.as_bytes()),
            size: file.map(|file| file.size),
            mtime: file.and_then(|file| time_text(micros(file.mtime))),
            current: version.current,
        }
    });
    ConflictInfo {
        id: case.id.clone(),
        relationship: case.relationship.row().name,
        path: path_text(case.path.as_bytes()),
        versions: versions.collect(),
    }
}

/// Returns the id of a conflict, the same on every endpoint.
pub(crate) fn id_of(relationship: Uuid, path: &RelPath) -> String {
    Digest::of(&[relationship.as_bytes(), path.as_bytes()].concat()).short(10)
}

/// Returns the conflict copies of a tree, under the path that each is a version of. Only directories that hold
/// some are looked into.
pub(crate) fn disputes(tree: &Arc<Dir>) -> BTreeMap<RelPath, Vec<Copy>> {
    let mut found: BTreeMap<RelPath, Vec<Copy>> = BTreeMap::new();
    let mut pending = vec![(RelPath::root(), Arc::clone(tree))];
    while let Some((path, dir)) = pending.pop() {
        if dir.totals().conflict_copies == 0 {
            continue;
        }
        for child in dir.children() {
            let at = path.join(&child.name);
            match &child.entry {
                Entry::Dir(below) => pending.push((at, Arc::clone(below))),
                Entry::File(_) | Entry::Symlink(_) => {
                    if let Some(name) = parse_conflict_name(&child.name) {
                        let copy = Copy { at, label: name.machine, entry: child.entry.clone() };
                        found.entry(path.join(&name.original)).or_default().push(copy);
                    }
                }
                Entry::Unknown(_) => {}
            }
        }
    }
    found
}

/// Returns how the names of conflict copies write a machine.
pub(crate) fn label(machine: &str) -> String {
    let made = Name::new(b"x").map(|x| conflict_name(&x, Mtime::default(), machine, None));
    made.ok().and_then(|name| parse_conflict_name(&name)).map_or_else(String::new, |name| name.machine)
}

/// Returns the machine that a label means. Where several copies were made in one second, a piece of the
/// content's digest follows the machine's name.
fn machine_of(written: &str, known: &[String]) -> String {
    let plain = match written.rsplit_once('-') {
        Some((plain, digest)) if digest.len() == 8 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => plain,
        _ => written,
    };
    let named = |wanted: &str| known.iter().find(|machine| label(machine) == wanted).cloned();
    named(written).or_else(|| named(plain)).unwrap_or_else(|| written.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use evenfold_core::{Child, File, Mode};

    use super::*;

    pub(crate) fn file(content: &str) -> Entry {
        Entry::File(File {
            digest: Digest::of(content.as_bytes()),
            size: content.len() as u64,
            mtime: Mtime::default(),
            mode: Mode::new(0o644),
        })
    }

    pub(crate) fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    pub(crate) fn dir(children: Vec<(&str, Entry)>) -> Arc<Dir> {
        let child = |(name, entry): (&str, Entry)| Child { name: Name::new(name.as_bytes()).unwrap(), entry };
        Arc::new(Dir::new(Mode::new(0o755), children.into_iter().map(child).collect()))
    }

    #[test]
    fn copies_of_one_path_are_one_conflict() {
        let tree = dir(vec![
            ("a.txt", file("now")),
            ("a.conflict-20261121T140207Z-laptop.txt", file("one")),
            ("a.conflict-20261121T140208Z-nas.txt", file("two")),
            ("d", Entry::Dir(dir(vec![("b.conflict-20261121T140207Z-nas", file("three"))]))),
            ("plain", Entry::Dir(dir(vec![("c", file("x"))]))),
        ]);
        let found = disputes(&tree);
        let paths: Vec<_> = found.keys().map(ToString::to_string).collect();
        assert_eq!(paths, ["a.txt", "d/b"]);
        let labels: Vec<_> = found[&path("a.txt")].iter().map(|copy| copy.label.as_str()).collect();
        assert_eq!(labels, ["laptop", "nas"]);
        assert_eq!(found[&path("d/b")][0].at, path("d/b.conflict-20261121T140207Z-nas"));
    }

    #[test]
    fn tree_without_copies_has_no_conflicts() {
        assert!(disputes(&dir(vec![("a", file("1")), ("conflict", file("2"))])).is_empty());
    }

    #[test]
    fn label_leads_back_to_the_machine() {
        let known = ["desk".to_owned(), "My.Mac".to_owned()];
        for (written, machine) in [
            ("desk", "desk"),
            ("My-Mac", "My.Mac"),
            ("desk-0123abcd", "desk"),
            ("stranger", "stranger"),
            ("desk-top", "desk-top"),
        ] {
            assert_eq!(machine_of(written, &known), machine, "{written}");
        }
    }

    #[test]
    fn ids_differ_by_relationship_and_path() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(id_of(one, &path("a")).len(), 10);
        assert_eq!(id_of(one, &path("a")), id_of(one, &path("a")));
        assert_ne!(id_of(one, &path("a")), id_of(two, &path("a")));
        assert_ne!(id_of(one, &path("a")), id_of(one, &path("b")));
    }
}
