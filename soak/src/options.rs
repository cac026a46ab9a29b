//! How long a run is, and what is done to it.

use clap::{Args, ValueEnum};
use serde::Serialize;

/// Sends very many mixed requests through the mesh, in every mode of forwarding, while a
/// configuration is updated, a sidecar killed and an Envoy replaced. Prints a report; fails if
/// anything crossed, was lost or failed that should not.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// In all, spread evenly over what the applications forward.
    #[arg(long, env = "REQUESTS", default_value_t = 1_000_000)]
    pub(crate) requests: u64,
    #[arg(long, value_enum, env = "FILTER", default_value = "on")]
    pub(crate) filter: Filter,
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Seconds between two updates of the filter's configuration.
    #[arg(long, default_value_t = 30)]
    pub(crate) update: u64,
    /// Takes this carrier out of the filter's configuration: the run must then report losses.
    #[arg(long, value_enum, env = "BREAK")]
    pub(crate) r#break: Option<Broken>,
    /// Leaves out the comparison of memory, which needs a second mesh.
    #[arg(long)]
    pub(crate) no_memory: bool,
}

/// In which form the filter is in the Envoys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Filter {
    On,
    /// As a dynamic module.
    Native,
}

/// A carrier that can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Broken {
    RequestId,
    Baggage,
    TraceId,
    Remembered,
}
