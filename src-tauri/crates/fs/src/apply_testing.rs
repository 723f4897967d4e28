//! What the tests of content and change share: a folder, batches made from what it shall hold, and a disk that
//! crashes or lets a user in at a chosen call.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use evenfold_core::apply::{Batch, Outcome, Refusal};
use evenfold_core::plan::Change;
use evenfold_core::transfer::{Item, MAX_PART, Piece, WHOLE_LIMIT};
use evenfold_core::{Child, Digest, Dir, Entry, File, Mode, Mtime, Name, RelPath, Symlink};

use crate::apply::{Applied, ApplyError, Rules, Site, apply};
use crate::disk::{Disk, Kind, Listed, Place, ReadFile, Stat, WriteFile};
use crate::index::{DirKeys, Index, Keys, Patch, StatKey};
use crate::platform::RealDisk;
use crate::prepare::Prepared;

pub(crate) const RELATIONSHIP: u128 = 7;
pub(crate) const OLD_TIME: Mtime = Mtime { secs: 1_600_000_000, nanos: 123_456_789 };

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn file_with(content: &[u8], mode: u32, secs: i64) -> Entry {
    Entry::File(File {
        digest: Digest::of(content),
        size: content.len() as u64,
        mtime: Mtime { secs, nanos: 5 },
        mode: Mode::new(mode),
    })
}

pub(crate) fn link(target: &str) -> Entry {
    Entry::Symlink(Symlink { target: target.as_bytes().into() })
}

pub(crate) fn dir(children: &[(&str, Entry)]) -> Entry {
    dir_with(0o755, children)
}

pub(crate) fn dir_with(mode: u32, children: &[(&str, Entry)]) -> Entry {
    let child = |(name, entry): &(&str, Entry)| Child {
        name: Name::new(name.as_bytes()).unwrap(),
        entry: entry.clone(),
    };
    Entry::dir(Mode::new(mode), children.iter().map(child).collect())
}

pub(crate) fn refusal(outcome: &Outcome) -> &Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Applied { .. } => panic!("applied: {outcome:?}"),
    }
}

pub(crate) fn assert_applied(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Applied { short, .. } if short.is_empty()), "{outcome:?}");
    }
}

/// Bytes that do not compress or repeat, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; len];
    reader.fill(&mut bytes);
    bytes
}

/// A folder on a real disk, its index, and a supplier that knows every content that was named.
pub(crate) struct Rig<D = RealDisk> {
    pub(crate) folder: PathBuf,
    _temporary: Arc<tempfile::TempDir>,
    pub(crate) disk: D,
    pub(crate) index: Mutex<Index>,
    pub(crate) prepared: Prepared,
    pub(crate) contents: HashMap<Digest, Vec<u8>>,
    pub(crate) excluded: Vec<&'static str>,
    pub(crate) rules: Rules,
    pub(crate) epoch: AtomicU64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Rig::on(|disk| disk)
    }
}

impl<D: Disk> Rig<D> {
    pub(crate) fn on(wrap: impl FnOnce(RealDisk) -> D) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir(temporary.path().join(".evenfold")).unwrap();
        let folder = temporary.path().to_owned();
        let disk = wrap(RealDisk::open(&folder).unwrap());
        Rig {
            folder,
            _temporary: Arc::new(temporary),
            disk,
            index: Mutex::new(Index::empty()),
            prepared: Prepared::default(),
            contents: HashMap::new(),
            excluded: Vec::new(),
            rules: Rules::default(),
            epoch: AtomicU64::new(1),
        }
    }

    /// The same folder on another disk, as if the program had been started again.
    pub(crate) fn reopened<E: Disk>(&self, wrap: impl FnOnce(RealDisk) -> E) -> Rig<E> {
        Rig {
            folder: self.folder.clone(),
            _temporary: self._temporary.clone(),
            disk: wrap(RealDisk::open(&self.folder).unwrap()),
            index: Mutex::new(Index::empty()),
            prepared: Prepared::default(),
            contents: self.contents.clone(),
            excluded: self.excluded.clone(),
            rules: self.rules,
            epoch: AtomicU64::new(1),
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let at = self.at(name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(&at, content).unwrap();
    }

    /// Writes a file whose times are long past, so that its key is sure.
    pub(crate) fn write_old(&self, name: &str, content: &[u8]) {
        self.write(name, content);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(OLD_TIME.secs as u64);
        std::fs::File::options().write(true).open(self.at(name)).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.at(name).symlink_metadata().is_ok()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        self.at(name).metadata().unwrap().permissions().mode() & 0o777
    }

    pub(crate) fn ino(&self, name: &str) -> u64 {
        self.at(name).symlink_metadata().unwrap().ino()
    }

    /// Names a content that the supplier holds, and returns its entry.
    pub(crate) fn file(&mut self, content: &[u8]) -> Entry {
        self.contents.insert(Digest::of(content), content.to_vec());
        file_with(content, 0o644, 1_700_000_000)
    }

    pub(crate) fn takes_part(&self, path: &RelPath) -> bool {
        !path.components().any(|name| self.excluded.iter().any(|excluded| excluded.as_bytes() == name))
    }

    /// Looks at the whole folder.
    pub(crate) fn scan(&self) {
        let (entry, keys) = self.scan_dir(&RelPath::root(), 0o755);
        let mut index = Index::empty();
        let refused = index.patch(vec![Patch { path: RelPath::root(), now: Some((entry, keys)) }]);
        assert!(refused.is_empty());
        *self.index.lock().unwrap() = index;
    }

    fn scan_dir(&self, at: &RelPath, mode: u32) -> (Entry, Keys) {
        let mut found = Vec::new();
        for listed in self.disk.list(&Place::User(at.clone())).unwrap() {
            let name = Name::new(&listed.name).unwrap();
            let below = at.join(&name);
            if !self.takes_part(&below) {
                continue;
            }
            let stat = listed.stat.unwrap();
            let place = Place::User(below.clone());
            let (entry, keys) = match stat.kind {
                Kind::Dir => {
                    let (entry, keys) = self.scan_dir(&below, stat.mode.bits());
                    let Keys::Dir(_, keys) = keys else { unreachable!() };
                    (entry, Keys::Dir(StatKey::of(&stat), keys))
                }
                Kind::File => {
                    let digest = Digest::of(&std::fs::read(self.folder.join(os(&below))).unwrap());
                    let file = File { digest, size: stat.size, mtime: stat.mtime, mode: stat.mode };
                    (Entry::File(file), Keys::Leaf(StatKey::of(&stat)))
                }
                Kind::Symlink => {
                    let target = self.disk.read_link(&place).unwrap();
                    (Entry::Symlink(Symlink { target: target.into() }), Keys::Leaf(StatKey::of(&stat)))
                }
                Kind::Special => {
                    (Entry::Unknown(evenfold_core::ProblemKind::Special), Keys::Leaf(StatKey::UNSURE))
                }
            };
            found.push((name, entry, keys));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let (children, keys) =
            found.into_iter().map(|(name, entry, keys)| (Child { name, entry }, keys)).unzip();
        let dir = Dir::new(Mode::new(mode), children);
        (Entry::Dir(Arc::new(dir)), Keys::Dir(StatKey::UNSURE, DirKeys::new(keys).into()))
    }

    /// What the index says of a path.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        self.index.lock().unwrap().look_up(&path(name)).map(|(entry, _)| entry)
    }

    /// A change of what the index holds to `new`.
    pub(crate) fn change(&self, name: &str, new: Option<Entry>) -> Change {
        Change { path: path(name), old: self.entry(name), new }
    }

    /// A batch of changes, with an item for each content that they bring.
    pub(crate) fn batch(&self, changes: Vec<Change>) -> Batch {
        let mut batch = Batch { id: rand::random(), ..Batch::default() };
        for change in &changes {
            if crate::stage::needs_content(&batch, change)
                && let Some(new) = &change.new
            {
                add_items(new, &change.path, &mut batch.items);
            }
        }
        batch.changes = changes;
        batch
    }

    /// All pieces of the batch's items, as a supplier sends them.
    pub(crate) fn pieces(&self, batch: &Batch) -> Vec<Piece> {
        (0u32..)
            .zip(&batch.items)
            .flat_map(|(item, of)| pieces_of(item, &self.contents[&of.digest]))
            .collect()
    }

    pub(crate) fn apply_pieces(&self, batch: &Batch, pieces: Vec<Piece>) -> Result<Applied, ApplyError> {
        self.apply_iter(batch, &mut pieces.into_iter())
    }

    pub(crate) fn apply_iter(
        &self,
        batch: &Batch,
        pieces: &mut dyn Iterator<Item = Piece>,
    ) -> Result<Applied, ApplyError> {
        let takes_part = |path: &RelPath, _: bool| self.takes_part(path);
        let bump = || Ok(self.epoch.fetch_add(1, Ordering::Relaxed) + 1);
        let site = Site {
            disk: &self.disk,
            relationship: RELATIONSHIP,
            index: &self.index,
            takes_part: &takes_part,
            bump_epoch: &bump,
            epoch: self.epoch.load(Ordering::Relaxed),
            prepared: &self.prepared,
            rules: self.rules,
        };
        apply(&site, batch, pieces, &())
    }

    pub(crate) fn apply_batch(&self, batch: &Batch) -> Applied {
        self.apply_pieces(batch, self.pieces(batch)).unwrap()
    }

    /// Applies changes and returns the outcomes.
    pub(crate) fn apply(&self, changes: Vec<Change>) -> Vec<Outcome> {
        self.apply_batch(&self.batch(changes)).report.outcomes
    }

    /// Every file below versions, by its bytes.
    pub(crate) fn versions(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.at(".evenfold/versions"))
    }

    /// Every file that users see.
    pub(crate) fn live(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = files_below(&self.folder);
        files.retain(|(path, _)| !path.starts_with(".evenfold"));
        files
    }

    /// Asserts that the index says exactly what a new scan would say.
    pub(crate) fn assert_index_is_true(&self) {
        let said = self.index.lock().unwrap().tree();
        self.scan();
        assert_eq!(said.children(), self.index.lock().unwrap().tree().children());
    }

    pub(crate) fn assert_staging_is_empty(&self) {
        assert_eq!(files_below(&self.at(".evenfold/staging")), []);
    }
}

pub(crate) fn os(path: &RelPath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())).to_owned()
}

pub(crate) fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(at: &Path, top: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in std::fs::read_dir(at).into_iter().flatten() {
            let at = entry.unwrap().path();
            let meta = at.symlink_metadata().unwrap();
            let name = at.strip_prefix(top).unwrap().to_owned();
            if meta.is_dir() {
                walk(&at, top, files);
            } else if meta.is_symlink() {
                files.push((name, std::fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes()));
            } else if meta.is_file() {
                files.push((name, std::fs::read(&at).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(folder, folder, &mut files);
    files.sort();
    files
}

fn add_items(entry: &Entry, at: &RelPath, items: &mut Vec<Item>) {
    match entry {
        Entry::File(file) if file.size > 0 && items.iter().all(|item| item.digest != file.digest) => {
            items.push(Item { digest: file.digest, size: file.size, path: at.clone() });
        }
        Entry::Dir(dir) => dir.children().iter().for_each(|c| add_items(&c.entry, &at.join(&c.name), items)),
        _ => {}
    }
}

pub(crate) fn pieces_of(item: u32, content: &[u8]) -> Vec<Piece> {
    if content.len() as u64 <= WHOLE_LIMIT {
        return vec![Piece::Whole { item, bytes: content.to_vec() }];
    }
    let parts = content.chunks(MAX_PART).enumerate();
    let parts =
        parts.map(|(n, part)| Piece::Part { item, offset: (n * MAX_PART) as u64, bytes: part.to_vec() });
    parts.chain([Piece::End { item }]).collect()
}

/// What a user does at a chosen moment.
pub(crate) type Hook = Box<dyn FnMut(&str) + Send>;

/// A real disk that fails for good after a number of changing calls, and tells a hook of each call before it.
pub(crate) struct FaultyDisk {
    inner: RealDisk,
    control: Arc<Control>,
}

#[derive(Default)]
pub(crate) struct Control {
    left: AtomicI64,
    crashes: AtomicBool,
    hook: Mutex<Option<Hook>>,
    /// Space that the disk claims to have free.
    pub(crate) free: AtomicU64,
    /// Whether the file system cannot exchange.
    pub(crate) no_exchange: AtomicBool,
    /// Whether directories without write permission refuse, as they do to everybody but root.
    pub(crate) strict: AtomicBool,
    /// Whether writing says that there is no space.
    pub(crate) full: AtomicBool,
}

impl Control {
    fn call(&self, name: &str) -> io::Result<()> {
        if self.crashes.load(Ordering::SeqCst) && self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("crashed"));
        }
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(name);
            self.hook.lock().unwrap().get_or_insert(hook);
        }
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        let crashed = self.crashes.load(Ordering::SeqCst) && self.left.load(Ordering::SeqCst) < 0;
        if crashed { Err(io::Error::other("crashed")) } else { Ok(()) }
    }

    /// Fails from now on.
    pub(crate) fn crash_now(&self) {
        self.left.store(-1, Ordering::SeqCst);
        self.crashes.store(true, Ordering::SeqCst);
    }

    pub(crate) fn crashed(&self) -> bool {
        self.alive().is_err()
    }
}

impl FaultyDisk {
    pub(crate) fn wrap(inner: RealDisk) -> Self {
        let control = Control { free: AtomicU64::new(u64::MAX), ..Control::default() };
        FaultyDisk { inner, control: Arc::new(control) }
    }

    pub(crate) fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    fn permits(&self, places: &[&Place]) -> io::Result<()> {
        if !self.control.strict.load(Ordering::SeqCst) {
            return Ok(());
        }
        let parents = places.iter().filter_map(|place| match place {
            Place::User(path) => path.parent().map(Place::User),
            Place::Own(path) => path.parent().map(Place::Own),
        });
        let moved = places.iter().map(|place| (*place).clone());
        for place in parents.chain(moved) {
            let stat = self.inner.stat(&place);
            if stat.is_ok_and(|stat| stat.kind == Kind::Dir && stat.mode.bits() & 0o200 == 0) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        Ok(())
    }

    pub(crate) fn crash_after(&self, calls: i64) {
        self.control.left.store(calls, Ordering::SeqCst);
        self.control.crashes.store(true, Ordering::SeqCst);
    }

    /// Calls `act` before each changing call, with the call's name.
    pub(crate) fn hook(&self, act: impl FnMut(&str) + Send + 'static) {
        *self.control.hook.lock().unwrap() = Some(Box::new(act));
    }

    /// Calls `act` once, before the first call of this name.
    pub(crate) fn once(&self, call: &'static str, act: impl FnOnce() + Send + 'static) {
        let mut act = Some(act);
        self.hook(move |name| {
            if name == call
                && let Some(act) = act.take()
            {
                act();
            }
        });
    }
}

struct FaultyWriter(Box<dyn WriteFile>, Arc<Control>);

impl WriteFile for FaultyWriter {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.1.call("write").is_err() {
            // A crash in the middle of a write leaves a part of it.
            self.0.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::Error::other("crashed"));
        }
        self.0.write_all(bytes)
    }
    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.0.seek(offset)
    }
    fn finish(&mut self, size: u64, mode: Mode, mtime: Mtime) -> io::Result<Stat> {
        self.1.call("finish")?;
        self.0.finish(size, mode, mtime)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.call("sync")?;
        self.0.sync()
    }
}

impl Disk for FaultyDisk {
    fn stat(&self, place: &Place) -> io::Result<Stat> {
        self.control.alive()?;
        self.inner.stat(place)
    }
    fn list(&self, place: &Place) -> io::Result<Vec<Listed>> {
        self.control.alive()?;
        self.inner.list(place)
    }
    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>> {
        self.control.alive()?;
        self.inner.read_link(place)
    }
    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>> {
        self.control.alive()?;
        self.inner.open(place)
    }
    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.control.call("create")?;
        Ok(Box::new(FaultyWriter(self.inner.create(place)?, self.control())))
    }
    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.control.call("reopen")?;
        Ok(Box::new(FaultyWriter(self.inner.reopen(place)?, self.control())))
    }
    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.control.call("make_dir")?;
        self.inner.make_dir(place, mode)
    }
    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()> {
        self.control.call("make_link")?;
        self.inner.make_link(place, target)
    }
    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.control.call("set_mode")?;
        self.inner.set_mode(place, mode)
    }
    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()> {
        self.control.call("set_mtime")?;
        self.inner.set_mtime(place, mtime)
    }
    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()> {
        self.control.call(match (from, to) {
            (Place::User(_), Place::User(_)) => "move",
            (Place::User(_), Place::Own(_)) => "shelve",
            (Place::Own(_), Place::User(_)) => "publish",
            (Place::Own(_), Place::Own(_)) => "rename_own",
        })?;
        self.permits(&[from, to])?;
        self.inner.rename_new(from, to)
    }
    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()> {
        if self.control.no_exchange.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.control.call("exchange")?;
        self.permits(&[a, b])?;
        self.inner.exchange(a, b)
    }
    fn remove_file(&self, place: &Place) -> io::Result<()> {
        self.control.call("remove_file")?;
        self.inner.remove_file(place)
    }
    fn remove_dir(&self, place: &Place) -> io::Result<()> {
        self.control.call("remove_dir")?;
        self.inner.remove_dir(place)
    }
    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()> {
        self.control.call("sync_dirs")?;
        self.inner.sync_dirs(dirs)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.control.call("sync_all")?;
        Ok(())
    }
    fn space(&self) -> io::Result<(u64, u64)> {
        let free = self.control.free.load(Ordering::SeqCst);
        Ok((free, u64::MAX))
    }
    fn now(&self) -> Mtime {
        self.inner.now()
    }
}
