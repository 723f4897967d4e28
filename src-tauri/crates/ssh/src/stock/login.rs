//! Proving who we are: keys that the agent holds, and identity files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Error as KeyError, PrivateKeyWithHashAlg, PublicKey, decode_secret_key};

use super::{Hop, Login, StockError, Verifier};
use crate::stock::config::at_home;

/// Keys that are offered at most: OpenSSH's server ends the connection after six failures.
const MOST_OFFERS: usize = 6;

/// Identity files that are tried when the settings name none.
const USUAL_FILES: [&str; 2] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa"];

/// Larger files are no keys, in bytes.
const LARGEST_KEY: u64 = 1 << 20;

/// Something to offer to the host.
enum Offer {
    Agent(PublicKey),
    File(PathBuf),
}

type Agent = AgentClient<tokio::net::UnixStream>;

/// Logs in with the first key that the host takes.
pub(super) async fn log_in(
    session: &mut Handle<Verifier>,
    login: &Login,
    hop: &Hop,
) -> Result<(), StockError> {
    let mut agent = connect_agent(login, hop).await;
    let held = match &mut agent {
        Some(agent) => held_keys(agent).await,
        None => Vec::new(),
    };
    let offers = offers(login, hop, held);
    let mut tried = Vec::new();
    let mut encrypted = None;
    for offer in offers.into_iter() {
        if tried.len() >= MOST_OFFERS {
            tried.push("there are more keys than may be tried; name one with IdentityFile".to_owned());
            break;
        }
        let (what, outcome) = match offer {
            Offer::Agent(key) => {
                let Some(agent) = &mut agent else { continue };
                let what = format!("the agent's key {}", super::fingerprint(&key));
                let hash = rsa_hash(session, &key).await?;
                let outcome = session.authenticate_publickey_with(&hop.user, key, hash, agent).await;
                (what, outcome.map_err(|error| error.to_string()))
            }
            Offer::File(file) => {
                let key = match read_key(&file, &login.passphrases) {
                    Ok(Some(key)) => key,
                    // Not there.
                    Ok(None) => continue,
                    Err(KeyError::KeyIsEncrypted) => {
                        encrypted.get_or_insert(file);
                        continue;
                    }
                    Err(error) => {
                        tried.push(format!("{} cannot be used ({error})", file.display()));
                        continue;
                    }
                };
                let outcome = session.authenticate_publickey(&hop.user, key).await;
                (format!("the key {}", file.display()), outcome.map_err(|error| error.to_string()))
            }
        };
        match outcome {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { partial_success: true, .. }) => {
                tried.push(format!("{what} was taken, but more than a key is asked for"));
            }
            Ok(AuthResult::Failure { .. }) => tried.push(format!("{what} was refused")),
            Err(error) => {
                tried.push(format!("{what}: {error}"));
                if session.is_closed() {
                    break;
                }
            }
        }
    }
    if let Some(file) = encrypted {
        return Err(StockError::Encrypted { file });
    }
    let tried = if tried.is_empty() { "there is no key to try".to_owned() } else { tried.join("; ") };
    Err(StockError::Refused { host: hop.shown(), user: hop.user.clone(), tried })
}

/// Puts what can be offered into order: what the settings name, from the agent where it holds it, before what the
/// agent holds besides, before the usual files.
fn offers(login: &Login, hop: &Hop, mut held: Vec<PublicKey>) -> Vec<Offer> {
    let named = &hop.settings.identity_files;
    let mut offers = Vec::new();
    for file in named {
        let public = public_half(file);
        let at = public.and_then(|key| held.iter().position(|held| held.key_data() == key.key_data()));
        match at {
            Some(at) => offers.push(Offer::Agent(held.remove(at))),
            None => offers.push(Offer::File(file.clone())),
        }
    }
    if !hop.settings.identities_only {
        offers.extend(held.into_iter().map(Offer::Agent));
    }
    if named.is_empty() {
        offers.extend(USUAL_FILES.iter().map(|file| Offer::File(at_home(file, &login.home))));
    }
    offers
}

/// Reads the public key beside an identity file, or the file itself if it is one.
fn public_half(file: &Path) -> Option<PublicKey> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".pub");
    [PathBuf::from(beside), file.to_path_buf()]
        .iter()
        .find_map(|path| PublicKey::from_openssh(std::fs::read_to_string(path).ok()?.trim()).ok())
}

async fn connect_agent(login: &Login, hop: &Hop) -> Option<Agent> {
    let socket = match hop.settings.identity_agent.as_deref() {
        Some("none") => return None,
        Some("SSH_AUTH_SOCK") | None => login.agent.clone()?,
        Some(path) => PathBuf::from(path),
    };
    let connected = AgentClient::connect_uds(&socket).await;
    connected
        .inspect_err(|error| tracing::warn!(%error, agent = %socket.display(), "the agent cannot be asked"))
        .ok()
}

async fn held_keys(agent: &mut Agent) -> Vec<PublicKey> {
    let identities = match agent.request_identities().await {
        Ok(identities) => identities,
        Err(error) => {
            tracing::warn!(%error, "the agent does not say which keys it holds");
            return Vec::new();
        }
    };
    let key = |identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    };
    identities.into_iter().filter_map(key).collect()
}

/// Finds the hash that the host takes for a key of the RSA kind; SHA-1 is never used.
async fn rsa_hash(
    session: &Handle<Verifier>,
    key: &PublicKey,
) -> Result<Option<russh::keys::HashAlg>, StockError> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    let supported = session.best_supported_rsa_hash().await;
    Ok(Some(supported.ok().flatten().flatten().unwrap_or(russh::keys::HashAlg::Sha256)))
}

/// Reads an identity file, trying each passphrase; `None` if there is no such file.
fn read_key(file: &Path, passphrases: &[String]) -> Result<Option<PrivateKeyWithHashAlg>, KeyError> {
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(found) if found.len() > LARGEST_KEY => return Err(KeyError::CouldNotReadKey),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(file)?;
    let ready = |key| PrivateKeyWithHashAlg::new(Arc::new(key), Some(russh::keys::HashAlg::Sha256));
    match decode_secret_key(&text, None) {
        Ok(key) => Ok(Some(ready(key))),
        Err(KeyError::KeyIsEncrypted) => {
            let opened = passphrases.iter().find_map(|word| decode_secret_key(&text, Some(word)).ok());
            opened.map(|key| Some(ready(key))).ok_or(KeyError::KeyIsEncrypted)
        }
        Err(error) => Err(error),
    }
}
