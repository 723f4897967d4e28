//! What an origin has to do next, from its units and the ledger; and what a destination has to fetch.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::entry::ProblemKind;
use crate::path::RelPath;

use super::ledger::{Key, Ledger, Party, Row};
use super::state::{Event, Skip, State};
use super::unit::Unit;

/// An offer that had to wait is made again this late at the latest, in microseconds; sooner if the hub says so.
pub const ASK_AGAIN: i64 = 5_000_000;

/// Whether something that was delivered is sent again when it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Never, while it stands at its origin.
    Never,
    /// Each new version is sent.
    Changed,
}

/// The options that a plan obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a unit must be unchanged before it is offered, and again before a receipt for it is final, in
    /// microseconds.
    pub settle: i64,
    /// Whether changed units travel again.
    pub resend: Resend,
}

/// What an origin remembers between two looks: since when each unit holds still. Only this machine's own clock counts,
/// and a restart begins anew.
#[derive(Debug, Clone, Default)]
pub struct Quiet {
    since: HashMap<RelPath, (Digest, i64)>,
    offered: HashMap<RelPath, (Digest, i64)>,
    heard: HashMap<Key, i64>,
}

impl Quiet {
    /// Takes note of what stands there now.
    pub fn observe(&mut self, units: &[Unit], now: i64) {
        let mut since = HashMap::with_capacity(units.len());
        for unit in units {
            let before = self.since.remove(&unit.path).filter(|(version, _)| *version == unit.version);
            since.insert(unit.path.clone(), before.unwrap_or((unit.version, now)));
        }
        self.since = since;
    }

    /// Takes note that a unit turned out to be changing while it was read.
    pub fn disturbed(&mut self, path: &RelPath, now: i64) {
        if let Some((_, since)) = self.since.get_mut(path) {
            *since = now;
        }
        self.offered.remove(path);
    }

    /// Takes note that a unit was offered and has to wait.
    pub fn refused(&mut self, unit: &Unit, now: i64) {
        self.offered.insert(unit.path.clone(), (unit.version, now));
    }

    /// Forgets which offers had to wait: the hub has news.
    pub fn hub_has_news(&mut self) {
        self.offered.clear();
    }

    /// Returns when a receipt was first seen here, if it is not decided about yet.
    pub fn heard_at(&self, key: &Key) -> Option<i64> {
        self.heard.get(key).copied()
    }

    fn since(&self, unit: &Unit, now: i64) -> i64 {
        self.since.get(&unit.path).filter(|(version, _)| *version == unit.version).map_or(now, |(_, at)| *at)
    }
}

/// What an origin has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Units to be offered now, in order.
    pub offers: Vec<Unit>,
    /// Units that do not hold still long enough yet, and until when.
    pub settling: Vec<(RelPath, i64)>,
    /// What becomes of rows.
    pub events: Vec<(Key, Event)>,
    /// Rows whose item is gone from its origin: they are history from now on.
    pub gone: Vec<Key>,
    /// When to look again at the latest.
    pub next: Option<i64>,
}

/// Plans what an origin has to do. `blocked` are its units that cannot be read now. A tree without any unit proves
/// nothing about what was there before: then nothing is withdrawn and no row becomes history.
#[allow(clippy::too_many_arguments)]
pub fn plan(
    units: &[Unit],
    blocked: &[(RelPath, ProblemKind)],
    ledger: &Ledger,
    origin: Party,
    destinations: &[Party],
    quiet: &Quiet,
    terms: Terms,
    now: i64,
) -> Plan {
    let mut plan = Plan::default();
    for unit in units {
        for row in ledger.of_path(origin, &unit.path).filter(|row| row.counts()) {
            let other = row.key.version != unit.version;
            if other && !row.state.is_final() && !matches!(row.state, State::Skipped(_)) {
                plan.events.push((row.key.clone(), Event::Skips(Skip::Superseded)));
            }
        }
        let owed = destinations.iter().any(|to| !satisfied(ledger, origin, unit, *to, terms.resend));
        if !owed {
            continue;
        }
        let still_at = quiet.since(unit, now).saturating_add(terms.settle);
        if still_at > now {
            plan.settling.push((unit.path.clone(), still_at));
            plan.soon(still_at);
            continue;
        }
        match next_offer(ledger, origin, unit, destinations, quiet, terms.resend, now) {
            Some(at) if at <= now => plan.offers.push(unit.clone()),
            Some(at) => plan.soon(at),
            None => {}
        }
    }
    if !units.is_empty() {
        absent(units, blocked, ledger, origin, &mut plan);
    }
    plan
}

impl Plan {
    fn soon(&mut self, at: i64) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// Tells whether nothing is owed to `to`: it was given this version last, or, where nothing is resent, any final one.
fn satisfied(ledger: &Ledger, origin: Party, unit: &Unit, to: Party, resend: Resend) -> bool {
    let latest = ledger.latest_delivered(origin, &unit.path, to).map(|row| row.key.version);
    let counts =
        |row: &&Row| row.counts() && (row.key.destination == to || row.key.destination == Party::ANY);
    ledger.of_path(origin, &unit.path).filter(counts).any(|row| {
        let marked = row.state == State::Skipped(Skip::Marked);
        if row.key.version == unit.version {
            // What went back to an earlier version has changed as well.
            marked || (row.state.is_delivered() && (resend == Resend::Never || latest == Some(unit.version)))
        } else {
            resend == Resend::Never && (row.state.is_final() || marked)
        }
    })
}

/// Returns when a unit is to be offered; `None` if others do what is left to do.
fn next_offer(
    ledger: &Ledger,
    origin: Party,
    unit: &Unit,
    destinations: &[Party],
    quiet: &Quiet,
    resend: Resend,
    now: i64,
) -> Option<i64> {
    let asked = quiet.offered.get(&unit.path).filter(|(version, _)| *version == unit.version);
    let not_before = asked.map_or(now, |(_, at)| at.saturating_add(ASK_AGAIN));
    let mut earliest: Option<i64> = None;
    for to in destinations.iter().filter(|to| !satisfied(ledger, origin, unit, **to, resend)) {
        let key = Key { origin, path: unit.path.clone(), version: unit.version, destination: *to };
        let at = match ledger.get(&key).filter(|row| row.gone.is_none()) {
            Some(row) if row.stored && row.state.is_open() => continue,
            Some(Row { state: State::Failed(_), .. }) => continue,
            Some(Row { state: State::Retrying { at, .. }, .. }) => (*at).max(not_before),
            _ => not_before,
        };
        earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
    }
    earliest
}

/// What is not there any more: not sent and never will be, or delivered and history.
fn absent(
    units: &[Unit],
    blocked: &[(RelPath, ProblemKind)],
    ledger: &Ledger,
    origin: Party,
    plan: &mut Plan,
) {
    let present: std::collections::HashSet<&RelPath> = units.iter().map(|unit| &unit.path).collect();
    let hidden = |path: &RelPath| blocked.iter().any(|(at, _)| path.starts_with(at));
    for row in ledger.of_origin(origin).filter(|row| row.gone.is_none()) {
        if present.contains(&row.key.path) || hidden(&row.key.path) {
            continue;
        }
        match &row.state {
            state if state.is_final() => plan.gone.push(row.key.clone()),
            State::Skipped(_) => plan.gone.push(row.key.clone()),
            // What the hub holds is delivered all the same.
            state if state.is_open() && !row.stored => {
                plan.events.push((row.key.clone(), Event::Skips(Skip::Withdrawn)));
            }
            _ => {}
        }
    }
}

/// What an origin says to receipts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// What becomes of rows.
    pub events: Vec<(Key, Event)>,
    /// When to look again at the latest.
    pub next: Option<i64>,
}

/// Decides about receipts: they are compared with what the origin holds, once it has held still after the delivery.
/// `holds` says which version stands at a path now: `Ok(None)` is absence with proof, which says nothing against what
/// was delivered; `Err` is not known.
pub fn close(
    ledger: &Ledger,
    origin: Party,
    holds: &dyn Fn(&RelPath) -> Result<Option<Digest>, ()>,
    quiet: &mut Quiet,
    terms: Terms,
    now: i64,
) -> Closing {
    let mut closing = Closing::default();
    let mut heard = HashMap::new();
    for row in ledger.of_origin(origin).filter(|row| row.counts()) {
        if !matches!(row.state, State::Delivered | State::Acknowledged) {
            continue;
        }
        if row.state == State::Delivered {
            closing.events.push((row.key.clone(), Event::Heard));
        }
        let since = quiet.heard.get(&row.key).copied().unwrap_or(now);
        heard.insert(row.key.clone(), since);
        let at = since.saturating_add(terms.settle);
        if at > now {
            closing.next = Some(closing.next.map_or(at, |next: i64| next.min(at)));
            continue;
        }
        match holds(&row.key.path) {
            Ok(Some(version)) if version != row.key.version => {
                closing.events.push((row.key.clone(), Event::Skips(Skip::Superseded)));
            }
            Ok(_) => closing.events.push((row.key.clone(), Event::Confirmed)),
            Err(()) => {}
        }
    }
    quiet.heard = heard;
    closing
}

/// Returns what `me` has to fetch now from the hub, and when something more may become due.
pub fn due(ledger: &Ledger, me: Party, now: i64) -> (Vec<Row>, Option<i64>) {
    let (mut rows, mut next) = (Vec::new(), None);
    for row in ledger.rows().filter(|row| row.key.destination == me && row.gone.is_none()) {
        if !row.stored || !row.state.is_open() || matches!(row.state, State::Failed(_)) {
            continue;
        }
        match &row.state {
            State::Retrying { at, .. } if *at > now => {
                next = Some(next.map_or(*at, |next: i64| next.min(*at)));
            }
            _ => rows.push(row.clone()),
        }
    }
    rows.sort_by(|a, b| a.place.cmp(&b.place));
    (rows, next)
}
