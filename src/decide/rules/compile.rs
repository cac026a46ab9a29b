//! From rules as they are written to the tables that a request is looked up in.

use super::condition::{Condition, Rule, Subject, Test};
use super::table::{Compared, Compiled, Rules, Table};
use crate::syntax::numbers::{Numbers, number};

/// A subject's values, each with a condition that it satisfies.
type List = Vec<(Box<[u8]>, u32)>;

impl Rules {
    /// Compiles rules; the first that a request satisfies decides.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut compiled = Self::default();
        let mut lists: Vec<List> = Vec::new();
        for rule in rules {
            compiled.add(rule, &mut lists);
        }
        for (table, list) in compiled.subjects.iter_mut().zip(lists) {
            if !list.is_empty() {
                compiled.listed.add(table.subject.header());
            }
            table.fill(list);
        }
        compiled
    }

    fn add(&mut self, rule: Rule, lists: &mut Vec<List>) {
        let place = self.rules.len() as u32;
        let mut called = false;
        let mut conditions = Vec::with_capacity(rule.conditions.len());
        for Condition { subject, test, negated } in rule.conditions {
            let condition = self.conditions.len() as u32;
            let subject = self.subject(subject, lists);
            let mut calls = Vec::new();
            let test = match test {
                Test::OneOf(values) => {
                    if let Some(list) = lists.get_mut(subject as usize) {
                        list.extend(values.into_iter().map(|value| (value, condition)));
                    }
                    if !negated && !called {
                        calls.push(place);
                        called = true;
                    }
                    None
                }
                test => {
                    if let Some(table) = self.subjects.get(subject as usize) {
                        self.tested.add(table.subject.header());
                    }
                    Some(test)
                }
            };
            self.conditions.push(Compared { subject, test, calls });
            conditions.push((condition, negated));
        }
        if !called {
            self.always.push(place);
        }
        let Rule { track, index, share, .. } = rule;
        self.rules.push(Compiled { track, index, conditions, share });
    }

    fn subject(&mut self, subject: Subject, lists: &mut Vec<List>) -> u32 {
        let next = self.subjects.len() as u32;
        let place = match &subject {
            Subject::Cookie(name) => *number(&mut self.places.cookies, name.clone(), next),
            Subject::Header(name) => *number(&mut self.places.headers, name.clone(), next),
            Subject::QueryParam(name) => *number(&mut self.places.params, name.clone(), next),
            Subject::Uri => *self.places.uri.get_or_insert(next),
            Subject::Method => *self.places.method.get_or_insert(next),
            Subject::Authority => *self.places.authority.get_or_insert(next),
        };
        if place == next {
            if let Subject::Cookie(name) = &subject {
                self.places.cookie_names.add(name);
            }
            self.subjects.push(Table { subject, values: Numbers::default(), hits: Vec::new() });
            lists.push(Vec::new());
        }
        place
    }
}

impl Table {
    /// Fills the table. The conditions of each value are a chain through the list first, so that
    /// nothing has to be sorted.
    fn fill(&mut self, list: List) {
        let mut chain: Vec<(u32, u32)> = Vec::with_capacity(list.len());
        for (value, condition) in list {
            let next = chain.len() as u32;
            let last = number(&mut self.values, value, NONE);
            chain.push((condition, *last));
            *last = next;
        }
        let mut places = Numbers::default();
        for place in self.values.values_mut() {
            let mut conditions = Vec::new();
            while let Some((condition, before)) = chain.get(*place as usize) {
                // A list may name a value twice.
                if conditions.last() != Some(condition) {
                    conditions.push(*condition);
                }
                *place = *before;
            }
            let next = self.hits.len() as u32;
            let key = conditions.iter().flat_map(|c| c.to_le_bytes()).collect();
            *place = *number(&mut places, key, next);
            if *place == next {
                self.hits.push(conditions);
            }
        }
    }
}

/// The end of a chain.
const NONE: u32 = u32::MAX;
