//! Errors with stable codes.

use serde::{Deserialize, Serialize};

/// An error with a stable code. The message says what happened and where, and what was not changed; the hint
/// says what to do.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[error("{message}")]
pub struct ApiError {
    /// Stable code.
    pub code: ErrorCode,
    /// What happened, where, and what was and was not changed.
    pub message: String,
    /// The safe next step.
    pub hint: Option<String>,
}

impl ApiError {
    /// Says what happened, where, and what was and was not changed.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds the safe next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Stable codes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request makes no sense.
    Usage,
    /// A setting is unknown or its value wrong.
    Setting,
    /// No such relationship, peer, plan, version or conflict.
    NotFound,
    /// The name is taken.
    Exists,
    /// The folder does not exist, is no folder, or cannot be used.
    Folder,
    /// The peer cannot be reached.
    Unreachable,
    /// The peer's key is not the pinned one.
    KeyChanged,
    /// Nobody knows the key of a host; the message names its fingerprint.
    KeyUnknown,
    /// The key to a host is encrypted and its passphrase not known.
    KeyEncrypted,
    /// The peer does not let us do that.
    Refused,
    /// The code is wrong, used, or expired.
    PairingFailed,
    /// Something needs a person's approval.
    Held,
    /// The plan does not fit the present state any more.
    PlanOutdated,
    /// Another engine runs on this home.
    AlreadyRunning,
    /// The database cannot be used.
    Store,
    /// It took too long.
    Timeout,
    /// Anything else of the operating system.
    Io,
    /// A defect of Evenfold.
    Internal,
}
