//! Cycles on demand.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::Digest;
use evenfold_core::scope::{Direction, Scope};
use evenfold_engine::pair::Permission;
use evenfold_engine::{CycleError, CycleReport, Ending, EndpointError, Look};
use tokio::sync::mpsc;

use crate::api::{ApiError, ErrorCode, Event, PathText, RelationshipStatus, Synced};
use crate::node::{Node, db};
use crate::plans::plan_info;
use crate::record::now_micros;
use crate::relationship::{Relationship, Spoke};
use crate::text::path_text;
use crate::versions::rel_path;

/// How often a running cycle tells how far it is: four times a second at most.
const TELL_PROGRESS: Duration = Duration::from_millis(250);

/// How much longer than ten times their own time items are waited for that have to hold still before they travel.
const SETTLING: Duration = Duration::from_secs(60);

/// How often hub and spokes are gone through until nobody has anything new for the others.
const ROUNDS: usize = 4;

impl Node {
    pub(crate) async fn sync(
        self: &Arc<Self>,
        wanted: &str,
        dry_run: bool,
        wait: bool,
        timeout: Option<u64>,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        let relationship = self.find(wanted)?;
        if relationship.row().pause != evenfold_store::Pause::Running {
            let message = format!("'{wanted}' is paused on {}; nothing was compared or moved", self.name);
            let hint = format!("evenfold rel resume {wanted}");
            return Err(ApiError::new(ErrorCode::Held, message).with_hint(hint));
        }
        if !wait && !dry_run {
            let (node, relationship) = (Arc::clone(self), Arc::clone(&relationship));
            let (quiet, _) = mpsc::channel(1);
            let started = self.relationship_status(&relationship).await?;
            tokio::spawn(async move {
                if let Err(error) = node.sync_all(&relationship, quiet).await {
                    tracing::warn!(%error, "a cycle that was asked for failed");
                }
            });
            return Ok(synced("started", started));
        }
        let work = async {
            if dry_run {
                self.dry_run(&relationship, events).await
            } else {
                let synced = self.sync_all(&relationship, events).await?;
                self.run_hooks(&relationship, synced).await
            }
        };
        match timeout {
            None => work.await,
            Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), work).await {
                Ok(result) => result,
                Err(_) => Ok(synced("timeout", self.relationship_status(&relationship).await?)),
            },
        }
    }

    /// Waits for the commands that a cycle was an occasion for. What was synced stays synced if one fails, but the work
    /// was not done completely.
    async fn run_hooks(&self, relationship: &Relationship, synced: Synced) -> Result<Synced, ApiError> {
        let Some(hooks) = relationship.hooks.get() else { return Ok(synced) };
        if !hooks.until_idle(self, relationship).await {
            return Ok(synced);
        }
        let status = self.relationship_status(relationship).await?;
        let outcome = if synced.outcome == "equal" { "failed".to_owned() } else { synced.outcome };
        Ok(Synced { outcome, status, ..synced })
    }

    async fn dry_run(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        if relationship.delivery().is_some() {
            let message = "what a relationship of this kind delivers next is in its ledger, not in a plan";
            let hint = format!("evenfold ledger list {}", relationship.row().name);
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
        }
        if relationship.spoke().is_none() {
            let message = "this node is the hub, which only serves; each spoke has a plan of its own";
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint("run it on a spoke"));
        }
        self.sync_spoke(relationship, true, true, events).await
    }

    /// Makes all reachable endpoints equal.
    async fn sync_all(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        if relationship.delivery().is_some() {
            return self.deliver_all(relationship).await;
        }
        match relationship.spoke() {
            // The others' folders are nobody's to change from here.
            Some(_) if relationship.tracking().is_some() => {
                self.sync_spoke(relationship, true, false, events).await
            }
            Some(_) => {
                let mut mine = self.sync_spoke(relationship, true, false, events.clone()).await?;
                for _ in 0..ROUNDS {
                    if matches!(mine.outcome.as_str(), "unknown" | "held") {
                        return Ok(mine);
                    }
                    // The others come after us, because what we brought is theirs to fetch.
                    let others = self.ask_hub_settle(relationship).await?;
                    let moved: u64 = others.iter().map(|other| other.files).sum();
                    let (files, bytes) = (mine.files, mine.bytes);
                    if moved > 0 {
                        mine = self.sync_spoke(relationship, false, false, events.clone()).await?;
                        mine.files += files;
                        mine.bytes += bytes;
                    }
                    if moved == 0 {
                        mine.outcome = worst(mine.outcome, &others);
                        return Ok(mine);
                    }
                }
                Ok(mine)
            }
            None => self.sync_hub(relationship).await,
        }
    }

    /// Does what can be delivered now, here and at all others who can be reached.
    async fn deliver_all(self: &Arc<Self>, relationship: &Arc<Relationship>) -> Result<Synced, ApiError> {
        if relationship.row().hub.is_none() {
            self.wait_for_members(relationship).await?;
        }
        let others = async {
            let asked = match relationship.row().hub {
                None => self.ask_members_cycle(relationship, None, true).await,
                Some(_) => self.ask_hub_settle(relationship).await,
            };
            // Whoever cannot be asked is told of by what is left undone.
            asked.map_err(|error| tracing::debug!(%error, "the others could not be asked")).ok();
        };
        tokio::pin!(others);
        // What they do may be ours to fetch or to confirm, before they have done.
        loop {
            let mine = async {
                let outcome = self.run_delivery(relationship).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                outcome
            };
            tokio::select! {
                () = &mut others => break,
                outcome = mine => if matches!(outcome?, "held" | "failed" | "unknown") {
                    break;
                },
            }
        }
        self.deliver_here(relationship).await
    }

    /// Does what this node can deliver now.
    async fn deliver_here(self: &Arc<Self>, relationship: &Arc<Relationship>) -> Result<Synced, ApiError> {
        let outcome = self.run_delivery(relationship).await?;
        Ok(synced(outcome, self.relationship_status(relationship).await?))
    }

    async fn sync_hub(self: &Arc<Self>, relationship: &Arc<Relationship>) -> Result<Synced, ApiError> {
        use evenfold_engine::Endpoint as _;
        let looked = relationship.local.scan(evenfold_core::snapshot::Extent::Full, &[]).await;
        if let Err(error) = looked {
            let mut answer = synced("held", self.relationship_status(relationship).await?);
            answer.status.halt = Some(crate::status::own_folder_halt(&error, &self.name));
            return Ok(answer);
        }
        self.wait_for_members(relationship).await?;
        let (mut files, mut bytes) = (0, 0);
        let mut outcome = "unknown".to_owned();
        for round in 0..ROUNDS {
            let answers = self.ask_members_cycle(relationship, None, round == 0).await?;
            if answers.is_empty() {
                break;
            }
            let moved: u64 = answers.iter().map(|answer| answer.files).sum();
            files += moved;
            bytes += answers.iter().map(|answer| answer.bytes).sum::<u64>();
            outcome = worst("equal".to_owned(), &answers);
            if moved == 0 {
                break;
            }
        }
        let status = self.relationship_status(relationship).await?;
        Ok(Synced { files, bytes, ..synced(&outcome, status) })
    }

    /// A node that has just started gives its members a moment to connect.
    pub(crate) async fn wait_for_members(&self, relationship: &Relationship) -> Result<(), ApiError> {
        let mut changes = self.network.changes();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            changes.mark_unchanged();
            let (online, offline) = self.members_online(relationship, None).await?;
            if !online.is_empty() || offline == 0 {
                return Ok(());
            }
            if !matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return Ok(());
            }
        }
    }

    /// Runs one cycle of this spoke's pair.
    pub(crate) async fn sync_spoke(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        full: bool,
        plan_only: bool,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        if relationship.delivery().is_some() {
            return self.deliver_here(relationship).await;
        }
        let look = if full { Look::Full } else { Look::Current };
        let permission = if plan_only { Permission::PlanOnly } else { Permission::Normal };
        self.cycle(relationship, look, permission, Scope::whole(), events).await
    }

    async fn cycle(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        look: Look,
        permission: Permission,
        scope: Scope,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        let Some(spoke) = relationship.spoke() else {
            return Err(ApiError::new(ErrorCode::Internal, "a hub has no pair of its own"));
        };
        let begun = tokio::time::Instant::now();
        let (mut files, mut bytes) = (0, 0);
        loop {
            let cycle = self.run_cycle(relationship, look, permission, scope.clone(), events.clone());
            let report = match cycle.await {
                Ok(report) => report,
                Err(error) => return self.failure(relationship, spoke, error).await,
            };
            (files, bytes) = (files + report.files, bytes + report.bytes);
            let patience = SETTLING + relationship.settings().settle.saturating_mul(10);
            match report.settles_in.filter(|_| begun.elapsed() < patience) {
                // What only has to hold still for a while is waited for, unless it never does.
                Some(wait) => tokio::time::sleep(wait).await,
                None => {
                    let answer = self.answer(relationship, spoke, &scope, &report).await?;
                    return Ok(Synced { files, bytes, ..answer });
                }
            }
        }
    }

    /// Runs one cycle of this spoke's pair, telling how far it is.
    pub(crate) async fn run_cycle(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
        look: Look,
        permission: Permission,
        scope: Scope,
        events: mpsc::Sender<Event>,
    ) -> Result<Arc<CycleReport>, CycleError> {
        let Some(spoke) = relationship.spoke() else {
            let message = "a hub has no pair of its own".to_owned();
            let error = EndpointError::Failed { code: "hub".to_owned(), message };
            return Err(CycleError::Endpoint(evenfold_core::Side::Ours, error));
        };
        if spoke.hub.is_none() {
            self.hosts.knock();
        }
        let id = relationship.row().id.to_string();
        let cycle = spoke.driver.cycle_within(look, permission, scope);
        tokio::pin!(cycle);
        loop {
            tokio::select! {
                result = &mut cycle => return result,
                () = tokio::time::sleep(TELL_PROGRESS) => {
                    let progress = spoke.meter.read();
                    // A listener that is gone or slow needs no progress.
                    _ = events.try_send(Event::Progress { id: id.clone(), progress });
                }
            }
        }
    }

    async fn answer(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        scope: &Scope,
        report: &CycleReport,
    ) -> Result<Synced, ApiError> {
        let outcome = match &report.ending {
            Ending::Equal => "equal",
            Ending::Differs | Ending::MovedOn => "differs",
            Ending::Conflicts => "conflicts",
            Ending::Held(_) => "held",
            Ending::Planned => "planned",
        };
        let shown = matches!(report.ending, Ending::Held(_) | Ending::Planned);
        let plan = shown.then(|| {
            let mut info = plan_info(report, Some(report.plan.id()), &self.name, &spoke.hub_name);
            info.kind = relationship.row().kind;
            info
        });
        if shown {
            self.keep_plan(relationship, report, scope).await?;
        }
        let status = self.relationship_status(relationship).await?;
        Ok(Synced { plan, files: report.files, bytes: report.bytes, ..synced(outcome, status) })
    }

    async fn failure(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        error: CycleError,
    ) -> Result<Synced, ApiError> {
        match error {
            CycleError::Endpoint(_, EndpointError::Offline(_) | EndpointError::Refused(_))
            | CycleError::Paused => {
                let status = self.relationship_status(relationship).await?;
                Ok(synced("unknown", status))
            }
            error => Err(self.cycle_failed(relationship, spoke, error)),
        }
    }

    /// Puts a failed cycle into words.
    pub(crate) fn cycle_failed(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        error: CycleError,
    ) -> ApiError {
        match error {
            CycleError::PlanOutdated => {
                let message = "the folders have changed since this plan was made; nothing was changed";
                let hint = format!("make a new one: evenfold sync {} --dry-run", relationship.row().name);
                ApiError::new(ErrorCode::PlanOutdated, message).with_hint(hint)
            }
            CycleError::Paused => ApiError::new(ErrorCode::Refused, error.to_string()),
            CycleError::Endpoint(side, error) => {
                let machine = match side {
                    evenfold_core::Side::Ours => &self.name,
                    evenfold_core::Side::Theirs => &spoke.hub_name,
                };
                let message = format!("syncing stopped on {machine}: {error}; what was done is recorded");
                ApiError::new(ErrorCode::Io, message).with_hint("it is tried again by itself")
            }
            CycleError::Store(error) => ApiError::new(ErrorCode::Store, error.to_string()),
        }
    }

    /// Keeps the identity of a plan that was shown, so that it can be applied by it.
    pub(crate) async fn keep_plan(
        &self,
        relationship: &Relationship,
        report: &CycleReport,
        scope: &Scope,
    ) -> Result<(), ApiError> {
        let id = report.plan.id();
        let summary = evenfold_store::PlanSummary {
            id: id.short(16),
            relationship: relationship.row().id,
            created: now_micros(),
            kind: "plan".to_owned(),
            summary: scope_text(scope),
            state: evenfold_store::PlanState::Open,
        };
        // A plan is made again from the folders and compared by its identity: that is all that must be kept.
        let row = evenfold_store::PlanRow { summary, body: id.0.to_vec() };
        self.store.plans().put(&row).await.map_err(db)
    }

    /// Carries out exactly the plan that was shown.
    pub(crate) async fn apply_plan(
        self: &Arc<Self>,
        plan: &str,
        events: mpsc::Sender<Event>,
    ) -> Result<Synced, ApiError> {
        let unknown = || {
            ApiError::new(ErrorCode::NotFound, format!("no plan '{plan}' is known here"))
                .with_hint("plans are printed by 'evenfold sync R --dry-run', and where something is held")
        };
        let row = self.store.plans().get(plan).await.map_err(db)?.ok_or_else(unknown)?;
        let id = <[u8; 32]>::try_from(row.body.as_slice()).map(Digest).map_err(|_| unknown())?;
        let relationship = self.by_id(row.summary.relationship).ok_or_else(unknown)?;
        let scope = scope_of(&row.summary.summary).ok_or_else(unknown)?;
        let result = self.cycle(&relationship, Look::Full, Permission::Exactly(id), scope, events).await;
        let state = match &result {
            Ok(_) => evenfold_store::PlanState::Applied,
            Err(_) => evenfold_store::PlanState::Superseded,
        };
        self.store.plans().set_state(plan, state).await.map_err(db)?;
        result
    }
}

/// What of a plan was to be carried out, as it is kept with the plan's identity.
#[derive(serde::Serialize, serde::Deserialize, Default)]
struct KeptScope {
    #[serde(default)]
    direction: String,
    #[serde(default)]
    paths: Vec<PathText>,
    #[serde(default)]
    force: bool,
}

fn scope_text(scope: &Scope) -> String {
    let direction = match scope.direction {
        Direction::Both => "",
        Direction::Push => "push",
        Direction::Pull => "pull",
    };
    let paths = scope.paths.iter().map(|path| path_text(path.as_bytes())).collect();
    let kept = KeptScope { direction: direction.to_owned(), paths, force: scope.force };
    // Text and numbers can always be written.
    serde_json::to_string(&kept).unwrap_or_default()
}

fn scope_of(text: &str) -> Option<Scope> {
    let kept: KeptScope = serde_json::from_str(text).ok()?;
    let direction = match kept.direction.as_str() {
        "" => Direction::Both,
        "push" => Direction::Push,
        "pull" => Direction::Pull,
        _ => return None,
    };
    let paths = kept.paths.iter().map(|path| rel_path(path).ok()).collect::<Option<_>>()?;
    Some(Scope { direction, paths, force: kept.force })
}

fn synced(outcome: &str, status: RelationshipStatus) -> Synced {
    Synced { outcome: outcome.to_owned(), status, plan: None, files: 0, bytes: 0 }
}

/// Returns the outcome that needs most attention.
fn worst(mine: String, others: &[Synced]) -> String {
    const ORDER: [&str; 6] = ["equal", "differs", "conflicts", "unknown", "timeout", "held"];
    let rank = |outcome: &str| ORDER.iter().position(|known| *known == outcome).unwrap_or(1);
    others.iter().fold(
        mine,
        |worst, other| {
            if rank(&other.outcome) > rank(&worst) { other.outcome.clone() } else { worst }
        },
    )
}
