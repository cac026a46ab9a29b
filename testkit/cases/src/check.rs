//! What an engine saw, against what a case expects.

use crate::text::Text;
use crate::{Engine, Step};
use release_track::istio::stats::Stat;
use std::collections::BTreeMap;

/// What was only known when it was seen: the same in all steps of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    pub(crate) id: Option<Vec<u8>>,
}

/// What an engine saw of a step. `None`: it cannot see that.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub responder: Responder,
    /// The response's headers as the client gets them.
    pub response: Vec<(String, Vec<u8>)>,
    /// By how much each counter grew, by its stat's name.
    pub counts: BTreeMap<String, u64>,
    /// How often a request header was written or removed.
    pub writes: Option<usize>,
    /// The hostcalls of the request phase, without `proxy_`.
    pub calls: Option<BTreeMap<String, usize>>,
    /// Lines of the log of level warning and above, since the step before.
    pub warnings: Option<usize>,
}

/// Who responded.
#[derive(Clone, Debug)]
pub enum Responder {
    /// The upstream, which got these headers.
    Upstream(Vec<(String, Vec<u8>)>),
    /// The proxy itself.
    Proxy { status: u16, body: Vec<u8> },
}

impl Default for Responder {
    fn default() -> Self {
        Self::Upstream(Vec::new())
    }
}

/// See [`Step`]. What is not named has not changed.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Values by name; none: absent.
    pub(crate) request: BTreeMap<String, Vec<Text>>,
    pub(crate) response: BTreeMap<String, Vec<Text>>,
    pub(crate) reply: Option<Reply>,
    /// `FAMILY TRACK LABEL`, or `events EVENT`.
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) warnings: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Texts that the body has.
    pub(crate) body: Vec<String>,
}

type Lines = [(String, Vec<u8>)];

impl Step {
    /// What is wrong with what an engine saw, in words.
    pub fn check(&self, engine: Engine, seen: &Seen, bindings: &mut Bindings) -> Vec<String> {
        let expected = &self.expected[&engine];
        let sent = self.headers(bindings);
        let mut wrong = Vec::new();
        match (&expected.reply, &seen.responder) {
            (None, Responder::Upstream(got)) => {
                compare("request", &sent, &expected.request, got, bindings, &mut wrong);
                let changed =
                    names(&sent, got).filter(|name| values(&sent, name) != values(got, name));
                let changed = changed.count();
                if let Some(writes) = seen.writes.filter(|writes| *writes != changed) {
                    wrong.push(format!("{changed} headers differ, but {writes} writes were made"));
                }
                let response = self.response_headers(bindings);
                compare(
                    "response",
                    &response,
                    &expected.response,
                    &seen.response,
                    bindings,
                    &mut wrong,
                );
            }
            (Some(reply), Responder::Proxy { status, body }) => {
                if reply.status != *status {
                    wrong.push(format!("status: expected {}, got {status}", reply.status));
                }
                let body = shown(body);
                for text in reply.body.iter().filter(|text| !body.contains(*text)) {
                    wrong.push(format!("body: expected {text:?} in {body:?}"));
                }
                for (name, want) in &expected.response {
                    check_header(
                        "response",
                        name,
                        want,
                        &values(&seen.response, name),
                        bindings,
                        &mut wrong,
                    );
                }
            }
            (None, Responder::Proxy { status, body }) => {
                wrong.push(format!("the proxy responded {status} {:?}", shown(body)));
            }
            (Some(_), Responder::Upstream(_)) => {
                wrong.push("the proxy should have responded, but let the request pass".into());
            }
        }
        let counts: BTreeMap<String, u64> = seen
            .counts
            .iter()
            .filter(|(_, by)| **by > 0)
            .map(|(name, by)| (short_name(name), *by))
            .collect();
        if counts != expected.counts {
            wrong.push(format!("counters: expected {:?}, got {counts:?}", expected.counts));
        }
        if let Some(calls) = &seen.calls {
            for (name, want) in &expected.calls {
                let got = calls.get(name).copied().unwrap_or_default();
                if got != *want {
                    wrong.push(format!("calls of {name}: expected {want}, got {got}"));
                }
            }
        }
        if let Some(got) = seen.warnings.filter(|got| *got != expected.warnings) {
            wrong.push(format!("warnings: expected {}, got {got}", expected.warnings));
        }
        wrong
    }
}

/// All headers of both, those that `expected` names and those that must not have changed.
fn compare(
    what: &str,
    before: &Lines,
    expected: &BTreeMap<String, Vec<Text>>,
    after: &Lines,
    bindings: &mut Bindings,
    wrong: &mut Vec<String>,
) {
    for name in names(before, after) {
        if !expected.contains_key(name) {
            let (before, after) = (values(before, name), values(after, name));
            if before != after {
                wrong.push(format!(
                    "{what} header {name}: expected it unchanged, {}, got {}",
                    list(&before),
                    list(&after)
                ));
            }
        }
    }
    for (name, want) in expected {
        check_header(what, name, want, &values(after, name), bindings, wrong);
    }
}

fn check_header(
    what: &str,
    name: &str,
    want: &[Text],
    got: &[Vec<u8>],
    bindings: &mut Bindings,
    wrong: &mut Vec<String>,
) {
    let is =
        want.len() == got.len() && want.iter().zip(got).all(|(want, got)| want.is(got, bindings));
    if !is {
        let want: Vec<_> = want.iter().map(Text::shown).collect();
        let want = if want.is_empty() { "absent".into() } else { format!("{want:?}") };
        wrong.push(format!("{what} header {name}: expected {want}, got {}", list(got)));
    }
}

fn names<'a>(one: &'a Lines, other: &'a Lines) -> impl Iterator<Item = &'a str> {
    let names: std::collections::BTreeSet<_> =
        one.iter().chain(other).map(|(name, _)| name.as_str()).collect();
    names.into_iter()
}

/// The values of a header, without the white space around them, which no HTTP/1.1 parser keeps.
/// Envoy joins the lines of x-request-id, so that joined and several lines are one here.
fn values(lines: &Lines, name: &str) -> Vec<Vec<u8>> {
    let lines = lines.iter().filter(|(known, _)| known == name);
    let values: Vec<Vec<u8>> = lines.map(|(_, value)| value.trim_ascii().to_vec()).collect();
    if name == "x-request-id" && values.len() > 1 { vec![values.join(&b","[..])] } else { values }
}

fn list(values: &[Vec<u8>]) -> String {
    if values.is_empty() {
        return "absent".into();
    }
    format!("{:?}", values.iter().map(|value| shown(value)).collect::<Vec<_>>())
}

/// Bytes for a person: not all of many.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if text.contains('\u{fffd}') { bytes.escape_ascii().to_string() } else { text.into() }
    };
    match bytes.get(..LONGEST) {
        Some(first) if bytes.len() > LONGEST + 50 => {
            let last = &bytes[bytes.len() - 40..];
            format!("{}[.. {} bytes in all ..]{}", text(first), bytes.len(), text(last))
        }
        _ => text(bytes),
    }
}

/// `release_track.track=.=v2;.;reason=.=match;.;decisions_total` is `decisions v2 match`.
fn short_name(stat: &str) -> String {
    Stat::parse(stat).map_or_else(|| stat.to_owned(), |stat| stat.short())
}
