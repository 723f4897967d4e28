//! How fast data may travel, and when.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use jiff::civil::{DateTime, Time, Weekday};

use crate::text::{format_size, parse_size};

/// Bytes per second; as fast as it goes if `None`.
pub type Rate = Option<NonZeroU64>;

/// A rate, and other rates for certain hours. Of several hours that fit, the first counts.
///
/// Written as `20MB/s`, `off`, or `off, mon-fri 08:00-18:00 2MB/s, 22:00-06:00 50MB/s`. Times are local. Hours that reach
/// past midnight belong to the day on which they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    usual: Rate,
    // At most `MOST_HOURS`: a week has no more parts that anybody would tell apart.
    hours: Vec<Hours>,
}

/// Most entries that a timetable may have.
const MOST_HOURS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hours {
    days: Days,
    from: Time,
    until: Time,
    rate: Rate,
}

/// A range of weekdays, both ends included; it may run over the weekend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    first: Weekday,
    last: Weekday,
}

impl Days {
    const ALL: Days = Days { first: Weekday::Monday, last: Weekday::Sunday };

    /// Tells whether `day` is one of them.
    pub fn contain(self, day: Weekday) -> bool {
        self.first.until(day) <= self.first.until(self.last)
    }
}

impl Timetable {
    /// Returns a timetable with one rate at all times.
    pub fn always(rate: Rate) -> Self {
        Timetable { usual: rate, hours: Vec::new() }
    }

    /// Returns the rate at a local time.
    pub fn at(&self, local: DateTime) -> Rate {
        self.hours.iter().find(|hours| hours.hold(local)).map_or(self.usual, |hours| hours.rate)
    }
}

impl Hours {
    fn hold(&self, local: DateTime) -> bool {
        let (day, time) = (local.weekday(), local.time());
        if self.from < self.until {
            self.days.contain(day) && self.from <= time && time < self.until
        } else {
            let began_today = self.from <= time && self.days.contain(day);
            let began_yesterday = time < self.until && self.days.contain(day.previous());
            began_today || began_yesterday
        }
    }
}

/// A text is no timetable; the key's own error says what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate, and no timetable of rates")]
pub struct TimetableError;

impl FromStr for Timetable {
    type Err = TimetableError;

    fn from_str(text: &str) -> Result<Self, TimetableError> {
        let mut parts = text.split(',').map(str::trim);
        let usual = rate(parts.next().unwrap_or_default())?;
        let hours: Vec<Hours> = parts.map(hours).collect::<Result<_, _>>()?;
        if hours.len() > MOST_HOURS { Err(TimetableError) } else { Ok(Timetable { usual, hours }) }
    }
}

fn hours(text: &str) -> Result<Hours, TimetableError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (days, span, speed) = match words.as_slice() {
        [days, span, speed] => (days_of(days)?, span, speed),
        [span, speed] => (Days::ALL, span, speed),
        _ => return Err(TimetableError),
    };
    let (from, until) = span.split_once('-').ok_or(TimetableError)?;
    Ok(Hours { days, from: time(from)?, until: time(until)?, rate: rate(speed)? })
}

fn rate(text: &str) -> Result<Rate, TimetableError> {
    if text == "off" {
        return Ok(None);
    }
    let size = text.strip_suffix("/s").ok_or(TimetableError)?;
    let bytes = parse_size(size).map_err(|_| TimetableError)?;
    NonZeroU64::new(bytes).map(Some).ok_or(TimetableError)
}

fn time(text: &str) -> Result<Time, TimetableError> {
    let (hour, minute) = text.split_once(':').ok_or(TimetableError)?;
    // The end of the day is the beginning of the next.
    if (hour, minute) == ("24", "00") {
        return Ok(Time::midnight());
    }
    let number = |text: &str| text.parse::<i8>().map_err(|_| TimetableError);
    Time::new(number(hour)?, number(minute)?, 0, 0).map_err(|_| TimetableError)
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn days_of(text: &str) -> Result<Days, TimetableError> {
    let day = |text: &str| {
        let found = DAYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, day)| day).ok_or(TimetableError)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok(Days { first: day(first)?, last: day(last)? })
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_rate(f, self.usual)?;
        for hours in &self.hours {
            f.write_str(", ")?;
            if hours.days != Days::ALL {
                write!(f, "{} ", hours.days)?;
            }
            write!(f, "{}-{} ", hours.from.strftime("%H:%M"), hours.until.strftime("%H:%M"))?;
            write_rate(f, hours.rate)?;
        }
        Ok(())
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day| DAYS.into_iter().find(|(_, known)| *known == day).map_or("mon", |(name, _)| name);
        if self.first == self.last {
            f.write_str(name(self.first))
        } else {
            write!(f, "{}-{}", name(self.first), name(self.last))
        }
    }
}

fn write_rate(f: &mut fmt::Formatter<'_>, rate: Rate) -> fmt::Result {
    match rate {
        None => f.write_str("off"),
        Some(bytes) => {
            let size = format_size(bytes.get());
            let unit = if size.ends_with('B') { "" } else { "B" };
            write!(f, "{size}{unit}/s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timetable: &str, local: &str) -> Option<u64> {
        let timetable: Timetable = timetable.parse().unwrap();
        timetable.at(local.parse().unwrap()).map(NonZeroU64::get)
    }

    #[test]
    fn rate_holds_at_its_hours_only() {
        // 2026-11-20 is a Friday.
        let office = "off, mon-fri 08:00-18:00 2MB/s";
        assert_eq!(at(office, "2026-11-20T07:59:59"), None);
        assert_eq!(at(office, "2026-11-20T08:00:00"), Some(2_000_000));
        assert_eq!(at(office, "2026-11-20T17:59:59"), Some(2_000_000));
        assert_eq!(at(office, "2026-11-20T18:00:00"), None);
        assert_eq!(at(office, "2026-11-21T12:00:00"), None);
        assert_eq!(at("20MB/s", "2026-11-21T12:00:00"), Some(20_000_000));
        assert_eq!(at("off", "2026-11-21T12:00:00"), None);
    }

    #[test]
    fn hours_past_midnight_belong_to_the_day_they_begin_on() {
        let night = "1MB/s, fri 22:00-06:00 off, sat-mon 00:00-24:00 3MB/s";
        assert_eq!(at(night, "2026-11-20T23:00:00"), None);
        assert_eq!(at(night, "2026-11-21T05:59:00"), None);
        assert_eq!(at(night, "2026-11-21T06:00:00"), Some(3_000_000));
        assert_eq!(at(night, "2026-11-23T23:59:00"), Some(3_000_000));
        assert_eq!(at(night, "2026-11-20T05:00:00"), Some(1_000_000));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in
            ["off", "20MB/s", "700B/s", "off, mon-fri 08:00-18:00 2MB/s", "1MiB/s, sun 22:00-06:00 off"]
        {
            let timetable: Timetable = text.parse().unwrap();
            assert_eq!(timetable.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "20",
            "20MB",
            "0MB/s",
            "off,",
            "off, 8-18 2MB/s",
            "off, 25:00-26:00 2MB/s",
            "off, mun 08:00-09:00 off",
        ] {
            assert_eq!(text.parse::<Timetable>(), Err(TimetableError), "{text}");
        }
    }
}
