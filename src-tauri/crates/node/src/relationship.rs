//! A relationship that runs on this node: as its hub, which only serves, or as a spoke, which drives.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use evenfold_core::batch::Limit;
use evenfold_core::tracking::Tracking;
use evenfold_core::{RelPath, Side};
use evenfold_engine::driver::{Driver, DriverHandle, Link, State, Trigger};
use evenfold_engine::pair::PairSettings;
use evenfold_engine::{Clock, Command, Endpoint, EndpointError, Habits, Pair, Progress};
use evenfold_fs::apply::Rules;
use evenfold_ssh::PeerKey;
use evenfold_store::{Pause, RelationshipRow, Store};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::api::{ApiError, ErrorCode, Setting, WayInfo};
use crate::delivery::Delivery;
use crate::hooks::PairHooks;
use crate::limits::Limits;
use crate::local::{LocalEndpoint, LocalSettings, Mark, lock};
use crate::network::Network;
use crate::record::{SpokeRecord, now_micros};
use crate::remote::RemoteEndpoint;
use crate::settings::{self, Access, Kind, Part, Settings};
use crate::stock;
use crate::work::{MembersWork, Meter, Work};

/// One batch holds at most this much, so that large trees appear piece by piece and progress becomes durable.
const BATCH: Limit = Limit { files: 4096, bytes: 256 * 1024 * 1024 };

/// A session that the hub refused is tried again after this time: somebody may have mended the cause there.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// How long the hub may take to open a session, which is two round trips and a look into its database.
const OPENING: Duration = Duration::from_secs(20);

/// The real time.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        now_micros()
    }
}

/// A running relationship.
pub(crate) struct Relationship {
    pub(crate) row: Mutex<RelationshipRow>,
    pub(crate) settings: Mutex<Settings>,
    /// What somebody chose by hand to send; all if `None`.
    pub(crate) tracking: Mutex<Option<Arc<Tracking>>>,
    pub(crate) local: Arc<LocalEndpoint>,
    /// How fast its streams send and receive here.
    pub(crate) limits: Arc<Limits>,
    pub(crate) part: RunningPart,
    pub(crate) served: Served,
    /// What this node may do with the hub's folder, as the hub said last.
    pub(crate) access: Mutex<Access>,
    /// Told when there may be an occasion for a hook.
    pub(crate) occasions: Arc<Notify>,
    /// What the members of a hub work on.
    pub(crate) members_work: MembersWork,
    /// The hooks, where it does not deliver; set once, right after the start.
    pub(crate) hooks: OnceLock<Arc<PairHooks>>,
    /// Within which time all contents are to be read again.
    scrub: watch::Sender<Option<Duration>>,
    /// What runs here where the relationship delivers; set once, right after the start.
    delivery: OnceLock<Arc<Delivery>>,
    hub_name: Option<String>,
}

/// Whether a hub serves its folder now. Pausing ends the sessions that stand.
pub(crate) struct Served(watch::Sender<bool>);

impl Served {
    pub(crate) fn pause(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn resume(&self) {
        self.0.send_replace(true);
    }

    /// Returns a future that ends when the folder is not served any more.
    pub(crate) fn until_paused(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut served = self.0.subscribe();
        async move {
            // An error means that the relationship itself has ended.
            _ = served.wait_for(|served| !served).await;
        }
    }
}

/// This node's part in a running relationship.
pub(crate) enum RunningPart {
    /// It serves its folder to the spokes.
    Hub,
    /// It drives its pair with the hub.
    Spoke(Box<Spoke>),
    /// It delivers to the hub, or fetches from it.
    Courier,
}

/// What a spoke runs.
pub(crate) struct Spoke {
    /// The hub, unless the other folder is on a host without Evenfold.
    pub(crate) hub: Option<PeerKey>,
    pub(crate) hub_name: String,
    pub(crate) driver: DriverHandle,
    pub(crate) meter: Meter,
    /// Why the session with the hub does not stand although a connection does, or why a host cannot be used.
    pub(crate) refusal: Arc<Mutex<Option<String>>>,
    /// The other folder while it can be reached.
    pub(crate) link: Link,
    /// The session with the hub while it stands; never with a host.
    pub(crate) remote: watch::Receiver<Option<Arc<RemoteEndpoint>>>,
    /// How a folder on a host was reached last.
    pub(crate) way: Arc<Mutex<Option<WayInfo>>>,
    /// What a folder on a host obeys.
    tuning: Arc<watch::Sender<stock::Tuning>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Spoke {
    /// Returns what its cycle does, while it does something.
    pub(crate) fn work(&self) -> Option<Work> {
        let progress = self.meter.read_unless_idle()?;
        Some(Work { progress, transfers: self.meter.transfers(&self.hub_name) })
    }

    /// Says why the other folder cannot be reached.
    pub(crate) fn why_offline(&self, network: &Network) -> Option<String> {
        let refusal = || lock(&self.refusal).clone();
        match &self.hub {
            None => refusal(),
            // What the hub said last counts only while it is there to say it.
            Some(hub) => match network.connection(hub) {
                Some(_) => refusal(),
                None => Some(crate::network::describe(network.failure(hub).as_ref())),
            },
        }
    }
}

impl Drop for Spoke {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What a relationship needs of its node.
pub(crate) struct Surroundings {
    pub(crate) store: Arc<Store>,
    pub(crate) network: Arc<Network>,
    pub(crate) hosts: Arc<stock::Hosts>,
    pub(crate) own_name: String,
    pub(crate) hub_name: Option<String>,
    /// Marks of paths that somebody chose by hand.
    pub(crate) marks: Vec<(RelPath, bool)>,
    /// What this node may do with the hub's folder.
    pub(crate) access: Access,
    /// Whether watchers are wanted: not for a single run from a script.
    pub(crate) watch: bool,
}

impl Relationship {
    /// Starts what `row` describes.
    ///
    /// # Errors
    /// Where settings cannot be understood, as after a downgrade.
    pub(crate) fn start(
        row: RelationshipRow,
        mark: Mark,
        around: &Surroundings,
    ) -> Result<Arc<Self>, ApiError> {
        let settings = read_settings(&row)?;
        let local = LocalEndpoint::new(
            around.own_name.clone(),
            row.root.clone(),
            row.id,
            Arc::clone(&around.store),
            local_settings(&settings, mark, around.watch),
        );
        let limits = Limits::new(&settings);
        let occasions = Arc::new(Notify::new());
        let part = match (row.hub, stock::target_of(&row)) {
            (None, None) => RunningPart::Hub,
            (Some(_), _) | (_, Some(_)) if crate::delivery::delivers(&settings) => RunningPart::Courier,
            (Some(key), _) => {
                let hub = PeerKey::from_bytes(key);
                let name = around.hub_name.clone().unwrap_or_else(|| hub.fingerprint());
                RunningPart::Spoke(Box::new(start_spoke(
                    &row,
                    &settings,
                    &local,
                    &limits,
                    name,
                    Far::Hub(hub),
                    around,
                    &occasions,
                )?))
            }
            (None, Some(target)) => {
                let name = target.host.clone();
                RunningPart::Spoke(Box::new(start_spoke(
                    &row,
                    &settings,
                    &local,
                    &limits,
                    name,
                    Far::Host(target),
                    around,
                    &occasions,
                )?))
            }
        };
        let (scrub, wanted) = watch::channel(settings.scrub);
        if around.watch {
            crate::scrub::start(&local, Arc::clone(&around.store), wanted);
        }
        let served = Served(watch::Sender::new(row.pause == Pause::Running));
        Ok(Arc::new(Relationship {
            row: Mutex::new(row),
            tracking: Mutex::new(tracking_of(settings.kind, &around.marks)),
            settings: Mutex::new(settings),
            local,
            limits,
            part,
            served,
            access: Mutex::new(around.access),
            occasions,
            members_work: MembersWork::default(),
            hooks: OnceLock::new(),
            scrub,
            delivery: OnceLock::new(),
            hub_name: around.hub_name.clone(),
        }))
    }

    /// Returns a copy of the row.
    pub(crate) fn row(&self) -> RelationshipRow {
        lock(&self.row).clone()
    }

    /// Returns a copy of the settings.
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// Returns what somebody chose by hand to send; `None` where everything takes part.
    pub(crate) fn tracking(&self) -> Option<Arc<Tracking>> {
        lock(&self.tracking).clone()
    }

    /// Returns the loop that drives it, where this node is a spoke.
    pub(crate) fn spoke(&self) -> Option<&Spoke> {
        match &self.part {
            RunningPart::Spoke(spoke) => Some(spoke),
            RunningPart::Hub | RunningPart::Courier => None,
        }
    }

    /// Returns what runs here where the relationship delivers.
    pub(crate) fn delivery(&self) -> Option<Arc<Delivery>> {
        self.delivery.get().cloned()
    }

    /// Sets what runs here; called once.
    pub(crate) fn set_delivery(&self, delivery: Arc<Delivery>) {
        // A second one would never be started.
        _ = self.delivery.set(delivery);
    }

    /// Returns the hub's name, where this node is not the hub.
    pub(crate) fn hub_name(&self) -> Option<String> {
        let row = self.row();
        let hub = PeerKey::from_bytes(row.hub?);
        Some(self.hub_name.clone().unwrap_or_else(|| hub.fingerprint()))
    }

    /// Returns what the loop knows, where this node is a spoke.
    pub(crate) fn state(&self) -> Option<State> {
        self.spoke().map(|spoke| spoke.driver.state().borrow().clone())
    }

    /// Returns which side changes come from in a one-way relationship, as seen from this node.
    pub(crate) fn source(&self) -> Side {
        source_of(&self.row().role)
    }

    /// Takes over changed settings: the rules of the folder and of the loop.
    pub(crate) async fn adopt(
        &self,
        settings: Settings,
        own_name: &str,
        watch: bool,
    ) -> Result<(), ApiError> {
        let before = std::mem::replace(&mut *lock(&self.settings), settings.clone());
        if (&before.limit_up, &before.limit_down) != (&settings.limit_up, &settings.limit_down) {
            self.limits.set(&settings);
        }
        self.scrub.send_if_modified(|wanted| std::mem::replace(wanted, settings.scrub) != settings.scrub);
        let mark = self.local.mark();
        let local = local_settings(&settings, mark, watch);
        if local != local_settings(&before, mark, watch) {
            self.local.set_settings(local);
        }
        if let Some(delivery) = self.delivery() {
            if let Some(tuning) = &delivery.tuning {
                tuning.send_replace(crate::delivery::courier_tuning(&settings));
            }
            delivery.handle.set_settings(crate::delivery::courier_settings(self, own_name, watch)).await;
            if before.parallel != settings.parallel {
                delivery.renew.notify_one();
            }
            // What the hub keeps, and for how long, may be another question now.
            crate::delivery::members_changed(self);
        }
        if let Some(spoke) = self.spoke() {
            spoke.tuning.send_replace(host_tuning(&settings, watch));
            let may_write = *lock(&self.access) == Access::Write;
            let (theirs, source) = (spoke.hub_name.as_str(), self.source());
            let part = Part { ours: own_name, theirs, source, may_write };
            let (pair, trigger, rescan) = pair_settings(&settings, part, self.tracking())?;
            spoke.driver.send(Command::Settings(Box::new(pair), trigger, rescan)).await.map_err(stopped)?;
        }
        Ok(())
    }
}

/// Maps the end of a loop to an error.
pub(crate) fn stopped(error: evenfold_engine::CycleError) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

/// Reads the settings that are stored with a relationship.
pub(crate) fn read_settings(row: &RelationshipRow) -> Result<Settings, ApiError> {
    let wrong = |detail: String| {
        let message = format!("the settings of '{}' cannot be understood: {detail}", row.name);
        ApiError::new(ErrorCode::Setting, message)
    };
    let kind: Kind = row.kind.parse().map_err(|error: settings::SettingError| wrong(error.to_string()))?;
    let pairs: Vec<Setting> =
        serde_json::from_str(&row.settings).map_err(|error| wrong(error.to_string()))?;
    Settings::parse(kind, &pairs).map_err(|error| wrong(error.to_string()))
}

/// Tells whether nothing may ever be written into the folder.
pub(crate) fn only_compares(row: &RelationshipRow) -> Result<bool, ApiError> {
    Ok(read_settings(row)?.flow == settings::Flow::None)
}

/// Returns which side is the source for a node with this role.
pub(crate) fn source_of(role: &str) -> Side {
    match role {
        "source" => Side::Ours,
        _ => Side::Theirs,
    }
}

/// What is pushed and pulled by hand is watched, too, so that it is known what would travel.
fn watch_wanted(settings: &Settings) -> bool {
    settings.trigger == settings::Trigger::Watch || settings.kind == Kind::Manual
}

fn tracking_of(kind: Kind, marks: &[(RelPath, bool)]) -> Option<Arc<Tracking>> {
    (kind == Kind::Manual).then(|| Arc::new(Tracking::new(marks.iter().cloned())))
}

pub(crate) fn local_settings(settings: &Settings, mark: Mark, watch: bool) -> LocalSettings {
    LocalSettings {
        select: settings.select(),
        // A unit appears whole or not at all.
        rules: Rules {
            reserve: 0,
            whole: settings.unit == settings::Unit::Entry || crate::delivery::delivers(settings),
        },
        mark,
        watch: watch && watch_wanted(settings),
    }
}

fn pair_settings(
    settings: &Settings,
    part: Part<'_>,
    tracking: Option<Arc<Tracking>>,
) -> Result<(PairSettings, Trigger, Duration), ApiError> {
    let matcher = evenfold_fs::matcher::Matcher::new(&settings.select())
        .map_err(|error| ApiError::new(ErrorCode::Setting, error.to_string()))?;
    let stop_on_error = settings.on_error == settings::OnError::Stop;
    let pair = PairSettings {
        policy: settings.policy(part),
        guard: settings.guard(),
        takes_part: Arc::new(move |path: &RelPath, is_dir| matcher.takes_part(path, is_dir)),
        tracking,
        // Where nothing may follow a failure, everything goes by itself.
        limit: if stop_on_error { Limit { files: 1, ..BATCH } } else { BATCH },
        habits: Habits {
            settle: crate::delivery::micros(settings.settle),
            thorough: settings.verify == settings::Verify::Full,
            stop_on_error,
        },
    };
    let trigger = match settings.trigger {
        settings::Trigger::Watch => Trigger::Watch,
        settings::Trigger::Every(every) => Trigger::Every(every),
        settings::Trigger::Manual => Trigger::Manual,
    };
    // "Never" is a time that no process lives to see.
    let rescan = settings.rescan.unwrap_or(Duration::from_secs(365 * 24 * 3600));
    Ok((pair, trigger, rescan))
}

/// Where the other folder is.
enum Far {
    Hub(PeerKey),
    Host(evenfold_ssh::stock::Target),
}

/// What a folder on a host obeys.
pub(crate) fn host_tuning(settings: &Settings, watch: bool) -> stock::Tuning {
    let LocalSettings { select, rules, watch, .. } = local_settings(settings, Mark::Look, watch);
    let keep = evenfold_fs::versions::Keep { age: settings.versions_keep, bytes: settings.versions_max };
    stock::Tuning {
        select,
        rules,
        watch,
        keep,
        lease: settings.lease,
        program: settings.host_program.clone(),
        kind: settings.kind,
        settings: settings.overrides(),
    }
}

#[allow(clippy::too_many_arguments)]
fn start_spoke(
    row: &RelationshipRow,
    settings: &Settings,
    local: &Arc<LocalEndpoint>,
    limits: &Arc<Limits>,
    hub_name: String,
    far: Far,
    around: &Surroundings,
    occasions: &Arc<Notify>,
) -> Result<Spoke, ApiError> {
    let may_write = around.access == Access::Write;
    let part = Part { ours: &around.own_name, theirs: &hub_name, source: source_of(&row.role), may_write };
    let (pair, mut trigger, rescan) =
        pair_settings(settings, part, tracking_of(settings.kind, &around.marks))?;
    if !around.watch {
        // A single run acts only when it is told to.
        trigger = Trigger::Manual;
    }
    let ours: Arc<dyn Endpoint> = Arc::clone(local) as Arc<dyn Endpoint>;
    let record = SpokeRecord {
        store: Arc::clone(&around.store),
        relationship: row.id,
        ours: around.own_name.clone(),
        theirs: hub_name.clone(),
        occasions: Arc::clone(occasions),
    };
    let progress = Arc::new(Progress::default());
    let pair =
        Pair::new(Arc::clone(&ours), Arc::new(record), Arc::new(SystemClock), Arc::clone(&progress), pair);
    let (link_sender, link) = watch::channel(None);
    let (remote_sender, remote) = watch::channel(None);
    let paused = row.pause != Pause::Running;
    let (driver, handle) = Driver::new(pair, ours, link.clone(), trigger, rescan, paused);
    let refusal = Arc::new(Mutex::new(None));
    let tuning = Arc::new(watch::Sender::new(host_tuning(settings, around.watch)));
    let way = Arc::new(Mutex::new(None));
    let (hub, session) = match far {
        Far::Hub(hub) => {
            let session = SessionKeeper {
                network: Arc::clone(&around.network),
                hub,
                hub_name: hub_name.clone(),
                own_name: around.own_name.clone(),
                relationship: row.id.as_u128(),
                limits: Arc::clone(limits),
                refusal: Arc::clone(&refusal),
                link: link_sender,
                remote: remote_sender,
            };
            (Some(hub), tokio::spawn(session.run()))
        }
        Far::Host(target) => {
            let (hosts, store) = (&around.hosts, &around.store);
            let around = stock::Surroundings { hosts, store, local, limits, tuning: &tuning };
            let (refusal, way) = (Arc::clone(&refusal), Arc::clone(&way));
            let telling = stock::Telling { refusal, way, link: link_sender };
            let keeper = stock::keeper(row, target, settings, &around, telling);
            let session = async move {
                // There never is a session of that kind, which is not the same as its end.
                let _kept = remote_sender;
                keeper.run().await;
            };
            (None, tokio::spawn(session))
        }
    };
    let tasks = vec![tokio::spawn(driver.run()), session];
    let meter = Meter::new(progress);
    Ok(Spoke { hub, hub_name, driver: handle, meter, refusal, link, remote, way, tuning, tasks })
}

/// Keeps a session with the hub's endpoint whenever a connection stands.
struct SessionKeeper {
    network: Arc<Network>,
    hub: PeerKey,
    hub_name: String,
    own_name: String,
    relationship: u128,
    limits: Arc<Limits>,
    refusal: Arc<Mutex<Option<String>>>,
    link: watch::Sender<Option<Arc<dyn Endpoint>>>,
    remote: watch::Sender<Option<Arc<RemoteEndpoint>>>,
}

impl SessionKeeper {
    async fn run(self) {
        let mut changes = self.network.changes();
        loop {
            changes.mark_unchanged();
            let Some(connection) = self.network.connection(&self.hub) else {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let opened = RemoteEndpoint::open(
                &connection,
                &self.own_name,
                self.hub_name.clone(),
                self.relationship,
                &self.limits,
            );
            let opened = match tokio::time::timeout(OPENING, opened).await {
                Ok(opened) => opened,
                Err(_) => {
                    // A connection on which nothing opens is dead, whatever it says: the next one is a new one.
                    connection.close("a session did not open in time");
                    Err(EndpointError::Offline("it did not open the relationship in time".to_owned()))
                }
            };
            match opened {
                Ok(endpoint) => {
                    *lock(&self.refusal) = None;
                    let endpoint = Arc::new(endpoint);
                    self.remote.send_replace(Some(Arc::clone(&endpoint)));
                    self.link.send_replace(Some(Arc::clone(&endpoint) as Arc<dyn Endpoint>));
                    tokio::select! {
                        () = endpoint.ended() => {}
                        () = connection.closed() => {}
                    }
                    self.link.send_replace(None);
                    self.remote.send_replace(None);
                }
                Err(error) => {
                    tracing::debug!(%error, hub = self.hub_name, "the hub does not open the relationship");
                    *lock(&self.refusal) = Some(error.to_string());
                    tokio::select! {
                        () = tokio::time::sleep(REFUSED_PAUSE) => {}
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }
}
