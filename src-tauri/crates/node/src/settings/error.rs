//! What can be wrong with a setting.

use super::{Key, Kind};
use crate::api::{ApiError, ErrorCode};

/// Why settings were not accepted. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such kind.
    #[error("there is no kind {kind:?}")]
    UnknownKind {
        /// What was given.
        kind: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// There is no such key.
    #[error("there is no setting {key:?}")]
    UnknownKey {
        /// What was given.
        key: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The value makes no sense for the key.
    #[error("{key} cannot be {value:?}: it takes {}", key.allowed())]
    WrongValue {
        /// The key.
        key: Key,
        /// What was given.
        value: String,
    },
    /// A key that holds one value was given several.
    #[error("{key} is given more than once, but holds one value")]
    GivenTwice {
        /// The key.
        key: Key,
    },
    /// The key belongs to the whole relationship, and this is one endpoint of it.
    #[error("{key} belongs to the whole relationship and cannot differ at one endpoint")]
    WholeRelationship {
        /// The key.
        key: Key,
    },
    /// The key is decided when the relationship is made.
    #[error("{key} cannot be changed any more")]
    Fixed {
        /// The key.
        key: Key,
    },
    /// Two settings exclude each other.
    #[error("{what}")]
    Contradiction {
        /// What is wrong.
        what: &'static str,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|word| format!("Did you mean {word}? ")).unwrap_or_default()
}

impl SettingError {
    /// Returns what to do instead.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownKind { nearest, .. } => {
                format!("{}The kinds are {}.", meant(*nearest), Kind::ALL.map(Kind::name).join(", "))
            }
            Self::UnknownKey { nearest, .. } => {
                let names: Vec<&str> = Key::ALL.iter().map(|key| key.name()).collect();
                format!("{}The settings are {}.", meant(*nearest), names.join(", "))
            }
            Self::WrongValue { key, .. } => format!("For example: {key}={}", key.example()),
            Self::GivenTwice { key } => format!("Give {key} once."),
            Self::WholeRelationship { .. } => {
                "Set it on the node that shares the folder, with `evenfold rel edit`.".to_owned()
            }
            Self::Fixed { .. } => {
                "Remove the relationship and make it anew; the folders stay as they are.".to_owned()
            }
            Self::Contradiction { .. } => "Change one of the two.".to_owned(),
        }
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> Self {
        ApiError::new(ErrorCode::Setting, format!("{error}; nothing was changed")).with_hint(error.hint())
    }
}
