//! Regular expressions over header values, which are bytes.
//!
//! `regex-lite` matches text in linear time, at a third of the size of `regex`. So that any byte
//! can be matched, each one stands for the character of its own number (ISO 8859-1): ASCII is
//! itself, and `\xNN` is the byte NN.

use regex_lite::{Regex, RegexBuilder};

/// How much memory a compiled expression may take, and the longest value that it then looks at,
/// in bytes. The time that matching takes grows with the product of the two; it is the same for
/// all of these, so that no client can make any expression expensive.
const LIMITS: [(usize, usize); 6] =
    [(512, 8192), (1024, 4096), (2048, 2048), (4096, 1024), (8192, 512), (16384, 256)];

/// An expression that the whole value has to match, as in RE2's `FullMatch`, which Envoy uses.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    longest: usize,
}

impl Pattern {
    /// The error says what is wrong with the expression.
    pub fn parse(expression: &str) -> Result<Self, String> {
        if !expression.is_ascii() {
            return Err(r"bytes above ASCII are written as \xNN".to_owned());
        }
        let compile = |expression: &str, size| {
            RegexBuilder::new(expression).size_limit(size).build().map_err(|e| e.to_string())
        };
        // Alone first, so that `a)(b` cannot close the group around it; here size does not matter.
        compile(expression, 1 << 20)?;
        let whole = format!(r"\A(?:{expression})\z");
        let mut sizes = LIMITS.iter();
        sizes
            .find_map(|(size, longest)| {
                Some(Self { regex: compile(&whole, *size).ok()?, longest: *longest })
            })
            .ok_or_else(|| "the expression is too large: repeat less, or list values".to_owned())
    }

    /// As it was configured.
    pub fn expression(&self) -> &str {
        let whole = self.regex.as_str();
        whole.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z")).unwrap_or(whole)
    }

    /// The longest value that is looked at, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// `None` for a value that is too long to be looked at.
    pub fn is_match(&self, value: &[u8]) -> Option<bool> {
        if value.len() > self.longest {
            return None;
        }
        Some(match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => self.regex.is_match(text),
            _ => {
                self.regex.is_match(&value.iter().map(|byte| char::from(*byte)).collect::<String>())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, value: &[u8]) -> bool {
        Pattern::parse(expression).unwrap().is_match(value).unwrap()
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
        for bad in ["(", "a)(b", "é", "*", r"\p{L}", ".*[a-z]{1000}", r"(a)\1"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_larger_an_expression_the_shorter_the_values() {
        for (expression, longest) in [
            ("a*", 8192),
            ("[a-z]{15}", 4096),
            ("[a-z]{40}", 2048),
            ("[a-z]{90}", 1024),
            ("[a-z]{190}", 512),
            ("[a-z]{390}", 256),
        ] {
            let pattern = Pattern::parse(expression).unwrap();
            assert_eq!(pattern.longest(), longest, "{expression}");
            assert!(pattern.is_match(&vec![b'a'; longest]).is_some());
            assert_eq!(pattern.is_match(&vec![b'a'; longest + 1]), None);
        }
    }
}
