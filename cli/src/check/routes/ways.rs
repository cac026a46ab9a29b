//! A table as the ways through it: whom a match lets pass, and on what else that depends.

use super::View;
use crate::routing::{Condition, StringMatch, Table};
use release_track::track::BASELINE;
use std::collections::HashMap;

/// One match of a route.
pub(super) struct Way<'t, 'a> {
    /// The route's place in the table.
    pub(super) route: usize,
    pub(super) followers: Followers,
    /// It asks for our header.
    pub(super) asks: bool,
    /// Its other conditions, in order.
    pub(super) rest: Vec<&'t Condition<'a>>,
}

/// Requests by what they follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followers {
    /// Those without our header.
    pub(super) baseline: bool,
    /// By the tracks' places.
    pub(super) tracks: Vec<bool>,
}

impl Followers {
    fn is_within(&self, other: &Self) -> bool {
        (!self.baseline || other.baseline)
            && self.tracks.iter().zip(&other.tracks).all(|(one, other)| !one || *other)
    }

    fn add(&mut self, other: &Self) {
        self.baseline |= other.baseline;
        self.tracks.iter_mut().zip(&other.tracks).for_each(|(one, other)| *one |= other);
    }

    pub(super) fn are_all(&self) -> bool {
        self.baseline && self.tracks.iter().all(|track| *track)
    }

    /// The places of the tracks among them.
    pub(super) fn tracks(&self) -> impl Iterator<Item = usize> {
        self.tracks.iter().enumerate().filter(|(_, passes)| **passes).map(|(place, _)| place)
    }
}

/// All ways of a table, in order.
pub(super) fn of<'t, 'a>(view: &View<'_, 'a>, table: &'t Table<'a>) -> Vec<Way<'t, 'a>> {
    let ways = table.routes.iter().enumerate().flat_map(|(route, found)| {
        found.matches.iter().map(move |one| way(view, route, &one.conditions))
    });
    ways.collect()
}

fn way<'t, 'a>(view: &View<'_, 'a>, route: usize, conditions: &'t [Condition<'a>]) -> Way<'t, 'a> {
    let mut followers = Followers { baseline: true, tracks: vec![true; view.tracks.len()] };
    let mut asks = false;
    let mut rest = Vec::new();
    for condition in conditions {
        let Condition::Header { name, test, negated, .. } = condition else {
            rest.push(condition);
            continue;
        };
        if name != view.header() {
            rest.push(condition);
            continue;
        }
        asks |= !negated;
        // A request without the header satisfies `withoutHeaders`, whatever that tests.
        followers.baseline &= *negated;
        let passes = test.on(view.tracks.iter().map(|track| track.name));
        for (follows, passes) in followers.tracks.iter_mut().zip(passes) {
            *follows &= passes != *negated;
        }
    }
    rest.sort_unstable();
    rest.dedup();
    Way { route, followers, asks, rest }
}

/// What earlier ways have taken, by their other conditions.
#[derive(Default)]
pub(super) struct Taken<'t, 'a>(HashMap<Vec<&'t Condition<'a>>, (Followers, usize)>);

impl<'t, 'a> Taken<'t, 'a> {
    pub(super) fn add(&mut self, way: &Way<'t, 'a>) {
        match self.0.get_mut(&way.rest) {
            Some((followers, _)) => followers.add(&way.followers),
            None => {
                self.0.insert(way.rest.clone(), (way.followers.clone(), way.route));
            }
        }
    }

    /// Whether nothing is left for a way; then, one of the routes that took it, and whom that let
    /// pass.
    pub(super) fn all_of(&self, way: &Way<'t, 'a>) -> Option<(usize, &Followers)> {
        let is_unknown = !way.followers.baseline && way.followers.tracks().next().is_none();
        let mut all =
            Followers { baseline: false, tracks: vec![false; way.followers.tracks.len()] };
        for fewer in subsets(&way.rest) {
            if let Some((followers, route)) = self.0.get(&fewer) {
                all.add(followers);
                if way.followers.is_within(&all) && (!is_unknown || all.are_all()) {
                    return Some((*route, followers));
                }
            }
        }
        None
    }

    /// Whether a request without a track that satisfies these conditions is taken.
    pub(super) fn baseline(&self, rest: &[&'t Condition<'a>]) -> bool {
        subsets(rest).any(|fewer| self.0.get(&fewer).is_some_and(|(taken, _)| taken.baseline))
    }
}

/// More conditions than these, and only the simplest subsets are tried.
const MOST_CONDITIONS: usize = 6;

fn subsets<T: Clone>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    let is_small = all.len() <= MOST_CONDITIONS;
    let picks = if is_small { 1 << all.len() } else { all.len() + 2 };
    (0..picks).map(move |pick| match (is_small, pick) {
        (true, bits) => {
            let picked = all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            picked.map(|(_, one)| one.clone()).collect()
        }
        (false, 0) => Vec::new(),
        (false, pick) => all.get(pick - 1).map_or_else(|| all.to_vec(), |one| vec![one.clone()]),
    })
}

/// The track that a test names, if it is none of the configured ones.
pub(super) fn unknown<'a>(
    test: &StringMatch<'a>,
    mut known: impl FnMut(&str) -> bool,
) -> Option<&'a str> {
    match test {
        StringMatch::Exact(name) if *name != BASELINE && !known(name) => Some(name),
        _ => None,
    }
}
