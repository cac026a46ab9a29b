//! Properties: a tree of named values, and how Envoy writes each kind of value
//! for a guest (`serializeValue`, `source/extensions/common/wasm/context.cc`).

use crate::pairs;
use std::collections::BTreeMap;

/// A property's value.
///
/// A guest reads strings and bytes as they are, numbers as 8 bytes
/// little-endian, a boolean as one byte, a map as pairs (see
/// [`Value::encode`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bytes(Vec<u8>),
    /// Also a timestamp or a duration, in nanoseconds.
    Int(i64),
    Uint(u64),
    Double(f64),
    Bool(bool),
    Map(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    /// An empty map.
    #[must_use]
    pub fn map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// The bytes that a guest gets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(number) => number.to_le_bytes().to_vec(),
            Self::Uint(number) => number.to_le_bytes().to_vec(),
            Self::Double(number) => number.to_le_bytes().to_vec(),
            Self::Bool(yes) => vec![u8::from(*yes)],
            Self::Map(map) => {
                let entries: Vec<_> =
                    map.iter().map(|(key, value)| (key, value.encode())).collect();
                pairs::encode(&entries)
            }
        }
    }

    pub(crate) fn find(&self, path: &[&[u8]]) -> Option<&Self> {
        path.iter().try_fold(self, |value, part| match value {
            Self::Map(map) => map.get(*part),
            _ => None,
        })
    }

    pub(crate) fn put(&mut self, path: &[Vec<u8>], value: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Map(_)) {
            *self = Self::map();
        }
        if let Self::Map(map) = self {
            map.entry(first.clone()).or_insert_with(Self::map).put(rest, value);
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

/// Where a property is: `"xds.node.id"`, or the parts one by one where a part
/// has a dot of its own: `["xds", "node", "metadata", "LABELS", "app.kubernetes.io/name"]`.
#[derive(Clone, Debug)]
pub struct Path(pub(crate) Vec<Vec<u8>>);

impl From<&str> for Path {
    fn from(dotted: &str) -> Self {
        Self(dotted.split('.').map(|p| p.as_bytes().to_vec()).collect())
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(parts: [&str; N]) -> Self {
        Self(parts.iter().map(|p| p.as_bytes().to_vec()).collect())
    }
}

impl From<&[&str]> for Path {
    fn from(parts: &[&str]) -> Self {
        Self(parts.iter().map(|p| p.as_bytes().to_vec()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_envoy_writes_them() {
        assert_eq!(Value::from("v2").encode(), b"v2");
        assert_eq!(Value::from(1_i64).encode(), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Value::from(-1_i64).encode(), [255; 8]);
        assert_eq!(Value::from(true).encode(), [1]);
        let mut labels = Value::map();
        labels.put(&Path::from("LABELS.version").0, "v2".into());
        let inner = b"\x01\0\0\0\x07\0\0\0\x02\0\0\0version\0v2\0";
        let mut outer = b"\x01\0\0\0\x06\0\0\0\x17\0\0\0LABELS\0".to_vec();
        outer.extend(inner);
        outer.push(0);
        assert_eq!(labels.encode(), outer);
    }

    #[test]
    fn a_path_ends_at_a_leaf() {
        let mut tree = Value::map();
        tree.put(&Path::from("xds.node.id").0, "sidecar~".into());
        assert_eq!(tree.find(&[b"xds", b"node", b"id"]), Some(&"sidecar~".into()));
        assert_eq!(tree.find(&[b"xds", b"node", b"id", b"more"]), None);
        assert_eq!(tree.find(&[b"xds", b"other"]), None);
    }
}
