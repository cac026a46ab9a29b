//! Room for what is found out about a request, kept between requests, so that deciding allocates
//! nothing. Every worker has one, for all its configurations.

use super::condition::Holds;
use crate::host::header_map::Place;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A value was too long to be looked at.
    pub(super) too_long: bool,
    /// By subject: whether the query had it already.
    seen: Vec<bool>,
    /// By condition: `None` = not known yet.
    known: Vec<Option<Holds>>,
    touched: Vec<u32>,
    /// The rules that may hold, of which the first is taken out first.
    pub(super) called: BinaryHeap<Reverse<u32>>,
    values: Values,
}

/// The values of the request that tests look at: a chain for each subject.
#[derive(Debug, Default)]
struct Values {
    are_gathered: bool,
    all: Vec<Value>,
    /// The last value of each subject.
    heads: Vec<Option<u32>>,
}

#[derive(Debug)]
struct Value {
    subject: u32,
    place: Place,
    /// The one before it.
    next: Option<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// The worker's room.
pub(super) fn with<T>(fill: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(fill)
}

impl Scratch {
    const fn new() -> Self {
        Self {
            too_long: false,
            seen: Vec::new(),
            known: Vec::new(),
            touched: Vec::new(),
            called: BinaryHeap::new(),
            values: Values { are_gathered: false, all: Vec::new(), heads: Vec::new() },
        }
    }

    /// Begins anew, with room for as many conditions and subjects.
    pub(super) fn begin(&mut self, conditions: usize, subjects: usize) {
        self.forget();
        if self.known.len() < conditions {
            self.known.resize(conditions, None);
        }
        if self.values.heads.len() < subjects {
            self.values.heads.resize(subjects, None);
            self.seen.resize(subjects, false);
        }
    }

    /// Begins a query.
    pub(super) fn begin_query(&mut self) {
        self.seen.fill(false);
    }

    /// Whether the query has this parameter for the first time.
    pub(super) fn is_first(&mut self, subject: u32) -> bool {
        let seen = self.seen.get_mut(subject as usize);
        seen.is_some_and(|seen| !std::mem::replace(seen, true))
    }

    pub(super) fn learn(&mut self, condition: u32, holds: Holds) {
        if let Some(known) = self.known.get_mut(condition as usize) {
            *known = Some(holds);
            self.touched.push(condition);
        }
    }

    pub(super) fn is_known(&self, condition: u32) -> Option<Holds> {
        self.known.get(condition as usize).copied().flatten()
    }

    /// Whether the request's values are still to be gathered; asked once.
    pub(super) fn gathers(&mut self) -> bool {
        !std::mem::replace(&mut self.values.are_gathered, true)
    }

    pub(super) fn add(&mut self, subject: u32, place: Place) {
        let Values { all, heads, .. } = &mut self.values;
        if let Some(head) = heads.get_mut(subject as usize) {
            let next = head.replace(all.len() as u32);
            all.push(Value { subject, place, next });
        }
    }

    /// The places of a subject's values, the last one first.
    pub(super) fn values(&self, subject: u32) -> impl Iterator<Item = Place> {
        let mut next = self.values.heads.get(subject as usize).copied().flatten();
        std::iter::from_fn(move || {
            let value = self.values.all.get(next? as usize)?;
            next = value.next;
            Some(value.place.clone())
        })
    }

    fn forget(&mut self) {
        for condition in self.touched.drain(..) {
            if let Some(known) = self.known.get_mut(condition as usize) {
                *known = None;
            }
        }
        self.called.clear();
        let Values { are_gathered, all, heads } = &mut self.values;
        for value in all.drain(..) {
            if let Some(head) = heads.get_mut(value.subject as usize) {
                *head = None;
            }
        }
        *are_gathered = false;
    }
}
