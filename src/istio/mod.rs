//! What Istio names, and how: its proxies, clusters and stats.

pub mod cluster;
pub mod node;
pub mod peer;
pub mod stats;
