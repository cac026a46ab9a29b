//! What a person hands in: files, folders and standard input, as documents that know their places.

mod kustomization;
pub(crate) mod manifest;
pub(crate) mod place;
pub(crate) mod yaml;

use crate::failure::Failure;
use kustomization::Kustomization;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file, and what is in it.
pub(crate) struct File {
    /// As it was named; `stdin` for `-`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) documents: Result<Vec<yaml::Node>, yaml::Error>,
    /// Somebody asked for this very file: it did not just lie in a folder.
    pub(crate) named: bool,
    /// Where its lines start.
    lines: OnceLock<Vec<usize>>,
    /// Its text without secrets, as reports show it.
    pub(crate) masked: OnceLock<String>,
}

impl File {
    /// A byte order mark is no part of the text.
    pub(crate) fn new(name: String, text: String, named: bool) -> Self {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let mut file = Self {
            documents: Ok(Vec::new()),
            name,
            text,
            named,
            lines: OnceLock::new(),
            masked: OnceLock::new(),
        };
        let error = if file.is_json() { yaml::not_json(&file.text) } else { None };
        file.documents = error.map_or_else(|| yaml::documents(&file.text), Err);
        file
    }

    /// What is called JSON has to be that: YAML takes more, and a proxy does not.
    pub(crate) fn is_json(&self) -> bool {
        self.name.ends_with(".json")
    }

    /// Line and column of a place, both from one, in characters.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let start = self.start(line);
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The line of a place, from one.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines().partition_point(|start| *start <= at)
    }

    /// Where a line starts; the end of the text, if there is no such line.
    pub(crate) fn start(&self, line: usize) -> usize {
        self.lines().get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).collect()
        })
    }
}

/// Reads files, folders (all of their `.yaml`, `.yml` and `.json`, deeply) and `-`. Of a folder with a
/// kustomization, folders with one that it does not name are left out, which is said.
pub(crate) fn load(paths: &[impl AsRef<Path>]) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::usage(format!("stdin: {error}")))?;
            files.push(File::new("stdin".to_owned(), text("stdin", bytes)?, true));
        } else {
            read(path, true, None, &mut files)?;
        }
    }
    Ok(files)
}

fn read(
    path: &Path,
    named: bool,
    within: Option<&Kustomization>,
    files: &mut Vec<File>,
) -> Result<(), Failure> {
    let name = path.display().to_string();
    let failed = |error| Failure::usage(format!("{name}: {error}"));
    if path.is_dir() {
        if let Some(within) = within
            && within.leaves_out(path)
        {
            let folder = within.folder().display();
            anstream::eprintln!(
                "{name} is left out: {folder} has a kustomization, which does not name it"
            );
            return Ok(());
        }
        let own = if within.is_none() { Kustomization::of(path) } else { None };
        let within = within.or(own.as_ref());
        let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
        let mut paths: Vec<_> =
            entries.map_err(failed)?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        let is_ours = |path: &PathBuf| {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
            let extension = path.extension().and_then(|extension| extension.to_str());
            !hidden && (path.is_dir() || matches!(extension, Some("yaml" | "yml" | "json")))
        };
        return paths
            .iter()
            .filter(|path| is_ours(path))
            .try_for_each(|path| read(path, false, within, files));
    }
    let bytes = fs::read(path).map_err(failed)?;
    files.push(File::new(name.clone(), text(&name, bytes)?, named));
    Ok(())
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes)
        .map_err(|error| Failure::usage(format!("{name}: not valid UTF-8: {error}")))
}
