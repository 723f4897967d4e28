//! Measures what streams carry over the loopback interface, each side in a runtime of its own.
//!
//! `cargo run --profile fast -p evenfold-ssh --example throughput -- [GIB] [STREAMS] [CONNECTIONS]`
//! sends GIB (default 4) in all, over STREAMS (1) on each of CONNECTIONS (1), and prints GiB/s.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use evenfold_ssh::{Gate, Identity, Limits, PeerKey, Server, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

const BLOCK: usize = 256 * 1024;

struct Pins(HashSet<PeerKey>);

impl Gate for Pins {
    fn is_pinned(&self, key: &PeerKey) -> bool {
        self.0.contains(key)
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

#[allow(clippy::print_stdout, reason = "the result of a measurement")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut argument = |default| arguments.next().unwrap_or(Ok(default));
    let (gib, streams, connections) = (argument(4)?, argument(1)?, argument(1)?);
    let per_stream = (gib << 30) / streams.max(1) / connections.max(1);

    let identity = Arc::new(Identity::ephemeral()?);
    let client = Arc::new(Identity::ephemeral()?);
    let key = identity.key();
    let (there, here) = (runtime()?, runtime()?);
    let gate = Arc::new(Pins(HashSet::from([client.key()])));
    let bind = ["127.0.0.1:0".parse()?];
    let server = there.block_on(Server::bind(&bind, identity, gate, Limits::default()))?;
    let addrs: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();

    // The server reads everything and answers each stream with one byte at its end.
    there.spawn(async move {
        while let Some(connection) = server.accept().await {
            tokio::spawn(async move {
                while let Some(mut stream) = connection.accept().await {
                    tokio::spawn(async move {
                        let mut block = vec![0; BLOCK];
                        while stream.read(&mut block).await? > 0 {}
                        stream.write_all(b".").await?;
                        stream.shutdown().await
                    });
                }
            });
        }
    });

    here.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        let mut dialled = Vec::new();
        for _ in 0..connections {
            dialled.push(dial(&addrs, client.clone(), &key, Limits::default()).await?);
        }
        let start = Instant::now();
        for connection in &dialled {
            for _ in 0..streams {
                let mut stream = connection.open().await?;
                running.spawn(async move {
                    let block = vec![0x5a; BLOCK];
                    let mut left = per_stream;
                    while left > 0 {
                        let count = left.min(BLOCK as u64);
                        stream.write_all(block.get(..count as usize).unwrap_or_default()).await?;
                        left -= count;
                    }
                    stream.shutdown().await?;
                    stream.read_exact(&mut [0]).await
                });
            }
        }
        for done in running.join_all().await {
            done?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let sent = (per_stream * streams * connections) as f64 / f64::from(1 << 30);
        println!("{:.3} GiB/s ({sent} GiB, {connections} × {streams} streams)", sent / seconds);
        Ok(())
    })
}
