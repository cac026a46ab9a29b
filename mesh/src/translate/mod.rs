//! Manifests in the shape in which istiod gives them to one Envoy: a bootstrap, and beside it a
//! file per discovery service, which Envoy watches.
//!
//! What differs from istiod, for want of iptables and of a cluster: a sidecar's outbound listener
//! is the one of `proxyHttpPort` (route configuration `http_proxy`) for all ports; endpoints are in
//! the clusters; one plugin at most; and there is no default retry policy, which would hide what
//! goes wrong.

mod bootstrap;
mod cluster;
mod discovery;
mod filter;
mod proxy;
mod registry;
mod route;

pub use bootstrap::bootstrap;
pub use cluster::clusters;
pub use discovery::{File, discovery_response};
pub use filter::filter;
pub use proxy::{DOMAIN, Inbound, Proxy, Role};
pub use registry::{Endpoint, ROOT_NAMESPACE, Registry};
pub use route::{no_routes, routes};
