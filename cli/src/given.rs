//! The configuration that a command is about.

use crate::failure::Failure;
use crate::input;
use crate::refusal::the_one;
use release_track::config::Config;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct Given {
    pub(crate) config: Config,
    /// What the manifest sets for the plugin: the values that stand in its `vmConfig.env`.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Given {
    /// Reads a file that has one configuration.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        Self::of(&input::load(&[path])?)
    }

    pub(crate) fn of(files: &[input::File]) -> Result<Self, Failure> {
        let (source, config) = the_one(files)?;
        let environment = source.environment.into_iter().flatten();
        let environment = environment.filter_map(|(name, value)| Some((name, value?))).collect();
        Ok(Self { config, environment })
    }
}
