//! `pluginConfig`: parsed once, into types that cannot be wrong.
//!
//! Where to change what:
//! - `fields`: which fields there are, what is there by default, and what they mean;
//! - `values`: what may stand in one of them;
//! - `compile`: what holds between several of them, and what is made of them all;
//! - `json`: how the types are read, and how an error knows its place;
//! - `schema`: what an editor is told (outside of the module).
//!
//! ```
//! use release_track::config::Config;
//!
//! let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
//! assert_eq!(&*config.header, "x-release-track");
//!
//! // An error names the place, what stands there, and what is allowed.
//! let error = Config::parse(br#"{"tracks": [{"name": "off"}]}"#).unwrap_err();
//! assert_eq!((error.path.as_str(), error.found.as_str()), ("tracks[0].name", "\"off\""));
//! ```

mod calendar;
mod compile;
mod error;
mod fields;
mod json;
#[cfg(feature = "schema")]
pub mod schema;
mod values;

pub use error::{Error, field_path, item_path};

use crate::carrier::propagator::Propagation;
use crate::decide::identity::Identity;
use crate::decide::rules::Rules;
use crate::decide::share::Shares;
use crate::decide::token::PreviewConfig;
use crate::istio::cluster::Domains;
use crate::istio::node::{App, Labels, Workload};
use crate::track::Names;
use serde::Deserialize;

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    pub names: Names,
    /// By track.
    pub workloads: Vec<Vec<Workload>>,
    pub rules: Rules,
    /// Lower case.
    pub header: Box<str>,
    pub edge: Edge,
    pub labels: Labels,
    pub trust_incoming: bool,
    pub propagation: Propagation,
    pub identity: Identity,
    pub shares: Shares,
    pub preview: Option<PreviewConfig>,
    pub vary: bool,
    pub expose: bool,
    pub isolation: Isolation,
    pub egress: Egress,
    pub dry_run: bool,
    /// By track: its decisions are counted, and the search goes on.
    pub dry_tracks: Vec<bool>,
}

/// What happens to a request that crossed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "observe or enforce")]
pub enum Isolation {
    /// It is counted.
    #[default]
    Observe,
    /// It is counted, and the response is 421.
    Enforce,
}

#[derive(Debug)]
pub struct Egress {
    pub strip: bool,
    /// `None`: derived from the node.
    pub mesh_domains: Option<Domains>,
}

/// The proxies that decide.
#[derive(Debug)]
pub struct Edge {
    pub gateway: bool,
    pub inbound: Vec<App>,
}

impl Config {
    /// Parses the JSON that the proxy hands to the filter. The first error is returned.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        compile::parse(json)
    }

    /// The defaults, and no track: for a proxy that has none to follow.
    pub(crate) fn neutral() -> Option<Self> {
        compile::neutral().ok()
    }
}
