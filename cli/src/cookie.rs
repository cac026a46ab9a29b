//! What somebody looks for with a regular expression over the whole Cookie header, as tests of
//! single cookies; and what that expression gets wrong.
//!
//! `migrate` makes rules of it, and `check` says what they would be.
//!
//! An expression is read as pieces: text, gaps (whatever may stand around a cookie) and wildcards
//! (part of a value). What lies between two gaps has to be `name=value`. Whether that reading is
//! right is then asked of the expression itself, as is what it misses.

use crate::emit::flow;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};
use release_track::syntax::cookie;
use release_track::syntax::pattern::Pattern;
use serde_json::{Map, Value as Json, json};
use std::sync::LazyLock;

/// A test on the value of one cookie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    In(Vec<String>),
    Prefix(String),
    Regex(String),
    Present,
}

/// Each alternative is a list of cookies, all of which have to be there.
pub(crate) type Alternatives = Vec<Vec<(String, Test)>>;

#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) alternatives: Alternatives,
    /// A Cookie header that the rule takes and the expression does not.
    pub(crate) misses: Option<String>,
    /// A Cookie header that the expression takes and the rule does not.
    pub(crate) takes: Option<String>,
}

impl Reading {
    /// As fields of rules, any of which has to hold: `cookies: {user: {exact: tester}}`.
    pub(crate) fn rules(&self) -> String {
        let rules = self.alternatives.iter().map(|cookies| {
            let tests = cookies.iter().map(|(name, test)| (name.clone(), test.to_json()));
            format!("cookies: {}", flow(&Json::Object(tests.collect::<Map<_, _>>())))
        });
        rules.collect::<Vec<_>>().join(" or ")
    }
}

/// More alternatives than these are no longer a list of values.
const MOST: usize = 64;

/// Reads an expression that Envoy matches with the whole header. The error says why it cannot be
/// said with cookies.
pub(crate) fn read(expression: &str) -> Result<Reading, String> {
    let regex = RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
        .unicode(false)
        .build()
        .map_err(|_| "the expression is not valid RE2, so Istio refuses it".to_owned())?;
    let ignores_case = expression.trim_start_matches('^').starts_with("(?i)");
    let plain = expression.replacen("(?i)", "", usize::from(ignores_case));
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    let hir = parser.parse(&plain).map_err(|error| error.to_string())?;
    let ways = expand(&hir).ok_or("the expression has too many alternatives, or repeats them")?;
    let mut alternatives = Alternatives::new();
    for way in ways {
        let cookies = cookies(&way)?;
        if cookies.is_empty() {
            return Err("the expression also holds without any cookie".to_owned());
        }
        if !alternatives.contains(&cookies) {
            alternatives.push(cookies);
        }
    }
    let mut alternatives = joined(alternatives);
    if ignores_case {
        alternatives.iter_mut().flatten().for_each(|(_, test)| test.ignore_case());
    }
    let (misses, takes) = compare(&regex, &alternatives)?;
    Ok(Reading { alternatives, misses, takes })
}

/// An expression that matches what an exact or prefix match of the header does.
pub(crate) fn expression(exact: &str, is_prefix: bool) -> String {
    regex::escape(exact) + if is_prefix { ".*" } else { "" }
}

impl Test {
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::In(values) => match values.as_slice() {
                [value] => json!({"exact": value}),
                values => json!({"in": values}),
            },
            Self::Prefix(prefix) => json!({"prefix": prefix}),
            Self::Regex(regex) => json!({"regex": regex}),
            Self::Present => json!({}),
        }
    }

    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::In(values) => values.iter().any(|one| one.as_bytes() == value),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Regex(regex) => {
                Pattern::parse(regex).is_ok_and(|p| p.is_match(value) == Some(true))
            }
            Self::Present => true,
        }
    }

    fn ignore_case(&mut self) {
        let pattern = match self {
            Self::In(values) => {
                let values: Vec<_> = values.iter().map(|value| regex::escape(value)).collect();
                values.join("|")
            }
            Self::Prefix(prefix) => regex::escape(prefix) + ".*",
            Self::Regex(regex) => regex.clone(),
            Self::Present => return,
        };
        *self = Self::Regex(format!("(?i){pattern}"));
    }

    /// Some value that passes.
    fn sample(&self) -> Option<String> {
        let candidates = match self {
            Self::In(values) => values.clone(),
            Self::Prefix(prefix) => vec![format!("{prefix}1")],
            Self::Present => vec!["1".to_owned()],
            Self::Regex(regex) => {
                let start: String = regex
                    .trim_start_matches("(?i)")
                    .split_inclusive(|c: char| !c.is_alphanumeric() && !"-_".contains(c))
                    .next()
                    .map(|start| {
                        start.trim_end_matches(|c: char| !c.is_alphanumeric() && !"-_".contains(c))
                    })
                    .unwrap_or_default()
                    .to_owned();
                ["", "1", "a", "a1", "12345678"].map(|end| format!("{start}{end}")).to_vec()
            }
        };
        candidates.into_iter().find(|value| self.passes(value.as_bytes()))
    }
}

// === Pieces ===

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// Whatever stands around a cookie.
    Gap,
    /// One character that may be anything.
    Any,
    /// Part of a value; an expression.
    Wild(String),
    /// The rest of a value; whether it may be empty.
    Rest(bool),
}

fn is_separator(byte: u8) -> bool {
    byte == b';' || byte.is_ascii_whitespace() || byte == 0x0b
}

fn is_gap(way: &[Piece]) -> bool {
    way.iter().all(|piece| match piece {
        Piece::Text(text) => text.bytes().all(is_separator),
        Piece::Gap | Piece::Any => true,
        Piece::Wild(_) | Piece::Rest(_) => false,
    })
}

/// Every way through an expression, if those are few enough.
fn expand(hir: &Hir) -> Option<Vec<Vec<Piece>>> {
    Some(match hir.kind() {
        HirKind::Empty => vec![Vec::new()],
        HirKind::Look(_) => vec![vec![Piece::Gap]],
        HirKind::Literal(literal) => {
            vec![vec![Piece::Text(String::from_utf8(literal.0.to_vec()).ok()?)]]
        }
        HirKind::Class(class) => class_ways(class, hir)?,
        HirKind::Capture(capture) => expand(&capture.sub)?,
        HirKind::Repetition(repetition) => {
            if let HirKind::Class(class) = repetition.sub.kind() {
                let bytes = bytes(class)?;
                if bytes.iter().all(|byte| is_separator(*byte)) {
                    return Some(vec![vec![Piece::Gap]]);
                }
                return Some(vec![vec![if bytes.contains(&b';') {
                    if repetition.max == Some(1) { Piece::Gap } else { any(repetition.min) }
                } else if bytes.len() > 150 && repetition.min < 2 && repetition.max.is_none() {
                    Piece::Rest(repetition.min == 0)
                } else {
                    Piece::Wild(written(hir))
                }]]);
            }
            let ways = expand(&repetition.sub)?;
            if ways.iter().all(|way| is_gap(way)) {
                return Some(vec![vec![Piece::Gap]]);
            }
            match (repetition.min, repetition.max) {
                (0, Some(1)) => ways.into_iter().chain([Vec::new()]).collect(),
                (1, Some(1)) => ways,
                _ => vec![vec![Piece::Wild(written(hir))]],
            }
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let next = expand(part)?;
                if all.len() * next.len() > MOST {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|start| next.iter().map(move |end| [start.as_slice(), end].concat()))
                    .collect();
            }
            all
        }
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.extend(expand(alternative)?);
            }
            if all.iter().all(|way| is_gap(way)) {
                all = vec![vec![Piece::Gap]];
            }
            if all.len() > MOST {
                return None;
            }
            all
        }
    })
}

/// `.*` is a gap, and `.+` may be one.
fn any(min: u32) -> Piece {
    if min == 0 { Piece::Gap } else { Piece::Any }
}

fn bytes(class: &Class) -> Option<Vec<u8>> {
    match class {
        Class::Bytes(class) => {
            Some(class.iter().flat_map(|range| range.start()..=range.end()).collect())
        }
        Class::Unicode(_) => None,
    }
}

fn class_ways(class: &Class, hir: &Hir) -> Option<Vec<Vec<Piece>>> {
    let bytes = bytes(class)?;
    Some(if bytes.iter().all(|byte| is_separator(*byte)) {
        vec![vec![Piece::Gap]]
    } else if bytes.len() <= 4 {
        bytes.iter().map(|byte| vec![Piece::Text(char::from(*byte).to_string())]).collect()
    } else if bytes.contains(&b';') {
        vec![vec![Piece::Any]]
    } else {
        vec![vec![Piece::Wild(written(hir))]]
    })
}

static NEEDLESS_GROUP: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new(r"\(\?:(\[[^\[\]\\]*\])\)").expect("it compiles"));

/// As the filter takes it, which reads bytes anyway.
fn written(hir: &Hir) -> String {
    let text = hir.to_string().replace("(?-u:", "(?:");
    NEEDLESS_GROUP.replace_all(&text, "$1").into_owned()
}

// === Cookies ===

#[derive(Default)]
struct Builder {
    text: String,
    /// What of the value is an expression: everything so far, escaped.
    pattern: Option<String>,
    rest: Option<bool>,
    done: Vec<(String, Test)>,
}

impl Builder {
    fn is_in_value(&self) -> bool {
        self.text.contains('=')
    }

    fn push(&mut self, text: &str) {
        if let Some(pattern) = &mut self.pattern {
            pattern.push_str(&regex::escape(text));
        }
        if let (Some(rest), None) = (self.rest, &self.pattern)
            && !text.is_empty()
        {
            let (_, value) = self.text.split_once('=').unwrap_or_default();
            let dots = if rest { ".*" } else { ".+" };
            self.pattern = Some(format!("{}{dots}{}", regex::escape(value), regex::escape(text)));
        }
        if self.pattern.is_none() {
            self.text.push_str(text);
        }
    }

    fn wild(&mut self, expression: &str) {
        if !self.is_in_value() {
            // Characters before a name.
            return;
        }
        let (_, value) = self.text.split_once('=').unwrap_or_default();
        self.pattern.get_or_insert_with(|| regex::escape(value)).push_str(expression);
    }

    fn end(&mut self) -> Result<(), String> {
        let text = std::mem::take(&mut self.text);
        let (pattern, rest) = (self.pattern.take(), self.rest.take());
        let text = text.trim_matches(|c: char| c.is_ascii() && is_separator(c as u8));
        if text.is_empty() && pattern.is_none() {
            return Ok(());
        }
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("{text:?} stands in the expression without the name of a cookie"));
        };
        let name = name.trim();
        if name.is_empty() || name.bytes().any(|b| !b.is_ascii_graphic() || b"\",=".contains(&b)) {
            return Err(format!("{name:?} is no name of a cookie"));
        }
        let test = match (pattern, rest) {
            (Some(pattern), _) => Test::Regex(pattern),
            (None, Some(true)) if value.is_empty() => Test::Present,
            (None, Some(false)) => Test::Regex(regex::escape(value) + ".+"),
            (None, Some(true)) => Test::Prefix(value.to_owned()),
            (None, None) if value.is_empty() => Test::Present,
            (None, None) => Test::In(vec![value.trim_end().to_owned()]),
        };
        if let Test::Regex(regex) = &test {
            Pattern::parse(regex).map_err(|error| format!("{regex}: {error}"))?;
        }
        self.done.push((name.to_owned(), test));
        Ok(())
    }
}

fn cookies(way: &[Piece]) -> Result<Vec<(String, Test)>, String> {
    let mut builder = Builder::default();
    for (place, piece) in way.iter().enumerate() {
        match piece {
            Piece::Gap => builder.end()?,
            // `user=t.ster`: a dot that somebody forgot to escape.
            Piece::Any => match (builder.text.split_once('='), way.get(place + 1)) {
                (Some((_, value)), Some(Piece::Text(next)))
                    if !value.is_empty() && !next.starts_with([';', ' ']) =>
                {
                    builder.push(".");
                }
                (Some((_, "")), _) => builder.rest = Some(false),
                _ => builder.end()?,
            },
            Piece::Wild(expression) => builder.wild(expression),
            Piece::Rest(may_be_empty) => {
                if builder.is_in_value() {
                    if builder.pattern.is_some() {
                        builder.wild(if *may_be_empty { ".*" } else { ".+" });
                    } else {
                        builder.rest = Some(*may_be_empty);
                    }
                } else {
                    builder.end()?;
                }
            }
            Piece::Text(text) => {
                let mut parts = text.split(';');
                builder.push(parts.next().unwrap_or_default());
                for part in parts {
                    builder.end()?;
                    builder.push(part);
                }
            }
        }
    }
    builder.end()?;
    Ok(builder.done)
}

/// Values of the same cookie become one list.
fn joined(alternatives: Alternatives) -> Alternatives {
    let mut all = Alternatives::new();
    for alternative in alternatives {
        if let [(name, Test::In(values))] = alternative.as_slice() {
            let same = all.iter_mut().find_map(|other| match other.as_mut_slice() {
                [(known, Test::In(list))] if known == name => Some(list),
                _ => None,
            });
            if let Some(list) = same {
                list.extend(
                    values.iter().filter(|v| !list.contains(v)).cloned().collect::<Vec<_>>(),
                );
                continue;
            }
        }
        all.push(alternative);
    }
    all
}

// === What it gets wrong ===

/// What the rule says to a Cookie header, by the filter's own reader of cookies.
fn holds(alternatives: &Alternatives, header: &str) -> bool {
    alternatives.iter().any(|cookies| {
        cookies.iter().all(|(name, test)| {
            cookie::pairs(header.as_bytes())
                .any(|(known, value)| known == name.as_bytes() && test.passes(value))
        })
    })
}

/// What the expression misses, and what it takes. An error, if the expression means something
/// else than these cookies.
fn compare(
    regex: &Regex,
    alternatives: &Alternatives,
) -> Result<(Option<String>, Option<String>), String> {
    let takes = |header: &str| regex.is_match(header.as_bytes());
    let (mut missed, mut taken) = (None, None);
    for cookies in alternatives {
        let samples: Option<Vec<_>> =
            cookies.iter().map(|(name, test)| Some((&**name, test.sample()?))).collect();
        // Without a value to show there is nothing to compare.
        let Some(samples) = samples else { continue };
        let header = |samples: &[(&str, String)]| {
            let pairs: Vec<_> = samples.iter().map(|(n, v)| format!("{n}={v}")).collect();
            pairs.join("; ")
        };
        let all = header(&samples);
        let mut backwards = samples.clone();
        backwards.reverse();
        let good = [
            all.clone(),
            format!("a=b; {all}"),
            format!("a=b;{all}"),
            format!("{all}; a=b"),
            format!("{all};a=b"),
            format!("a=b; {all}; c=d"),
            format!("a=b; c=d; {all}"),
            header(&backwards),
        ];
        if !good.iter().any(|header| takes(header)) {
            return Err(format!("it does not hold for {all:?}"));
        }
        let other = |change: &dyn Fn(&str, &str) -> String| {
            let pairs: Vec<_> = samples.iter().map(|(name, value)| change(name, value)).collect();
            pairs.join("; ")
        };
        for header in ["zz=zz".to_owned(), other(&|name, _| format!("{name}zz=zz"))] {
            if takes(&header) && !holds(alternatives, &header) {
                return Err(format!("it holds for {header:?}, too"));
            }
        }
        let bad = [
            other(&|name, value| format!("x{name}={value}2")),
            other(&|name, value| format!("x{name}={value}")),
            other(&|name, value| format!("{name}={value}2")),
            other(&|name, value| format!("{name}=x{value}")),
            other(&|name, value| format!("a=b;x{name}={value}")),
            other(&|name, value| format!("{name}={value}, x")),
            other(&|name, value| format!("{name}={}", value.replace('.', "x"))),
            other(&|name, value| format!("{name}={}", value.to_uppercase())),
        ];
        let is_missed = |h: &&String| !takes(h) && holds(alternatives, h);
        missed = missed.or_else(|| good.iter().find(is_missed).cloned());
        let is_taken = |h: &&String| takes(h) && !holds(alternatives, h);
        taken = taken.or_else(|| bad.iter().find(is_taken).cloned());
    }
    Ok((missed, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(expression: &str) -> String {
        match read(expression) {
            Ok(reading) => {
                let rules = reading.alternatives.iter().map(|cookies| {
                    let shown =
                        |(name, test): &(String, Test)| format!("{name}:{}", test.to_json());
                    cookies.iter().map(shown).collect::<Vec<_>>().join(" ")
                });
                rules.collect::<Vec<_>>().join(" | ").replace('"', "")
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn the_shapes_that_people_write() {
        const TESTER: &str = "user:{exact:tester}";
        for (expression, rule) in [
            ("^(.*?;)?(user=tester)(;.*)?$", TESTER),
            (".*user=tester.*", TESTER),
            ("^(.*;.)?(canary=always)(;.*)?$", "canary:{exact:always}"),
            (r"^(.*?;\s*)?(user=tester)(\s*;.*)?$", TESTER),
            (r"^(.*;\s?)?user=tester(;.*)?$", TESTER),
            (r"(^|.*;\s*)user=tester(;.*|$)", TESTER),
            (r"(?:^|;\s*)user=tester(?:;|$)", TESTER),
            (r"^.*\buser=tester\b.*$", TESTER),
            ("user=tester", TESTER),
            ("^user=tester$", TESTER),
            (".*; user=tester.*", TESTER),
            (".*(user=tester|user=qa).*", "user:{in:[tester,qa]}"),
            ("^(.*?;)?(user=(tester|qa|dev))(;.*)?$", "user:{in:[tester,qa,dev]}"),
            (".*user=tester.*|.*group=beta.*", "user:{exact:tester} | group:{exact:beta}"),
            ("^(.*;)?(user=tester|group=beta)(;.*)?$", "user:{exact:tester} | group:{exact:beta}"),
            (".*group=beta.*user=tester.*", "group:{exact:beta} user:{exact:tester}"),
            (r".*user=[^;]+.*", "user:{regex:.+}"),
            (r"^(.*?;)?user=test[^;]*(;.*)?$", "user:{prefix:test}"),
            (r".*session=.*", "session:{}"),
            (r".*session=.+", "session:{regex:.+}"),
            (r"^(.*;\s*)?user=tester-[0-9]+(;.*)?$", r"user:{regex:tester\\-[0-9]+}"),
            (".*user=jane@example.com.*", "user:{exact:jane@example.com}"),
            (r".*v=1\.2.*", "v:{exact:1.2}"),
            ("(?i).*user=tester.*", "user:{regex:(?i)tester}"),
            ("v[12]=on", "v1:{exact:on} | v2:{exact:on}"),
        ] {
            assert_eq!(rules(expression), rule, "{expression}");
        }
    }

    #[test]
    fn what_is_no_test_of_cookies() {
        for (expression, why) in [
            (".*tester.*", "without the name"),
            (".*", "without any cookie"),
            ("^(?!.*user=tester).*$", "not valid RE2"),
            ("(user=tester", "not valid RE2"),
            ("(.*user=tester.*)?", "without any cookie"),
            ("=tester", "no name"),
        ] {
            let said = rules(expression);
            assert!(said.starts_with('!') && said.contains(why), "{expression}: {said}");
        }
    }

    #[test]
    fn what_an_expression_gets_wrong_is_found_by_running_it() {
        for (expression, misses, takes) in [
            ("^(.*?;)?(user=tester)(;.*)?$", Some("a=b; user=tester"), None),
            (".*user=tester.*", None, Some("xuser=tester2")),
            (
                "^(.*;.)?(canary=always)(;.*)?$",
                Some("a=b;canary=always"),
                Some("a=b;xcanary=always"),
            ),
            ("user=tester", Some("a=b; user=tester"), None),
            (r"^(.*;\s*)?user=tester(;.*)?$", None, None),
            (".*user=t.ster", Some("user=t.ster; a=b"), Some("xuser=t.ster")),
            (r"^(.*;\s*)?user=tester(\s*;.*)?$", None, None),
            ("^(.*;.)?(user=tester)(;.*)?$", Some("a=b;user=tester"), Some("a=b;xuser=tester")),
        ] {
            let reading = read(expression).unwrap();
            assert_eq!(reading.misses.as_deref(), misses, "{expression}");
            assert_eq!(reading.takes.as_deref(), takes, "{expression}");
        }
    }
}
