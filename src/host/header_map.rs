//! A request's headers as the proxy gave them, read in place.
//!
//! A proxy serialises them in the form of the Proxy-Wasm ABI 0.2.1 (`proxy_get_header_map_pairs`):
//! `u32` number of pairs, then `u32` length of name and of value for every pair, then every name
//! and value, each followed by a NUL; all numbers are little-endian. Or it lends its own bytes.
//! Either way reading costs no allocation beyond the one that the map is.

use std::marker::PhantomData;
use std::ops::Range;

/// A header map. Pairs are in the proxy's order, duplicates included.
#[derive(Clone, Debug)]
pub struct HeaderMap<'h>(Form<'h>);

#[derive(Clone, Debug)]
enum Form<'h> {
    Serialized(Vec<u8>, PhantomData<&'h [u8]>),
    /// A module in WebAssembly sees nothing of its host's memory, and need not ask which it is.
    #[cfg(not(target_family = "wasm"))]
    Lent(Vec<(&'h [u8], &'h [u8])>),
}

/// Where a part of a header map stands in it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The number of its line.
    #[cfg_attr(target_family = "wasm", expect(dead_code))]
    line: usize,
    /// In the serialised map, or in the value of its line.
    range: Range<usize>,
}

impl<'h> HeaderMap<'h> {
    /// Takes what `proxy_get_header_map_pairs` returned. Nothing is trusted: a map that is cut
    /// short reads as the pairs that are whole.
    pub fn from_serialized(bytes: Vec<u8>) -> Self {
        Self(Form::Serialized(bytes, PhantomData))
    }

    /// Takes pairs that the proxy lends, names in lower case.
    #[cfg(not(target_family = "wasm"))]
    pub fn lent(pairs: Vec<(&'h [u8], &'h [u8])>) -> Self {
        Self(Form::Lent(pairs))
    }

    /// The pairs of header name (lower case, as Envoy keeps them) and value.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        match &self.0 {
            Form::Serialized(bytes, _) => Iter(Pairs::serialized(bytes)),
            #[cfg(not(target_family = "wasm"))]
            Form::Lent(pairs) => Iter(Pairs::Lent(pairs.iter())),
        }
    }

    /// Where a part of the value of a line stands in this map, for [`HeaderMap::at`]; `line` is
    /// the number of that line in [`HeaderMap::iter`]. `None` for other bytes.
    pub fn place_of(&self, line: usize, part: &[u8]) -> Option<Place> {
        let whole: &[u8] = match &self.0 {
            Form::Serialized(bytes, _) => bytes,
            #[cfg(not(target_family = "wasm"))]
            Form::Lent(pairs) => pairs.get(line)?.1,
        };
        if part.is_empty() {
            return Some(Place { line, range: 0..0 });
        }
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= whole.len()).then_some(Place { line, range: start..end })
    }

    pub fn at(&self, place: Place) -> Option<&[u8]> {
        match &self.0 {
            Form::Serialized(bytes, _) => bytes.get(place.range),
            #[cfg(not(target_family = "wasm"))]
            Form::Lent(pairs) => pairs.get(place.line)?.1.get(place.range),
        }
    }

    /// The value of a header's first line.
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.lines(name).next()
    }

    /// The values of every line of one header, in order.
    pub fn lines<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl<'a, N: AsRef<[u8]> + 'a, V: AsRef<[u8]> + 'a> FromIterator<&'a (N, V)> for HeaderMap<'_> {
    /// Serialises pairs, for hosts that are not a proxy.
    fn from_iter<I: IntoIterator<Item = &'a (N, V)>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs.into_iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
        for (name, value) in &pairs {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend((value.len() as u32).to_le_bytes());
        }
        for (name, value) in &pairs {
            bytes.extend([name, b"\0".as_slice(), value, b"\0"].concat());
        }
        Self::from_serialized(bytes)
    }
}

/// See [`HeaderMap::iter`].
#[derive(Clone)]
pub struct Iter<'a>(Pairs<'a>);

#[derive(Clone)]
enum Pairs<'a> {
    Serialized {
        sizes: &'a [u8],
        data: &'a [u8],
    },
    #[cfg(not(target_family = "wasm"))]
    Lent(std::slice::Iter<'a, (&'a [u8], &'a [u8])>),
}

impl<'a> Pairs<'a> {
    fn serialized(bytes: &'a [u8]) -> Self {
        let (count, rest) = match bytes.split_first_chunk() {
            Some((count, rest)) => (u32::from_le_bytes(*count) as usize, rest),
            None => (0, [].as_slice()),
        };
        match count.checked_mul(8).and_then(|n| rest.split_at_checked(n)) {
            Some((sizes, data)) => Self::Serialized { sizes, data },
            None => Self::Serialized { sizes: &[], data: &[] },
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Pairs::Serialized { sizes, data } => {
                let (name_size, rest) = sizes.split_first_chunk()?;
                let (value_size, rest) = rest.split_first_chunk()?;
                *sizes = rest;
                let (name, rest) = data.split_at_checked(u32::from_le_bytes(*name_size) as usize)?;
                let (value, rest) =
                    rest.get(1..)?.split_at_checked(u32::from_le_bytes(*value_size) as usize)?;
                *data = rest.get(1..)?;
                Some((name, value))
            }
            #[cfg(not(target_family = "wasm"))]
            Pairs::Lent(pairs) => pairs.next().copied(),
        }
    }
}

/// Some header names, by length and last byte. Most headers are told apart from those by this
/// alone. `_` counts as `-`, so that a header's alias is not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sieve(u64);

impl Sieve {
    pub fn add(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    /// Whether `name` may be one of those.
    #[inline]
    pub fn fit(self, name: &[u8]) -> bool {
        self.0 & Self::bit(name) != 0
    }

    #[inline]
    fn bit(name: &[u8]) -> u64 {
        1 << Self::slot(name)
    }

    /// One of 64 that a name falls into, its aliases beside it.
    #[inline]
    pub fn slot(name: &[u8]) -> usize {
        let last = match name.last() {
            Some(b'_') => b'-',
            Some(byte) => byte | 0x20,
            None => 0,
        };
        // The last five bits of a letter tell it apart from all others.
        name.len().wrapping_mul(11).wrapping_add(last.into()) % 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static [u8])]) -> HeaderMap<'static> {
        pairs.iter().collect()
    }

    fn lent(pairs: &[(&'static str, &'static [u8])]) -> HeaderMap<'static> {
        HeaderMap::lent(pairs.iter().map(|(name, value)| (name.as_bytes(), *value)).collect())
    }

    #[test]
    fn keeps_order_duplicates_and_any_byte() {
        let pairs: [(&str, &[u8]); 4] =
            [(":path", b"/"), ("cookie", b"a=\xe9"), ("empty", b""), ("cookie", b"b\0c")];
        let want: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
        for map in [map(&pairs), lent(&pairs)] {
            assert_eq!(map.iter().collect::<Vec<_>>(), want);
            assert_eq!(map.lines(b"cookie").count(), 2);
        }
    }

    #[test]
    fn a_part_is_found_again_by_its_place() {
        let pairs: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"xyz")];
        for map in [map(&pairs), lent(&pairs)] {
            let part = &map.first(b"b").unwrap()[1..];
            assert_eq!(map.at(map.place_of(1, part).unwrap()), Some(&b"yz"[..]));
            assert_eq!(map.at(map.place_of(1, b"").unwrap()), Some(&b""[..]));
            assert!(map.place_of(1, b"elsewhere").is_none());
        }
    }

    #[test]
    fn a_map_cut_anywhere_reads_as_a_prefix() {
        let whole = map(&[("a", b"1"), ("bb", b""), ("c", b"333")]);
        let all: Vec<_> = whole.iter().collect();
        let Form::Serialized(bytes, _) = &whole.0 else { unreachable!() };
        for end in 0..bytes.len() {
            let cut = HeaderMap::from_serialized(bytes[..end].to_vec());
            let read: Vec<_> = cut.iter().collect();
            assert!(all.starts_with(&read), "cut at {end}");
            assert!(read.len() < all.len(), "cut at {end}");
        }
    }

    #[test]
    fn lying_lengths_are_survived() {
        for bytes in [
            vec![0xff; 64],
            [&u32::MAX.to_le_bytes()[..], &[0; 32]].concat(),
            [&1u32.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &u32::MAX.to_le_bytes()].concat(),
        ] {
            assert_eq!(HeaderMap::from_serialized(bytes).iter().count(), 0);
        }
    }

    #[test]
    fn a_sieve_holds_its_names_and_their_twins() {
        let mut sieve = Sieve::default();
        for name in ["cookie", "x-release-track", "x-", &"x".repeat(500), ""] {
            sieve.add(name.as_bytes());
        }
        for fits in ["cookie", "x_release_track", "X-Release_TRACK", "x_", &"x".repeat(500), ""] {
            assert!(sieve.fit(fits.as_bytes()), "{fits}");
        }
        for other in ["accept", "referer", "accept-language", "user-agent", &"x".repeat(501)] {
            assert!(!sieve.fit(other.as_bytes()), "{other}");
        }
    }
}
