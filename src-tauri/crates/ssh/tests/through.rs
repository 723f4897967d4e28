//! A connection whose bytes travel as a stream of two others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, in_time, noise};
use evenfold_ssh::{
    Code, Connection, DialError, Identity, Introduction, Limits, PairError, PeerKey, accept_code_through,
    dial_through,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};

/// Two ends that are connected with a middle, each by a connection of its own.
struct Scene {
    /// The far end: its server takes in what the middle passes on.
    far: Rig,
    /// The near end, as the far end pins it.
    near: Arc<Identity>,
    middle: PeerKey,
    near_to_middle: Arc<Connection>,
    _all: Vec<Arc<Connection>>,
}

impl Scene {
    async fn new() -> Scene {
        let (far, hub, other_hub) = (
            Rig::new(Limits::default()).await,
            Rig::new(Limits::default()).await,
            Rig::new(Limits::default()).await,
        );
        let (near_to_middle, middle_to_near) = hub.connect().await;
        let (far_to_middle, middle_to_far) = other_hub.connect().await;
        let middle = hub.server_key;
        let (from, to) = (middle_to_near.clone(), middle_to_far.clone());
        tokio::spawn(async move {
            while let Some(mut stream) = from.accept().await {
                let mut onward = to.open().await.unwrap();
                // However it ends, it has ended.
                tokio::spawn(async move { drop(copy_bidirectional(&mut stream, &mut onward).await) });
            }
        });
        let near = far.client.clone();
        let all = vec![middle_to_near, middle_to_far, far_to_middle.clone()];
        let scene = Scene { far, near, middle, near_to_middle, _all: all };
        let server = scene.far.server.clone();
        tokio::spawn(async move {
            while let Some(stream) = far_to_middle.accept().await {
                server.welcome_through(stream, middle);
            }
        });
        scene
    }

    async fn dial(&self, who: &Arc<Identity>, expected: &PeerKey) -> Result<Arc<Connection>, DialError> {
        let stream = self.near_to_middle.open().await.unwrap();
        in_time(dial_through(stream, self.middle, who.clone(), expected, Limits::default())).await
    }
}

#[tokio::test]
async fn ends_meet_with_their_own_keys_and_large_streams_pass_both_ways() {
    let scene = Scene::new().await;
    let near = scene.dial(&scene.near, &scene.far.server_key).await.unwrap();
    let far = in_time(scene.far.server.accept()).await.unwrap();
    assert_eq!((near.peer(), far.peer()), (scene.far.server_key, scene.near.key()));
    assert_eq!((near.remote().middle(), far.remote().middle()), (Some(scene.middle), Some(scene.middle)));
    assert_eq!(near.remote().to_string(), format!("via:{}", scene.middle.fingerprint()));
    let content = noise(4, 20_000_000);
    let mut ours = near.open().await.unwrap();
    let mut theirs = in_time(far.accept()).await.unwrap();
    let expected = content.clone();
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(&mut theirs);
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let (mut reader, mut writer) = tokio::io::split(ours);
    let sending = tokio::spawn(async move {
        writer.write_all(&content).await.unwrap();
        writer.shutdown().await.unwrap();
        writer
    });
    let mut back = Vec::new();
    in_time(reader.read_to_end(&mut back)).await.unwrap();
    assert!(back == expected);
    in_time(echo).await.unwrap();
    ours = reader.unsplit(in_time(sending).await.unwrap());
    drop(ours);
    // The end of one end is the end of the other.
    near.close("done");
    in_time(far.closed()).await;
}

#[tokio::test]
async fn strangers_and_impostors_get_nothing_through_a_middle() {
    let scene = Scene::new().await;
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    let via = format!("via:{}", scene.middle.fingerprint());
    let refused = scene.dial(&stranger, &scene.far.server_key).await.unwrap_err();
    assert_eq!(refused, DialError::Refused { addr: via.clone() });
    let expected = stranger.key();
    let changed = scene.dial(&scene.near, &expected).await.unwrap_err();
    assert_eq!(changed, DialError::HostKeyChanged { addr: via, expected, actual: scene.far.server_key });
}

#[tokio::test]
async fn code_pairs_through_a_middle() {
    let scene = Scene::new().await;
    let named = |name: &str| Introduction { name: name.to_owned(), ..Introduction::default() };
    let code = Code::random();
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    let accept = async |code: &Code| {
        let stream = scene.near_to_middle.open().await.unwrap();
        let way = (stream, scene.middle, "via:hub");
        in_time(accept_code_through(way, code, stranger.clone(), named("near"), Limits::default())).await
    };
    let none = accept(&code).await.unwrap_err();
    assert_eq!(none, PairError::NoOffer { addr: "via:hub".to_owned() });
    let offer = scene.far.server.offer(code.clone(), Duration::from_secs(60), named("far"));
    let ours = accept(&code).await.unwrap();
    let theirs = in_time(offer.wait()).await.unwrap();
    assert_eq!((ours.key, theirs.key), (scene.far.server_key, stranger.key()));
    assert_eq!((ours.introduction.name.as_str(), theirs.introduction.name.as_str()), ("far", "near"));
    assert_eq!(ours.check, theirs.check);
    assert_eq!((ours.remote.middle(), theirs.remote.middle()), (Some(scene.middle), Some(scene.middle)));
}
