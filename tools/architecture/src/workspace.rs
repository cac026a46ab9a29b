//! The packages of this workspace.

use crate::map::Map;
use anyhow::Result;
use cargo_metadata::MetadataCommand;
use std::path::{Path, PathBuf};

/// A package, and where its roots lie.
pub struct Package {
    pub name: String,
    /// Below the workspace: `tests/host`, empty for the workspace's own package.
    pub folder: String,
    /// Its library first, if it has one; then its programs.
    roots: Vec<PathBuf>,
    library: Option<String>,
}

impl Package {
    /// What its sources say.
    ///
    /// # Errors
    /// As [`Map::read`].
    pub fn map(&self) -> Result<Map> {
        Map::read(&self.roots, self.library.as_deref())
    }
}

/// All packages, in the order of their folders.
///
/// # Errors
/// What cargo says if it cannot read the workspace.
pub fn packages() -> Result<Vec<Package>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
    let mut packages: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let is_library = |target: &&cargo_metadata::Target| {
                target.is_lib() || target.is_rlib() || target.is_cdylib() || target.is_proc_macro()
            };
            let library = package.targets.iter().find(is_library);
            let programs = package.targets.iter().filter(|target| target.is_bin());
            let folder = package.manifest_path.parent().unwrap_or(&metadata.workspace_root);
            let folder = folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder);
            Package {
                name: package.name.to_string(),
                folder: folder.to_string(),
                roots: library
                    .into_iter()
                    .chain(programs)
                    .map(|t| t.src_path.clone().into())
                    .collect(),
                library: library.map(|library| library.name.replace('-', "_")),
            }
        })
        .collect();
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(packages)
}
