//! A plain SSH client that can ask for what Evenfold's own never asks for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use evenfold_ssh::Identity;
use russh::client::{self, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};

pub struct Anyone;

impl client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A key that both Evenfold and the plain client can use.
pub fn shared_key(folder: &Path) -> (Arc<Identity>, PrivateKeyWithHashAlg) {
    let path = folder.join("identity");
    let identity = Identity::load_or_create(&path).unwrap();
    let private = PrivateKey::from_openssh(std::fs::read_to_string(&path).unwrap()).unwrap();
    (Arc::new(identity), PrivateKeyWithHashAlg::new(Arc::new(private), None))
}

pub async fn connect(addr: SocketAddr) -> Handle<Anyone> {
    client::connect(Arc::new(client::Config::default()), addr, Anyone).await.unwrap()
}

/// Waits for the answer to a request with `want_reply`.
pub async fn answer(channel: &mut Channel<client::Msg>) -> Option<bool> {
    loop {
        match super::in_time(channel.wait()).await {
            Some(ChannelMsg::Success) => return Some(true),
            Some(ChannelMsg::Failure) => return Some(false),
            Some(_) => {}
            None => return None,
        }
    }
}
