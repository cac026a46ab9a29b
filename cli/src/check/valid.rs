use crate::input::manifest::Configuration;
use release_track::config::Config;

/// A configuration that the filter takes.
pub(super) struct Valid<'a> {
    pub(super) source: &'a Configuration<'a>,
    pub(super) config: Config,
}
