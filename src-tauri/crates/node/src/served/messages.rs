//! What is asked of a program that serves a folder, beyond the wire protocol's own: a name and JSON.
//!
//! | name | does |
//! |---|---|
//! | `look` | says whether a folder can be used: [`FolderName`] → [`Looked`] |
//! | `begin` | names the one folder that is served from then on: [`Begin`] → [`Begun`] |
//! | `settings` | new settings: [`Tuned`] → nothing |
//! | `identity` | says what the folder is recognised by: nothing → the number as text, or none |

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{PathText, Setting};
use crate::local::Mark;

pub(crate) const LOOK: &str = "look";
pub(crate) const BEGIN: &str = "begin";
pub(crate) const SETTINGS: &str = "settings";
pub(crate) const IDENTITY: &str = "identity";

/// The code of settings that the other version of Evenfold does not understand.
pub(crate) const WRONG_SETTING: &str = "setting";

/// A folder of the account, as the other side names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FolderName {
    /// From the top, or below the home.
    pub(crate) path: PathText,
    /// Whether it lies below the home.
    pub(crate) in_home: bool,
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// From the top.
    pub(crate) path: PathText,
    /// Whether anything is there.
    pub(crate) exists: bool,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
    /// Whether this login may write into it.
    pub(crate) writable: bool,
}

/// Names the folder and how it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) folder: FolderName,
    pub(crate) relationship: Uuid,
    /// What this machine is called by whoever drives the pair.
    pub(crate) machine: String,
    /// What that one is called itself.
    pub(crate) driver: String,
    pub(crate) mark: MarkText,
    pub(crate) tuned: Tuned,
}

/// The settings of the relationship. Only those of the folder itself are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    pub(crate) kind: String,
    pub(crate) settings: Vec<Setting>,
    /// Whether changes are to be told as they happen.
    pub(crate) watch: bool,
}

/// The folder is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// From the top.
    pub(crate) path: PathText,
    /// Whether changes are refused.
    pub(crate) read_only: bool,
}

/// How the folder is recognised; see [`Mark`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MarkText {
    /// It gets a marker unless it has one.
    Create,
    /// It must have a marker, with this identity if one is named.
    Expect(Option<String>),
    /// Nothing is written.
    Look,
}

impl MarkText {
    pub(crate) fn of(mark: Mark) -> Self {
        match mark {
            Mark::Create => MarkText::Create,
            Mark::Expect(identity) => MarkText::Expect(identity.map(|identity| identity.to_string())),
            Mark::Look | Mark::Inode(_) => MarkText::Look,
        }
    }

    /// Returns the mark; `None` where the identity is no number.
    pub(crate) fn mark(&self) -> Option<Mark> {
        Some(match self {
            MarkText::Create => Mark::Create,
            MarkText::Expect(None) => Mark::Expect(None),
            MarkText::Expect(Some(identity)) => Mark::Expect(Some(identity.parse().ok()?)),
            MarkText::Look => Mark::Look,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_the_way_as_text() {
        for mark in [Mark::Create, Mark::Expect(None), Mark::Expect(Some(u128::MAX)), Mark::Look] {
            let text = serde_json::to_string(&MarkText::of(mark)).unwrap();
            let read: MarkText = serde_json::from_str(&text).unwrap();
            assert_eq!(read.mark(), Some(mark), "{text}");
        }
        assert_eq!(MarkText::Expect(Some("x".to_owned())).mark(), None);
    }
}
