//! What a rule may ask of a request.

use crate::decide::share::Share;
use crate::syntax::pattern::Pattern;
use crate::track::TrackId;
use std::fmt;

/// What a condition looks at. Names of headers are lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Every cookie of this name, over all Cookie lines.
    Cookie(Box<[u8]>),
    /// Every line of this header.
    Header(Box<[u8]>),
    /// The first value of this query parameter, raw.
    QueryParam(Box<[u8]>),
    /// The path without its query.
    Uri,
    Method,
    /// As the client sent it, with its port.
    Authority,
}

/// What a condition asks of a value: VirtualService's StringMatch, and `in`.
#[derive(Clone, Debug)]
pub enum Test {
    /// `exact`, and `in`: the value is one of these.
    OneOf(Vec<Box<[u8]>>),
    Prefix(Box<[u8]>),
    /// A full match.
    Regex(Pattern),
    /// `{}`: there is a value.
    Present,
}

/// One condition of a rule. It holds if any value of the subject passes the test, or, when
/// `negated`, if none does.
#[derive(Clone, Debug)]
pub struct Condition {
    pub subject: Subject,
    pub test: Test,
    pub negated: bool,
}

/// One entry of a track's `match`: all its conditions hold.
#[derive(Clone, Debug)]
pub struct Rule {
    pub track: TrackId,
    /// Its place in the track's `match`.
    pub index: usize,
    pub conditions: Vec<Condition>,
    /// The rule takes a sticky part of whom it fits; `None`: everybody.
    pub share: Option<Share>,
}

/// A rule that a request satisfies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub track: TrackId,
    /// Its place in the track's `match`.
    pub rule: usize,
    pub share: Option<Share>,
}

/// What becomes of a request that satisfies a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The rule decides.
    It,
    /// It does not; the next one may, of the same track too.
    NotIt,
    /// No rule of this track does.
    NotItsTrack,
}

/// Whether a condition holds, before negation; `None` where a value was too long to be looked at.
/// Then the rule does not hold, negated or not.
pub(super) type Holds = Option<bool>;

impl Subject {
    /// The header that has it.
    pub(super) fn header(&self) -> &[u8] {
        match self {
            Self::Cookie(_) => b"cookie",
            Self::Header(name) => name,
            Self::QueryParam(_) | Self::Uri => b":path",
            Self::Method => b":method",
            Self::Authority => b":authority",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie {}", name.escape_ascii()),
            Self::Header(name) => write!(f, "header {}", name.escape_ascii()),
            Self::QueryParam(name) => write!(f, "query parameter {}", name.escape_ascii()),
            Self::Uri => f.write_str("uri"),
            Self::Method => f.write_str("method"),
            Self::Authority => f.write_str("authority"),
        }
    }
}

impl Test {
    pub(super) fn passes(&self, value: &[u8]) -> Holds {
        match self {
            Self::OneOf(values) => Some(values.iter().any(|v| **v == *value)),
            Self::Prefix(prefix) => Some(value.starts_with(prefix)),
            Self::Regex(pattern) => pattern.is_match(value),
            Self::Present => Some(true),
        }
    }
}
