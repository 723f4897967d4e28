//! Keeps a session with a host whenever it can be reached.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_engine::Endpoint;
use evenfold_engine::backoff::Backoff;
use evenfold_ssh::stock::sftp::Sftp;
use evenfold_ssh::stock::{Host, StockError, Target, TargetPath};
use tokio::sync::watch;

use super::endpoint::{Place, StockEndpoint};
use super::hosts::{Hosts, hint};
use super::root;
use crate::local::lock;

/// Between attempts at a host: soon at first, each minute in the end.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The one task that keeps a relationship's session.
pub(crate) struct Keeper {
    pub(super) hosts: Arc<Hosts>,
    pub(super) target: Target,
    pub(super) place: Place,
    pub(super) only_compares: bool,
    /// Why there is no session.
    pub(super) refusal: Arc<Mutex<Option<String>>>,
    pub(super) link: watch::Sender<Option<Arc<dyn Endpoint>>>,
}

impl Keeper {
    /// Runs until it is aborted or nobody looks at the link any more.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(SHORTEST, LONGEST);
        loop {
            match self.connect().await {
                Ok((host, sftp)) => {
                    let mark =
                        root::mark(&self.place.store, self.place.relationship, self.only_compares).await;
                    let endpoint = StockEndpoint::new(host, sftp, self.place.clone(), mark);
                    *lock(&self.refusal) = None;
                    backoff.reset();
                    self.link.send_replace(Some(Arc::clone(&endpoint) as Arc<dyn Endpoint>));
                    endpoint.ended().await;
                    self.link.send_replace(None);
                }
                Err(error) => {
                    tracing::debug!(%error, host = self.target.host, "the host cannot be used");
                    *lock(&self.refusal) = Some(format!("{error} ({})", hint(&error)));
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

    async fn connect(&mut self) -> Result<(Host, Sftp), StockError> {
        let host = self.hosts.login()?.connect(&self.target).await?;
        let sftp = host.sftp().await?;
        self.place.path = absolute(&sftp, &self.target).await?;
        Ok((host, sftp))
    }
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
