//! What all relationships with hosts share: which keys are known, and passphrases that were given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use evenfold_ssh::stock::{Login, StockError};
use tokio::sync::Notify;

use crate::api::{ApiError, ErrorCode};
use crate::local::lock;

/// Our own file of known hosts, in the home.
const KNOWN_HOSTS: &str = "known_hosts";

/// Passphrases that are remembered at once: one for each key, and few people have more keys.
const MOST_PASSPHRASES: usize = 16;

/// Shared by all relationships with hosts.
pub(crate) struct Hosts {
    known_hosts: PathBuf,
    /// Never written anywhere.
    passphrases: Mutex<Vec<String>>,
    knock: Arc<Notify>,
}

impl Hosts {
    /// `home` is where the node keeps its files.
    pub(crate) fn new(home: &Path) -> Self {
        Hosts { known_hosts: home.join(KNOWN_HOSTS), passphrases: Mutex::default(), knock: Arc::default() }
    }

    /// Returns what is needed to log in.
    pub(super) fn login(&self) -> Result<Login, StockError> {
        let mut login = Login::of_this_user(self.known_hosts.clone())?;
        login.passphrases = lock(&self.passphrases).clone();
        Ok(login)
    }

    /// Takes a passphrase and has hosts that could not be reached tried again at once.
    pub(crate) fn take_passphrase(&self, passphrase: &str) {
        let mut known = lock(&self.passphrases);
        if !known.iter().any(|known| known == passphrase) {
            if known.len() >= MOST_PASSPHRASES {
                known.remove(0);
            }
            known.push(passphrase.to_owned());
        }
        drop(known);
        self.knock.notify_waiters();
    }

    /// Has hosts that could not be reached tried again at once.
    pub(crate) fn knock(&self) {
        self.knock.notify_waiters();
    }

    /// Waits for such a wish.
    pub(super) async fn knocked(&self) {
        self.knock.notified().await;
    }
}

/// Says what a person can do about a host that cannot be used.
pub(super) fn hint(error: &StockError) -> String {
    match error {
        StockError::Config(_) | StockError::KnownHosts(_) => "correct the file and try again".to_owned(),
        StockError::Unreachable { .. } | StockError::Timeout { .. } => {
            "is the host on, and are name and port right?".to_owned()
        }
        StockError::KeyUnknown { fingerprint, .. } => {
            format!("compare the fingerprint with the host's own, then add --accept-key {fingerprint}")
        }
        StockError::KeyChanged { file, line, .. } => format!(
            "if the host was set up anew, remove line {line} of {}; otherwise somebody may stand between you: do not \
             connect",
            file.display()
        ),
        StockError::KeyRevoked { .. } => "do not connect; ask the owner of the host".to_owned(),
        StockError::Encrypted { file } => format!(
            "give it to the agent with 'ssh-add {}', or give its passphrase on a terminal with 'evenfold rel unlock'",
            file.display()
        ),
        StockError::Refused { .. } => {
            "put the public key into ~/.ssh/authorized_keys on the host; 'ssh' must get in without a password"
                .to_owned()
        }
        StockError::Protocol { .. } => "is it OpenSSH's server that listens there?".to_owned(),
        StockError::NoSftp { .. } => "allow the subsystem sftp in the host's sshd_config".to_owned(),
    }
}

/// Puts a failure into the form that users get. `end` says what became of what was asked for.
pub(super) fn failure(error: &StockError, end: &str) -> ApiError {
    let code = match error {
        StockError::Config(_) => ErrorCode::Setting,
        StockError::KnownHosts(_) => ErrorCode::Io,
        StockError::Unreachable { .. } | StockError::Timeout { .. } | StockError::Protocol { .. } => {
            ErrorCode::Unreachable
        }
        StockError::KeyUnknown { .. } => ErrorCode::KeyUnknown,
        StockError::KeyChanged { .. } | StockError::KeyRevoked { .. } => ErrorCode::KeyChanged,
        StockError::Encrypted { .. } => ErrorCode::KeyEncrypted,
        StockError::Refused { .. } | StockError::NoSftp { .. } => ErrorCode::Refused,
    };
    ApiError::new(code, format!("{error}; {end}")).with_hint(hint(error))
}
