//! The one-time code that a person carries from one machine to the other.

use std::fmt;

use rand::Rng;

use super::words::WORDS;

/// A one-time pairing code such as `4-lantern-otter`.
///
/// The number, 1 to 99, tells which offer is meant and is sent in the clear; the two words are 16 bits of
/// secret. That is enough because they cannot be tried out off-line: each guess takes a conversation
/// with the other side, which allows three.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    number: u8,
    words: [&'static str; 2],
}

/// The text is no pairing code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCodeError {
    /// It is not of the form number, word, word.
    #[error("a pairing code is a number and two words, such as 4-lantern-otter")]
    Form,
    /// The number is not one of 1 to 99.
    #[error("the number of a pairing code is 1 to 99")]
    Number,
    /// A word is none of those that codes are made of: surely a typing error.
    #[error("\"{0}\" is not a word of pairing codes")]
    Word(String),
}

impl Code {
    /// Makes a new code from the system's randomness.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let mut word = || WORDS.get(usize::from(rng.random::<u8>())).copied().unwrap_or_default();
        let words = [word(), word()];
        Self { number: rng.random_range(1..=99), words }
    }

    /// Reads a code as people write it: letter case, spaces, and dashes or dots between the parts do not matter.
    pub fn parse(text: &str) -> Result<Self, ParseCodeError> {
        let text = text.to_lowercase();
        let separator = |c: char| c.is_whitespace() || "-–—_.,+/".contains(c);
        let mut parts = text.split(separator).filter(|part| !part.is_empty());
        let (Some(number), Some(first), Some(second), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseCodeError::Form);
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseCodeError::Form);
        }
        let number = number.parse().ok().filter(|n| (1..=99).contains(n)).ok_or(ParseCodeError::Number)?;
        let word = |text: &str| match WORDS.binary_search(&text) {
            Ok(index) => Ok(WORDS.get(index).copied().unwrap_or_default()),
            Err(_) => Err(ParseCodeError::Word(text.chars().take(32).collect())),
        };
        Ok(Self { number, words: [word(first)?, word(second)?] })
    }

    /// Returns the part that may be known to all.
    pub(super) fn number(&self) -> u8 {
        self.number
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.words;
        write!(f, "{}-{first}-{second}", self.number)
    }
}

impl fmt::Debug for Code {
    /// Keeps the secret out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}-…)", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_is_read_back() {
        for _ in 0..1000 {
            let code = Code::random();
            assert_eq!(Code::parse(&code.to_string()), Ok(code));
        }
    }

    #[test]
    fn writing_of_people_is_understood() {
        let code = Code::parse("4-lantern-otter").unwrap();
        for text in [
            "4 lantern otter",
            " 4-Lantern-OTTER\n",
            "04 - lantern - otter",
            "4.lantern.otter",
            "4 – lantern,otter",
        ] {
            assert_eq!(Code::parse(text).as_ref(), Ok(&code), "{text:?}");
        }
    }

    #[test]
    fn other_text_is_refused_with_what_is_wrong() {
        for text in ["", "4", "4-lantern", "lantern-otter-4", "4-lantern-otter-otter", "-4x-lantern-otter"] {
            assert_eq!(Code::parse(text), Err(ParseCodeError::Form), "{text:?}");
        }
        for text in ["0-lantern-otter", "100-lantern-otter", "99999999999-lantern-otter"] {
            assert_eq!(Code::parse(text), Err(ParseCodeError::Number), "{text:?}");
        }
        assert_eq!(Code::parse("4-lantern-oter"), Err(ParseCodeError::Word("oter".into())));
    }

    #[test]
    fn debug_keeps_the_words_secret() {
        assert_eq!(format!("{:?}", Code::parse("4-lantern-otter").unwrap()), "Code(4-…)");
    }
}
