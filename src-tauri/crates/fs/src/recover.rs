//! What is done when a root is opened, before the first scan: clears up after a crash.

use std::io;

use crate::disk::Disk;
use crate::own;
use crate::transition::{swap, unlock};

/// What was cleared up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Bytes of staged contents that an interrupted batch left.
    pub staged_bytes: u64,
    /// Folders whose permission bits were put back.
    pub permissions: u64,
    /// Names that had been left empty and hold again what they held.
    pub names: u64,
}

/// Clears up what an interrupted batch of this relationship left. Creates nothing; must not run beside a batch
/// of the same relationship. Blocks.
///
/// `staging/` is emptied without looking at it, because no step ever moves a user's byte there: what is
/// replaced or deleted goes from its live name to `versions/` in one step (see [`crate::transition`]).
/// Contents of which a part has arrived stay in `partial/`.
///
/// What the batch had published is made durable: from now on it is told to others, who record it, and a power cut
/// must not take it back then.
///
/// # Errors
/// The first error of listing, setting permission bits, removing, or making durable.
pub fn recover<D: Disk>(disk: &D, relationship: u128) -> io::Result<Recovered> {
    let names = swap::put_back(disk, relationship)?;
    let permissions = unlock::put_back(disk, relationship)?;
    disk.sync_all()?;
    let staged_bytes = own::deep(|| own::remove_tree(disk, &own::staging(relationship)))?;
    disk.sync_all()?;
    Ok(Recovered { staged_bytes, permissions, names })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::recover;
    use crate::apply::testing::{FaultyDisk, RELATIONSHIP, Rig};

    #[test]
    fn opening_makes_durable_what_an_interrupted_batch_published() {
        let rig = Rig::on(FaultyDisk::wrap);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&calls);
        rig.disk.hook(move |call| heard.lock().unwrap().push(call.to_owned()));
        recover(&rig.disk, RELATIONSHIP).unwrap();
        assert!(calls.lock().unwrap().iter().any(|call| call == "sync_all"));
    }
}
