//! Validation and conversion between the wire's types and those of `evenfold-core`.

use evenfold_core::apply::Refusal;
use evenfold_core::snapshot::Problem;
use evenfold_core::transfer::{Chunk, Item, SupplyFailure};
use evenfold_core::{Entry, File, Mode, Mtime, ProblemKind, RelPath, Symlink};

use crate::error::{WireError, cut};
use crate::message::{Blob, Hash, Message, WireFailure, WireFile, WireRefusal};

/// The longest target of a symbolic link, in bytes: Windows allows 32 Ki characters, everyone else less.
const MAX_TARGET: usize = 64 * 1024;
/// The longest text of an operating system that is carried, in bytes.
const MAX_WORDS: usize = 4096;
/// Bytes of a chunk on the wire.
const CHUNK: usize = 10;

pub(crate) fn path(bytes: Blob<'_>) -> Result<RelPath, WireError> {
    Ok(RelPath::new(bytes.0)?)
}

pub(crate) fn mode(bits: u16) -> Result<Mode, WireError> {
    if bits > 0o777 { Err(WireError::Malformed("permission bits")) } else { Ok(Mode::new(u32::from(bits))) }
}

pub(crate) fn mode_bits(mode: Mode) -> u16 {
    // Mode keeps 9 bits only, so nothing is cut.
    (mode.bits() & 0o777) as u16
}

pub(crate) fn file(wire: WireFile) -> Result<Entry, WireError> {
    if wire.nanos >= 1_000_000_000 {
        return Err(WireError::Malformed("nanoseconds"));
    }
    Ok(Entry::File(File {
        digest: wire.digest.0,
        size: wire.size,
        mtime: Mtime { secs: wire.secs, nanos: wire.nanos },
        mode: mode(wire.mode)?,
    }))
}

pub(crate) fn wire_file(file: &File) -> WireFile {
    WireFile {
        digest: Hash(file.digest),
        size: file.size,
        secs: file.mtime.secs,
        nanos: file.mtime.nanos,
        mode: mode_bits(file.mode),
    }
}

pub(crate) fn symlink(target: Blob<'_>) -> Result<Entry, WireError> {
    if target.0.len() > MAX_TARGET {
        return Err(WireError::Malformed("target of a link"));
    }
    Ok(Entry::Symlink(Symlink { target: target.0.into() }))
}

pub(crate) fn problem_kind(code: u8) -> Result<ProblemKind, WireError> {
    ProblemKind::from_code(code).ok_or(WireError::Malformed("kind of a problem"))
}

pub(crate) fn problem(at: Blob<'_>, kind: u8, detail: &str) -> Result<Problem, WireError> {
    Ok(Problem { path: path(at)?, kind: problem_kind(kind)?, detail: cut(detail, MAX_WORDS).to_owned() })
}

pub(crate) fn wire_problem(problem: &Problem) -> Message<'_> {
    Message::Problem {
        path: Blob(problem.path.as_bytes()),
        kind: problem.kind.code(),
        detail: cut(&problem.detail, MAX_WORDS),
    }
}

pub(crate) fn item(digest: Hash, size: u64, at: Blob<'_>) -> Result<Item, WireError> {
    Ok(Item { digest: digest.0, size, path: path(at)? })
}

pub(crate) fn wire_item(item: &Item) -> Message<'_> {
    Message::Item { digest: Hash(item.digest), size: item.size, path: Blob(item.path.as_bytes()) }
}

pub(crate) fn failure(wire: WireFailure<'_>) -> SupplyFailure {
    match wire {
        WireFailure::Changed => SupplyFailure::Changed,
        WireFailure::Unreadable(words) => SupplyFailure::Unreadable(cut(words, MAX_WORDS).to_owned()),
    }
}

pub(crate) fn wire_failure(failure: &SupplyFailure) -> WireFailure<'_> {
    match failure {
        SupplyFailure::Changed => WireFailure::Changed,
        SupplyFailure::Unreadable(words) => WireFailure::Unreadable(cut(words, MAX_WORDS)),
    }
}

pub(crate) fn refusal(wire: WireRefusal<'_>) -> Refusal {
    match wire {
        WireRefusal::MovedOn => Refusal::MovedOn,
        WireRefusal::NotSupplied(reason) => Refusal::NotSupplied(failure(reason)),
        WireRefusal::Damaged => Refusal::Damaged,
        WireRefusal::NoSpace => Refusal::NoSpace,
        WireRefusal::NameClash(name) => Refusal::NameClash(cut(name, MAX_WORDS).to_owned()),
        WireRefusal::NameNotPossible => Refusal::NameNotPossible,
        WireRefusal::HoldsUntracked => Refusal::HoldsUntracked,
        WireRefusal::WaitsForMove => Refusal::WaitsForMove,
        WireRefusal::WaitsForOthers => Refusal::WaitsForOthers,
        WireRefusal::Io(words) => Refusal::Io(cut(words, MAX_WORDS).to_owned()),
    }
}

pub(crate) fn wire_refusal(refusal: &Refusal) -> WireRefusal<'_> {
    match refusal {
        Refusal::MovedOn => WireRefusal::MovedOn,
        Refusal::NotSupplied(reason) => WireRefusal::NotSupplied(wire_failure(reason)),
        Refusal::Damaged => WireRefusal::Damaged,
        Refusal::NoSpace => WireRefusal::NoSpace,
        Refusal::NameClash(name) => WireRefusal::NameClash(cut(name, MAX_WORDS)),
        Refusal::NameNotPossible => WireRefusal::NameNotPossible,
        Refusal::HoldsUntracked => WireRefusal::HoldsUntracked,
        Refusal::WaitsForMove => WireRefusal::WaitsForMove,
        Refusal::WaitsForOthers => WireRefusal::WaitsForOthers,
        Refusal::Io(words) => WireRefusal::Io(cut(words, MAX_WORDS)),
    }
}

/// Appends the chunks of one message to a manifest.
pub(crate) fn chunks(bytes: Blob<'_>, into: &mut Vec<Chunk>) -> Result<(), WireError> {
    let (packed, rest) = bytes.0.as_chunks::<CHUNK>();
    if !rest.is_empty() {
        return Err(WireError::Malformed("chunks"));
    }
    for [a, b, c, d, e, f, len @ ..] in packed {
        crate::message::room(into)?;
        let len = u32::from_le_bytes(*len);
        if len == 0 {
            return Err(WireError::Malformed("an empty chunk"));
        }
        into.push(Chunk { hash: [*a, *b, *c, *d, *e, *f], len });
    }
    Ok(())
}

/// Packs chunks for one message.
pub(crate) fn wire_chunks(chunks: &[Chunk]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(chunks.len() * CHUNK);
    for chunk in chunks {
        bytes.extend_from_slice(&chunk.hash);
        bytes.extend_from_slice(&chunk.len.to_le_bytes());
    }
    bytes
}
