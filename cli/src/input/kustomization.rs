//! Which folders a kustomization is made of. What lies below it and is none of them is applied on
//! another occasion, in the place of something here or over it: it is not read along.

use super::yaml::{self, Node};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The names that kustomize knows.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Where one names others.
const LISTS: [&str; 3] = ["resources", "components", "bases"];

pub(super) struct Kustomization {
    folder: PathBuf,
    made_of: BTreeSet<PathBuf>,
}

impl Kustomization {
    /// That of a folder, if it has one.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let mut made_of = BTreeSet::new();
        collect(&folder.canonicalize().ok()?, &mut made_of);
        (!made_of.is_empty()).then(|| Self { folder: folder.to_owned(), made_of })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a folder has a kustomization of its own that this one does not name.
    pub(super) fn leaves_out(&self, folder: &Path) -> bool {
        file(folder).is_some()
            && folder.canonicalize().is_ok_and(|path| !self.made_of.contains(&path))
    }
}

fn file(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// What cannot be read names nothing; whoever reads the file is told what is wrong with it.
fn collect(folder: &Path, made_of: &mut BTreeSet<PathBuf>) {
    let Some(file) = file(folder) else { return };
    if !made_of.insert(folder.to_owned()) {
        return;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    for document in yaml::documents(&text).unwrap_or_default() {
        let named = LISTS.iter().filter_map(|list| document.get(list)).flat_map(Node::items);
        for path in named.filter_map(Node::text) {
            if let Ok(path) = folder.join(path).canonicalize() {
                collect(&path, made_of);
            }
        }
    }
}
