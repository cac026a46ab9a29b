//! Where a track is kept in a request. As in OpenTelemetry's propagators, a track is *extracted*
//! from carriers and *injected* into them; one file each.

pub mod baggage;
pub mod header;
pub mod request_id;
pub mod trace_id;

use crate::track::Carried;

/// The carriers, best first: the first that says something wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// `x-release-track` itself.
    Header,
    /// The baggage member `release-track`.
    Baggage,
    /// A tagged `x-request-id`.
    RequestId,
    /// A trace id that this proxy remembers.
    Remembered,
    /// The calling pod belongs to a track.
    Workload,
}

impl Carrier {
    pub const ALL: [Self; 5] =
        [Self::Header, Self::Baggage, Self::RequestId, Self::Remembered, Self::Workload];

    /// The label that metrics and explanations use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Baggage => "baggage",
            Self::RequestId => "request_id",
            Self::Remembered => "remembered",
            Self::Workload => "workload",
        }
    }
}

/// What was extracted, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extracted {
    pub carrier: Carrier,
    pub says: Carried,
}

/// What has to be done to one header so that it says what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It says so already.
    Keep,
    /// One line with this value, in place of all its lines.
    Set(Vec<u8>),
    Remove,
}
