//! A table of routes, whichever API it was written in.

use super::Host;
use crate::input::manifest::Object;
use crate::input::yaml::{Node, Span};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The routes that a proxy looks through for a request to one of these hosts.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    /// Where its routes stand, or the first of them.
    pub(crate) object: Object<'a>,
    pub(crate) hosts: Vec<Host<'a>>,
    pub(crate) callers: Callers<'a>,
    /// The first route that matches has the request; otherwise the most specific one.
    pub(crate) ordered: bool,
    pub(crate) routes: Vec<Route<'a>>,
}

/// Whose requests are looked up here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Callers<'a> {
    /// The sidecars'.
    pub(crate) mesh: bool,
    /// Those of gateways, by name: `istio-system/public`; a listener's of the Gateway API may
    /// follow it.
    pub(crate) gateways: BTreeSet<(Option<&'a str>, &'a str, &'a str)>,
}

#[derive(Clone)]
pub(crate) struct Route<'a> {
    /// Where it stands: a delegate's routes are in its root's table.
    pub(crate) object: Object<'a>,
    pub(crate) node: &'a Node,
    /// Any of them; there is always one.
    pub(crate) matches: Vec<Match<'a>>,
    pub(crate) action: Action<'a>,
    pub(crate) mirrors: Vec<Destination<'a>>,
    /// What is done to the headers of its requests, whichever destination they get.
    pub(crate) edits: Vec<HeaderEdit<'a>>,
}

#[derive(Clone)]
pub(crate) enum Action<'a> {
    /// One of them; there may be none.
    Forward(Vec<Destination<'a>>),
    /// The proxy's own response: a redirect, a direct response.
    Respond,
    /// Another VirtualService's routes.
    Delegate(Delegate<'a>),
}

#[derive(Clone, Copy)]
pub(crate) struct Delegate<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) node: &'a Node,
}

/// All of its conditions must hold; without any, it is every request.
#[derive(Clone, Default)]
pub(crate) struct Match<'a> {
    pub(crate) conditions: Vec<Condition<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Condition<'a> {
    Header {
        /// In lower case, as Envoy compares it.
        name: String,
        test: StringMatch<'a>,
        /// It must not hold: `withoutHeaders`.
        negated: bool,
        place: Place,
    },
    /// The calling pod's labels.
    SourceLabels { labels: Vec<(&'a str, &'a str)>, place: Place },
    /// Another one about who calls: `gateways`, `sourceNamespace`.
    Source { field: &'a str, value: String, place: Place },
    /// Any other, as JSON.
    Other { field: &'a str, value: String },
}

/// Where something stands. What is equal is so wherever it stands.
#[derive(Clone, Debug)]
pub(crate) struct Place(pub(crate) Span);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl std::hash::Hash for Place {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum StringMatch<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    /// The whole value, in RE2's syntax.
    Regex(&'a str),
    Present,
}

#[derive(Clone)]
pub(crate) struct Destination<'a> {
    pub(crate) node: &'a Node,
    pub(crate) host: Host<'a>,
    /// The host as it stands there.
    pub(crate) written: &'a str,
    pub(crate) host_span: Span,
    pub(crate) subset: Option<(&'a str, Span)>,
    /// Its part of the sum of all.
    pub(crate) weight: f64,
    pub(crate) edits: Vec<HeaderEdit<'a>>,
}

/// A change of a request's header by a route.
#[derive(Clone)]
pub(crate) struct HeaderEdit<'a> {
    /// In lower case.
    pub(crate) header: String,
    /// What is set or added; nothing where it is removed.
    pub(crate) value: Option<&'a Node>,
    pub(crate) span: Span,
}

impl<'a> Route<'a> {
    pub(crate) fn destinations(&self) -> &[Destination<'a>] {
        match &self.action {
            Action::Forward(destinations) => destinations,
            Action::Respond | Action::Delegate(_) => &[],
        }
    }

    /// The destinations that get a part of its requests: all, where no weight is written.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Destination<'a>> {
        let all = self.destinations();
        let unweighted = all.iter().all(|one| one.weight <= 0.0);
        all.iter().filter(move |one| one.weight > 0.0 || unweighted)
    }

    pub(crate) fn takes_all(&self) -> bool {
        self.matches.iter().any(|one| one.conditions.is_empty())
    }
}

impl<'a> StringMatch<'a> {
    /// Istio's form: one of `exact`, `prefix` and `regex`.
    pub(super) fn read(node: &'a Node) -> Self {
        let text = |name| node.get(name).and_then(Node::text);
        match (text("exact"), text("prefix"), text("regex")) {
            (Some(exact), ..) => Self::Exact(exact),
            (None, Some(prefix), _) => Self::Prefix(prefix),
            // Istio reads the regex `*` as presence (pilot: isCatchAllStringMatch).
            (None, None, Some(regex)) if regex != "*" => Self::Regex(regex),
            _ => Self::Present,
        }
    }

    /// Which of some values pass.
    pub(crate) fn on<'v>(
        &self,
        values: impl Iterator<Item = &'v str>,
    ) -> impl Iterator<Item = bool> {
        let regex = match self {
            Self::Regex(regex) => whole(regex),
            _ => None,
        };
        values.map(move |value| match self {
            Self::Exact(exact) => value == *exact,
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Regex(_) => regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            Self::Present => true,
        })
    }

    /// Whether every path passes.
    pub(super) fn is_every_path(&self) -> bool {
        static ANY: LazyLock<regex::Regex> = LazyLock::new(|| {
            let any = r"\^?(\.[*+]|/?(\.\*|\(\.\*\))|\(/\.\*\)\??)\$?|\*";
            whole(any).expect("it compiles")
        });
        match self {
            Self::Prefix(prefix) => matches!(*prefix, "" | "/"),
            Self::Regex(regex) => ANY.is_match(regex),
            Self::Present => true,
            Self::Exact(_) => false,
        }
    }
}

/// An expression that has to match all of a value.
fn whole(regex: &str) -> Option<regex::Regex> {
    regex::Regex::new(&format!(r"\A(?:{regex})\z")).ok()
}
