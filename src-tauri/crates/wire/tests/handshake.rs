//! Handshakes that fit, that do not, and that are none; and the node session.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::Dir;
use evenfold_wire::{
    CallError, Client, HandshakeError, NodeClient, NodeHandler, NodeHello, Purpose, RemoteError, Role, Share,
    ShareRef, WireError, accept, open, serve, serve_node,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn hello(min: u16, max: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"EVENFOLD".to_vec();
    for number in [min, max, body.len() as u16] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test]
async fn a_session_opens_for_its_relationship() {
    let (near, far) = duplex(1024);
    let server = tokio::spawn(async move {
        let incoming = accept(far, "hub").await.unwrap();
        assert_eq!(incoming.purpose, Purpose::Endpoint { relationship: 5 });
        assert_eq!(incoming.peer, "spoke");
        let stream = incoming.accept().await.unwrap();
        serve(stream, Arc::new(common::Fake::new(&Arc::new(Dir::empty())))).await
    });
    let client = Client::open(near, "spoke", 5).await.unwrap();
    client.current(&[]).await.unwrap();
    drop(client);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_arrives_with_code_and_hint() {
    let (near, far) = duplex(1024);
    tokio::spawn(async move {
        let incoming = accept(far, "hub").await.unwrap();
        incoming
            .refuse(&RemoteError::new("not-shared", "no such relationship", "ask the hub"))
            .await
            .unwrap();
    });
    match Client::open(near, "spoke", 5).await {
        Err(HandshakeError::Refused(error)) => {
            assert_eq!((&*error.code, &*error.hint), ("not-shared", "ask the hub"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn versions_that_do_not_fit_name_both_and_who_must_update() {
    for (min, max, hint) in
        [(2, 3, "update Evenfold on spoke"), (0, 0, "update Evenfold on the other machine")]
    {
        let (mut near, mut far) = duplex(1024);
        let opened = tokio::spawn(async move { open(&mut near, "spoke", Purpose::Node).await });
        far.write_all(&hello(min, max, b"\xffunreadable")).await.unwrap();
        let error = opened.await.unwrap().unwrap_err();
        assert_eq!(error.hint(), hint);
        assert!(error.to_string().contains("protocol"), "{error}");
        assert!(
            matches!(error, HandshakeError::Version { ours: (1, 1), theirs, .. } if theirs == (min, max))
        );

        let (mut near, far) = duplex(1024);
        let accepted = tokio::spawn(async move { accept(far, "spoke").await.map(drop) });
        near.write_all(&hello(min, max, b"")).await.unwrap();
        assert_eq!(accepted.await.unwrap().unwrap_err().hint(), hint);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"EVENFOLD\x01\0\x01\0"));
    }
}

#[tokio::test]
async fn strangers_are_told_apart_from_broken_streams() {
    for (bytes, stranger) in [(&b"SSH-2.0-OpenSSH_9.2\r\n"[..], true), (b"EVENFOLD\x01", false)] {
        let (mut near, far) = duplex(1024);
        near.write_all(bytes).await.unwrap();
        drop(near);
        match accept(far, "hub").await {
            Err(HandshakeError::NotEvenfold) => assert!(stranger),
            Err(HandshakeError::Wire(WireError::Truncated)) => assert!(!stranger),
            other => panic!("{other:?}"),
        }
    }
    let (mut near, far) = duplex(1 << 20);
    let mut long = hello(1, 1, &[]);
    long.truncate(12);
    long.extend_from_slice(&[0xff, 0xff]);
    near.write_all(&long).await.unwrap();
    assert!(matches!(accept(far, "hub").await, Err(HandshakeError::Wire(WireError::FrameTooLong(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let (_near, far) = duplex(1024);
    assert!(matches!(accept(far, "hub").await, Err(HandshakeError::Silent)));
}

struct Node;

#[async_trait]
impl NodeHandler for Node {
    async fn list_shares(&self) -> Result<Vec<Share>, RemoteError> {
        Ok(vec![share("a\nb"), share("ü")])
    }
    async fn join(&self, which: ShareRef, role: Role, path: String) -> Result<Share, RemoteError> {
        match which {
            ShareRef::Name(name) => Ok(Share { kind: format!("{role:?} {path}"), ..share(&name) }),
            ShareRef::Id(_) => Err(RemoteError::new("no-share", "no such share", "list them")),
        }
    }
    async fn leave(&self, _relationship: u128) -> Result<(), RemoteError> {
        Ok(())
    }
    async fn describe(&self, relationship: u128) -> Result<Share, RemoteError> {
        Ok(Share { id: relationship, settings: "x".repeat(64 * 1024), ..share("d") })
    }
    async fn hello(&self, peer: NodeHello) -> Result<NodeHello, RemoteError> {
        Ok(peer)
    }
    async fn custom(&self, name: String, payload: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        if name == "long" { Ok(vec![1; 2 << 20]) } else { Ok(payload) }
    }
}

fn share(name: &str) -> Share {
    Share {
        id: u128::MAX,
        name: name.into(),
        kind: "two-way".into(),
        settings: "{}".into(),
        permissions: vec![],
        folder: "/srv/photos".into(),
    }
}

#[tokio::test]
async fn node_requests_are_answered() {
    let (near, far) = duplex(1024);
    let serving = tokio::spawn(async move {
        let incoming = accept(far, "hub").await.unwrap();
        assert_eq!(incoming.purpose, Purpose::Node);
        serve_node(incoming.accept().await.unwrap(), Arc::new(Node)).await
    });
    let client = NodeClient::open(near, "spoke").await.unwrap();
    for len in [0, 1, 256 * 1024] {
        client.ping(len).await.unwrap();
    }
    assert!(client.ping(256 * 1024 + 1).await.is_err());
    assert_eq!(client.list_shares().await.unwrap(), [share("a\nb"), share("ü")]);
    let joined = client.join(ShareRef::Name("x".into()), Role::Source, "/tmp".into()).await.unwrap();
    assert_eq!(joined.kind, "Source /tmp");
    let refused = client.join(ShareRef::Id(1), Role::Both, String::new()).await;
    assert!(matches!(refused, Err(CallError::Remote(error)) if error.code == "no-share"));
    client.leave(1).await.unwrap();
    assert_eq!(client.describe(9).await.unwrap().settings.len(), 64 * 1024);
    let greeting = NodeHello { name: "n".into(), version: "1".into(), addresses: vec!["[::1]:22".into()] };
    assert_eq!(client.hello(greeting.clone()).await.unwrap(), greeting);
    assert_eq!(client.custom("echo".into(), vec![1, 2]).await.unwrap(), [1, 2]);
    let long = client.custom("long".into(), vec![]).await;
    assert!(matches!(long, Err(CallError::Remote(error)) if error.code == "answer-too-long"));
    client.ping(1).await.unwrap();
    drop(client);
    serving.await.unwrap().unwrap();
}
