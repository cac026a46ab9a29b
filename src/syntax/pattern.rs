//! Regular expressions over header values, which are bytes.
//!
//! `regex-lite` matches text in linear time, at a third of the size of `regex`. So that any byte
//! can be matched, each one stands for the character of its own number (ISO 8859-1): ASCII is
//! itself, and `\xNN` is the byte NN.

use regex_lite::{Regex, RegexBuilder};

/// A compiled expression may take this much memory, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// An expression that the whole value has to match, as in RE2's `FullMatch`, which Envoy uses.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// The error says what is wrong with the expression.
    pub fn parse(expression: &str) -> Result<Self, String> {
        if !expression.is_ascii() {
            return Err(r"bytes above ASCII are written as \xNN".to_owned());
        }
        let compile = |expression: &str| {
            RegexBuilder::new(expression).size_limit(MAX_SIZE).build().map_err(|e| e.to_string())
        };
        // Alone first, so that `a)(b` cannot close the group around it.
        compile(expression)?;
        compile(&format!(r"\A(?:{expression})\z")).map(Self)
    }

    /// As it was configured.
    pub fn expression(&self) -> &str {
        let whole = self.0.as_str();
        whole.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z")).unwrap_or(whole)
    }

    pub fn is_match(&self, value: &[u8]) -> bool {
        match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => self.0.is_match(text),
            _ => self.0.is_match(&value.iter().map(|byte| char::from(*byte)).collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, value: &[u8]) -> bool {
        Pattern::parse(expression).unwrap().is_match(value)
    }

    #[test]
    fn the_whole_value_matches() {
        assert!(matches("foo|foobar", b"foobar"));
        assert!(!matches("foo", b"foobar"));
        assert!(!matches("bar", b"foobar"));
        assert!(matches("(?i)Beta|staff", b"BETA"));
        assert!(matches(r"v\d+\w?", b"v12b"));
        assert!(!matches("a$", b"a\n"));
        assert!(!matches("(?m)^a$", b"b\na"));
    }

    #[test]
    fn an_expression_is_given_back_as_it_was() {
        assert_eq!(Pattern::parse(r"a|b\z").unwrap().expression(), r"a|b\z");
    }

    #[test]
    fn any_byte_is_one_character() {
        assert!(matches("a.b", b"a\xe9b"));
        assert!(matches(r"a\xe9b", b"a\xe9b"));
        assert!(matches("a..b", "aéb".as_bytes()));
        assert!(!matches("a.b", "aéb".as_bytes()));
        assert!(matches(r"[\x80-\xff]+", b"\x80\xff\xc3\xa9"));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for bad in ["(", "a)(b", "é", "*", r"\p{L}", "(?:(?:a{1000}){1000}){1000}", r"(a)\1"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
