//! Answers to the asks of a descent, see `descent`.

use std::sync::Arc;

use evenfold_core::{Child, Digest, Dir, RelPath};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::convert;
use crate::descent::{MAX_ASKS, MAX_PICK};
use crate::endpoint::Handler;
use crate::error::WireError;
use crate::message::{Blob, Message};
use crate::outbox::Outbox;
use crate::serve::Session;
use crate::tree::{PRINT, fingerprint, token};
use crate::walk::TreeWriter;

/// Directories up to this size are listed at once; of longer ones fingerprints come first.
const SHORT_LISTING: usize = 32;
/// Fingerprints per message.
const PRINTS: usize = 32 * 1024;

enum Ask {
    Want { path: RelPath, have: Option<Digest>, subtree: bool },
    Pick { path: RelPath, indices: Vec<u32> },
}

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler + ?Sized + 'static,
{
    pub(crate) async fn wants(&mut self) -> Result<(), WireError> {
        let mut asks = Vec::new();
        loop {
            let ask = match self.inbox.message().await? {
                Message::End => break,
                Message::Want { path, have, subtree } => {
                    Ask::Want { path: convert::path(path)?, have: have.map(|hash| hash.0), subtree }
                }
                Message::Pick { path, indices } if indices.len() <= MAX_PICK => {
                    Ask::Pick { path: convert::path(path)?, indices }
                }
                _ => return Err(WireError::Unexpected("something else within a request")),
            };
            if asks.len() >= MAX_ASKS {
                return Err(WireError::TooMany);
            }
            asks.push(ask);
        }
        for ask in asks {
            match ask {
                Ask::Want { path, have, subtree } => self.answer_want(&path, have, subtree).await?,
                Ask::Pick { path, indices } => {
                    let dir = self.asked(&path)?;
                    for index in indices {
                        let child = dir.children().get(index as usize);
                        push_child(&mut self.outbox, child.ok_or(WireError::Malformed("an index"))?).await?;
                    }
                    self.outbox.push(&Message::Leave).await?;
                }
            }
        }
        Ok(())
    }

    fn asked(&self, path: &RelPath) -> Result<Arc<Dir>, WireError> {
        let dir = self.serving.as_ref().and_then(|tree| tree.dir_at(path));
        dir.ok_or(WireError::Unexpected("a question about a directory that is not there"))
    }

    /// Answers in the cheapest way: all of it if nothing is known, the changes since a version that both
    /// know, a short listing as it is, and otherwise fingerprints.
    pub(crate) async fn answer_want(
        &mut self,
        path: &RelPath,
        have: Option<Digest>,
        subtree: bool,
    ) -> Result<(), WireError> {
        let dir = self.asked(path)?;
        if subtree {
            return self.outbox.tree(TreeWriter::full(&evenfold_core::Entry::Dir(dir))).await;
        }
        let mode = convert::mode_bits(dir.mode());
        if let Some(base) = have.and_then(|digest| self.history.find(path, digest)) {
            self.outbox.push(&Message::Enter { name: Blob(b""), mode }).await?;
            return push_changes(&mut self.outbox, &base, &dir).await;
        }
        if dir.children().len() <= SHORT_LISTING {
            self.outbox.push(&Message::Dir { name: Blob(b""), mode }).await?;
            for child in dir.children() {
                push_child(&mut self.outbox, child).await?;
            }
            return self.outbox.push(&Message::Leave).await;
        }
        let mut scratch = Vec::new();
        let mut groups = dir.children().chunks(PRINTS).peekable();
        while let Some(group) = groups.next() {
            let mut prints = Vec::with_capacity(group.len() * PRINT);
            for child in group {
                prints.extend_from_slice(&fingerprint(child, &mut scratch)?);
            }
            let more = groups.peek().is_some();
            self.outbox.push(&Message::Sketch { mode, prints: Blob(&prints), more }).await?;
        }
        Ok(())
    }
}

async fn push_child(outbox: &mut Outbox, child: &Child) -> Result<(), WireError> {
    outbox.push(&token(child.name.as_bytes(), &child.entry)).await
}

/// Writes how the listing of `dir` differs from that of `base`, without what is below.
async fn push_changes(outbox: &mut Outbox, base: &Dir, dir: &Dir) -> Result<(), WireError> {
    let mut old = base.children().iter().peekable();
    for child in dir.children() {
        while let Some(gone) = old.next_if(|old| old.name < child.name) {
            outbox.push(&Message::Gone { name: Blob(gone.name.as_bytes()) }).await?;
        }
        let same = old.next_if(|old| old.name == child.name).is_some_and(|old| old.entry == child.entry);
        if !same {
            push_child(outbox, child).await?;
        }
    }
    for gone in old {
        outbox.push(&Message::Gone { name: Blob(gone.name.as_bytes()) }).await?;
    }
    outbox.push(&Message::Leave).await
}
