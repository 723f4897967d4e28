//! Batches, items, needs and manifests on the wire.

use std::sync::Arc;

use evenfold_core::apply::{Basis, Batch, LocalCopy, Move};
use evenfold_core::plan::Change;
use evenfold_core::transfer::{Item, Manifest, Need};
use evenfold_core::{Entry, RelPath};
use tokio::io::AsyncRead;

use crate::assemble::Assembler;
use crate::convert;
use crate::error::WireError;
use crate::history::History;
use crate::inbox::Inbox;
use crate::message::{Blob, Hash, Message, Slot, room};
use crate::outbox::Outbox;
use crate::walk::TreeWriter;

/// Directories of at least this many items are named by digest where the hub should know them.
const REFER: u64 = 64;
/// Ranges and chunks per message: far below the longest message.
const PER_MESSAGE: usize = 4096;

/// What a request said after its head.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) batch: Batch,
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) needs: Vec<Need>,
    pub(crate) indices: Vec<u32>,
    /// A directory was named that is not remembered any more; the batch is incomplete.
    pub(crate) lost: bool,
}

/// Writes the items of a request.
pub(crate) async fn send_items(outbox: &mut Outbox, items: &[Item]) -> Result<(), WireError> {
    for item in items {
        outbox.push(&convert::wire_item(item)).await?;
    }
    Ok(())
}

/// Writes manifests.
pub(crate) async fn send_manifests(outbox: &mut Outbox, manifests: &[Manifest]) -> Result<(), WireError> {
    for Manifest { item, chunks } in manifests {
        let mut rest = &chunks[..];
        loop {
            let (now, later) = rest.split_at(rest.len().min(PER_MESSAGE));
            let (packed, more) = (convert::wire_chunks(now), !later.is_empty());
            outbox.push(&Message::Chunks { item: *item, chunks: Blob(&packed), more }).await?;
            rest = later;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Writes needs.
pub(crate) async fn send_needs(outbox: &mut Outbox, needs: &[Need]) -> Result<(), WireError> {
    for need in needs {
        match need {
            Need::Rest { item, from } => outbox.push(&Message::Rest { item: *item, from: *from }).await?,
            Need::Ranges { item, ranges } => {
                let mut rest = &ranges[..];
                loop {
                    let (now, later) = rest.split_at(rest.len().min(PER_MESSAGE));
                    let more = !later.is_empty();
                    outbox.push(&Message::Ranges { item: *item, ranges: now.to_vec(), more }).await?;
                    rest = later;
                    if !more {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Tells whether writing `batch` with references would save anything.
pub(crate) fn can_refer(batch: &Batch) -> bool {
    let moved = batch.moves.iter().map(|m| &m.entry);
    moved.chain(batch.changes.iter().filter_map(|change| change.old.as_ref())).any(refers)
}

fn refers(entry: &Entry) -> bool {
    entry.as_dir().is_some_and(|dir| dir.totals().items() >= REFER)
}

/// Writes a batch. With `refer`, large directories that the hub has are named by their digest.
pub(crate) async fn send_batch(outbox: &mut Outbox, batch: &Batch, refer: bool) -> Result<(), WireError> {
    let slot = |entry: Option<&Entry>| match entry {
        None => Slot::Absent,
        Some(Entry::Dir(dir)) if refer && dir.totals().items() >= REFER => Slot::At(Hash(dir.digest())),
        Some(_) => Slot::Inline,
    };
    outbox.push(&Message::Batch { id: batch.id, together: batch.together, again: batch.again }).await?;
    for Move { from, to, entry } in &batch.moves {
        let (from, to, slot) = (Blob(from.as_bytes()), Blob(to.as_bytes()), slot(Some(entry)));
        outbox.push(&Message::Move { from, to, entry: slot }).await?;
        if slot == Slot::Inline {
            outbox.tree(TreeWriter::full(entry)).await?;
        }
    }
    for Change { path, old, new } in &batch.changes {
        let old_slot = slot(old.as_ref());
        let (new_slot, tree) = match (old, new) {
            (_, None) => (Slot::Absent, None),
            (Some(Entry::Dir(old)), Some(Entry::Dir(new))) => {
                (Slot::Against, Some(TreeWriter::delta(old, new, None)))
            }
            (_, Some(new)) => (Slot::Inline, Some(TreeWriter::full(new))),
        };
        outbox.push(&Message::Change { path: Blob(path.as_bytes()), old: old_slot, new: new_slot }).await?;
        if let (Slot::Inline, Some(old)) = (old_slot, old) {
            outbox.tree(TreeWriter::full(old)).await?;
        }
        if let Some(tree) = tree {
            outbox.tree(tree).await?;
        }
    }
    send_items(outbox, &batch.items).await?;
    for LocalCopy { digest, path } in &batch.copies {
        outbox.push(&Message::Copy { digest: Hash(*digest), path: Blob(path.as_bytes()) }).await?;
    }
    send_bases(outbox, batch).await
}

/// Writes which files of the receiver resemble which items.
pub(crate) async fn send_bases(outbox: &mut Outbox, batch: &Batch) -> Result<(), WireError> {
    for Basis { item, path } in &batch.bases {
        outbox.push(&Message::Basis { item: *item, path: Blob(path.as_bytes()) }).await?;
    }
    Ok(())
}

/// Reads the body of a request, or of an answer that is a list, up to its end.
pub(crate) async fn receive_body<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    history: Option<&History>,
    body: &mut Body,
) -> Result<(), WireError> {
    loop {
        match inbox.message().await? {
            Message::End => return Ok(()),
            Message::Move { from, to, entry } => {
                let (from, to) = (convert::path(from)?, convert::path(to)?);
                let entry = receive_slot(inbox, entry, &from, None, history, &mut body.lost).await?;
                let entry = entry.ok_or(WireError::Malformed("a move of nothing"))?;
                room(&body.batch.moves)?;
                body.batch.moves.push(Move { from, to, entry });
            }
            Message::Change { path, old, new } => {
                let path = convert::path(path)?;
                let old = receive_slot(inbox, old, &path, None, history, &mut body.lost).await?;
                // Of a lost directory the difference cannot be read as such, only passed over.
                let new = receive_slot(inbox, new, &path, old.as_ref(), history, &mut body.lost).await?;
                room(&body.batch.changes)?;
                body.batch.changes.push(Change { path, old, new });
            }
            other => receive_element(&other, body)?,
        }
    }
}

/// Takes in the first message of an answer that is a list; `true` where the list is empty.
pub(crate) fn receive_first(first: &Message<'_>, body: &mut Body) -> Result<bool, WireError> {
    if *first == Message::End {
        return Ok(true);
    }
    receive_element(first, body).map(|()| false)
}

fn receive_element(message: &Message<'_>, body: &mut Body) -> Result<(), WireError> {
    match *message {
        Message::Batch { id, together, again } => {
            body.batch = Batch { id, together, again, ..std::mem::take(&mut body.batch) };
        }
        Message::Item { digest, size, path } => {
            room(&body.batch.items)?;
            body.batch.items.push(convert::item(digest, size, path)?);
        }
        Message::Copy { digest, path } => {
            room(&body.batch.copies)?;
            body.batch.copies.push(LocalCopy { digest: digest.0, path: convert::path(path)? });
        }
        Message::Basis { item, path } => {
            room(&body.batch.bases)?;
            body.batch.bases.push(Basis { item, path: convert::path(path)? });
        }
        Message::Index(index) => {
            room(&body.indices)?;
            body.indices.push(index);
        }
        Message::Chunks { item, chunks, more: _ } => {
            if body.manifests.last().is_none_or(|last| last.item != item) {
                room(&body.manifests)?;
                body.manifests.push(Manifest { item, chunks: Vec::new() });
            }
            if let Some(last) = body.manifests.last_mut() {
                convert::chunks(chunks, &mut last.chunks)?;
            }
        }
        Message::Rest { item, from } => {
            room(&body.needs)?;
            body.needs.push(Need::Rest { item, from });
        }
        Message::Ranges { item, ref ranges, more: _ } => {
            if !matches!(body.needs.last(), Some(Need::Ranges { item: last, .. }) if *last == item) {
                room(&body.needs)?;
                body.needs.push(Need::Ranges { item, ranges: Vec::new() });
            }
            if let Some(Need::Ranges { ranges: all, .. }) = body.needs.last_mut() {
                room(all)?;
                all.extend_from_slice(ranges);
            }
        }
        Message::Error { .. } => return Err(WireError::Unexpected("an error within a list")),
        _ => return Err(WireError::Unexpected("something else within a list")),
    }
    Ok(())
}

/// Reads the entry that `slot` announces, which stands at `path`.
pub(crate) async fn receive_slot<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    slot: Slot,
    path: &RelPath,
    against: Option<&Entry>,
    history: Option<&History>,
    lost: &mut bool,
) -> Result<Option<Entry>, WireError> {
    let base = match slot {
        Slot::Absent => return Ok(None),
        Slot::At(digest) => {
            let history = history.ok_or(WireError::Unexpected("a reference"))?;
            let known = history.find(path, digest.0).map(Entry::Dir);
            *lost |= known.is_none();
            return Ok(Some(known.unwrap_or_else(lost_entry)));
        }
        Slot::Inline => None,
        Slot::Against => match against {
            Some(Entry::Dir(base)) => Some(Arc::clone(base)),
            _ if *lost => {
                skip_tree(inbox).await?;
                return Ok(Some(lost_entry()));
            }
            _ => return Err(WireError::Unexpected("a difference from nothing")),
        },
    };
    let mut assembler = Assembler::new(path, base, None);
    loop {
        let message = inbox.message().await?;
        if let Some(entry) = assembler.feed(&message)? {
            return Ok(Some(entry));
        }
    }
}

/// What takes the place of a directory that is not known; the batch that holds it is refused as a whole.
fn lost_entry() -> Entry {
    Entry::Unknown(evenfold_core::ProblemKind::Unreadable)
}

/// Passes over the tokens of one entry.
pub(crate) async fn skip_tree<R: AsyncRead + Unpin>(inbox: &mut Inbox<R>) -> Result<(), WireError> {
    let mut depth = 0u64;
    loop {
        match inbox.message().await? {
            Message::Dir { .. } | Message::Enter { .. } => depth += 1,
            Message::Leave => depth = depth.saturating_sub(1),
            Message::File { .. }
            | Message::Symlink { .. }
            | Message::Unknown { .. }
            | Message::Stub { .. }
            | Message::Gone { .. } => {}
            _ => return Err(WireError::Unexpected("something else within a tree")),
        }
        if depth == 0 {
            return Ok(());
        }
    }
}
