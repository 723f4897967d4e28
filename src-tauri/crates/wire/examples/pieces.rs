//! Measures how fast pieces travel over loopback TCP: `cargo run --profile fast --example pieces [MiB]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant;

use evenfold_core::transfer::{MAX_PART, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath, transfer::Item};
use evenfold_wire::{Client, serve};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let mib: usize = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(4096);
    let mut random = common::Random(1);
    let noise: Vec<u8> = (0..MAX_PART / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let text: Vec<u8> =
        b"let answer = compute(question)?; // why not\n".iter().copied().cycle().take(MAX_PART).collect();
    for (label, bytes, size) in [
        ("parts of 256 KiB, random", &noise, MAX_PART),
        ("parts of 256 KiB, text", &text, MAX_PART),
        ("wholes of 10 KiB, random", &noise, 10 * 1024),
        ("wholes of 10 KiB, text", &text, 10 * 1024),
        ("wholes of 200 B", &noise, 200),
    ] {
        let count = (mib * 1024 * 1024 / size).min(2_000_000);
        let piece = if size == MAX_PART {
            Piece::Part { item: 0, offset: 0, bytes: bytes.clone() }
        } else {
            Piece::Whole { item: 0, bytes: bytes[..size].to_vec() }
        };
        let mut fake = common::Fake::new(&Arc::new(Dir::empty()));
        fake.supplies = vec![piece; 1].into();
        fake.endless = true;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            serve(stream, Arc::new(fake)).await
        });
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let client = Client::over(stream).unwrap();
        let item = Item { digest: Digest::of(b""), size: u64::MAX, path: RelPath::root() };
        let began = Instant::now();
        let mut pieces = client.supply(vec![item], vec![Need::Rest { item: 0, from: 0 }]).await.unwrap();
        for _ in 0..count {
            pieces.recv().await.unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        drop((pieces, client));
        serving.await.unwrap().unwrap();
        let rate = (count * size) as f64 / seconds / (1024.0 * 1024.0 * 1024.0);
        println!("{label}: {rate:.2} GiB/s, {:.0} pieces/s", count as f64 / seconds);
    }
}
