//! Pairing: offers, and taking them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_ssh::{Code, Introduction, PairError, PeerKey, accept_code};
use evenfold_store::PeerRow;
use tokio::sync::watch;

use crate::addresses::{self, middle_of};
use crate::api::{ApiError, ErrorCode, Event, Offer, Paired};
use crate::local::lock;
use crate::node::{Node, db};
use crate::peers::check_name;
use crate::record::now_micros;
use crate::text::format_time;

/// Offers that are open or were answered lately, by code. An offer lives for at most a day and there can be
/// 99 at once, so this stays small.
#[derive(Default)]
pub(crate) struct Offers(Mutex<HashMap<String, watch::Receiver<Outcome>>>);

/// How an offer ended; nothing while it is open.
type Outcome = Option<Result<Paired, ApiError>>;

fn failed(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::PairingFailed, message)
}

/// Says why a code could not be used.
pub(crate) fn pairing_failed(error: &PairError) -> ApiError {
    let hint = match error {
        PairError::WrongCode | PairError::NoOffer { .. } => {
            "ask for a new code: 'evenfold pair offer' on the other machine"
        }
        PairError::Dial(_) => {
            "is the daemon running there, and is the address right? Where both machines are paired with a third one: \
             CODE via:THIRD"
        }
        _ => "try again with a new code",
    };
    let code = match error {
        PairError::Dial(_) => ErrorCode::Unreachable,
        _ => ErrorCode::PairingFailed,
    };
    ApiError::new(code, format!("{error}; nothing was paired")).with_hint(hint)
}

impl Node {
    /// Opens a pairing offer.
    pub(crate) fn pair_offer(
        self: &Arc<Self>,
        minutes: u32,
        share: Option<String>,
    ) -> Result<Offer, ApiError> {
        if !(1..=1440).contains(&minutes) {
            return Err(ApiError::new(ErrorCode::Usage, "an offer lasts from 1 to 1440 minutes"));
        }
        if let Some(name) = &share {
            self.find(name)?;
        }
        let Some(server) = self.network.server() else {
            let hint = "start 'evenfold daemon' first";
            return Err(failed("this node does not listen, so nobody could take the offer").with_hint(hint));
        };
        let code = Code::random();
        let expires = Duration::from_secs(u64::from(minutes) * 60);
        let mine = self.introduction(share.clone().unwrap_or_default().into_bytes());
        let offer = server.offer(code.clone(), expires, mine);
        let (sender, receiver) = watch::channel(None);
        lock(&self.offers.0).insert(code.to_string(), receiver);
        let node = Arc::downgrade(self);
        let text = code.to_string();
        tokio::spawn(async move {
            let outcome = offer.wait().await;
            let Some(node) = node.upgrade() else { return };
            let answer = match outcome {
                Ok(paired) => {
                    let told = addresses::told(paired.introduction.addresses.clone());
                    node.pin(paired, told, share).await
                }
                Err(error) => Err(failed(format!("the offer ended: {error}"))),
            };
            sender.send_replace(Some(answer));
            // Whoever waits has a day to ask how it ended.
            tokio::time::sleep(Duration::from_secs(600)).await;
            lock(&node.offers.0).remove(&text);
        });
        let until = jiff::Timestamp::now() + expires;
        Ok(Offer {
            code: code.to_string(),
            addresses: self.network.addresses(),
            expires_at: format_time(until),
        })
    }

    /// Waits until an offer is taken or over.
    pub(crate) async fn pair_wait(&self, code: &str) -> Result<Paired, ApiError> {
        let waiting = lock(&self.offers.0).get(code).cloned();
        let Some(mut outcome) = waiting else {
            return Err(ApiError::new(
                ErrorCode::NotFound,
                format!("no offer with the code '{code}' is open"),
            ));
        };
        let answer = outcome.wait_for(Option::is_some).await;
        let answer = answer.map_err(|_| failed("the offer was withdrawn"))?.clone();
        answer.unwrap_or_else(|| Err(failed("the offer was withdrawn")))
    }

    /// Pairs with the node that offers `code`, at an address or wherever it is on the local network.
    pub(crate) async fn pair_accept(
        self: &Arc<Self>,
        code: &str,
        address: Option<&str>,
    ) -> Result<Paired, ApiError> {
        let code = Code::parse(code).map_err(|error| ApiError::new(ErrorCode::Usage, error.to_string()))?;
        let Some(address) = address else { return self.pair_with_somebody(&code).await };
        if let Some(way) = middle_of(address) {
            return self.pair_through(&code, way).await;
        }
        let address = addresses::with_port(address);
        match self.take_offer(&code, &address).await {
            Ok(paired) => self.pin_offered(paired, &address).await,
            Err(error) => Err(pairing_failed(&error)),
        }
    }

    /// Takes the offer of the node at an address; nothing is noted yet.
    pub(crate) async fn take_offer(
        &self,
        code: &Code,
        address: &str,
    ) -> Result<evenfold_ssh::Paired, PairError> {
        let identity = Arc::clone(&self.network.identity);
        let mine = self.introduction(Vec::new());
        accept_code(address, code, identity, mine, self.network.limits.clone()).await
    }

    /// Notes the node whose offer was taken at an address.
    pub(crate) async fn pin_offered(
        self: &Arc<Self>,
        paired: evenfold_ssh::Paired,
        address: &str,
    ) -> Result<Paired, ApiError> {
        // The address that was just used works, and may be a name; it is tried before those the other side tells of
        // itself.
        let told = addresses::told(paired.introduction.addresses.clone());
        let typed = middle_of(address).is_none().then(|| address.to_owned());
        let addresses = addresses::merge(&typed.into_iter().collect::<Vec<_>>(), &told);
        let share = String::from_utf8(paired.introduction.extra.clone()).ok().filter(|name| !name.is_empty());
        self.pin(paired, addresses, share).await
    }

    pub(crate) fn introduction(&self, extra: Vec<u8>) -> Introduction {
        Introduction { name: self.name.clone(), addresses: self.network.addresses(), extra }
    }

    /// Pins the key of a node that has proven itself.
    async fn pin(
        self: &Arc<Self>,
        paired: evenfold_ssh::Paired,
        mut addresses: Vec<String>,
        share: Option<String>,
    ) -> Result<Paired, ApiError> {
        let key: PeerKey = paired.key;
        if let Some(middle) = paired.remote.middle() {
            addresses.push(addresses::through(&middle));
        }
        let name = self.pin_key(key, &paired.introduction.name, addresses).await?;
        Ok(Paired { name, fingerprint: key.fingerprint(), check: paired.check, share })
    }

    /// Pins a key, and returns the name that its node has here: that by which it is known, or what is free.
    async fn pin_key(
        self: &Arc<Self>,
        key: PeerKey,
        wanted: &str,
        addresses: Vec<String>,
    ) -> Result<String, ApiError> {
        let known = self.store.peers().get(key.as_bytes()).await.map_err(db)?;
        let name = match &known {
            Some(peer) => peer.name.clone(),
            None => self.free_peer_name(wanted).await?,
        };
        let row = PeerRow {
            key: *key.as_bytes(),
            name: name.clone(),
            addresses,
            paired: now_micros(),
            last_seen: Some(now_micros()),
            revoked: None,
            note: known.map(|peer| peer.note).unwrap_or_default(),
        };
        self.store.peers().put(&row).await.map_err(db)?;
        self.network.pins.add(key);
        self.network.keep(key, row.addresses, false);
        self.tell(Event::Peers);
        Ok(name)
    }

    /// Pins the node at an address, if it shows the key of which somebody was told the fingerprint.
    pub(crate) async fn peer_add(
        self: &Arc<Self>,
        fingerprint: &str,
        address: &str,
        name: Option<&str>,
    ) -> Result<Paired, ApiError> {
        if fingerprint.strip_prefix("SHA256:").is_none_or(|rest| rest.len() != 43) {
            let message = format!("'{fingerprint}' is no fingerprint: SHA256: and 43 characters");
            let hint = "'evenfold node show' on the other machine prints it";
            return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
        }
        name.map(check_name).transpose()?;
        let address = addresses::with_port(address);
        let identity = Arc::clone(&self.network.identity);
        let shown = evenfold_ssh::host_key(&address, identity, self.network.limits.clone()).await;
        let key = shown.map_err(|error| {
            ApiError::new(ErrorCode::Unreachable, format!("{error}; nothing was paired"))
                .with_hint("is the daemon running there, and is the address right?")
        })?;
        if key.fingerprint() != fingerprint {
            let message =
                format!("{address} has the key {}, not {fingerprint}; nothing was paired", key.fingerprint());
            let hint = "another machine has this address, or the fingerprint is not that of its node: compare it with \
                        'evenfold node show' there";
            return Err(failed(message).with_hint(hint));
        }
        if let Some(name) = name
            && let Some(other) = self.store.peers().by_name(name).await.map_err(db)?
            && other.key != *key.as_bytes()
        {
            let message = format!("another machine is called '{name}' here; nothing was paired");
            return Err(
                ApiError::new(ErrorCode::Exists, message).with_hint("give it another name with --name")
            );
        }
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let name =
            self.pin_key(key, name.unwrap_or(host.trim_matches(['[', ']'])), vec![address.clone()]).await?;
        Ok(Paired { name, fingerprint: key.fingerprint(), check: String::new(), share: None })
    }

    async fn free_peer_name(&self, wanted: &str) -> Result<String, ApiError> {
        let clean: String = wanted.chars().filter(|c| !c.is_control() && *c != ':').take(64).collect();
        let base = if clean.trim().is_empty() { "machine".to_owned() } else { clean };
        for number in 1..1000 {
            let name = if number == 1 { base.clone() } else { format!("{base}-{number}") };
            if name != self.name && self.store.peers().by_name(&name).await.map_err(db)?.is_none() {
                return Ok(name);
            }
        }
        Err(ApiError::new(ErrorCode::Exists, format!("too many machines are called '{base}'")))
    }
}
