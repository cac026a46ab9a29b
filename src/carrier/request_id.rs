//! Carrier 3: a tagged `x-request-id`.
//!
//! The last group of a UUID is replaced by a keyed hash of the rest, with the track's code mixed
//! in. The id stays a UUID and its first eight digits, on which Envoy decides about sampling,
//! stay random; whoever has the key can read the track back with no memory at all.
//!
//! - message: the first 24 characters, lower-cased, with the one at index 14 replaced by `0`
//!   (Envoy packs its trace reason there: `UUIDRequestIDExtension::setTraceReason`);
//! - `m` = SipHash-2-4(key, message); code(track) = low 16 bits of SipHash-2-4(key, `track:` + name);
//! - the last group, 12 lower-case digits: high 32 bits of `m`, then low 16 bits of `m` xor the code.
//!
//! ```
//! use release_track::carrier::request_id::{Tag, Uuid};
//! use release_track::config::Config;
//! use release_track::track::Carried;
//!
//! let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
//! let tagger = &config.propagation.tagger;
//! let (v2, _) = config.names.iter().next().unwrap();
//!
//! let id = Uuid::parse(b"73cf9109-747e-4c23-92e0-3376878b904e").unwrap();
//! let tagged = tagger.inject(id, Tag::Track(v2)).unwrap();
//! assert_eq!(&tagged, b"73cf9109-747e-4c23-92e0-4494afc95180");
//! assert_eq!(tagger.extract(Uuid::parse(&tagged).unwrap()), Some(Carried::Track(v2)));
//! assert_eq!(tagger.extract(id), None);
//! ```

use crate::syntax::hex;
use crate::track::{BASELINE, Carried, Names, TrackId};
use siphasher::sip::SipHasher24;
use siphasher::sip128;

/// 8-4-4-4-12 hex digits.
const LENGTH: usize = 36;
const MESSAGE: usize = 24;
const TRACE_REASON: usize = 14;

/// An id in the form of a UUID, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid<'a> {
    text: &'a [u8; LENGTH],
    last_group: u64,
}

impl<'a> Uuid<'a> {
    /// `None` for anything that is not 8-4-4-4-12 hex digits, of any case.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text: &[u8; LENGTH] = text.try_into().ok()?;
        if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
            return None;
        }
        for group in [&text[..8], &text[9..13], &text[14..18], &text[19..23]] {
            hex::parse(group)?;
        }
        Some(Self { text, last_group: hex::parse(&text[MESSAGE..])? })
    }

    /// Its digits.
    pub(super) fn number(self) -> u128 {
        number(self.text).unwrap_or_default()
    }

    fn message(self) -> [u8; MESSAGE] {
        let mut message = [0; MESSAGE];
        for (to, from) in message.iter_mut().zip(self.text) {
            // To lower case, of what is a hex digit or a dash.
            *to = from | 0x20;
        }
        message[TRACE_REASON] = b'0';
        message
    }

    fn with_last_group(self, last_group: u64) -> [u8; LENGTH] {
        let mut id = *self.text;
        let mut rest = last_group;
        for byte in id.iter_mut().skip(MESSAGE).rev() {
            *byte = char::from_digit((rest & 0xf) as u32, 16).map_or(b'0', |digit| digit as u8);
            rest >>= 4;
        }
        id
    }

    /// The same id with some bits of the last group's first digit flipped.
    fn flipped(self, bits: u8) -> [u8; LENGTH] {
        let mut id = *self.text;
        if let Some(digit) = id.get_mut(MESSAGE) {
            let flipped = hex::digit(*digit).unwrap_or_default() ^ bits;
            *digit = char::from_digit(flipped.into(), 16).map_or(b'0', |digit| digit as u8);
        }
        id
    }
}

/// What applications read in an id that is not in the form of a UUID: some parse it and print it
/// anew, as one. Each kind of reader has its own idea of what else may stand in it.
fn readings(text: &[u8]) -> impl Iterator<Item = [u8; LENGTH]> {
    // One in the midst of other text (Go's uuid.Parse ignores what stands around it; expressions).
    let within = text.windows(LENGTH).filter_map(|part| Some(*Uuid::parse(part)?.text));
    let is_other = |b: &u8| !b.is_ascii_hexdigit();
    let runs = text.split(is_other).filter(|run| run.len() == 32).filter_map(number).map(print);
    let bare = without(&without(&text.to_ascii_lowercase(), b"urn:"), b"uuid:");
    // All its digits (Python's uuid.UUID, PostgreSQL), wherever the dashes are.
    let whole = number(&bare).map(print);
    // Five groups, short or long (Java's UUID.fromString, .NET's Guid).
    let groups: Vec<u64> = bare.split(|b| *b == b'-').map(low_bits).collect();
    let grouped = match *groups.as_slice() {
        [a, b, c, d, e] => {
            let high = |b, c| u128::from(a << 32 | b << 16 | c) << 64;
            let low = u128::from(d << 48 | e & 0xffff_ffff_ffff);
            // Java cuts off what is too long since release 9; before, it ran into the next group.
            let cut = high(b & 0xffff, c & 0xffff) | low;
            [Some(cut), Some(high(b, c) | u128::from(d << 48 | e))]
        }
        _ => [None; 2],
    };
    within.chain(runs).chain(whole).chain(grouped.into_iter().flatten().map(print))
}

fn digits(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().filter_map(|byte| hex::digit(*byte))
}

/// The number that all hex digits of a text make, if 128 bits hold it.
fn number(text: &[u8]) -> Option<u128> {
    digits(text).try_fold(0_u128, |number, digit| {
        (number >> 124 == 0).then_some(number << 4 | u128::from(digit))
    })
}

fn low_bits(text: &[u8]) -> u64 {
    digits(text).fold(0, |number, digit| number << 4 | u64::from(digit))
}

fn without(text: &[u8], part: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(text.len());
    let mut from = text;
    while let [first, tail @ ..] = from {
        match from.strip_prefix(part) {
            Some(after) => from = after,
            None => {
                rest.push(*first);
                from = tail;
            }
        }
    }
    rest
}

/// In the form of a UUID.
fn print(id: u128) -> [u8; LENGTH] {
    let mut text = [b'-'; LENGTH];
    let mut rest = id;
    for (place, byte) in text.iter_mut().enumerate().rev() {
        if !matches!(place, 8 | 13 | 18 | 23) {
            *byte = char::from_digit((rest & 0xf) as u32, 16).map_or(b'0', |digit| digit as u8);
            rest >>= 4;
        }
    }
    text
}

/// A 128-bit key: 32 hex digits in the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The published key, which guards against accidents only.
    pub const DEFAULT: Self = Self([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| Some(hex::digit(*high)? << 4 | hex::digit(*low)?))
            .collect();
        Some(Self(bytes?.try_into().ok()?))
    }

    fn hash(&self, message: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.0).hash(message)
    }

    /// For texts of any length: SipHash-2-4 with 128 bits.
    pub(crate) fn hash128(&self, text: &[u8]) -> u128 {
        sip128::SipHasher24::new_with_key(&self.0).hash(text).as_u128()
    }

    fn code(&self, track: &str) -> u16 {
        self.hash(format!("track:{track}").as_bytes()) as u16
    }
}

/// The keys of a configuration, with the codes of its tracks.
#[derive(Debug)]
pub struct Tagger {
    /// The first one writes, all read.
    keys: Vec<Codes>,
}

#[derive(Debug)]
struct Codes {
    key: Key,
    baseline: u16,
    /// By track.
    tracks: Vec<u16>,
    /// Sorted by code, for reading.
    by_code: Vec<(u16, Carried)>,
}

impl Codes {
    fn new(key: Key, names: &Names) -> Self {
        let tracks: Vec<u16> = names.iter().map(|(_, name)| key.code(name.as_str())).collect();
        let baseline = key.code(BASELINE);
        let mut by_code: Vec<(u16, Carried)> = vec![(baseline, Carried::Baseline)];
        for (track, code) in (0..).map(TrackId).zip(&tracks) {
            // A sort of its own would take 3 KB of every proxy's module, for a thousand at most.
            let at = by_code.partition_point(|(known, _)| known < code);
            by_code.insert(at, (*code, Carried::Track(track)));
        }
        Self { key, baseline, tracks, by_code }
    }

    /// The low 16 bits of the last group, the code still mixed in, if the id is tagged.
    fn read(&self, id: Uuid<'_>) -> Option<Carried> {
        let m = self.key.hash(&id.message());
        if m >> 32 != id.last_group >> 16 {
            return None;
        }
        let code = (m ^ id.last_group) as u16;
        let found = self.by_code.binary_search_by_key(&code, |(code, _)| *code).ok();
        Some(found.and_then(|at| self.by_code.get(at)).map_or(Carried::Other, |(_, says)| *says))
    }
}

/// What an id is tagged with, when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Track(TrackId),
    Baseline,
}

impl Tagger {
    /// `Err` names two of the tracks (or `baseline`) that have the same code under one of the keys.
    pub fn new(keys: &[Key], names: &Names) -> Result<Self, (String, String)> {
        let keys: Vec<Codes> = keys.iter().map(|key| Codes::new(*key, names)).collect();
        for codes in &keys {
            for pair in codes.by_code.windows(2) {
                if let [(a, first), (b, second)] = pair
                    && a == b
                {
                    return Err((name_of(*first, names), name_of(*second, names)));
                }
            }
        }
        Ok(Self { keys })
    }

    /// What an id's tag says; `None` for an id without one.
    pub fn extract(&self, id: Uuid<'_>) -> Option<Carried> {
        self.keys.iter().find_map(|codes| codes.read(id))
    }

    /// The same for an id without dashes.
    pub(super) fn extract_number(&self, id: u128) -> Option<Carried> {
        self.extract(Uuid::parse(&print(id))?)
    }

    /// The same id, never again read as tagged: the lowest bit of the last group's first digit is
    /// flipped, or others too where another key would read a tag then. Each key reads one of the
    /// fifteen ids that come of it.
    #[cold]
    pub fn spoil(&self, id: Uuid<'_>) -> [u8; LENGTH] {
        let mut spoilt = (1..16).map(|bits| id.flipped(bits));
        let is_free = |id: &[u8; LENGTH]| Uuid::parse(id).and_then(|id| self.extract(id)).is_none();
        spoilt.find(is_free).unwrap_or_else(|| id.flipped(1))
    }

    /// The same for an id without dashes.
    #[cold]
    pub(super) fn spoil_number(&self, id: u128) -> u128 {
        let text = print(id);
        Uuid::parse(&text).and_then(|id| number(&self.spoil(id))).unwrap_or_default()
    }

    /// The id of a new trace that bears this tag: the request's id, or one of random bits.
    #[cold]
    pub(super) fn tagged(&self, id: Option<Uuid<'_>>, random: u128, tag: Tag) -> u128 {
        let random = print(random);
        let Some(id) = id.or_else(|| Uuid::parse(&random)) else { return 0 };
        self.inject(id, tag).and_then(|tagged| number(&tagged)).unwrap_or_else(|| id.number())
    }

    /// The tagged id that some application makes of one that is not in the form of a UUID.
    #[cold]
    pub fn revive(&self, text: &[u8]) -> Option<[u8; LENGTH]> {
        readings(text).find(|id| Uuid::parse(id).and_then(|id| self.extract(id)).is_some())
    }

    /// The id with this tag, or `None` if it has it already.
    pub fn inject(&self, id: Uuid<'_>, tag: Tag) -> Option<[u8; LENGTH]> {
        let codes = self.keys.first()?;
        let code = match tag {
            Tag::Baseline => codes.baseline,
            Tag::Track(track) => *codes.tracks.get(usize::from(track.0))?,
        };
        let m = codes.key.hash(&id.message());
        let last_group = (m >> 32 << 16) | u64::from(m as u16 ^ code);
        (last_group != id.last_group).then(|| id.with_last_group(last_group))
    }
}

fn name_of(says: Carried, names: &Names) -> String {
    match says {
        Carried::Track(track) => names.of(track).to_owned(),
        Carried::Baseline | Carried::Other => BASELINE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Name;

    const ID: &[u8] = b"73cf9109-747e-4c23-92e0-3376878b904e";
    const TAGGED_V2: &[u8] = b"73cf9109-747e-4c23-92e0-4494afc95180";

    fn names(list: &[&str]) -> Names {
        Names::new(list.iter().map(|name| Name::parse(name).unwrap()).collect())
    }

    fn tagger(keys: &[Key]) -> Tagger {
        Tagger::new(keys, &names(&["v3", "v2"])).unwrap()
    }

    fn id(text: &[u8]) -> Uuid<'_> {
        Uuid::parse(text).unwrap()
    }

    const V2: Tag = Tag::Track(TrackId(1));

    #[test]
    fn the_designs_example() {
        let tagger = tagger(&[Key::DEFAULT]);
        assert_eq!(tagger.inject(id(ID), V2).unwrap(), TAGGED_V2);
        assert_eq!(tagger.extract(id(TAGGED_V2)), Some(Carried::Track(TrackId(1))));
        assert_eq!(tagger.inject(id(TAGGED_V2), V2), None);
        assert_eq!(tagger.extract(id(ID)), None);
        assert_eq!(Key::parse("000102030405060708090A0b0c0d0e0f"), Some(Key::DEFAULT));
    }

    #[test]
    fn reads_upper_case_and_a_changed_trace_reason() {
        let tagger = tagger(&[Key::DEFAULT]);
        let upper = TAGGED_V2.to_ascii_uppercase();
        assert_eq!(tagger.extract(id(&upper)), Some(Carried::Track(TrackId(1))));
        for reason in *b"49abf" {
            let mut other = TAGGED_V2.to_vec();
            other[14] = reason;
            assert_eq!(tagger.extract(id(&other)), Some(Carried::Track(TrackId(1))));
        }
        let mut other = TAGGED_V2.to_vec();
        other[15] = b'd';
        assert_eq!(tagger.extract(id(&other)), None);
    }

    #[test]
    fn the_case_of_the_rest_is_kept() {
        let upper = ID.to_ascii_uppercase();
        let tagged = tagger(&[Key::DEFAULT]).inject(id(&upper), V2).unwrap();
        assert_eq!(&tagged[..24], &upper[..24]);
        assert_eq!(&tagged[24..], &TAGGED_V2[24..]);
    }

    #[test]
    fn a_spoilt_tag_never_reads() {
        let tagger = tagger(&[Key::DEFAULT]);
        let spoilt = tagger.spoil(id(TAGGED_V2));
        assert_eq!(&spoilt, b"73cf9109-747e-4c23-92e0-5494afc95180");
        assert_eq!(tagger.extract(id(&spoilt)), None);
        assert_eq!(&tagger.spoil(id(b"73cf9109-747e-4c23-92e0-F494afc95180"))[24..25], b"e");
    }

    #[test]
    fn a_spoilt_tag_is_no_tag_of_another_key() {
        let both = tagger(&[Key::DEFAULT, Key::parse("96e59f2800000000b0b0b0b0b0b0b0b0").unwrap()]);
        let once = id(TAGGED_V2).flipped(1);
        assert!(both.extract(id(&once)).is_some());
        assert_eq!(&both.spoil(id(TAGGED_V2)), b"73cf9109-747e-4c23-92e0-6494afc95180");
    }

    #[test]
    fn what_applications_print_anew_is_read_as_they_do() {
        let tagger = tagger(&[Key::DEFAULT]);
        let plain = "73cf9109747e4c2392e04494afc95180";
        let text = str::from_utf8(TAGGED_V2).unwrap();
        for form in [
            plain.to_owned(),
            plain.to_uppercase(),
            format!("{{{text}}}"),
            format!("{}{text}{}", "{".repeat(500), "}".repeat(500)),
            format!("a{text}b"),
            format!("({plain})"),
            format!("URN:UUID:{text}"),
            format!("uurn:uid:{plain}"),
            format!("uuid:{plain}"),
            format!("id {text} of mine"),
            "73cf-9109-747e-4c23-92e0-4494-afc9-5180".into(),
            format!("00{text}"),
            "ff73cf9109-ff747e-ff4c23-ff92e0-ff4494afc95180".into(),
            "+73cf9109-+747e-+4c23-+92e0-+4494afc95180".into(),
            "0x73cf9109-0x747e-0x4c23-0x92e0-0x4494afc95180".into(),
            "73cf9109-747e-4c23-92e0-4494afc95180\u{a0}".into(),
        ] {
            assert_eq!(
                tagger.revive(form.as_bytes()).as_ref().map(|id| &id[..]),
                Some(TAGGED_V2),
                "{form}"
            );
        }
        for other in
            ["", "-", "----", "job-17", &"a".repeat(61_440), &"-".repeat(61_440), &plain[1..]]
        {
            assert_eq!(tagger.revive(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn short_groups_and_few_digits_have_zeros_in_front() {
        let tagger = tagger(&[Key::DEFAULT]);
        let tagged = tagger.inject(id(b"00000009-007e-0c23-02e0-000000000000"), V2).unwrap();
        let text = str::from_utf8(&tagged).unwrap();
        let last = text.rsplit('-').next().unwrap();
        for form in [format!("9-7e-c23-2e0-{last}"), format!("9007e0c2302e0{last}")] {
            assert_eq!(tagger.revive(form.as_bytes()), Some(tagged), "{form}");
        }
    }

    #[test]
    fn every_key_reads_and_the_first_writes() {
        let new = Key::parse("ffffffffffffffffffffffffffffffff").unwrap();
        let both = tagger(&[new, Key::DEFAULT]);
        assert_eq!(both.extract(id(TAGGED_V2)), Some(Carried::Track(TrackId(1))));
        let written = both.inject(id(ID), V2).unwrap();
        assert_ne!(written, TAGGED_V2);
        assert_eq!(tagger(&[Key::DEFAULT]).extract(id(&written)), None);
        assert_eq!(both.extract(id(&written)), Some(Carried::Track(TrackId(1))));
        // Tagged with an older key: written anew.
        assert!(both.inject(id(TAGGED_V2), V2).is_some());
    }

    #[test]
    fn baseline_and_unknown_codes() {
        let tagger = tagger(&[Key::DEFAULT]);
        let baseline = tagger.inject(id(ID), Tag::Baseline).unwrap();
        assert_eq!(tagger.extract(id(&baseline)), Some(Carried::Baseline));
        let without = Tagger::new(&[Key::DEFAULT], &names(&["v3"])).unwrap();
        assert_eq!(without.extract(id(TAGGED_V2)), Some(Carried::Other));
    }

    #[test]
    fn only_uuids() {
        for bad in [
            &b""[..],
            b"73cf9109-747e-4c23-92e0-3376878b904",
            b"73cf9109-747e-4c23-92e0-3376878b904e0",
            b"73cf9109-747e-4c23-92e0-3376878b904g",
            b"73cf9109_747e-4c23-92e0-3376878b904e",
            b"73cf9109-747e-4c23-92e003376878b904e",
            b"73cf9109-747e-4c23-92e0\xe93376878b904e",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn keys_are_thirty_two_hex_digits() {
        for bad in
            ["", "00", "000102030405060708090a0b0c0d0e0", "000102030405060708090a0b0c0d0e0g", "é"]
        {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
