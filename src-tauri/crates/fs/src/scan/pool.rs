//! The threads that scan, shared by all roots of the process: one group for the disks of this machine, one for those
//! behind a network, whose calls mostly wait and must not keep the others waiting.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::disk::LOCAL_CALLS_AT_ONCE;

/// Address space for the stack of one thread, in bytes; only what is used costs memory. Paths of 4,096 bytes
/// allow 2,048 nested directories, and a thread that waits for one subtree works on another meanwhile.
const STACK: usize = 256 * 1024 * 1024;

/// Threads for disks behind a network.
const WAITING_THREADS: usize = 8;

/// Runs `work` on a thread of the pool for disks on which `calls_at_once` are worth making, and waits for it. Called
/// from within the pool it runs at once.
pub(crate) fn run_in_pool<T: Send>(calls_at_once: usize, work: impl FnOnce() -> T + Send) -> T {
    static HERE: OnceLock<Option<ThreadPool>> = OnceLock::new();
    static BEHIND_A_NETWORK: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = if calls_at_once > LOCAL_CALLS_AT_ONCE {
        BEHIND_A_NETWORK.get_or_init(|| build("scan-far", WAITING_THREADS))
    } else {
        HERE.get_or_init(|| build("scan", std::thread::available_parallelism().map_or(1, usize::from)))
    };
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

fn build(name: &'static str, threads: usize) -> Option<ThreadPool> {
    let name = move |at| format!("{name}-{at}");
    let built = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).stack_size(STACK).build();
    built.inspect_err(|error| tracing::warn!(%error, "no threads for scanning, one must do")).ok()
}
