//! Carrier 4: a trace id that is a tagged request id without its dashes.
//!
//! A tracing SDK hands on the trace that it was given, and starts one that nobody knows where it was
//! given none. So a tracked request that comes without a trace is given one (`propagation.mint`):
//! whoever has the key reads the track from its id, with no memory at all.
//!
//! What a client sends could be such an id, too. At the edge it is spoilt, in whatever header an SDK
//! may read it (`guard`); inside the mesh it is read in its plain forms alone (`extract`).

use super::request_id::Tagger;
use super::trace_id::TraceId;
use super::{Edit, baggage};
use crate::host::header_map::HeaderMap;
use crate::syntax::{base64, hex};
use crate::track::Carried;
use serde::Deserialize;

const TRACEPARENT: &str = "traceparent";
const B3: &str = "b3";
const B3_TRACE_ID: &str = "x-b3-traceid";
const UBER: &str = "uber-trace-id";
const DATADOG: &str = "x-datadog-trace-id";

/// The headers whose ids are read, best first.
const READABLE: [&str; 4] = [TRACEPARENT, B3, B3_TRACE_ID, UBER];

const NEW_RELIC: &str = "newrelic";
const GRPC_TRACE: &str = "grpc-trace-bin";

/// Headers whose trace ids SDKs take over into those that `extract` reads.
pub const HEADERS: [&str; 14] = [
    TRACEPARENT,
    B3,
    B3_TRACE_ID,
    UBER,
    DATADOG,
    "x-cloud-trace-context",
    "x-amzn-trace-id",
    "elastic-apm-traceparent",
    "sentry-trace",
    "x-instana-t",
    "ot-tracer-traceid",
    "x-honeycomb-trace",
    NEW_RELIC,
    GRPC_TRACE,
];

/// Those whose ids are under base64: they go as a whole, since nothing in them can be spoilt.
pub const ENCODED: [&str; 2] = [NEW_RELIC, GRPC_TRACE];

/// Datadog's other half of a trace id: `_dd.p.tid=HEX`, among other members.
const DATADOG_TAGS: &str = "x-datadog-tags";

/// Hex digits of a whole id, and of the half that an id of 64 bits has.
const WHOLE: usize = 32;
const HALF: usize = 16;

/// `propagation.mint`: the trace contexts that a tracked request is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Mint {
    /// where none arrives, a tracked request is given a traceparent whose trace id bears the tag;
    /// samplers that follow their parent record it (sampled) or do not (unsampled)
    #[cfg_attr(feature = "schema", serde(skip_serializing_if = "Option::is_none"))]
    pub traceparent: Option<Traceparent>,
    /// the same with a b3 header; deferred leaves it to the application whether it records
    #[cfg_attr(feature = "schema", serde(skip_serializing_if = "Option::is_none"))]
    pub b3: Option<B3Single>,
}

/// What a minted `traceparent` says of sampling: its flags cannot say that nobody has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "sampled or unsampled")]
pub enum Traceparent {
    Sampled,
    Unsampled,
}

/// What a minted `b3` says of sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "deferred, sampled or unsampled")]
pub enum B3Single {
    Deferred,
    Sampled,
    Unsampled,
}

impl Mint {
    /// Whether any trace id is made, and therefore read.
    pub fn is_on(&self) -> bool {
        self.traceparent.is_some() || self.b3.is_some()
    }

    /// Whether a request with these headers is given a trace.
    pub(super) fn is_due(&self, headers: &HeaderMap<'_>) -> bool {
        self.wants_traceparent(headers).is_some() || self.wants_b3(headers).is_some()
    }

    fn wants_traceparent(&self, headers: &HeaderMap<'_>) -> Option<Traceparent> {
        self.traceparent.filter(|_| !has(headers, TRACEPARENT))
    }

    fn wants_b3(&self, headers: &HeaderMap<'_>) -> Option<B3Single> {
        self.b3.filter(|_| !has(headers, B3) && !has(headers, B3_TRACE_ID))
    }

    /// The headers of a new trace, where the request has none of that format.
    #[cold]
    pub(super) fn headers(
        &self,
        headers: &HeaderMap<'_>,
        trace: TraceId,
        span: u64,
    ) -> Vec<(&'static str, Edit)> {
        // All zeros are no span (W3C Trace Context, section 3.2.2.4).
        let (trace, span) = (trace.value(), span.max(1));
        let traceparent = self.wants_traceparent(headers).map(|sampled| {
            let flags = match sampled {
                Traceparent::Sampled => "01",
                Traceparent::Unsampled => "00",
            };
            (TRACEPARENT, format!("00-{trace:032x}-{span:016x}-{flags}"))
        });
        let b3 = self.wants_b3(headers).map(|sampled| {
            let state = match sampled {
                B3Single::Deferred => "",
                B3Single::Sampled => "-1",
                B3Single::Unsampled => "-0",
            };
            (B3, format!("{trace:032x}-{span:016x}{state}"))
        });
        let minted = traceparent.into_iter().chain(b3);
        minted.map(|(name, value)| (name, Edit::Set(value.into_bytes()))).collect()
    }
}

fn has(headers: &HeaderMap<'_>, name: &str) -> bool {
    headers.lines(name.as_bytes()).next().is_some()
}

/// What the trace ids of a request are tagged with. Of a header with several lines that differ
/// none counts; the first header that says something wins.
#[inline(never)]
pub(super) fn extract(headers: &HeaderMap<'_>, tagger: &Tagger) -> Option<Carried> {
    READABLE.into_iter().find_map(|name| {
        let mut lines = headers.lines(name.as_bytes());
        let value = lines.next()?;
        if lines.any(|other| other != value) {
            return None;
        }
        tagger.extract_number(plain(name, value)?)
    })
}

/// The id of 128 bits in a header of a known form. Jaeger leaves out zeros in front.
fn plain(name: &str, value: &[u8]) -> Option<u128> {
    let mut fields = value.split(|b| matches!(b, b'-' | b':' | b'%'));
    let id = match name {
        TRACEPARENT => fields.nth(1)?,
        _ => fields.next()?,
    };
    let is_whole = id.len() == WHOLE || name == UBER && (HALF + 1..WHOLE).contains(&id.len());
    if is_whole { number(id) } else { None }
}

/// Up to 32 hex digits.
fn number(digits: &[u8]) -> Option<u128> {
    let (high, low) = digits.split_at_checked(digits.len().saturating_sub(HALF))?;
    Some(u128::from(hex::parse(high)?) << 64 | u128::from(hex::parse(low)?))
}

/// The lines of the headers that `extract` reads.
pub(super) fn lines<'a>(headers: &'a HeaderMap<'a>) -> Vec<&'a [u8]> {
    let readable = READABLE.into_iter();
    readable.flat_map(|name| headers.lines(name.as_bytes())).collect()
}

/// What has to be done to trace headers from a client, so that no reader finds a tagged id in them:
/// one digit of it is changed, the same in each of them, so that they stay one trace. A header of
/// several lines becomes one line then.
#[inline(never)]
pub(super) fn guard(headers: &HeaderMap<'_>, tagger: &Tagger) -> Vec<(&'static str, Edit)> {
    let mut edits: Vec<(&'static str, Edit)> = Vec::new();
    for (name, value) in headers.iter() {
        let Some(name) = HEADERS.into_iter().find(|known| known.as_bytes() == name) else {
            continue;
        };
        if edits.iter().any(|(edited, _)| *edited == name) {
            continue;
        }
        if ENCODED.contains(&name) {
            if is_tagged_inside(name, value, tagger) {
                edits.push((name, Edit::Remove));
            }
            continue;
        }
        let Some(spoilt) = spoilt(headers, name, value, tagger) else { continue };
        // Our member is taken out of this one, and the id is spoilt along with that.
        if baggage::remove_alias(headers, name.as_bytes()) != Edit::Keep {
            continue;
        }
        let first = headers.lines(name.as_bytes()).next().unwrap_or_default();
        let kept = if first == value { spoilt } else { first.to_vec() };
        edits.push((name, Edit::Set(kept)));
    }
    edits
}

/// The value with no tagged id in it.
#[cold]
pub(super) fn spoil(value: Vec<u8>, tagger: &Tagger) -> Vec<u8> {
    spoilt_digits(&value, tagger).unwrap_or(value)
}

fn spoilt(headers: &HeaderMap<'_>, name: &str, line: &[u8], tagger: &Tagger) -> Option<Vec<u8>> {
    match name == DATADOG {
        true => spoilt_datadog(headers, line, tagger),
        false => spoilt_digits(line, tagger),
    }
}

/// A line with each tagged id in it spoilt, wherever in it that stands. An id may be without its
/// leading zeros, or as AWS X-Ray has it, 8 and 24 digits; of more than 32 digits readers take the
/// first or the last. The work is linear in the line.
fn spoilt_digits(line: &[u8], tagger: &Tagger) -> Option<Vec<u8>> {
    let mut spoilt: Option<Vec<u8>> = None;
    let mut at = 0;
    let mut before: &[u8] = &[];
    for run in line.split(|byte| !byte.is_ascii_hexdigit()) {
        let end = at + run.len();
        let first = (run.get(..WHOLE), at + WHOLE);
        let last = run.get(run.len().saturating_sub(WHOLE)..).filter(|last| last.len() > HALF);
        let joined = (before.len() == 8 && run.len() == 24).then(|| [before, run].concat());
        for (digits, end) in [first, (last, end), (joined.as_deref(), end)] {
            let Some(id) = digits.and_then(number) else { continue };
            if tagger.extract_number(id).is_none() {
                continue;
            }
            // The digit that differs is the first of the last twelve.
            let digit = (tagger.spoil_number(id) >> 44) as u32 & 0xf;
            let written = spoilt.get_or_insert_with(|| line.to_vec());
            if let (Some(place), Some(digit)) =
                (written.get_mut(end - 12), char::from_digit(digit, 16))
            {
                *place = digit as u8;
            }
        }
        before = run;
        at = end + 1;
    }
    spoilt
}

/// Whether a reader may find a tagged id under the base64 of New Relic's JSON (`"tr":"HEX"`), or of
/// the binary context of gRPC (two zeros, then the id). What is not written plainly counts as one,
/// for readers differ in what they make of it.
#[cold]
#[inline(never)]
fn is_tagged_inside(name: &str, text: &[u8], tagger: &Tagger) -> bool {
    let mut buffer = vec![0; text.len()];
    let Some(bytes) = base64::decode(text, &mut buffer) else { return true };
    match name {
        NEW_RELIC => bytes.contains(&b'\\') || spoilt_digits(bytes, tagger).is_some(),
        _ => {
            let id = bytes.strip_prefix(&[0, 0]).and_then(<[u8]>::first_chunk);
            id.is_none_or(|id| tagger.extract_number(u128::from_be_bytes(*id)).is_some())
        }
    }
}

/// Datadog hands on the low half in decimal, and the high one among its tags.
#[cold]
#[inline(never)]
fn spoilt_datadog(headers: &HeaderMap<'_>, line: &[u8], tagger: &Tagger) -> Option<Vec<u8>> {
    let low: u64 = str::from_utf8(line).ok()?.trim().parse().ok()?;
    let tags = headers.lines(DATADOG_TAGS.as_bytes()).flat_map(|tags| tags.split(|b| *b == b','));
    let high = tags.filter_map(|tag| tag.trim_ascii().strip_prefix(b"_dd.p.tid="));
    let mut ids =
        high.filter_map(|high| Some(u128::from(hex::parse(high)?) << 64 | u128::from(low)));
    let tagged = ids.find(|id| tagger.extract_number(*id).is_some())?;
    Some((tagger.spoil_number(tagged) as u64).to_string().into_bytes())
}
