//! What the core asks of the proxy that runs it.
//!
//! Reading and writing are two traits: what decides is given [`Facts`] alone, so that it cannot
//! change anything; [`Host`] is for the one place that applies a plan. Headers are a third, since a
//! proxy may lend them: they are asked for once, where a request or its response begins.

pub mod explain;
#[cfg(not(target_family = "wasm"))]
pub mod fake;
pub mod header_map;

use explain::Step;
use header_map::HeaderMap;

/// The status of a failed hostcall (proxy-wasm ABI 0.2.1, `proxy_status_t`), as the proxy gave
/// it: 1 NotFound, 2 BadArgument, ..., any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    pub const NOT_FOUND: Self = Self(1);
    pub const CAS_MISMATCH: Self = Self(8);
}

/// What has arrived. The proxy may lend its own bytes, for as long as `'h`: whatever is written
/// meanwhile, they stay as they were.
pub trait Incoming<'h> {
    /// All headers of the request at hand.
    fn request_headers(&mut self) -> Result<HeaderMap<'h>, Status>;

    /// All headers of the response at hand.
    fn response_headers(&mut self) -> Result<HeaderMap<'h>, Status>;
}

/// What can be known about the request at hand, and about the proxy.
///
/// Every call may fail, and no failure may stop a request: the core treats what it cannot read
/// as absent.
pub trait Facts {
    /// A property of the proxy or the request, by its path, segments separated by NUL (Envoy:
    /// attributes). `None` where there is none.
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status>;

    /// Milliseconds of the Unix epoch.
    fn now_ms(&mut self) -> Result<u64, Status>;

    /// 128 random bits.
    fn random(&mut self) -> Result<[u8; 16], Status>;

    /// An environment variable of the plugin (Istio: `vmConfig.env`).
    fn environment(&mut self, name: &str) -> Option<String>;

    /// A value of the proxy's shared data, and the number that a change of it has to name.
    /// `None` for a key that there is none of.
    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status>;

    /// Called with every step of a decision, as it is taken. A proxy does not listen, and then
    /// it costs nothing; `release-track explain` prints the steps.
    #[inline(always)]
    fn explain(&mut self, _step: Step<'_>) {}

    /// Whether somebody wants to hear every step, also those that a proxy has no need to take.
    #[inline(always)]
    fn is_explaining(&self) -> bool {
        false
    }
}

/// What can be done to the request at hand, and to the proxy.
///
/// Every call may fail, and no failure may stop a request: what cannot be written is not written.
pub trait Host: Facts {
    /// Sets a request header to this one value, in place of all its lines. In Envoy this makes
    /// the router choose the route again (`Context::onHeadersModified`).
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status>;

    /// Removes all lines of a request header.
    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status>;

    /// Sets a header of the response to this one value.
    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status>;

    /// Adds a line to the response's headers.
    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status>;

    /// Responds to the request at hand with this status and body, in place of the upstream.
    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status>;

    /// Writes a value, if nobody has since `cas` was read ([`Status::CAS_MISMATCH`]). For a key
    /// that there is none of, `cas` is ignored.
    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status>;

    /// The id of the counter of this name, made where there is none.
    fn define_counter(&mut self, name: &str) -> Result<u32, Status>;

    fn increment(&mut self, counter: u32) -> Result<(), Status>;

    /// The id of the gauge of this name, made where there is none.
    fn define_gauge(&mut self, name: &str) -> Result<u32, Status>;

    /// Sets a gauge.
    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status>;
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    /// The proxy has responded itself.
    Replied,
}
