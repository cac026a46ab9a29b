//! What a test on a value lets pass, compared with others.

use crate::input::yaml::Node;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use release_track::syntax::pattern::Pattern;
use std::collections::BTreeSet;

/// A StringMatch of a valid configuration.
pub(super) enum Test {
    OneOf(BTreeSet<String>),
    Prefix(String),
    Regex { expression: String, means: Meaning, pattern: Option<Pattern> },
    Present,
}

/// What a regular expression could be said with.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// Nothing matches it.
    Nothing,
    OneOf(BTreeSet<String>),
    Prefix(String),
    Anything,
    /// Only itself.
    Itself,
}

impl Test {
    pub(super) fn read(node: &Node) -> Self {
        let text = |name| node.get(name).and_then(Node::text).map(str::to_owned);
        if let Some(exact) = text("exact") {
            return Self::OneOf([exact].into());
        }
        if let Some(prefix) = text("prefix") {
            return Self::Prefix(prefix);
        }
        if let Some(expression) = text("regex") {
            let means = Meaning::of(&expression);
            let pattern = Pattern::parse(&expression).ok();
            return Self::Regex { expression, means, pattern };
        }
        match node.get("in") {
            Some(list) => {
                Self::OneOf(list.items().iter().filter_map(Node::text).map(str::to_owned).collect())
            }
            None => Self::Present,
        }
    }

    /// Every value that passes, if those are few enough to be listed.
    pub(super) fn values(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::OneOf(values) | Self::Regex { means: Meaning::OneOf(values), .. } => Some(values),
            _ => None,
        }
    }

    fn prefix(&self) -> Option<&str> {
        match self {
            Self::Prefix(prefix) | Self::Regex { means: Meaning::Prefix(prefix), .. } => {
                Some(prefix)
            }
            _ => None,
        }
    }

    pub(super) fn is_presence(&self) -> bool {
        matches!(self, Self::Present | Self::Regex { means: Meaning::Anything, .. })
    }

    pub(super) fn passes_nothing(&self) -> bool {
        matches!(self, Self::Regex { means: Meaning::Nothing, .. })
            || self.values().is_some_and(BTreeSet::is_empty)
    }

    fn passes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.contains(value),
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Regex { pattern, .. } => {
                pattern.as_ref().and_then(|pattern| pattern.is_match(value.as_bytes()))
                    == Some(true)
            }
            Self::Present => true,
        }
    }

    /// Whether every value that passes here passes there. `false` may mean that it is not known.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        if other.is_presence() {
            return true;
        }
        if let Some(values) = self.values() {
            return values.iter().all(|value| other.passes(value));
        }
        match (self, other) {
            (Self::Regex { expression: one, .. }, Self::Regex { expression: two, .. })
                if one == two =>
            {
                true
            }
            _ => match (self.prefix(), other.prefix()) {
                (Some(longer), Some(shorter)) => longer.starts_with(shorter),
                _ => false,
            },
        }
    }
}

impl Meaning {
    pub(super) fn of(expression: &str) -> Self {
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        let Ok(hir) = parser.parse(expression) else { return Self::Itself };
        if hir.properties().minimum_len().is_none() {
            return Self::Nothing;
        }
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(&hir),
        };
        let is = |part: &Hir, look| *part.kind() == HirKind::Look(look);
        let parts = match parts {
            [first, rest @ ..] if is(first, Look::Start) => rest,
            parts => parts,
        };
        let parts = match parts {
            [rest @ .., last] if is(last, Look::End) => rest,
            parts => parts,
        };
        if let Some(values) = listed(parts) {
            return Self::OneOf(values);
        }
        match parts {
            [last] if is_rest(last) => Self::Anything,
            [first @ .., last] if is_rest(last) => match listed(first) {
                Some(values) if values.len() == 1 => {
                    values.into_iter().next().map_or(Self::Itself, Self::Prefix)
                }
                _ => Self::Itself,
            },
            _ => Self::Itself,
        }
    }
}

/// More than these, and the list would be no simpler than the expression.
const MOST_VALUES: usize = 8;

/// Every text that some parts in a row match.
fn listed(parts: &[Hir]) -> Option<BTreeSet<String>> {
    let mut all: BTreeSet<Vec<u8>> = [Vec::new()].into();
    for part in parts {
        let next = values(part)?;
        all = all
            .iter()
            .flat_map(|start| next.iter().map(move |end| [start.as_slice(), end].concat()))
            .collect();
        if all.len() > MOST_VALUES {
            return None;
        }
    }
    all.into_iter().map(|value| String::from_utf8(value).ok()).collect()
}

fn values(hir: &Hir) -> Option<BTreeSet<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty => Some([Vec::new()].into()),
        HirKind::Literal(literal) => Some([literal.0.to_vec()].into()),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.iter().flat_map(|range| range.start()..=range.end());
            let few: BTreeSet<_> = bytes.take(MOST_VALUES + 1).map(|byte| vec![byte]).collect();
            (few.len() <= MOST_VALUES).then_some(few)
        }
        HirKind::Class(Class::Unicode(class)) => {
            let chars = class.iter().flat_map(|range| range.start()..=range.end());
            let few: Vec<_> = chars.take(MOST_VALUES + 1).collect();
            (few.len() <= MOST_VALUES)
                .then(|| few.into_iter().map(|c| c.to_string().into_bytes()).collect())
        }
        HirKind::Capture(capture) => values(&capture.sub),
        HirKind::Concat(parts) => {
            Some(listed(parts)?.into_iter().map(String::into_bytes).collect())
        }
        HirKind::Alternation(alternatives) => {
            let mut all = BTreeSet::new();
            for alternative in alternatives {
                all.extend(values(alternative)?);
            }
            (all.len() <= MOST_VALUES).then_some(all)
        }
        HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// `.*`, of any bytes; that `.` leaves out the line feed does not matter, for no header has one.
fn is_rest(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => is_rest(&capture.sub),
        HirKind::Repetition(repetition) => {
            let is_any = match repetition.sub.kind() {
                HirKind::Class(Class::Bytes(class)) => {
                    class.iter().map(|range| range.len()).sum::<usize>() >= 255
                }
                _ => false,
            };
            repetition.min == 0 && repetition.max.is_none() && is_any
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(values: &[&str]) -> Meaning {
        Meaning::OneOf(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn what_an_expression_means() {
        for (expression, means) in [
            ("tester", one_of(&["tester"])),
            ("^tester$", one_of(&["tester"])),
            ("(tester)", one_of(&["tester"])),
            (r"api\.example", one_of(&["api.example"])),
            ("beta|staff", one_of(&["beta", "staff"])),
            ("beta|betamax|b", one_of(&["b", "beta", "betamax"])),
            ("v[12]", one_of(&["v1", "v2"])),
            ("x-(a|b)-(c|d)", one_of(&["x-a-c", "x-a-d", "x-b-c", "x-b-d"])),
            ("", one_of(&[""])),
            ("/weather.*", Meaning::Prefix("/weather".into())),
            ("^/weather(.*)$", Meaning::Prefix("/weather".into())),
            ("/weather.*?", Meaning::Prefix("/weather".into())),
            (".*", Meaning::Anything),
            (r"[\s\S]*", Meaning::Anything),
            (r"[^\x00-\xff]", Meaning::Nothing),
            (".+", Meaning::Itself),
            ("(?i)tester", Meaning::Itself),
            (".*beta.*", Meaning::Itself),
            ("a?", Meaning::Itself),
            (r"\d", Meaning::Itself),
            ("^(.*?;)?(user=tester)(;.*)?$", Meaning::Itself),
        ] {
            assert_eq!(Meaning::of(expression), means, "{expression}");
        }
    }

    #[test]
    fn what_lies_within_what() {
        let read = |text: &str| Test::read(&crate::input::yaml::documents(text).unwrap()[0]);
        for (one, two, within) in [
            ("{exact: a}", "{exact: a}", true),
            ("{exact: a}", "{in: [b, a]}", true),
            ("{in: [b, a]}", "{exact: a}", false),
            ("{regex: a|b}", "{in: [b, a, c]}", true),
            ("{exact: a/b}", "{prefix: a/}", true),
            ("{prefix: a/b}", "{prefix: a}", true),
            ("{prefix: a}", "{prefix: a/b}", false),
            ("{regex: 'a/.*'}", "{prefix: a}", true),
            ("{exact: a7}", "{regex: 'a\\d'}", true),
            ("{regex: 'a\\d'}", "{regex: 'a\\d'}", true),
            ("{regex: 'a\\d'}", "{}", true),
            ("{}", "{regex: '.*'}", true),
            ("{}", "{regex: 'a.*'}", false),
            ("{in: []}", "{exact: a}", true),
        ] {
            assert_eq!(read(one).is_within(&read(two)), within, "{one} {two}");
        }
    }
}
