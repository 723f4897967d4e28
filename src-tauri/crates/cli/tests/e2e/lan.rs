//! Local networks of their own: network namespaces on one switch. Needs root, as `cargo xtask test` on a server has.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::finish;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A switch and the machines on it. The machine with the number `n` has the address 10.77.0.n.
pub(crate) struct Lan {
    name: String,
    machines: Vec<u32>,
}

impl Lan {
    /// Makes a network of machines with these numbers.
    #[track_caller]
    pub(crate) fn new(machines: &[u32]) -> Lan {
        let name = format!("ef{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lan = Lan { name, machines: machines.to_vec() };
        let switch = lan.switch();
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "switch", "up"]);
        for machine in machines {
            let (space, port) = (lan.machine(*machine), format!("port{machine}"));
            ip(&["netns", "add", &space]);
            ip(&[
                "-n", &space, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &switch,
            ]);
            ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
            lan.address(*machine, *machine);
        }
        lan
    }

    /// Gives a machine the address 10.77.0.`host`, and takes the one that it had.
    #[track_caller]
    pub(crate) fn address(&self, machine: u32, host: u32) {
        let space = self.machine(machine);
        ip(&["-n", &space, "-4", "address", "flush", "dev", "eth0"]);
        ip(&["-n", &space, "address", "add", &format!("10.77.0.{host}/24"), "dev", "eth0"]);
    }

    /// Writes what a machine finds when it resolves names, as in `/etc/hosts`.
    #[track_caller]
    pub(crate) fn hosts(&self, machine: u32, text: &str) {
        let dir = self.files(machine);
        std::fs::create_dir_all(&dir).unwrap();
        // In place: the file that is there is mounted in the machine already.
        std::fs::write(dir.join("hosts"), format!("127.0.0.1 localhost\n{text}")).unwrap();
    }

    fn files(&self, machine: u32) -> PathBuf {
        Path::new("/etc/netns").join(self.machine(machine))
    }

    /// Keeps a machine from all others that are kept apart as well, or lets it reach them again. Packets between them are
    /// lost without a word, as with a firewall.
    #[track_caller]
    pub(crate) fn keep_apart(&self, machine: u32, apart: bool) {
        let (switch, port) = (self.switch(), format!("port{machine}"));
        let apart = if apart { "on" } else { "off" };
        ip(&["-n", &switch, "link", "set", "dev", &port, "type", "bridge_slave", "isolated", apart]);
    }

    /// Returns the network namespace of a machine.
    pub(crate) fn machine(&self, machine: u32) -> String {
        format!("{}m{machine}", self.name)
    }

    fn switch(&self) -> String {
        format!("{}sw", self.name)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let spaces = self.machines.iter().map(|machine| self.machine(*machine)).chain([self.switch()]);
        for space in spaces {
            // What is left goes when the last process in it ends.
            _ = Command::new("ip").args(["netns", "delete", &space]).status();
            _ = std::fs::remove_dir_all(Path::new("/etc/netns").join(&space));
        }
    }
}

/// Three machines in a row: the one in the middle reaches both others, which have no way to each other.
pub(crate) struct Row {
    name: String,
}

impl Row {
    /// Makes the network, or says why that cannot be: the scenario then says nothing.
    pub(crate) fn new() -> Option<Row> {
        let name = format!("er{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let row = Row { name };
        let made = Command::new("ip").args(["netns", "add", &row.machine("m")]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: network namespaces can be made by root only");
            return None;
        }
        ip(&["-n", &row.machine("m"), "link", "set", "lo", "up"]);
        for (side, net) in [("a", 1), ("b", 2)] {
            let space = row.machine(side);
            ip(&["netns", "add", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            let (middle, port) = (row.machine("m"), format!("to{side}"));
            ip(&[
                "-n", &space, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &middle,
            ]);
            ip(&["-n", &space, "address", "add", &format!("10.78.{net}.1/24"), "dev", "eth0"]);
            ip(&["-n", &middle, "address", "add", &format!("10.78.{net}.2/24"), "dev", &port]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
            ip(&["-n", &middle, "link", "set", &port, "up"]);
        }
        Some(row)
    }

    /// Returns the network namespace of a machine: `a`, `m` in the middle, or `b`.
    pub(crate) fn machine(&self, which: &str) -> String {
        format!("{}{which}", self.name)
    }

    /// Cuts the line between the middle and `a` or `b`, or mends it.
    #[track_caller]
    pub(crate) fn line(&self, which: &str, stands: bool) {
        let port = format!("to{which}");
        ip(&["-n", &self.machine("m"), "link", "set", &port, if stands { "up" } else { "down" }]);
    }

    /// Tells whether a machine has a route to an address.
    pub(crate) fn reaches(&self, which: &str, address: &str) -> bool {
        let asked = Command::new("ip").args(["-n", &self.machine(which), "route", "get", address]).output();
        asked.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        for which in ["a", "b", "m"] {
            // What is left goes when the last process in it ends.
            _ = Command::new("ip").args(["netns", "delete", &self.machine(which)]).status();
        }
    }
}

#[track_caller]
fn ip(words: &[&str]) {
    finish(Command::new("ip").args(words)).ok();
}
