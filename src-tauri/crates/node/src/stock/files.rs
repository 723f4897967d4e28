//! Open files on a host, read ahead and written without waiting for each answer.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use evenfold_core::{Mode, Mtime};
use evenfold_fs::disk::{Kind, Place, ReadFile, Stat, WriteFile};
use evenfold_ssh::stock::sftp::{Attributes, FileHandle, Opening, Pending, Sftp, SftpError, status};
use tokio::runtime::Handle;

use super::disk::{SftpDisk, times};
use super::shared::{Shared, kind_of};
use crate::limits::Limits;

/// Reads or writes of one file under way at once: 16 of at most 255 KiB are 4 MiB, which bridge 100 ms at 300 Mbit/s.
const UNDER_WAY: usize = 16;

/// An open file, closed when it is dropped.
struct Ground {
    sftp: Arc<Sftp>,
    runtime: Handle,
    file: Option<FileHandle>,
}

impl Ground {
    fn file(&self) -> io::Result<&FileHandle> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let sftp = Arc::clone(&self.sftp);
            self.runtime.spawn(async move {
                // What was written has been answered before, so closing has nothing to tell.
                if let Ok(closed) = sftp.close(file).await {
                    _ = closed.await;
                }
            });
        }
    }
}

/// A file open for reading.
pub(super) struct Reading {
    ground: Ground,
    disk: Arc<Shared>,
    place: Place,
    /// Its length when it was opened: reading ahead goes no further.
    size: u64,
    at: u64,
    /// Up to where reads are under way.
    asked: u64,
    under_way: VecDeque<(u64, u32, Pending)>,
    /// Read and not yet taken, from the present position on.
    left: Vec<u8>,
    taken: usize,
}

impl Reading {
    pub(super) fn open(disk: &SftpDisk, place: &Place) -> io::Result<Self> {
        let path = disk.path_of(place);
        let (sftp, runtime) = (Arc::clone(&disk.sftp), disk.runtime.clone());
        let mut ground = Ground { sftp, runtime, file: None };
        let opened = async { ground.sftp.open(&path, Opening::Read).await?.await?.handle() };
        ground.file = Some(ground.runtime.block_on(opened)?);
        let mut reading = Reading {
            ground,
            disk: disk.shared(),
            place: place.clone(),
            size: 0,
            at: 0,
            asked: 0,
            under_way: VecDeque::new(),
            left: Vec::new(),
            taken: 0,
        };
        let found = reading.attributes()?;
        if kind_of(&found)? != Kind::File {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        reading.size = found.size.unwrap_or(0);
        Ok(reading)
    }

    fn attributes(&self) -> io::Result<Attributes> {
        let file = self.ground.file()?;
        Ok(self.ground.runtime.block_on(async { self.ground.sftp.fstat(file).await?.await?.attributes() })?)
    }
}

impl ReadFile for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.taken >= self.left.len() {
            self.left.clear();
            self.taken = 0;
            let Reading { ground, disk, under_way, asked, size, left, .. } = self;
            let file = ground.file()?;
            let longest = ground.sftp.longest_read();
            ground.runtime.block_on(async {
                // At the end, one more read finds out whether the file has grown.
                while under_way.is_empty() || (*asked < *size && under_way.len() < UNDER_WAY) {
                    let rest = u32::try_from(size.saturating_sub(*asked)).unwrap_or(longest);
                    let length = if rest == 0 { longest } else { rest.min(longest) };
                    disk.limits.receiving(rest.min(longest) as usize).await;
                    under_way.push_back((*asked, length, ground.sftp.read(file, *asked, length).await?));
                    *asked += u64::from(length);
                }
                let Some((offset, length, pending)) = under_way.pop_front() else { return Ok(()) };
                let answer = pending.await?;
                let data = answer.data()?;
                left.extend_from_slice(data);
                if data.len() < length as usize {
                    // Fewer than asked for: what is under way lies further on.
                    under_way.clear();
                    *asked = offset + data.len() as u64;
                }
                Ok::<_, SftpError>(())
            })?;
        }
        let ready = self.left.get(self.taken..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        self.at += count as u64;
        Ok(count)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        if offset != self.at {
            self.under_way.clear();
            self.left.clear();
            self.taken = 0;
            (self.at, self.asked) = (offset, offset);
        }
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        self.disk.describe(&self.place, &self.attributes()?)
    }
}

/// What was written at one time, to be compared with what is read back.
struct Written {
    offset: u64,
    length: u32,
    digest: blake3::Hash,
}

/// A file of Evenfold's own folder on the host, open for writing. What was written is read back and compared before
/// it is said to be finished.
pub(super) struct Writing {
    ground: Ground,
    disk: Arc<Shared>,
    place: Place,
    at: u64,
    under_way: VecDeque<Pending>,
    written: Vec<Written>,
}

impl Writing {
    /// Wraps an open file whose position is 0.
    pub(super) fn new(disk: &SftpDisk, place: &Place, file: FileHandle) -> Self {
        let (sftp, runtime) = (Arc::clone(&disk.sftp), disk.runtime.clone());
        Writing {
            ground: Ground { sftp, runtime, file: Some(file) },
            disk: disk.shared(),
            place: place.clone(),
            at: 0,
            under_way: VecDeque::new(),
            written: Vec::new(),
        }
    }

    /// Says what an error of writing means: the protocol does not tell whether the disk is full.
    fn failed(&self, error: SftpError) -> io::Error {
        let unclear = matches!(error, SftpError::Status { code: status::FAILURE, .. });
        if unclear && self.disk.is_full() { io::ErrorKind::StorageFull.into() } else { error.into() }
    }

    fn settle(&mut self, leave: usize) -> io::Result<()> {
        let Writing { ground, under_way, .. } = self;
        let settled = ground.runtime.block_on(async {
            while under_way.len() > leave {
                let Some(pending) = under_way.pop_front() else { break };
                pending.await?.done()?;
            }
            Ok::<_, SftpError>(())
        });
        settled.map_err(|error| self.failed(error))
    }

    /// Reads back what was written and compares.
    async fn verify(ground: &Ground, limits: &Limits, written: &[Written]) -> io::Result<()> {
        let file = ground.file()?;
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, "what was read back is not what was sent");
        let mut under_way = VecDeque::new();
        let mut rest = written.iter();
        loop {
            while under_way.len() < UNDER_WAY {
                let Some(part) = rest.next() else { break };
                limits.receiving(part.length as usize).await;
                under_way.push_back((part, ground.sftp.read(file, part.offset, part.length).await?));
            }
            let Some((part, pending)) = under_way.pop_front() else { return Ok(()) };
            let answer = pending.await?;
            let mut data = answer.data()?.to_vec();
            // Fewer bytes than asked for are allowed.
            while data.len() < part.length as usize {
                let (from, length) = (part.offset + data.len() as u64, part.length - data.len() as u32);
                let more = ground.sftp.read(file, from, length).await?.await?;
                let more = more.data()?;
                if more.is_empty() || more.len() > length as usize {
                    return Err(damaged());
                }
                data.extend_from_slice(more);
            }
            if blake3::hash(&data) != part.digest {
                return Err(damaged());
            }
        }
    }
}

impl WriteFile for Writing {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let longest = self.ground.sftp.longest_write().min(self.ground.sftp.longest_read()) as usize;
        for part in bytes.chunks(longest.max(1)) {
            self.settle(UNDER_WAY - 1)?;
            let file = self.ground.file()?;
            let pending = self.ground.runtime.block_on(async {
                self.disk.limits.sending(part.len()).await;
                self.ground.sftp.write(file, self.at, part).await
            })?;
            self.under_way.push_back(pending);
            // A chunk fits into 32 bits, because the longest write does.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.written.push(Written { offset: self.at, length, digest: blake3::hash(part) });
            self.at += part.len() as u64;
        }
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.at = offset;
        Ok(())
    }

    fn finish(&mut self, size: u64, mode: Mode, mtime: Mtime) -> io::Result<Stat> {
        let wanted =
            Attributes { size: Some(size), permissions: Some(mode.bits()), times: Some(times(mtime)) };
        let written = std::mem::take(&mut self.written);
        let Writing { ground, disk, under_way, .. } = &mut *self;
        let finished = ground.runtime.block_on(async {
            let file = ground.file()?;
            // All is sent at once and carried out in this order.
            let set = ground.sftp.set_open(file, &wanted).await?;
            let synced = match ground.sftp.offered().fsync {
                true => Some(ground.sftp.sync(file).await?),
                false => None,
            };
            let found = ground.sftp.fstat(file).await?;
            while let Some(pending) = under_way.pop_front() {
                pending.await?.done()?;
            }
            Self::verify(ground, &disk.limits, &written).await?;
            set.await?.done()?;
            if let Some(synced) = synced {
                synced.await?.done()?;
            }
            Ok::<_, io::Error>(found.await?.attributes()?)
        });
        let found = finished.map_err(|error| {
            let full = error.kind() == io::ErrorKind::Other && self.disk.is_full();
            if full { io::ErrorKind::StorageFull.into() } else { error }
        })?;
        let secs = found.times.map_or(0, |(_, modified)| i64::from(modified));
        if kind_of(&found)? == Kind::File && secs == mtime.secs {
            self.disk.wrote(&self.place, found.size.unwrap_or(0), mtime);
        }
        self.disk.describe(&self.place, &found)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.settle(0)?;
        if !self.ground.sftp.offered().fsync {
            return Ok(());
        }
        let file = self.ground.file()?;
        let synced = self.ground.runtime.block_on(async { self.ground.sftp.sync(file).await?.await?.done() });
        synced.map_err(|error| self.failed(error))
    }
}
