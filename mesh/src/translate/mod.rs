//! Manifests in the shape in which istiod gives them to one Envoy: a bootstrap, and beside it a file per discovery
//! service, which Envoy watches.
//!
//! What differs from istiod, for want of iptables and of a cluster: a sidecar's outbound listener is the one of
//! `proxyHttpPort` (route configuration `http_proxy`) for all ports; endpoints are in the clusters; one plugin at
//! most; and there is no default retry policy, which would hide what goes wrong.

mod bootstrap;
mod cluster;
mod filter;
mod registry;
mod route;

pub use bootstrap::bootstrap;
pub use cluster::clusters;
pub use filter::filter;
pub use registry::{Endpoint, Registry};
pub use route::{no_routes, routes};

use crate::manifest::Labels;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The suffix of every service's name.
pub const DOMAIN: &str = "cluster.local";
/// Plugins of this namespace are for every proxy.
pub const ROOT_NAMESPACE: &str = "istio-system";

/// One Envoy, as istiod knows it.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub name: String,
    pub namespace: String,
    /// Its pod's labels.
    pub labels: Labels,
    pub role: Role,
    pub admin: SocketAddr,
    /// Labels of metrics, from the pod's annotation `sidecar.istio.io/extraStatTags`.
    pub stat_tags: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Role {
    /// An ingress gateway.
    Router { listen: SocketAddr },
    Sidecar {
        /// Where the application's own calls go.
        outbound: SocketAddr,
        inbound: Vec<Inbound>,
    },
}

/// A port of a sidecar's application.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// As the pod names it.
    pub port: u16,
    /// Where callers reach it.
    pub listen: SocketAddr,
    pub application: SocketAddr,
}

impl Proxy {
    /// As the filter reads it: `TYPE~IP~NAME.NAMESPACE~NAMESPACE.svc.DOMAIN`.
    pub fn node_id(&self) -> String {
        let Proxy { name, namespace, .. } = self;
        let kind = match self.role {
            Role::Router { .. } => "router",
            Role::Sidecar { .. } => "sidecar",
        };
        format!("{kind}~127.0.0.1~{name}.{namespace}~{namespace}.svc.{DOMAIN}")
    }
}

/// A discovery file in an Envoy's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Clusters,
    Routes,
    Filter,
}

impl File {
    pub const ALL: [File; 3] = [File::Clusters, File::Routes, File::Filter];

    pub fn name(self) -> &'static str {
        match self {
            File::Clusters => "cds.json",
            File::Routes => "rds.json",
            File::Filter => "ecds.json",
        }
    }
}

/// What one discovery file holds.
pub fn discovery_response(version: u64, resources: Vec<Value>) -> Value {
    json!({"version_info": version.to_string(), "resources": resources})
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
