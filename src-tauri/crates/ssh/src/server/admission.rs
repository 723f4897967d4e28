//! Who may take up room: connections in all, connections not yet logged in, connections per peer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Limits, PeerKey};

/// Counts connections against the limits.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    strangers: usize,
    peers: HashMap<PeerKey, usize>,
}

/// A connection's place, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    /// `None` until logged in.
    peer: Option<PeerKey>,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection just accepted; `None` if it must be turned away.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut counts = self.counts();
        if counts.all >= self.limits.connections || counts.strangers >= self.limits.unauthenticated {
            return None;
        }
        counts.all += 1;
        counts.strangers += 1;
        Some(Place { admission: self.clone(), peer: None })
    }
}

impl Place {
    /// Notes that the connection has logged in; `false` if that peer has too many already.
    pub(super) fn logged_in(&mut self, peer: PeerKey) -> bool {
        let mut counts = self.admission.counts();
        let of_peer = counts.peers.entry(peer).or_default();
        if *of_peer >= self.admission.limits.per_peer {
            return false;
        }
        *of_peer += 1;
        counts.strangers -= 1;
        drop(counts);
        self.peer = Some(peer);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all -= 1;
        let Some(peer) = self.peer else {
            counts.strangers -= 1;
            return;
        };
        if let Some(of_peer) = counts.peers.get_mut(&peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.peers.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, unauthenticated: usize, per_peer: usize) -> Arc<Admission> {
        Admission::new(Limits { connections, unauthenticated, per_peer, ..Limits::default() })
    }

    #[test]
    fn strangers_hold_only_their_share_and_give_it_back() {
        let admission = admission(10, 2, 10);
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        drop(first);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn logging_in_makes_room_for_strangers_until_all_is_taken() {
        let admission = admission(3, 1, 10);
        let mut places = Vec::new();
        for number in 0..3 {
            let mut place = admission.enter().unwrap();
            assert!(place.logged_in(PeerKey::from_bytes([number; 32])));
            places.push(place);
        }
        assert!(admission.enter().is_none());
        places.clear();
        assert!(admission.enter().is_some());
        assert!(admission.counts().peers.is_empty());
    }

    #[test]
    fn one_peer_cannot_take_all() {
        let admission = admission(10, 10, 2);
        let (one, other) = (PeerKey::from_bytes([1; 32]), PeerKey::from_bytes([2; 32]));
        let mut places: Vec<_> = (0..4).map(|_| admission.enter().unwrap()).collect();
        assert!(places[0].logged_in(one));
        assert!(places[1].logged_in(one));
        assert!(!places[2].logged_in(one));
        assert!(places[3].logged_in(other));
        places.remove(0);
        let mut again = admission.enter().unwrap();
        assert!(again.logged_in(one));
    }
}
