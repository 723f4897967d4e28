//! Hosts on which only OpenSSH's server runs: logging in as the user's own `ssh` would, and SFTP.
//!
//! `~/.ssh/config` says how a host is reached ([`config`]), `known_hosts` which key it has ([`known`]), the agent and
//! the identity files who we are ([`login`]); jump hosts are logged in to one after the other, each within the
//! connection to the one before. What runs inside is [`sftp`], or Evenfold itself where the host has it ([`Host::start`]).
//!
//! A host key that nobody vouches for is never accepted by itself: the connection ends with
//! [`StockError::KeyUnknown`], and a person names the fingerprint in [`Login::accept`].

mod config;
mod known;
mod login;
mod program;
pub mod sftp;
mod target;
mod wildcard;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, EcdsaCurve, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::algorithms::stock_config;
use crate::dial::{Race, deny_channels};
use config::{HostSettings, at_home, look_up};
use known::{KnownHosts, Verdict, fingerprint};
use sftp::Sftp;

pub use config::ConfigError;
pub use program::{Program, ProgramError};
pub use target::{ParseTargetError, Target, TargetPath};

/// How long one host may take until it is logged in to; the user's agent may ask for a confirmation meanwhile.
const LOGIN: Duration = Duration::from_secs(30);

/// Hosts to go through at most: more are a circle.
const MOST_JUMPS: usize = 8;

/// Who logs in, and what is trusted. Without `Debug`, because it may hold passphrases.
#[derive(Clone)]
pub struct Login {
    /// The user's home, where `.ssh` is.
    pub home: PathBuf,
    /// What the local user is called.
    pub local_user: String,
    /// The agent's socket, if there is an agent.
    pub agent: Option<PathBuf>,
    /// Our own file of known hosts.
    pub known_hosts: PathBuf,
    /// Fingerprints (`SHA256:…`) of unknown host keys that a person has accepted.
    pub accept: Vec<String>,
    /// Passphrases for encrypted identity files.
    pub passphrases: Vec<String>,
}

/// Why a host cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Known hosts cannot be read or written.
    #[error("known hosts: {0}")]
    KnownHosts(#[source] std::io::Error),
    /// No connection came about.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// Each address with its failure.
        why: String,
    },
    /// No answer in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host.
        host: String,
    },
    /// Nobody knows the host's key.
    #[error("the key of {host} is not known: {algorithm} {fingerprint}")]
    KeyUnknown {
        /// The host, with its port if that is not the usual one.
        host: String,
        /// The kind of key.
        algorithm: String,
        /// The fingerprint, as OpenSSH shows it.
        fingerprint: String,
    },
    /// The host shows another key than the known one.
    #[error("{host} shows another key than the one in line {line} of {}: {fingerprint}", file.display())]
    KeyChanged {
        /// The host.
        host: String,
        /// The fingerprint of the key that it shows.
        fingerprint: String,
        /// Where the known key stands.
        file: PathBuf,
        /// In which line.
        line: usize,
    },
    /// The host shows a key that must not be used any more.
    #[error("{host} shows a key that is revoked in line {line} of {}", file.display())]
    KeyRevoked {
        /// The host.
        host: String,
        /// Where it is revoked.
        file: PathBuf,
        /// In which line.
        line: usize,
    },
    /// The only keys that could open the door are encrypted, and no passphrase fits.
    #[error("the key {} is encrypted", file.display())]
    Encrypted {
        /// The first such key.
        file: PathBuf,
    },
    /// The host lets us in with none of our keys.
    #[error("{host} does not let {user} in: {tried}")]
    Refused {
        /// The host.
        host: String,
        /// As whom we tried.
        user: String,
        /// What was tried, in words.
        tried: String,
    },
    /// The host does not speak the protocol, or stopped.
    #[error("{host}: {why}")]
    Protocol {
        /// The host.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// The host has no SFTP.
    #[error("{host} offers no SFTP: {why}")]
    NoSftp {
        /// The host.
        host: String,
        /// What it said.
        why: String,
    },
}

/// A host that we are logged in to.
pub struct Host {
    name: String,
    session: Handle<Verifier>,
    /// The hosts that we went through; their connections carry this one's.
    _through: Vec<Handle<Verifier>>,
}

/// One host on the way.
struct Hop {
    settings: HostSettings,
    /// As the user wrote it.
    alias: String,
    host: String,
    port: u16,
    user: String,
}

impl Hop {
    /// The name under which its key is known.
    fn key_name(&self) -> &str {
        self.settings.host_key_alias.as_deref().unwrap_or(&self.host)
    }

    /// How it is called in messages.
    fn shown(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl Login {
    /// Returns the login of the user whose process this is. `known_hosts` is the file for keys that are accepted.
    ///
    /// # Errors
    /// If nobody says where the user's home is.
    pub fn of_this_user(known_hosts: PathBuf) -> Result<Self, StockError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = variable("HOME").map(PathBuf::from).or_else(std::env::home_dir).ok_or_else(|| {
            let why = "nobody says where the home folder is: $HOME is not set".to_owned();
            ConfigError { file: PathBuf::from("~/.ssh/config"), why }
        })?;
        let name = variable("USER").or_else(|| variable("LOGNAME")).or_else(|| variable("USERNAME"));
        Ok(Login {
            // A service may have no such variable; homes are called after their users.
            local_user: name
                .or_else(|| home.file_name().map(ToOwned::to_owned))
                .map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned()),
            home,
            agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            known_hosts,
            accept: Vec::new(),
            passphrases: Vec::new(),
        })
    }

    /// Logs in to the host of `target`, through others where the settings say so. May be cancelled at any point.
    ///
    /// # Errors
    /// See [`StockError`]. Unknown keys whose fingerprints are in [`Login::accept`] are noted as known.
    pub async fn connect(&self, target: &Target) -> Result<Host, StockError> {
        let mut hops = Vec::new();
        self.plan(&target.host, target.user.as_deref(), target.port, None, &mut hops)?;
        let mut through: Vec<Handle<Verifier>> = Vec::new();
        for hop in hops {
            let attempt = self.enter(&hop, through.last());
            let session = match timeout(LOGIN, attempt).await {
                Ok(session) => session?,
                Err(_) => return Err(StockError::Timeout { host: hop.shown() }),
            };
            through.push(session);
        }
        let session = through.pop().ok_or_else(|| StockError::Protocol {
            host: target.host.clone(),
            why: "there is no way to it".to_owned(),
        })?;
        Ok(Host { name: target.host.clone(), session, _through: through })
    }

    /// Finds out which hosts lie on the way, first to last. `jumps` takes the place of what the settings say.
    fn plan(
        &self,
        alias: &str,
        user: Option<&str>,
        port: Option<u16>,
        jumps: Option<&[String]>,
        hops: &mut Vec<Hop>,
    ) -> Result<(), StockError> {
        let settings = look_up(&self.home, alias, &self.local_user)?;
        let wrong = |why: String| ConfigError { file: self.home.join(".ssh/config"), why };
        let jumps = jumps.unwrap_or(&settings.proxy_jump);
        if let Some((last, before)) = jumps.split_last() {
            if hops.len() + jumps.len() > MOST_JUMPS {
                return Err(wrong(format!("more than {MOST_JUMPS} hosts lie on the way to {alias}")).into());
            }
            let text = last.strip_prefix("ssh://").unwrap_or(last).trim_end_matches('/');
            let (user, host, port) = target::parse_login(text)
                .ok_or_else(|| wrong(format!("'{last}' is no host to jump through")))?;
            if host == alias {
                return Err(wrong(format!("the way to {alias} leads through itself")).into());
            }
            let before = (!before.is_empty()).then_some(before);
            self.plan(&host, user.as_deref(), port, before, hops)?;
            if hops.len() > MOST_JUMPS {
                return Err(wrong(format!("more than {MOST_JUMPS} hosts lie on the way to {alias}")).into());
            }
        }
        hops.push(Hop {
            alias: alias.to_owned(),
            host: settings.host_name.clone().unwrap_or_else(|| alias.to_owned()),
            port: port.or(settings.port).unwrap_or(22),
            user: user
                .map(str::to_owned)
                .or_else(|| settings.user.clone())
                .unwrap_or_else(|| self.local_user.clone()),
            settings,
        });
        Ok(())
    }

    /// Connects to one host and logs in.
    async fn enter(
        &self,
        hop: &Hop,
        through: Option<&Handle<Verifier>>,
    ) -> Result<Handle<Verifier>, StockError> {
        let known = self.known_hosts_of(hop);
        let algorithms = known.algorithms(hop.key_name(), hop.port).map_err(StockError::KnownHosts)?;
        let config = stock_config(host_key_order(&algorithms));
        let shown = Arc::new(Mutex::new(None));
        let verifier = Verifier {
            known,
            name: hop.key_name().to_owned(),
            port: hop.port,
            accept: self.accept.clone(),
            verdict: Arc::clone(&shown),
        };
        let connected = match through {
            Some(session) => {
                let port = u32::from(hop.port);
                let channel =
                    session.channel_open_direct_tcpip(hop.host.as_str(), port, "127.0.0.1", 0).await;
                let channel = channel.map_err(|error| StockError::Unreachable {
                    host: hop.shown(),
                    why: format!("the host before it could not connect to it: {error}"),
                })?;
                shake_hands(config, channel.into_stream(), verifier).await
            }
            None => {
                let address = if hop.host.contains(':') {
                    format!("[{}]:{}", hop.host, hop.port)
                } else {
                    format!("{}:{}", hop.host, hop.port)
                };
                let mut race = Race::start(&[address], LOGIN).await;
                let Some((_, tcp)) = race.next().await else {
                    let why = race.failures.join("; ");
                    return Err(StockError::Unreachable { host: hop.shown(), why });
                };
                if let Err(error) = tcp.set_nodelay(true) {
                    tracing::debug!(%error, "small messages may be delayed");
                }
                shake_hands(config, tcp, verifier).await
            }
        };
        let judged = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (connected, judged) {
            (Ok(mut session), _) => {
                login::log_in(&mut session, self, hop).await?;
                Ok(session)
            }
            (Err(_), Some(Judged::Refuse(refusal))) => Err(*refusal),
            (Err(error), _) => {
                Err(StockError::Protocol { host: hop.shown(), why: plain_words(&error, &hop.alias) })
            }
        }
    }

    fn known_hosts_of(&self, hop: &Hop) -> KnownHosts {
        let mut others = hop.settings.known_hosts.clone();
        if others.is_empty() {
            others =
                vec![at_home("~/.ssh/known_hosts", &self.home), at_home("~/.ssh/known_hosts2", &self.home)];
        }
        others.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
        KnownHosts { own: self.known_hosts.clone(), others }
    }
}

fn plain_words(error: &russh::Error, alias: &str) -> String {
    match error {
        russh::Error::NoCommonAlgo { kind, .. } => {
            format!("{alias} and this machine have no {kind:?} in common that is still safe")
        }
        other => other.to_string(),
    }
}

async fn shake_hands<S>(
    config: Arc<client::Config>,
    stream: S,
    verifier: Verifier,
) -> Result<Handle<Verifier>, russh::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    client::connect_stream(config, stream, verifier).await
}

/// The kinds of host keys, those that are known first: a host has several, and shows the first that we name.
fn host_key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let mut order = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    ];
    order.sort_by_key(|algorithm| !known.contains(algorithm));
    order
}

impl Host {
    /// Starts SFTP.
    ///
    /// # Errors
    /// [`StockError::NoSftp`] where the host does not offer it.
    pub async fn sftp(&self) -> Result<Sftp, StockError> {
        let refused = |why: String| StockError::NoSftp { host: self.name.clone(), why };
        let open = async {
            let mut channel =
                self.session.channel_open_session().await.map_err(|e| refused(e.to_string()))?;
            channel.request_subsystem(true, "sftp").await.map_err(|e| refused(e.to_string()))?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => break,
                    Some(ChannelMsg::WindowAdjusted { .. }) => {}
                    _ => return Err(refused("the subsystem was refused".to_owned())),
                }
            }
            Sftp::start(channel.into_stream()).await.map_err(|error| refused(error.to_string()))
        };
        match timeout(LOGIN, open).await {
            Ok(sftp) => sftp,
            Err(_) => Err(StockError::Timeout { host: self.name.clone() }),
        }
    }

    /// Tells whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Ends the connection.
    pub async fn close(&self) {
        // Fails only if it has ended, which is what is wanted.
        _ = self.session.disconnect(Disconnect::ByApplication, "", "en").await;
    }
}

/// What came of looking at the host's key.
enum Judged {
    Accepted,
    Refuse(Box<StockError>),
}

/// What russh asks: whether the host key is the right one. Channels that the host wants to open to us are denied.
struct Verifier {
    known: KnownHosts,
    name: String,
    port: u16,
    accept: Vec<String>,
    verdict: Arc<Mutex<Option<Judged>>>,
}

impl Verifier {
    fn judge(&self, key: &PublicKey) -> Judged {
        let host = if self.port == 22 { self.name.clone() } else { format!("{}:{}", self.name, self.port) };
        let print = fingerprint(key);
        let refusal = match self.known.judge(&self.name, self.port, key) {
            Ok(Verdict::Known) => return Judged::Accepted,
            Ok(Verdict::Unknown) if self.accept.contains(&print) => {
                match self.known.learn(&self.name, self.port, key) {
                    Ok(()) => return Judged::Accepted,
                    Err(error) => StockError::KnownHosts(error),
                }
            }
            Ok(Verdict::Unknown) => {
                let algorithm = key.algorithm().to_string();
                StockError::KeyUnknown { host, algorithm, fingerprint: print }
            }
            Ok(Verdict::Changed { file, line }) => {
                StockError::KeyChanged { host, fingerprint: print, file, line }
            }
            Ok(Verdict::Revoked { file, line }) => StockError::KeyRevoked { host, file, line },
            Err(error) => StockError::KnownHosts(error),
        };
        Judged::Refuse(Box::new(refusal))
    }
}

impl client::Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let judged = self.judge(key);
        let accepted = matches!(judged, Judged::Accepted);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
        Ok(accepted)
    }

    deny_channels!();
}
