//! What rules are compiled to.

use super::condition::{Subject, Test};
use crate::decide::share::Share;
use crate::host::header_map::Sieve;
use crate::track::TrackId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A configuration's rules, in order, ready to decide.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) rules: Vec<Compiled>,
    pub(super) conditions: Vec<Compared>,
    pub(super) subjects: Vec<Table>,
    pub(super) places: Places,
    /// Of the headers that have a value to be looked up, and of those that have one to be tested.
    pub(super) listed: Sieve,
    pub(super) tested: Sieve,
    /// Rules that no value in a table calls up: they are tested for every request.
    pub(super) always: Vec<u32>,
}

/// The places of subjects in `Rules::subjects`, so that a line of a request costs no more where
/// there are many.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) cookies: Map<u32>,
    /// Of the cookies' names: it tells most others apart.
    pub(super) cookie_names: Sieve,
    pub(super) headers: Map<u32>,
    pub(super) params: Map<u32>,
    pub(super) uri: Option<u32>,
    pub(super) method: Option<u32>,
    pub(super) authority: Option<u32>,
}

pub(super) type Map<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<Fnv1a>>;

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) track: TrackId,
    pub(super) index: usize,
    /// Conditions by their place in `Rules::conditions`, and whether they are negated.
    pub(super) conditions: Vec<(u32, bool)>,
    pub(super) share: Option<Share>,
}

#[derive(Debug)]
pub(super) struct Compared {
    pub(super) subject: u32,
    /// `None`: its values stand in the subject's table.
    pub(super) test: Option<Test>,
    /// The rules that a hit of this condition calls up.
    pub(super) calls: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) subject: Subject,
    /// A value, and its place in `hits`.
    pub(super) values: Map<u32>,
    /// Conditions that hold for a value; values of one list share one.
    pub(super) hits: Vec<Vec<u32>>,
}

impl Rules {
    /// What the rules look at.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.iter().map(|table| &table.subject)
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// FNV-1a, 64 bits. The tables hold configured values only, so no client can fill one with
/// colliding keys.
pub(super) struct Fnv1a(u64);

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
