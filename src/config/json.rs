//! The document as a tree, from which serde reads the configuration's types, and which knows for
//! each of their errors what stands at its place.
//!
//! serde's code is made once for each type that is read *and* for what it is read from; as all is
//! read from a [`Place`], all of it is there once. It is kept in functions of their own
//! (`#[inline(never)]`): a proxy compiles a function in memory that grows with it, and keeps what
//! that took.

use super::error::{Error, SHOWN, Step, json_path, shown};
use crate::syntax::numbers::{Numbers, number};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Number;
use siphasher::sip::SipHasher24;
use std::fmt::{self, Write};
use std::hash::Hasher;
use std::slice;

/// A JSON value.
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(Box<str>),
    List(Vec<Node>),
    /// Names and values, as they came: a name may stand there twice.
    Object(Vec<(Box<str>, Node)>),
}

impl Node {
    /// RFC 8259 section 8.1: a byte order mark may be passed over.
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json))
    }

    /// Reads the whole document.
    pub(super) fn read<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Error> {
        let place = Place { node: self, secret: false };
        T::deserialize(place).map_err(|failure| failure.at(place).0.into_error())
    }

    fn at(&self, path: &[Step<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (node, *step) {
            (Self::Object(fields), Step::Field(name)) => {
                fields.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
            }
            (Self::List(items), Step::Item(index)) => items.get(index),
            _ => None,
        })
    }

    /// An error about what stands at `path`.
    #[cold]
    pub(super) fn error(&self, path: &[Step<'_>], allowed: impl Into<String>) -> Error {
        Error {
            path: json_path(path),
            found: self.at(path).map(Self::shown).unwrap_or_default(),
            allowed: allowed.into(),
        }
    }

    /// What tells the value that stands at `path` from others: the same however it is written,
    /// and in whatever order the fields of an object stand.
    #[cold]
    pub(super) fn fingerprint(&self, path: &[Step<'_>]) -> u64 {
        self.at(path).map_or(0, Self::hash)
    }

    fn hash(&self) -> u64 {
        match self {
            Self::Null => hash(b'0', b""),
            Self::Bool(value) => hash(b'b', &[u8::from(*value)]),
            // What istiod hands on has gone through a double, which may have been an integer.
            Self::Number(number) => hash(b'n', &number.as_f64().unwrap_or_default().to_le_bytes()),
            Self::String(text) => hash(b's', text.as_bytes()),
            Self::List(items) => {
                let list = hash(b'l', b"");
                items.iter().fold(list, |list, item| joined(list, item.hash()))
            }
            // A sum is the same in any order.
            Self::Object(fields) => fields.iter().fold(hash(b'o', b""), |object, (name, value)| {
                object.wrapping_add(joined(hash(b'f', name.as_bytes()), value.hash()))
            }),
        }
    }

    /// What it is, at most 64 bytes of it.
    fn shown(&self) -> String {
        match self {
            Self::String(text) => format!("{:?}", shown(text)),
            other => {
                let mut start = Start(String::new());
                // It fails when there is enough.
                let _ = write!(start, "{other}");
                shown(&start.0)
            }
        }
    }

    /// What can be said of a secret.
    fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(_) => "a boolean".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::String(text) => format!("a string of {} bytes", text.len()),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// As JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::List(items) => {
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { '[' } else { ',' })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Object(fields) => {
                for (n, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name:?}:{value}", if n == 0 { '{' } else { ',' })?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// Of a value of some kind.
fn hash(kind: u8, value: &[u8]) -> u64 {
    let mut hash = SipHasher24::new();
    hash.write(&[kind]);
    hash.write(value);
    hash.finish()
}

fn joined(one: u64, other: u64) -> u64 {
    let mut hash = SipHasher24::new();
    hash.write(&one.to_le_bytes());
    hash.write(&other.to_le_bytes());
    hash.finish()
}

/// The start of a long text.
struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() > SHOWN { Err(fmt::Error) } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::String(text.into()))
    }

    #[inline(never)]
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    #[inline(never)]
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut object: Vec<(Box<str>, Node)> = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Node::Object(object))
    }
}

/// Where the first name stands that has stood before.
#[cold]
pub(super) fn repeated(names: &mut dyn Iterator<Item = &str>) -> Option<usize> {
    let mut known = Numbers::default();
    let mut names = (0..).zip(names);
    let found = names.find(|(at, name)| *number(&mut known, name.as_bytes().into(), *at) != *at);
    found.map(|(at, _)| at as usize)
}

/// What a type is read from.
#[derive(Clone, Copy)]
pub(super) struct Place<'de> {
    node: &'de Node,
    /// It is a key, or a list of them, which errors must not repeat.
    secret: bool,
}

impl<'de> Place<'de> {
    #[inline(never)]
    fn object(self) -> Result<&'de [(Box<str>, Node)], Failure> {
        let Node::Object(fields) = self.node else {
            return Err(de::Error::custom("expected an object (name: value)"));
        };
        match repeated(&mut fields.iter().map(|(name, _)| &**name)).and_then(|at| fields.get(at)) {
            Some((name, _)) => {
                let mut failure: Failure = de::Error::custom("only one is allowed here");
                failure.0.found = Some("a field that stands here twice".to_owned());
                Err(failure.behind(Step::Field(name)))
            }
            None => Ok(fields),
        }
    }

    #[inline(never)]
    fn fields(self) -> Result<Fields<'de>, Failure> {
        Ok(Fields { fields: self.object()?.iter(), value: None, secret: self.secret })
    }

    #[inline(never)]
    fn items(self) -> Result<Items<'de>, Failure> {
        match self.node {
            Node::List(items) => Ok(Items { items: items.iter(), index: 0, secret: self.secret }),
            _ if self.secret => Err(de::Error::custom("expected a list of keys")),
            _ => Err(de::Error::custom("expected a list")),
        }
    }

    #[inline(never)]
    fn text(self) -> Result<&'de str, Failure> {
        match self.node {
            Node::String(text) => Ok(text),
            _ => Err(de::Error::custom("expected a string; quote it")),
        }
    }

    /// A string, or an object that has one field.
    #[inline(never)]
    fn variant(self, strings: &[&str]) -> Result<Option<Variant<'de>>, Failure> {
        match self.node {
            Node::String(name) if strings.contains(&&**name) => {
                Ok(Some(Variant { name, inside: None }))
            }
            Node::Object(_) => match self.object()? {
                [(name, node)] => Ok(Some(Variant { name, inside: Some(Self { node, ..self }) })),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

/// An object with this field has secrets, also where it was misspelt.
const KEYS: &str = "keys";

/// The name of [`super::fields::Secret`], by which serde tells it from other newtypes.
const SECRET: &str = "Secret";

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = Failure;

    #[inline(never)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            Node::String(text) => visitor.visit_borrowed_str(text),
            Node::List(_) => self.deserialize_seq(visitor),
            Node::Object(_) => self.deserialize_map(visitor),
        }
    }

    #[inline(never)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node {
            Node::Bool(value) => visitor.visit_bool(*value),
            _ => Err(de::Error::custom("expected true or false")),
        }
    }

    /// Every number: protobuf's Struct makes doubles of them all. The visitor says what is wrong
    /// with anything else.
    #[inline(never)]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node {
            Node::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            _ => visitor.visit_none(),
        }
    }

    #[inline(never)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.text()?)
    }

    /// `null` is a value of no type.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    #[inline(never)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let place = Self { secret: self.secret || name == SECRET, ..self };
        visitor.visit_newtype_struct(place).map_err(|failure| failure.at(place))
    }

    #[inline(never)]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(self.items()?)
    }

    #[inline(never)]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(self.fields()?)
    }

    #[inline(never)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let secret = self.secret || fields.contains(&KEYS);
        visitor.visit_map(self.fields().map_err(|failure| failure.about(secret))?)
    }

    #[inline(never)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.variant(variants)? {
            Some(variant) => visitor.visit_enum(variant),
            None => Err(de::Error::invalid_value(Unexpected::Enum, &visitor)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char unit unit_struct tuple tuple_struct bytes
        byte_buf identifier ignored_any
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }
}

struct Items<'de> {
    items: slice::Iter<'de, Node>,
    index: usize,
    secret: bool,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let place = Place { node, secret: self.secret };
        let step = Step::Item(self.index);
        self.index += 1;
        seed.deserialize(place).map(Some).map_err(|failure| failure.at(place).behind(step))
    }
}

struct Fields<'de> {
    fields: slice::Iter<'de, (Box<str>, Node)>,
    /// The field whose name was read last.
    value: Option<(&'de str, &'de Node)>,
    secret: bool,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Failure;

    /// An error of a name is one of its field.
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some((name, node)) = self.fields.next() else { return Ok(None) };
        self.value = Some((name, node));
        let place = Place { node, secret: self.secret };
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
            .map_err(|failure: Failure| failure.at(place).behind(Step::Field(name)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (name, place) = self.value()?;
        seed.deserialize(place).map_err(|failure| failure.at(place).behind(Step::Field(name)))
    }
}

impl<'de> Fields<'de> {
    /// The field whose name was read last.
    #[inline(never)]
    fn value(&mut self) -> Result<(&'de str, Place<'de>), Failure> {
        match self.value.take() {
            Some((name, node)) => Ok((name, Place { node, secret: self.secret })),
            None => Err(de::Error::custom("a value is read before its name")),
        }
    }
}

/// A value of an enum: its name, and what it has inside.
struct Variant<'de> {
    name: &'de str,
    inside: Option<Place<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        match seed.deserialize(BorrowedStrDeserializer::<Failure>::new(self.name)) {
            Ok(variant) => Ok((variant, self)),
            Err(failure) => Err(self.failure(failure)),
        }
    }
}

impl Variant<'_> {
    #[cold]
    fn failure(&self, failure: Failure) -> Failure {
        match self.inside {
            Some(place) => failure.at(place).behind(Step::Field(self.name)),
            None => failure,
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Failure;

    #[inline(never)]
    fn unit_variant(self) -> Result<(), Failure> {
        match self.inside {
            None => Ok(()),
            Some(_) => {
                Err(self.failure(de::Error::custom(format!("expected the string {}", self.name))))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        match self.inside {
            Some(place) => seed.deserialize(place).map_err(|failure| self.failure(failure)),
            None => Err(de::Error::custom(format!("expected an object ({}: ...)", self.name))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Failure> {
        Err(de::Error::custom("this type has no JSON form"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Failure> {
        Err(de::Error::custom("this type has no JSON form"))
    }
}

/// An error on its way from the place where it was found to the root: each place that it passes
/// adds what it knows.
#[derive(Debug)]
pub(super) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    path: String,
    /// `None` as long as no place was passed.
    found: Option<String>,
    allowed: String,
    /// It may be about a secret, wherever it was found.
    secret: bool,
}

impl Parts {
    fn into_error(self) -> Error {
        Error { path: self.path, found: self.found.unwrap_or_default(), allowed: self.allowed }
    }
}

impl Failure {
    /// It is about what stands here, if it is not about something inside of that.
    #[cold]
    #[inline(never)]
    fn at(mut self, place: Place<'_>) -> Self {
        if self.0.found.is_none() {
            let node = place.node;
            let secret = place.secret || self.0.secret;
            self.0.found = Some(if secret { node.kind() } else { node.shown() });
        }
        self
    }

    #[cold]
    fn about(mut self, secret: bool) -> Self {
        self.0.secret |= secret;
        self
    }

    #[cold]
    #[inline(never)]
    fn behind(mut self, step: Step<'_>) -> Self {
        self.0.path = step.before(&self.0.path);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.allowed)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Parts {
            path: String::new(),
            found: None,
            allowed: message.to_string(),
            secret: false,
        }))
    }

    #[cold]
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    #[cold]
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    /// Of an object: [`Place::deserialize_enum`] knows the strings.
    #[cold]
    fn unknown_variant(name: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown_field(name, expected)
    }

    #[cold]
    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("unknown field; allowed: {}", expected.join(", ")))
            .about(expected.contains(&KEYS))
    }

    #[cold]
    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("the field {field} is required"))
    }
}
