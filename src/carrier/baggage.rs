//! Carrier 2: the baggage member `release-track` (W3C Baggage, section 3.3, HTTP header format).
//!
//! Several `baggage` lines are one list. Members are separated by `,`, white space is allowed
//! around `,` `=` `;`, values are percent-encoded. Other members pass through byte for byte and
//! in their order; a malformed member is nobody's and passes through too.
//!
//! Applications read more into a member than W3C does: they decode keys, trim what is white
//! space to them, fold case. What comes from a client or leaves the mesh is therefore searched
//! with [`Reading::Any`].
//!
//! ```
//! use release_track::carrier::{Edit, baggage};
//! use release_track::config::Config;
//! use release_track::host::header_map::HeaderMap;
//!
//! let names = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap().names;
//! let headers: HeaderMap = [("baggage", "a=1,release-track=v2;p=1,b=2")].iter().collect();
//! assert_eq!(baggage::extract(&headers, &names).map(|says| names.label(says)), Some("v2"));
//! let removed = baggage::remove(&headers, baggage::Reading::Any);
//! assert_eq!(removed, Edit::Set(b"a=1,b=2".to_vec()));
//! ```

use super::Edit;
use crate::host::header_map::HeaderMap;
use crate::syntax::hex;
use crate::track::{Carried, Name, Names};

/// The header.
const NAME: &[u8] = b"baggage";

/// The member's name, whatever the configured header is called.
const KEY: &[u8] = b"release-track";

/// Headers that some applications read as baggage, and hand on as such.
///
/// Lists: .NET reads the first where there is no `baggage` (`DistributedContextPropagator`),
/// Jaeger's clients the second, and OpenTelemetry's X-Ray propagator for Java takes what it does
/// not know in the third for a member (up to version 1.31 at least). The others are one member
/// each, its key in their name: Jaeger's, OpenTracing's, Sleuth's and Brave's, which
/// OpenTelemetry's and Datadog's libraries read too.
pub const ALIASES: [&str; 7] = [
    "correlation-context",
    "jaeger-baggage",
    "x-amzn-trace-id",
    "uberctx-release-track",
    "ot-baggage-release-track",
    "baggage-release-track",
    "release-track",
];

/// Its letters and digits, in lower case.
const LETTERS: &[u8] = b"releasetrack";

/// Which members count as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Those that this proxy reads: well formed, the key is `release-track` once it is decoded.
    Strict,
    /// Those that any reader could take for ours, whatever their value: see `could_be_ours`.
    Any,
}

impl Reading {
    fn finds(self, segment: &[u8], text: &mut Vec<u8>) -> bool {
        match self {
            Self::Strict => ours(segment).is_some(),
            Self::Any => could_be_ours(segment, text),
        }
    }
}

/// What every platform must propagate (W3C Baggage, section 3.3.2, Limits): the combined list.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// What our member says. Of two members of ours the last wins.
pub fn extract(headers: &HeaderMap<'_>, names: &Names) -> Option<Carried> {
    let value = segments(headers, NAME).filter_map(ours).last()?;
    let mut buffer = [0; Name::MAX];
    names.read(percent_decode(value, &mut buffer)?)
}

/// What became of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    pub edit: Edit,
    /// Our member would have crossed the limits, so the list has none.
    pub full: bool,
}

/// Makes our member say `track`: in the place of the first one of ours, else as the last.
pub fn inject(headers: &HeaderMap<'_>, track: &str, reading: Reading) -> Injected {
    let mut text = Vec::new();
    let mut mine = segments(headers, NAME).filter(|segment| reading.finds(segment, &mut text));
    if let (Some(segment), None) = (mine.next(), mine.next())
        && says(segment, track, reading)
    {
        return Injected { edit: Edit::Keep, full: false };
    }
    let list = rewrite(headers, NAME, Some(track), reading);
    let members = list.split(|b| *b == b',').filter(|member| !trim(member).is_empty()).count();
    if list.len() > MAX_BYTES || members > MAX_MEMBERS {
        return Injected { edit: remove(headers, reading), full: true };
    }
    Injected { edit: Edit::Set(list), full: false }
}

/// Whether the member says `track` already, so that nobody reads it otherwise.
fn says(segment: &[u8], track: &str, reading: Reading) -> bool {
    if reading == Reading::Any {
        let plain = trim(segment).strip_prefix(KEY).and_then(|rest| rest.strip_prefix(b"="));
        return plain == Some(track.as_bytes());
    }
    let mut buffer = [0; Name::MAX];
    ours(segment).and_then(|value| percent_decode(value, &mut buffer)) == Some(track.as_bytes())
}

/// Takes our members out.
pub fn remove(headers: &HeaderMap<'_>, reading: Reading) -> Edit {
    remove_from(headers, NAME, reading)
}

/// Takes our member out of a header, if that is one of the [`ALIASES`].
pub fn remove_alias(headers: &HeaderMap<'_>, name: &[u8]) -> Edit {
    match ALIASES.iter().any(|alias| alias.as_bytes() == name) {
        true if name.ends_with(KEY) => Edit::Remove,
        true => remove_from(headers, name, Reading::Any),
        false => Edit::Keep,
    }
}

fn remove_from(headers: &HeaderMap<'_>, name: &[u8], reading: Reading) -> Edit {
    let mut text = Vec::new();
    if !segments(headers, name).any(|segment| reading.finds(segment, &mut text)) {
        return Edit::Keep;
    }
    let list = rewrite(headers, name, None, reading);
    if list.iter().all(|b| matches!(b, b' ' | b'\t' | b',')) {
        Edit::Remove
    } else {
        Edit::Set(list)
    }
}

/// The list with our members taken out, and `track` in the place of the first or at the end.
fn rewrite(headers: &HeaderMap<'_>, name: &[u8], track: Option<&str>, reading: Reading) -> Vec<u8> {
    let mut list = Vec::new();
    let mut text = Vec::new();
    let mut track = track;
    let mut write = |segment: &[&[u8]]| {
        if !list.is_empty() {
            list.push(b',');
        }
        segment.iter().for_each(|part| list.extend_from_slice(part));
    };
    for segment in segments(headers, name) {
        if !reading.finds(segment, &mut text) {
            write(&[segment]);
        } else if let Some(track) = track.take() {
            write(&[KEY, b"=", track.as_bytes()]);
        }
    }
    if let Some(track) = track {
        write(&[KEY, b"=", track.as_bytes()]);
    }
    list
}

/// Whether any reader could take this for a member of ours: whether `release-track` is left of
/// it where a name can stand, once escapes (`%xx`, also escaped ones) are decoded, and all but
/// letters, digits and separators is dropped.
///
/// Each of these steps may be taken in any order and place with one result (no two of them ever
/// want the same byte), so that a reader who takes only some of them, as often as it likes,
/// finds nothing that is not found here. The work is linear: an escape that is decoded leaves
/// two bytes less. `text` is room for it, kept from one to the next.
fn could_be_ours(segment: &[u8], text: &mut Vec<u8>) -> bool {
    text.clear();
    for byte in segment {
        let mut byte = *byte;
        while let [.., b'%', high] = text.as_slice()
            && let (Some(high), Some(low)) = (hex::digit(*high), hex::digit(byte))
        {
            text.truncate(text.len() - 2);
            byte = high << 4 | low;
        }
        if byte.is_ascii_alphanumeric() || b"%,;=".contains(&byte) {
            text.push(byte.to_ascii_lowercase());
        }
    }
    let is_ours = |name: &[u8]| name.iter().filter(|b| **b != b'%').eq(LETTERS);
    // Some readers go on in pairs after the first: `a=b=release-track=v2`.
    text.split(|b| matches!(b, b',' | b';')).any(|part| {
        let names = part.iter().rposition(|b| *b == b'=').and_then(|last| part.get(..last));
        names.unwrap_or(part).split(|b| *b == b'=').any(is_ours)
    })
}

/// What stands between the commas of all lines of a header. Empty lines hold nothing.
fn segments<'a>(headers: &'a HeaderMap<'a>, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    headers
        .lines(name)
        .filter(|line| !trim(line).is_empty())
        .flat_map(|line| line.split(|b| *b == b','))
}

/// The still encoded value of a well-formed member whose decoded key is ours.
fn ours(segment: &[u8]) -> Option<&[u8]> {
    let member = segment.split(|b| *b == b';').next()?;
    let equals = member.iter().position(|b| *b == b'=')?;
    let (key, value) = member.split_at_checked(equals)?;
    let (key, value) = (trim(key), trim(value.get(1..)?));
    // Every encoded character takes three, so a longer key is another's.
    let mut buffer = [0; KEY.len() * 3];
    let well_formed = key.iter().all(is_token) && value.iter().all(is_baggage_octet);
    (well_formed && percent_decode(key, &mut buffer) == Some(KEY)).then_some(value)
}

/// RFC 9110 section 5.6.2: tchar
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// W3C Baggage: baggage-octet, and `%` which its values are encoded with.
fn is_baggage_octet(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(byte)
}

/// Decodes into `buffer`; `None` where it does not fit. An escape that is none stays as it is.
fn percent_decode<'a>(text: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut rest = text;
    let mut length = 0;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match rest {
            [b'%', high, low, tail @ ..] => match (hex::digit(*high), hex::digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => (b'%', tail_of(rest)),
            },
            _ => (*first, tail),
        };
        *buffer.get_mut(length)? = byte;
        length += 1;
        rest = tail;
    }
    buffer.get(..length)
}

fn tail_of(bytes: &[u8]) -> &[u8] {
    bytes.get(1..).unwrap_or_default()
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::TrackId;

    fn headers(lines: &[&str]) -> HeaderMap<'static> {
        let pairs: Vec<_> = lines.iter().map(|line| ("baggage", *line)).collect();
        pairs.iter().collect()
    }

    fn says(lines: &[&str]) -> Option<Carried> {
        let names = ["v2", "v3"].map(|name| Name::parse(name).unwrap());
        extract(&headers(lines), &Names::new(names.to_vec()))
    }

    const V2: Option<Carried> = Some(Carried::Track(TrackId(0)));
    const V3: Option<Carried> = Some(Carried::Track(TrackId(1)));

    #[test]
    fn reads_our_member_wherever_it_stands() {
        assert_eq!(says(&["release-track=v2"]), V2);
        assert_eq!(says(&["a=1,release-track=v2,b=2"]), V2);
        assert_eq!(says(&["a=1", " release-track\t= v2 ; ttl=5 ; x , b=2"]), V2);
        assert_eq!(says(&["a=release-track=v2"]), None);
        assert_eq!(says(&["Release-Track=v2"]), None);
        assert_eq!(says(&[""]), None);
    }

    #[test]
    fn decodes_key_and_value() {
        assert_eq!(says(&["release%2Dtrack=v%32"]), V2);
        assert_eq!(says(&["%72%65%6C%65%61%73%65%2D%74%72%61%63%6b=v2"]), V2);
        assert_eq!(says(&["release%2gtrack=v2"]), None);
        assert_eq!(says(&["release-track=%zz"]), None);
    }

    #[test]
    fn the_last_of_ours_wins_and_malformed_ones_are_skipped() {
        assert_eq!(says(&["release-track=v2,release-track=v3"]), V3);
        assert_eq!(says(&["release-track=v3", "release-track=v2"]), V2);
        assert_eq!(says(&["release-track=v2,release-track"]), V2);
        assert_eq!(says(&["release-track=v2,release-track=v 3"]), V2);
        assert_eq!(says(&["=,;=;,\",release-track=v2"]), V2);
        assert_eq!(says(&["release-track=v2,release-track="]), None);
        assert_eq!(says(&["release-track=v9"]), Some(Carried::Other));
        assert_eq!(says(&["release-track=baseline"]), Some(Carried::Baseline));
    }

    fn inject(headers: &HeaderMap<'_>, track: &str) -> Injected {
        super::inject(headers, track, Reading::Strict)
    }

    fn remove(headers: &HeaderMap<'_>) -> Edit {
        super::remove(headers, Reading::Strict)
    }

    fn set(value: &str) -> Injected {
        Injected { edit: Edit::Set(value.as_bytes().to_vec()), full: false }
    }

    #[test]
    fn merges_without_touching_another_member() {
        assert_eq!(inject(&headers(&[]), "v2"), set("release-track=v2"));
        assert_eq!(inject(&headers(&["a=1 ; p, b=2"]), "v2"), set("a=1 ; p, b=2,release-track=v2"));
        assert_eq!(inject(&headers(&["a=1", "b=2"]), "v2"), set("a=1,b=2,release-track=v2"));
        assert_eq!(
            inject(&headers(&["a=1,release-track=v3;p=1, b=2"]), "v2"),
            set("a=1,release-track=v2, b=2")
        );
        assert_eq!(
            inject(&headers(&["release-track=v2,a=1,release-track=v2"]), "v2"),
            set("release-track=v2,a=1")
        );
        assert_eq!(inject(&headers(&["oops,,x y=1"]), "v2"), set("oops,,x y=1,release-track=v2"));
        assert_eq!(inject(&headers(&["a=1, release-track = v2;p"]), "v2").edit, Edit::Keep);
    }

    #[test]
    fn removes_only_our_members() {
        assert_eq!(remove(&headers(&["a=1"])), Edit::Keep);
        assert_eq!(remove(&headers(&["release-track=v2", "release%2Dtrack=v2"])), Edit::Remove);
        assert_eq!(remove(&headers(&["a=1, release-track=v2 ,b"])), Edit::Set(b"a=1,b".to_vec()));
    }

    #[test]
    fn keeps_to_sixty_four_members_and_8192_bytes() {
        let members = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        assert!(!inject(&headers(&[&members(63)]), "v2").full);
        let full = Injected { edit: Edit::Keep, full: true };
        assert_eq!(inject(&headers(&[&members(64)]), "v2"), full);
        let line = |n: usize| format!("k={}", "x".repeat(n - 2));
        let ours = ",release-track=v2".len();
        assert!(!inject(&headers(&[&line(8192 - ours)]), "v2").full);
        assert_eq!(inject(&headers(&[&line(8193 - ours)]), "v2"), full);
        // A wrong member of ours must go even where the right one has no room.
        let wrong = format!("{},release-track=v3", line(8191));
        let without = Edit::Set(line(8191).into_bytes());
        assert_eq!(inject(&headers(&[&wrong]), "v2"), Injected { edit: without, full: true });
    }

    #[test]
    fn any_reading_that_comes_to_our_name_is_ours() {
        for member in [
            "release-track=v2",
            "+release-track=v2",
            "%20release-track%09=v2",
            "release%2Dtrack=v2",
            "release%252525252Dtrack=v2",
            "release%2%35%32Dtrack=v2",
            "release%2+Dtrack=v2",
            "\u{feff}release\u{a0}-track\u{7f}=v2",
            "\"release-track\"=v2",
            "Release_Track=v2",
            "releaseTrack=v2",
            "release-track",
            "release-track;x=v2",
            "a=1;release-track=v2",
            "a=b=release-track=v2",
            "a=1%2Crelease-track=v2",
            "a=1%253B%2572elease-track%253Dv2",
            "=release-track=v2",
        ] {
            let headers = headers(&[&format!("x=1,{member},y=2")]);
            assert_eq!(
                super::remove(&headers, Reading::Any),
                Edit::Set(b"x=1,y=2".to_vec()),
                "{member}"
            );
        }
    }

    #[test]
    fn what_nobody_takes_for_ours_stays() {
        for member in [
            "",
            "a",
            "a=release-track",
            "release-tracks=v2",
            "my-release-track=v2",
            "release%2=track",
            "release=track",
            "release%ztrack=v2",
            "x=%",
            "x=%%%",
            "%=%2",
        ] {
            assert_eq!(super::remove(&headers(&[member]), Reading::Any), Edit::Keep, "{member}");
        }
    }

    #[test]
    fn in_place_of_any_reading_of_ours_stands_one_plain_member() {
        let inject = |line| super::inject(&headers(&[line]), "v2", Reading::Any);
        for line in ["x=1,release%2Dtrack=v2", "x=1,+release-track=v2,Release-Track=v3"] {
            assert_eq!(inject(line), set("x=1,release-track=v2"), "{line}");
        }
        assert_eq!(inject("x=1,release-track=v2;p"), set("x=1,release-track=v2"));
        assert_eq!(inject("x=1, release-track=v2 ").edit, Edit::Keep);
    }

    #[test]
    fn other_names_of_baggage() {
        let left = |name: &str, value: &str| {
            remove_alias(&[(name, value)].iter().collect(), name.as_bytes())
        };
        for name in &ALIASES[..3] {
            assert_eq!(left(name, "a=1,release%2Dtrack=v2"), Edit::Set(b"a=1".to_vec()), "{name}");
            assert_eq!(left(name, "a=1"), Edit::Keep, "{name}");
        }
        for name in &ALIASES[3..] {
            assert_eq!(left(name, "v2"), Edit::Remove, "{name}");
        }
        assert_eq!(left("x-amzn-trace-id", "Root=1-0-0;release-track=v2"), Edit::Remove);
    }

    #[test]
    fn the_deepest_escapes_are_read_once() {
        for deep in [
            format!("release%{}2Dtrack=v2", "25".repeat(30_000)),
            format!("{}release-track=v2", "%20+".repeat(15_000)),
        ] {
            assert_eq!(super::remove(&headers(&[&deep]), Reading::Any), Edit::Remove);
        }
        let unfinished = format!("{}2=v2", "%".repeat(60_000));
        assert_eq!(super::remove(&headers(&[&unfinished]), Reading::Any), Edit::Keep);
    }
}
