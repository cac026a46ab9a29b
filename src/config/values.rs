//! The values of fields that are more than a string or a number: each type's `TryFrom` is all that
//! says which ones there are.

use super::calendar;
use crate::carrier::request_id::Key;
use crate::carrier::trace_id::Source;
use crate::decide::token;
use crate::istio::node::App;
use crate::syntax::pattern::Pattern;
use crate::track::{Name, RESERVED};
#[cfg(feature = "schema")]
use schemars::{JsonSchema, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

/// Newtypes of what a string is parsed to. `pattern` is what an editor can check of it.
macro_rules! strings {
    ($($(#[$doc:meta])* $name:ident($inner:ty) $({ $($keyword:literal: $value:expr),+ })? = $parse:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize)]
        #[serde(try_from = "&str")]
        pub(super) struct $name(pub(super) $inner);

        impl TryFrom<&str> for $name {
            type Error = Cow<'static, str>;

            #[cold]
            fn try_from(text: &str) -> Result<Self, Cow<'static, str>> {
                let parse: fn(&str) -> Result<$inner, Cow<'static, str>> = $parse;
                parse(text).map(Self)
            }
        }

        #[cfg(feature = "schema")]
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                json_schema!({"type": "string" $(, $($keyword: $value),+)?})
            }
        }
    )+};
}

strings! {
    /// `[A-Za-z0-9._-]{1,63}`, and not reserved.
    TrackName(Name) {"pattern": "^[A-Za-z0-9._-]{1,63}$"} = |text| {
        let name = Name::parse(text)
            .ok_or("a track's name is 1 to 63 characters of A-Z a-z 0-9 . _ -")?;
        if RESERVED.contains(&text) {
            return Err(format!("this name is reserved, as are {}", RESERVED.join(", ")).into());
        }
        Ok(name)
    };

    /// The header that carries the track, in lower case.
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    TrackHeader(Box<str>) {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"} = |text| {
        let name = header_name(text)?;
        match has_meaning(&name) {
            false => Ok(name),
            true => Err("this header has a meaning of its own and may not be written; use one such as x-release-track".into()),
        }
    };

    /// A header's name, in lower case.
    HeaderName(Box<str>) {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"} = header_name;

    /// The name of a header that a rule looks at, in lower case.
    MatchedHeader(Box<str>) = |text| match is_token(text) {
        true => Ok(lower(text)),
        false => Err("this is no header name; for :path, :method and :authority there are uri, method and authority".into()),
    };

    /// The name of a cookie that a rule looks at.
    MatchedCookie(Box<str>) = |text| {
        let valid = text.trim_ascii() == text && !text.is_empty() && !text.contains([';', '=']);
        match valid {
            true => Ok(text.into()),
            false => Err("a cookie's name has no ; and no = and no white space around it".into()),
        }
    };

    /// The name of a cookie that may be set: a token.
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    CookieName(Box<str>) {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"} = |text| match is_token(text) {
        true => Ok(text.into()),
        false => Err("a cookie's name is a token of letters, digits and -_. or the like".into()),
    };

    /// The domain of a cookie, in lower case (RFC 6265 section 5.2.3: a dot before it means nothing).
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    CookieDomain(Box<str>) {
        "pattern": "^[.]?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.])*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
        "maxLength": 254
    } = |text| {
        let domain = text.strip_prefix('.').unwrap_or(text);
        // An address has no domain, and none ends in a digit's label (RFC 1123 section 2.1).
        let is_name = domain.rsplit('.').next().is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()));
        match is_name && domain.len() <= 253 && domain.split('.').all(is_label) {
            true => Ok(lower(domain)),
            false => Err("a domain such as app.example is expected here, without a port or a *".into()),
        }
    };

    /// The path of a cookie: RFC 6265 section 4.1.1, without white space.
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    CookiePath(Box<str>) {"pattern": "^/[!-:<-~]*$", "maxLength": 1024} = |text| {
        let is_plain = |b: u8| b.is_ascii_graphic() && b != b';';
        match text.starts_with('/') && text.len() <= 1024 && text.bytes().all(is_plain) {
            true => Ok(text.into()),
            false => Err("a path such as / is expected here, without white space and ;".into()),
        }
    };

    /// RFC 3986 section 2.3: characters that no client encodes.
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    ParameterName(Box<str>) {"pattern": "^[A-Za-z0-9._~-]+$"} = |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        match !text.is_empty() && text.bytes().all(plain) {
            true => Ok(text.into()),
            false => Err("a parameter's name is made of letters, digits and - . _ ~".into()),
        }
    };

    /// A string that is not empty.
    Text(Box<str>) {"minLength": 1} = text;

    /// The name of a pod label, which is read as a part of a property's path.
    #[cfg_attr(feature = "schema", derive(serde::Serialize))]
    LabelName(Box<str>) {"minLength": 1} = |name| match name.contains('\0') {
        true => Err("a label's name has no NUL".into()),
        false => text(name),
    };

    /// `app` or `namespace/app`
    AppName(App) {"pattern": "^([^/]+/)?[^/]+$"} = |text| {
        let (namespace, app) = match text.split_once('/') {
            Some((namespace, app)) => (Some(namespace), app),
            None => (None, text),
        };
        if app.is_empty() || app.contains('/') || namespace == Some("") {
            return Err("an app is named as app or namespace/app".into());
        }
        Ok(App { namespace: namespace.map(Into::into), app: app.into() })
    };

    /// A DNS domain in lower case, without a wildcard or dots at its ends.
    Domain(Box<str>) {"minLength": 1} = |name| {
        let name = text(name)?;
        if name.contains('*') && name.bytes().all(|b| matches!(b, b'*' | b'.')) {
            return Err("for every host to be inside, write strip: false instead".into());
        }
        let mut domain = &*name;
        while let Some(inner) = domain.strip_prefix("*.") {
            domain = inner;
        }
        let domain = domain.trim_matches('.');
        match is_domain(domain) {
            true => Ok(lower(domain)),
            false => Err("a domain such as corp.example is expected here, for all hosts under it: no address, range, port, URL or other pattern".into()),
        }
    };

    /// Milliseconds, not zero, of `[0-9]+(ms|s|m|h|d)`.
    Duration(u64) {"pattern": "^[0-9]+(ms|s|m|h|d)$"} = |text| {
        duration_ms(text).ok_or_else(|| {
            "a duration such as 60s is expected here: a number and ms, s, m, h or d".into()
        })
    };

    /// Milliseconds of `[0-9]+(ms|s|m|h|d)`; zero is never.
    Retry(u64) {"pattern": "^[0-9]+(ms|s|m|h|d)$"} = |text| match text {
        "0ms" | "0s" | "0m" | "0h" | "0d" => Ok(0),
        text => duration_ms(text).ok_or_else(|| {
            "a duration such as 10m is expected here: a number and ms, s, m, h or d; or 0s".into()
        }),
    };

    /// RFC 3339 section 5.6, as milliseconds of the Unix epoch.
    DateTime(u64) {
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
    } = |text| {
        calendar::date_time(text.as_bytes()).ok_or_else(|| {
            "a date and time with its offset is expected here, such as 2026-11-24T09:00:00Z".into()
        })
    };

    /// A regular expression.
    Regex(Pattern) {"minLength": 1} = |expression| {
        Pattern::parse(&text(expression)?).map_err(|reason| {
            format!("this is no regular expression that can be used: {reason}").into()
        })
    };

    /// A header whose ids are remembered.
    Correlated(Source) {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"} = |text| {
        header_name(text).map(|name| Source::new(&name))
    };

    /// A key of tagged ids.
    TagKey(Key) {"pattern": "^[0-9A-Fa-f]{32}$"} = |text| {
        Key::parse(text).ok_or_else(|| "a key is 32 hex digits".into())
    };

    /// A key of previews.
    PreviewKey(token::Key) {"pattern": "^([0-9A-Fa-f]{2}){16,64}$"} = |text| {
        token::Key::parse(text)
            .ok_or_else(|| "a key is 32 to 128 hex digits, an even number of them".into())
    };
}

impl Default for TrackHeader {
    fn default() -> Self {
        Self("x-release-track".into())
    }
}

impl Default for ParameterName {
    fn default() -> Self {
        Self("release-track".into())
    }
}

impl Default for CookiePath {
    fn default() -> Self {
        Self("/".into())
    }
}

fn text(text: &str) -> Result<Box<str>, Cow<'static, str>> {
    match text {
        "" => Err("an empty string is not allowed here".into()),
        text => Ok(text.into()),
    }
}

#[inline(never)]
fn header_name(text: &str) -> Result<Box<str>, Cow<'static, str>> {
    match is_token(text) {
        true => Ok(lower(text)),
        false => Err("this is no header name".into()),
    }
}

#[inline(never)]
fn lower(text: &str) -> Box<str> {
    text.to_ascii_lowercase().into()
}

/// RFC 1035 section 2.3.1, and digits anywhere.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// RFC 9110 section 5.6.2: a token.
#[inline(never)]
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Labels between dots, the last of which is no number (RFC 1123 section 2.1): else it is an address.
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        !label.is_empty() && label.bytes().all(plain)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Headers that frame, route or trace a message, or that are carriers themselves: a track
/// written there would break the request.
pub const HEADERS_WITH_MEANING: [&str; 24] = [
    "authorization",
    "b3",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "via",
    "x-cloud-trace-context",
    "x-request-id",
];

/// The same of what begins like this.
pub const PREFIXES_WITH_MEANING: [&str; 6] =
    ["x-envoy-", "x-forwarded-", "x-b3-", "x-datadog-", "x-amzn-", "sec-"];

fn has_meaning(name: &str) -> bool {
    HEADERS_WITH_MEANING.contains(&name)
        || PREFIXES_WITH_MEANING.iter().any(|prefix| name.starts_with(prefix))
}

/// Ten years: no sum with the time of day overflows.
const MAX_DURATION_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    let duration = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=MAX_DURATION_MS).contains(&duration).then_some(duration)
}

/// A number, or something else: the types made of it say what they expect in either case.
struct MaybeNumber(Option<f64>);

impl<'de> Deserialize<'de> for MaybeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        impl Visitor<'_> for AnyNumber {
            type Value = MaybeNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<MaybeNumber, E> {
                Ok(MaybeNumber(Some(number)))
            }

            fn visit_none<E>(self) -> Result<MaybeNumber, E> {
                Ok(MaybeNumber(None))
            }
        }

        deserializer.deserialize_f64(AnyNumber)
    }
}

/// A percentage in steps of 0.01, as hundredths of a percent.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "MaybeNumber")]
pub(super) struct Percent(pub(super) u32);

impl TryFrom<MaybeNumber> for Percent {
    type Error = &'static str;

    fn try_from(MaybeNumber(percent): MaybeNumber) -> Result<Self, &'static str> {
        let hundredths = percent.map(|percent| percent * 100.0);
        hundredths
            // A decimal fraction is not exact in binary.
            .filter(|h| (0.0..=10_000.0).contains(h) && (h - h.round()).abs() < 1e-6)
            .map(|h| Self(h.round() as u32))
            .ok_or("a number from 0 to 100, in steps of 0.01, is expected here")
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    // Validators disagree about multiples of 0.01, which no double is.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 100})
    }
}

/// Newtypes of whole numbers in a range, with what stands there if nothing does.
macro_rules! whole_numbers {
    ($($(#[$doc:meta])* $name:ident = $least:literal..=$most:literal, $default:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(serde::Serialize))]
        #[serde(try_from = "MaybeNumber")]
        pub(super) struct $name(pub(super) u32);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl TryFrom<MaybeNumber> for $name {
            type Error = String;

            #[cold]
            fn try_from(MaybeNumber(number): MaybeNumber) -> Result<Self, String> {
                whole(number, $least..=$most).map(Self)
            }
        }

        #[cfg(feature = "schema")]
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                json_schema!({"type": "integer", "minimum": $least, "maximum": $most})
            }
        }
    )+};
}

whole_numbers! {
    /// Buckets of remembered ids.
    Slots = 1..=65_536, 4096;

    /// Responses that a guard waits for.
    Minimum = 1..=1_000_000, 100;
}

#[cold]
fn whole(number: Option<f64>, range: RangeInclusive<u32>) -> Result<u32, String> {
    let (least, most) = (*range.start(), *range.end());
    let fits = |n: &f64| n.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(n);
    number
        .filter(fits)
        .map(|n| n as u32)
        .ok_or_else(|| format!("a whole number from {least} to {most} is expected here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds() {
        for (text, ms) in [
            ("1ms", 1),
            ("60s", 60_000),
            ("3m", 180_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("3650d", 315_360_000_000),
        ] {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "ms", "0d", "3651d", "1", "1 s", "+1s", "1S", "1sm", "307445734561826d"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }
}
