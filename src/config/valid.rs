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
use std::fmt;
use std::num::NonZeroU32;

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    /// `None`: of nobody's, as long as no good one has come.
    pub fingerprint: Option<Fingerprint>,
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

/// What tells a configuration from others, in metrics and to people: 32 bits of a hash of all that
/// is written in it, not 0. Who writes the same in another order, or other white space, has the same.
///
/// ```
/// use release_track::config::Config;
///
/// let of = |json: &str| Config::parse(json.as_bytes()).unwrap().fingerprint.unwrap();
/// let one = of(r#"{"tracks": [{"name": "v2", "share": {"percent": 5}}], "vary": true}"#);
/// let same = of(r#"{"vary":true,"tracks":[{"share":{"percent":5.0},"name":"v2"}]}"#);
/// assert_eq!(one, same);
/// assert_ne!(one, of(r#"{"tracks": [{"name": "v2", "share": {"percent": 6}}], "vary": true}"#));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(NonZeroU32);

impl Fingerprint {
    pub(super) fn of(hash: u64) -> Self {
        Self(NonZeroU32::new(hash as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// As [`Self::number`] told it.
    pub fn from_number(number: u64) -> Option<Self> {
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self)
    }

    /// For a metric.
    pub fn number(self) -> u64 {
        self.0.get().into()
    }
}

/// As metrics have it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
