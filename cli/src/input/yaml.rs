//! YAML, and JSON, with the place of every value in its text.
//!
//! Plain scalars mean what they mean to kubectl (sigs.k8s.io/yaml on go.yaml.in/yaml/v2,
//! `resolve.go`), which is not YAML 1.2: `yes` and `off` are booleans, `010` is eight. All
//! numbers are doubles, as in the protobuf Struct that Istio makes of them.

use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag, options};
use regex::Regex;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

/// A place in a string, in bytes.
pub(crate) type Span = Range<usize>;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Of the name.
    pub(crate) key: Span,
    pub(crate) node: Node,
}

/// Two values are equal wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.node == other.node
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Error {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// Aliases can make a small text large. The largest configuration that the filter takes (4 MiB)
/// has fewer values than this.
const MOST_NODES: usize = 4 << 20;

/// Why a string is not JSON (RFC 8259).
pub(crate) fn not_json(text: &str) -> Option<Error> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    let start: usize = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum();
    // Its columns are bytes from one; zero is the end of the line before.
    let at = text.floor_char_boundary(start + error.column().saturating_sub(1));
    Some(Error { span: at..at, message: error.to_string() })
}

/// The documents of a string; empty ones are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Error> {
    let options = options! { emit_comments: false };
    let mut composer = Composer {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        text,
    };
    let mut documents = Vec::new();
    loop {
        match composer.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => {
                let root = composer.node(event, span)?;
                if root.value != Value::Null {
                    documents.push(root);
                }
                composer.anchors.clear();
            }
        }
    }
}

struct Composer<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: &'a str,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Error> {
        let end = self.text.len();
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.byte_range().unwrap_or(end..end))),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(end).min(end);
                Err(Error { span: at..at, message: error.info() })
            }
            None => Ok((Event::StreamEnd, end..end)),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Error> {
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned().ok_or_else(|| Error {
                    span: span.clone(),
                    message: "this alias stands inside the value that it repeats".to_owned(),
                })?;
                self.count(size(&target), &span)?;
                return Ok(Node { span, value: target.value });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())
                    .map_err(|message| Error { span: span.clone(), message })?;
                (anchor, Node { span, value })
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => break end,
                        (event, span) => items.push(self.node(event, span)?),
                    }
                };
                (anchor, Node { span: self.trimmed(&span, &end), value: Value::List(items) })
            }
            Event::MappingStart(_, anchor, _) => {
                let (members, end) = self.members()?;
                (anchor, Node { span: self.trimmed(&span, &end), value: Value::Map(members) })
            }
            _ => return Err(Error { span, message: "a value is expected here".to_owned() }),
        };
        self.count(1, &node.span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn members(&mut self) -> Result<(Vec<Member>, Span), Error> {
        let mut members: Vec<Member> = Vec::new();
        let mut names = HashSet::new();
        let mut merged = Vec::new();
        let end = loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, end) => break end,
                other => other,
            };
            let merges =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            if merges {
                merged.push(node);
                continue;
            }
            let name = name(&key.value).ok_or_else(|| Error {
                span: key.span.clone(),
                message: "a field's name has to be a string".to_owned(),
            })?;
            if !names.insert(name.clone()) {
                let message = format!("the field {name:?} stands here a second time");
                return Err(Error { span: key.span, message });
            }
            members.push(Member { name, key: key.span, node });
        };
        for node in merged {
            merge(&mut members, &mut names, node)?;
        }
        Ok((members, end))
    }

    /// From the start of one event to the end of another, without the white space before that.
    fn trimmed(&self, start: &Span, end: &Span) -> Span {
        let whole = self.text.get(start.start..end.end).unwrap_or_default();
        start.start..start.start + whole.trim_end().len()
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Error> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("there are more than {MOST_NODES} values");
            return Err(Error { span: span.clone(), message });
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(members) => members.iter().map(|member| size(&member.node)).sum(),
        _ => 0,
    }
}

/// YAML 1.1's merge key: what is there already stays.
fn merge(members: &mut Vec<Member>, names: &mut HashSet<String>, node: Node) -> Result<(), Error> {
    match node.value {
        Value::Map(others) => {
            members.extend(others.into_iter().filter(|other| names.insert(other.name.clone())));
            Ok(())
        }
        Value::List(nodes) => nodes.into_iter().try_for_each(|node| merge(members, names, node)),
        _ => {
            Err(Error { span: node.span, message: "<< takes an object, or a list of them".into() })
        }
    }
}

/// Names that YAML takes for something else are strings again in JSON.
fn name(key: &Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let is_core = |tag: &Tag, name: &str| {
        format!("{}{}", tag.handle(), tag.suffix()) == format!("tag:yaml.org,2002:{name}")
    };
    match tag {
        Some(tag) if is_core(tag, "str") => Ok(Value::Text(text.to_owned())),
        Some(tag) => Err(format!("the tag {tag} is not understood; leave it out")),
        None if style != ScalarStyle::Plain => Ok(Value::Text(text.to_owned())),
        None => match plain(text) {
            Value::Number(number) if !number.is_finite() => {
                Err("JSON has no number of this kind".to_owned())
            }
            value => Ok(value),
        },
    }
}

static DECIMAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").expect("it compiles")
});

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Number(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" => {
            return Value::Number(f64::INFINITY);
        }
        _ => {}
    }
    let number = match text.bytes().next() {
        Some(b'.') => decimal(text),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let text = text.replace('_', "");
            integer(&text).or_else(|| decimal(&text))
        }
        _ => None,
    };
    number.map_or_else(|| Value::Text(text.to_owned()), Value::Number)
}

/// As Go's `strconv.ParseInt` with base 0 and `ParseUint`.
fn integer(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (base, digits) = match &*prefix {
        "0x" => (16, digits.get(2..)?),
        "0o" => (8, digits.get(2..)?),
        "0b" => (2, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let number = sign * i128::from_str_radix(digits, base).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number as f64)
}

/// One too large for a double is a string.
fn decimal(text: &str) -> Option<f64> {
    let number: Option<f64> = DECIMAL.is_match(text).then(|| text.parse().ok()).flatten();
    number.filter(|number| number.is_finite())
}

impl Node {
    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.member(name).map(|member| &member.node)
    }

    /// The value at the end of a way through fields.
    pub(crate) fn at(&self, way: &[&str]) -> Option<&Node> {
        way.iter().try_fold(self, |node, name| node.get(name))
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    /// None, if it is no map.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// None, if it is no list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// As Istio hands it to the proxy.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Json::from(*number as i64)
            }
            Value::Number(number) => Json::from(*number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(members) => Json::Object(
                members.iter().map(|member| (member.name.clone(), member.node.to_json())).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let documents = documents(text).unwrap();
        Json::Array(documents.iter().map(Node::to_json).collect()).to_string()
    }

    /// What sigs.k8s.io/yaml 1.6.0 makes of each.
    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        for (plain, want) in [
            ("yes", "true"),
            ("y", "true"),
            ("On", "true"),
            ("off", "false"),
            ("N", "false"),
            ("nO", "\"nO\""),
            ("~", "null"),
            ("Null", "null"),
            ("nULL", "\"nULL\""),
            ("10", "10"),
            ("+10", "10"),
            ("-10", "-10"),
            ("1_000", "1000"),
            ("010", "8"),
            ("08", "8"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("-0x1f", "-31"),
            ("0b101", "5"),
            ("1.10", "1.1"),
            ("1.", "1"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("1e3", "1000"),
            ("1E400", "\"1E400\""),
            ("18446744073709551615", "1.8446744073709552e+19"),
            ("1.2.3", "\"1.2.3\""),
            ("v2", "\"v2\""),
            ("--1", "\"--1\""),
            ("2026-11-24", "\"2026-11-24\""),
            ("2026-11-24T09:00:00Z", "\"2026-11-24T09:00:00Z\""),
            ("12:30", "\"12:30\""),
            ("'10'", "\"10\""),
            ("\"yes\"", "\"yes\""),
            ("!!str 10", "\"10\""),
        ] {
            assert_eq!(json(&format!("a: {plain}\n")), format!("[{{\"a\":{want}}}]"), "{plain}");
        }
    }

    #[test]
    fn names_are_texts() {
        assert_eq!(json("{1: a, yes: b, 010: c}"), r#"[{"1":"a","true":"b","8":"c"}]"#);
    }

    #[test]
    fn anchors_aliases_and_merges() {
        assert_eq!(json("a: &a {b: 1}\nc: *a\n"), r#"[{"a":{"b":1},"c":{"b":1}}]"#);
        assert_eq!(
            json("a: &a {b: 1, c: 2}\nd:\n  <<: *a\n  c: 3\n"),
            r#"[{"a":{"b":1,"c":2},"d":{"c":3,"b":1}}]"#
        );
    }

    #[test]
    fn several_documents_and_json() {
        assert_eq!(json("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n"), r#"[{"a":1},{"b":2}]"#);
        assert_eq!(json("{\n\t\"a\": [1, 2.5, \"x\\u0041\\/\"]\n}"), r#"[{"a":[1,2.5,"xA/"]}]"#);
        assert_eq!(json(""), "[]");
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a:\n  b: [x, 'y z']\n  c:\n  - d: 1\n  - e\n\nf: |\n  text\n";
        let root = &documents(text).unwrap()[0];
        let place = |node: &Node| &text[node.span.clone()];
        let b = root.at(&["a", "b"]).unwrap();
        assert_eq!(place(b), "[x, 'y z']");
        assert_eq!(place(&b.items()[1]), "'y z'");
        let c = root.at(&["a", "c"]).unwrap();
        assert_eq!(place(c), "d: 1\n  - e");
        assert_eq!(place(&c.items()[0]), "d: 1");
        assert_eq!(&text[root.member("f").unwrap().key.clone()], "f");
    }

    #[test]
    fn values_are_equal_wherever_they_stand() {
        let documents = documents("a: {b: [1]}\n---\n\na:   {b: [1]}\n---\na: {b: [2]}").unwrap();
        assert_eq!(documents[0], documents[1]);
        assert_ne!(documents[0], documents[2]);
    }

    #[test]
    fn what_is_refused_names_its_place() {
        for (text, at, message) in [
            ("a: 1\na: 2\n", 5, "second time"),
            ("a: .inf\n", 3, "no number"),
            ("a: !!binary aGk=\n", 12, "not understood"),
            ("? [a]\n: 1\n", 2, "has to be a string"),
            ("a: *b\n", 3, "anchor"),
            ("a: [1\n", 3, ""),
            ("<<: 1\n", 4, "object"),
        ] {
            let error = documents(text).unwrap_err();
            assert!(error.message.contains(message), "{text:?}: {}", error.message);
            assert!(error.span.start.abs_diff(at) <= 1, "{text:?}: {:?}", error.span);
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            text += &format!("a{n}: &a{n} [{items}]\n");
        }
        assert!(documents(&text).unwrap_err().message.contains("more than"));
    }
}
