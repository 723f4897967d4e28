//! Moments as text: RFC 3339 between programs, also "so long ago" from people.

use jiff::Timestamp;

use super::units::parse_duration;

/// Returns the present moment as the system's clock has it.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Writes a moment as RFC 3339 in UTC, to the second.
pub fn format_time(time: Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&time)
}

/// Reads a moment: RFC 3339, a date, a date and a time without zone (local), or a duration back from `now`, such as `2h`.
///
/// Returns `None` if it is none of these.
pub fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(ago) = parse_duration(text) {
        return now.checked_sub(ago).ok();
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::system()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_all_usual_forms() {
        let now: Timestamp = "2026-11-21T14:02:07Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20T10:00:00Z", Some("2026-11-20T10:00:00Z")),
            ("2026-11-20T10:00:00+02:00", Some("2026-11-20T08:00:00Z")),
            ("2h", Some("2026-11-21T12:02:07Z")),
            ("1d", Some("2026-11-20T14:02:07Z")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text, now), expected.map(|time| time.parse().unwrap()), "{text}");
        }
        assert!(parse_time("2026-11-20", now).is_some());
        assert!(parse_time("2026-11-20 10:00", now).is_some());
    }

    #[test]
    fn a_moment_is_written_to_the_second() {
        let time: Timestamp = "2026-11-21T14:02:07.987Z".parse().unwrap();
        assert_eq!(format_time(time), "2026-11-21T14:02:07Z");
    }
}
