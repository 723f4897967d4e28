//! What both ends of a connection agree to speak: algorithms, packet sizes, windows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, client, compression, kex, mac, server};

use crate::{Identity, Limits};

/// The user under which pinned peers log in.
pub(crate) const PEER_USER: &str = "evenfold";
/// The only subsystem pinned peers get.
pub(crate) const PEER_SUBSYSTEM: &str = "evenfold";
/// The user under which a stranger logs in while a pairing offer is open.
pub(crate) const PAIRING_USER: &str = "evenfold-pair";
/// The only subsystem such a stranger gets.
pub(crate) const PAIRING_SUBSYSTEM: &str = "evenfold-pair";

/// Largest payload of an SSH packet. Larger packets mean fewer system calls and authentication tags
/// per byte; 65,535 is the most that russh supports.
pub(crate) const PACKET_SIZE: u32 = 65_535;
/// The one channel of a connection: what may be under way in it. 32 MiB fill a line of 2.5 Gbit/s at
/// 100 ms round trip; memory is not bounded by this but by the streams' own windows (see `mux`).
const CHANNEL_WINDOW: u32 = 32 << 20;
/// Messages between russh's session and our tasks, at most 64 KiB each, so 1 MiB per direction: enough
/// for either side to work while the other is being scheduled, small enough to stay in the cache.
const QUEUED_MESSAGES: usize = 16;

/// What tells software on the other end who we are; no version, which would only help an attacker.
const SOFTWARE: &str = "SSH-2.0-Evenfold";

/// Answers a refused login no faster than this, so that timing tells nothing about pins.
const REFUSAL_TIME: Duration = Duration::from_millis(250);
/// Refused attempts per connection. A peer has one key and needs one; OpenSSH's client starts with "none".
const LOGIN_ATTEMPTS: usize = 3;

/// Hybrid post-quantum first; no finite-field groups, no NIST curves. The last two entries announce
/// strict key exchange, which `strict` then demands of the other side.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
const HARDWARE_AES: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
const SOFTWARE_AES: &[cipher::Name] = &[cipher::CHACHA20_POLY1305, cipher::AES_128_GCM, cipher::AES_256_GCM];
/// All ciphers above carry their own authentication; the name-list must not be empty all the same.
const MAC: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];

fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(if cpu_has_aes() { HARDWARE_AES } else { SOFTWARE_AES }),
        mac: Cow::Borrowed(MAC),
        // What pays is compressed above, per file; here it would cost the throughput of all others.
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// Tells whether AES-GCM runs in hardware. The client's order decides in SSH, so a connection uses
/// what suits the dialler.
fn cpu_has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

fn rekey_limits(limits: &Limits) -> russh::Limits {
    russh::Limits {
        rekey_write_limit: limits.rekey_after,
        rekey_read_limit: limits.rekey_after,
        // An hour.
        ..russh::Limits::default()
    }
}

/// The configuration of every connection that this node accepts.
pub(crate) fn server_config(identity: &Identity, limits: &Limits) -> Arc<server::Config> {
    Arc::new(server::Config {
        server_id: SshId::Standard(Cow::Borrowed(SOFTWARE)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REFUSAL_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![identity.host_key()],
        certificates: Vec::new(),
        limits: rekey_limits(limits),
        window_size: CHANNEL_WINDOW,
        maximum_packet_size: PACKET_SIZE,
        channel_buffer_size: QUEUED_MESSAGES,
        event_buffer_size: QUEUED_MESSAGES,
        preferred: preferred(),
        max_auth_attempts: LOGIN_ATTEMPTS,
        // Idle connections are wanted; keep-alives find the dead ones, deadlines those not logged in.
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keepalive_interval),
        keepalive_max: limits.keepalive_max,
        nodelay: true,
    })
}

/// The configuration of every connection that this node dials.
pub(crate) fn client_config(limits: &Limits) -> Arc<client::Config> {
    Arc::new(dialling(limits, preferred()))
}

fn dialling(limits: &Limits, preferred: Preferred) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(SOFTWARE)),
        limits: rekey_limits(limits),
        window_size: CHANNEL_WINDOW,
        maximum_packet_size: PACKET_SIZE,
        channel_buffer_size: QUEUED_MESSAGES,
        preferred,
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keepalive_interval),
        keepalive_max: limits.keepalive_max,
        anonymous: false,
        gex: client::GexParams::default(),
        nodelay: true,
    }
}

/// The configuration of a connection to a host that runs OpenSSH's server, which shows one of `host_keys`, the first
/// that it has. ChaCha20 is left out: without strict key exchange, which servers before 2024 do not have, it lets
/// somebody in between drop messages unnoticed.
pub(crate) fn stock_config(host_keys: Vec<Algorithm>) -> Arc<client::Config> {
    const CIPHERS: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::AES_256_CTR];
    let preferred = Preferred { key: Cow::Owned(host_keys), cipher: Cow::Borrowed(CIPHERS), ..preferred() };
    Arc::new(dialling(&Limits::default(), preferred))
}
