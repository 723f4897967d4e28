//! The client's side of a Merkle descent: asks, level by level, only for directories that differ.
//!
//! All asks of one level travel together, so a descent costs at most two round trips per level of differing
//! directories. What is known at the same path is refined, what is known elsewhere is taken over by digest,
//! and of what is not known at all the whole subtree is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use evenfold_core::path::{MAX_PATH, RESERVED};
use evenfold_core::{Child, Digest, Dir, Entry, Mode, Name, PathError, RelPath};
use tokio::io::AsyncRead;

use crate::assemble::{Assembler, MAX_DEPTH, MAX_ENTRIES, merge};
use crate::convert;
use crate::error::WireError;
use crate::inbox::Inbox;
use crate::message::{Blob, Hash, Message};
use crate::outbox::Outbox;
use crate::tree::{Catalog, PRINT, Print, fingerprint};

/// Asks that travel together; the server takes no more than [`MAX_ASKS`].
const GROUP: usize = 16 * 1024;
/// The most asks in one request: they are collected before they are answered, so that neither side writes
/// while the other one does.
pub(crate) const MAX_ASKS: usize = 64 * 1024;
/// The most indices of one pick.
pub(crate) const MAX_PICK: usize = 32 * 1024;

struct Node {
    parent: usize,
    name: Option<Name>,
    path: RelPath,
    depth: usize,
    digest: Digest,
    /// What is known at the same path, the most promising first.
    known: Vec<Arc<Dir>>,
    mode: Mode,
    children: Vec<Child>,
    /// The whole subtree, if it came at once.
    whole: Option<Arc<Dir>>,
}

enum Ask {
    Want(usize),
    Pick(usize, Vec<u32>),
}

/// A child as listed.
enum Listed {
    Entry(Entry),
    Stub(Digest),
}

struct Descent {
    nodes: Vec<Node>,
    asks: Vec<Ask>,
    catalog: Catalog,
    entries: u64,
    sketched: bool,
}

/// Receives the tree `digest`, after the server began to answer an ask for its root.
pub(crate) async fn descend<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    outbox: &mut Outbox,
    known: &[Arc<Dir>],
    digest: Digest,
) -> Result<Arc<Dir>, WireError> {
    let root = Node {
        parent: 0,
        name: None,
        path: RelPath::root(),
        depth: 0,
        digest,
        known: known.to_vec(),
        mode: Mode::new(0),
        children: Vec::new(),
        whole: None,
    };
    let catalog = Catalog::new(known.to_vec());
    let mut descent = Descent { nodes: vec![root], asks: Vec::new(), catalog, entries: 0, sketched: false };
    descent.receive(inbox, Ask::Want(0)).await?;
    while !descent.asks.is_empty() {
        let mut asks = std::mem::take(&mut descent.asks);
        while !asks.is_empty() {
            let group: Vec<Ask> = asks.drain(..asks.len().min(GROUP)).collect();
            descent.send(outbox, &group).await?;
            for ask in group {
                descent.receive(inbox, ask).await?;
            }
        }
    }
    let sketched = descent.sketched;
    match descent.assemble() {
        // Two children shared a fingerprint: rare enough to take everything anew.
        Err(WireError::WrongDigest { .. }) if sketched => all_of_it(inbox, outbox, digest).await,
        other => other,
    }
}

async fn all_of_it<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    outbox: &mut Outbox,
    digest: Digest,
) -> Result<Arc<Dir>, WireError> {
    outbox.push(&Message::Wants).await?;
    outbox.push(&Message::Want { path: Blob(b""), have: None, subtree: true }).await?;
    outbox.push(&Message::End).await?;
    outbox.flush().await?;
    receive_tree(inbox, &RelPath::root(), None, None, digest).await
}

/// Receives the tokens of the directory `digest`, which stands at `path`.
pub(crate) async fn receive_tree<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
    path: &RelPath,
    base: Option<Arc<Dir>>,
    catalog: Option<&mut Catalog>,
    digest: Digest,
) -> Result<Arc<Dir>, WireError> {
    let mut assembler = Assembler::new(path, base, catalog);
    loop {
        let message = inbox.message().await?;
        if let Some(entry) = assembler.feed(&message)? {
            return checked(entry, digest);
        }
    }
}

fn checked(entry: Entry, announced: Digest) -> Result<Arc<Dir>, WireError> {
    match entry {
        Entry::Dir(dir) if dir.digest() == announced => Ok(dir),
        Entry::Dir(dir) => Err(WireError::WrongDigest { announced, got: dir.digest() }),
        _ => Err(WireError::Unexpected("something that is no directory")),
    }
}

impl Descent {
    fn node(&mut self, id: usize) -> Result<&mut Node, WireError> {
        self.nodes.get_mut(id).ok_or(WireError::Unexpected("an answer to no question"))
    }

    async fn send(&mut self, outbox: &mut Outbox, asks: &[Ask]) -> Result<(), WireError> {
        outbox.push(&Message::Wants).await?;
        for ask in asks {
            match ask {
                Ask::Want(id) => {
                    let node = self.node(*id)?;
                    let have = node.known.first().map(|dir| Hash(dir.digest()));
                    let path = Blob(node.path.as_bytes());
                    outbox.push(&Message::Want { path, have, subtree: have.is_none() }).await?;
                }
                Ask::Pick(id, indices) => {
                    let path = Blob(self.node(*id)?.path.as_bytes());
                    outbox.push(&Message::Pick { path, indices: indices.clone() }).await?;
                }
            }
        }
        outbox.push(&Message::End).await?;
        outbox.flush().await
    }

    async fn receive<R: AsyncRead + Unpin>(
        &mut self,
        inbox: &mut Inbox<R>,
        ask: Ask,
    ) -> Result<(), WireError> {
        let id = match ask {
            Ask::Want(id) => id,
            Ask::Pick(id, _) => {
                let listed = receive_listing(inbox).await?;
                return listed.into_iter().try_for_each(|(name, listed)| match listed {
                    Some(listed) => self.add(id, name, listed),
                    None => Err(WireError::Unexpected("a deletion")),
                });
            }
        };
        let subtree = id != 0 && self.node(id)?.known.is_empty();
        let first = inbox.message().await?;
        match first {
            Message::Dir { .. } if subtree => {
                let node = self.node(id)?;
                let mut assembler = Assembler::new(&node.path, None, None);
                let mut complete = assembler.feed(&first)?;
                while complete.is_none() {
                    complete = assembler.feed(&inbox.message().await?)?;
                }
                if let Some(entry) = complete {
                    node.whole = Some(checked(entry, node.digest)?);
                }
                Ok(())
            }
            Message::Dir { mode, .. } => {
                self.node(id)?.mode = convert::mode(mode)?;
                for (name, listed) in receive_listing(inbox).await? {
                    let listed = listed.ok_or(WireError::Unexpected("a deletion where nothing is"))?;
                    self.add(id, name, listed)?;
                }
                Ok(())
            }
            Message::Enter { mode, .. } => {
                self.node(id)?.mode = convert::mode(mode)?;
                let edits = receive_listing(inbox).await?;
                self.edit(id, edits)
            }
            Message::Sketch { mode, prints, more } => {
                let mode = convert::mode(mode)?;
                let mut all = prints_of(prints)?;
                let mut more = more;
                while more {
                    match inbox.message().await? {
                        Message::Sketch { prints, more: again, .. } => {
                            all.extend(prints_of(prints)?);
                            more = again;
                        }
                        _ => return Err(WireError::Unexpected("something else within a sketch")),
                    }
                    if all.len() as u64 > MAX_ENTRIES {
                        return Err(WireError::TooMany);
                    }
                }
                self.node(id)?.mode = mode;
                self.sketch(id, &all)
            }
            _ => Err(WireError::Unexpected("something else than a directory")),
        }
    }

    /// Takes in the changes of a listing against the version that was named.
    fn edit(&mut self, id: usize, edits: Vec<(Name, Option<Listed>)>) -> Result<(), WireError> {
        let base = self.node(id)?.known.first().cloned();
        let base = base.ok_or(WireError::Unexpected("a difference from nothing"))?;
        let names = edits.iter().map(|(name, _)| (name.clone(), None)).collect();
        let kept = merge(&base, names);
        self.node(id)?.children = kept;
        for (name, listed) in edits {
            if let Some(listed) = listed {
                self.add(id, name, listed)?;
            }
        }
        Ok(())
    }

    /// Finds the children that are known by their fingerprints and asks for the others.
    fn sketch(&mut self, id: usize, prints: &[Print]) -> Result<(), WireError> {
        self.sketched = true;
        let mut scratch = Vec::new();
        let mut by_print: HashMap<Print, Child> = HashMap::new();
        let node = self.node(id)?;
        for child in node.known.iter().flat_map(|dir| dir.children()) {
            by_print.insert(fingerprint(child, &mut scratch)?, child.clone());
        }
        let mut missing = Vec::new();
        for (index, print) in prints.iter().enumerate() {
            match by_print.get(print) {
                Some(child) => node.children.push(child.clone()),
                None => missing.push(index as u32),
            }
        }
        self.asks.extend(missing.chunks(MAX_PICK).map(|indices| Ask::Pick(id, indices.to_vec())));
        Ok(())
    }

    /// Adds a child to a node; of a directory that is not known yet, more is asked for.
    fn add(&mut self, id: usize, name: Name, listed: Listed) -> Result<(), WireError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(WireError::TooMany);
        }
        let catalog = &mut self.catalog;
        let node = self.nodes.get_mut(id).ok_or(WireError::Unexpected("an answer to no question"))?;
        if id == 0 && name.as_bytes() == RESERVED {
            return Err(PathError::Reserved.into());
        }
        let digest = match listed {
            Listed::Entry(entry) => {
                node.children.push(Child { name, entry });
                return Ok(());
            }
            Listed::Stub(digest) => digest,
        };
        let known: Vec<Arc<Dir>> = node
            .known
            .iter()
            .filter_map(|dir| dir.child(name.as_bytes()).and_then(Entry::as_dir).cloned())
            .collect();
        let same = known.iter().find(|dir| dir.digest() == digest).cloned();
        // Every directory that is neither here nor in the catalogue costs a transfer, which is far dearer
        // than a catalogue.
        let same = same.or_else(|| if known.is_empty() { catalog.get(&digest) } else { None });
        if let Some(dir) = same {
            node.children.push(Child { name, entry: Entry::Dir(dir) });
            return Ok(());
        }
        let (path, depth) = (node.path.join(&name), node.depth + 1);
        if path.as_bytes().len() > MAX_PATH || depth >= MAX_DEPTH {
            return Err(PathError::TooLong.into());
        }
        self.asks.push(Ask::Want(self.nodes.len()));
        self.nodes.push(Node {
            parent: id,
            name: Some(name),
            path,
            depth,
            digest,
            known,
            mode: Mode::new(0),
            children: Vec::new(),
            whole: None,
        });
        Ok(())
    }

    /// Builds the tree from the bottom; parents always stand before their children.
    fn assemble(mut self) -> Result<Arc<Dir>, WireError> {
        while let Some(node) = self.nodes.pop() {
            let dir = match node.whole {
                Some(dir) => dir,
                None => checked(Entry::dir(node.mode, node.children), node.digest)?,
            };
            match (self.nodes.get_mut(node.parent), node.name) {
                (Some(parent), Some(name)) => parent.children.push(Child { name, entry: Entry::Dir(dir) }),
                _ => return Ok(dir),
            }
        }
        Err(WireError::Unexpected("a descent without a root"))
    }
}

fn prints_of(prints: Blob<'_>) -> Result<Vec<Print>, WireError> {
    let (prints, rest) = prints.0.as_chunks::<PRINT>();
    if rest.is_empty() { Ok(prints.to_vec()) } else { Err(WireError::Malformed("a sketch")) }
}

/// Reads the children of one directory, in rising order of names, up to its end.
async fn receive_listing<R: AsyncRead + Unpin>(
    inbox: &mut Inbox<R>,
) -> Result<Vec<(Name, Option<Listed>)>, WireError> {
    let mut children: Vec<(Name, Option<Listed>)> = Vec::new();
    loop {
        let (name, listed) = match inbox.message().await? {
            Message::Leave => return Ok(children),
            Message::File { name, file } => (name, Some(Listed::Entry(convert::file(file)?))),
            Message::Symlink { name, target } => (name, Some(Listed::Entry(convert::symlink(target)?))),
            Message::Unknown { name, kind } => {
                (name, Some(Listed::Entry(Entry::Unknown(convert::problem_kind(kind)?))))
            }
            Message::Stub { name, digest } => (name, Some(Listed::Stub(digest.0))),
            Message::Gone { name } => (name, None),
            _ => return Err(WireError::Unexpected("something else within a listing")),
        };
        let name = Name::new(name.0)?;
        if children.last().is_some_and(|(before, _)| *before >= name) {
            return Err(WireError::OutOfOrder);
        }
        if children.len() as u64 >= MAX_ENTRIES {
            return Err(WireError::TooMany);
        }
        children.push((name, listed));
    }
}
