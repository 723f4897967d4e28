//! What has arrived on a stream and waits to be read.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Content of at least this size is kept as the slice of the packet that it is; smaller content is
/// copied together. A slice keeps its whole packet (64 KiB) in memory, so without the copy a peer could
/// make us hold 64 KiB for each byte of its window; so it is at most four times the window.
const KEPT_AS_SLICE: usize = 16 * 1024;

/// A queue of bytes. Its size is bounded by the stream's receive window.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    slices: VecDeque<Bytes>,
    /// Small pieces, after the slices.
    tail: BytesMut,
    len: usize,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, content: Bytes) {
        self.len += content.len();
        if content.len() < KEPT_AS_SLICE {
            self.tail.extend_from_slice(&content);
            return;
        }
        if !self.tail.is_empty() {
            self.slices.push_back(self.tail.split().freeze());
        }
        self.slices.push_back(content);
    }

    /// Takes some of the oldest bytes; `None` if there are none.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let content = match self.slices.pop_front() {
            Some(slice) => slice,
            None if self.tail.is_empty() => return None,
            None => self.tail.split().freeze(),
        };
        self.len -= content.len();
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_out_in_order_whatever_their_cuts(
            steps in prop::collection::vec(prop_oneof![Just(0usize), 1usize..100, 16_000usize..17_000], 0..40),
        ) {
            let mut inbox = Inbox::default();
            let (mut pushed, mut popped) = (Vec::new(), Vec::new());
            for (number, size) in steps.into_iter().enumerate() {
                if size == 0 {
                    popped.extend(inbox.pop().unwrap_or_default());
                } else {
                    let content = vec![number as u8; size];
                    pushed.extend_from_slice(&content);
                    inbox.push(content.into());
                }
                prop_assert_eq!(inbox.len(), pushed.len() - popped.len());
            }
            while let Some(content) = inbox.pop() {
                popped.extend(content);
            }
            prop_assert_eq!(pushed, popped);
        }
    }
}
