//! A man in the middle: an SSH server and an SSH client, each with keys of his own.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::server::{Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, client, server};
use tokio::net::{TcpListener, TcpStream};

fn key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

struct Front {
    target: SocketAddr,
    channel: Option<Channel<Msg>>,
}

impl server::Handler for Front {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        let mut front = self.channel.take().unwrap().into_stream();
        let (target, name) = (self.target, name.to_owned());
        tokio::spawn(async move {
            let tcp = TcpStream::connect(target).await.unwrap();
            let config = Arc::new(client::Config::default());
            let mut session = client::connect_stream(config, tcp, Trusting).await.unwrap();
            let login = PrivateKeyWithHashAlg::new(Arc::new(key()), None);
            assert!(session.authenticate_publickey(name.clone(), login).await.unwrap().success());
            let channel = session.channel_open_session().await.unwrap();
            channel.request_subsystem(true, name).await.unwrap();
            let mut back = channel.into_stream();
            // Ends when either side does.
            let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
        });
        Ok(())
    }
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// Starts to relay everything to `target`; returns where.
pub async fn start(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let config = Arc::new(server::Config { keys: vec![key()], ..server::Config::default() });
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let front = Front { target, channel: None };
            let session = server::run_stream(config.clone(), tcp, front).await.unwrap();
            tokio::spawn(session);
        }
    });
    addr
}
