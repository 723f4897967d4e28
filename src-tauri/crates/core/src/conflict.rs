//! Names of conflict copies.
//!
//! A conflict copy is named `STEM.conflict-YYYYMMDDTHHMMSSZ-MACHINE.EXT`: ASCII apart from the stem, sortable,
//! extension kept, no colon. The time is the version's own modification time and the machine is the one that
//! wrote that version, so every node that meets the same conflict derives the same name.

use crate::digest::Digest;
use crate::entry::Mtime;
use crate::path::{MAX_NAME, Name};

const MARK: &[u8] = b".conflict-";
const STAMP: usize = 16;

/// What the name of a conflict copy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictName {
    /// The name that both versions had.
    pub original: Name,
    /// Modification time of this version, `YYYYMMDDTHHMMSSZ`.
    pub stamp: String,
    /// The machine that wrote this version.
    pub machine: String,
}

/// Returns the name for a conflict copy. `digest` is set where the plain name is taken by another content;
/// then its first 8 hexadecimal characters are appended to the machine.
///
/// The stem is shortened (at a UTF-8 border where it is UTF-8) so that the name stays within 255 bytes.
pub fn conflict_name(original: &Name, mtime: Mtime, machine: &str, digest: Option<Digest>) -> Name {
    let (stem, extension) = split_extension(original.as_bytes());
    let mut middle = MARK.to_vec();
    middle.extend_from_slice(stamp(mtime).as_bytes());
    middle.push(b'-');
    middle.extend_from_slice(machine_label(machine).as_bytes());
    if let Some(digest) = digest {
        middle.push(b'-');
        middle.extend_from_slice(digest.short(8).as_bytes());
    }
    let room = MAX_NAME.saturating_sub(middle.len() + extension.len());
    let stem = shorten(stem, room);
    let bytes = [stem, &middle, extension].concat();
    // All parts are bounded: extension ≤ 32, middle ≤ 10 + 16 + 1 + 64 + 9, so the name is valid by
    // construction; falling back to the original keeps this function total.
    Name::new(&bytes).unwrap_or_else(|_| original.clone())
}

/// Tells whether `name` is that of a conflict copy. Called for every file of every scan: a plain search.
pub fn is_conflict_name(name: &[u8]) -> bool {
    name.len() > MARK.len() + STAMP && parse(name).is_some()
}

/// Takes the name of a conflict copy apart.
pub fn parse_conflict_name(name: &Name) -> Option<ConflictName> {
    let (stem, stamp, machine, extension) = parse(name.as_bytes())?;
    let original = Name::new(&[stem, extension].concat()).ok()?;
    Some(ConflictName {
        original,
        stamp: String::from_utf8_lossy(stamp).into_owned(),
        machine: String::from_utf8_lossy(machine).into_owned(),
    })
}

type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

fn parse(name: &[u8]) -> Option<Parts<'_>> {
    let at = name.windows(MARK.len()).rposition(|window| window == MARK)?;
    let (stem, rest) = name.split_at(at);
    let rest = rest.get(MARK.len()..)?;
    let stamp = rest.get(..STAMP)?;
    let well_formed = stamp.iter().enumerate().all(|(i, b)| match i {
        8 => *b == b'T',
        15 => *b == b'Z',
        _ => b.is_ascii_digit(),
    });
    let tail = rest.get(STAMP..)?.strip_prefix(b"-")?;
    let machine_len = tail.iter().position(|b| *b == b'.').unwrap_or(tail.len());
    let (machine, extension) = tail.split_at(machine_len);
    (well_formed && !machine.is_empty() && !(stem.is_empty() && extension.is_empty()))
        .then_some((stem, stamp, machine, extension))
}

/// Splits at the last dot, unless that would leave no stem or an extension that is none: over 32 bytes, or what
/// makes a name without extension that of a conflict copy.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|b| *b == b'.') {
        Some(at) if at > 0 && name.len() - at <= 32 && !name[at..].starts_with(MARK) => name.split_at(at),
        _ => (name, b""),
    }
}

/// Keeps letters, digits and `_` of a machine's name; everything else, dots above all, becomes `-`.
fn machine_label(machine: &str) -> String {
    let label: String = machine
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    if label.is_empty() { "unnamed".to_owned() } else { label }
}

fn shorten(stem: &[u8], room: usize) -> &[u8] {
    if stem.len() <= room {
        return stem;
    }
    let mut end = room;
    while end > 0 && stem.get(end).is_some_and(|b| b & 0xC0 == 0x80) {
        end -= 1;
    }
    stem.get(..end).unwrap_or_default()
}

/// Formats a time as `YYYYMMDDTHHMMSSZ`. Years outside 0 to 9999 are clamped, which keeps the width.
pub fn stamp(mtime: Mtime) -> String {
    let secs = mtime.secs.clamp(-62_167_219_200, 253_402_300_799);
    let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Days since 1970-01-01 to year, month, day: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn at(secs: i64) -> Mtime {
        Mtime { secs, nanos: 0 }
    }

    #[test]
    fn names_keep_stem_and_extension() {
        for (original, machine, expected) in [
            ("report.txt", "laptop", "report.conflict-20261121T140207Z-laptop.txt"),
            ("Makefile", "nas", "Makefile.conflict-20261121T140207Z-nas"),
            (".bashrc", "nas", ".bashrc.conflict-20261121T140207Z-nas"),
            ("a.tar.gz", "My Mac.local", "a.tar.conflict-20261121T140207Z-My-Mac-local.gz"),
        ] {
            let made = conflict_name(&name(original), at(1_795_269_727), machine, None);
            assert_eq!(made.to_string(), expected);
            let parsed = parse_conflict_name(&made).unwrap();
            assert_eq!(parsed.original, name(original));
            assert!(is_conflict_name(made.as_bytes()));
        }
    }

    #[test]
    fn copy_of_a_copy_without_extension_names_the_copy() {
        let copy = name("a.conflict-20261121T140207Z-nas");
        let made = conflict_name(&copy, at(1_795_269_727), "hub", None);
        assert_eq!(made.to_string(), "a.conflict-20261121T140207Z-nas.conflict-20261121T140207Z-hub");
        assert_eq!(parse_conflict_name(&made).unwrap().original, copy);
    }

    #[test]
    fn ordinary_names_are_not_taken_for_conflicts() {
        for ordinary in
            ["a.conflict-", "a.conflict-20261121T140207Z", "x.conflict-2026-laptop.txt", "conflict.txt"]
        {
            assert!(!is_conflict_name(ordinary.as_bytes()), "{ordinary}");
        }
    }

    #[test]
    fn longest_names_are_shortened_at_a_character() {
        let long = "é".repeat(125) + ".txt";
        let made = conflict_name(&name(&long), at(0), "laptop", Some(Digest::of(b"x")));
        assert!(made.as_bytes().len() <= MAX_NAME);
        assert!(std::str::from_utf8(made.as_bytes()).is_ok());
    }

    #[test]
    fn stamps_of_known_days() {
        for (secs, expected) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (-1, "19691231T235959Z"),
            (i64::MAX, "99991231T235959Z"),
            (i64::MIN, "00000101T000000Z"),
        ] {
            assert_eq!(stamp(at(secs)), expected);
        }
    }
}
