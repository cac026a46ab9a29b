//! Which rule a request satisfies first.

use super::condition::{Held, Holds, Take};
use super::scratch::{self, Scratch};
use super::table::{Compiled, Places, Rules, Table};
use crate::host::Facts;
use crate::host::explain::Step;
use crate::host::header_map::HeaderMap;
use crate::syntax::{cookie, target};
use crate::track::{Names, TrackId};
use std::cmp::Reverse;

impl Rules {
    /// The track of the first rule that the request satisfies and that is taken. `take` is asked
    /// for each that it satisfies, until one of a track speaks for all of them.
    pub fn first<F: Facts>(
        &self,
        facts: &mut F,
        headers: &HeaderMap<'_>,
        names: &Names,
        take: impl FnMut(&mut F, Held) -> Take,
    ) -> Option<TrackId> {
        if self.rules.is_empty() {
            return None;
        }
        scratch::with(|scratch| self.first_in(facts, headers, names, take, scratch))
    }

    #[inline]
    fn first_in<F: Facts>(
        &self,
        facts: &mut F,
        headers: &HeaderMap<'_>,
        names: &Names,
        mut take: impl FnMut(&mut F, Held) -> Take,
        scratch: &mut Scratch,
    ) -> Option<TrackId> {
        scratch.begin(self.conditions.len(), self.subjects.len());
        for (name, line) in headers.iter() {
            if self.listed.fit(name) {
                self.look_up_line(name, line, scratch);
            }
        }
        if facts.is_explaining() {
            // Who asks why hears of every rule, not only of those that may hold.
            scratch.called = (0..self.rules.len() as u32).map(Reverse).collect();
        } else if scratch.called.is_empty() && self.always.is_empty() {
            return None;
        } else {
            scratch.called.extend(self.always.iter().copied().map(Reverse));
        }
        let mut passed_over = None;
        while let Some(Reverse(place)) = scratch.called.pop() {
            let Some(rule) = self.rules.get(place as usize) else { continue };
            let track = rule.track;
            if passed_over == Some(track) || !self.satisfies(facts, headers, names, rule, scratch) {
                continue;
            }
            facts.explain(Step::Matched { track: names.of(track), rule: rule.index });
            match take(facts, Held { track, rule: rule.index, share: rule.share }) {
                Take::It => return Some(track),
                Take::NotIt => {}
                Take::NotItsTrack => passed_over = Some(track),
            }
        }
        None
    }

    /// Looks up the values of one line of the request, in the tables of all subjects that it has.
    fn look_up_line(&self, name: &[u8], line: &[u8], scratch: &mut Scratch) {
        self.places.visit(name, line, scratch, &mut |scratch, subject, value| {
            if let Some(table) = self.subjects.get(subject as usize) {
                self.look_up(table, value, scratch);
            }
        });
    }

    /// Finds the values that tests look at, in one look over the request.
    #[cold]
    fn gather(&self, headers: &HeaderMap<'_>, scratch: &mut Scratch) {
        for (number, (name, line)) in headers.iter().enumerate() {
            if self.tested.fit(name) {
                self.places.visit(name, line, scratch, &mut |scratch, subject, value| {
                    if let Some(place) = headers.place_of(number, value) {
                        scratch.add(subject, place);
                    }
                });
            }
        }
    }

    fn look_up(&self, table: &Table, value: &[u8], scratch: &mut Scratch) {
        let Some(place) = table.values.get(value) else {
            return;
        };
        for condition in table.hits.get(*place as usize).into_iter().flatten() {
            if scratch.is_known(*condition).is_none() {
                scratch.learn(*condition, Some(true));
                if let Some(condition) = self.conditions.get(*condition as usize) {
                    scratch.called.extend(condition.calls.iter().copied().map(Reverse));
                }
            }
        }
    }

    /// Whether all of a rule's conditions hold.
    fn satisfies(
        &self,
        facts: &mut impl Facts,
        headers: &HeaderMap<'_>,
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
    fn holds(&self, condition: u32, headers: &HeaderMap<'_>, scratch: &mut Scratch) -> Holds {
        if let Some(known) = scratch.is_known(condition) {
            return known;
        }
        let compared = self.conditions.get(condition as usize);
        let holds = match compared.and_then(|compared| Some((compared, compared.test.as_ref()?))) {
            // A value of a table that was not hit.
            None => Some(false),
            Some((compared, test)) => {
                if scratch.gathers() {
                    self.gather(headers, scratch);
                }
                let places = scratch.values(compared.subject);
                let mut own = places.filter_map(|place| headers.at(place));
                let mut holds = Some(false);
                while holds != Some(true)
                    && let Some(value) = own.next()
                {
                    let passes = test.passes(value);
                    holds = if passes == Some(false) { holds } else { passes };
                }
                drop(own);
                scratch.too_long |= holds.is_none();
                holds
            }
        };
        scratch.learn(condition, holds);
        holds
    }

    /// Whether, since this was last asked, some value was too long for an expression to look at.
    pub fn was_too_long(&self) -> bool {
        scratch::with(|scratch| std::mem::take(&mut scratch.too_long))
    }
}

impl Places {
    /// Hands every value in a line of a request to `each`, with the place of its subject.
    #[inline(never)]
    fn visit(
        &self,
        name: &[u8],
        line: &[u8],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&mut Scratch, u32, &[u8]),
    ) {
        let mut give = |scratch: &mut Scratch, subject: Option<&u32>, value: &[u8]| {
            if let Some(subject) = subject {
                each(scratch, *subject, value);
            }
        };
        if !self.headers.is_empty() {
            give(scratch, self.headers.get(name), line);
        }
        match name {
            b"cookie" if !self.cookies.is_empty() => {
                let named = cookie::pairs(line).filter(|(name, _)| self.cookie_names.fit(name));
                for (cookie, value) in named {
                    give(scratch, self.cookies.get(cookie), value);
                }
            }
            b":path" => {
                let (path, query) = target::split(line);
                give(scratch, self.uri.as_ref(), path);
                if !self.params.is_empty() {
                    scratch.begin_query();
                    for (param, value) in target::pairs(query) {
                        // The first value counts.
                        let known = self.params.get(param);
                        let subject = known.filter(|place| scratch.is_first(**place));
                        give(scratch, subject, value);
                    }
                }
            }
            b":method" => give(scratch, self.method.as_ref(), line),
            b":authority" => give(scratch, self.authority.as_ref(), line),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::decide::rules::Take;
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
                    let first = rules.rules.first(&mut host, &headers, &rules.names, |_, held| {
                        asked.push(held);
                        match rules.names.of(held.track) {
                            "not" => Take::NotItsTrack,
                            _ => Take::It,
                        }
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
        let found = rules.rules.first(&mut host, &headers, &rules.names, |_, _| Take::It);
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
