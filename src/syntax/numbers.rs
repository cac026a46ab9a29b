//! Configured keys, each with a number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Numbers by key. All tables of a configuration are of this one type, so that its code is in the
/// module once.
pub(crate) type Numbers = HashMap<Box<[u8]>, u32, BuildHasherDefault<Fnv1a>>;

/// The number of a key, which is `new` if it had none.
#[inline(never)]
pub(crate) fn number(numbers: &mut Numbers, key: Box<[u8]>, new: u32) -> &mut u32 {
    numbers.entry(key).or_insert(new)
}

/// FNV-1a, 64 bits. The tables hold configured values only, so no client can fill one with
/// colliding keys.
#[derive(Debug)]
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
