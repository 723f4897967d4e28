//! Units from one folder to another: the changes that make them stand there, carried out as one batch.

use std::collections::HashSet;
use std::sync::Arc;

use evenfold_core::apply::{Batch, Outcome, Refusal};
use evenfold_core::batch::{Limit, assemble, steps};
use evenfold_core::delivery::{Unit, version};
use evenfold_core::edit::{Edit, edit};
use evenfold_core::reconcile::reconcile;
use evenfold_core::snapshot::Extent;
use evenfold_core::{Change, ConflictRule, Deletion, Dir, Entry, Flow, Mode, Policy, RelPath, Side};

use super::courier::Dice;
use crate::ports::Endpoint;
use crate::progress::Progress;
use crate::transfer::{Failure, transfer};

/// A unit and where it is to stand.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// What is carried, as it stands at the supplier.
    pub(super) unit: Unit,
    /// Where it is to stand at the receiver.
    pub(super) place: RelPath,
}

/// The two ends of a transfer and what they held when it was planned.
pub(super) struct Way<'a> {
    pub(super) from: &'a Arc<dyn Endpoint>,
    pub(super) from_tree: &'a Arc<Dir>,
    pub(super) to: &'a Arc<dyn Endpoint>,
    /// On which side `to` is.
    pub(super) side: Side,
    pub(super) to_tree: &'a Arc<Dir>,
    pub(super) progress: &'a Arc<Progress>,
    /// Where the ids of batches come from.
    pub(super) dice: &'a Dice,
}

/// All of a unit is one batch, however large it is: it appears whole.
const WHOLE: Limit = Limit { files: u64::MAX, bytes: u64::MAX };

/// Carries parcels and says for each whether it stands at its place now, verified against its version.
///
/// # Errors
/// Where an endpoint fails; what was accomplished before is found by the next look.
pub(super) async fn carry(parcels: &[Parcel], way: &Way<'_>) -> Result<Vec<Result<(), Refusal>>, Failure> {
    // A directory with something in it has a batch of its own: all of it appears, or nothing.
    let (directories, others): (Vec<&Parcel>, Vec<&Parcel>) = parcels
        .iter()
        .partition(|parcel| parcel.unit.entry.as_dir().is_some_and(|dir| !dir.children().is_empty()));
    let mut shells = HashSet::new();
    let mut changes_of_all = |parcels: &[&Parcel]| -> Vec<Change> {
        let mut changes = Vec::new();
        for parcel in parcels {
            changes.extend(missing_parents(&parcel.place, way.to_tree, &mut shells));
            changes.extend(changes_of(parcel, way.to_tree));
        }
        changes
    };
    let mut parts = vec![(changes_of_all(&others), false)];
    parts.extend(directories.into_iter().map(|directory| (changes_of_all(&[directory]), true)));
    let mut refused: Vec<(RelPath, Refusal)> = Vec::new();
    let parts = parts
        .iter()
        .flat_map(|(changes, together)| steps(changes, WHOLE).into_iter().map(move |step| (step, *together)));
    for (step, together) in parts {
        let batch = assemble((way.dice)(), step, way.from_tree, way.to_tree, &HashSet::new());
        let batch = Arc::new(Batch { together, ..batch });
        let (report, _) = transfer(&batch, way.from, way.to, way.side, way.progress).await?;
        let paths = batch.moves.iter().map(|step| &step.to).chain(batch.changes.iter().map(|c| &c.path));
        for (path, outcome) in paths.zip(&report.outcomes) {
            match outcome {
                Outcome::Refused(refusal) => refused.push((path.clone(), refusal.clone())),
                Outcome::Applied { short, .. } => refused.extend(short.iter().cloned()),
            }
        }
    }
    // What was accomplished is what stands there, not what was intended. Where nothing had to be done, a watcher may have
    // missed that it does not stand there any more: such places are looked at again.
    let seemed =
        |parcel: &&Parcel| way.to_tree.get(&parcel.place).and_then(version) == Some(parcel.unit.version);
    let places = parcels.iter().filter(seemed).map(|parcel| parcel.place.clone()).collect();
    let seen = way.to.scan(Extent::Paths(places), std::slice::from_ref(way.to_tree)).await;
    let seen = seen.map_err(Failure::Receiver)?;
    let verdict = |parcel: &Parcel| {
        let stands = seen.tree.get(&parcel.place).and_then(version);
        if stands == Some(parcel.unit.version) {
            return Ok(());
        }
        let why = refused.iter().find(|(path, _)| path.starts_with(&parcel.place));
        Err(why.map_or(Refusal::MovedOn, |(_, refusal)| refusal.clone()))
    };
    Ok(parcels.iter().map(verdict).collect())
}

/// Makes the folders above a place that are not there; each once.
fn missing_parents(place: &RelPath, tree: &Arc<Dir>, made: &mut HashSet<RelPath>) -> Vec<Change> {
    let mut shells = Vec::new();
    let mut above = place.parent();
    while let Some(path) = above.filter(|path| !path.is_root()) {
        if tree.get(&path).is_some() || !made.insert(path.clone()) {
            break;
        }
        let shell = Entry::dir(Mode::new(0o755), Vec::new());
        above = path.parent();
        shells.push(Change { path, old: None, new: Some(shell) });
    }
    shells.reverse();
    shells
}

/// Tells whether all folders above a place are there.
pub(super) fn has_parents(place: &RelPath, tree: &Arc<Dir>) -> bool {
    place.parent().is_none_or(|parent| parent.is_root() || tree.get(&parent).is_some())
}

/// Returns what makes the receiver hold the unit at its place, whatever stands there now.
fn changes_of(parcel: &Parcel, tree: &Arc<Dir>) -> Vec<Change> {
    let (place, new) = (&parcel.place, &parcel.unit.entry);
    let Some(old) = tree.get(place) else {
        return vec![Change { path: place.clone(), old: None, new: Some(new.clone()) }];
    };
    if version(old) == Some(parcel.unit.version) {
        return Vec::new();
    }
    // Both trees hold nothing but the unit, and the receiver's is what was agreed: all that differs is to be changed.
    let only = |entry: &Entry| {
        let put = Edit { path: place.clone(), entry: Some(entry.clone()), shallow: false };
        edit(&Arc::new(Dir::empty()), [put])
    };
    let (receiver, supplier) = (only(old), only(new));
    let policy = Policy {
        flow: Flow::From(Side::Theirs),
        deletion: Deletion::Propagate,
        conflict: ConflictRule::Prefer(Side::Theirs),
    };
    reconcile(&receiver, &receiver, &supplier, &policy).ours
}

#[cfg(test)]
mod tests {
    use evenfold_core::{Digest, File, Mtime};

    use super::*;

    fn file(content: &str) -> Entry {
        let (digest, size) = (Digest::of(content.as_bytes()), content.len() as u64);
        Entry::File(File { digest, size, mtime: Mtime::default(), mode: Mode::new(0o644) })
    }

    fn tree(files: &[(&str, &str)]) -> Arc<Dir> {
        let put = |(at, content): &(&str, &str)| Edit {
            path: RelPath::new(at.as_bytes()).unwrap(),
            entry: Some(file(content)),
            shallow: false,
        };
        edit(&Arc::new(Dir::empty()), files.iter().map(put))
    }

    fn check(from: &[(&str, &str)], at: &str, to: &[(&str, &str)], expected: &str) {
        let path = RelPath::new(at.as_bytes()).unwrap();
        let unit = evenfold_core::delivery::unit_at(&tree(from), &path).unwrap();
        let parcel = Parcel { unit, place: path };
        let to = tree(to);
        let mut changes = missing_parents(&parcel.place, &to, &mut HashSet::new());
        changes.extend(changes_of(&parcel, &to));
        let said = changes.iter().map(|change| {
            let sign = match (&change.old, &change.new) {
                (None, _) => "+",
                (_, None) => "-",
                _ => "*",
            };
            format!("{sign}{}", change.path)
        });
        assert_eq!(said.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn unit_is_made_whole_or_changed_where_it_differs() {
        check(&[("job/a", "1"), ("job/b", "2")], "job", &[], "+job");
        check(&[("job/a", "1")], "job", &[("job/a", "1")], "");
        check(&[("job/x", "1"), ("job/b", "2")], "job", &[("job/a", "1"), ("job/b", "2")], "-job/a +job/x");
        check(&[("f", "2")], "f", &[("f", "1")], "*f");
        check(&[("f/x", "2")], "f", &[("f", "1")], "*f");
        check(&[("d/e/f", "2")], "d/e/f", &[("g", "1")], "+d +d/e +d/e/f");
        check(&[("d/e/f", "2")], "d/e/f", &[("d/x", "1")], "+d/e +d/e/f");
    }
}
