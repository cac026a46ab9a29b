//! release-track: a Proxy-Wasm filter that keeps every hop of a request on the release it
//! started on.
//!
//! ```text
//! plugin · hostcalls             the proxy: the SDK's callbacks, the `proxy_*` calls (wasm only)
//!   filter                       a configuration at work: which part has a request
//!     edge                       decides a request's track, and guards the boundary
//!       preview                    by a signed link,
//!       (matching)                 by the rules,
//!       identity                   by a share of everybody else
//!     sidecar                    carries on what was decided: inbound, outbound, waypoint
//!       integrity                  whether a request that arrives belongs there
//!     answer                     what the edge adds to an answer
//!       instance                 one configuration on one proxy: what the parts above share
//!         config                   pluginConfig -> types that cannot be wrong
//!         node                     which proxy this is: its kind, its pod, that pod's tracks
//!         memory                   trace ids that came in with a track, in shared data
//!         egress                   whether a request leaves the mesh
//!         metrics
//!           request                one look over the headers
//!           carrier                where a track is kept in a request: extract and inject
//!           matching · share · token   rules, shares and links, by themselves
//!           cookie · uri · pattern · hex · header_map · track · host · step
//! ```
//!
//! Everything but `plugin` and `hostcalls` is the core: it sees the proxy only through
//! [`host::Host`], compiles natively, and never panics. Header data are bytes throughout.

pub mod answer;
pub mod carrier;
pub mod config;
pub mod cookie;
mod edge;
pub mod egress;
pub mod filter;
pub mod header_map;
pub mod hex;
pub mod host;
mod identity;
mod instance;
mod integrity;
pub mod matching;
pub mod memory;
pub mod metrics;
pub mod node;
pub mod pattern;
mod preview;
pub mod request;
pub mod share;
mod sidecar;
pub mod step;
pub mod token;
pub mod track;
pub mod uri;

#[cfg(not(target_family = "wasm"))]
pub mod simulated;

#[cfg(target_family = "wasm")]
mod hostcalls;
#[cfg(target_family = "wasm")]
mod plugin;
