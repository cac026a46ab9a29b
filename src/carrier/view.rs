//! A view of a request: one look over its headers, for the lines that carriers live in.

use super::request_id::Uuid;
use super::trace_id::{Correlate, Format, Ids, MOST, TraceId};
use crate::host::header_map::{HeaderMap, Sieve};
use crate::track::Carried;
use crate::vocabulary::Carrier;
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

/// What was extracted, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extracted {
    pub carrier: Carrier,
    pub says: Carried,
}

/// A request's headers, and where in them a track may be kept.
#[derive(Debug)]
pub struct View<'a> {
    pub headers: &'a HeaderMap<'a>,
    /// The lines of the configured header (`x-release-track`).
    pub track: Lines<'a>,
    /// The lines of `x-request-id`.
    pub id: Lines<'a>,
    /// There is a `baggage` line.
    pub has_baggage: bool,
    /// There is one of [`super::mint::HEADERS`].
    pub has_trace: bool,
    /// There may be a header that an application takes for one of ours: see [`Watched::is_alias`]
    /// and [`super::baggage::ALIASES`].
    pub has_alias: bool,
    /// What its carriers say, once they were asked.
    pub(super) extracted: OnceCell<Option<Extracted>>,
    /// Whether the proxy remembers any trace id, once it was asked.
    pub(super) remembers: OnceCell<bool>,
    /// The id of the trace that it is given.
    pub(super) minted: OnceCell<TraceId>,
    uuid: OnceCell<Option<Uuid<'a>>>,
    trace_ids: OnceCell<Ids>,
    /// By their place in `propagation.correlate`.
    trace: [Lines<'a>; MOST],
}

impl<'a> View<'a> {
    pub fn read(headers: &'a HeaderMap<'a>, watched: &Watched) -> Self {
        let mut view = Self {
            headers,
            track: Lines::None,
            id: Lines::None,
            has_baggage: false,
            has_trace: false,
            has_alias: false,
            extracted: OnceCell::new(),
            remembers: OnceCell::new(),
            minted: OnceCell::new(),
            uuid: OnceCell::new(),
            trace_ids: OnceCell::new(),
            trace: [Lines::None; _],
        };
        for (name, value) in headers.iter() {
            match watched.find(name) {
                None => {}
                Some(Found::Track) => view.track.add(value),
                Some(Found::RequestId) => view.id.add(value),
                Some(Found::Baggage) => view.has_baggage = true,
                Some(Found::Alias | Found::BaggageAlias) => view.has_alias = true,
                Some(Found::TraceContext) => view.has_trace = true,
                Some(Found::Trace { place, is_alias }) => {
                    view.has_trace = true;
                    view.has_alias |= is_alias;
                    if let Some(lines) = view.trace.get_mut(usize::from(place)) {
                        lines.add(value);
                    }
                }
            }
        }
        view
    }

    /// The ids that `propagation.correlate` lists. A header with several lines that differ holds
    /// none.
    pub fn trace_ids(&self, correlate: &Correlate) -> &Ids {
        self.trace_ids.get_or_init(|| {
            correlate.ids(|place, format| match format {
                // No trace id, as its format finds too: here that is known already.
                Format::RequestId if self.uuid().is_some() => None,
                Format::RequestId => self.id.agreed(),
                _ => self.trace.get(place).copied().and_then(Lines::agreed),
            })
        })
    }

    /// Whether it holds any of them. Most requests hold none, and for these nothing is read.
    #[inline]
    pub fn has_trace_ids(&self, correlate: &Correlate) -> bool {
        let may_hold = self.has_trace || self.id != Lines::None && self.uuid().is_none();
        may_hold && !self.trace_ids(correlate).is_empty()
    }

    /// Whether none of its headers is anything to a carrier, but for its id.
    pub fn is_plain(&self) -> bool {
        self.track == Lines::None && !self.has_baggage && !self.has_trace && !self.has_alias
    }

    /// The first `x-request-id`, if it is in the form of a UUID.
    pub fn uuid(&self) -> Option<Uuid<'a>> {
        *self.uuid.get_or_init(|| self.id.first().and_then(Uuid::parse))
    }
}

/// What a header is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Track,
    RequestId,
    Baggage,
    /// The header at this place of `propagation.correlate`; it may be an alias of the baggage, too.
    Trace {
        place: u8,
        is_alias: bool,
    },
    /// One of [`super::mint::HEADERS`] that is not listed.
    TraceContext,
    /// One of [`super::baggage::ALIASES`].
    BaggageAlias,
    Alias,
}

/// The header names that the filter is about.
#[derive(Debug)]
pub struct Watched {
    /// Of all of them: what does not fit is looked up no further.
    sieve: Sieve,
    /// By [`Sieve::slot`].
    slots: [Vec<(Box<[u8]>, Found)>; 64],
    /// Whether the twins of trace headers that are not listed are aliases, too.
    pub(super) reads_traces: bool,
}

impl Watched {
    /// The headers that carriers live in. Of a name that is given twice the first counts.
    pub(super) fn new<'n>(headers: impl IntoIterator<Item = (&'n str, Found)>) -> Self {
        let mut sieve = Sieve::default();
        let mut slots = [const { Vec::new() }; 64];
        for (name, found) in headers {
            sieve.add(name.as_bytes());
            if let Some(slot) = slots.get_mut(Sieve::slot(name.as_bytes())) {
                slot.push((name.as_bytes().into(), found));
            }
        }
        Self { sieve, slots, reads_traces: false }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<Found> {
        if self.sieve.fit(name) { self.look_up(name) } else { None }
    }

    fn look_up(&self, name: &[u8]) -> Option<Found> {
        let mut alias = None;
        for (known, found) in self.slots.get(Sieve::slot(name))? {
            if **known == *name {
                return Some(*found);
            }
            if (*found != Found::TraceContext || self.reads_traces) && is_alias(known, name) {
                alias = Some(Found::Alias);
            }
        }
        alias
    }

    /// Whether `name` is none of ours, but an application cannot tell it from one: as CGI has it
    /// (RFC 3875, section 4.1.18), `-` becomes `_`, and lighttpd makes that of all other marks
    /// too.
    pub fn is_alias(&self, name: &[u8]) -> bool {
        self.find(name) == Some(Found::Alias)
    }
}

fn is_alias(known: &[u8], name: &[u8]) -> bool {
    // What all readers of a header's name agree on.
    let dashed = |b: &u8| {
        if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' }
    };
    known.len() == name.len() && known.iter().map(dashed).eq(name.iter().map(dashed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::propagator::watched;
    use crate::carrier::trace_id::Source;

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
    fn aliases_differ_only_in_dashes() {
        let watched = watched("x-release-track", &[Source::new("x-b3-traceid")]);
        for alias in [
            "x_release_track",
            "x-release_track",
            "x.release!track",
            "x_request-id",
            "x_b3_traceid",
        ] {
            assert!(watched.is_alias(alias.as_bytes()), "{alias}");
        }
        for other in [
            "x-release-track",
            "x_release_trac",
            "x_release_tracks",
            "_baggage",
            "x_datadog_trace_id",
        ] {
            assert!(!watched.is_alias(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_configured_header_with_an_underscore_is_not_its_own_alias() {
        let watched = watched("x_track", &[]);
        assert!(!watched.is_alias(b"x_track"));
        assert!(watched.is_alias(b"x-track"));
        let headers: HeaderMap = [("x_track", "v2"), ("x-track", "v3")].iter().collect();
        let view = View::read(&headers, &watched);
        assert_eq!(view.track, Lines::One(b"v2"));
        assert!(view.has_alias);
    }

    #[test]
    fn one_look_finds_all() {
        let sources = ["x-request-id", "b3"].map(Source::new);
        let watched = watched("x-release-track", &sources);
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
        let view = View::read(&headers, &watched);
        assert_eq!(view.trace[..2], [Lines::None, Lines::Many { first: b"1", equal: true }]);
        assert_eq!(view.id, Lines::One(b"3"));
        assert!(view.has_alias && view.has_baggage);
        assert_eq!(view.track, Lines::None);
    }
}
