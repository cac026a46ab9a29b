#![doc = include_str!("../../../tests/cases/README.md")]
#![forbid(unsafe_code)]

mod check;
mod file;
mod node;
mod text;

pub use check::{Bindings, Responder, Seen};
pub use node::{Direction, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
pub use text::Text;

/// The folder that the case files are in.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");

/// The time of a case that does not say otherwise, in milliseconds of the Unix epoch:
/// 2027-01-15T08:00:00Z.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// What a case runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// The core on a proxy that is not there.
    Native,
    /// The compiled module in the test host.
    Wasm,
    /// The compiled module in a real Envoy.
    Envoy,
    /// The core as a dynamic module in a real Envoy.
    EnvoyNative,
}

impl Engine {
    pub const ALL: [Self; 4] = [Self::Native, Self::Wasm, Self::Envoy, Self::EnvoyNative];

    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::Envoy => "envoy",
            Self::EnvoyNative => "envoy-native",
        }
    }

    /// Whether there is a real Envoy in it, which does some things its own way.
    pub fn is_in_envoy(self) -> bool {
        match self {
            Self::Native | Self::Wasm => false,
            Self::Envoy | Self::EnvoyNative => true,
        }
    }
}

/// One case: a filter that is configured on a proxy, and the requests that pass it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending.
    pub file: String,
    pub name: String,
    /// `pluginConfig`, as the proxy hands it over: JSON, unless the case is about text that is none.
    pub config: String,
    pub node: Node,
    /// The plugin's environment.
    pub environment: BTreeMap<String, String>,
    /// Milliseconds of the Unix epoch.
    pub now_ms: u64,
    /// What the log says when the configuration arrives, one text for every warning.
    pub warns: Vec<String>,
    /// The configuration is refused, as the first of its process: the requests meet a filter that is
    /// neutral.
    pub neutral: Option<Refused>,
    pub act: Act,
    /// The engines that cannot run it, and why.
    pub left_out: BTreeMap<Engine, String>,
    /// It needs a proxy that no other case has used.
    pub alone: bool,
}

/// What happens in a case.
#[derive(Clone, Debug)]
pub enum Act {
    /// The configuration is refused.
    Refused(Refused),
    /// Requests, one after the other.
    Requests(Vec<Step>),
}

impl Case {
    /// What is wrong with the warnings in the log when the configuration has arrived.
    pub fn check_warnings(&self, lines: &[String]) -> Vec<String> {
        if let Some(refused) = &self.neutral {
            return refused.check(lines);
        }
        let says = |(line, text): (&String, &String)| line.contains(text);
        if lines.len() == self.warns.len() && lines.iter().zip(&self.warns).all(says) {
            return Vec::new();
        }
        vec![format!("warnings of the configuration: expected {:?}, got {lines:#?}", self.warns)]
    }
}

/// How a configuration is refused: with one line in the log.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The line begins with this JSON path.
    pub path: String,
    /// It has these strings too.
    pub says: Vec<String>,
    /// It has none of these: secrets.
    pub hides: Vec<String>,
}

impl Refused {
    /// What is wrong with the log's lines of an attempt to configure.
    pub fn check(&self, lines: &[String]) -> Vec<String> {
        let [line] = lines else {
            return vec![format!("one line in the log expected, got {lines:#?}")];
        };
        let mut wrong = Vec::new();
        if !line.contains(&format!("release-track: configuration refused: {}: ", self.path)) {
            wrong.push(format!("expected a refusal of {}, got {line:?}", self.path));
        }
        for text in self.says.iter().filter(|text| !line.contains(*text)) {
            wrong.push(format!("expected {text:?} in {line:?}"));
        }
        for text in self.hides.iter().filter(|text| line.contains(*text)) {
            wrong.push(format!("expected no {text:?} in {line:?}"));
        }
        wrong
    }
}

/// One request, and its response.
#[derive(Clone, Debug)]
pub struct Step {
    pub direction: Direction,
    /// The name of the route's cluster; `None`: the route has none.
    pub cluster: Option<String>,
    /// The cluster of the route that a request with `x-release-track` has instead.
    pub tracked_cluster: Option<String>,
    /// The connection is mutual TLS.
    pub mtls: bool,
    /// What else the proxy tells of the request, by path, segments joined by `.`.
    pub(crate) properties: BTreeMap<String, String>,
    /// This long after the step before it, in milliseconds.
    pub after_ms: u64,
    /// The request's headers, pseudo headers first, names as the client writes them.
    pub request: Vec<(String, Text)>,
    /// The upstream's response, `:status` first.
    pub response: Vec<(String, Text)>,
    pub(crate) expected: BTreeMap<Engine, check::Expected>,
}

impl Step {
    /// The request's headers as a proxy keeps them, names in lower case, with what earlier steps
    /// have bound.
    pub fn headers(&self, bindings: &Bindings) -> Vec<(String, Vec<u8>)> {
        let mut lines = self.lines(bindings);
        lines.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        lines
    }

    /// The request's headers as the client writes them.
    pub fn lines(&self, bindings: &Bindings) -> Vec<(String, Vec<u8>)> {
        fill(&self.request, bindings)
    }

    /// What else the proxy tells of the request: paths, segments joined by NUL, and values.
    pub fn properties(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = |(path, value): (&String, &String)| {
            (path.replace('.', "\0").into_bytes(), value.clone().into_bytes())
        };
        self.properties.iter().map(bytes).collect()
    }

    /// The response's headers.
    pub fn response_headers(&self, bindings: &Bindings) -> Vec<(String, Vec<u8>)> {
        fill(&self.response, bindings)
    }
}

fn fill(lines: &[(String, Text)], bindings: &Bindings) -> Vec<(String, Vec<u8>)> {
    lines.iter().map(|(name, value)| (name.clone(), value.fill(bindings))).collect()
}

/// What is wrong with a case file.
#[derive(Debug)]
pub struct Error {
    pub file: PathBuf,
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.message)
    }
}

impl std::error::Error for Error {}

/// All cases of a folder ([`FOLDER`]), ordered by file.
///
/// # Errors
/// The first file that cannot be read, is not of the form, or has two cases of one name.
pub fn load(folder: impl AsRef<Path>) -> Result<Vec<Case>, Error> {
    let folder = folder.as_ref();
    let failed = |file: &Path, message: String| Error { file: file.to_owned(), message };
    let entries = std::fs::read_dir(folder).map_err(|e| failed(folder, e.to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|e| failed(&file, e.to_string()))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let more = file::parse(&name, &text).map_err(|message| failed(&file, message))?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = more.iter().find(|case| !seen.insert(&case.name)) {
            return Err(failed(&file, format!("two cases are called {:?}", twice.name)));
        }
        cases.extend(more);
    }
    Ok(cases)
}
