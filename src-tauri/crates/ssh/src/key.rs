//! A peer's public key, in the forms people and files know it by.

use std::fmt;
use std::str::FromStr;

use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};
use russh::keys::{HashAlg, PublicKey};

/// A peer's Ed25519 public key: what Evenfold pins, and the only name under which a peer is let in.
///
/// `Display` is the fingerprint as OpenSSH prints it, `SHA256:` and 43 characters of base64.
/// [`PeerKey::to_openssh`] and `FromStr` are the one-line form of `.pub` files, `ssh-ed25519 AAAA…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey([u8; 32]);

/// The text is no `ssh-ed25519` public key line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an OpenSSH public key of type ssh-ed25519")]
pub struct ParsePeerKeyError;

impl PeerKey {
    /// Wraps the 32 raw bytes of an Ed25519 public key.
    ///
    /// Bytes that are no point of the curve are accepted; no signature ever verifies under them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the line that OpenSSH would write into a `.pub` file, without a comment.
    pub fn to_openssh(&self) -> String {
        // Encoding 32 bytes cannot fail; should it ever, an empty line parses as no key at all.
        self.to_russh().to_openssh().unwrap_or_default()
    }

    /// Returns the fingerprint as OpenSSH prints it, the same as `Display`.
    pub fn fingerprint(&self) -> String {
        self.to_russh().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Takes the key out of russh's type; `None` if it is not plain Ed25519 (RSA, ECDSA, FIDO keys).
    pub(crate) fn from_russh(key: &PublicKey) -> Option<Self> {
        key.key_data().ed25519().map(|key| Self(key.0))
    }

    fn to_russh(self) -> PublicKey {
        PublicKey::new(KeyData::Ed25519(Ed25519PublicKey(self.0)), "")
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

impl FromStr for PeerKey {
    type Err = ParsePeerKeyError;

    /// Reads a line such as `ssh-ed25519 AAAA… comment`; the comment is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = PublicKey::from_openssh(text.trim()).map_err(|_| ParsePeerKeyError)?;
        Self::from_russh(&key).ok_or(ParsePeerKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made and fingerprinted by OpenSSH's ssh-keygen.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkkPafQ8EE9lxYQPaHnCgLYefR+YqSpYby2cBkdkJrS";
    const FINGERPRINT: &str = "SHA256:Ed7dHmHLlc4Q6kwA+B8uz4RReT+92V19k4Opa9OJbU4";

    #[test]
    fn known_key_shows_the_fingerprint_that_openssh_shows() {
        let key: PeerKey = LINE.parse().unwrap();
        assert_eq!(key.to_string(), FINGERPRINT);
        assert_eq!(key.to_openssh(), LINE);
    }

    #[test]
    fn comment_and_line_end_are_ignored() {
        let key: PeerKey = format!("{LINE} user@host\n").parse().unwrap();
        assert_eq!(key.to_openssh(), LINE);
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==", FINGERPRINT]
        {
            assert_eq!(text.parse::<PeerKey>(), Err(ParsePeerKeyError), "{text:?}");
        }
    }
}
