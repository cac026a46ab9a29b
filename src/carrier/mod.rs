//! Where a track is kept in a request. As in OpenTelemetry's propagators, a track is *extracted*
//! from carriers and *injected* into them.
//!
//! One file a carrier, each by itself; [`propagator`] is the table of them all.

pub mod baggage;
pub mod header;
mod made_up;
pub mod memory;
pub mod mint;
pub mod propagator;
pub mod request_id;
pub mod trace_id;
pub mod view;
pub mod workload;

/// What has to be done to one header so that it says what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It says so already.
    Keep,
    /// One line with this value, in place of all its lines.
    Set(Vec<u8>),
    Remove,
}
