//! The traffic graph, at `GRAPH_PORT`: what the application processes saw, live in a browser.
//!
//! - [`releases`]: which workloads make up a release, and so when a call has crossed
//! - [`journeys`]: the counts
//! - [`witness`]: what the filter counted, next to that
//! - [`guard`]: what the gateway's guard sees of a share
//! - [`traffic`]: the mix of requests that the page's button sends
//! - [`server`]: the page, its event stream and its buttons
//! - [`elsewhere`]: the same page for a mesh that is not ours, on a cluster say

mod accounts;
mod elsewhere;
mod guard;
mod journeys;
mod releases;
mod server;
mod traffic;
mod witness;

pub use elsewhere::{Options, serve};
pub use releases::{Releases, Workload};
pub use server::router;
