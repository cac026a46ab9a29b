//! What rules are compiled to.

use super::condition::{Subject, Test};
use crate::decide::share::Share;
use crate::host::header_map::Sieve;
use crate::syntax::numbers::Numbers;
use crate::track::TrackId;

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
    pub(super) cookies: Numbers,
    /// Of the cookies' names: it tells most others apart.
    pub(super) cookie_names: Sieve,
    pub(super) headers: Numbers,
    pub(super) params: Numbers,
    pub(super) uri: Option<u32>,
    pub(super) method: Option<u32>,
    pub(super) authority: Option<u32>,
}

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
    pub(super) values: Numbers,
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
