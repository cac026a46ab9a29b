//! Rules that load, and do not do what their author meant.

use super::pattern::{Meaning, Test};
use super::valid::Valid;
use crate::cookie;
use crate::input::yaml::{Member, Node, Span};
use crate::report::Diagnostic;
use release_track::config::{field_path, item_path};

/// One entry of a track's `match`.
struct Rule<'a> {
    track: &'a str,
    /// The track's place in the list.
    place: usize,
    index: usize,
    is_dry: bool,
    path: String,
    node: &'a Node,
    conditions: Vec<Condition<'a>>,
}

struct Condition<'a> {
    /// The field of the rule: `cookies`, `withoutHeaders`, `uri`.
    field: &'a str,
    /// Of the cookie, header or parameter; headers in lower case.
    name: Option<String>,
    path: String,
    key: Span,
    node: &'a Node,
    test: Test,
}

impl Condition<'_> {
    fn is_negated(&self) -> bool {
        matches!(self.field, "withoutCookies" | "withoutHeaders")
    }

    /// What it looks at: `cookies user`.
    fn subject(&self) -> (&str, Option<&str>) {
        let field = match self.field {
            "withoutCookies" => "cookies",
            "withoutHeaders" => "headers",
            field => field,
        };
        (field, self.name.as_deref())
    }

    /// Whether each request that satisfies this one satisfies `other`.
    fn implies(&self, other: &Self) -> bool {
        self.subject() == other.subject()
            && match (self.is_negated(), other.is_negated()) {
                (false, false) => self.test.is_within(&other.test),
                (true, true) => other.test.is_within(&self.test),
                _ => false,
            }
    }

    /// Whether no request satisfies both.
    fn excludes(&self, other: &Self) -> bool {
        !self.is_negated()
            && other.is_negated()
            && (self.subject() == other.subject() && self.test.is_within(&other.test)
                || self.field == "cookies"
                    && other.subject() == ("headers", Some("cookie"))
                    && other.test.is_presence())
    }
}

pub(super) fn check<'a>(valid: &Valid<'a>) -> Vec<Diagnostic<'a>> {
    let rules = read(valid.source.node);
    let mut found = Vec::new();
    let mut live: Vec<&Rule<'a>> = Vec::new();
    let mut compared = 0;
    for rule in &rules {
        let impossible = never(valid, rule);
        let can_match = impossible.is_empty();
        found.extend(impossible);
        for condition in &rule.conditions {
            found.extend(simpler(valid, condition));
            found.extend(large(valid, condition));
            found.extend(unsafe_header(valid, condition));
        }
        if can_match {
            let room = MOST_COMPARED.saturating_sub(compared) / rule.conditions.len().max(1);
            if live.len() > room && compared < MOST_COMPARED {
                found.push(not_compared(valid, rule));
                compared = MOST_COMPARED;
            } else if compared < MOST_COMPARED {
                compared += live.len() * rule.conditions.len();
                found.extend(shadowed(valid, rule, &live));
                live.push(rule);
            }
        }
    }
    found
}

/// This many comparisons of a rule's condition with an earlier rule take about a second.
const MOST_COMPARED: usize = 2_000_000;

fn not_compared<'a>(valid: &Valid<'a>, rule: &Rule<'a>) -> Diagnostic<'a> {
    let message = "this rule, and those after it, were not compared with the rules before them: \
                   there are too many"
        .to_owned();
    let diagnostic = warning(valid, "not-compared", rule.node.span.clone(), &rule.path, message);
    with_hint(diagnostic, "list values under in: one rule then takes thousands")
}

/// An expression that is so large that it looks at shorter values only.
fn large<'a>(valid: &Valid<'a>, condition: &Condition<'a>) -> Option<Diagnostic<'a>> {
    let Test::Regex { pattern: Some(pattern), .. } = &condition.test else { return None };
    // What clients send in one header is rarely longer.
    const ENOUGH: usize = 1024;
    if pattern.longest() >= ENOUGH {
        return None;
    }
    let node = condition.node.get("regex")?;
    let message = format!(
        "this expression is so large that it looks at values of up to {} bytes; the rule does not hold for longer ones",
        pattern.longest()
    );
    let path = field_path(&condition.path, "regex");
    let diagnostic = warning(valid, "large-regex", node.span.clone(), &path, message);
    Some(with_hint(diagnostic, "repeat less of it, or list values under in"))
}

fn warning<'a>(
    valid: &Valid<'a>,
    code: &'static str,
    span: Span,
    path: &str,
    message: String,
) -> Diagnostic<'a> {
    Diagnostic {
        is_error: false,
        code,
        file: valid.source.file,
        span,
        path: path.to_owned(),
        value: None,
        message,
        hint: None,
    }
}

fn with_hint(diagnostic: Diagnostic<'_>, hint: impl Into<String>) -> Diagnostic<'_> {
    Diagnostic { hint: Some(hint.into()), ..diagnostic }
}

fn read(configuration: &Node) -> Vec<Rule<'_>> {
    let mut rules = Vec::new();
    let tracks = configuration.get("tracks").into_iter().flat_map(Node::items);
    for (place, track) in tracks.enumerate() {
        let name = track.get("name").and_then(Node::text).unwrap_or_default();
        let is_dry = track.get("dryRun").is_some_and(|dry| dry.to_json() == true);
        let path = field_path(&item_path("tracks", place), "match");
        let entries = track.get("match").into_iter().flat_map(Node::items);
        for (index, node) in entries.enumerate() {
            let path = item_path(&path, index);
            let mut conditions = Vec::new();
            for member in node.members() {
                let path = field_path(&path, &member.name);
                match &*member.name {
                    "uri" | "method" | "authority" => {
                        conditions.push(condition(&member.name, None, path, member));
                    }
                    field => conditions.extend(member.node.members().iter().map(|member| {
                        let is_header = matches!(field, "headers" | "withoutHeaders");
                        let name = match is_header {
                            true => member.name.to_ascii_lowercase(),
                            false => member.name.clone(),
                        };
                        condition(field, Some(name), field_path(&path, &member.name), member)
                    })),
                }
            }
            rules.push(Rule { track: name, place, index, is_dry, path, node, conditions });
        }
    }
    rules
}

fn condition<'a>(
    field: &'a str,
    name: Option<String>,
    path: String,
    member: &'a Member,
) -> Condition<'a> {
    let (key, node) = (member.key.clone(), &member.node);
    Condition { field, name, path, key, node, test: Test::read(node) }
}

/// Why no request can satisfy a rule.
fn never<'a>(valid: &Valid<'a>, rule: &Rule<'a>) -> Vec<Diagnostic<'a>> {
    let mut found = Vec::new();
    let never = |span: &Span, path: &str, message: String| {
        warning(valid, "never-matches", span.clone(), path, message)
    };
    for condition in rule.conditions.iter().filter(|condition| !condition.is_negated()) {
        let Condition { node, path, test, .. } = condition;
        if test.passes_nothing() {
            let message = "no value passes this test, so the rule never matches";
            found.push(never(&node.span, path, message.to_owned()));
        } else if let Some(values) = test.values()
            && let Some(why) =
                values.iter().map(|value| impossible(condition, value)).collect::<Option<Vec<_>>>()
            && let Some((why, hint)) = why.into_iter().next()
        {
            let diagnostic = never(&node.span, path, format!("this rule never matches: {why}"));
            found.push(with_hint(diagnostic, hint));
        } else if let Test::Prefix(prefix) = test
            && let Some((why, hint)) = impossible(condition, prefix)
        {
            let diagnostic = never(&node.span, path, format!("this rule never matches: {why}"));
            found.push(with_hint(diagnostic, hint));
        }
        if let Some(other) = rule.conditions.iter().find(|other| condition.excludes(other)) {
            let message = format!(
                "this rule never matches: it excludes under {} what it asks for here",
                other.field
            );
            found.push(never(&node.span, path, message));
        }
        if condition.subject() == ("headers", Some("host")) {
            let message = "this rule never matches: the proxy hands on Host as the authority";
            let diagnostic = never(&condition.key, path, message.to_owned());
            found.push(with_hint(diagnostic, "write authority in place of headers: {host: ..}"));
        }
    }
    found
}

/// Why a value never occurs, and what to do.
fn impossible(condition: &Condition<'_>, value: &str) -> Option<(&'static str, &'static str)> {
    let is_prefix = matches!(condition.test, Test::Prefix(_));
    let trimmed = value.trim_start() == value && (is_prefix || value.trim_end() == value);
    match condition.field {
        "cookies" if value.contains(';') => Some((
            "a cookie's value ends before the first ;",
            "give each cookie a name of its own under cookies",
        )),
        "cookies" | "headers" if !trimmed => {
            Some(("white space around a value is not part of it", "remove the white space"))
        }
        "uri" if value.contains(['?', '#']) => {
            Some(("the path ends before its query", "compare the query under queryParams"))
        }
        "uri" if !value.starts_with('/') && value != "*" && !(is_prefix && value.is_empty()) => {
            Some(("a path begins with /", "write the path with its / in front"))
        }
        "method" if value.bytes().any(|byte| byte.is_ascii_lowercase()) => Some((
            "methods are compared with their case, and are sent in capitals",
            "write the method in capitals, as in GET",
        )),
        "queryParams" if value.contains(['&', '#', ' ']) => Some((
            "a parameter is compared as it was sent, and then has neither & nor # nor a space",
            "write it as it stands in the link: %26, %23, + or %20",
        )),
        _ => None,
    }
}

/// An earlier rule that holds whenever this one does.
fn shadowed<'a>(
    valid: &Valid<'a>,
    rule: &Rule<'a>,
    earlier: &[&Rule<'a>],
) -> Option<Diagnostic<'a>> {
    let implies = |one: &Rule<'_>, other: &Rule<'_>| {
        let conditions = &one.conditions;
        other.conditions.iter().all(|condition| conditions.iter().any(|c| c.implies(condition)))
    };
    let before = earlier
        .iter()
        .find(|before| (!before.is_dry || before.place == rule.place) && implies(rule, before))?;
    let other = format!("rule {} of track {}", before.index, before.track);
    let line = valid.source.file.position(before.node.span.start).0;
    let message = match (implies(before, rule), before.place == rule.place) {
        (true, _) => format!("this rule is never needed: {other} (line {line}) says the same"),
        (false, true) => {
            format!("this rule is never needed: {other} (line {line}) holds whenever it does")
        }
        (false, false) => {
            format!(
                "this rule never decides: {other} (line {line}) holds whenever it does, and is asked first"
            )
        }
    };
    let diagnostic = warning(valid, "shadowed", rule.node.span.clone(), &rule.path, message);
    let hint = match before.place == rule.place {
        true => "remove it",
        false => "put its track first, or let the earlier rule ask for more",
    };
    Some(with_hint(diagnostic, hint))
}

/// A regular expression where something plainer says the same.
fn simpler<'a>(valid: &Valid<'a>, condition: &Condition<'a>) -> Option<Diagnostic<'a>> {
    let Test::Regex { expression, means, .. } = &condition.test else { return None };
    let node = condition.node.get("regex")?;
    let path = field_path(&condition.path, "regex");
    if condition.subject() == ("headers", Some("cookie")) {
        let message = "a cookie is looked for by an expression over the whole header".to_owned();
        let diagnostic = warning(valid, "cookie-by-regex", node.span.clone(), &path, message);
        let rules = cookie::read(expression).map(|reading| reading.rules());
        let rules = rules.unwrap_or_else(|_| "cookies: {NAME: ..}".to_owned());
        let hint = format!("write {rules}: it is found wherever it stands in the header");
        return Some(with_hint(diagnostic, hint));
    }
    let plainer = match means {
        Meaning::Nothing | Meaning::Itself => return None,
        Meaning::Anything => "{}, presence".to_owned(),
        Meaning::Prefix(prefix) => format!("prefix: {}", quoted(prefix)),
        Meaning::OneOf(values) => match values.iter().collect::<Vec<_>>()[..] {
            [] => return None,
            [one] => format!("exact: {}", quoted(one)),
            ref values => {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                format!("in: [{}]", values.join(", "))
            }
        },
    };
    let message = "this expression says no more than a plain comparison".to_owned();
    let diagnostic = warning(valid, "needless-regex", node.span.clone(), &path, message);
    Some(with_hint(diagnostic, format!("write {plainer}: it costs less, and cannot be misread")))
}

fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let starts_as_text = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .contains(&&*value.to_ascii_lowercase());
    if starts_as_text && value.chars().all(is_plain) && !is_word {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// A rule that lets the client choose.
fn unsafe_header<'a>(valid: &Valid<'a>, condition: &Condition<'a>) -> Option<Diagnostic<'a>> {
    let header = &*valid.config.header;
    let reads_it = condition.field == "headers" && condition.name.as_deref() == Some(header);
    if !reads_it || valid.config.trust_incoming {
        return None;
    }
    let message = format!("any client can send {header}, and would choose its own track");
    let diagnostic =
        warning(valid, "client-chooses", condition.key.clone(), &condition.path, message);
    Some(with_hint(diagnostic, "for testers without an account there is preview: signed links"))
}
