//! Reading a JSON value with its place in mind, so that what is wrong can be said exactly.

use super::schema::Field;
use serde_json::{Map, Value};
use std::fmt;

/// Why a configuration is refused: the place, what stands there, what may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The JSON path, `tracks[0].name`; empty for the document itself.
    pub path: String,
    /// What stands there, at most 64 bytes of it; of a key only its length.
    pub found: String,
    /// What is wrong with it and what is allowed.
    pub allowed: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "pluginConfig" } else { &self.path };
        write!(f, "{path}: {}: {}", self.found, self.allowed)
    }
}

impl std::error::Error for Error {}

/// The JSON path of a field of the object at `parent`.
pub fn field_path(parent: &str, name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match (parent, plain && !name.is_empty()) {
        ("", true) => name.to_owned(),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}[{:?}]", shown(name)),
    }
}

/// The JSON path of an item of the list at `parent`.
pub fn item_path(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// The longest value that is repeated in an error, in bytes.
const SHOWN: usize = 64;

/// A value, and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: &'a Value,
    at: At<'a>,
}

#[derive(Clone, Copy)]
enum At<'a> {
    Root,
    Field(&'a Node<'a>, &'a str),
    Item(&'a Node<'a>, usize),
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, at: At::Root }
    }

    fn path(&self) -> String {
        match self.at {
            At::Root => String::new(),
            At::Item(parent, index) => item_path(&parent.path(), index),
            At::Field(parent, name) => field_path(&parent.path(), name),
        }
    }

    pub(super) fn error(&self, allowed: impl Into<String>) -> Error {
        let text = match self.value {
            Value::String(text) => format!("{:?}", shown(text)),
            other => shown(&other.to_string()),
        };
        Error { path: self.path(), found: text, allowed: allowed.into() }
    }

    /// An error that does not repeat a secret.
    pub(super) fn secret_error(&self, allowed: &str) -> Error {
        let found = match self.value {
            Value::String(text) => format!("a text of {} bytes", text.len()),
            other => format!("{} instead of a text", kind(other)),
        };
        Error { path: self.path(), found, allowed: allowed.to_owned() }
    }

    pub(super) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.error("a text is expected here; quote it"))
    }

    /// A text that is not empty.
    pub(super) fn some_text(&self) -> Result<&'a str, Error> {
        match self.text()? {
            "" => Err(self.error("an empty text is not allowed here")),
            text => Ok(text),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.error("true or false is expected here"))
    }

    /// A whole number; protobuf's Struct makes a double of every number.
    pub(super) fn integer(&self, from: u32, to: u32) -> Result<u32, Error> {
        let number = self.value.as_f64().filter(|n| n.fract() == 0.0);
        number
            .filter(|n| (f64::from(from)..=f64::from(to)).contains(n))
            .map(|n| n as u32)
            .ok_or_else(|| {
                self.error(format!("a whole number from {from} to {to} is expected here"))
            })
    }

    /// A percentage in steps of 0.01, as hundredths of a percent.
    pub(super) fn percent(&self) -> Result<u32, Error> {
        let hundredths = self.value.as_f64().map(|percent| percent * 100.0);
        hundredths
            // A decimal fraction is not exact in binary.
            .filter(|h| (0.0..=10_000.0).contains(h) && (h - h.round()).abs() < 1e-6)
            .map(|h| h.round() as u32)
            .ok_or_else(|| self.error("a number from 0 to 100, in steps of 0.01, is expected here"))
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn list<'b>(&'b self) -> Result<impl Iterator<Item = Node<'b>>, Error> {
        let items = self.value.as_array().ok_or_else(|| self.error("a list is expected here"))?;
        Ok(items.iter().enumerate().map(|(i, value)| Node { value, at: At::Item(self, i) }))
    }

    fn members(&self) -> Result<&'a Map<String, Value>, Error> {
        self.value.as_object().ok_or_else(|| self.error("an object (name: value) is expected here"))
    }

    /// The pairs of an object whose names are free.
    pub(super) fn map<'b>(&'b self) -> Result<impl Iterator<Item = (&'b str, Node<'b>)>, Error> {
        let members = self.members()?;
        Ok(members.iter().map(|(name, value)| (&**name, Node { value, at: At::Field(self, name) })))
    }

    /// An object that has these fields and no others.
    pub(super) fn object<'b>(&'b self, fields: &'static [Field]) -> Result<Object<'b>, Error> {
        let members = self.members()?;
        for (name, value) in members {
            if !fields.iter().any(|field| field.name == name) {
                let allowed: Vec<_> = fields.iter().map(|field| field.name).collect();
                let node = Node { value, at: At::Field(self, name) };
                return Err(node.error(format!("unknown field; allowed: {}", allowed.join(", "))));
            }
        }
        Ok(Object { node: self, members })
    }
}

/// An object without unknown fields.
pub(super) struct Object<'a> {
    node: &'a Node<'a>,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, name: &'static str) -> Option<Node<'a>> {
        let value = self.members.get(name)?;
        Some(Node { value, at: At::Field(self.node, name) })
    }

    pub(super) fn required(&self, name: &'static str) -> Result<Node<'a>, Error> {
        self.get(name).ok_or_else(|| self.node.error(format!("the field {name} is required")))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shown(text: &str) -> String {
    match text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= SHOWN)
        .last()
    {
        Some(end) if end < text.len() => format!("{}...", text.get(..end).unwrap_or_default()),
        _ => text.to_owned(),
    }
}
