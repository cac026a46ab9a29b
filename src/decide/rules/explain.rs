//! What a condition saw in a request, for a host that is explaining.

use super::condition::{Subject, Test};
use super::table::{Compiled, Rules, Table};
use crate::host::Facts;
use crate::host::explain::{Step, Tested, Wanted};
use crate::host::header_map::HeaderMap;
use crate::syntax::{cookie, target};

impl Rules {
    /// Tells a listener what a condition saw.
    pub(super) fn explain(
        &self,
        facts: &mut impl Facts,
        headers: &HeaderMap<'_>,
        track: &str,
        rule: &Compiled,
        (condition, negated): (u32, bool),
        holds: bool,
    ) {
        let Some(compared) = self.conditions.get(condition as usize) else { return };
        let Some(table) = self.subjects.get(compared.subject as usize) else { return };
        let mut seen = Vec::new();
        table.subject.any_value(headers, |value| {
            seen.push(value.to_vec());
            false
        });
        let seen: Vec<&[u8]> = seen.iter().map(Vec::as_slice).collect();
        let listed = table.listed(condition);
        let wanted = match &compared.test {
            None | Some(Test::OneOf(_)) => Wanted::OneOf(&listed),
            Some(Test::Prefix(prefix)) => Wanted::Prefix(prefix),
            Some(Test::Regex(pattern)) => Wanted::Regex(pattern.expression()),
            Some(Test::Present) => Wanted::Present,
        };
        let (rule, subject, seen) = (rule.index, &*table.subject.to_string(), &*seen);
        facts.explain(Step::Condition(Tested {
            track,
            rule,
            subject,
            negated,
            wanted,
            seen,
            holds,
        }));
    }
}

impl Table {
    /// The values that satisfy a condition, in alphabetical order.
    fn listed(&self, condition: u32) -> Vec<&[u8]> {
        let hits = |place: &u32| {
            self.hits.get(*place as usize).is_some_and(|all| all.contains(&condition))
        };
        let values = self.values.iter().filter(|(_, place)| hits(place));
        let mut listed: Vec<&[u8]> = values.map(|(value, _)| &**value).collect();
        listed.sort_unstable();
        listed
    }
}

impl Subject {
    /// Whether any of this subject's values in the request passes.
    fn any_value(&self, headers: &HeaderMap<'_>, mut passes: impl FnMut(&[u8]) -> bool) -> bool {
        headers.lines(self.header()).any(|line| match self {
            Self::Cookie(name) => {
                cookie::pairs(line).any(|(n, value)| n == &**name && passes(value))
            }
            Self::Header(_) | Self::Method | Self::Authority => passes(line),
            Self::Uri => passes(target::split(line).0),
            Self::QueryParam(name) => {
                target::parameter(target::split(line).1, name).is_some_and(&mut passes)
            }
        })
    }
}
