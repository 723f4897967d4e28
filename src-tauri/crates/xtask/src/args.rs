//! Reads a verb's options; small enough that no argument parser has to be compiled before anything can be built.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;

/// What was given after the verb; each read takes its words out, [`Args::finish`] refuses what is left.
#[derive(Debug)]
pub(crate) struct Args {
    rest: Vec<String>,
}

/// A wrong call of xtask itself; it exits with 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The help text was asked for and printed: nothing else is to be done, and all is well.
#[derive(Debug)]
pub(crate) struct HelpShown;

impl fmt::Display for HelpShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("help shown")
    }
}

impl std::error::Error for HelpShown {}

/// Makes the error of a wrong call.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

impl Args {
    pub(crate) fn new(rest: Vec<String>) -> Self {
        Self { rest }
    }

    /// Prints `text` and ends the verb if `--help` or `-h` was given.
    pub(crate) fn help(&mut self, text: &str) -> Result<()> {
        if self.flag("--help") || self.flag("-h") {
            print!("{text}");
            return Err(HelpShown.into());
        }
        Ok(())
    }

    /// Takes a flag out and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|word| word != name);
        self.rest.len() < before
    }

    /// Takes `--name VALUE` or `--name=VALUE` out, once per call.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let prefix = format!("{name}=");
        let Some(at) = self.rest.iter().position(|word| word == name || word.starts_with(&prefix)) else {
            return Ok(None);
        };
        let word = self.rest.remove(at);
        if let Some(value) = word.strip_prefix(&prefix) {
            return Ok(Some(value.to_owned()));
        }
        if at >= self.rest.len() {
            return Err(usage(format!("{name} needs a value")));
        }
        Ok(Some(self.rest.remove(at)))
    }

    /// Like [`Args::value`], parsed.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        match self.value(name)? {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(usage(format!("{name} does not take {text:?}"))),
            },
        }
    }

    /// Hands over everything as it stands, for verbs that only forward.
    pub(crate) fn into_rest(self) -> Vec<String> {
        self.rest
    }

    /// Refuses options that no read took out.
    pub(crate) fn finish(self) -> Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(word) => Err(usage(format!("{word:?} is not understood here; see --help"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Args {
        Args::new(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn values_are_taken_in_both_spellings() {
        let mut given = args("--only burst --rounds=3 --quick --only edit");
        assert_eq!(given.value("--only").unwrap().as_deref(), Some("burst"));
        assert_eq!(given.value("--only").unwrap().as_deref(), Some("edit"));
        assert_eq!(given.value("--only").unwrap(), None);
        assert_eq!(given.parsed::<u32>("--rounds").unwrap(), Some(3));
        assert!(given.flag("--quick"));
        given.finish().unwrap();
    }

    #[test]
    fn leftovers_and_bad_values_are_usage_errors() {
        assert!(args("--what").finish().unwrap_err().is::<Usage>());
        assert!(args("--rounds x").parsed::<u32>("--rounds").unwrap_err().is::<Usage>());
        assert!(args("--rounds").value("--rounds").unwrap_err().is::<Usage>());
    }
}
