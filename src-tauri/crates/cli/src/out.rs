//! Standard output for data, standard error for everything else.
//!
//! File names and peers' words may hold anything. What could move a terminal's cursor, recolour it or reverse its text is
//! written as an escape, always, so that a name never looks like something else.

use std::io::{self, IsTerminal as _, Write as _};

use evenfold_node::api::ApiError;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::exit::Exit;

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A name or heading.
    Strong,
    /// Of less importance.
    Faint,
    /// All is well.
    Good,
    /// Something needs a person.
    Attention,
    /// Something failed.
    Bad,
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Strong => Some("1"),
            Style::Faint => Some("2"),
            Style::Good => Some("32"),
            Style::Attention => Some("33"),
            Style::Bad => Some("31"),
        }
    }
}

/// A line of differently styled pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    pub(crate) fn plain(text: impl Into<String>) -> Line {
        Line::styled(Style::Plain, text)
    }

    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Line {
        Line(vec![(style, text.into())])
    }

    #[must_use]
    pub(crate) fn then(mut self, style: Style, text: impl Into<String>) -> Line {
        self.0.push((style, text.into()));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| safe(text).width()).sum()
    }

    /// Returns the line as it is written.
    pub(crate) fn render(&self, color: bool) -> String {
        let mut written = String::new();
        for (style, text) in &self.0 {
            match style.code().filter(|_| color && !text.is_empty()) {
                Some(code) => written.push_str(&format!("\u{1b}[{code}m{}\u{1b}[0m", safe(text))),
                None => written.push_str(&safe(text)),
            }
        }
        written
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Line {
        Line::plain(text)
    }
}

/// Replaces what a terminal would obey instead of showing: control characters, and those that reverse or hide text.
pub(crate) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if c.is_control() || hidden => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

/// Puts rows under each other in columns, two spaces apart.
pub(crate) fn table(rows: &[Vec<Line>]) -> Vec<Line> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(Line::width).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let aligned = |row: &Vec<Line>| {
        let mut line = Line::default();
        // Nothing stands after the last cell that says something.
        let said = row.iter().rposition(|cell| cell.width() > 0).map_or(0, |last| last + 1);
        for (column, (cell, width)) in row.iter().zip(&widths).take(said).enumerate() {
            line.0.extend(cell.0.iter().cloned());
            if column + 1 < said {
                line = line.then(Style::Plain, " ".repeat(width - cell.width() + 2));
            }
        }
        line
    };
    rows.iter().map(aligned).collect()
}

/// Where a command writes.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    color: bool,
    terminal: bool,
    /// The reader has gone; nothing more is written, and that is no failure.
    closed: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Out {
        let terminal = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Out { json, color: terminal && !unwanted, terminal, closed: false }
    }

    /// Whether one JSON document is wanted instead of words.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody looks at the output.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a line of data.
    pub(crate) fn line(&mut self, line: impl Into<Line>) -> Result<(), ApiError> {
        let mut text = line.into().render(self.color);
        text.push('\n');
        self.raw(text.as_bytes())
    }

    /// Writes lines of data.
    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = Line>) -> Result<(), ApiError> {
        let color = self.color;
        let text: String = lines.into_iter().map(|line| line.render(color) + "\n").collect();
        self.raw(text.as_bytes())
    }

    /// Writes a JSON document: readable on a terminal, one line otherwise.
    pub(crate) fn document<T: Serialize>(&mut self, data: &T) -> Result<(), ApiError> {
        let written = if self.terminal { serde_json::to_vec_pretty(data) } else { serde_json::to_vec(data) };
        let mut written = written.map_err(|error| unwritable(&error.into()))?;
        written.push(b'\n');
        self.raw(&written)
    }

    /// Writes bytes as they are: generated scripts, terminal control of our own.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(unwritable(&error)),
            Ok(()) => Ok(()),
        }
    }

    /// Whether the reader of standard output has gone, so that watching on makes no sense.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

fn unwritable(error: &io::Error) -> ApiError {
    let message = format!("the output could not be written: {error}");
    ApiError::new(evenfold_node::api::ErrorCode::Io, message)
}

/// Tells the user something, on standard error.
pub(crate) fn note(text: impl Into<Line>) {
    let color =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "{}", text.into().render(color));
}

/// Tells the user that the command failed, on standard error.
pub(crate) fn failure(error: &ApiError, exit: Exit, json: bool) {
    if json {
        let document = serde_json::json!({
            "error": { "code": error.code, "message": error.message, "hint": error.hint, "exit": exit as u8 }
        });
        let _ = writeln!(io::stderr(), "{document}");
        return;
    }
    note(Line::styled(Style::Bad, "error: ").then(Style::Plain, &error.message));
    if let Some(hint) = &error.hint {
        note(Line::styled(Style::Strong, "hint: ").then(Style::Plain, hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_play_with_the_terminal() {
        for (name, shown) in [
            ("plain name.txt", "plain name.txt"),
            ("Köln 東京", "Köln 東京"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("two\nlines\r", "two\\nlines\\r"),
            ("bell\u{7}", "bell\\u{7}"),
            ("c1\u{9b}31m", "c1\\u{9b}31m"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(safe(name), shown);
        }
    }

    #[test]
    fn colour_is_ours_alone() {
        let line = Line::styled(Style::Good, "ok").then(Style::Plain, " \u{1b}[31mred");
        assert_eq!(line.render(true), "\u{1b}[32mok\u{1b}[0m \\u{1b}[31mred");
        assert_eq!(line.render(false), "ok \\u{1b}[31mred");
    }

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let rows = [
            vec![Line::plain("東京"), Line::styled(Style::Good, "a"), Line::plain("last")],
            vec![Line::plain("x"), Line::plain("longer"), Line::plain("end")],
            vec![Line::plain("y"), Line::plain(""), Line::plain("")],
        ];
        let lines: Vec<String> = table(&rows).iter().map(|line| line.render(false)).collect();
        assert_eq!(lines, ["東京  a       last", "x     longer  end", "y"]);
        assert!(table(&[]).is_empty());
    }
}
