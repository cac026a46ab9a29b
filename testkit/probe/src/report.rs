//! What was seen, phase by phase.

use crate::abi::Failure;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

thread_local! {
    static SEEN: RefCell<Map<String, Value>> = RefCell::new(Map::new());
    static BEGUN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Notes what a call answered.
pub(crate) fn note(phase: &str, call: impl fmt::Display, answer: impl Answer) {
    let line = Value::from(vec![call.to_string(), answer.show()]);
    SEEN.with_borrow_mut(|seen| {
        let lines = seen.entry(phase).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(lines) = lines {
            lines.push(line);
        }
    });
}

/// Whether this is the first time that the VM comes here.
pub(crate) fn first_time(phase: &str) -> bool {
    BEGUN.with_borrow_mut(|begun| begun.insert(phase.to_owned()))
}

/// What was seen since the last report.
pub(crate) fn take_json() -> String {
    Value::Object(SEEN.take()).to_string()
}

/// Something that can be shown on a line of the report.
pub(crate) trait Answer {
    fn show(&self) -> String;
}

impl<T: Answer> Answer for Result<T, Failure> {
    fn show(&self) -> String {
        match self {
            Ok(answer) => answer.show(),
            Err(status) => status_name(*status),
        }
    }
}

impl Answer for () {
    fn show(&self) -> String {
        "Ok".to_owned()
    }
}

impl Answer for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Answer for u32 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Answer for u64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Answer for usize {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Answer for Vec<u8> {
    fn show(&self) -> String {
        format!("\"{}\"", self.escape_ascii())
    }
}

impl Answer for &[u8] {
    fn show(&self) -> String {
        format!("\"{}\"", self.escape_ascii())
    }
}

impl Answer for String {
    fn show(&self) -> String {
        self.clone()
    }
}

impl<T: Answer> Answer for (u32, T) {
    fn show(&self) -> String {
        format!("{} {}", self.0, self.1.show())
    }
}

fn status_name(status: u32) -> String {
    match status {
        1 => "NotFound",
        2 => "BadArgument",
        3 => "SerializationFailure",
        4 => "ParseFailure",
        6 => "InvalidMemoryAccess",
        7 => "Empty",
        8 => "CasMismatch",
        10 => "InternalFailure",
        12 => "Unimplemented",
        other => return format!("status {other}"),
    }
    .to_owned()
}

/// Pairs in their wire form, one after the other.
pub(crate) struct Pairs(pub(crate) Vec<u8>);

impl Pairs {
    pub(crate) fn of<N: AsRef<[u8]>>(pairs: &[(N, &[u8])]) -> Self {
        let mut out = (pairs.len() as u32).to_le_bytes().to_vec();
        for (name, value) in pairs {
            out.extend((name.as_ref().len() as u32).to_le_bytes());
            out.extend((value.len() as u32).to_le_bytes());
        }
        for (name, value) in pairs {
            out.extend(name.as_ref());
            out.push(0);
            out.extend(*value);
            out.push(0);
        }
        Self(out)
    }

    pub(crate) fn decode(&self) -> Option<Vec<(&[u8], &[u8])>> {
        let number = |at: usize| {
            let bytes = self.0.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        if self.0.is_empty() {
            return Some(Vec::new());
        }
        let count = number(0)?;
        let mut at = 4 + count * 8;
        let mut pairs = Vec::new();
        for i in 0..count {
            let (name, value) = (number(4 + i * 8)?, number(8 + i * 8)?);
            let name_end = at + name;
            let value_end = name_end + 1 + value;
            pairs.push((self.0.get(at..name_end)?, self.0.get(name_end + 1..value_end)?));
            at = value_end + 1;
        }
        Some(pairs)
    }
}

impl Answer for Pairs {
    fn show(&self) -> String {
        let Some(pairs) = self.decode() else {
            return format!("no pairs: {}", self.0.show());
        };
        let lines: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        format!("[{}]", lines.join(" | "))
    }
}

/// Pairs whose order means nothing, such as those of a map of properties. A map
/// in the map is `LABELS`.
pub(crate) struct Sorted(pub(crate) Vec<u8>);

impl Answer for Sorted {
    fn show(&self) -> String {
        let pairs = Pairs(self.0.clone());
        let Some(mut pairs) = pairs.decode() else {
            return format!("no pairs: {}", self.0.show());
        };
        pairs.sort_unstable();
        let lines: Vec<_> = pairs
            .iter()
            .map(|(name, value)| match *name {
                b"LABELS" => format!("LABELS = {}", Sorted(value.to_vec()).show()),
                _ => format!("{} = {}", name.escape_ascii(), value.escape_ascii()),
            })
            .collect();
        format!("{{{}}}", lines.join(", "))
    }
}
