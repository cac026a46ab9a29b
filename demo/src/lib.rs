//! The weather app, and a mesh of real Envoys on one machine to run it.
//!
//! - [`weather`]: the application; one process per workload, here and in a cluster
//! - [`run`]: `make demo`, the whole mesh in one command
//! - [`release`]: what a release manager adds to the story's plugin while it runs: links and a
//!   share
//! - [`stage`]: the application on a mesh, switchable while it runs
//! - [`control`]: the handle on a running stage: its switches, and what the applications saw
//! - [`graph`]: the traffic graph in the browser, fed by [`control`]
//! - [`load`]: a client with many faces, for tests and measurements
//! - [`counters`]: what the filter has counted in every Envoy
//! - [`prometheus`]: a Prometheus that scrapes them
//! - [`call`]: a request as the processes that served it saw it

pub mod call;
pub mod control;
pub mod counters;
pub mod graph;
pub mod load;
mod parents;
pub mod prometheus;
pub mod release;
pub mod run;
pub mod stage;
pub mod weather;
