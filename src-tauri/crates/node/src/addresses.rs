//! Where a peer may be reached, and in which order that is tried.
//!
//! There are three kinds. Numbers (`192.168.1.5:22722`) come and go: the newest are kept. Names (`nas.lan:22722`) were typed
//! by a person and stay. `via:SHA256:…` names a node in the middle, by its key, and stays as well; it is tried last.

use std::net::{IpAddr, SocketAddr};

use evenfold_ssh::PeerKey;

use crate::config::DEFAULT_PORT;

/// How an address through another node begins.
const VIA: &str = "via:";

/// Numbers that are kept of one peer: a machine that moves between networks collects them.
const MOST_NUMBERS: usize = 6;
/// Names that are kept of one peer, and nodes in the middle.
const MOST_NAMES: usize = 4;

/// Returns the address of a peer behind a node in the middle.
pub(crate) fn through(middle: &PeerKey) -> String {
    format!("{VIA}{}", middle.fingerprint())
}

/// Returns what stands behind `via:`.
pub(crate) fn middle_of(address: &str) -> Option<&str> {
    address.strip_prefix(VIA)
}

/// Divides addresses into those that are dialled, and the fingerprints of nodes in the middle.
pub(crate) fn split(addresses: &[String]) -> (Vec<String>, Vec<String>) {
    let (through, direct): (Vec<_>, Vec<_>) =
        addresses.iter().cloned().partition(|address| middle_of(address).is_some());
    (direct, through.iter().filter_map(|address| middle_of(address)).map(str::to_owned).collect())
}

/// Gives an address as a person typed it the usual port, unless it has one.
pub(crate) fn with_port(typed: &str) -> String {
    if let Ok(ip) = typed.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, DEFAULT_PORT).to_string();
    }
    match typed.rsplit_once(':') {
        Some(_) => typed.to_owned(),
        None => format!("{typed}:{DEFAULT_PORT}"),
    }
}

/// Lays addresses that were just heard of over those that are known. Their order stays; what is too many of a kind goes.
pub(crate) fn merge(newest: &[String], known: &[String]) -> Vec<String> {
    let (mut merged, mut numbers, mut names, mut middles) = (Vec::new(), 0, 0, 0);
    for address in newest.iter().chain(known) {
        let (count, most) = if middle_of(address).is_some() {
            (&mut middles, MOST_NAMES)
        } else if address.parse::<SocketAddr>().is_ok() {
            (&mut numbers, MOST_NUMBERS)
        } else {
            (&mut names, MOST_NAMES)
        };
        if *count < most && !merged.contains(address) {
            *count += 1;
            merged.push(address.clone());
        }
    }
    merged
}

/// Keeps of what a peer tells of itself what is a number: names are resolved, and other nodes gone through, only where a
/// person said so.
pub(crate) fn told(addresses: Vec<String>) -> Vec<String> {
    addresses.into_iter().filter(|address| address.parse::<SocketAddr>().is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn newest_numbers_come_first_and_old_ones_go() {
        let known: Vec<String> = (1..=6).map(|n| format!("10.0.0.{n}:1")).collect();
        let merged = merge(&list("10.0.0.9:1 [fd00::1]:1"), &known);
        assert_eq!(merged, list("10.0.0.9:1 [fd00::1]:1 10.0.0.1:1 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1"));
    }

    #[test]
    fn names_and_nodes_in_the_middle_stay_whatever_comes() {
        let known = list("nas.lan:22722 via:SHA256:abc");
        let newest: Vec<String> = (1..=20).map(|n| format!("10.0.0.{n}:1")).collect();
        let merged = merge(&newest, &known);
        assert_eq!(merged.len(), 8);
        assert_eq!(merged[6..], known);
        assert_eq!(merge(&[], &merged), merged);
        assert_eq!(split(&known), (list("nas.lan:22722"), list("SHA256:abc")));
    }

    #[test]
    fn usual_port_is_added_where_none_was_typed() {
        for (typed, meant) in [
            ("nas.local", "nas.local:22722"),
            ("nas:1", "nas:1"),
            ("10.0.0.1", "10.0.0.1:22722"),
            ("10.0.0.1:5", "10.0.0.1:5"),
            ("fd00::1", "[fd00::1]:22722"),
            ("[fd00::1]", "[fd00::1]:22722"),
            ("[fd00::1]:7", "[fd00::1]:7"),
        ] {
            assert_eq!(with_port(typed), meant);
        }
    }

    #[test]
    fn peer_tells_numbers_only() {
        assert_eq!(told(list("10.0.0.1:5 evil.example:1 via:SHA256:x [::1]:7")), list("10.0.0.1:5 [::1]:7"));
    }
}
