//! Carrier 4, its keys: ids that tracing hands from hop to hop anyway.
//!
//! Each header is read into one canonical 128-bit value, so that the ids of one trace meet
//! whatever header they come in. A malformed header holds no id, and neither does one whose id
//! nobody drew: see `made_up`.
//!
//! ```
//! use release_track::carrier::request_id::Key;
//! use release_track::carrier::trace_id::Source;
//!
//! let id = |header, value: &[u8]| Source::new(header).parse(value, &Key::DEFAULT).unwrap();
//! let w3c = id("traceparent", b"00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01");
//! // Datadog hands on the low half, in decimal.
//! let datadog = id("x-datadog-trace-id", b"16415201302869067569");
//! assert!(w3c.meets(datadog));
//! ```

use super::made_up;
use super::request_id::{Key, Uuid};
use crate::syntax::{base64, hex};

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

/// At most so many headers are listed.
pub const MOST: usize = 16;

/// An entry of `propagation.correlate`: a header that applications hand on, and how its ids are
/// written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    header: Box<str>,
    format: Format,
}

/// How an id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// W3C Trace Context, section 3.2: `VERSION-TRACEID-PARENTID-FLAGS`
    Traceparent,
    /// B3 single header: `TRACEID-SPANID[-SAMPLED[-PARENTSPANID]]`
    B3,
    /// B3 multiple headers: 16 or 32 hex digits.
    B3TraceId,
    /// Datadog: the low 64 bits, in decimal.
    Decimal,
    /// Google Cloud: `TRACEID/SPANID;o=OPTIONS`
    CloudTrace,
    /// Jaeger: `TRACEID:SPANID:PARENTID:FLAGS`, leading zeros left out
    Uber,
    /// AWS X-Ray: `Root=1-TIME-RANDOM;Parent=..;Sampled=..`
    Amzn,
    /// SkyWalking's Cross Process Propagation Headers Protocol v3: eight fields with `-` between,
    /// the second the trace id, any text in base64.
    Sw8,
    /// `x-request-id` where it is not a UUID, which could be tagged.
    RequestId,
    /// Any other header: the trace id where it is written as in `traceparent` or `b3` (as Elastic's
    /// and Sentry's are), whose span differs from hop to hop; else the whole value.
    Whole,
}

impl Format {
    /// The headers whose form is known, in the order in which they are listed by default.
    const OF_HEADERS: [(&str, Self); 9] = [
        ("traceparent", Self::Traceparent),
        ("b3", Self::B3),
        ("x-b3-traceid", Self::B3TraceId),
        ("x-datadog-trace-id", Self::Decimal),
        ("x-cloud-trace-context", Self::CloudTrace),
        ("uber-trace-id", Self::Uber),
        ("x-amzn-trace-id", Self::Amzn),
        ("x-request-id", Self::RequestId),
        ("sw8", Self::Sw8),
    ];

    /// Reads a value. `key` is for texts of no known form.
    fn parse(self, value: &[u8], key: &Key) -> Option<TraceId> {
        match self {
            Self::Traceparent => drawn(traceparent(value)?),
            Self::B3 => drawn(b3(value)?),
            Self::B3TraceId => drawn(b3_trace_id(value)?),
            Self::Decimal => decimal(value),
            Self::CloudTrace => drawn(exactly(32, value.split(|b| *b == b'/').next()?)?),
            Self::Uber => drawn(uber(value)?),
            Self::Amzn => drawn(amzn(value)?),
            Self::Sw8 => sw8(value, key),
            Self::RequestId => request_id(value, key),
            Self::Whole => match traceparent(value).or_else(|| b3(value)) {
                Some(id) => drawn(id),
                None => text(value, key),
            },
        }
    }
}

impl Source {
    /// A header, in lower case.
    pub fn new(header: &str) -> Self {
        let known = Format::OF_HEADERS.iter().find(|(name, _)| *name == header);
        Self { header: header.into(), format: known.map_or(Format::Whole, |(_, format)| *format) }
    }

    /// Those that are listed if nobody says otherwise.
    pub fn defaults() -> Vec<Self> {
        let listed = Format::OF_HEADERS.iter().filter(|(_, format)| *format != Format::Sw8);
        listed.map(|(header, _)| Self::new(header)).collect()
    }

    /// The header's name, in lower case.
    pub fn header(&self) -> &str {
        &self.header
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The id in a header's value. `key` is for ids of no known form.
    pub fn parse(&self, value: &[u8], key: &Key) -> Option<TraceId> {
        self.format.parse(value, key)
    }
}

/// Finds the listed ids of a request.
#[derive(Debug)]
pub struct Correlate {
    sources: Vec<Source>,
    key: Key,
}

impl Correlate {
    /// Of more than [`MOST`] headers the rest is left out.
    pub fn new(mut sources: Vec<Source>, key: Key) -> Self {
        sources.truncate(MOST);
        Self { sources, key }
    }

    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The distinct ids, in the order of the list. `value` gives what the header at a place of the
    /// list holds.
    pub fn ids<'a>(&self, value: impl Fn(usize, Format) -> Option<&'a [u8]>) -> Ids {
        let mut ids = Ids::default();
        for (place, source) in self.sources.iter().enumerate() {
            let value = value(place, source.format);
            if let Some(id) = value.and_then(|value| source.parse(value, &self.key)) {
                ids.add(id);
            }
        }
        ids
    }
}

/// Distinct ids, in order: at most one of each header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    ids: [Option<TraceId>; MOST],
    count: usize,
}

impl Ids {
    pub(super) fn add(&mut self, id: TraceId) {
        if self.iter().any(|known| known.meets(id)) {
            return;
        }
        if let Some(free) = self.ids.get_mut(self.count) {
            *free = Some(id);
            self.count += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = TraceId> {
        self.ids.iter().take(self.count).copied().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// An id of a known form, if somebody drew it.
fn drawn(id: u128) -> Option<TraceId> {
    TraceId::new(id).filter(|_| !made_up::number(id))
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

fn decimal(value: &[u8]) -> Option<TraceId> {
    // As it is written, and as it is: either may have been made up.
    let digits = number(value).filter(|_| value.iter().all(u8::is_ascii_digit))?;
    let id = std::str::from_utf8(value).ok()?.parse::<u64>().ok()?;
    drawn(id.into()).filter(|_| !made_up::number(digits))
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

fn sw8(value: &[u8], key: &Key) -> Option<TraceId> {
    let mut fields = value.splitn(8, |b| *b == b'-');
    let (sample, id) = (fields.next()?, fields.next()?);
    if !matches!(sample, b"0" | b"1") || fields.count() != 6 {
        return None;
    }
    text(base64::decode(id, &mut [0; LONGEST])?, key)
}

fn request_id(value: &[u8], key: &Key) -> Option<TraceId> {
    if Uuid::parse(value).is_some() {
        return None;
    }
    // Envoy writes to index 14 of every id of 36 characters, so that one counts as `0`.
    let mut masked = <[u8; 36]>::try_from(value).ok();
    if let Some(reason) = masked.as_mut().and_then(|masked| masked.get_mut(14)) {
        *reason = b'0';
    }
    text(masked.as_ref().map_or(value, |masked| masked.as_slice()), key)
}

/// The longest text that counts as an id, in bytes.
const LONGEST: usize = 256;

/// Text of any form, by a keyed hash of it all.
fn text(value: &[u8], key: &Key) -> Option<TraceId> {
    if value.len() > LONGEST || made_up::text(value) {
        return None;
    }
    TraceId::new(key.hash128(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::propagator::watched;
    use crate::carrier::view::View;
    use crate::host::header_map::HeaderMap;

    fn ids(headers: &[&str], lines: &[(&str, &str)]) -> Vec<u128> {
        let sources: Vec<_> = headers.iter().map(|header| Source::new(header)).collect();
        let headers: HeaderMap = lines.iter().collect();
        let request = View::read(&headers, &watched("x-release-track", &sources));
        let correlate = Correlate::new(sources, Key::DEFAULT);
        request.trace_ids(&correlate).iter().map(TraceId::value).collect()
    }

    fn all() -> Vec<&'static str> {
        Format::OF_HEADERS.iter().map(|(header, _)| *header).collect()
    }

    const ID: u128 = 0x9f2b6c1e77b34da6_e3ce829d0e0a4731;
    const LOW: u128 = 0xe3ce829d0e0a4731;

    fn read(header: &str, value: &str) -> Option<u128> {
        Source::new(header).parse(value.as_bytes(), &Key::DEFAULT).map(TraceId::value)
    }

    #[test]
    fn every_form_is_read() {
        for (header, value, id) in [
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01", ID),
            ("traceparent", "00-9F2B6C1E77B34DA6E3CE829D0E0A4731-00f067aa0ba902b7-00", ID),
            ("traceparent", "01-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01-more", ID),
            ("b3", "9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-1-05e3ac9a4f6e3b90", ID),
            ("b3", "e3ce829d0e0a4731-00f067aa0ba902b7", LOW),
            ("x-b3-traceid", "9f2b6c1e77b34da6e3ce829d0e0a4731", ID),
            ("x-b3-traceid", "E3CE829D0E0A4731", LOW),
            ("x-datadog-trace-id", "16415201302869067569", LOW),
            ("x-cloud-trace-context", "9f2b6c1e77b34da6e3ce829d0e0a4731/67667974448284343;o=1", ID),
            ("x-cloud-trace-context", "9f2b6c1e77b34da6e3ce829d0e0a4731", ID),
            ("uber-trace-id", "9f2b6c1e77b34da6e3ce829d0e0a4731:f067aa0ba902b7:0:1", ID),
            ("uber-trace-id", "e3ce829d0e0a4731%3Af067aa0ba902b7%3A0%3A1", LOW),
            ("uber-trace-id", "9d0e0a4731:2:0:1", 0x9d0e0a4731),
            ("x-amzn-trace-id", "Root=1-9f2b6c1e-77b34da6e3ce829d0e0a4731", ID),
            (
                "x-amzn-trace-id",
                "Self=1-0-0; Root=1-9f2b6c1e-77b34da6e3ce829d0e0a4731;Sampled=1",
                ID,
            ),
            (
                "elastic-apm-traceparent",
                "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01",
                ID,
            ),
            ("sentry-trace", "9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-1", ID),
        ] {
            assert_eq!(read(header, value), Some(id), "{header} {value}");
        }
    }

    #[test]
    fn malformed_headers_hold_no_id() {
        for (header, value) in [
            ("traceparent", ""),
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a473-00f067aa0ba902b7-01"),
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7"),
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01-more"),
            ("traceparent", "ff-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01"),
            ("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a473g-00f067aa0ba902b7-01"),
            ("b3", "0"),
            ("b3", "9f2b6c1e77b34da6e3ce829d0e0a4731"),
            ("b3", "9f2b6c1e77b34da6-1"),
            ("x-b3-traceid", "9f2b6c1e77b34da"),
            ("x-b3-traceid", "0000000000000000"),
            ("x-datadog-trace-id", "18446744073709551616"),
            ("x-datadog-trace-id", "+17"),
            ("x-datadog-trace-id", ""),
            ("x-datadog-trace-id", "12a"),
            ("x-cloud-trace-context", "9f2b6c1e/1"),
            ("uber-trace-id", "9f2b6c1e77b34da6e3ce829d0e0a4731"),
            ("uber-trace-id", "9f2b6c1e77b34da6e3ce829d0e0a47310:1:0:1"),
            ("uber-trace-id", ":1:0:1"),
            ("uber-trace-id", "9d0e%3B2"),
            ("x-amzn-trace-id", "Root=2-9f2b6c1e-77b34da6e3ce829d0e0a4731"),
            ("x-amzn-trace-id", "Root=1-9f2b6c1e-77b34da6e3ce829d0e0a4731-1"),
            ("x-amzn-trace-id", "root=1-9f2b6c1e-77b34da6e3ce829d0e0a4731"),
            ("x-request-id", ""),
            ("x-request-id", "73cf9109-747e-4c23-92e0-3376878b904e"),
        ] {
            assert_eq!(read(header, value), None, "{header} {value}");
        }
        let long = |length| "0123456789abcdefghijklmnopqrstuvwxyz".repeat(8)[..length].to_owned();
        assert!(read("x-request-id", &long(256)).is_some());
        assert_eq!(read("x-request-id", &long(257)), None);
    }

    #[test]
    fn other_texts_are_hashed_whole() {
        let id = |text: &str| read("x-request-id", text);
        assert!(id("job-17-of-this-night").is_some());
        assert_ne!(id("job-17-of-this-night"), id("job-18-of-this-night"));
        assert_ne!(id("job-17-of-this-night"), id("JOB-17-of-this-night"));
        let masked = |c: char| format!("not-a-uuid-but{c}of-thirty-six-letters");
        assert_eq!(id(&masked('9')), id(&masked('4')));
        assert_ne!(
            id("not-a-uuid-but9of-35-letters......."),
            id("not-a-uuid-but4of-35-letters.......")
        );
        // Envoy writes to no other header.
        let other = |text: &str| read("x-correlation-id", text);
        assert_ne!(other(&masked('9')), other(&masked('4')));
        assert_eq!(other("job-17-of-this-night"), id("job-17-of-this-night"));
        assert!(other("73cf9109-747e-4c23-92e0-3376878b904e").is_some());
    }

    #[test]
    fn skywalking_has_its_trace_id_in_the_second_field() {
        // 6ab7c7e98e3f4e0f9a45.62.17647233000010001
        let id = "NmFiN2M3ZTk4ZTNmNGUwZjlhNDUuNjIuMTc2NDcyMzMwMDAwMTAwMDE=";
        let rest = "NWFi-3-ZnJvbnRlbmQ=-aTE=-R0VUOi8=-MTAuMC4wLjE6ODA=";
        let sw8 = |value: &str| read("sw8", value);
        let whole = sw8(&format!("1-{id}-{rest}"));
        assert_eq!(whole, read("x-any", "6ab7c7e98e3f4e0f9a45.62.17647233000010001"));
        assert!(whole.is_some());
        let other_span = rest.replace("-3-", "-0-").replace("NWFi", "Nzg5");
        assert_eq!(sw8(&format!("0-{id}-{other_span}")), whole);
        for value in [
            format!("2-{id}-{rest}"),
            format!("{id}-{rest}"),
            format!("1-{id}"),
            format!("1-{}-{rest}", id.replace('N', "_")),
            format!("1--{rest}"),
            format!("1-dW5kZWZpbmVkdW5kZWZpbmVk-{rest}"),
            format!("1-{}-{rest}", "QUJD".repeat(86)),
        ] {
            assert_eq!(sw8(&value), None, "{value}");
        }
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
            ("x-request-id", "job-17-of-this-night"),
            ("x-datadog-trace-id", "7301"),
            ("uber-trace-id", "5a17:1:0:1"),
            ("x-b3-traceid", "e3ce829d0e0a4731"),
            ("traceparent", "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01"),
        ];
        assert_eq!(ids(&all(), &lines)[..3], [ID, 7301, 0x5a17]);
        assert_eq!(ids(&all(), &lines).len(), 4);
        assert_eq!(ids(&["uber-trace-id", "x-datadog-trace-id"], &lines), [0x5a17, 7301]);
        assert_eq!(ids(&[], &lines), []);
    }

    #[test]
    fn as_many_headers_as_are_listed() {
        let names: Vec<_> = (0..=MOST).map(|number| format!("x-id-{number}")).collect();
        let lines: Vec<_> =
            names.iter().map(|name| (&**name, format!("{name}-of-this-night"))).collect();
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, &**value)).collect();
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        assert_eq!(ids(&names, &lines).len(), MOST);
        assert_eq!(ids(&names[..3], &lines[2..]).len(), 1);
    }

    #[test]
    fn lines_that_differ_hold_none() {
        let lines = |first, second| {
            ids(&all(), &[("x-datadog-trace-id", first), ("x-datadog-trace-id", second)])
        };
        assert_eq!(lines("7301", "7301"), [7301]);
        assert_eq!(lines("7301", "8405"), []);
    }
}
