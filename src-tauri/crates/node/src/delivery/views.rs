//! What people see of deliveries, and what they may say about them.

use std::collections::BTreeMap;

use evenfold_core::RelPath;
use evenfold_core::delivery::{Event, Key, Offered, Row, State, Told, id_of, units};
use evenfold_core::snapshot::Extent;
use evenfold_engine::Endpoint as _;
use evenfold_engine::delivery::CourierState;
use evenfold_ssh::PeerKey;

use super::messages::{Ask, KeyWire, OfferedWire, pages};
use super::{AnyBook, Delivery, delivers, unit_kind};
use crate::api::{
    ApiError, Check, CheckItem, Counts, DriftInfo, EndpointStatus, ErrorCode, ErrorInfo, HaltInfo,
    LedgerItem, PathText, RelationshipStatus, Why, WhyEndpoint,
};
use crate::local::lock;
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::plans::halt_info;
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::text::path_text;
use crate::versions::rel_path;

impl Node {
    fn delivery_of(
        &self,
        wanted: &str,
    ) -> Result<(std::sync::Arc<Relationship>, std::sync::Arc<Delivery>), ApiError> {
        let relationship = self.find(wanted)?;
        let delivery = relationship.delivery().filter(|_| delivers(&relationship.settings()));
        let delivery = delivery.ok_or_else(|| {
            let message = format!("'{}' keeps folders identical; it has no ledger", relationship.row().name);
            ApiError::new(ErrorCode::Usage, message)
                .with_hint("ledgers belong to the kinds send-once and relay")
        })?;
        Ok((relationship, delivery))
    }

    /// Lists deliveries by item; without `all` only those of items that are still at their origin or under way.
    pub(crate) async fn ledger_list(&self, wanted: &str, all: bool) -> Result<Vec<LedgerItem>, ApiError> {
        let (relationship, delivery) = self.delivery_of(wanted)?;
        let book = delivery.book.port();
        let ledger = book.view().ledger;
        let failing: BTreeMap<RelPath, String> = delivery.hooks.state().failing.into_iter().collect();
        let mut items = Vec::new();
        let host = crate::stock::target_of(&relationship.row());
        for row in ledger.rows().filter(|row| all || row.counts()) {
            let local = row.landed_at.as_ref().unwrap_or(&row.key.path);
            let failing = failing.get(local).or_else(|| failing.get(&row.key.path));
            let mut item = self.ledger_item(row, failing).await;
            if let Some(host) = &host {
                item.destination.clone_from(&host.host);
            }
            items.push(item);
        }
        let state = delivery.handle.state().borrow().clone();
        let own = relationship.row().role != "destination";
        for (path, until) in state.settling.iter().filter(|_| own) {
            items.push(self.passing_item(path, "settling", "still changing", Some(*until)));
        }
        for (path, kind) in state.unreadable.iter().filter(|_| own) {
            let why = crate::findings::problem_words(*kind);
            let state = if kind.takes_no_part() { "skipped" } else { "waiting" };
            items.push(self.passing_item(path, state, why, None));
        }
        Ok(items)
    }

    async fn ledger_item(&self, row: &Row, hook_error: Option<&String>) -> LedgerItem {
        LedgerItem {
            id: id_of(&row.key, 0),
            path: path_text(row.key.path.as_bytes()),
            version: row.key.version.to_string(),
            origin: self.name_of(row.key.origin).await,
            destination: self.name_of(row.key.destination).await,
            state: shown_state(row).to_owned(),
            reason: Some(row.state.reason().to_owned()).filter(|reason| !reason.is_empty()),
            bytes: row.size,
            files: row.files,
            attempts: row.attempts,
            retry_at: match row.state {
                State::Retrying { at, .. } => time_text(at),
                _ => None,
            },
            at_hub: row.stored,
            placed_at: row.landed_at.as_ref().map(|path| path_text(path.as_bytes()).path),
            since: time_text(row.since),
            delivered_at: row.delivered.and_then(time_text),
            finalised_at: row.finalised.and_then(time_text),
            released_at: row.released.and_then(time_text),
            hook_error: hook_error.cloned(),
            gone: row.gone.is_some(),
        }
    }

    /// Something that has no row yet.
    fn passing_item(&self, path: &RelPath, state: &str, reason: &str, until: Option<i64>) -> LedgerItem {
        LedgerItem {
            id: String::new(),
            path: path_text(path.as_bytes()),
            version: String::new(),
            origin: self.name.clone(),
            destination: String::new(),
            state: state.to_owned(),
            reason: Some(reason.to_owned()),
            bytes: 0,
            files: 0,
            attempts: 0,
            retry_at: until.and_then(time_text),
            at_hub: false,
            placed_at: None,
            since: None,
            delivered_at: None,
            finalised_at: None,
            released_at: None,
            hook_error: None,
            gone: false,
        }
    }

    /// Counts what stands in this folder, or these paths of it, as delivered. Returns how many items.
    pub(crate) async fn ledger_mark(&self, wanted: &str, paths: &[PathText]) -> Result<u64, ApiError> {
        let (relationship, delivery) = self.delivery_of(wanted)?;
        let paths = paths.iter().map(rel_path).collect::<Result<Vec<_>, _>>()?;
        let meant = |path: &RelPath| paths.is_empty() || paths.iter().any(|wanted| path.starts_with(wanted));
        let book = delivery.book.port();
        if relationship.row().role == "destination" {
            let me = book.me();
            let ledger = book.view().ledger;
            let rows = ledger.rows().filter(|row| row.key.destination == me && row.state.is_open());
            let told: Vec<Told> = rows
                .filter(|row| meant(&row.key.path))
                .map(|row| Told::new(row.key.clone(), Event::Skips(evenfold_core::delivery::Skip::Marked)))
                .collect();
            let count = told.len() as u64;
            book.tell(told).await.map_err(book_failed)?;
            return Ok(count);
        }
        let seen = relationship.local.scan(Extent::Full, &[]).await;
        let seen = seen.map_err(|error| crate::versions::folder_failed(&relationship, error))?;
        let (all, _) = units(&seen.tree, unit_kind(&relationship.settings()));
        let marked: Vec<Offered> = all.iter().filter(|unit| meant(&unit.path)).map(Offered::from).collect();
        let count = marked.len() as u64;
        match &delivery.book {
            AnyBook::Office(office) => office.mark(office.me(), &marked).await.map_err(book_failed)?,
            AnyBook::Copy(copy) => {
                for units in pages(marked, |unit| unit.path.as_bytes().len()) {
                    let units = units.iter().map(OfferedWire::of).collect();
                    copy.ask(Ask::Mark { units }).await.map_err(book_failed)?;
                }
                book.refresh().await.map_err(book_failed)?;
            }
        }
        Ok(count)
    }

    /// Makes deliveries count no more, so that they are made again. Returns how many rows.
    pub(crate) async fn ledger_forget(&self, wanted: &str, which: &[PathText]) -> Result<u64, ApiError> {
        let (relationship, delivery) = self.delivery_of(wanted)?;
        let rows = self.chosen(&delivery, which)?;
        let keys: Vec<Key> = rows.into_iter().filter(Row::counts).map(|row| row.key).collect();
        if keys.is_empty() {
            let name = relationship.row().name;
            return Err(ApiError::new(
                ErrorCode::NotFound,
                format!("the ledger of '{name}' has no such entry"),
            )
            .with_hint(format!("see 'evenfold ledger list {name}'")));
        }
        let count = keys.len() as u64;
        match &delivery.book {
            AnyBook::Office(office) => office.forget(&keys).await.map_err(book_failed)?,
            AnyBook::Copy(copy) => {
                for keys in pages(keys, |key| key.path.as_bytes().len()) {
                    let keys = keys.iter().map(KeyWire::of).collect();
                    copy.ask(Ask::Forget { keys }).await.map_err(book_failed)?;
                }
                delivery.book.port().refresh().await.map_err(book_failed)?;
            }
        }
        Ok(count)
    }

    /// Tries failed deliveries again now. Returns how many.
    pub(crate) async fn ledger_retry(&self, wanted: &str, which: &[PathText]) -> Result<u64, ApiError> {
        let (_, delivery) = self.delivery_of(wanted)?;
        let rows = self.chosen(&delivery, which)?;
        let open: Vec<Told> = rows
            .iter()
            .filter(|row| row.counts() && row.state.is_open())
            .map(|row| Told::new(row.key.clone(), Event::Settled))
            .collect();
        let count = open.len() as u64;
        delivery.book.port().tell(open).await.map_err(book_failed)?;
        Ok(count)
    }

    /// Returns the rows that are meant by paths or ids.
    fn chosen(&self, delivery: &Delivery, which: &[PathText]) -> Result<Vec<Row>, ApiError> {
        let ledger = delivery.book.port().view().ledger;
        let mut rows = Vec::new();
        for wanted in which {
            let path = rel_path(wanted).ok();
            for row in ledger.rows() {
                let by_id = id_of(&row.key, 0) == wanted.path;
                let by_path =
                    path.as_ref().is_some_and(|path| row.key.path.starts_with(path) && !path.is_root());
                let landed = path.as_ref().is_some_and(|path| row.landed_at.as_ref() == Some(path));
                if by_id || by_path || landed {
                    rows.push(row.clone());
                }
            }
        }
        Ok(rows)
    }

    /// Returns the state of a relationship that delivers.
    pub(crate) async fn delivery_status(
        &self,
        relationship: &Relationship,
        delivery: &Delivery,
    ) -> Result<RelationshipStatus, ApiError> {
        let row = relationship.row();
        let state = delivery.handle.state().borrow().clone();
        let ledger = delivery.book.port().view().ledger;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut open, mut open_bytes, mut oldest) = (0u64, 0u64, None::<i64>);
        let mut problems = 0u64;
        for row in ledger.rows().filter(|row| row.counts()) {
            *counts.entry(shown_state(row).to_owned()).or_default() += 1;
            if row.state.is_open() {
                open += 1;
                open_bytes = open_bytes.saturating_add(row.size);
                oldest = Some(oldest.map_or(row.since, |oldest| oldest.min(row.since)));
            }
            let trouble = matches!(
                row.state,
                State::Failed(_) | State::Retrying { .. } | State::Quarantined(_) | State::Waiting(_)
            );
            problems += u64::from(trouble);
        }
        let settling = state.settling.len() as u64;
        if settling > 0 {
            *counts.entry("settling".to_owned()).or_default() += settling;
        }
        let hook_state = delivery.hooks.state();
        let unreadable = state.unreadable.iter().filter(|(_, kind)| !kind.takes_no_part());
        problems += unreadable.count() as u64 + hook_state.failing.len() as u64;
        let mut endpoints = self.delivery_endpoints(relationship).await?;
        if let Some(target) = crate::stock::target_of(&row) {
            endpoints.push(EndpointStatus {
                node: target.host.clone(),
                role: "host".to_owned(),
                path: row.hub_share.clone().map(|path| PathText { path, path_bytes: None }),
                online: state.online,
                last_seen: state.online.then(|| time_text(now_micros())).flatten(),
                way: delivery.way.as_ref().and_then(|way| lock(way).clone()),
                access: None,
            });
        }
        let is_hub = row.hub.is_none() && delivery.tuning.is_none();
        let lonely = is_hub && endpoints.len() < 2 && !self.has_command(relationship);
        let halted = state.halt.is_some();
        let word = match () {
            () if state.paused => "paused",
            () if halted => "held",
            () if !is_hub && !state.online => "unknown",
            () if state.running > 0 => "syncing",
            () if !state.looked => "scanning",
            () if open + settling + problems > 0 => "differs",
            () if lonely => "waiting",
            () => "in-sync",
        };
        let now = now_micros();
        let known = !matches!(word, "unknown" | "held" | "scanning");
        let theirs = relationship.hub_name().unwrap_or_default();
        let halt = state.halt.as_ref().map(|halt| {
            let halt = halt_info(halt, None, &self.name, &theirs);
            let side = if row.role == "destination" { "destination" } else { "source" };
            HaltInfo { message: format!("{side} unavailable: {}", halt.message), ..halt }
        });
        Ok(RelationshipStatus {
            id: row.id.to_string(),
            name: row.name.clone(),
            kind: row.kind.clone(),
            role: row.role.clone(),
            state: word.to_owned(),
            halt,
            verified_at: state.verified_at.or(row.last_verified).and_then(time_text),
            unknown_since: (!known)
                .then(|| state.verified_at.or(Some(row.created)).and_then(time_text))
                .flatten(),
            endpoints,
            drift: known.then(|| DriftInfo {
                files: open + settling,
                bytes: open_bytes,
                oldest_seconds: oldest.map(|since| u64::try_from((now - since) / 1_000_000).unwrap_or(0)),
            }),
            waiting: None,
            progress: (state.running > 0).then(|| delivery.meter.read_unless_idle()).flatten(),
            conflicts: 0,
            problems,
            error: self.delivery_error(relationship, delivery, &state, &hook_state.failing),
            retry_at: None,
            paused_until: crate::status::paused_until(&row),
            deliveries: Some(counts),
        })
    }

    fn has_command(&self, relationship: &Relationship) -> bool {
        matches!(relationship.settings().executor, crate::settings::Executor::Command(_))
    }

    fn delivery_error(
        &self,
        relationship: &Relationship,
        delivery: &Delivery,
        state: &CourierState,
        failing: &[(RelPath, String)],
    ) -> Option<ErrorInfo> {
        let info = |code: &str, message: String, hint: &str| {
            Some(ErrorInfo { code: code.to_owned(), message, hint: hint.to_owned() })
        };
        if let Some(hub) = relationship.row().hub.filter(|_| !state.online) {
            let hub = PeerKey::from_bytes(hub);
            let refusal = self.network.connection(&hub).and_then(|_| lock(&delivery.refusal).clone());
            let why = match refusal {
                Some(refusal) => refusal,
                None => crate::network::describe(self.network.failure(&hub).as_ref()),
            };
            let name = relationship.hub_name().unwrap_or_default();
            return info(
                "offline",
                format!("{name} cannot be reached: {why}"),
                "it is tried again by itself; items here wait",
            );
        }
        if let Some(target) = crate::stock::target_of(&relationship.row()).filter(|_| !state.online) {
            let why = lock(&delivery.refusal).clone().unwrap_or_else(|| "no connection stands".to_owned());
            let message = format!("{} cannot be reached: {why}", target.host);
            return info("offline", message, "it is tried again by itself; items here wait");
        }
        if let Some(error) = &state.error {
            return info("delivery", error.clone(), "it is tried again by itself");
        }
        if let AnyBook::Copy(copy) = &delivery.book
            && let Some(ahead) = copy.clock_skew()
        {
            let seconds = ahead / 1_000_000;
            let name = relationship.hub_name().unwrap_or_default();
            return info(
                "clock",
                format!("the clock of {name} differs from this machine's by {seconds} s; deliveries go on"),
                "set the clocks right on both machines (NTP)",
            );
        }
        let (path, error) = failing.first()?;
        info(
            "hook",
            format!("a hook for {path} failed: {error}; the item is delivered"),
            "it is tried again by itself",
        )
    }

    async fn delivery_endpoints(&self, relationship: &Relationship) -> Result<Vec<EndpointStatus>, ApiError> {
        let row = relationship.row();
        let mut endpoints = vec![EndpointStatus {
            node: self.name.clone(),
            role: row.role.clone(),
            path: Some(PathText::from(row.root.as_path())),
            online: true,
            last_seen: time_text(now_micros()),
            way: None,
            access: crate::status::own_access(relationship),
        }];
        /// Key, role, folder and access of another machine.
        type Other = ([u8; 32], String, Option<PathText>, Option<String>);
        let mut others: Vec<Other> = Vec::new();
        if let Some(hub) = row.hub {
            let folder = self.hub_folder(&row.id.to_string()).await?;
            others.push((
                hub,
                "hub".to_owned(),
                folder.map(|path| PathText { path, path_bytes: None }),
                None,
            ));
        } else {
            for member in self.store.members().list(row.id).await.map_err(db)? {
                let path = PathText { path: member.endpoint, path_bytes: None };
                let access = crate::access::access_of(member.permission);
                let access = crate::access::shown(access, &member.role, &relationship.settings());
                others.push((member.peer, member.role, Some(path), access));
            }
        }
        for (key, role, path, access) in others {
            let peer = self.store.peers().get(&key).await.map_err(db)?;
            let key = PeerKey::from_bytes(key);
            let online = self.network.connection(&key).is_some();
            let seen =
                if online { Some(now_micros()) } else { peer.as_ref().and_then(|peer| peer.last_seen) };
            endpoints.push(EndpointStatus {
                node: peer.map_or_else(|| key.fingerprint(), |peer| peer.name),
                role,
                path,
                online,
                last_seen: seen.and_then(time_text),
                way: self.unusual_way_to(&key).await?,
                access,
            });
        }
        Ok(endpoints)
    }

    /// Says for every destination whether an item is delivered, and if not, why.
    pub(crate) async fn delivery_why(
        &self,
        relationship: &Relationship,
        delivery: &Delivery,
        path: &RelPath,
    ) -> Result<Why, ApiError> {
        let ledger = delivery.book.port().view().ledger;
        let name = relationship.row().name;
        let mut endpoints = Vec::new();
        let host = crate::stock::target_of(&relationship.row());
        let state = delivery.handle.state().borrow().clone();
        let about = |row: &&Row| {
            row.counts() && (path.starts_with(&row.key.path) || row.landed_at.as_ref() == Some(path))
        };
        for row in ledger.rows().filter(about) {
            let delivered = row.state.is_delivered();
            let reason = if delivered { "delivered" } else { row.state.word() };
            let detail = match row.state.reason() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            endpoints.push(WhyEndpoint {
                node: match &host {
                    Some(host) => host.host.clone(),
                    None => self.name_of(row.key.destination).await,
                },
                in_sync: delivered || matches!(row.state, State::Skipped(_)),
                reason: reason.to_owned(),
                evidence: format!(
                    "from {}, version {}, {}{detail}",
                    self.name_of(row.key.origin).await,
                    row.key.version.short(8),
                    shown_state(row)
                ),
                next: next_step(&row.state, &name),
            });
        }
        if endpoints.is_empty() {
            let settling = state.settling.iter().any(|(at, _)| path.starts_with(at));
            let (reason, evidence, next) = if settling {
                ("settling", "it changed a moment ago and has to hold still first", String::new())
            } else {
                ("not-offered", "the ledger has no delivery of it", format!("evenfold sync {name}"))
            };
            endpoints.push(WhyEndpoint {
                node: self.name.clone(),
                in_sync: false,
                reason: reason.to_owned(),
                evidence: evidence.to_owned(),
                next,
            });
        }
        Ok(Why { path: path_text(path.as_bytes()), endpoints })
    }

    /// Counts deliveries as a comparison does.
    pub(crate) fn delivery_check(&self, delivery: &Delivery) -> Check {
        let ledger = delivery.book.port().view().ledger;
        let state = delivery.handle.state().borrow().clone();
        let (mut counts, mut bytes, mut items) = (Counts::default(), Counts::default(), Vec::new());
        for row in ledger.rows().filter(|row| row.counts()) {
            if !row.state.is_open() {
                counts.in_sync += 1;
                bytes.in_sync += row.size;
                continue;
            }
            let failed = matches!(row.state, State::Failed(_) | State::Retrying { .. });
            let (count, size) = if failed {
                (&mut counts.error, &mut bytes.error)
            } else {
                (&mut counts.missing, &mut bytes.missing)
            };
            *count += 1;
            *size += row.size;
            items.push(CheckItem {
                path: path_text(row.key.path.as_bytes()),
                finding: if failed { "error" } else { "missing" }.to_owned(),
                detail: format!("{} {}", row.state.word(), row.state.reason()).trim().to_owned(),
                bytes: row.size,
            });
        }
        let trouble = state.halt.as_ref().map(|halt| halt_info(halt, None, &self.name, "the hub").message);
        let trouble = trouble
            .or_else(|| state.error.clone())
            .or_else(|| (!state.online).then(|| "the hub cannot be reached".to_owned()));
        Check {
            verified: trouble.is_none() && state.looked,
            unverified_reason: trouble.map(|message| ErrorInfo {
                code: "delivery".to_owned(),
                message,
                hint: "it is tried again by itself".to_owned(),
            }),
            unknown_since: None,
            compared_at: state.verified_at.and_then(time_text),
            counts,
            bytes,
            suspects: 0,
            items,
        }
    }
}

/// Returns the word that is shown: a final delivery whose copy at the hub is gone is released.
fn shown_state(row: &Row) -> &'static str {
    match &row.state {
        State::Finalised if row.released.is_some() => State::Released.word(),
        state => state.word(),
    }
}

fn next_step(state: &State, name: &str) -> String {
    match state {
        State::Failed(_) | State::Retrying { .. } => format!("evenfold ledger retry {name} ID"),
        State::Waiting(_) => format!("evenfold status {name}"),
        _ => String::new(),
    }
}

pub(super) fn book_failed(error: evenfold_engine::delivery::BookError) -> ApiError {
    use evenfold_engine::delivery::BookError;
    let code = match &error {
        BookError::Offline(_) => ErrorCode::Unreachable,
        BookError::Refused(_) => ErrorCode::Refused,
        BookError::Failed(_) => ErrorCode::Store,
    };
    ApiError::new(code, format!("{error}; nothing was changed"))
}
