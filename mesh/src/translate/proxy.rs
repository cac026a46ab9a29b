//! One Envoy, and how it is named and reached.

use crate::manifest::Labels;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The suffix of every service's name.
pub const DOMAIN: &str = "cluster.local";

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

/// `envoy.config.core.v3.Address`
pub(super) fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
