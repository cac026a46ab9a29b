//! Carrier 4, its keys: trace ids that tracing hands from hop to hop anyway.
//!
//! Each header is read into one canonical 128-bit value, so that the ids of one trace meet
//! whatever header they come in. A malformed header holds no id.
//!
//! ```
//! use release_track::carrier::request_id::Key;
//! use release_track::carrier::trace_id::Source;
//!
//! let id = |source: Source, value: &[u8]| source.parse(value, &Key::DEFAULT).unwrap();
//! let w3c = id(Source::Traceparent, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
//! // Datadog hands on the low half, in decimal.
//! let datadog = id(Source::XDatadogTraceId, b"11803532876627986230");
//! assert!(w3c.meets(datadog));
//! ```

use super::request_id::{Key, Uuid};
use crate::syntax::hex;

/// A trace id. One of 64 bits has a high half of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// An id of all zeros is no id (W3C Trace Context, section 3.2.2.3).
    pub fn new(value: u128) -> Option<Self> {
        (value != 0).then_some(Self(value))
    }

    pub fn value(self) -> u128 {
        self.0
    }

    pub fn low(self) -> u64 {
        self.0 as u64
    }

    fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// Whether both are of one trace: equal, or equal in the low half where one of them has no
    /// high half (B3 and Datadog hand on 64 bits of it).
    pub fn meets(self, other: Self) -> bool {
        self.low() == other.low()
            && (self.high() == other.high() || self.high() == 0 || other.high() == 0)
    }
}

/// The headers that may be listed in `propagation.correlate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// W3C Trace Context, section 3.2: `VERSION-TRACEID-PARENTID-FLAGS`
    Traceparent,
    /// B3 single header: `TRACEID-SPANID[-SAMPLED[-PARENTSPANID]]`
    B3,
    /// B3 multiple headers: 16 or 32 hex digits.
    XB3TraceId,
    /// The low 64 bits, in decimal.
    XDatadogTraceId,
    /// `TRACEID/SPANID;o=OPTIONS`
    XCloudTraceContext,
    /// Jaeger: `TRACEID:SPANID:PARENTID:FLAGS`, leading zeros left out
    UberTraceId,
    /// AWS X-Ray: `Root=1-TIME-RANDOM;Parent=..;Sampled=..`
    XAmznTraceId,
    /// Where it is not a UUID, which could be tagged.
    XRequestId,
}

impl Source {
    /// All, in the default order.
    pub const ALL: [Self; 8] = [
        Self::Traceparent,
        Self::B3,
        Self::XB3TraceId,
        Self::XDatadogTraceId,
        Self::XCloudTraceContext,
        Self::UberTraceId,
        Self::XAmznTraceId,
        Self::XRequestId,
    ];

    /// The header's name.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Traceparent => "traceparent",
            Self::B3 => "b3",
            Self::XB3TraceId => "x-b3-traceid",
            Self::XDatadogTraceId => "x-datadog-trace-id",
            Self::XCloudTraceContext => "x-cloud-trace-context",
            Self::UberTraceId => "uber-trace-id",
            Self::XAmznTraceId => "x-amzn-trace-id",
            Self::XRequestId => "x-request-id",
        }
    }

    /// The id in a header's value. `key` is for ids of no known form.
    pub fn parse(self, value: &[u8], key: &Key) -> Option<TraceId> {
        let id = match self {
            Self::Traceparent => traceparent(value)?,
            Self::B3 => b3(value)?,
            Self::XB3TraceId => b3_trace_id(value)?,
            Self::XDatadogTraceId => decimal(value)?,
            Self::XCloudTraceContext => exactly(32, value.split(|b| *b == b'/').next()?)?,
            Self::UberTraceId => uber(value)?,
            Self::XAmznTraceId => amzn(value)?,
            Self::XRequestId => return opaque(value, key),
        };
        TraceId::new(id)
    }
}

/// Finds the listed ids of a request.
#[derive(Debug)]
pub struct Correlate {
    sources: Vec<Source>,
    key: Key,
}

impl Correlate {
    pub fn new(sources: Vec<Source>, key: Key) -> Self {
        Self { sources, key }
    }

    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The distinct ids, in the order of the list. `value` gives what a header holds.
    pub fn ids<'a>(&self, value: impl Fn(Source) -> Option<&'a [u8]>) -> Ids {
        let mut ids = Ids::default();
        for source in &self.sources {
            if let Some(id) = value(*source).and_then(|value| source.parse(value, &self.key)) {
                ids.add(id);
            }
        }
        ids
    }
}

/// Distinct ids, in order: at most one of each header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids([Option<TraceId>; Source::ALL.len()]);

impl Ids {
    fn add(&mut self, id: TraceId) {
        if self.iter().any(|known| known.meets(id)) {
            return;
        }
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(id);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = TraceId> {
        self.0.iter().copied().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// Hex digits of any case, as many as fit.
fn number(digits: &[u8]) -> Option<u128> {
    let (high, low) = digits.split_at_checked(digits.len().saturating_sub(16))?;
    if low.is_empty() {
        return None;
    }
    Some(u128::from(hex::parse(high)?) << 64 | u128::from(hex::parse(low)?))
}

fn exactly(length: usize, digits: &[u8]) -> Option<u128> {
    (digits.len() == length).then(|| number(digits)).flatten()
}

fn traceparent(value: &[u8]) -> Option<u128> {
    let mut fields = value.split(|b| *b == b'-');
    let version = exactly(2, fields.next()?)?;
    let id = exactly(32, fields.next()?)?;
    exactly(16, fields.next()?)?;
    exactly(2, fields.next()?)?;
    // A later version may have more fields; version ff is forbidden.
    (version != 0xff && (version != 0 || fields.next().is_none())).then_some(id)
}

fn b3(value: &[u8]) -> Option<u128> {
    let mut fields = value.split(|b| *b == b'-');
    let id = b3_trace_id(fields.next()?)?;
    exactly(16, fields.next()?)?;
    Some(id)
}

fn b3_trace_id(value: &[u8]) -> Option<u128> {
    matches!(value.len(), 16 | 32).then(|| number(value)).flatten()
}

fn decimal(value: &[u8]) -> Option<u128> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse::<u64>().ok().map(u128::from)
}

fn uber(value: &[u8]) -> Option<u128> {
    // Some clients percent-encode the colons.
    let end = value.iter().position(|b| matches!(b, b':' | b'%'))?;
    let (id, rest) = value.split_at_checked(end)?;
    let separated = matches!(rest, [b':', ..] | [b'%', b'3', b'A' | b'a', ..]);
    separated.then(|| number(id)).flatten()
}

fn amzn(value: &[u8]) -> Option<u128> {
    let root =
        value.split(|b| *b == b';').find_map(|field| field.trim_ascii().strip_prefix(b"Root="))?;
    let mut parts = root.split(|b| *b == b'-');
    let (version, time, random) = (parts.next()?, parts.next()?, parts.next()?);
    if version != b"1" || parts.next().is_some() {
        return None;
    }
    Some(exactly(8, time)? << 96 | exactly(24, random)?)
}

/// Text of any form, by a keyed hash of it all. Envoy writes to index 14 of every id of 36
/// characters, so that one counts as `0`.
fn opaque(value: &[u8], key: &Key) -> Option<TraceId> {
    const LONGEST: usize = 256;
    if value.is_empty() || value.len() > LONGEST || Uuid::parse(value).is_some() {
        return None;
    }
    let mut text = value.to_vec();
    if let Some(reason) = text.get_mut(14).filter(|_| value.len() == 36) {
        *reason = b'0';
    }
    TraceId::new(key.hash128(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::propagator::watched;
    use crate::carrier::view::View;
    use crate::host::header_map::HeaderMap;

    fn ids(sources: &[Source], lines: &[(&str, &str)]) -> Vec<u128> {
        let headers: HeaderMap = lines.iter().collect();
        let request = View::read(&headers, &watched("x-release-track", sources));
        let correlate = Correlate::new(sources.to_vec(), Key::DEFAULT);
        request.trace_ids(&correlate).iter().map(TraceId::value).collect()
    }

    const ID: u128 = 0x4bf92f3577b34da6_a3ce929d0e0e4736;
    const LOW: u128 = 0xa3ce929d0e0e4736;

    fn read(source: Source, value: &str) -> Option<u128> {
        source.parse(value.as_bytes(), &Key::DEFAULT).map(TraceId::value)
    }

    #[test]
    fn every_form_is_read() {
        use Source::*;
        for (source, value, id) in [
            (Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ID),
            (Traceparent, "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00", ID),
            (Traceparent, "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", ID),
            (B3, "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90", ID),
            (B3, "a3ce929d0e0e4736-00f067aa0ba902b7", LOW),
            (XB3TraceId, "4bf92f3577b34da6a3ce929d0e0e4736", ID),
            (XB3TraceId, "A3CE929D0E0E4736", LOW),
            (XDatadogTraceId, "11803532876627986230", LOW),
            (XCloudTraceContext, "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1", ID),
            (XCloudTraceContext, "4bf92f3577b34da6a3ce929d0e0e4736", ID),
            (UberTraceId, "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1", ID),
            (UberTraceId, "a3ce929d0e0e4736%3Af067aa0ba902b7%3A0%3A1", LOW),
            (UberTraceId, "1:2:0:1", 1),
            (XAmznTraceId, "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736", ID),
            (XAmznTraceId, "Self=1-0-0; Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Sampled=1", ID),
        ] {
            assert_eq!(read(source, value), Some(id), "{source:?} {value}");
        }
    }

    #[test]
    fn malformed_headers_hold_no_id() {
        use Source::*;
        for (source, value) in [
            (Traceparent, ""),
            (Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01"),
            (Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"),
            (Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"),
            (Traceparent, "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            (Traceparent, "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            (Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"),
            (B3, "0"),
            (B3, "4bf92f3577b34da6a3ce929d0e0e4736"),
            (B3, "4bf92f3577b34da6-1"),
            (XB3TraceId, "4bf92f3577b34da"),
            (XB3TraceId, "0000000000000000"),
            (XDatadogTraceId, "18446744073709551616"),
            (XDatadogTraceId, "+1"),
            (XDatadogTraceId, ""),
            (XDatadogTraceId, "12a"),
            (XCloudTraceContext, "4bf92f35/1"),
            (UberTraceId, "4bf92f3577b34da6a3ce929d0e0e4736"),
            (UberTraceId, "4bf92f3577b34da6a3ce929d0e0e47360:1:0:1"),
            (UberTraceId, ":1:0:1"),
            (UberTraceId, "1%3B2"),
            (XAmznTraceId, "Root=2-4bf92f35-77b34da6a3ce929d0e0e4736"),
            (XAmznTraceId, "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736-1"),
            (XAmznTraceId, "root=1-4bf92f35-77b34da6a3ce929d0e0e4736"),
            (XRequestId, ""),
            (XRequestId, "73cf9109-747e-4c23-92e0-3376878b904e"),
        ] {
            assert_eq!(read(source, value), None, "{source:?} {value}");
        }
        assert_eq!(read(XRequestId, &"x".repeat(257)), None);
    }

    #[test]
    fn other_request_ids_are_hashed_whole() {
        let id = |text: &str| read(Source::XRequestId, text);
        assert!(id("job-17").is_some());
        assert_ne!(id("job-17"), id("job-18"));
        assert_ne!(id("job-17"), id("JOB-17"));
        let masked = |c: char| id(&format!("not-a-uuid-but{c}of-thirty-six-letters"));
        assert_eq!(masked('9'), masked('4'));
        assert_ne!(
            id("not-a-uuid-but9of-35-letters......."),
            id("not-a-uuid-but4of-35-letters.......")
        );
    }

    #[test]
    fn ids_of_one_trace_meet() {
        let id = |value| TraceId::new(value).unwrap();
        assert!(id(ID).meets(id(ID)));
        assert!(id(ID).meets(id(LOW)) && id(LOW).meets(id(ID)));
        assert!(!id(ID).meets(id(LOW | 1 << 64)));
        assert!(!id(ID).meets(id(ID + 1)));
    }

    #[test]
    fn distinct_ids_in_the_order_of_the_list() {
        let lines = [
            ("x-request-id", "job"),
            ("x-datadog-trace-id", "7"),
            ("uber-trace-id", "5:1:0:1"),
            ("x-b3-traceid", "a3ce929d0e0e4736"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ];
        assert_eq!(ids(&Source::ALL, &lines)[..3], [ID, 7, 5]);
        assert_eq!(ids(&Source::ALL, &lines).len(), 4);
        assert_eq!(ids(&[Source::UberTraceId, Source::XDatadogTraceId], &lines), [5, 7]);
        assert_eq!(ids(&[], &lines), []);
    }

    #[test]
    fn lines_that_differ_hold_none() {
        let name = Source::XDatadogTraceId.header();
        assert_eq!(ids(&Source::ALL, &[(name, "7"), (name, "7")]), [7]);
        assert_eq!(ids(&Source::ALL, &[(name, "7"), (name, "8")]), []);
    }
}
