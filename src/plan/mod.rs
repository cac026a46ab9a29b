//! What is to be done about a request: a role returns a `Plan`, and `apply` writes it, once.
//!
//! A role reads a view of the request and facts of the host, and changes nothing. What else there
//! is to a plan, whoever made it, is settled in one place: a dry run, and how a request that arrives
//! at a pod belongs there.

mod answers;
mod apply;
mod arrivals;
mod intent;
mod metrics;
mod response;

pub(crate) use answers::observe;
pub(crate) use apply::{apply, count_arrival, count_leak, respond};
pub(crate) use arrivals::{Arrivals, Endpoints};
pub(crate) use intent::{Effects, Mode, Plan, Source};
pub(crate) use metrics::Metrics;
pub use response::{Additions, Response};
