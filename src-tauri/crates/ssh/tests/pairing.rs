//! Pairing between two real nodes, and everything that must make it fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{Rig, in_time};
use evenfold_ssh::{
    Code, DialError, Identity, Introduction, Limits, Offer, OfferError, PairError, Paired, accept_code,
};

const CODE: &str = "4-lantern-otter";
const LONG: Duration = Duration::from_secs(3600);

fn code(text: &str) -> Code {
    Code::parse(text).unwrap()
}

fn introduction(name: &str) -> Introduction {
    Introduction {
        name: name.to_owned(),
        addresses: vec!["192.0.2.7:2222".to_owned(), "[2001:db8::7]:2222".to_owned()],
        extra: format!("shared by {name}").into_bytes(),
    }
}

async fn accept(addr: SocketAddr, text: &str, who: &Arc<Identity>) -> Result<Paired, PairError> {
    let mine = introduction("typist");
    in_time(accept_code(&addr.to_string(), &code(text), who.clone(), mine, Limits::default())).await
}

async fn rig_with_offer(expires: Duration) -> (Rig, Arc<Identity>, Offer) {
    let rig = Rig::new(Limits::default()).await;
    let offer = rig.server.offer(code(CODE), expires, introduction("offerer"));
    (rig, Arc::new(Identity::ephemeral().unwrap()), offer)
}

#[tokio::test]
async fn right_code_introduces_both_sides_to_each_other() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    let theirs = accept(rig.addr(), " 4 Lantern OTTER", &stranger).await.unwrap();
    let ours = in_time(offer.wait()).await.unwrap();
    assert_eq!((ours.key, theirs.key), (stranger.key(), rig.server_key));
    assert_eq!(ours.introduction, introduction("typist"));
    assert_eq!(theirs.introduction, introduction("offerer"));
    assert_eq!(ours.check, theirs.check);
    assert_eq!(ours.check.len(), 9);
    assert_eq!(theirs.remote.address().unwrap(), rig.addr());
    assert_eq!(in_time(offer.wait()).await.unwrap(), ours, "asking again gives the same");
    // Pairing is no login: pinning is the caller's.
    assert!(matches!(rig.dial_as(&stranger).await, Err(DialError::Refused { .. })));
    rig.pins.pin(ours.key);
    rig.dial_as(&stranger).await.unwrap();
}

#[tokio::test]
async fn code_that_was_used_pairs_nobody_else() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    accept(rig.addr(), CODE, &stranger).await.unwrap();
    in_time(offer.wait()).await.unwrap();
    let other = Arc::new(Identity::ephemeral().unwrap());
    for who in [&stranger, &other] {
        assert!(matches!(accept(rig.addr(), CODE, who).await, Err(PairError::NoOffer { .. })));
    }
}

#[tokio::test]
async fn of_many_with_the_right_code_at_once_one_is_paired() {
    let (rig, _, offer) = rig_with_offer(LONG).await;
    let addr = rig.addr();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..6 {
        running.spawn(async move { accept(addr, CODE, &Arc::new(Identity::ephemeral().unwrap())).await });
    }
    let paired: Vec<_> = running.join_all().await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(paired.len(), 1);
    assert_eq!(in_time(offer.wait()).await.unwrap().check, paired[0].check);
}

#[tokio::test]
async fn wrong_code_fails_and_the_third_burns_the_offer() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    for _ in 0..3 {
        assert_eq!(accept(rig.addr(), "4-lantern-panda", &stranger).await, Err(PairError::WrongCode));
    }
    assert_eq!(in_time(offer.wait()).await, Err(OfferError::Burnt));
    assert!(matches!(accept(rig.addr(), CODE, &stranger).await, Err(PairError::NoOffer { .. })));
}

#[tokio::test]
async fn two_typing_errors_are_forgiven() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    for _ in 0..2 {
        assert_eq!(accept(rig.addr(), "4-otter-lantern", &stranger).await, Err(PairError::WrongCode));
    }
    accept(rig.addr(), CODE, &stranger).await.unwrap();
    in_time(offer.wait()).await.unwrap();
}

#[tokio::test]
async fn wrong_number_costs_no_attempt() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    for _ in 0..5 {
        let error = accept(rig.addr(), "5-lantern-otter", &stranger).await.unwrap_err();
        assert!(matches!(error, PairError::NoOffer { .. }));
    }
    accept(rig.addr(), CODE, &stranger).await.unwrap();
    in_time(offer.wait()).await.unwrap();
}

#[tokio::test]
async fn expired_offer_pairs_nobody() {
    let (rig, stranger, offer) = rig_with_offer(Duration::from_millis(20)).await;
    assert_eq!(in_time(offer.wait()).await, Err(OfferError::Expired));
    assert!(matches!(accept(rig.addr(), CODE, &stranger).await, Err(PairError::NoOffer { .. })));
}

#[tokio::test]
async fn expiry_counts_even_if_nobody_waits_for_it() {
    let (rig, stranger, offer) = rig_with_offer(Duration::from_millis(20)).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert!(matches!(accept(rig.addr(), CODE, &stranger).await, Err(PairError::NoOffer { .. })));
    assert_eq!(in_time(offer.wait()).await, Err(OfferError::Expired));
}

#[tokio::test]
async fn withdrawn_offer_pairs_nobody() {
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    drop(offer);
    assert!(matches!(accept(rig.addr(), CODE, &stranger).await, Err(PairError::NoOffer { .. })));
}

#[tokio::test]
async fn without_an_offer_a_stranger_cannot_even_log_in() {
    let rig = Rig::new(Limits::default()).await;
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    assert!(matches!(accept(rig.addr(), CODE, &stranger).await, Err(PairError::NoOffer { .. })));
}

#[tokio::test]
async fn newer_offer_with_the_same_number_replaces_the_older() {
    let (rig, stranger, older) = rig_with_offer(LONG).await;
    let newer = rig.server.offer(code("4-panda-nickel"), LONG, introduction("offerer"));
    assert_eq!(in_time(older.wait()).await, Err(OfferError::Replaced));
    // Dropping the replaced one must not close its successor.
    drop(older);
    accept(rig.addr(), "4-panda-nickel", &stranger).await.unwrap();
    in_time(newer.wait()).await.unwrap();
}

#[tokio::test]
async fn offers_with_different_numbers_do_not_disturb_each_other() {
    let (rig, stranger, first) = rig_with_offer(LONG).await;
    let second = rig.server.offer(code("7-panda-nickel"), LONG, introduction("second"));
    let paired = accept(rig.addr(), "7-panda-nickel", &stranger).await.unwrap();
    assert_eq!(paired.introduction.name, "second");
    in_time(second.wait()).await.unwrap();
    let paired = accept(rig.addr(), CODE, &stranger).await.unwrap();
    assert_eq!(paired.introduction.name, "offerer");
    in_time(first.wait()).await.unwrap();
}

#[tokio::test]
async fn largest_introductions_are_exchanged_and_larger_ones_refused() {
    let rig = Rig::new(Limits::default()).await;
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    let large = Introduction {
        name: "n".repeat(256),
        addresses: vec!["a".repeat(260); 16],
        extra: common::noise(3, 64 * 1024),
    };
    let offer = rig.server.offer(code(CODE), LONG, large.clone());
    let addr = rig.addr().to_string();
    let accept = async |mine| {
        in_time(accept_code(&addr, &code(CODE), stranger.clone(), mine, Limits::default())).await
    };
    let mut larger = large.clone();
    larger.extra.push(0);
    assert!(matches!(accept(larger.clone()).await, Err(PairError::Introduction(_))));
    assert_eq!(accept(large.clone()).await.unwrap().introduction, large);
    assert_eq!(in_time(offer.wait()).await.unwrap().introduction, large);
    let offer = rig.server.offer(code(CODE), LONG, larger);
    assert!(matches!(in_time(offer.wait()).await, Err(OfferError::Introduction(_))));
}

#[tokio::test]
async fn pairing_with_oneself_is_refused() {
    let identity = Arc::new(Identity::ephemeral().unwrap());
    let pins = Arc::new(common::Pins::default());
    let bind = ["127.0.0.1:0".parse().unwrap()];
    let server = evenfold_ssh::Server::bind(&bind, identity.clone(), pins, Limits::default()).await.unwrap();
    let _offer = server.offer(code(CODE), LONG, introduction("me"));
    let result = accept(server.addresses()[0], CODE, &identity).await;
    assert!(matches!(result, Err(PairError::Oneself { .. })), "{result:?}");
}

#[tokio::test]
async fn nobody_there_is_a_dial_error() {
    let stranger = Arc::new(Identity::ephemeral().unwrap());
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let result = accept(free, CODE, &stranger).await;
    assert!(matches!(result, Err(PairError::Dial(DialError::Unreachable { .. }))), "{result:?}");
}

#[tokio::test]
async fn man_in_the_middle_who_relays_the_conversation_fails() {
    // He shows the typist a host key of his own, logs in at the offerer with it, and passes on all
    // messages, which is all that the transport lets him do.
    let (rig, stranger, offer) = rig_with_offer(LONG).await;
    let relay = common::relay::start(rig.addr()).await;
    let result = accept(relay, CODE, &stranger).await;
    assert_eq!(result, Err(PairError::WrongCode));
    // The offer has counted it as a wrong code, and is open for the right one still.
    accept(rig.addr(), CODE, &stranger).await.unwrap();
    in_time(offer.wait()).await.unwrap();
}
