//! The task that sends what streams have written, each in its turn.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Shared;
use super::carrier::Outward;
use super::frame::{Kind, header};

/// Output below this size is copied together with its neighbours into one packet: many small
/// messages of many streams cost one encryption and one system call.
const COPIED_TOGETHER: usize = 8 * 1024;
/// Once this much is collected it is sent before more streams are asked, so that what is queued here
/// stays small, and a stream that has just become ready does not wait behind more than this.
const ENOUGH: usize = 256 * 1024;

/// What is sent in one go.
#[derive(Debug, Default)]
pub(super) struct Batch {
    parts: Vec<Bytes>,
    small: BytesMut,
    bytes: usize,
}

impl Batch {
    /// Adds a few bytes by copying them.
    pub(super) fn push_small(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.small.extend_from_slice(bytes);
    }

    /// Adds a stream's output.
    pub(super) fn push(&mut self, output: BytesMut) {
        if output.len() < COPIED_TOGETHER {
            self.push_small(&output);
            return;
        }
        self.bytes += output.len();
        self.close_small();
        self.parts.push(output.freeze());
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.parts.push(self.small.split().freeze());
        }
    }
}

/// Sends until the connection ends.
pub(super) async fn run(shared: Arc<Shared>, mut outward: impl Outward) {
    let send = async {
        let mut batch = Batch::default();
        loop {
            outward.room().await;
            let woken = shared.something_to_send.notified();
            collect(&shared, &mut batch);
            batch.close_small();
            if batch.parts.is_empty() {
                woken.await;
                continue;
            }
            let mut sent = Ok(());
            for part in batch.parts.drain(..) {
                sent = outward.send(part).await;
                if sent.is_err() {
                    break;
                }
            }
            if sent.is_ok() {
                sent = outward.flush().await;
            }
            if let Err(error) = sent {
                return shared.end(&format!("cannot send: {error}"));
            }
            batch.bytes = 0;
        }
    };
    tokio::select! {
        () = send => {}
        // Also ends a sending that waits for a window which nobody will open any more.
        _ = shared.ended() => {}
    }
}

fn collect(shared: &Shared, batch: &mut Batch) {
    for refused in shared.take_refusals() {
        batch.push_small(&header(Kind::Close, 0, refused));
    }
    while batch.bytes < ENOUGH {
        let Some(core) = shared.next_queued() else { return };
        if core.collect(batch) {
            shared.forget(core.id);
        }
    }
}
