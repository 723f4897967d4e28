//! The port [`Disk`] on a [`Machine`].

use std::io;
use std::sync::Arc;

use evenfold_core::path::RESERVED;
use evenfold_core::{Mode, Mtime, RelPath};
use evenfold_fs::disk::{Disk, ErrorKind, Kind, Listed, Place, ReadFile, Stat, WriteFile};

use super::machine::{Flaw, Machine, State, mtime};
use super::tree::{Body, Ino, Op, Slot, Tree};

/// ELOOP on Linux, which has no stable kind.
const LOOP: i32 = 40;

/// A root on a [`Machine`].
pub struct FakeDisk {
    machine: Arc<Machine>,
    root: Ino,
    life: u32,
}

impl FakeDisk {
    /// Opens what stands at the root's path.
    ///
    /// # Errors
    /// `NotFound` if nothing stands there.
    pub fn open(machine: &Arc<Machine>) -> io::Result<Self> {
        let state = machine.lock();
        let root = state.tree.root.ok_or(io::ErrorKind::NotFound)?;
        Ok(FakeDisk { machine: Arc::clone(machine), root, life: state.life })
    }

    fn read<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.machine.lock();
        state.call(self.life, false)?;
        act(&mut state)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.machine.lock();
        state.call(self.life, true)?;
        act(&mut state)
    }

    fn find(&self, tree: &Tree, place: &Place) -> io::Result<Ino> {
        let (path, mut at) = match place {
            Place::User(path) => (path, self.root),
            Place::Own(path) => (path, tree.child(self.root, RESERVED).ok_or(io::ErrorKind::NotFound)?),
        };
        for name in path.components() {
            at = step(tree, at, name)?;
        }
        Ok(at)
    }

    /// Finds the directory that holds a place, and the name in it.
    fn slot(&self, tree: &Tree, place: &Place) -> io::Result<Slot> {
        let (path, is_own) = match place {
            Place::User(path) => (path, false),
            Place::Own(path) => (path, true),
        };
        match path.split_last() {
            Some((parent, name)) => {
                let parent = if is_own { Place::Own(parent) } else { Place::User(parent) };
                let dir = self.find(tree, &parent)?;
                enterable(tree, dir)?;
                Ok((dir, name.as_bytes().into()))
            }
            None if is_own => Ok((self.root, RESERVED.into())),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Finds a place that is free and may be taken.
    fn free_slot(&self, tree: &Tree, place: &Place) -> io::Result<Slot> {
        let slot = self.slot(tree, place)?;
        if tree.child(slot.0, &slot.1).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        may(tree, slot.0, 0o300)?;
        Ok(slot)
    }

    /// Finds what stands at a place, with its name.
    fn taken_slot(&self, tree: &Tree, place: &Place) -> io::Result<(Slot, Ino)> {
        let slot = self.slot(tree, place)?;
        let ino = tree.child(slot.0, &slot.1).ok_or(io::ErrorKind::NotFound)?;
        may(tree, slot.0, 0o300)?;
        Ok((slot, ino))
    }

    fn handle(&self, ino: Ino) -> Handle {
        Handle { machine: Arc::clone(&self.machine), life: self.life, ino, at: 0 }
    }
}

fn step(tree: &Tree, dir: Ino, name: &[u8]) -> io::Result<Ino> {
    enterable(tree, dir)?;
    tree.child(dir, name).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn enterable(tree: &Tree, dir: Ino) -> io::Result<()> {
    match tree.get(dir).map(|node| &node.body) {
        Some(Body::Dir(_)) => may(tree, dir, 0o100),
        Some(Body::Link(_)) => Err(io::Error::from_raw_os_error(LOOP)),
        Some(Body::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

fn may(tree: &Tree, ino: Ino, bits: u32) -> io::Result<()> {
    match tree.get(ino) {
        Some(node) if node.mode & bits == bits => Ok(()),
        Some(_) => Err(io::ErrorKind::PermissionDenied.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// A directory that gets another parent must itself be writable, because its `..` changes.
fn may_move(tree: &Tree, ino: Ino, from: Ino, to: Ino) -> io::Result<()> {
    let is_dir = tree.get(ino).is_some_and(|node| node.kind() == Kind::Dir);
    if is_dir && from != to { may(tree, ino, 0o200) } else { Ok(()) }
}

fn stat_of(tree: &Tree, ino: Ino) -> io::Result<Stat> {
    let node = tree.get(ino).ok_or(io::ErrorKind::NotFound)?;
    Ok(Stat {
        kind: node.kind(),
        dev: 1,
        ino: node.number,
        size: node.size(),
        mtime: mtime(node.mtime),
        ctime: mtime(node.ctime),
        mode: Mode::new(node.mode),
    })
}

fn is_own(place: &Place) -> bool {
    matches!(place, Place::Own(_))
}

impl Disk for FakeDisk {
    fn stat(&self, place: &Place) -> io::Result<Stat> {
        self.read(|state| stat_of(&state.tree, self.find(&state.tree, place)?))
    }

    fn list(&self, place: &Place) -> io::Result<Vec<Listed>> {
        self.read(|state| {
            let dir = self.find(&state.tree, place)?;
            match state.tree.get(dir).map(|node| &node.body) {
                Some(Body::Dir(_)) => may(&state.tree, dir, 0o400)?,
                Some(Body::Link(_)) => return Err(io::Error::from_raw_os_error(LOOP)),
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            }
            let top = *place == Place::User(RelPath::root());
            let stat = |ino: Ino| {
                let stat = may(&state.tree, dir, 0o100).and_then(|()| stat_of(&state.tree, ino));
                stat.map_err(|error| ErrorKind { kind: error.kind(), text: error.to_string() })
            };
            let entries = state.tree.entries(dir).iter().filter(|(name, _)| !(top && **name == *RESERVED));
            Ok(entries.map(|(name, ino)| Listed { name: (**name).into(), stat: stat(*ino) }).collect())
        })
    }

    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>> {
        self.read(|state| match state.tree.get(self.find(&state.tree, place)?).map(|node| &node.body) {
            Some(Body::Link(target)) => Ok(target.to_vec()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        })
    }

    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>> {
        self.read(|state| {
            let ino = self.find(&state.tree, place)?;
            match state.tree.get(ino).map(|node| &node.body) {
                Some(Body::File(_)) => may(&state.tree, ino, 0o400)?,
                Some(Body::Link(_)) => return Err(io::Error::from_raw_os_error(LOOP)),
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
            Ok(Box::new(self.handle(ino)) as Box<dyn ReadFile>)
        })
    }

    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.change(|state| {
            let slot = self.free_slot(&state.tree, place)?;
            if !state.fits(100) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let (ino, op) = state.make(slot, Body::File(Arc::default()), 0o600);
            state.act(op, is_own(place));
            Ok(Box::new(self.handle(ino)) as Box<dyn WriteFile>)
        })
    }

    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.read(|state| {
            let ino = self.find(&state.tree, place)?;
            state.tree.file(ino).ok_or(io::ErrorKind::InvalidInput)?;
            Ok(Box::new(self.handle(ino)) as Box<dyn WriteFile>)
        })
    }

    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.change(|state| {
            let slot = self.free_slot(&state.tree, place)?;
            if !state.fits(100) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let (_, op) = state.make(slot, Body::Dir(Vec::new()), mode.bits());
            state.act(op, is_own(place));
            Ok(())
        })
    }

    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()> {
        self.change(|state| {
            let slot = self.free_slot(&state.tree, place)?;
            let (_, op) = state.make(slot, Body::Link(target.into()), 0o777);
            state.act(op, is_own(place));
            Ok(())
        })
    }

    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.change(|state| {
            let ino = self.find(&state.tree, place)?;
            state.act(Op::Attr { ino, mode: Some(mode.bits()), mtime: None }, is_own(place));
            Ok(())
        })
    }

    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()> {
        self.change(|state| {
            let ino = self.find(&state.tree, place)?;
            let mtime = Some(state.store_time(mtime));
            state.act(Op::Attr { ino, mode: None, mtime }, is_own(place));
            Ok(())
        })
    }

    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()> {
        self.change(|state| {
            let (source, ino) = self.taken_slot(&state.tree, from)?;
            if state.habits.flaw == Some(Flaw::RenameReplaces)
                && let Ok((at, _)) = self.taken_slot(&state.tree, to)
            {
                state.act(Op::Unlink { at }, true);
            }
            let target = self.free_slot(&state.tree, to)?;
            may_move(&state.tree, ino, source.0, target.0)?;
            state.act(Op::Rename { from: source, to: target }, is_own(from) && is_own(to));
            Ok(())
        })
    }

    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()> {
        self.change(|state| {
            let ((first, x), (second, y)) =
                (self.taken_slot(&state.tree, a)?, self.taken_slot(&state.tree, b)?);
            may_move(&state.tree, x, first.0, second.0)?;
            may_move(&state.tree, y, second.0, first.0)?;
            let lost = first.clone();
            state.act(Op::Exchange { a: first, b: second }, false);
            if state.habits.flaw == Some(Flaw::ExchangeLoses)
                && let Some(ino) = state.tree.child(lost.0, &lost.1)
            {
                state.act(Op::Resize { ino, size: 0 }, true);
            }
            Ok(())
        })
    }

    fn remove_file(&self, place: &Place) -> io::Result<()> {
        self.change(|state| {
            let (at, ino) = self.taken_slot(&state.tree, place)?;
            if state.tree.get(ino).is_some_and(|node| node.kind() == Kind::Dir) {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            state.act(Op::Unlink { at }, is_own(place));
            Ok(())
        })
    }

    fn remove_dir(&self, place: &Place) -> io::Result<()> {
        self.change(|state| {
            let (at, ino) = self.taken_slot(&state.tree, place)?;
            if state.tree.get(ino).is_some_and(|node| node.kind() != Kind::Dir) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if !state.tree.entries(ino).is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.act(Op::Unlink { at }, is_own(place));
            Ok(())
        })
    }

    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()> {
        for place in dirs {
            self.change(|state| {
                let ino = self.find(&state.tree, place)?;
                state.sync_dir(ino);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.change(|state| {
            state.sync_all();
            Ok(())
        })
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        self.read(|state| {
            let total = state.capacity.unwrap_or(1 << 40);
            Ok((total.saturating_sub(state.used()), total))
        })
    }

    fn now(&self) -> Mtime {
        mtime(self.machine.lock().now())
    }

    fn root_by_path(&self) -> io::Result<Stat> {
        self.read(|state| stat_of(&state.tree, state.tree.root.ok_or(io::ErrorKind::NotFound)?))
    }
}

/// An open file.
struct Handle {
    machine: Arc<Machine>,
    life: u32,
    ino: Ino,
    at: usize,
}

impl Handle {
    fn change<T>(&mut self, act: impl FnOnce(&mut State, Ino, &mut usize) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.machine.lock();
        state.call(self.life, true)?;
        act(&mut state, self.ino, &mut self.at)
    }
}

impl ReadFile for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.machine.lock();
        state.call(self.life, false)?;
        let content = state.tree.file(self.ino).ok_or(io::ErrorKind::InvalidInput)?;
        let rest = content.bytes().get(self.at..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        self.at += read;
        Ok(read)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.at = offset as usize;
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let mut state = self.machine.lock();
        state.call(self.life, false)?;
        stat_of(&state.tree, self.ino)
    }
}

impl WriteFile for Handle {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.change(|state, ino, at| {
            if !state.fits(bytes.len() as u64) {
                // Half of it still found room.
                let half = bytes[..bytes.len() / 2].into();
                state.act(Op::Write { ino, offset: *at, bytes: half }, true);
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.act(Op::Write { ino, offset: *at, bytes: bytes.into() }, true);
            *at += bytes.len();
            Ok(())
        })
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.at = offset as usize;
        Ok(())
    }

    fn finish(&mut self, size: u64, mode: Mode, mtime: Mtime) -> io::Result<Stat> {
        self.change(|state, ino, _| {
            if state.tree.file(ino).is_some_and(|content| content.bytes().len() as u64 != size) {
                state.act(Op::Resize { ino, size: size as usize }, true);
            }
            let mtime = Some(state.store_time(mtime));
            state.act(Op::Attr { ino, mode: Some(mode.bits()), mtime }, true);
            stat_of(&state.tree, ino)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change(|state, ino, _| {
            state.sync_file(ino);
            Ok(())
        })
    }
}
