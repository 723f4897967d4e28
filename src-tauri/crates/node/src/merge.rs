//! Deciding a conflict by a text that a person put together from its versions.
//!
//! The text takes the disputed name like any change: staged, verified, put in place in one step, while what stood there
//! becomes a version. Only then the conflict copies go, or the hub gets it, where a rule left the decision to a person.

use std::time::{SystemTime, UNIX_EPOCH};

use evenfold_core::apply::Batch;
use evenfold_core::snapshot::Snapshot;
use evenfold_core::transfer::{Item, MAX_PART, Piece, WHOLE_LIMIT};
use evenfold_core::{Change, Conflict, Digest, Entry, File, Mode, Mtime, RelPath};
use tokio::sync::mpsc;

use crate::api::{ApiError, ErrorCode};
use crate::conflicts::{Case, Dispute};
use crate::node::Node;
use crate::resolve::{clear, connected, look, moved_on};

/// Longest text that is taken, in bytes: it travels as one line, and nobody merges more by hand.
const LONGEST: usize = 4 << 20;

/// Permission bits where no version says any.
const USUAL: u32 = 0o644;

impl Node {
    /// Decides a conflict by a text that takes the disputed name; all versions that stood there become versions.
    ///
    /// # Errors
    /// Where there is no such conflict, a version of it is no file, or something changed meanwhile; nothing is lost then.
    pub(crate) async fn resolve_merged(&self, id: &str, text: String) -> Result<(), ApiError> {
        if text.len() > LONGEST {
            let message = format!("a merged text has at most {LONGEST} bytes; nothing was changed");
            return Err(
                ApiError::new(ErrorCode::Usage, message).with_hint("merge it with an editor, then keep both")
            );
        }
        let case = self.case(id).await?;
        let merged = merged(&case, text.as_bytes())?;
        match &case.dispute {
            Dispute::Copies => self.merge_copies(&case, merged, text).await?,
            Dispute::Refused(conflict) => self.merge_refused(&case, conflict, merged, text).await?,
        }
        self.note_decision(&case, "merged by hand".to_owned()).await?;
        self.carry_on(&case.relationship, &case.path).await;
        Ok(())
    }

    async fn merge_copies(&self, case: &Case, merged: File, text: String) -> Result<(), ApiError> {
        let relationship = &case.relationship;
        let paths = case.versions.iter().map(|version| version.at.clone()).chain([case.path.clone()]);
        let Snapshot { tree, mut epoch, .. } = look(relationship, paths.collect()).await?;
        let stands = tree.get(&case.path);
        let current = case.versions.iter().find(|version| version.current).map(|version| &version.entry);
        let same = case.versions.iter().all(|version| tree.get(&version.at) == Some(&version.entry));
        if stands != current || !same {
            return Err(moved_on(&case.path));
        }
        if let Some((batch, pieces)) = put(&case.path, current, merged, text) {
            self.carry_out_with(relationship, batch, pieces, epoch).await?;
            epoch += 1;
        }
        // With no version kept, all copies go.
        let batch = clear(&case.path, &case.versions, case.versions.len());
        if batch.changes.is_empty() {
            return Ok(());
        }
        // Its sender is gone before the batch is carried out: nothing comes.
        let nothing = mpsc::channel(1).1;
        self.carry_out_with(relationship, batch, nothing, epoch).await
    }

    async fn merge_refused(
        &self,
        case: &Case,
        conflict: &Conflict,
        merged: File,
        text: String,
    ) -> Result<(), ApiError> {
        let relationship = &case.relationship;
        let Some(spoke) = relationship.spoke() else { return Err(moved_on(&case.path)) };
        // Without the hub the text would stand here only, and the conflict would go on.
        connected(spoke)?;
        let Snapshot { tree, epoch, .. } = look(relationship, vec![case.path.clone()]).await?;
        if tree.get(&case.path) != conflict.ours.as_ref() {
            return Err(moved_on(&case.path));
        }
        if let Some((batch, pieces)) = put(&case.path, conflict.ours.as_ref(), merged, text) {
            self.carry_out_with(relationship, batch, pieces, epoch).await?;
        }
        let Snapshot { tree, .. } = look(relationship, vec![case.path.clone()]).await?;
        let conflict = Conflict { ours: tree.get(&case.path).cloned(), ..conflict.clone() };
        self.overwrite_hub(relationship, spoke, &conflict, &tree).await
    }
}

/// Returns the file that a text becomes, with the permissions of the version that has the name, else of any.
fn merged(case: &Case, text: &[u8]) -> Result<File, ApiError> {
    if case.versions.iter().any(|version| version.entry.as_file().is_none()) {
        let message = format!(
            "'{}' has a version that is no file, so it cannot be merged; nothing was changed",
            case.path
        );
        return Err(ApiError::new(ErrorCode::Usage, message).with_hint("keep one version, or both"));
    }
    let files = || case.versions.iter().filter(|version| version.current).chain(&case.versions);
    let mode = files().find_map(|version| version.entry.as_file()).map(|file| file.mode);
    Ok(File {
        digest: Digest::of(text),
        size: text.len() as u64,
        mtime: now(),
        mode: mode.unwrap_or(Mode::new(USUAL)),
    })
}

fn now() -> Mtime {
    // A clock before 1970 gives a file from 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Mtime { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}

/// Returns the batch that puts a text in the place of `old`, and its content; `None` where that holds it already.
fn put(
    path: &RelPath,
    old: Option<&Entry>,
    new: File,
    text: String,
) -> Option<(Batch, mpsc::Receiver<Piece>)> {
    if old.and_then(Entry::as_file).is_some_and(|old| old.same_content(&new)) {
        return None;
    }
    let change = Change { path: path.clone(), old: old.cloned(), new: Some(Entry::File(new)) };
    let item = Item { digest: new.digest, size: new.size, path: path.clone() };
    let batch = Batch { id: rand::random(), changes: vec![change], items: vec![item], ..Batch::default() };
    Some((batch, pieces(text.into_bytes())))
}

/// A content as a supplier sends the first item of a batch.
fn pieces(bytes: Vec<u8>) -> mpsc::Receiver<Piece> {
    let mut all = Vec::new();
    if bytes.len() as u64 <= WHOLE_LIMIT {
        all.push(Piece::Whole { item: 0, bytes });
    } else {
        let parts = bytes.chunks(MAX_PART).enumerate();
        all.extend(parts.map(|(nth, part)| Piece::Part {
            item: 0,
            offset: (nth * MAX_PART) as u64,
            bytes: part.to_vec(),
        }));
        all.push(Piece::End { item: 0 });
    }
    // All of it fits, so nobody has to feed it.
    let (send, receive) = mpsc::channel(all.len());
    for piece in all {
        if send.try_send(piece).is_err() {
            tracing::error!("a text did not fit where room was made for it");
        }
    }
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_travels_in_pieces_that_add_up_to_it() {
        for length in [0, 1, WHOLE_LIMIT as usize, WHOLE_LIMIT as usize + 1, LONGEST] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut received = pieces(bytes.clone());
            let (mut all, mut ended) = (Vec::new(), false);
            while let Some(piece) = received.blocking_recv() {
                assert!(!ended);
                match piece {
                    Piece::Whole { item: 0, bytes } => (all, ended) = (bytes, true),
                    Piece::Part { item: 0, offset, bytes } => {
                        assert!(offset == all.len() as u64 && bytes.len() <= MAX_PART);
                        all.extend(bytes);
                    }
                    Piece::End { item: 0 } => ended = true,
                    other => panic!("{other:?}"),
                }
            }
            assert!(ended && all == bytes, "{length}");
        }
    }
}
