//! What a peer with a pinned key, and a plain SSH client, is refused all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::raw::{Anyone, answer, connect, shared_key};
use common::{Rig, in_time};
use evenfold_ssh::{Code, Introduction, Limits};
use russh::client::{Handle, Msg};
use russh::keys::PrivateKeyWithHashAlg;
use russh::{Channel, ChannelOpenFailure};

struct Plain {
    rig: Rig,
    key: PrivateKeyWithHashAlg,
    _folder: tempfile::TempDir,
}

async fn plain() -> Plain {
    let rig = Rig::new(Limits::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (identity, key) = shared_key(folder.path());
    rig.pins.pin(identity.key());
    Plain { rig, key, _folder: folder }
}

impl Plain {
    async fn log_in(&self, user: &str) -> Handle<Anyone> {
        let mut session = connect(self.rig.addr()).await;
        assert!(session.authenticate_publickey(user, self.key.clone()).await.unwrap().success());
        session
    }

    async fn channel(&self) -> (Handle<Anyone>, Channel<Msg>) {
        let session = self.log_in("evenfold").await;
        let channel = in_time(session.channel_open_session()).await.unwrap();
        (session, channel)
    }
}

#[tokio::test]
async fn shell_exec_pty_env_x11_and_agent_are_refused() {
    let plain = plain().await;
    let (_session, mut channel) = plain.channel().await;
    channel.request_shell(true).await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "shell");
    channel.exec(true, "true").await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "exec");
    channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "pty");
    channel.set_env(true, "LD_PRELOAD", "/tmp/x.so").await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "env");
    channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0).await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "x11");
    channel.agent_forward(true).await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "agent");
    for subsystem in ["sftp", "evenfold-pair", "", "EVENFOLD"] {
        channel.request_subsystem(true, subsystem).await.unwrap();
        assert_eq!(answer(&mut channel).await, Some(false), "{subsystem}");
    }
    channel.request_subsystem(true, "evenfold").await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(true), "its own subsystem, after all that");
    let _connection = in_time(plain.rig.server.accept()).await.unwrap();
    channel.request_subsystem(true, "evenfold").await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false), "the subsystem a second time");
}

#[tokio::test]
async fn forwarding_and_second_channels_are_refused() {
    let plain = plain().await;
    let (session, _channel) = plain.channel().await;
    let refused = |result: Result<Channel<Msg>, russh::Error>| match result {
        Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited)) => {}
        other => panic!("{other:?}"),
    };
    refused(in_time(session.channel_open_session()).await);
    refused(in_time(session.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1)).await);
    refused(in_time(session.channel_open_direct_streamlocal("/run/x.sock")).await);
    refused(in_time(session.channel_open_x11("127.0.0.1", 1)).await);
    assert!(in_time(session.tcpip_forward("127.0.0.1", 0)).await.is_err());
    assert!(in_time(session.streamlocal_forward("/run/x.sock")).await.is_err());
}

#[tokio::test]
async fn other_users_and_other_ways_to_log_in_are_refused() {
    let plain = plain().await;
    for user in ["root", "", "evenfold ", "Evenfold", "evenfold-pair"] {
        let mut session = connect(plain.rig.addr()).await;
        let result = in_time(session.authenticate_publickey(user, plain.key.clone())).await.unwrap();
        assert!(!result.success(), "{user:?}");
    }
    let mut session = connect(plain.rig.addr()).await;
    assert!(!in_time(session.authenticate_none("evenfold")).await.unwrap().success());
    assert!(!in_time(session.authenticate_password("evenfold", "evenfold")).await.unwrap().success());
}

#[tokio::test]
async fn fourth_attempt_to_log_in_ends_the_connection() {
    let plain = plain().await;
    let mut session = connect(plain.rig.addr()).await;
    for attempt in 1..=3 {
        let result = in_time(session.authenticate_password("evenfold", "guess")).await.unwrap();
        assert!(!result.success(), "{attempt}");
    }
    let fourth = in_time(session.authenticate_publickey("evenfold", plain.key.clone())).await;
    assert!(!fourth.is_ok_and(|result| result.success()), "not even with the right key");
}

#[tokio::test]
async fn channel_before_login_is_refused() {
    let plain = plain().await;
    let session = connect(plain.rig.addr()).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(5), session.channel_open_session())
            .await
            .map_or(true, |result| result.is_err())
    );
}

#[tokio::test]
async fn stranger_who_may_pair_gets_nothing_else() {
    let plain = plain().await;
    let code = Code::parse("4-lantern-otter").unwrap();
    let _offer = plain.rig.server.offer(code, Duration::from_secs(3600), Introduction::default());
    let session = plain.log_in("evenfold-pair").await;
    let mut channel = in_time(session.channel_open_session()).await.unwrap();
    for subsystem in ["evenfold", "sftp"] {
        channel.request_subsystem(true, subsystem).await.unwrap();
        assert_eq!(answer(&mut channel).await, Some(false), "{subsystem}");
    }
    channel.exec(true, "true").await.unwrap();
    assert_eq!(answer(&mut channel).await, Some(false));
    assert!(in_time(session.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1)).await.is_err());
}

#[tokio::test]
async fn login_without_opening_the_channel_is_cut_off_at_the_deadline() {
    let rig = Rig::new(Limits { login_deadline: Duration::from_secs(1), ..Limits::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let (identity, key) = shared_key(folder.path());
    rig.pins.pin(identity.key());
    let mut session = connect(rig.addr()).await;
    assert!(session.authenticate_publickey("evenfold", key).await.unwrap().success());
    in_time(async {
        while !session.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn peer_that_breaks_the_stream_protocol_is_disconnected() {
    let plain = plain().await;
    for frames in [
        &[9, 0, 0, 0, 0, 0, 0, 1][..],                               // no such frame
        &[1, 0, 0, 0, 0, 0, 0, 2][..],                               // opens with a number of the other side
        &[1, 0, 0, 0, 0, 0, 0, 7][..],                               // opens with a number out of turn
        &[2, 0, 0, 1, 0, 0, 0, 5, 0][..],                            // data for a stream that never was
        &[1, 0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 0, 0, 0, 1][..], // data beyond the window
    ] {
        let (_session, mut channel) = plain.channel().await;
        channel.request_subsystem(true, "evenfold").await.unwrap();
        assert_eq!(answer(&mut channel).await, Some(true));
        let connection = in_time(plain.rig.server.accept()).await.unwrap();
        channel.data_bytes(frames.to_vec()).await.unwrap();
        let reason = in_time(connection.close_reason()).await;
        assert!(reason.contains("broke the protocol"), "{frames:?}: {reason}");
    }
}
