//! The threads that scan, shared by all roots of the process.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Address space for the stack of one thread, in bytes; only what is used costs memory. Paths of 4,096 bytes
/// allow 2,048 nested directories, and a thread that waits for one subtree works on another meanwhile.
const STACK: usize = 256 * 1024 * 1024;

/// Runs `work` on a thread of the pool and waits for it. Called from within the pool it runs at once.
pub(crate) fn run_in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let name = |at| format!("scan-{at}");
        let built = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).stack_size(STACK).build();
        built.inspect_err(|error| tracing::warn!(%error, "no threads for scanning, one must do")).ok()
    });
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}
