//! Durations and sizes: exact for settings, rounded for people.

use std::time::Duration;

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number and a unit of time.
    #[error("{0:?} is not a duration")]
    Duration(String),
    /// Not a number and a unit of data.
    #[error("{0:?} is not a size")]
    Size(String),
}

/// Longest duration that makes sense anywhere: a hundred years. It keeps sums with times of day from overflowing.
const LONGEST: u64 = 100 * 366 * 24 * 3600 * 1000;

const MILLISECONDS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 3600 * 1000),
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads `10s`, `5m`, `2h`, `30d`, `1w`, `250ms`, or several of them in a row, such as `1h30m`. `0` needs no unit.
///
/// # Errors
/// When it is none of these or longer than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = || UnitError::Duration(text.to_owned());
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, scale) = MILLISECONDS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = number.checked_mul(scale).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if text.trim().is_empty() || total > LONGEST { Err(wrong()) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration so that [`parse_duration`] reads the same again (to the millisecond), in the largest unit that is exact.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    // Weeks are read but not written: 30d is what people say.
    let (name, scale) = MILLISECONDS
        .into_iter()
        .skip(1)
        .find(|(_, scale)| milliseconds.is_multiple_of(*scale))
        .unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds / scale)
}

const SIZES: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
    ("", 1),
];

/// Reads `1024`, `100MB`, `5GiB`, `1.5GB`: decimal units by 1000, binary ones by 1024, in any case.
///
/// # Errors
/// When it is none of these, is no whole number of bytes, or does not fit.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let wrong = || UnitError::Size(text.to_owned());
    let (number, unit) = split_while(text.trim(), |c| c.is_ascii_digit() || c == '.');
    let unit = unit.trim();
    let (_, scale) = SIZES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    // Nine places are a byte of a gigabyte.
    let places =
        u32::try_from(fraction.len()).ok().filter(|places| (1..=9).contains(places)).ok_or_else(wrong)?;
    let fraction: u64 = fraction.parse().map_err(|_| wrong())?;
    let fraction = u128::from(fraction) * u128::from(scale) / 10u128.pow(places);
    let total = u128::from(whole) * u128::from(scale) + fraction;
    u64::try_from(total).map_err(|_| wrong())
}

/// Writes a size so that [`parse_size`] reads the same again, in the largest unit that is exact.
pub fn format_size(bytes: u64) -> String {
    let exact = |(_, scale): &(&str, u64)| bytes > 0 && *scale > 1 && bytes.is_multiple_of(*scale);
    match SIZES.into_iter().filter(exact).max_by_key(|(_, scale)| *scale) {
        Some((name, scale)) => format!("{}{name}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// Writes a size for people: `0 B`, `999 B`, `8.1 GB`.
pub fn human_size(bytes: u64) -> String {
    const NAMES: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scale: u64 = 1000;
    let mut names = NAMES.into_iter();
    let mut name = names.next().unwrap_or("kB");
    for larger in names {
        // From 999.5 on it would round to four digits.
        if bytes / scale < 999 || (bytes / scale == 999 && bytes % scale < scale / 2) {
            break;
        }
        scale *= 1000;
        name = larger;
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
    if tenths < 1000 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", (u128::from(bytes) + u128::from(scale) / 2) / u128::from(scale))
    }
}

/// Writes a number with a comma between thousands: `1,204`.
pub fn human_count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a duration for people, in one unit: `25 s`, `4 min`, `3 h`, `19 d`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        5400..=172_799 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn split_while(text: &str, mut part: impl FnMut(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_written_in_the_largest_exact_unit() {
        for (text, milliseconds, written) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("5m", 300_000, "5m"),
            ("90s", 90_000, "90s"),
            ("60m", 3_600_000, "1h"),
            ("1h30m", 5_400_000, "90m"),
            ("30d", 2_592_000_000, "30d"),
            ("2w", 1_209_600_000, "14d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(format_duration(duration), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", " ", "10", "s", "10 s", "-5s", "1.5h", "5x", "10s!", "999999999999999d", "4000000w"]
        {
            assert_eq!(parse_duration(text), Err(UnitError::Duration(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_in_the_largest_exact_unit() {
        for (text, bytes, written) in [
            ("0", 0, "0"),
            ("1", 1, "1"),
            ("1024", 1024, "1KiB"),
            ("100MB", 100_000_000, "100MB"),
            ("5GiB", 5 << 30, "5GiB"),
            ("1.5GB", 1_500_000_000, "1500MB"),
            ("2 kb", 2000, "2kB"),
            ("7B", 7, "7"),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
            assert_eq!(format_size(bytes), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MB", "-1", "1,5GB", "5XB", "1.", ".5GB", "99999999TB", "1.0000000001GB", "5G"] {
            assert_eq!(parse_size(text), Err(UnitError::Size(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn people_read_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (8_100_000_000, "8.1 GB"),
            (99_949, "99.9 kB"),
            (123_456, "123 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!([0, 999, 1204, 1_000_000].map(human_count), ["0", "999", "1,204", "1,000,000"]);
        assert_eq!(
            [5, 100, 7200, 86_400 * 19].map(|s| human_duration(Duration::from_secs(s))),
            ["5 s", "2 min", "2 h", "19 d"]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0..=LONGEST, bytes: u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text), human_size(text.len() as u64));
        }
    }
}
