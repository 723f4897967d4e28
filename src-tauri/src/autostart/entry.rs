//! A login entry as the Desktop Entry Specification has it: written, and read as far as it concerns us. Pure.

/// Characters that need quotes in `Exec`, besides white space and control characters.
const RESERVED: &str = "\"'\\><~|&;$*?#()`";

/// Returns the text of an entry that starts `program` with `arguments`.
pub(super) fn text(program: &str, arguments: &[&str]) -> String {
    let mut exec = quoted(program);
    for argument in arguments {
        exec.push(' ');
        exec.push_str(&quoted(argument));
    }
    // A value of the type string has its own escapes, on top of those of Exec.
    let exec = exec.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
    format!(
        "[Desktop Entry]\nType=Application\nVersion=1.0\nName=Evenfold\nComment=Keeps folders on several machines identical\n\
         Comment[de]=Hält Ordner auf mehreren Rechnern gleich\nIcon=evenfold\nExec={exec}\nTerminal=false\n\
         StartupNotify=false\nX-GNOME-Autostart-enabled=true\n"
    )
}

/// Quotes one argument of `Exec`.
fn quoted(argument: &str) -> String {
    let needs = |c: char| c.is_whitespace() || c.is_control() || RESERVED.contains(c);
    // A percent sign begins a field code.
    let argument = argument.replace('%', "%%");
    if !argument.is_empty() && !argument.contains(needs) {
        return argument;
    }
    let mut text = String::from("\"");
    for c in argument.chars() {
        if matches!(c, '"' | '`' | '$' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

/// What an entry says, as far as it concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The program and its arguments.
    pub(super) exec: Vec<String>,
    /// Whether somebody switched it off without removing it.
    pub(super) off: bool,
}

/// Reads an entry.
pub(super) fn parse(text: &str) -> Entry {
    let mut entry = Entry::default();
    let mut ours = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            ours = line == "[Desktop Entry]";
        }
        let Some((key, value)) = line.split_once('=').filter(|_| ours) else { continue };
        match (key.trim_end(), value.trim_start()) {
            ("Exec", value) => entry.exec = words(&unescaped(value)),
            ("Hidden", "true") | ("X-GNOME-Autostart-enabled", "false") => entry.off = true,
            _ => {}
        }
    }
    entry
}

/// Undoes the escapes of a value of the type string.
fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, c == '\\') {
            (_, true) => match rest.next() {
                Some('s') => text.push(' '),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('\\') => text.push('\\'),
                Some(other) => text.extend(['\\', other]),
                None => text.push('\\'),
            },
            (c, false) => text.push(c),
        }
    }
    text
}

/// Divides `Exec` into its arguments.
fn words(exec: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quotes = false;
    let mut rest = exec.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                quotes = !quotes;
                word.get_or_insert_default();
            }
            '\\' if quotes => word.get_or_insert_default().extend(rest.next()),
            '%' if rest.peek() == Some(&'%') => word.get_or_insert_default().extend(rest.next()),
            c if c.is_whitespace() && !quotes => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_program_comes_back_as_it_was_written() {
        for program in [
            "/usr/bin/evenfold-desktop",
            "/home/u/My Programs/evenfold",
            "/opt/a\"b/c",
            "/opt/$HOME/`id`/\\back\\",
            "/opt/100%/x",
            "/opt/it's;here/(1)&2",
            "/opt/tab\there\nline",
            "/opt/Größe",
        ] {
            let entry = parse(&text(program, &["--background", "--home", "/a b"]));
            assert_eq!(entry.exec, [program, "--background", "--home", "/a b"]);
            assert!(!entry.off);
        }
    }

    #[test]
    fn plain_program_stays_readable() {
        assert!(
            text("/usr/bin/evenfold-desktop", &["--background"])
                .contains("\nExec=/usr/bin/evenfold-desktop --background\n")
        );
        assert!(text("/a b/c", &[]).contains("\nExec=\"/a b/c\"\n"));
        assert!(text("/a$b", &[]).contains("\nExec=\"/a\\\\$b\"\n"));
    }

    #[test]
    fn entry_that_a_settings_program_switched_off_is_off() {
        for line in ["Hidden=true", "X-GNOME-Autostart-enabled=false"] {
            assert!(parse(&format!("[Desktop Entry]\nExec=a\n{line}\n")).off);
        }
        let other_section = parse("[Desktop Entry]\nExec=a\n[Desktop Action x]\nExec=b\nHidden=true\n");
        assert_eq!(other_section, Entry { exec: vec!["a".into()], off: false });
    }
}
