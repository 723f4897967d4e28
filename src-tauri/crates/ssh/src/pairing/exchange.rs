//! The cryptography of pairing, without any I/O.
//!
//! SPAKE2 (Ed25519 group) turns the short code into a strong shared secret, such that a wrong code gives
//! different secrets and nothing to try codes against off-line. Its two identities are the role and the SSH
//! public key of either side, *as the other side's SSH connection shows it*: with someone in between who
//! holds other keys, the identities differ and so do the secrets, even with the right code.
//!
//! The secret and the whole transcript give a session key (BLAKE3, `derive_key`), and that gives separate
//! keys for each side's confirmation and for each side's introduction. The dialler confirms first and
//! the offerer answers only to a right confirmation, so the offerer gives away nothing to a guesser.

use spake2::{Ed25519Group, Password, Spake2};

use super::Code;
use crate::PeerKey;

/// Length of a SPAKE2 message: one byte for the side, 32 for a point.
pub(super) const PAKE_MESSAGE: usize = 33;
/// Length of confirmations and authentication codes.
pub(super) const TAG: usize = 32;

/// Which side of the pairing someone is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Typed the code and dialled: SSH client, SPAKE2's A.
    Dialler,
    /// Showed the code and serves: SSH server, SPAKE2's B.
    Offerer,
}

/// The keys of both sides as one side sees them: its own, and what the SSH connection showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    pub(super) dialler: PeerKey,
    pub(super) offerer: PeerKey,
}

impl Keys {
    fn identity_of(&self, side: Side) -> Vec<u8> {
        match side {
            Side::Dialler => [b"evenfold pairing 1 dialler ", self.dialler.as_bytes().as_slice()].concat(),
            Side::Offerer => [b"evenfold pairing 1 offerer ", self.offerer.as_bytes().as_slice()].concat(),
        }
    }
}

/// The first half: our message is known, the other side's is not.
pub(super) struct Exchange {
    side: Side,
    keys: Keys,
    pake: Spake2<Ed25519Group>,
    message: Vec<u8>,
}

/// The other side's message is no message of SPAKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed key exchange")]
pub(super) struct Malformed;

impl Exchange {
    pub(super) fn start(side: Side, code: &Code, keys: Keys) -> Self {
        let password = Password::new(code.to_string().as_bytes());
        let a = spake2::Identity::new(&keys.identity_of(Side::Dialler));
        let b = spake2::Identity::new(&keys.identity_of(Side::Offerer));
        let (pake, message) = match side {
            Side::Dialler => Spake2::start_a(&password, &a, &b),
            Side::Offerer => Spake2::start_b(&password, &a, &b),
        };
        Self { side, keys, pake, message }
    }

    /// Returns the message for the other side, [`PAKE_MESSAGE`] bytes.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes the other side's message. Whether it knew the code shows only in its confirmation.
    pub(super) fn finish(self, theirs: &[u8]) -> Result<Session, Malformed> {
        let secret = self.pake.finish(theirs).map_err(|_| Malformed)?;
        let (a, b) = match self.side {
            Side::Dialler => (self.message.as_slice(), theirs),
            Side::Offerer => (theirs, self.message.as_slice()),
        };
        let mut hasher = blake3::Hasher::new_derive_key("evenfold 2026 pairing 1 session");
        for part in [
            &self.keys.identity_of(Side::Dialler),
            &self.keys.identity_of(Side::Offerer),
            a,
            b,
            secret.as_slice(),
        ] {
            // With its length before it, no part can be read as belonging to its neighbour.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Ok(Session { key: *hasher.finalize().as_bytes() })
    }
}

/// The second half: equal on both sides if and only if codes and keys are.
pub(super) struct Session {
    key: [u8; 32],
}

impl Session {
    /// Proves knowledge of the session key by the given side.
    pub(super) fn confirmation(&self, of: Side) -> blake3::Hash {
        let key = match of {
            Side::Dialler => blake3::derive_key("evenfold 2026 pairing 1 dialler confirms", &self.key),
            Side::Offerer => blake3::derive_key("evenfold 2026 pairing 1 offerer confirms", &self.key),
        };
        blake3::keyed_hash(&key, b"confirmation")
    }

    /// Authenticates the introduction that the given side sends.
    pub(super) fn introduction_tag(&self, of: Side, introduction: &[u8]) -> blake3::Hash {
        let key = match of {
            Side::Dialler => blake3::derive_key("evenfold 2026 pairing 1 dialler introduces", &self.key),
            Side::Offerer => blake3::derive_key("evenfold 2026 pairing 1 offerer introduces", &self.key),
        };
        blake3::keyed_hash(&key, introduction)
    }

    /// Returns eight characters that both people can compare, such as `7K4M-2QXD`: 40 bits.
    pub(super) fn check(&self) -> String {
        // Crockford's base 32: without I, L, O and U.
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let digest = blake3::derive_key("evenfold 2026 pairing 1 check", &self.key);
        let mut text = String::with_capacity(9);
        for (index, byte) in digest.iter().take(8).enumerate() {
            if index == 4 {
                text.push('-');
            }
            text.push(char::from(ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or_default()));
        }
        text
    }
}

/// Compares in constant time.
pub(super) fn is_tag(expected: blake3::Hash, got: &[u8]) -> bool {
    <[u8; TAG]>::try_from(got).is_ok_and(|got| expected == blake3::Hash::from_bytes(got))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(dialler: u8, offerer: u8) -> Keys {
        Keys { dialler: PeerKey::from_bytes([dialler; 32]), offerer: PeerKey::from_bytes([offerer; 32]) }
    }

    fn run(codes: [&str; 2], dialler_sees: Keys, offerer_sees: Keys) -> (Session, Session) {
        let [typed, shown] = codes.map(|code| Code::parse(code).unwrap());
        let dialler = Exchange::start(Side::Dialler, &typed, dialler_sees);
        let offerer = Exchange::start(Side::Offerer, &shown, offerer_sees);
        let (a, b) = (dialler.message().to_vec(), offerer.message().to_vec());
        assert_eq!((a.len(), b.len()), (PAKE_MESSAGE, PAKE_MESSAGE));
        (dialler.finish(&b).unwrap(), offerer.finish(&a).unwrap())
    }

    fn agree(sessions: &(Session, Session)) -> bool {
        let (dialler, offerer) = sessions;
        let tags = |session: &Session| {
            [
                session.confirmation(Side::Dialler),
                session.confirmation(Side::Offerer),
                session.introduction_tag(Side::Dialler, b"x"),
                session.introduction_tag(Side::Offerer, b"x"),
            ]
        };
        let (ours, theirs) = (tags(dialler), tags(offerer));
        for (index, tag) in ours.iter().enumerate() {
            assert!(!ours[..index].contains(tag), "each tag has a key of its own");
        }
        let equal = ours == theirs;
        assert_eq!(equal, dialler.check() == offerer.check());
        equal
    }

    const CODE: &str = "4-lantern-otter";

    #[test]
    fn same_code_and_keys_agree() {
        let sessions = run([CODE, "4 Lantern Otter"], keys(1, 2), keys(1, 2));
        assert!(agree(&sessions));
        let check = sessions.0.check();
        assert_eq!((check.len(), check.as_bytes()[4]), (9, b'-'));
    }

    #[test]
    fn each_exchange_has_a_new_session() {
        let first = run([CODE, CODE], keys(1, 2), keys(1, 2));
        let second = run([CODE, CODE], keys(1, 2), keys(1, 2));
        assert_ne!(first.0.check(), second.0.check());
    }

    #[test]
    fn different_code_number_or_order_disagrees() {
        for other in ["4-lantern-panda", "5-lantern-otter", "4-otter-lantern"] {
            assert!(!agree(&run([CODE, other], keys(1, 2), keys(1, 2))), "{other}");
        }
    }

    #[test]
    fn man_in_the_middle_with_other_keys_disagrees_despite_the_right_code() {
        // He relays the pairing messages between two SSH connections of his own.
        assert!(!agree(&run([CODE, CODE], keys(1, 9), keys(9, 2))));
        assert!(!agree(&run([CODE, CODE], keys(1, 9), keys(1, 2))));
        assert!(!agree(&run([CODE, CODE], keys(1, 2), keys(9, 2))));
    }

    #[test]
    fn reflected_and_malformed_messages_are_refused() {
        let code = Code::parse(CODE).unwrap();
        let own = Exchange::start(Side::Dialler, &code, keys(1, 2));
        let message = own.message().to_vec();
        assert!(own.finish(&message).is_err(), "its own message sent back");
        for bad in [&[][..], &[0x42; 32], &[0x42; 34], &[0xff; 33]] {
            assert!(Exchange::start(Side::Dialler, &code, keys(1, 2)).finish(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_of_wrong_length_do_not_match() {
        let tag = blake3::hash(b"x");
        assert!(is_tag(tag, tag.as_bytes()));
        assert!(!is_tag(tag, &tag.as_bytes()[..31]));
        assert!(!is_tag(tag, &[]));
    }
}
