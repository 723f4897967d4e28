//! What streams promise: exact bytes, both directions, independence, ends that are seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use common::{Rig, in_time, noise};
use evenfold_ssh::{Connection, Limits, OpenError, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn pair(from: &Connection, to: &Connection) -> (Stream, Stream) {
    let opened = from.open().await.unwrap();
    (opened, in_time(to.accept()).await.unwrap())
}

/// Sends back on every stream what arrives on it.
fn echo(connection: Arc<Connection>) {
    tokio::spawn(async move {
        while let Some(stream) = connection.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
        }
    });
}

async fn echoed(connection: &Connection, content: Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(connection.open().await.unwrap());
    let sent = content.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::new();
    in_time(read.read_to_end(&mut back)).await.unwrap();
    assert!(back == content, "{} bytes came back of {}", back.len(), content.len());
    drop(writing.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_mebibytes_come_back_exactly() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    echo(server);
    echoed(&client, noise(1, 50 << 20)).await;
    let (sent, received) = client.bytes();
    assert!(sent > 50 << 20 && received > 50 << 20, "{sent} {received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_of_both_sides_at_once_come_back_exactly() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    echo(server.clone());
    echo(client.clone());
    let mut running = tokio::task::JoinSet::new();
    for number in 0..60usize {
        let connection = if number % 2 == 0 { client.clone() } else { server.clone() };
        let size = [0, 1, 1000, 65_536, 300_000, 3_000_000][number % 6];
        running.spawn(async move { echoed(&connection, noise(number as u64 + 1, size)).await });
    }
    in_time(running.join_all()).await;
}

#[tokio::test]
async fn works_on_a_single_thread_and_over_ipv6() {
    let Some(rig) = Rig::at("[::1]:0", Limits::default()).await else { return };
    let (client, server) = rig.connect().await;
    assert!(client.remote().address().unwrap().is_ipv6());
    echo(server);
    echoed(&client, noise(1, 5 << 20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_open_streams_and_know_each_other() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    assert_eq!((client.peer(), server.peer()), (rig.server_key, rig.client.key()));
    assert_eq!((client.dialled(), server.dialled()), (true, false));
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut near, mut far) = pair(from, to).await;
        near.write_all(b"question").await.unwrap();
        let mut text = [0; 8];
        in_time(far.read_exact(&mut text)).await.unwrap();
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut text = String::new();
        in_time(near.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_stream_does_not_block_another_and_stays_bounded() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    let (mut stalled, unread) = pair(&client, &server).await;
    let mut written = 0;
    // Nobody reads `unread`: writing must come to a stop, at the first window.
    while let Ok(count) = tokio::time::timeout(Duration::from_secs(1), stalled.write(&[7; 65_536])).await {
        written += count.unwrap();
    }
    assert!(written <= 1 << 20, "{written} bytes were taken for a reader that does not read");
    echo(server.clone());
    for seed in 1..=3 {
        echoed(&client, noise(seed, 20 << 20)).await;
    }
    // Once it is read, it goes on.
    let reading = tokio::spawn(async move {
        let mut unread = unread;
        let mut all = Vec::new();
        unread.read_to_end(&mut all).await.unwrap();
        all.len()
    });
    in_time(stalled.write_all(&[7; 1 << 20])).await.unwrap();
    stalled.shutdown().await.unwrap();
    assert_eq!(in_time(reading).await.unwrap(), written + (1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_sending_from_both_sides_does_not_deadlock() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..4 {
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (mut near, mut far) = pair(from, to).await;
            running.spawn(async move {
                near.write_all(&vec![1; 40 << 20]).await.unwrap();
                near.shutdown().await.unwrap();
                near.read_to_end(&mut Vec::new()).await.unwrap();
            });
            running.spawn(async move {
                let count = tokio::io::copy(&mut far, &mut tokio::io::sink()).await.unwrap();
                assert_eq!(count, 40 << 20);
                far.shutdown().await.unwrap();
            });
        }
    }
    in_time(running.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_in_the_middle_of_heavy_traffic_change_no_byte() {
    let rig = Rig::new(Limits { rekey_after: 8 << 20, ..Limits::default() }).await;
    let (client, server) = rig.connect().await;
    echo(server.clone());
    echo(client.clone());
    let mut running = tokio::task::JoinSet::new();
    for (seed, connection) in [(1, &client), (2, &server), (3, &client)] {
        let connection = connection.clone();
        running.spawn(async move { echoed(&connection, noise(seed, 40 << 20)).await });
    }
    in_time(running.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_stream_is_an_error_for_the_other_side_unless_it_was_shut_down() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;

    let (mut near, mut far) = pair(&client, &server).await;
    near.write_all(b"half a mess").await.unwrap();
    drop(near);
    let mut text = Vec::new();
    let error = in_time(far.read_to_end(&mut text)).await.unwrap_err();
    assert_eq!((error.kind(), text.as_slice()), (ErrorKind::ConnectionReset, b"half a mess".as_slice()));
    assert_eq!(far.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);

    let (mut near, mut far) = pair(&client, &server).await;
    near.write_all(b"whole").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(near);
    let mut text = Vec::new();
    in_time(far.read_to_end(&mut text)).await.unwrap();
    assert_eq!(text, b"whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_learns_that_its_reader_is_gone() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    let (mut near, far) = pair(&client, &server).await;
    drop(far);
    let error = in_time(near.write_all(&vec![0; 4 << 20])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(flavor = "multi_thread")]
async fn close_on_either_side_is_seen_on_the_other() {
    let rig = Rig::new(Limits::default()).await;
    for dialler_closes in [true, false] {
        let (client, server) = rig.connect().await;
        let (mut near, _far) = pair(&client, &server).await;
        let (closing, other) = if dialler_closes { (&client, &server) } else { (&server, &client) };
        closing.close("enough for today");
        in_time(closing.closed()).await;
        in_time(other.closed()).await;
        assert!(in_time(other.accept()).await.is_none());
        assert!(matches!(other.open().await, Err(OpenError::Ended(_))));
        let error = in_time(near.read(&mut [0; 1])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert_eq!(in_time(closing.close_reason()).await, "enough for today");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_closes_the_connection() {
    let rig = Rig::new(Limits::default()).await;
    let (client, server) = rig.connect().await;
    drop(client);
    in_time(server.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_limit_are_refused_here_and_there() {
    let rig = Rig::new(Limits { streams: 3, ..Limits::default() }).await;
    let (client, server) = rig.connect().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(pair(&client, &server).await);
    }
    assert_eq!(client.open().await.unwrap_err(), OpenError::TooMany(3));
    // Closed on both sides, its place is free again.
    drop(streams.pop());
    let again = async {
        loop {
            match client.open().await {
                Ok(stream) => break stream,
                Err(OpenError::TooMany(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let mut again = in_time(again).await;
    again.write_all(b"x").await.unwrap();
    let mut far = in_time(server.accept()).await.unwrap();
    in_time(far.read_exact(&mut [0; 1])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_streams_one_after_the_other_leave_nothing_behind() {
    let rig = Rig::new(Limits { streams: 8, ..Limits::default() }).await;
    let (client, server) = rig.connect().await;
    echo(server);
    let mut done = 0;
    while done < 3000 {
        match client.open().await {
            Ok(mut stream) => {
                stream.write_all(b"ping").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut text = Vec::new();
                in_time(stream.read_to_end(&mut text)).await.unwrap();
                assert_eq!(text, b"ping");
                done += 1;
            }
            Err(OpenError::TooMany(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}
