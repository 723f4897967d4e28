//! What russh asks the serving side, per connection: who may log in, and what they get.
//!
//! The answer to everything is no, but for: a pinned Ed25519 key under the user name `evenfold`, which gets
//! one channel with the subsystem `evenfold`; and, while a pairing offer is open, any Ed25519 key
//! under `evenfold-pair`, which gets one channel with the subsystem `evenfold-pair`.

use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use tokio::sync::oneshot;

use super::Gate;
use crate::PeerKey;
use crate::algorithms::{PAIRING_SUBSYSTEM, PAIRING_USER, PEER_SUBSYSTEM, PEER_USER};
use crate::pairing::Offers;

/// As what someone logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A pinned peer.
    Peer,
    /// A stranger who wants to become one.
    Pairing,
}

impl Role {
    fn of_user(user: &str) -> Option<Self> {
        match user {
            PEER_USER => Some(Role::Peer),
            PAIRING_USER => Some(Role::Pairing),
            _ => None,
        }
    }

    fn subsystem(self) -> &'static str {
        match self {
            Role::Peer => PEER_SUBSYSTEM,
            Role::Pairing => PAIRING_SUBSYSTEM,
        }
    }
}

/// Someone who has logged in and opened the channel they may have.
pub(super) struct Entered {
    pub(super) role: Role,
    pub(super) key: PeerKey,
    pub(super) channel: Channel<Msg>,
}

pub(super) struct ServerHandler {
    gate: Arc<dyn Gate>,
    offers: Arc<Offers>,
    login: Option<(Role, PeerKey)>,
    /// The one channel, until its subsystem has been asked for.
    channel: Option<Channel<Msg>>,
    channel_opened: bool,
    /// Told once.
    entered: Option<oneshot::Sender<Entered>>,
}

impl ServerHandler {
    pub(super) fn new(gate: Arc<dyn Gate>, offers: Arc<Offers>, entered: oneshot::Sender<Entered>) -> Self {
        Self { gate, offers, login: None, channel: None, channel_opened: false, entered: Some(entered) }
    }

    /// Tells whether this key may log in under this name now.
    fn admit(&self, user: &str, key: &PublicKey) -> Option<(Role, PeerKey)> {
        let key = PeerKey::from_russh(key)?;
        let role = Role::of_user(user)?;
        let admitted = match role {
            Role::Peer => self.gate.is_pinned(&key),
            Role::Pairing => self.offers.any_open(),
        };
        admitted.then_some((role, key))
    }
}

/// Answers a request on a channel with a failure; russh leaves that to us.
fn refuse(channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
    session.channel_failure(channel)
}

impl server::Handler for ServerHandler {
    type Error = russh::Error;

    // Logging in. Passwords, keyboard-interactive, "none" and certificates are refused by default.

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(if self.admit(user, offer.public_key).is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        // Asked again: the pin may have been removed between the offer and the signature.
        self.login = self.admit(user, key.public_key);
        Ok(if self.login.is_some() { Auth::Accept } else { Auth::reject() })
    }

    // The one channel and its subsystem.

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.login.is_some() && !self.channel_opened {
            self.channel_opened = true;
            self.channel = Some(channel);
            reply.accept().await;
        }
        // Otherwise dropping the handle refuses: "administratively prohibited".
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let login = self.login.filter(|(role, _)| role.subsystem() == name);
        let Some((role, key)) = login else { return refuse(id, session) };
        let Some(channel) = self.channel.take_if(|channel| channel.id() == id) else {
            return refuse(id, session);
        };
        let Some(entered) = self.entered.take() else { return refuse(id, session) };
        session.channel_success(id)?;
        // The receiver is gone if the deadline has just passed; then the connection is being cut.
        drop(entered.send(Entered { role, key, channel }));
        Ok(())
    }

    // Everything else on a channel.

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(id, session)
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Session) -> Result<bool, russh::Error> {
        Ok(false)
    }

    // Other channels. Dropping the handle refuses, as russh's defaults do; written out, for what
    // a default does may change.

    async fn channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    // Forwarding towards the client.

    async fn tcpip_forward(&mut self, _: &str, _: &mut u32, _: &mut Session) -> Result<bool, russh::Error> {
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, _: &str, _: &mut Session) -> Result<bool, russh::Error> {
        Ok(false)
    }
}
