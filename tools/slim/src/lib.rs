//! Leaves in a WebAssembly module only the exports that are named, and only the functions that
//! can still run.
//!
//! The Proxy-Wasm SDK exports every callback of the ABI, and a proxy calls each exported one for
//! every request. A callback that is not exported costs nothing: the host then does what the
//! SDK's default does (proxy-wasm-cpp-host, `src/context.cc`: each `on...` begins with "if there
//! is no such function, continue"). A linker cannot leave an export away; so this does it after.
//!
//! ```text
//! survey        what the module's functions call, and how
//! reachable     from the exports that stay: the functions that can still run
//! rewrite       the module without all others
//! ```

mod reachable;
mod rewrite;
mod survey;

use std::fmt;
use survey::Survey;

/// Why a module stays as it is.
#[derive(Debug)]
pub enum Error {
    /// The bytes are not a valid WebAssembly 2.0 module.
    Invalid(wasmparser::Error),
    /// An export to be kept does not exist.
    NoSuchExport { name: String, exports: Vec<String> },
    /// What was written is no valid module: a fault of this program.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "not a valid WebAssembly module: {error}"),
            Self::NoSuchExport { name, exports } => {
                write!(f, "the module exports no {name}; it exports {}", exports.join(", "))
            }
            Self::Broken(error) => write!(f, "the slim module would not be valid: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The module with the exports named in `keep` and no others, without the functions that cannot
/// run any more, without imports that are not called, and without custom sections.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::NoSuchExport`] as they say.
pub fn slim(module: &[u8], keep: &[String]) -> Result<Vec<u8>, Error> {
    validate(module).map_err(Error::Invalid)?;
    let survey = Survey::read(module).map_err(Error::Invalid)?;
    if let Some(name) = keep.iter().find(|name| !survey.exports.contains_key(*name)) {
        let exports = survey.exports.into_keys().collect();
        return Err(Error::NoSuchExport { name: name.clone(), exports });
    }
    let runs = reachable::functions(&survey, keep);
    let slim = rewrite::rewrite(module, &survey, &runs, keep)
        .map_err(|error| Error::Broken(error.to_string()))?;
    validate(&slim).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(slim)
}

fn validate(module: &[u8]) -> Result<(), wasmparser::Error> {
    let features = wasmparser::WasmFeatures::WASM2;
    wasmparser::Validator::new_with_features(features).validate_all(module).map(|_| ())
}
