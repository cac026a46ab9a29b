//! Room for what is found out about a request, kept between requests, so that deciding allocates
//! nothing.

use super::condition::Holds;
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A value was too long to be looked at.
    pub(super) too_long: bool,
    /// By condition: `None` = not known yet.
    known: Vec<Option<Holds>>,
    touched: Vec<u32>,
    /// The rules that may hold.
    pub(super) called: Vec<u32>,
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
    /// In the header map.
    place: Range<usize>,
    /// The one before it.
    next: Option<u32>,
}

impl Scratch {
    pub(super) fn new(conditions: usize, subjects: usize) -> Self {
        let values = Values { heads: vec![None; subjects], ..Values::default() };
        Self { known: vec![None; conditions], values, ..Self::default() }
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

    pub(super) fn add(&mut self, subject: u32, place: Range<usize>) {
        let Values { all, heads, .. } = &mut self.values;
        if let Some(head) = heads.get_mut(subject as usize) {
            let next = head.replace(all.len() as u32);
            all.push(Value { subject, place, next });
        }
    }

    /// The places of a subject's values, the last one first.
    pub(super) fn values(&self, subject: u32) -> impl Iterator<Item = Range<usize>> {
        let mut next = self.values.heads.get(subject as usize).copied().flatten();
        std::iter::from_fn(move || {
            let value = self.values.all.get(next? as usize)?;
            next = value.next;
            Some(value.place.clone())
        })
    }

    pub(super) fn forget(&mut self) {
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
