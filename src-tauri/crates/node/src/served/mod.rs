//! `evenfold serve --stdio`: one folder of this machine, served to whoever started this program over SSH.
//!
//! The SSH login around it is all the proof there is, in both directions: the other side knows this host by its
//! `known_hosts`, and sshd has let it in as this account. So the program may do what the account may do by SSH anyway,
//! and is made to do much less: it serves the one folder that is named first, through the same code as a hub, and no
//! request of nodes but those below. It reads neither the key nor the database of this account's node, opens no port and
//! runs no hook; if a daemon runs on the same home, both go their own ways, as a daemon and any other program do that
//! change a folder. `--root` and `--read-only`, in a forced command of `authorized_keys`, narrow it further.
//!
//! What it keeps (digests, the index of versions) lies in `served/` in the home, a database for each relationship, so
//! that a later session need not read everything again. One process at a time has it: a later one of the same
//! relationship asks the earlier one to end ([`turn`]), whose line is dead but not known to be.
//!
//! The other side is `crate::stock::served`.

mod messages;
mod program;
mod state;
mod turn;

pub(crate) use messages::{
    BEGIN, Begin, Begun, FolderName, IDENTITY, LOOK, Looked, MarkText, SETTINGS, Tuned, WRONG_SETTING,
};
pub use program::{ServeOptions, serve};
