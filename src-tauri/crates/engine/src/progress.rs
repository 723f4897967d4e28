//! How far a cycle is: counters that the transfer writes and anybody reads.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::flight::InFlight;

/// What a cycle is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing.
    Idle = 0,
    /// Looking at both folders.
    Scanning = 1,
    /// Comparing.
    Comparing = 2,
    /// Moving contents and applying changes.
    Transferring = 3,
    /// Recording.
    Committing = 4,
}

impl Phase {
    /// Returns the word that users and scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Scanning => "scanning",
            Phase::Comparing => "comparing",
            Phase::Transferring => "transferring",
            Phase::Committing => "committing",
        }
    }
}

/// Counters of one relationship. Within a cycle the done counters only grow.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    /// Which files travel.
    pub flight: InFlight,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What is going on.
    pub phase: Phase,
    /// Files done.
    pub files_done: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes of content done.
    pub bytes_done: u64,
    /// Bytes of content in all.
    pub bytes_total: u64,
}

impl Progress {
    /// Begins a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Begins a transfer of so much.
    pub fn expect(&self, files: u64, bytes: u64) {
        self.files_done.store(0, Relaxed);
        self.bytes_done.store(0, Relaxed);
        self.files_total.store(files, Relaxed);
        self.bytes_total.store(bytes, Relaxed);
    }

    /// Adds to what is expected; where nothing is under way, it begins anew with this.
    pub fn expect_more(&self, files: u64, bytes: u64) {
        if self.phase.load(Relaxed) != Phase::Transferring as u8 {
            self.expect(files, bytes);
            return;
        }
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    /// Counts content that arrived, up to the total.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Relaxed);
    }

    /// Counts files that are in place.
    pub fn add_files(&self, files: u64) {
        self.files_done.fetch_add(files, Relaxed);
    }

    /// Reads the counters.
    pub fn read(&self) -> Reading {
        let phase = match self.phase.load(Relaxed) {
            1 => Phase::Scanning,
            2 => Phase::Comparing,
            3 => Phase::Transferring,
            4 => Phase::Committing,
            _ => Phase::Idle,
        };
        let (files_total, bytes_total) = (self.files_total.load(Relaxed), self.bytes_total.load(Relaxed));
        Reading {
            phase,
            files_done: self.files_done.load(Relaxed).min(files_total),
            files_total,
            bytes_done: self.bytes_done.load(Relaxed).min(bytes_total),
            bytes_total,
        }
    }
}
