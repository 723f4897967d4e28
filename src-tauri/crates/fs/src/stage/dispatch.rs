//! Leads each piece to where it is verified and written.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::SyncSender;

use evenfold_core::apply::{Batch, Refusal};
use evenfold_core::transfer::{Piece, SupplyFailure};
use evenfold_core::{Digest, Entry};

use super::large::{self, Assembler, Message};
use super::layout::{Content, Layout};
use super::small::{Job, Outcomes, Pool, Writer, fail};
use crate::apply::{Progress, Site};
use crate::disk::Disk;
use crate::own;
use crate::prepare::{PARTIAL_LIMIT, Recipe, Source, copy_of};

/// Up to this number of small contents are written without starting threads.
const FEW: usize = 8;

/// Contents below [`PARTIAL_LIMIT`] that may be collected in memory at once, at most 16 MiB. Suppliers send one
/// after the other; a few more allow for several connections.
const COLLECTED_AT_ONCE: usize = 16;

/// Fills the nodes of the layout from `pieces` and from the receiver's own disk.
pub(super) fn fill<D: Disk>(
    site: &Site<'_, D>,
    batch: &Batch,
    layout: &mut Layout<'_>,
    pieces: &mut dyn Iterator<Item = Piece>,
    progress: &dyn Progress,
    sync: bool,
) {
    let mut recipes = site.prepared.take(batch.id);
    let wanted = wanted(batch, layout);
    let held = held(site, batch, layout);
    let large_item = wanted.iter().flatten().any(|content| content.size >= PARTIAL_LIMIT);
    let large_held = held.iter().any(|job| job.content().size >= PARTIAL_LIMIT);
    let contents = held.len() + wanted.iter().flatten().count();
    let writer = Writer { disk: site.disk, layout, progress, sync };
    let assembler = Assembler {
        writer: &writer,
        relationship: site.relationship,
        folder: own::batch_staging(site.relationship, batch.id),
        prepared: site.prepared,
    };
    let outcomes = std::thread::scope(|scope| {
        let (large, assembling) = (large_item || large_held)
            .then(|| {
                let (send, receive) = large::channel();
                let assembler = &assembler;
                (send, scope.spawn(move || assembler.run(receive)))
            })
            .unzip();
        let pool = (contents > FEW).then(|| Pool::new(scope, &writer));
        let mut dispatch = Dispatch {
            writer: &writer,
            wanted,
            pool,
            large,
            streaming: HashSet::new(),
            collected: HashMap::new(),
            outcomes: Vec::new(),
        };
        dispatch.take_held(held, &mut recipes);
        pieces.for_each(|piece| dispatch.take(piece, &mut recipes));
        let mut outcomes = dispatch.finish();
        if let Some(assembling) = assembling {
            outcomes.extend(assembling.join().unwrap_or_default());
        }
        outcomes
    });
    for (node, state) in outcomes {
        if let Some(node) = layout.nodes.get_mut(node as usize) {
            node.state = state;
        }
    }
}

/// Returns for each item who wants it, if anybody does.
fn wanted(batch: &Batch, layout: &Layout<'_>) -> Vec<Option<Content>> {
    let items = batch.items.iter();
    items.map(|item| content(layout, item.digest, item.size).filter(|content| content.size > 0)).collect()
}

/// Returns what can be had without the supplier: local copies, and the empty content.
fn held<D: Disk>(site: &Site<'_, D>, batch: &Batch, layout: &Layout<'_>) -> Vec<Job> {
    let empty = content(layout, Digest::of(b""), 0).map(|content| Job::Sent(content, Vec::new()));
    let copies = batch.copies.iter().filter_map(|copy| {
        // A path that holds something else by now leaves the content missing, which its wants are told.
        let (Entry::File(file), keys) = site.look_up(&copy.path)? else { return None };
        let content = content(layout, copy.digest, file.size).filter(|content| content.size > 0)?;
        (file.digest == copy.digest).then(|| Job::Copy(content, copy.path.clone(), file, keys))
    });
    empty.into_iter().chain(copies).collect()
}

fn content(layout: &Layout<'_>, digest: Digest, size: u64) -> Option<Content> {
    let wants = layout.wants(&digest, size);
    (!wants.is_empty()).then_some(Content { digest, size, wants })
}

struct Dispatch<'s, 'a, D> {
    writer: &'a Writer<'a, D>,
    /// For each item who wants it; taken out when its first piece comes, so that nothing is done twice.
    wanted: Vec<Option<Content>>,
    pool: Option<Pool<'s>>,
    large: Option<SyncSender<Message>>,
    /// Large items of which pieces have come and more may come.
    streaming: HashSet<u32>,
    /// Items of medium size that are collected in memory.
    collected: HashMap<u32, (Content, Vec<u8>)>,
    outcomes: Outcomes,
}

impl<D: Disk> Dispatch<'_, '_, D> {
    /// Begins with what needs no piece.
    fn take_held(&mut self, held: Vec<Job>, recipes: &mut HashMap<u32, Recipe>) {
        let copies = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        for (nth, job) in (0u32..).zip(held) {
            match job {
                Job::Copy(content, path, file, _) if content.size >= PARTIAL_LIMIT => {
                    let recipe = Some(copy_of(&path, file.size));
                    // Numbered behind the items, which no piece can name.
                    self.tell(Message::Begin { number: copies.saturating_add(nth), content, recipe });
                }
                job => self.work(job),
            }
        }
        // Items of which every byte is here already: nobody will send anything for them.
        recipes.retain(|item, recipe| {
            let complete = recipe.segments.iter().all(|segment| segment.source != Source::Sent);
            if complete && let Some(content) = self.take_wanted(*item) {
                self.tell(Message::Begin { number: *item, content, recipe: Some(recipe.clone()) });
            }
            !complete
        });
    }

    fn take(&mut self, piece: Piece, recipes: &mut HashMap<u32, Recipe>) {
        match piece {
            Piece::Whole { item, bytes } => {
                if let Some(content) = self.take_wanted(item) {
                    self.work(Job::Sent(content, bytes));
                }
            }
            Piece::Part { item, offset, bytes } => {
                self.begin(item, recipes);
                if self.streaming.contains(&item) {
                    self.tell(Message::Part { number: item, offset, bytes });
                } else if let Some((content, collected)) = self.collected.get_mut(&item) {
                    let fits = collected.len() as u64 == offset
                        && offset.saturating_add(bytes.len() as u64) <= content.size;
                    if fits {
                        collected.extend_from_slice(&bytes);
                    } else if let Some((content, _)) = self.collected.remove(&item) {
                        // Out of order or too long: not what was asked for.
                        fail(&content, &Refusal::Damaged, &mut self.outcomes);
                    }
                }
            }
            Piece::End { item } => {
                self.begin(item, recipes);
                if self.streaming.remove(&item) {
                    self.tell(Message::End { number: item });
                } else if let Some((content, bytes)) = self.collected.remove(&item) {
                    self.work(Job::Sent(content, bytes));
                }
            }
            Piece::Failed { item, reason } => self.failed(item, reason),
        }
    }

    fn failed(&mut self, item: u32, reason: SupplyFailure) {
        if self.streaming.remove(&item) {
            return self.tell(Message::Failed { number: item, reason });
        }
        let collected = self.collected.remove(&item).map(|(content, _)| content);
        if let Some(content) = collected.or_else(|| self.take_wanted(item)) {
            fail(&content, &Refusal::NotSupplied(reason), &mut self.outcomes);
        }
    }

    /// Opens an item at its first piece, if anybody wants it.
    fn begin(&mut self, item: u32, recipes: &mut HashMap<u32, Recipe>) {
        let Some(content) = self.take_wanted(item) else { return };
        if content.size >= PARTIAL_LIMIT {
            self.streaming.insert(item);
            self.tell(Message::Begin { number: item, content, recipe: recipes.remove(&item) });
        } else if self.collected.len() < COLLECTED_AT_ONCE {
            let room = Vec::with_capacity(content.size as usize);
            self.collected.insert(item, (content, room));
        } else {
            let reason = SupplyFailure::Unreadable("too many files were sent at once".to_owned());
            fail(&content, &Refusal::NotSupplied(reason), &mut self.outcomes);
        }
    }

    fn take_wanted(&mut self, item: u32) -> Option<Content> {
        self.wanted.get_mut(item as usize)?.take()
    }

    fn work(&mut self, job: Job) {
        match &mut self.pool {
            Some(pool) => pool.push(job),
            None => self.writer.work(job, &mut self.outcomes),
        }
    }

    fn tell(&mut self, message: Message) {
        if let Some(large) = &self.large {
            // If the writing thread died, its contents stay unanswered, which the collection reports.
            drop(large.send(message));
        }
    }

    fn finish(self) -> Outcomes {
        let mut outcomes = self.outcomes;
        drop(self.large);
        outcomes.extend(self.pool.map(Pool::finish).unwrap_or_default());
        outcomes
    }
}
