//! A request's headers as the proxy serialised them, read in place.
//!
//! The form of the Proxy-Wasm ABI 0.2.1 (`proxy_get_header_map_pairs`): `u32` number of pairs,
//! then `u32` length of name and of value for every pair, then every name and value, each
//! followed by a NUL. All numbers are little-endian. Reading it in place costs no allocation
//! beyond the one that the proxy made.

use std::ops::Range;

/// An owned, serialised header map. Pairs are in the proxy's order, duplicates included.
#[derive(Clone, Debug, Default)]
pub struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// Takes what `proxy_get_header_map_pairs` returned. Nothing is trusted: a map that is cut
    /// short reads as the pairs that are whole.
    pub fn from_serialized(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The pairs of header name (lower case, as Envoy keeps them) and value.
    pub fn iter(&self) -> Iter<'_> {
        let (count, rest) = match self.0.split_first_chunk() {
            Some((count, rest)) => (u32::from_le_bytes(*count) as usize, rest),
            None => (0, [].as_slice()),
        };
        match count.checked_mul(8).and_then(|n| rest.split_at_checked(n)) {
            Some((sizes, data)) => Iter { sizes, data },
            None => Iter { sizes: &[], data: &[] },
        }
    }

    /// Where a part of this map stands in it, for [`HeaderMap::at`]; `None` for other bytes.
    pub fn place_of(&self, part: &[u8]) -> Option<Range<usize>> {
        if part.is_empty() {
            return Some(0..0);
        }
        let start = part.as_ptr().addr().checked_sub(self.0.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= self.0.len()).then_some(start..end)
    }

    pub fn at(&self, place: Range<usize>) -> Option<&[u8]> {
        self.0.get(place)
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

impl<'a, N: AsRef<[u8]> + 'a, V: AsRef<[u8]> + 'a> FromIterator<&'a (N, V)> for HeaderMap {
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
        Self(bytes)
    }
}

/// See [`HeaderMap::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    sizes: &'a [u8],
    data: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name_size, rest) = self.sizes.split_first_chunk()?;
        let (value_size, rest) = rest.split_first_chunk()?;
        self.sizes = rest;
        let (name, data) = self.data.split_at_checked(u32::from_le_bytes(*name_size) as usize)?;
        let (value, data) =
            data.get(1..)?.split_at_checked(u32::from_le_bytes(*value_size) as usize)?;
        self.data = data.get(1..)?;
        Some((name, value))
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

    fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
        pairs.iter().collect()
    }

    #[test]
    fn keeps_order_duplicates_and_any_byte() {
        let pairs: [(&str, &[u8]); 4] =
            [(":path", b"/"), ("cookie", b"a=\xe9"), ("empty", b""), ("cookie", b"b\0c")];
        let read: Vec<_> = map(&pairs).iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        let want: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.to_vec())).collect();
        assert_eq!(read, want);
        assert_eq!(map(&pairs).lines(b"cookie").count(), 2);
    }

    #[test]
    fn a_part_is_found_again_by_its_place() {
        let map = map(&[("a", b"1"), ("b", b"xyz")]);
        let part = &map.first(b"b").unwrap()[1..];
        assert_eq!(map.at(map.place_of(part).unwrap()), Some(&b"yz"[..]));
        assert_eq!(map.place_of(b"elsewhere").and_then(|place| map.at(place)), None);
    }

    #[test]
    fn a_map_cut_anywhere_reads_as_a_prefix() {
        let whole = map(&[("a", b"1"), ("bb", b""), ("c", b"333")]);
        let all: Vec<_> = whole.iter().collect();
        for end in 0..whole.0.len() {
            let cut = HeaderMap::from_serialized(whole.0[..end].to_vec());
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
