//! Keeps a session with a host whenever it can be reached: with Evenfold there, else over SFTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_engine::Endpoint;
use evenfold_engine::backoff::Backoff;
use evenfold_ssh::stock::sftp::Sftp;
use evenfold_ssh::stock::{Host, StockError, Target, TargetPath};
use tokio::sync::watch;
use tokio::time::Instant;

use super::endpoint::{Place, StockEndpoint};
use super::hosts::{Hosts, hint};
use super::root;
use super::served::{ServedEndpoint, Started, Unfit};
use crate::api::WayInfo;
use crate::limits::Limits;
use crate::local::lock;

/// Between attempts at a host: soon at first, each minute in the end.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Sessions with a program that end this soon, so many in a row, are no use: then SFTP has its turn.
const SHORT_SESSION: Duration = Duration::from_secs(30);
const MOST_SHORT_SESSIONS: u32 = 3;

/// The one task that keeps a relationship's session.
pub(crate) struct Keeper {
    pub(super) hosts: Arc<Hosts>,
    pub(super) target: Target,
    pub(super) place: Place,
    pub(super) only_compares: bool,
    pub(super) limits: Arc<Limits>,
    /// Why there is no session.
    pub(super) refusal: Arc<Mutex<Option<String>>>,
    /// How the folder was reached last.
    pub(super) way: Arc<Mutex<Option<WayInfo>>>,
    pub(super) link: watch::Sender<Option<Arc<dyn Endpoint>>>,
    /// Sessions with a program that ended at once, in a row.
    pub(super) short_sessions: u32,
}

/// A session with a host.
enum Session {
    Served(Arc<ServedEndpoint>),
    Sftp(Arc<StockEndpoint>),
}

impl Session {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        match self {
            Session::Served(endpoint) => Arc::clone(endpoint) as Arc<dyn Endpoint>,
            Session::Sftp(endpoint) => Arc::clone(endpoint) as Arc<dyn Endpoint>,
        }
    }

    async fn ended(&self) {
        match self {
            Session::Served(endpoint) => endpoint.ended().await,
            Session::Sftp(endpoint) => endpoint.ended().await,
        }
    }
}

impl Keeper {
    /// Runs until it is aborted or nobody looks at the link any more.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(SHORTEST, LONGEST);
        let mut tuning = self.place.tuning.subscribe();
        loop {
            let program = tuning.borrow_and_update().program.clone();
            match self.connect().await {
                Ok(session) => {
                    *lock(&self.refusal) = None;
                    backoff.reset();
                    let begun = Instant::now();
                    self.link.send_replace(Some(session.endpoint()));
                    tokio::select! {
                        () = session.ended() => {}
                        // An error means that the relationship is gone, which aborts this task.
                        _ = tuning.wait_for(|tuning| tuning.program != program) => {}
                    }
                    self.link.send_replace(None);
                    self.short_sessions = match session {
                        Session::Served(_) if begun.elapsed() < SHORT_SESSION => self.short_sessions + 1,
                        _ => 0,
                    };
                }
                Err(why) => {
                    tracing::debug!(why, host = self.target.host, "the host cannot be used");
                    *lock(&self.refusal) = Some(why);
                }
            }
            if self.link.is_closed() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(rand::random())) => {}
                () = self.hosts.knocked() => {}
            }
        }
    }

    async fn connect(&mut self) -> Result<Session, String> {
        let said = |error: StockError| format!("{error} ({})", hint(&error));
        let mut host = self.hosts.login().map_err(said)?.connect(&self.target).await.map_err(said)?;
        let program = self.place.tuning.borrow().program.clone();
        let note = match program {
            None => "the setting host.program is off".to_owned(),
            Some(program) if self.short_sessions >= MOST_SHORT_SESSIONS => {
                format!("'{}' there ended {MOST_SHORT_SESSIONS} times within seconds", program.as_str())
            }
            Some(program) => {
                let own_name = self.place.local.machine();
                match Started::start(&host, &program, &own_name).await {
                    Ok(started) => match self.begin(host, started).await {
                        Ok(endpoint) => return Ok(Session::Served(endpoint)),
                        Err(Unfit::Refused(error)) => return Err(refusal(&error.message, &error.hint)),
                        Err(Unfit::Fallback(note)) => {
                            // The login went with the program that it carried.
                            host = self
                                .hosts
                                .login()
                                .map_err(said)?
                                .connect(&self.target)
                                .await
                                .map_err(said)?;
                            note
                        }
                    },
                    Err(Unfit::Refused(error)) => return Err(refusal(&error.message, &error.hint)),
                    Err(Unfit::Fallback(note)) => note,
                }
            }
        };
        let sftp = self.sftp(host, &note).await;
        sftp.map_err(|error| format!("{}; and Evenfold is not used there: {note}", said(error)))
    }

    async fn begin(&self, host: Host, started: Started) -> Result<Arc<ServedEndpoint>, Unfit> {
        let mark = root::mark(&self.place.store, self.place.relationship, self.only_compares).await;
        let version = started.version.clone();
        let endpoint = started.begin(host, &self.target, &self.place, mark, &self.limits).await?;
        let note = format!("Evenfold {version} there");
        *lock(&self.way) = Some(WayInfo { kind: "evenfold".to_owned(), note: Some(note) });
        Ok(endpoint)
    }

    async fn sftp(&mut self, host: Host, note: &str) -> Result<Session, StockError> {
        let sftp = host.sftp().await?;
        self.place.path = absolute(&sftp, &self.target).await?;
        let mark = root::mark(&self.place.store, self.place.relationship, self.only_compares).await;
        let way = WayInfo { kind: "sftp".to_owned(), note: Some(note.to_owned()) };
        if lock(&self.way).replace(way.clone()) != Some(way) {
            tracing::info!(host = self.target.host, note, "the host is used over SFTP");
        }
        Ok(Session::Sftp(StockEndpoint::new(host, sftp, self.place.clone(), mark)))
    }
}

fn refusal(message: &str, hint: &str) -> String {
    if hint.is_empty() { message.to_owned() } else { format!("{message} ({hint})") }
}

/// Returns the folder's path from the top.
pub(super) async fn absolute(sftp: &Sftp, target: &Target) -> Result<Vec<u8>, StockError> {
    let below = match &target.path {
        TargetPath::Absolute(path) => return Ok(path.clone()),
        TargetPath::Home(below) => below,
    };
    let home = async { sftp.real_path(b".").await?.await?.name() };
    let mut path = home.await.map_err(|error| StockError::Protocol {
        host: target.host.clone(),
        why: format!("it does not say where the home folder is: {error}"),
    })?;
    if !below.is_empty() {
        path.push(b'/');
        path.extend_from_slice(below);
    }
    Ok(path)
}
