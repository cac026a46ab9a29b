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

    /// The same id, never again read as tagged: the lowest bit of the last group's first digit
    /// is flipped.
    pub fn spoilt(self) -> [u8; LENGTH] {
        let mut id = *self.text;
        if let Some(digit) = id.get_mut(MESSAGE) {
            let flipped = hex::digit(*digit).unwrap_or_default() ^ 1;
            *digit = char::from_digit(flipped.into(), 16).map_or(b'0', |digit| digit as u8);
        }
        id
    }
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
        let mut by_code: Vec<_> = (0..)
            .map(|place| Carried::Track(TrackId(place)))
            .zip(&tracks)
            .map(|(t, c)| (*c, t))
            .collect();
        by_code.push((baseline, Carried::Baseline));
        by_code.sort_unstable_by_key(|(code, _)| *code);
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
        let spoilt = id(TAGGED_V2).spoilt();
        assert_eq!(&spoilt, b"73cf9109-747e-4c23-92e0-5494afc95180");
        assert_eq!(tagger.extract(id(&spoilt)), None);
        assert_eq!(&id(b"73cf9109-747e-4c23-92e0-F494afc95180").spoilt()[24..25], b"e");
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
