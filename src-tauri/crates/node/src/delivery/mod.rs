//! Relationships that deliver (send-once, relay): this node's part, put together.
//!
//! | module | purpose |
//! |---|---|
//! | `office` | the book, as the hub keeps it: offers, claims, reports |
//! | `keeper` | the hub's own copies: damage, release, leases |
//! | `copy` | a member's copy of the book |
//! | `messages` | what hub and members say to each other about it |
//! | `session` | a member's sessions with the hub's folder |
//! | `hooks` | commands after something happened; `executor`: commands that deliver |
//! | `views` | what people see: status, ledger, why |

mod copy;
mod executor;
mod hooks;
mod keeper;
mod messages;
mod office;
mod session;
mod views;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::delivery::{Party, Resend, Terms, UnitKind};
use evenfold_engine::delivery::{Book, Courier, CourierHandle, CourierSettings, Finish, Lanes, Part};
use evenfold_engine::driver::Trigger;
use evenfold_engine::{Endpoint, Progress};
use evenfold_ssh::PeerKey;
use evenfold_store::{Pause, RelationshipRow};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::api::{ApiError, ErrorCode, WayInfo};
use crate::back::Back;
use crate::local::Mark;
use crate::node::{Node, db};
use crate::relationship::{Relationship, SystemClock, host_tuning, local_settings, source_of};
use crate::settings::{Deliver, Executor as ExecutorSetting, Kind, OnError, Settings, Unit};
use crate::stock;
use crate::work::Meter;

pub(crate) use copy::CopyBook;
pub(crate) use hooks::Hooks;
pub(crate) use messages::{answer, news};
pub(crate) use office::Office;

/// Tells whether a relationship delivers instead of keeping folders identical.
pub(crate) fn delivers(settings: &Settings) -> bool {
    settings.deliver == Deliver::Once
}

/// Tells whether the hub's own copies are temporary.
pub(crate) fn is_transit(settings: &Settings) -> bool {
    settings.kind == Kind::Relay
}

/// Tells whether this node never writes into its folder: it only sends what stands there.
pub(crate) fn only_reads(row: &RelationshipRow, settings: &Settings) -> bool {
    delivers(settings) && row.role == "source"
}

/// This node's part in a relationship that delivers.
pub(crate) struct Delivery {
    pub(crate) handle: CourierHandle,
    pub(crate) meter: Meter,
    pub(crate) book: AnyBook,
    pub(crate) hooks: Arc<Hooks>,
    /// Why the session with the hub does not stand although a connection does.
    pub(crate) refusal: Arc<Mutex<Option<String>>>,
    /// Has a member open its sessions anew, because another number of them is wanted.
    pub(crate) renew: Arc<Notify>,
    /// What the folder obeys to which it is delivered, where that is on a host that has only SSH.
    pub(crate) tuning: Option<Arc<watch::Sender<stock::Tuning>>>,
    /// How a host is reached.
    pub(crate) way: Option<Arc<Mutex<Option<WayInfo>>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// The book as this node has it.
#[derive(Clone)]
pub(crate) enum AnyBook {
    /// The hub's.
    Office(Arc<Office>),
    /// A member's copy.
    Copy(Arc<CopyBook>),
}

impl AnyBook {
    pub(crate) fn port(&self) -> Arc<dyn Book> {
        match self {
            AnyBook::Office(office) => Arc::clone(office) as Arc<dyn Book>,
            AnyBook::Copy(copy) => Arc::clone(copy) as Arc<dyn Book>,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Returns a machine's key as the core knows it.
pub(crate) fn party(key: &PeerKey) -> Party {
    Party(*key.as_bytes())
}

/// Returns how a host is treated to which items are delivered. Only SFTP is used there: what arrives is kept in no book of
/// a program on the host.
pub(crate) fn courier_tuning(settings: &Settings) -> stock::Tuning {
    stock::Tuning { program: None, ..host_tuning(settings, false) }
}

impl Node {
    /// Returns this node as a party of deliveries.
    pub(crate) fn as_party(&self) -> Party {
        party(&self.network.identity.key())
    }

    /// Starts what a relationship that delivers needs.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub(crate) async fn start_delivery(
        self: &Arc<Self>,
        relationship: &Arc<Relationship>,
    ) -> Result<Arc<Delivery>, ApiError> {
        let (row, settings) = (relationship.row(), relationship.settings());
        let rows = self.store.ledger().load(row.id).await.map_err(db)?;
        let hooks = Hooks::new(self, relationship, &rows).await?;
        let (link_sender, link) = watch::channel(None);
        let refusal = Arc::new(Mutex::new(None));
        let renew = Arc::new(Notify::new());
        let mut tasks = vec![tokio::spawn(Arc::clone(&hooks).run())];
        let book = match row.hub {
            None => {
                let office = Office::new(self, relationship, rows, Arc::clone(&hooks));
                AnyBook::Office(office)
            }
            Some(hub) => {
                let hub = PeerKey::from_bytes(hub);
                let copy = CopyBook::new(self, row.id, hub, rows, Arc::clone(&hooks));
                let session = session::Session {
                    node: Back::to(self),
                    relationship: Back::to(relationship),
                    hub,
                    id: row.id,
                    refusal: Arc::clone(&refusal),
                    link: link_sender.clone(),
                    renew: Arc::clone(&renew),
                };
                tasks.push(tokio::spawn(session.run()));
                AnyBook::Copy(copy)
            }
        };
        let (mut tuning, mut way) = (None, None);
        let host = stock::target_of(&row);
        let part = match (&settings.executor, row.hub) {
            _ if host.is_some() => Part::Host,
            (ExecutorSetting::Command(_), _) if row.role != "destination" => {
                Part::Command(executor::CommandExecutor::shared(relationship))
            }
            (_, None) => Part::Hub,
            (_, Some(_)) if row.role == "source" => Part::Source,
            (_, Some(_)) => Part::Destination,
        };
        if let Some(target) = host {
            let shared = Arc::new(watch::Sender::new(courier_tuning(&settings)));
            let (store, local, limits) = (&self.store, &relationship.local, &relationship.limits);
            let around = stock::Surroundings { hosts: &self.hosts, store, local, tuning: &shared, limits };
            let (sender, receiver) = watch::channel(None);
            let reached = Arc::new(Mutex::new(None));
            let telling =
                stock::Telling { refusal: Arc::clone(&refusal), way: Arc::clone(&reached), link: sender };
            let keeper = stock::keeper(&row, target, &settings, &around, telling);
            way = Some(reached);
            tasks.push(tokio::spawn(keeper.run()));
            tasks.push(tokio::spawn(pass_on(receiver, link_sender.clone())));
            tuning = Some(shared);
        }
        let ours: Arc<dyn Endpoint> = Arc::clone(&relationship.local) as Arc<dyn Endpoint>;
        let progress = Arc::new(Progress::default());
        let (courier, handle) = Courier::new(
            part,
            ours,
            book.port(),
            Arc::new(SystemClock),
            Arc::clone(&progress),
            courier_settings(relationship, &self.name, self.serves()),
            link,
            row.pause != Pause::Running,
        );
        tasks.push(tokio::spawn(courier.run()));
        if let AnyBook::Office(office) = &book {
            tasks.push(tokio::spawn(keeper::run(Arc::downgrade(office))));
            // The hub needs no link; dropping its sender would end the courier.
            tasks.push(tokio::spawn(async move {
                link_sender.closed().await;
            }));
        }
        let meter = Meter::new(progress);
        Ok(Arc::new(Delivery { handle, meter, book, hooks, refusal, renew, tuning, way, tasks }))
    }

    /// Makes a hub's folder that was only read until now one that takes deliveries in.
    ///
    /// # Errors
    /// Where nothing can be written into it; then it is only read as before.
    pub(crate) async fn open_for_deliveries(&self, relationship: &Relationship) -> Result<(), ApiError> {
        let (row, settings) = (relationship.row(), relationship.settings());
        if !only_reads(&row, &settings) || matches!(relationship.local.mark(), Mark::Expect(_)) {
            return Ok(());
        }
        let before = relationship.local.mark();
        relationship.local.set_settings(local_settings(&settings, Mark::Create, self.serves()));
        if let Err(error) = relationship.local.replica().await {
            relationship.local.set_settings(local_settings(&settings, before, self.serves()));
            let message = format!("the hub's folder takes nothing in: {error}; nothing was changed");
            return Err(ApiError::new(ErrorCode::Folder, message));
        }
        self.remember_root(relationship).await
    }

    /// Does everything that can be done now, hooks included, and says how it ended: the word of an outcome.
    pub(crate) async fn run_delivery(&self, relationship: &Relationship) -> Result<&'static str, ApiError> {
        let delivery = relationship.delivery().ok_or_else(ended)?;
        let finish = delivery.handle.run().await.ok_or_else(ended)?;
        let hooks_failed = delivery.hooks.until_idle().await;
        Ok(match finish {
            Finish::Held => "held",
            Finish::Offline => "unknown",
            Finish::Failed => "failed",
            _ if hooks_failed => "failed",
            Finish::Waiting if self.waits_for_absent(&delivery) => "unknown",
            Finish::Waiting => "differs",
            Finish::Done => "equal",
        })
    }

    /// Tells whether something is owed to, or by, a machine that cannot be reached.
    fn waits_for_absent(&self, delivery: &Delivery) -> bool {
        let view = delivery.book.port().view();
        view.ledger.rows().any(|row| {
            row.counts() && row.state.is_open() && row.stored && !view.online.contains(&row.key.destination)
        })
    }
}

/// Passes on the one session with a host as the one lane that there is.
async fn pass_on(mut from: watch::Receiver<Option<Arc<dyn Endpoint>>>, to: watch::Sender<Option<Lanes>>) {
    loop {
        let lane = from.borrow_and_update().clone();
        to.send_replace(lane.map(|lane| Arc::new(vec![lane])));
        if from.changed().await.is_err() {
            return;
        }
    }
}

/// Returns the options of the courier of a relationship. `serves` tells whether it acts by itself.
pub(crate) fn courier_settings(relationship: &Relationship, own_name: &str, serves: bool) -> CourierSettings {
    let (row, settings) = (relationship.row(), relationship.settings());
    let hub_name = relationship.hub_name().unwrap_or_default();
    let (theirs, source) = (hub_name.as_str(), source_of(&row.role));
    let part = crate::settings::Part { ours: own_name, theirs, source, may_write: true };
    let trigger = match settings.trigger {
        _ if !serves => Trigger::Manual,
        crate::settings::Trigger::Watch => Trigger::Watch,
        crate::settings::Trigger::Every(every) => Trigger::Every(every),
        crate::settings::Trigger::Manual => Trigger::Manual,
    };
    CourierSettings {
        unit: unit_kind(&settings),
        terms: terms(&settings),
        parallel: usize::from(settings.parallel),
        stop_on_error: settings.on_error == OnError::Stop,
        conflict: settings.conflict_rule(part),
        transit: is_transit(&settings),
        trigger,
        rescan: settings.rescan.unwrap_or(Duration::from_secs(365 * 24 * 3600)),
        thorough: settings.verify == crate::settings::Verify::Full,
    }
}

/// Members came or went: to whom items are owed is another question now.
pub(crate) fn members_changed(relationship: &Relationship) {
    if let Some(AnyBook::Office(office)) = relationship.delivery().map(|delivery| delivery.book.clone()) {
        office.members_changed();
    }
}

fn ended() -> ApiError {
    ApiError::new(ErrorCode::Internal, "the relationship was stopped")
}

/// Returns what travels as a whole.
pub(crate) fn unit_kind(settings: &Settings) -> UnitKind {
    match settings.unit {
        Unit::File => UnitKind::File,
        Unit::Entry => UnitKind::Entry,
    }
}

/// Returns when something is offered, and whether again.
pub(crate) fn terms(settings: &Settings) -> Terms {
    let resend = match settings.resend {
        crate::settings::Resend::Never => Resend::Never,
        crate::settings::Resend::Changed => Resend::Changed,
    };
    Terms { settle: micros(settings.settle), resend }
}

/// Returns a duration in microseconds; what is too long for that is for ever.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
