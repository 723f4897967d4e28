//! Reports on the wire. What was applied exactly as asked costs a count, not an entry.

use evenfold_core::apply::{Batch, Outcome, Report};
use evenfold_core::{Entry, RelPath};
use tokio::io::AsyncRead;

use crate::batch::receive_slot;
use crate::convert;
use crate::error::{CallError, WireError};
use crate::inbox::Inbox;
use crate::message::{Blob, Message, Now, Slot, room};
use crate::outbox::Outbox;
use crate::walk::TreeWriter;

/// Returns what was asked for and where, for each outcome in order.
fn asked(batch: &Batch) -> impl Iterator<Item = (&RelPath, Option<&Entry>)> {
    let moves = batch.moves.iter().map(|m| (&m.to, Some(&m.entry)));
    moves.chain(batch.changes.iter().map(|change| (&change.path, change.new.as_ref())))
}

/// Writes the report on `batch`.
pub(crate) async fn send_report(
    outbox: &mut Outbox,
    batch: &Batch,
    report: &Report,
) -> Result<(), WireError> {
    let mut as_asked = 0u32;
    let mut asked = asked(batch);
    for outcome in &report.outcomes {
        let wanted = asked.next().and_then(|(_, entry)| entry);
        if let Outcome::Applied { now, short } = outcome
            && short.is_empty()
            && now.as_ref() == wanted
        {
            as_asked += 1;
            continue;
        }
        if as_asked > 0 {
            outbox.push(&Message::AsAsked { count: as_asked }).await?;
            as_asked = 0;
        }
        send_outcome(outbox, wanted, outcome).await?;
    }
    if as_asked > 0 {
        outbox.push(&Message::AsAsked { count: as_asked }).await?;
    }
    outbox.push(&Message::Report { epoch: report.epoch }).await
}

async fn send_outcome(
    outbox: &mut Outbox,
    asked: Option<&Entry>,
    outcome: &Outcome,
) -> Result<(), WireError> {
    match outcome {
        Outcome::Refused(refusal) => outbox.push(&Message::Refused(convert::wire_refusal(refusal))).await,
        Outcome::Applied { now, short } => {
            let (slot, tree) = match (asked, now) {
                (asked, now) if asked == now.as_ref() => (Now::AsAsked, None),
                (_, None) => (Now::Slot(Slot::Absent), None),
                (Some(Entry::Dir(asked)), Some(Entry::Dir(now))) => {
                    (Now::Slot(Slot::Against), Some(TreeWriter::delta(asked, now, None)))
                }
                (_, Some(now)) => (Now::Slot(Slot::Inline), Some(TreeWriter::full(now))),
            };
            outbox.push(&Message::Applied { now: slot, short: !short.is_empty() }).await?;
            if let Some(tree) = tree {
                outbox.tree(tree).await?;
            }
            for (path, refusal) in short {
                let path = Blob(path.as_bytes());
                outbox.push(&Message::Short { path, refusal: convert::wire_refusal(refusal) }).await?;
            }
            if short.is_empty() { Ok(()) } else { outbox.push(&Message::End).await }
        }
    }
}

/// What a step of reading a report brought.
enum Line {
    AsAsked(u32),
    Applied(Now, bool),
    Refused(Outcome),
    End(u64),
}

/// Reads the report on `batch`, of which `first` is the first message.
pub(crate) async fn receive_report<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    batch: &Batch,
    first: Head,
) -> Result<Report, CallError> {
    let mut asked = asked(batch);
    let mut outcomes = Vec::new();
    let mut line = first.0;
    loop {
        match line {
            Line::End(epoch) if asked.next().is_none() => return Ok(Report { outcomes, epoch }),
            Line::End(_) => return Err(WireError::Malformed("a report that is too short").into()),
            Line::AsAsked(count) => {
                for _ in 0..count {
                    let (_, entry) = asked.next().ok_or(WireError::TooMany)?;
                    outcomes.push(Outcome::Applied { now: entry.cloned(), short: Vec::new() });
                }
            }
            Line::Refused(outcome) => {
                asked.next().ok_or(WireError::TooMany)?;
                outcomes.push(outcome);
            }
            Line::Applied(now, short) => {
                let (path, wanted) = asked.next().ok_or(WireError::TooMany)?;
                let now = match now {
                    Now::AsAsked => wanted.cloned(),
                    Now::Slot(slot) => receive_slot(inbox, slot, path, wanted, None, &mut false).await?,
                };
                let short = if short { receive_short(inbox).await? } else { Vec::new() };
                outcomes.push(Outcome::Applied { now, short });
            }
        }
        line = Head::read(&inbox.message().await?)?.0;
    }
}

/// The first message of a report.
pub(crate) struct Head(Line);

impl Head {
    /// Interprets a message as a line of a report.
    pub(crate) fn read(message: &Message<'_>) -> Result<Self, WireError> {
        Ok(Head(match *message {
            Message::AsAsked { count } => Line::AsAsked(count),
            Message::Applied { now, short } => Line::Applied(now, short),
            Message::Refused(refusal) => Line::Refused(Outcome::Refused(convert::refusal(refusal))),
            Message::Report { epoch } => Line::End(epoch),
            _ => return Err(WireError::Unexpected("something else within a report")),
        }))
    }
}

async fn receive_short<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
) -> Result<Vec<(RelPath, evenfold_core::apply::Refusal)>, WireError> {
    let mut short = Vec::new();
    loop {
        match inbox.message().await? {
            Message::End => return Ok(short),
            Message::Short { path, refusal } => {
                room(&short)?;
                short.push((convert::path(path)?, convert::refusal(refusal)));
            }
            _ => return Err(WireError::Unexpected("something else within a report")),
        }
    }
}
