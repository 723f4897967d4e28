//! The connection between a spoke and the hub.

use std::sync::{Mutex, MutexGuard, PoisonError};

use evenfold_core::transfer::Piece;
use evenfold_engine::ports::EndpointError;

/// A connection and what is going to happen to it.
#[derive(Debug, Default)]
pub(crate) struct Link(Mutex<Line>);

#[derive(Debug, Default)]
pub(crate) struct Line {
    /// It breaks after so many more messages.
    pub(crate) breaks_after: Option<u64>,
    pub(crate) broken: bool,
    /// A byte is changed after so many more pieces.
    pub(crate) damages_after: Option<u64>,
    /// The supplier falls silent after so many more pieces.
    pub(crate) silent_after: Option<u64>,
    /// Whether the hub carries out a batch of which not all arrived.
    pub(crate) applies_parts: bool,
    /// Contents that travelled.
    pub(crate) pieces: u64,
}

impl Link {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries one message, or breaks.
    pub(crate) fn message(&self) -> Result<(), EndpointError> {
        let mut line = self.lock();
        match &mut line.breaks_after {
            Some(0) => line.broken = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if line.broken { Err(EndpointError::Offline("the connection broke".to_owned())) } else { Ok(()) }
    }

    /// Carries one piece, or `None` if nothing more comes.
    pub(crate) fn piece(&self, mut piece: Piece) -> Option<Piece> {
        self.message().ok()?;
        let mut line = self.lock();
        match &mut line.silent_after {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        line.pieces += 1;
        match &mut line.damages_after {
            Some(0) => {
                line.damages_after = None;
                if let Piece::Whole { bytes, .. } | Piece::Part { bytes, .. } = &mut piece
                    && let Some(byte) = bytes.last_mut()
                {
                    *byte ^= 0x40;
                }
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Some(piece)
    }
}
