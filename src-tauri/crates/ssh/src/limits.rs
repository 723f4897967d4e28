//! Every bound that a deployment or a test may want to change, with its reason.

use std::time::Duration;

/// Bounds on time and number for servers and diallers; the same value may be passed to all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From accepting the TCP connection until the peer is logged in and has opened its channel: 10 s.
    /// A login takes about six round trips, so this suffices for any line on which work is possible.
    pub login_deadline: Duration,
    /// From starting the TCP connection to one address until it stands, and once more from there until
    /// the peer is logged in: 10 s each.
    pub dial_deadline: Duration,
    /// Connections at once, whoever they are from: 256. Each costs two descriptors' worth of kernel
    /// buffers and at worst [`Limits::receive_budget`]; a hub with hundreds of spokes raises it.
    pub connections: usize,
    /// Connections at once that are not logged in yet: 32, so that strangers can hold neither many
    /// descriptors nor all of the connections above.
    pub unauthenticated: usize,
    /// Connections at once from one pinned key: 32 (8 striped connections for each of a few
    /// relationships, and as many that have died without the server having noticed).
    pub per_peer: usize,
    /// Streams open at once per connection and per side that opened them: 256. A relationship needs a
    /// handful; the bound keeps what a peer can make us allocate in proportion.
    pub streams: usize,
    /// Bytes per connection that the windows of its streams may grow by beyond their first 256 KiB
    /// each: 32 MiB, enough for one stream at 16 MiB in either of two relationships.
    pub receive_budget: usize,
    /// Bytes in either direction after which new keys are agreed on: 1 GiB, RFC 4253's advice. An hour
    /// leads to new keys as well.
    pub rekey_after: usize,
    /// Silence after which a keep-alive is sent: 5 s, below the common 30 s timeouts of NAT tables. It and its answer
    /// are some 200 bytes.
    pub keepalive_interval: Duration,
    /// Keep-alives that may stay unanswered: 2, so whoever is silent for three intervals, 15 s, is given up.
    pub keepalive_max: usize,
}

impl Limits {
    /// Gives up whoever is silent for so long, at least 3 s.
    pub fn with_silence(self, silence: Duration) -> Self {
        let keepalive_interval = (silence / 3).max(Duration::from_secs(1));
        Limits { keepalive_interval, keepalive_max: 2, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_deadline: Duration::from_secs(10),
            dial_deadline: Duration::from_secs(10),
            connections: 256,
            unauthenticated: 32,
            per_peer: 32,
            streams: 256,
            receive_budget: 32 << 20,
            rekey_after: 1 << 30,
            keepalive_interval: Duration::from_secs(5),
            keepalive_max: 2,
        }
    }
}
