//! Numbers: medians, percentiles, and how they are written.

use std::time::Duration;

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted.get(sorted.len() / 2 - 1)? + upper) / 2.0)
}

/// The value that `percent` of all values do not exceed (nearest rank); `None` of nothing.
pub(crate) fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The smallest value; `None` of nothing.
pub(crate) fn minimum(values: &[f64]) -> Option<f64> {
    sorted(values).first().copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Seconds as a person reads them: `3.4 ms`, `0.94 s`, `12.4 s`, `2 min 05 s`.
pub(crate) fn seconds(value: f64) -> String {
    if value < 0.1 {
        format!("{:.1} ms", value * 1000.0)
    } else if value < 10.0 {
        format!("{value:.2} s")
    } else if value < 120.0 {
        format!("{value:.1} s")
    } else {
        format!("{} min {:02} s", value as u64 / 60, value as u64 % 60)
    }
}

/// The same for a measured time.
pub(crate) fn duration(value: Duration) -> String {
    seconds(value.as_secs_f64())
}

/// Bytes as a person reads them, in powers of 1024 from a KiB on.
pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Bytes on a wire, in powers of 1000.
pub(crate) fn traffic(value: f64) -> String {
    let mut value = value;
    let mut unit = "B";
    for next in ["kB", "MB", "GB"] {
        // What would be rounded up to 1000 belongs to the next unit already.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A number with thousands separated: `10,000`.
pub(crate) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Lines up rows below a head: the first column to the left, the others to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut text = String::new();
    for row in [&head, &rule].into_iter().chain(rows) {
        let mut line = String::new();
        for (i, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            match i {
                0 => line.push_str(&format!("  {cell}{padding}")),
                _ => line.push_str(&format!("  {padding}{cell}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_and_percentile_follow_the_nearest_rank() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 95.0), Some(95.0));
        assert_eq!(percentile(&[7.0], 95.0), Some(7.0));
        assert_eq!(percentile(&[], 95.0), None);
        assert_eq!(minimum(&[2.0, 1.5]), Some(1.5));
    }

    #[test]
    fn numbers_read_like_prose() {
        let cases = [(0.0034, "3.4 ms"), (0.94, "0.94 s"), (12.44, "12.4 s"), (125.0, "2 min 05 s")];
        for (value, text) in cases {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(bytes(900.0), "900 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(2.5 * 1024.0 * 1024.0 * 1024.0), "2.5 GiB");
        assert_eq!(traffic(608.0), "608 B");
        assert_eq!(traffic(1000.0), "1.0 kB");
        assert_eq!(traffic(374_000.0), "374.0 kB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
    }

    #[test]
    fn tables_line_up_by_characters_not_bytes() {
        let rows = vec![vec!["é".to_owned(), "1".to_owned()], vec!["long".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["what", "n"], &rows), "  what   n\n  ----  --\n  é      1\n  long  22\n");
    }
}
