//! Why a configuration is refused, and the JSON paths that say where.

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

/// One step of a JSON path.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

impl Step<'_> {
    /// The path of what lies at `rest`, seen from what this step starts at.
    #[cold]
    pub(super) fn before(self, rest: &str) -> String {
        let joint = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        match self {
            Self::Item(index) => format!("[{index}]{joint}{rest}"),
            Self::Field(name) if is_plain(name) => format!("{name}{joint}{rest}"),
            Self::Field(name) => format!("[{:?}]{joint}{rest}", shown(name)),
        }
    }
}

/// The JSON path of these steps from the root.
#[cold]
pub(super) fn json_path(steps: &[Step<'_>]) -> String {
    steps.iter().rfold(String::new(), |rest, step| step.before(&rest))
}

/// The JSON path of a field of the object at `parent`.
pub fn field_path(parent: &str, name: &str) -> String {
    match (parent, is_plain(name)) {
        ("", true) => name.to_owned(),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}[{:?}]", shown(name)),
    }
}

/// The JSON path of an item of the list at `parent`.
pub fn item_path(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The longest value that is repeated in an error, in bytes.
pub(super) const SHOWN: usize = 64;

/// The text, or the first 64 bytes of it.
pub(super) fn shown(text: &str) -> String {
    match text.get(..text.floor_char_boundary(SHOWN)) {
        Some(start) if start.len() < text.len() => format!("{start}..."),
        _ => text.to_owned(),
    }
}
