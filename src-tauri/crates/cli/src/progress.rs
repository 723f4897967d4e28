//! A bar on standard error, only on a terminal.

use std::io::{self, IsTerminal as _};

use evenfold_node::api::{Event, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::words;

/// A bar that shows the progress of one request.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Makes a bar that appears with the first progress.
    pub(crate) fn new() -> Bar {
        Bar {
            bar: io::stderr()
                .is_terminal()
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())),
        }
    }

    /// Shows what an event says.
    pub(crate) fn event(&mut self, event: &Event) {
        if let (Some(bar), Event::Progress { progress, .. }) = (&self.bar, event) {
            if bar.is_hidden() {
                if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
                    bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
                }
                // At most four times a second: more is flicker.
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(4));
            }
            let (done, total) = share(progress);
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(words::progress(progress));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Returns how much of how much is done: bytes where there are any, else files.
fn share(progress: &Progress) -> (u64, u64) {
    if progress.bytes_total > 0 {
        (progress.bytes_done, progress.bytes_total)
    } else {
        (progress.files_done, progress.files_total.max(1))
    }
}
