//! One look over a request's headers: the lines that the filter itself is about.

use crate::carrier::Extracted;
use crate::carrier::baggage;
use crate::carrier::request_id::Uuid;
use crate::carrier::trace_id::{Correlate, Ids, Source};
use crate::header_map::{HeaderMap, Sieve};
use std::cell::OnceCell;

/// The lines of one header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines<'a> {
    #[default]
    None,
    One(&'a [u8]),
    /// Several lines: the first, and whether the others equal it.
    Many {
        first: &'a [u8],
        equal: bool,
    },
}

impl<'a> Lines<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match *self {
            Self::None => Self::One(value),
            Self::One(first) => Self::Many { first, equal: first == value },
            Self::Many { first, equal } => Self::Many { first, equal: equal && first == value },
        };
    }

    pub fn first(self) -> Option<&'a [u8]> {
        match self {
            Self::None => None,
            Self::One(first) | Self::Many { first, .. } => Some(first),
        }
    }

    /// What all lines agree on.
    pub fn agreed(self) -> Option<&'a [u8]> {
        match self {
            Self::None | Self::Many { equal: false, .. } => None,
            Self::One(value) | Self::Many { first: value, equal: true } => Some(value),
        }
    }

    pub fn is_conflicting(self) -> bool {
        matches!(self, Self::Many { equal: false, .. })
    }
}

/// A request's headers, and where in them a track may be kept.
#[derive(Debug)]
pub struct Request<'a> {
    pub headers: &'a HeaderMap,
    /// The lines of the configured header (`x-release-track`).
    pub track: Lines<'a>,
    /// The lines of `x-request-id`.
    pub id: Lines<'a>,
    /// There is a `baggage` line.
    pub has_baggage: bool,
    /// There may be a header that an application takes for one of ours: see [`Watched::is_twin`]
    /// and [`baggage::remove_alias`].
    pub has_twin: bool,
    /// What its carriers say, once they were asked.
    pub(crate) extracted: OnceCell<Option<Extracted>>,
    /// Whether the proxy remembers any trace id, once it was asked.
    pub(crate) remembers: OnceCell<bool>,
    uuid: OnceCell<Option<Uuid<'a>>>,
    trace_ids: OnceCell<Ids>,
    trace: [Lines<'a>; Source::ALL.len()],
}

impl<'a> Request<'a> {
    pub fn read(headers: &'a HeaderMap, watched: &Watched) -> Self {
        let mut request = Self {
            headers,
            track: Lines::None,
            id: Lines::None,
            has_baggage: false,
            has_twin: false,
            extracted: OnceCell::new(),
            remembers: OnceCell::new(),
            uuid: OnceCell::new(),
            trace_ids: OnceCell::new(),
            trace: [Lines::None; _],
        };
        for (name, value) in headers.iter() {
            match watched.find(name) {
                None => {}
                Some(Found::Track) => request.track.add(value),
                Some(Found::RequestId) => request.id.add(value),
                Some(Found::Baggage) => request.has_baggage = true,
                Some(Found::Twin | Found::Alias) => request.has_twin = true,
                Some(Found::Trace(source)) => {
                    request.has_twin |= source == Source::XAmznTraceId;
                    if let Some(lines) = request.trace.get_mut(source as usize) {
                        lines.add(value);
                    }
                }
            }
        }
        request
    }

    /// The ids that `propagation.correlate` lists. A header with several lines that differ holds
    /// none.
    pub fn trace_ids(&self, correlate: &Correlate) -> &Ids {
        self.trace_ids.get_or_init(|| {
            correlate.ids(|source| match source {
                // No trace id, as `Source::parse` finds too: here that is known already.
                Source::XRequestId if self.uuid().is_some() => None,
                _ => self.trace(source).agreed(),
            })
        })
    }

    /// The first `x-request-id`, if it is in the form of a UUID.
    pub fn uuid(&self) -> Option<Uuid<'a>> {
        *self.uuid.get_or_init(|| self.id.first().and_then(Uuid::parse))
    }

    /// The lines of a header that may hold a trace id, if it is watched.
    pub fn trace(&self, source: Source) -> Lines<'a> {
        match source {
            Source::XRequestId => self.id,
            _ => self.trace.get(source as usize).copied().unwrap_or_default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Track,
    RequestId,
    Baggage,
    Trace(Source),
    Twin,
    /// See [`baggage::remove_alias`].
    Alias,
}

/// The header names that the filter is about.
#[derive(Debug)]
pub struct Watched {
    /// By [`Sieve::slot`]: most headers are in one that is empty.
    slots: [Vec<(Box<[u8]>, Found)>; 64],
}

impl Watched {
    /// `header` is the configured one.
    pub fn new(header: &str, sources: &[Source]) -> Self {
        let ours = [
            (header, Found::Track),
            ("x-request-id", Found::RequestId),
            ("baggage", Found::Baggage),
        ];
        let sources = sources.iter().filter(|source| **source != Source::XRequestId);
        let traces = sources.map(|source| (source.header(), Found::Trace(*source)));
        let aliases = baggage::ALIASES.map(|name| (name, Found::Alias));
        let mut slots = [const { Vec::new() }; 64];
        for (name, found) in ours.into_iter().chain(traces).chain(aliases) {
            if let Some(slot) = slots.get_mut(Sieve::slot(name.as_bytes())) {
                slot.push((name.as_bytes().into(), found));
            }
        }
        Self { slots }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<Found> {
        let mut twin = None;
        for (known, found) in self.slots.get(Sieve::slot(name))? {
            if **known == *name {
                return Some(*found);
            }
            if is_twin(known, name) {
                twin = Some(Found::Twin);
            }
        }
        twin
    }

    /// Whether `name` is none of ours, but an application cannot tell it from one: as CGI has it
    /// (RFC 3875, section 4.1.18), `-` becomes `_`, and lighttpd makes that of all other marks
    /// too.
    pub fn is_twin(&self, name: &[u8]) -> bool {
        self.find(name) == Some(Found::Twin)
    }
}

fn is_twin(known: &[u8], name: &[u8]) -> bool {
    known.len() == name.len() && known.iter().map(dashed).eq(name.iter().map(dashed))
}

/// What all readers of a header's name agree on.
fn dashed(byte: &u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_agree_only_when_all_are_equal() {
        let lines = |values: &[&'static str]| {
            let mut lines = Lines::None;
            values.iter().for_each(|v| lines.add(v.as_bytes()));
            lines
        };
        assert_eq!(lines(&[]).agreed(), None);
        assert_eq!(lines(&["a"]).agreed(), Some(&b"a"[..]));
        assert_eq!(lines(&["a", "a", "a"]).agreed(), Some(&b"a"[..]));
        assert_eq!(lines(&["a", "b", "a"]).agreed(), None);
        assert!(lines(&["a", "a", "b"]).is_conflicting());
        assert!(!lines(&["a", "a"]).is_conflicting());
        assert_eq!(lines(&["a", "b"]).first(), Some(&b"a"[..]));
    }

    #[test]
    fn twins_differ_only_in_dashes() {
        let watched = Watched::new("x-release-track", &[Source::XB3TraceId]);
        for twin in [
            "x_release_track",
            "x-release_track",
            "x.release!track",
            "x_request-id",
            "x_b3_traceid",
        ] {
            assert!(watched.is_twin(twin.as_bytes()), "{twin}");
        }
        for other in [
            "x-release-track",
            "x_release_trac",
            "x_release_tracks",
            "_baggage",
            "x_datadog_trace_id",
        ] {
            assert!(!watched.is_twin(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_configured_header_with_an_underscore_is_not_its_own_twin() {
        let watched = Watched::new("x_track", &[]);
        assert!(!watched.is_twin(b"x_track"));
        assert!(watched.is_twin(b"x-track"));
        let headers: HeaderMap = [("x_track", "v2"), ("x-track", "v3")].iter().collect();
        let request = Request::read(&headers, &watched);
        assert_eq!(request.track, Lines::One(b"v2"));
        assert!(request.has_twin);
    }

    #[test]
    fn one_look_finds_all() {
        let watched = Watched::new("x-release-track", &[Source::B3, Source::XRequestId]);
        let headers: HeaderMap = [
            ("b3", "1"),
            ("traceparent", "2"),
            ("x-request-id", "3"),
            ("x_request_id", "4"),
            ("baggage", ""),
            ("b3", "1"),
        ]
        .iter()
        .collect();
        let request = Request::read(&headers, &watched);
        assert_eq!(request.trace(Source::B3), Lines::Many { first: b"1", equal: true });
        assert_eq!(request.trace(Source::Traceparent), Lines::None);
        assert_eq!(request.trace(Source::XRequestId), Lines::One(b"3"));
        assert!(request.has_twin && request.has_baggage);
        assert_eq!(request.track, Lines::None);
    }
}
