//! Bootstrap and listeners. pilot: networking/core/listener*.go; pkg/bootstrap for the node and the
//! statistics.

use super::discovery::File;
use super::filter;
use super::proxy::{Inbound, Proxy, Role, address};
use serde_json::{Value, json};
use std::path::Path;

/// `folder` holds the discovery files.
pub fn bootstrap(proxy: &Proxy, folder: &Path) -> Value {
    let listeners = match &proxy.role {
        Role::Router { listen } => {
            vec![listener("0.0.0.0_80", *listen, "OUTBOUND", discovered(proxy, folder, true))]
        }
        Role::Sidecar { outbound, inbound } => {
            let calls = discovered(proxy, folder, false);
            let mut listeners = vec![listener("http_proxy", *outbound, "OUTBOUND", calls)];
            listeners.extend(inbound.iter().map(|inbound| {
                let name = format!("inbound_0.0.0.0_{}", inbound.port);
                listener(&name, inbound.listen, "INBOUND", arriving(inbound, folder))
            }));
            listeners
        }
    };
    let tags: Vec<_> = proxy
        .stat_tags
        .iter()
        .map(|tag| json!({"tag_name": tag, "regex": format!("({tag}=\\.=(.*?);\\.;)")}))
        .collect();
    json!({
        "node": {
            "id": proxy.node_id(),
            "cluster": format!("{}.{}", app(proxy), proxy.namespace),
            "metadata": {
                "NAME": proxy.name,
                "NAMESPACE": proxy.namespace,
                "WORKLOAD_NAME": app(proxy),
                "LABELS": proxy.labels,
                "CLUSTER_ID": "Kubernetes",
                "INSTANCE_IPS": "127.0.0.1",
            },
        },
        "admin": {"address": address(proxy.admin), "ignore_global_conn_limit": true},
        // Envoy warns where this is not said.
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": i32::MAX,
            },
        }]},
        "stats_config": {"use_all_default_tags": true, "stats_tags": tags},
        "dynamic_resources": {"cds_config": watched(folder, File::Clusters)},
        "static_resources": {"listeners": listeners},
    })
}

fn app(proxy: &Proxy) -> &str {
    proxy.labels.get("app").unwrap_or(&proxy.name)
}

fn watched(folder: &Path, file: File) -> Value {
    json!({"path_config_source": {"path": folder.join(file.name())}, "resource_api_version": "V3"})
}

fn listener(name: &str, at: std::net::SocketAddr, direction: &str, manager: Value) -> Value {
    json!({
        "name": name,
        "address": address(at),
        "traffic_direction": direction,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// The connection manager of a gateway or of an outbound listener.
fn discovered(proxy: &Proxy, folder: &Path, edge: bool) -> Value {
    let name = proxy.role.route_configuration();
    let mut manager = manager(folder, &format!("outbound_{name}"), edge);
    manager["rds"] = json!({
        "route_config_name": name,
        "config_source": watched(folder, File::Routes),
    });
    manager
}

/// The connection manager of an inbound listener.
fn arriving(inbound: &Inbound, folder: &Path) -> Value {
    let name = inbound.name();
    let mut manager = manager(folder, &format!("inbound_0.0.0.0_{}", inbound.port), false);
    manager["route_config"] = json!({
        "name": name,
        "validate_clusters": false,
        "virtual_hosts": [{
            "name": format!("inbound|http|{}", inbound.port),
            "domains": ["*"],
            "routes": [{
                "name": "default",
                "match": {"prefix": "/"},
                "route": {"cluster": name, "timeout": "0s"},
            }],
        }],
    });
    manager
}

fn manager(folder: &Path, stat_prefix: &str, edge: bool) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "codec_type": "AUTO",
        "stat_prefix": stat_prefix,
        "server_name": "istio-envoy",
        // Only a gateway believes the address it sees: it replaces x-request-id and
        // x-forwarded-for.
        "use_remote_address": edge,
        "normalize_path": true,
        // Without a tracer it still decides about tracing, and writes the decision into
        // x-request-id.
        "tracing": {},
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {
                "name": filter::NAME,
                "config_discovery": {
                    "config_source": watched(folder, File::Filter),
                    "type_urls": filter::TYPE_URLS,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
            },
        ],
    })
}
