//! Track names, and what a carrier can say about a request's track.
//!
//! ```
//! use release_track::config::Config;
//! use release_track::track::Carried;
//!
//! let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
//! let says = |value: &[u8]| config.names.read(value).map(|follows| config.names.label(follows));
//! assert_eq!(says(b"v2"), Some("v2"));
//! assert_eq!(config.names.read(b"baseline"), Some(Carried::Baseline));
//! // Well formed, but not configured here: normal while a configuration rolls out.
//! assert_eq!(says(b"v3"), Some("other"));
//! assert_eq!(says(b"no name"), None);
//! ```

use std::fmt;
use std::sync::Arc;

/// The reserved track that says "no track" out loud, on a pod that belongs to one.
pub const BASELINE: &str = "baseline";

/// What metrics call a track that this configuration does not know.
pub const OTHER: &str = "other";

/// Names that no track may have: they mean something else in links, labels and tags.
pub const RESERVED: [&str; 4] = ["off", BASELINE, "none", OTHER];

/// The name of a track: `[A-Za-z0-9._-]{1,63}`, so that it needs no escaping in a header, a
/// baggage member, a token or a metric label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 63;

    /// Parses a configured name. Reserved names parse: the configuration refuses them itself,
    /// with its own words.
    pub fn parse(text: &str) -> Option<Self> {
        is_valid(text.as_bytes()).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `value` has the form of a track's name, known or not.
pub fn is_valid(value: &[u8]) -> bool {
    (1..=Name::MAX).contains(&value.len())
        && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A configured track: its place in the configuration's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub(crate) u16);

impl TrackId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a carrier that is not silent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The request follows this track.
    Track(TrackId),
    /// The request was decided to follow none.
    Baseline,
    /// A well-formed track that this configuration does not know: normal while a configuration
    /// rolls out. It is passed on as it is.
    Other,
}

/// The configured tracks' names, by [`TrackId`].
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<[Name]>);

impl Names {
    pub(crate) fn new(names: Vec<Name>) -> Self {
        Self(names.into())
    }

    /// The name of what a request follows: a track, `baseline` or `other`.
    pub fn label(&self, follows: Carried) -> &str {
        match follows {
            Carried::Track(track) => self.of(track),
            Carried::Baseline => BASELINE,
            Carried::Other => OTHER,
        }
    }

    /// The name of a track of this configuration.
    pub fn of(&self, track: TrackId) -> &str {
        self.0.get(track.index()).map_or("", Name::as_str)
    }

    /// What a carrier's value means. Empty and malformed values are no value at all.
    pub fn read(&self, value: &[u8]) -> Option<Carried> {
        for (track, name) in self.iter() {
            if name.as_bytes() == value {
                return Some(Carried::Track(track));
            }
        }
        if value == BASELINE.as_bytes() {
            return Some(Carried::Baseline);
        }
        is_valid(value).then_some(Carried::Other)
    }

    pub fn iter(&self) -> impl Iterator<Item = (TrackId, &Name)> {
        (0..).map(TrackId).zip(self.0.iter())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_of_one_to_sixty_three_characters() {
        for good in ["v2", "A-b_c.9", &"x".repeat(63)] {
            assert!(Name::parse(good).is_some(), "{good}");
        }
        for bad in ["", "v 2", "v2,", "é", "v2\n", &"x".repeat(64)] {
            assert!(Name::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_value_is_a_track_baseline_other_or_nothing() {
        let names = Names::new(vec![Name::parse("v2").unwrap(), Name::parse("v3").unwrap()]);
        assert_eq!(names.read(b"v3"), Some(Carried::Track(TrackId(1))));
        assert_eq!(names.read(b"baseline"), Some(Carried::Baseline));
        assert_eq!(names.read(b"v4"), Some(Carried::Other));
        assert_eq!(names.read(b"off"), Some(Carried::Other));
        assert_eq!(names.read(b""), None);
        assert_eq!(names.read(b"v2 "), None);
        assert_eq!(names.read(b"v2\xe9"), None);
        assert_eq!(names.of(TrackId(1)), "v3");
    }
}
