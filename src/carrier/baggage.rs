//! Carrier 2: the baggage member `release-track` (W3C Baggage, section 3.3, HTTP header format).
//!
//! Several `baggage` lines are one list. Members are separated by `,`, white space is allowed
//! around `,` `=` `;`, values are percent-encoded. Other members pass through byte for byte and
//! in their order; a malformed member is nobody's and passes through too.

use super::Edit;
use crate::host::header_map::HeaderMap;
use crate::syntax::hex;
use crate::track::{Carried, Name, Names};

/// The member's name, whatever the configured header is called.
const KEY: &[u8] = b"release-track";

/// What every platform must propagate (W3C Baggage, section 3.3.2, Limits): the combined list.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// What our member says. Of two members of ours the last wins.
pub fn extract(headers: &HeaderMap, names: &Names) -> Option<Carried> {
    let value = segments(headers).filter_map(ours).last()?;
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
pub fn inject(headers: &HeaderMap, track: &str) -> Injected {
    let mut buffer = [0; Name::MAX];
    let mut mine = segments(headers).filter_map(ours);
    if let (Some(value), None) = (mine.next(), mine.next())
        && percent_decode(value, &mut buffer) == Some(track.as_bytes())
    {
        return Injected { edit: Edit::Keep, full: false };
    }
    let list = rewrite(headers, Some(track));
    let members = list.split(|b| *b == b',').filter(|member| !trim(member).is_empty()).count();
    if list.len() > MAX_BYTES || members > MAX_MEMBERS {
        return Injected { edit: remove(headers), full: true };
    }
    Injected { edit: Edit::Set(list), full: false }
}

/// Takes our members out.
pub fn remove(headers: &HeaderMap) -> Edit {
    if segments(headers).filter_map(ours).next().is_none() {
        return Edit::Keep;
    }
    let list = rewrite(headers, None);
    if list.iter().all(|b| matches!(b, b' ' | b'\t' | b',')) {
        Edit::Remove
    } else {
        Edit::Set(list)
    }
}

/// The list with our members taken out, and `track` in the place of the first or at the end.
fn rewrite(headers: &HeaderMap, track: Option<&str>) -> Vec<u8> {
    let mut list = Vec::new();
    let mut track = track;
    let mut write = |segment: &[&[u8]]| {
        if !list.is_empty() {
            list.push(b',');
        }
        segment.iter().for_each(|part| list.extend_from_slice(part));
    };
    for segment in segments(headers) {
        if ours(segment).is_none() {
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

/// What stands between the commas of all lines. Empty lines hold nothing.
fn segments(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .lines(b"baggage")
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

    fn headers(lines: &[&str]) -> HeaderMap {
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
}
