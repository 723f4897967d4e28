//! The kinds of a relationship: presets with a name.

use std::fmt;
use std::str::FromStr;

use super::SettingError;
use crate::text::nearest;

/// What a relationship is for. A preset over the settings; there is one engine for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any number of folders kept identical, both ways.
    TwoWay,
    /// One folder kept like another.
    Mirror,
    /// Push and pull by hand.
    Manual,
    /// Everything is sent once, whatever becomes of it there.
    SendOnce,
    /// Whole items from sources through a hub to destinations, verified at every hop.
    Relay,
    /// Compares and reports; moves nothing.
    Compare,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 6] =
        [Kind::TwoWay, Kind::Mirror, Kind::Manual, Kind::SendOnce, Kind::Relay, Kind::Compare];

    /// Returns the name as it is written in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::TwoWay => "two-way",
            Kind::Mirror => "mirror",
            Kind::Manual => "manual",
            Kind::SendOnce => "send-once",
            Kind::Relay => "relay",
            Kind::Compare => "compare",
        }
    }

    /// Returns the name as it begins a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Kind::TwoWay => "Two-way",
            Kind::Mirror => "Mirror",
            Kind::Manual => "By hand",
            Kind::SendOnce => "Send once",
            Kind::Relay => "Relay",
            Kind::Compare => "Compare only",
        }
    }

    /// Returns the sign that stands between two machines.
    pub fn sign(self) -> &'static str {
        match self {
            Kind::TwoWay | Kind::Relay => "⇄",
            Kind::Mirror => "→",
            Kind::Manual => "⇢",
            Kind::SendOnce => "↦",
            Kind::Compare => "≟",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| SettingError::UnknownKind {
            kind: text.to_owned(),
            nearest: nearest(text, Kind::ALL.map(Kind::name)),
        })
    }
}
