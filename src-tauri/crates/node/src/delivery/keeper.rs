//! The hub's own copies: compared with what was sent, dropped when everybody has had them for long enough, and space that
//! a vanished source reserved is given back after its lease.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenfold_core::apply::{Batch, Outcome};
use evenfold_core::delivery::{
    Event, Row, Told, Wait, dropped_with, is_promised, lapsed, spent_copies, stranded, version, word,
    wrong_copies,
};
use evenfold_core::snapshot::Extent;
use evenfold_core::{Change, Digest, Dir, RelPath};
use evenfold_engine::Endpoint as _;
use evenfold_engine::delivery::BookError;
use evenfold_ssh::PeerKey;

use super::office::Office;
use super::{is_transit, micros};
use crate::node::Node;
use crate::record::now_micros;
use crate::relationship::Relationship;

/// When nothing is due, the keeper looks this often, mostly for what is past keeping.
const SELDOM: Duration = Duration::from_secs(3600);

/// What went wrong is tried again after this time.
const AGAIN: Duration = Duration::from_secs(3);

/// Rows of items that are gone from their origins are kept this long.
const HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Looks after the hub's copies until the office is gone.
pub(super) async fn run(office: Weak<Office>) {
    let Some((mut folder, mut changes)) = office.upgrade().and_then(|office| {
        let (node, relationship) = (office.node().ok()?, office.relationship().ok()?);
        Some((relationship.local.nudges(), node.network.changes()))
    }) else {
        return;
    };
    loop {
        let wait = {
            let Some(office) = office.upgrade() else { return };
            folder.mark_unchanged();
            match keep(&office).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "the hub's copies could not be looked after");
                    AGAIN
                }
            }
        };
        let Some(woken) = office.upgrade() else { return };
        tokio::select! {
            () = woken.keeper.notified() => {}
            () = tokio::time::sleep(wait) => {}
            changed = folder.changed() => if changed.is_err() { return },
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// One look. Returns when to look again.
async fn keep(office: &Office) -> Result<Duration, BookError> {
    let (node, relationship) = (office.node()?, office.relationship()?);
    let settings = relationship.settings();
    let now = now_micros();
    let mut next = SELDOM;
    let before = now.saturating_sub(micros(HISTORY));
    let dropped = node.store.ledger().drop_gone(office.id, before).await;
    dropped.map_err(|error| BookError::Failed(error.to_string()))?;
    let hooks = node.store.hook_runs().drop_done(office.id, before).await;
    hooks.map_err(|error| BookError::Failed(error.to_string()))?;
    let ledger = office.ledger();
    let transit = is_transit(&settings);
    if ledger.rows().any(|row| row.stored || is_promised(row) || (transit && row.is_left_over(office.me))) {
        let tree = office.current(&relationship).await?.tree;
        check_copies(office, &relationship, &tree).await?;
        if transit {
            let left = stranded(&office.ledger(), office.me, &tree);
            office.change(|ledger| word::found(ledger, &left)).await?;
            next = next.min(release(office, &node, &relationship, micros(settings.retention)).await?);
        }
        next = next.min(leases(office, &node, &relationship, settings.lease).await?);
    }
    Ok(next)
}

/// Puts aside copies that are not what their origins sent and that somebody is still to have.
async fn check_copies(
    office: &Office,
    relationship: &Relationship,
    tree: &Arc<Dir>,
) -> Result<(), BookError> {
    let wrong = wrong_copies(&office.ledger(), office.me, tree);
    if wrong.is_empty() {
        return Ok(());
    }
    // What is being written by a batch that is not told yet looks the same for a moment: look again with fresh eyes.
    let paths = wrong.iter().map(|row| row.place.clone()).collect();
    let fresh = relationship.local.scan(Extent::Paths(paths), &[]).await;
    let Ok(fresh) = fresh else { return Ok(()) };
    for row in wrong {
        let now = office.ledger().get(&row.key).cloned();
        let still = now.filter(|now| now.stored && now.state.is_open());
        if let Some(row) = still
            && !word::stands(&row, &fresh.tree)
        {
            office.quarantine(relationship, &row, &fresh.tree).await?;
        }
    }
    Ok(())
}

/// Drops copies that everybody has had for long enough. Returns when the next is due.
async fn release(
    office: &Office,
    node: &Arc<Node>,
    relationship: &Arc<Relationship>,
    retention: i64,
) -> Result<Duration, BookError> {
    let now = now_micros();
    let (spent, at) = spent_copies(&office.ledger(), office.me, retention, now);
    let mut next = at.map_or(SELDOM, |at| until(at, now)).min(SELDOM);
    if spent.is_empty() {
        return Ok(next);
    }
    // Looked at after the book was: what the book calls stored stands in this tree, unless somebody took it away. In an older
    // one a copy might be missing that came since; it would be called dropped, stay, and look like an item of the hub's.
    let mut tree = office.current(relationship).await?.tree;
    for copy in spent {
        if owed_onward(node, relationship, &copy.place, copy.version) {
            next = next.min(AGAIN);
            continue;
        }
        let stands = tree.get(&copy.place).filter(|entry| version(entry) == Some(copy.version)).cloned();
        let path = dropped_with(&office.ledger(), office.me, &tree, &copy.place);
        if let (Some(_), Some(entry)) = (stands, tree.get(&path).cloned()) {
            if !drop_copy(relationship, &path, entry).await? {
                next = next.min(AGAIN);
                continue;
            }
            // The next copy may have shared a directory with this one.
            tree = office.current(relationship).await?.tree;
        }
        if copy.is_changed(tree.get(&copy.place)) {
            // A copy that somebody changed after everybody had it: no item of anybody's, but restorable.
            let place = copy.place.clone();
            let aside = relationship.local.on_disk(move |replica| replica.set_aside(&place)).await;
            if !matches!(aside, Ok(Ok(_))) {
                next = next.min(AGAIN);
                continue;
            }
            sweep(office, relationship, vec![copy.place.clone()]).await?;
        }
        let told = copy.keys.into_iter().map(|key| Told::new(key, Event::Dropped)).collect();
        office.take_word(told).await?;
    }
    Ok(next)
}

/// Returns how long it is until `at`, a little at least.
fn until(at: i64, now: i64) -> Duration {
    Duration::from_micros(u64::try_from(at - now).unwrap_or(0)).max(Duration::from_millis(10))
}

/// Tells whether another relationship with this folder has not delivered this yet.
fn owed_onward(node: &Arc<Node>, relationship: &Relationship, place: &RelPath, wanted: Digest) -> bool {
    let me = node.as_party();
    node.onward(relationship).iter().any(|other| {
        let Some(delivery) = other.delivery() else { return true };
        let view = delivery.book.port().view();
        let mut rows = view.ledger.of_version(me, place, wanted).filter(|row| row.counts()).peekable();
        rows.peek().is_none() || rows.any(|row| !row.state.is_final())
    })
}

/// Drops the directories that are empty now above places where a copy was put aside, or where none came.
pub(super) async fn sweep(
    office: &Office,
    relationship: &Relationship,
    places: Vec<RelPath>,
) -> Result<(), BookError> {
    let below: Vec<RelPath> = places.into_iter().filter(|place| place.components().count() > 1).collect();
    if below.is_empty() || !is_transit(&relationship.settings()) {
        return Ok(());
    }
    let Ok(now) = relationship.local.scan(Extent::Paths(below.clone()), &[]).await else { return Ok(()) };
    let gone = below.iter().filter(|place| now.tree.get(place).is_none());
    let emptied: BTreeSet<RelPath> = gone
        .map(|place| (place, dropped_with(&office.ledger(), office.me, &now.tree, place)))
        .filter(|(place, top)| *place != top)
        .map(|(_, top)| top)
        .collect();
    for path in emptied {
        if let Some(entry) = now.tree.get(&path).cloned()
            && !drop_copy(relationship, &path, entry).await?
        {
            tracing::debug!(%path, "something came into a directory that was empty");
        }
    }
    Ok(())
}

/// Deletes a copy for good, if it is still what it was. Tells whether it is gone.
async fn drop_copy(
    relationship: &Relationship,
    place: &RelPath,
    entry: evenfold_core::Entry,
) -> Result<bool, BookError> {
    let failed = |error: String| BookError::Failed(format!("a copy could not be dropped: {error}"));
    let change = Change { path: place.clone(), old: Some(entry), new: None };
    let batch = Arc::new(Batch { id: rand::random(), changes: vec![change], ..Batch::default() });
    let (_, pieces) = tokio::sync::mpsc::channel(1);
    let applied =
        relationship.local.carry_out(&batch, pieces).await.map_err(|error| failed(error.to_string()))?;
    let gone = applied
        .report
        .outcomes
        .iter()
        .all(|outcome| matches!(outcome, Outcome::Applied { now: None, short } if short.is_empty()));
    for kept in applied.kept {
        // It was only ours to keep for a while: no version of it stays.
        let dropped = relationship.local.on_disk(move |replica| replica.drop_version(&kept.version)).await;
        if let Ok(Err(error)) = dropped {
            tracing::warn!(%error, "a dropped copy still takes space; 'evenfold gc' frees it later");
        }
    }
    Ok(gone)
}

/// Gives back what was reserved for sources that went away. Returns when the next lease ends.
async fn leases(
    office: &Office,
    node: &Arc<Node>,
    relationship: &Arc<Relationship>,
    lease: Duration,
) -> Result<Duration, BookError> {
    let ledger = office.ledger();
    let now = now_micros();
    let mut away = HashMap::new();
    for row in ledger.rows().filter(|row| is_promised(row) && row.key.origin != office.me) {
        let origin = row.key.origin;
        if away.contains_key(&origin) || node.network.connection(&PeerKey::from_bytes(origin.0)).is_some() {
            continue;
        }
        let peer = node.store.peers().get(&origin.0).await.ok().flatten();
        away.insert(origin, peer.and_then(|peer| peer.last_seen));
    }
    let away = |row: &Row| away.get(&row.key.origin).map(|seen| seen.unwrap_or(row.changed));
    let (lapsed, at) = lapsed(&ledger, office.me, micros(lease), &away, now);
    let next = at.map_or(SELDOM, |at| until(at, now)).clamp(Duration::from_millis(100), SELDOM);
    if lapsed.is_empty() {
        return Ok(next);
    }
    let freed = relationship
        .local
        .on_disk(move |replica| replica.drop_partials(lease.saturating_sub(Duration::from_secs(1))))
        .await;
    match freed {
        Ok(Ok(bytes)) => tracing::info!(bytes, "what a vanished source had sent was dropped after its lease"),
        Ok(Err(error)) => tracing::warn!(%error, "what a vanished source had sent could not be dropped"),
        Err(error) => tracing::warn!(%error, "what a vanished source had sent could not be dropped"),
    }
    let told = lapsed.into_iter().map(|key| Told::new(key, Event::Waits(Wait::OriginOffline))).collect();
    office.take_word(told).await?;
    Ok(next)
}
