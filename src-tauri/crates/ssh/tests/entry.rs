//! Who gets in, who does not, and what an unfriendly client is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, in_time};
use evenfold_ssh::{DialError, Identity, Limits, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn unknown_key_is_refused_and_never_seen_by_the_server() {
    let rig = Rig::new(Limits::default()).await;
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    let error = rig.dial_as(&stranger).await.unwrap_err();
    assert_eq!(error, DialError::Refused { addr: rig.addr().to_string() });
    let (_, accepted) = rig.connect().await;
    assert_eq!(accepted.peer(), rig.client.key(), "the first that the server sees");
}

#[tokio::test]
async fn removed_pin_shuts_out_at_the_next_login() {
    let rig = Rig::new(Limits::default()).await;
    let _connections = rig.connect().await;
    rig.pins.unpin(rig.client.key());
    assert!(matches!(rig.dial().await, Err(DialError::Refused { .. })));
    rig.pins.pin(rig.client.key());
    rig.connect().await;
}

#[tokio::test]
async fn changed_host_key_is_refused_with_both_fingerprints() {
    let rig = Rig::new(Limits::default()).await;
    let expected = Identity::ephemeral().unwrap().key();
    let addrs = [rig.addr().to_string()];
    let error = in_time(dial(&addrs, rig.client.clone(), &expected, Limits::default())).await.unwrap_err();
    let addr = rig.addr().to_string();
    assert_eq!(error, DialError::HostKeyChanged { addr, expected, actual: rig.server_key });
    let text = error.to_string();
    assert!(text.contains(&expected.fingerprint()) && text.contains(&rig.server_key.fingerprint()), "{text}");
}

#[tokio::test]
async fn own_address_is_no_sign_of_a_changed_key() {
    let rig = Rig::new(Limits::default()).await;
    let expected = rig.client.key();
    let addrs = [rig.addr().to_string()];
    // The server dials itself, looking for another.
    let error = in_time(dial(&addrs, rig.identity.clone(), &expected, Limits::default())).await.unwrap_err();
    assert_eq!(error, DialError::Unreachable { why: format!("{} is this node itself", rig.addr()) });
}

#[tokio::test]
async fn first_address_with_the_right_key_wins() {
    let rig = Rig::new(Limits::default()).await;
    let impostor = Rig::new(Limits::default()).await;
    impostor.pins.pin(rig.client.key());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let addrs = [
        "no-such-host.invalid:22".to_owned(),
        free.to_string(),
        impostor.addr().to_string(),
        format!("localhost:{}", rig.addr().port()),
    ];
    let connection =
        in_time(dial(&addrs, rig.client.clone(), &rig.server_key, Limits::default())).await.unwrap();
    assert_eq!(connection.peer(), rig.server_key);
    let error = in_time(dial(&addrs[..3], rig.client.clone(), &rig.server_key, Limits::default())).await;
    assert!(matches!(error, Err(DialError::HostKeyChanged { .. })), "the most telling failure: {error:?}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_silence_is_a_timeout() {
    let rig = Rig::new(Limits::default()).await;
    let dial = async |addrs: &[String]| {
        let limits = Limits { dial_deadline: Duration::from_millis(300), ..Limits::default() };
        in_time(dial(addrs, rig.client.clone(), &rig.server_key, limits)).await.unwrap_err()
    };
    assert!(matches!(dial(&[]).await, DialError::Unreachable { .. }));
    assert!(matches!(dial(&["nonsense".to_owned()]).await, DialError::Unreachable { .. }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    assert_eq!(dial(std::slice::from_ref(&addr)).await, DialError::Timeout { addr: addr.clone() });
    drop(listener);
    assert!(matches!(dial(&[addr]).await, DialError::Unreachable { .. }));
}

#[tokio::test]
async fn server_of_another_protocol_or_without_strict_key_exchange_is_named() {
    let rig = Rig::new(Limits::default()).await;
    let mut kexinit = b"SSH-2.0-Old\r\n\0\0\0\x2c\x04\x14".to_vec();
    kexinit.extend_from_slice(&[0; 16]);
    kexinit.extend_from_slice(b"\0\0\0\x10curve25519-sha256");
    for (greeting, words) in [
        (b"220 mail.example ESMTP\r\n".to_vec(), "SSH 2.0"),
        (b"SSH-2.0-Old\r\n\0\0\0\x0c\x0a\x14".to_vec(), ""),
        (kexinit, "strict key exchange"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(&greeting).await.unwrap();
            let _ = tokio::time::timeout(Duration::from_secs(1), tcp.read_to_end(&mut Vec::new())).await;
        });
        match in_time(dial(&[addr], rig.client.clone(), &rig.server_key, Limits::default())).await {
            Err(DialError::Protocol { why, .. }) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until the server has closed this connection.
async fn is_closed(tcp: &mut TcpStream) {
    let mut bytes = Vec::new();
    // A reset is as good as an end.
    let _ = in_time(tcp.read_to_end(&mut bytes)).await;
}

#[tokio::test]
async fn client_without_strict_key_exchange_is_cut_off() {
    let rig = Rig::new(Limits { login_deadline: Duration::from_secs(3600), ..Limits::default() }).await;
    let mut tcp = TcpStream::connect(rig.addr()).await.unwrap();
    let mut bytes = b"SSH-2.0-Old\r\n\0\0\0\x2c\x04\x14".to_vec();
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(b"\0\0\0\x10curve25519-sha256");
    tcp.write_all(&bytes).await.unwrap();
    is_closed(&mut tcp).await;
}

#[tokio::test]
async fn silent_client_is_cut_off_at_the_login_deadline() {
    let rig = Rig::new(Limits { login_deadline: Duration::from_millis(300), ..Limits::default() }).await;
    let start = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(rig.addr()).await.unwrap();
    is_closed(&mut silent).await;
    assert!(start.elapsed() >= Duration::from_millis(250));
    // One that greets and then falls silent, too.
    let mut greeting = TcpStream::connect(rig.addr()).await.unwrap();
    greeting.write_all(b"SSH-2.0-Slow\r\n").await.unwrap();
    is_closed(&mut greeting).await;
}

#[tokio::test]
async fn strangers_beyond_their_cap_are_turned_away_and_places_come_back() {
    let limits =
        Limits { unauthenticated: 2, login_deadline: Duration::from_secs(3600), ..Limits::default() };
    let rig = Rig::new(limits).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        let mut tcp = TcpStream::connect(rig.addr()).await.unwrap();
        // The server's greeting shows that it has a place.
        in_time(tcp.read_exact(&mut [0; 8])).await.unwrap();
        silent.push(tcp);
    }
    let mut third = TcpStream::connect(rig.addr()).await.unwrap();
    let mut greeting = Vec::new();
    let _ = in_time(third.read_to_end(&mut greeting)).await;
    assert_eq!(greeting, b"");
    assert!(matches!(rig.dial().await, Err(DialError::Protocol { .. })));
    silent.clear();
    in_time(async { while rig.dial().await.is_err() {} }).await;
}

#[tokio::test]
async fn connections_beyond_the_cap_are_turned_away_and_places_come_back() {
    for limits in
        [Limits { connections: 2, ..Limits::default() }, Limits { per_peer: 2, ..Limits::default() }]
    {
        let rig = Rig::new(limits).await;
        let first = rig.connect().await;
        let _second = rig.connect().await;
        // Beyond the peer's own cap it logs in first, and is then cut off.
        if let Ok(third) = rig.dial().await {
            in_time(third.closed()).await;
        }
        first.0.close("make room");
        in_time(first.1.closed()).await;
        let again = async {
            loop {
                if let Ok(connection) = rig.dial().await
                    && tokio::time::timeout(Duration::from_millis(200), connection.closed()).await.is_err()
                {
                    break connection;
                }
            }
        };
        in_time(again).await;
    }
}

#[tokio::test]
async fn shutdown_ends_accepting_but_not_what_was_accepted() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    rig.server.shutdown();
    assert!(in_time(rig.server.accept()).await.is_none());
    in_time(async { while rig.dial().await.is_ok() {} }).await;
    let _stream = client.open().await.unwrap();
    assert!(in_time(server.accept()).await.is_some());
}

#[tokio::test]
async fn dropped_server_frees_its_port() {
    let rig = Rig::new(Limits::default()).await;
    let addr = rig.addr();
    drop(rig);
    let bound = async {
        while TcpListener::bind(addr).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(bound).await;
}
