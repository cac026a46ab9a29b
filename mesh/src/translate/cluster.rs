//! Clusters. pilot: networking/core/cluster.go.

use super::proxy::{Inbound, Proxy, Role, address};
use super::registry::{Registry, outbound};
use crate::manifest::Labels;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Where a request goes that no route knows.
pub(super) const PASSTHROUGH: &str = "PassthroughCluster";

/// All clusters of one Envoy.
pub fn clusters(proxy: &Proxy, registry: &Registry<'_>) -> Vec<Value> {
    let mut clusters = vec![passthrough()];
    for service in registry.services() {
        for port in &service.spec.ports {
            let all = Labels::new();
            let subsets = registry.rules(service).flat_map(|rule| &rule.spec.subsets);
            let subsets = subsets.map(|subset| (subset.name.as_str(), &subset.labels));
            for (subset, labels) in std::iter::once(("", &all)).chain(subsets) {
                let addresses = registry.addresses(service, port, labels);
                let mut cluster = cluster(&outbound(service, port, subset), &addresses);
                if port.is_http2() {
                    speak(
                        &mut cluster,
                        json!({"explicit_http_config": {"http2_protocol_options": {}}}),
                    );
                }
                clusters.push(cluster);
            }
        }
    }
    if let Role::Sidecar { inbound, .. } = &proxy.role {
        for inbound in inbound {
            let mut cluster = cluster(&inbound.name(), &[inbound.application]);
            let as_callers = json!({"http_protocol_options": {}, "http2_protocol_options": {}});
            speak(&mut cluster, json!({"use_downstream_protocol_config": as_callers}));
            clusters.push(cluster);
        }
    }
    clusters
}

impl Inbound {
    /// Istio's name for the cluster and the route configuration.
    pub(super) fn name(&self) -> String {
        format!("inbound|{}||", self.port)
    }
}

fn cluster(name: &str, addresses: &[SocketAddr]) -> Value {
    let endpoints: Vec<_> =
        addresses.iter().map(|to| json!({"endpoint": {"address": address(*to)}})).collect();
    let mut cluster = common(name);
    cluster["type"] = "STATIC".into();
    cluster["lb_policy"] = "LEAST_REQUEST".into();
    cluster["load_assignment"] =
        json!({"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]});
    cluster
}

/// How Envoy speaks to this cluster; HTTP/1.1 where nothing is said.
fn speak(cluster: &mut Value, mut options: Value) {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    options["@type"] = format!("type.googleapis.com/{OPTIONS}").into();
    cluster["typed_extension_protocol_options"] = json!({OPTIONS: options});
}

/// Without iptables there is no original destination; a caller names it in
/// `x-envoy-original-dst-host`.
fn passthrough() -> Value {
    let mut cluster = common(PASSTHROUGH);
    cluster["type"] = "ORIGINAL_DST".into();
    cluster["lb_policy"] = "CLUSTER_PROVIDED".into();
    cluster["original_dst_lb_config"] = json!({"use_http_header": true});
    cluster
}

fn common(name: &str) -> Value {
    const UNLIMITED: u32 = u32::MAX;
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": UNLIMITED,
            "max_pending_requests": UNLIMITED,
            "max_requests": UNLIMITED,
            "max_retries": UNLIMITED,
        }]},
    })
}
