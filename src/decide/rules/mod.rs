//! The rules: which requests are a track's own.
//!
//! A rule is a list of conditions, each on one *subject* (a cookie, a header, the path, ...).
//! Values that are compared whole (`exact`, `in`) are looked up once per subject and request, in
//! one table for all rules, so that neither the number of rules nor the length of a list shows
//! in a request's cost. `prefix`, `regex` and presence are tested only for a rule that all the
//! rest of the request leaves possible, and once.

use crate::host::Facts;
use crate::host::explain::{Step, Tested, Wanted};
use crate::host::header_map::{HeaderMap, Sieve};
use crate::syntax::pattern::Pattern;
use crate::syntax::{cookie, target};
use crate::track::{Names, TrackId};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

/// What a condition looks at. Names of headers are lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Every cookie of this name, over all Cookie lines.
    Cookie(Box<[u8]>),
    /// Every line of this header.
    Header(Box<[u8]>),
    /// The first value of this query parameter, raw.
    QueryParam(Box<[u8]>),
    /// The path without its query.
    Uri,
    Method,
    /// As the client sent it, with its port.
    Authority,
}

/// What a condition asks of a value: VirtualService's StringMatch, and `in`.
#[derive(Clone, Debug)]
pub enum Test {
    /// `exact`, and `in`: the value is one of these.
    OneOf(Vec<Box<[u8]>>),
    Prefix(Box<[u8]>),
    /// A full match.
    Regex(Pattern),
    /// `{}`: there is a value.
    Present,
}

/// One condition of a rule. It holds if any value of the subject passes the test, or, when
/// `negated`, if none does.
#[derive(Clone, Debug)]
pub struct Condition {
    pub subject: Subject,
    pub test: Test,
    pub negated: bool,
}

/// One entry of a track's `match`: all its conditions hold.
#[derive(Clone, Debug)]
pub struct Rule {
    pub track: TrackId,
    /// Its place in the track's `match`.
    pub index: usize,
    pub conditions: Vec<Condition>,
}

/// A configuration's rules, in order, ready to decide.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Compiled>,
    conditions: Vec<Compared>,
    subjects: Vec<Table>,
    places: Places,
    /// Of the headers that have a value to be looked up, and of those that have one to be tested.
    listed: Sieve,
    tested: Sieve,
    /// Rules that no value in a table calls up: they are tested for every request.
    always: Vec<u32>,
    /// Kept between requests, so that deciding allocates nothing.
    scratch: RefCell<Scratch>,
}

/// The places of subjects in `Rules::subjects`, so that a line of a request costs no more where
/// there are many.
#[derive(Debug, Default)]
struct Places {
    cookies: Map<u32>,
    /// Of the cookies' names: it tells most others apart.
    cookie_names: Sieve,
    headers: Map<u32>,
    params: Map<u32>,
    uri: Option<u32>,
    method: Option<u32>,
    authority: Option<u32>,
    /// The parameters that a query had already: room for them.
    seen: RefCell<HashSet<u32, BuildHasherDefault<Fnv1a>>>,
}

type Map<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<Fnv1a>>;

#[derive(Debug)]
struct Compiled {
    track: TrackId,
    index: usize,
    /// Conditions by their place in `Rules::conditions`, and whether they are negated.
    conditions: Vec<(u32, bool)>,
}

#[derive(Debug)]
struct Compared {
    subject: u32,
    /// `None`: its values stand in the subject's table.
    test: Option<Test>,
    /// The rules that a hit of this condition calls up.
    calls: Vec<u32>,
}

#[derive(Debug)]
struct Table {
    subject: Subject,
    /// A value, and its place in `hits`.
    values: Map<u32>,
    /// Conditions that hold for a value; values of one list share one.
    hits: Vec<Vec<u32>>,
}

/// A subject's values, each with a condition that it satisfies.
type List = Vec<(Box<[u8]>, u32)>;

/// Whether a condition holds, before negation; `None` where a value was too long to be looked at.
/// Then the rule does not hold, negated or not.
type Holds = Option<bool>;

#[derive(Debug, Default)]
struct Scratch {
    /// A value was too long to be looked at.
    too_long: bool,
    /// By condition: `None` = not known yet.
    known: Vec<Option<Holds>>,
    touched: Vec<u32>,
    called: Vec<u32>,
    /// The values of the request that tests look at, by subject, once one was asked for.
    values: Option<Vec<(u32, Range<usize>)>>,
    /// Room for them.
    spare: Vec<(u32, Range<usize>)>,
}

impl Scratch {
    fn learn(&mut self, condition: u32, holds: Holds) {
        if let Some(known) = self.known.get_mut(condition as usize) {
            *known = Some(holds);
            self.touched.push(condition);
        }
    }

    fn is_known(&self, condition: u32) -> Option<Holds> {
        self.known.get(condition as usize).copied().flatten()
    }

    fn forget(&mut self) {
        for condition in self.touched.drain(..) {
            if let Some(known) = self.known.get_mut(condition as usize) {
                *known = None;
            }
        }
        self.called.clear();
        if let Some(values) = self.values.take() {
            self.spare = values;
        }
    }
}

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
        compiled.scratch.borrow_mut().known = vec![None; compiled.conditions.len()];
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
        self.rules.push(Compiled { track: rule.track, index: rule.index, conditions });
    }

    fn subject(&mut self, subject: Subject, lists: &mut Vec<List>) -> u32 {
        let next = self.subjects.len() as u32;
        let place = match &subject {
            Subject::Cookie(name) => *self.places.cookies.entry(name.clone()).or_insert(next),
            Subject::Header(name) => *self.places.headers.entry(name.clone()).or_insert(next),
            Subject::QueryParam(name) => *self.places.params.entry(name.clone()).or_insert(next),
            Subject::Uri => *self.places.uri.get_or_insert(next),
            Subject::Method => *self.places.method.get_or_insert(next),
            Subject::Authority => *self.places.authority.get_or_insert(next),
        };
        if place == next {
            if let Subject::Cookie(name) = &subject {
                self.places.cookie_names.add(name);
            }
            self.subjects.push(Table { subject, values: HashMap::default(), hits: Vec::new() });
            lists.push(Vec::new());
        }
        place
    }

    /// What the rules look at.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.iter().map(|table| &table.subject)
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The track of the first rule that the request satisfies and that is taken. `take` is
    /// asked with the rule's track: once for a track, since one rule of it that is not taken
    /// speaks for all.
    pub fn first<F: Facts>(
        &self,
        facts: &mut F,
        headers: &HeaderMap,
        names: &Names,
        mut take: impl FnMut(&mut F, TrackId) -> bool,
    ) -> Option<TrackId> {
        if self.rules.is_empty() {
            return None;
        }
        let mut scratch = self.scratch.borrow_mut();
        for (name, line) in headers.iter() {
            if self.listed.fit(name) {
                self.look_up_line(name, line, &mut scratch);
            }
        }
        if facts.is_explaining() {
            // Who asks why hears of every rule, not only of those that may hold.
            scratch.called = (0..self.rules.len() as u32).collect();
        } else if scratch.called.is_empty() && self.always.is_empty() {
            scratch.forget();
            return None;
        } else {
            scratch.called.extend(&self.always);
            scratch.called.sort_unstable();
        }
        let called = std::mem::take(&mut scratch.called);
        let mut passed_over = None;
        let found = called.iter().find_map(|place| {
            let rule = self.rules.get(*place as usize)?;
            let track = rule.track;
            if passed_over == Some(track)
                || !self.satisfies(facts, headers, names, rule, &mut scratch)
            {
                return None;
            }
            facts.explain(Step::Matched { track: names.of(track), rule: rule.index });
            if take(facts, track) {
                return Some(track);
            }
            passed_over = Some(track);
            None
        });
        scratch.called = called;
        scratch.forget();
        found
    }

    /// Looks up the values of one line of the request, in the tables of all subjects that it has.
    fn look_up_line(&self, name: &[u8], line: &[u8], scratch: &mut Scratch) {
        self.places.visit(name, line, |subject, value| {
            if let Some(table) = self.subjects.get(subject as usize) {
                self.look_up(table, value, scratch);
            }
        });
    }

    /// Finds the values that tests look at, in one look over the request.
    #[cold]
    fn gather(&self, headers: &HeaderMap, scratch: &mut Scratch) {
        let mut values = std::mem::take(&mut scratch.spare);
        values.clear();
        for (name, line) in headers.iter().filter(|(name, _)| self.tested.fit(name)) {
            self.places.visit(name, line, |subject, value| {
                values.extend(headers.place_of(value).map(|place| (subject, place)));
            });
        }
        values.sort_by_key(|(subject, _)| *subject);
        scratch.values = Some(values);
    }

    fn look_up(&self, table: &Table, value: &[u8], scratch: &mut Scratch) {
        let Some(place) = table.values.get(value) else {
            return;
        };
        for condition in table.hits.get(*place as usize).into_iter().flatten() {
            if scratch.is_known(*condition).is_none() {
                scratch.learn(*condition, Some(true));
                if let Some(condition) = self.conditions.get(*condition as usize) {
                    scratch.called.extend(&condition.calls);
                }
            }
        }
    }

    /// Whether all of a rule's conditions hold.
    fn satisfies(
        &self,
        facts: &mut impl Facts,
        headers: &HeaderMap,
        names: &Names,
        rule: &Compiled,
        scratch: &mut Scratch,
    ) -> bool {
        rule.conditions.iter().all(|(condition, negated)| {
            let holds = self.holds(*condition, headers, scratch).is_some_and(|h| h != *negated);
            if facts.is_explaining() {
                self.explain(
                    facts,
                    headers,
                    names.of(rule.track),
                    rule,
                    (*condition, *negated),
                    holds,
                );
            }
            holds
        })
    }

    /// Whether some value of the condition's subject passes its test.
    fn holds(&self, condition: u32, headers: &HeaderMap, scratch: &mut Scratch) -> Holds {
        if let Some(known) = scratch.is_known(condition) {
            return known;
        }
        let compared = self.conditions.get(condition as usize);
        let holds = match compared.and_then(|compared| Some((compared, compared.test.as_ref()?))) {
            // A value of a table that was not hit.
            None => Some(false),
            Some((compared, test)) => {
                if scratch.values.is_none() {
                    self.gather(headers, scratch);
                }
                let values = scratch.values.as_deref().unwrap_or_default();
                let first = values.partition_point(|(subject, _)| *subject < compared.subject);
                let own = values.iter().skip(first);
                let own = own.take_while(|(subject, _)| *subject == compared.subject);
                let mut own = own.filter_map(|(_, place)| headers.at(place.clone()));
                let mut holds = Some(false);
                while holds != Some(true)
                    && let Some(value) = own.next()
                {
                    let passes = test.passes(value);
                    holds = if passes == Some(false) { holds } else { passes };
                }
                scratch.too_long |= holds.is_none();
                holds
            }
        };
        scratch.learn(condition, holds);
        holds
    }

    /// Whether, since this was last asked, some value was too long for an expression to look at.
    pub fn was_too_long(&self) -> bool {
        std::mem::take(&mut self.scratch.borrow_mut().too_long)
    }

    /// Tells a listener what a condition saw.
    fn explain(
        &self,
        facts: &mut impl Facts,
        headers: &HeaderMap,
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

impl Places {
    /// Hands every value in a line of a request to `each`, with the place of its subject.
    #[inline]
    fn visit(&self, name: &[u8], line: &[u8], mut each: impl FnMut(u32, &[u8])) {
        let mut give = |subject: Option<&u32>, value: &[u8]| {
            if let Some(subject) = subject {
                each(*subject, value);
            }
        };
        if !self.headers.is_empty() {
            give(self.headers.get(name), line);
        }
        match name {
            b"cookie" if !self.cookies.is_empty() => {
                let named = cookie::pairs(line).filter(|(name, _)| self.cookie_names.fit(name));
                for (cookie, value) in named {
                    give(self.cookies.get(cookie), value);
                }
            }
            b":path" => {
                let (path, query) = target::split(line);
                give(self.uri.as_ref(), path);
                if !self.params.is_empty() {
                    let mut seen = self.seen.borrow_mut();
                    seen.clear();
                    for (param, value) in target::pairs(query) {
                        // The first value counts.
                        let subject = self.params.get(param).filter(|place| seen.insert(**place));
                        give(subject, value);
                    }
                }
            }
            b":method" => give(self.method.as_ref(), line),
            b":authority" => give(self.authority.as_ref(), line),
            _ => {}
        }
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

    fn fill(&mut self, mut list: List) {
        list.sort_unstable();
        list.dedup();
        let mut places: HashMap<Vec<u32>, u32> = HashMap::new();
        for same in list.chunk_by(|a, b| a.0 == b.0) {
            let Some((value, _)) = same.first() else {
                continue;
            };
            let conditions: Vec<u32> = same.iter().map(|(_, condition)| *condition).collect();
            let place = *places.entry(conditions).or_insert_with_key(|conditions| {
                self.hits.push(conditions.clone());
                (self.hits.len() - 1) as u32
            });
            self.values.insert(value.clone(), place);
        }
    }
}

impl Subject {
    /// The header that has it.
    fn header(&self) -> &[u8] {
        match self {
            Self::Cookie(_) => b"cookie",
            Self::Header(name) => name,
            Self::QueryParam(_) | Self::Uri => b":path",
            Self::Method => b":method",
            Self::Authority => b":authority",
        }
    }

    /// Whether any of this subject's values in the request passes.
    fn any_value(&self, headers: &HeaderMap, mut passes: impl FnMut(&[u8]) -> bool) -> bool {
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

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie {}", name.escape_ascii()),
            Self::Header(name) => write!(f, "header {}", name.escape_ascii()),
            Self::QueryParam(name) => write!(f, "query parameter {}", name.escape_ascii()),
            Self::Uri => f.write_str("uri"),
            Self::Method => f.write_str("method"),
            Self::Authority => f.write_str("authority"),
        }
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> Holds {
        match self {
            Self::OneOf(values) => Some(values.iter().any(|v| **v == *value)),
            Self::Prefix(prefix) => Some(value.starts_with(prefix)),
            Self::Regex(pattern) => pattern.is_match(value),
            Self::Present => Some(true),
        }
    }
}

/// FNV-1a, 64 bits. The tables hold configured values only, so no client can fill one with
/// colliding keys.
struct Fnv1a(u64);

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

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::host::fake::FakeHost;
    use crate::host::header_map::HeaderMap;

    const RULES: &str = r#"{"tracks":[
        {"name":"list","match":[{"cookies":{"user":{"in":["a","b"]}},"method":{"exact":"GET"}}]},
        {"name":"not","match":[{"withoutCookies":{"user":{"exact":"c"}},"uri":{"prefix":"/x"}}]},
        {"name":"regex","match":[{"queryParams":{"q":{"regex":"[0-9]+"}}},{"headers":{"h":{}}}]},
        {"name":"empty","match":[{"cookies":{"user":{"in":[]}}}]}]}"#;

    #[test]
    fn who_listens_changes_nothing() {
        let rules = Config::parse(RULES.as_bytes()).unwrap();
        let mut found = Vec::new();
        for user in ["a", "c", "d"] {
            for (method, path) in [("GET", "/"), ("PUT", "/x?q=7"), ("PUT", "/?q=7"), ("PUT", "/")]
            {
                let cookie = format!("user={user}");
                let headers = [(":method", method), (":path", path), ("cookie", &cookie)];
                let headers: HeaderMap = headers.iter().collect();
                let decide = |listens| {
                    let mut host = FakeHost { is_explaining: listens, ..FakeHost::default() };
                    let mut asked = Vec::new();
                    let first = rules.rules.first(&mut host, &headers, &rules.names, |_, track| {
                        asked.push(track);
                        rules.names.of(track) != "not"
                    });
                    (first.map(|track| rules.names.of(track)), asked, host.steps.len())
                };
                let (quiet, heard) = (decide(false), decide(true));
                assert_eq!((quiet.0, &quiet.1), (heard.0, &heard.1), "{user} {method} {path}");
                assert!(heard.2 > quiet.2);
                found.push(quiet.0.unwrap_or("-"));
            }
        }
        let want = "list regex regex - - regex regex - - regex regex -";
        assert_eq!(found.join(" "), want);
    }

    #[test]
    fn a_listener_hears_why_a_rule_does_not_hold() {
        let rules = Config::parse(RULES.as_bytes()).unwrap();
        let headers: HeaderMap =
            [(":method", "GET"), (":path", "/x"), ("cookie", "user=c")].iter().collect();
        let mut host = FakeHost { is_explaining: true, ..FakeHost::default() };
        let found = rules.rules.first(&mut host, &headers, &rules.names, |_, _| true);
        assert_eq!(found, None);
        assert_eq!(
            host.steps,
            [
                r#"rule 0 of track list: cookie user is "c", none of "a", "b""#,
                r#"rule 0 of track not: cookie user is "c", which is excluded"#,
                "rule 0 of track regex: there is no query parameter q",
                "rule 1 of track regex: there is no header h",
                r#"rule 0 of track empty: cookie user is "c", and the list is empty"#,
            ]
        );
    }
}
