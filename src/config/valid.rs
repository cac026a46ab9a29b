//! A valid configuration, as the filter works with it.

use crate::carrier::propagator::Propagation;
use crate::decide::identity::Identity;
use crate::decide::rules::Rules;
use crate::decide::share::Shares;
use crate::decide::token::PreviewConfig;
use crate::guard::Guards;
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
    pub guards: Guards,
    /// By track: the apps whose pods on baseline may stand in for it.
    pub fallbacks: Vec<Vec<App>>,
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
    /// Inside the mesh, beside the domain that the node tells.
    pub mesh_domains: Domains,
}

/// The proxies that decide.
#[derive(Debug)]
pub struct Edge {
    pub gateway: bool,
    pub inbound: Vec<App>,
}
