//! An Envoy's configuration.

use crate::engines::Failed;
use cases::{Act, Case, Direction, Node, Step};
use mesh::ports::Port;
use release_track::istio::peer::{self, CallerField};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What carries the core into Envoy.
#[derive(Clone, Debug)]
pub(super) enum Plugin {
    Wasm,
    /// A dynamic module.
    Native {
        /// Whether Envoy tells it the listener's direction; if not, the filter's name does.
        knows_direction: bool,
    },
}

/// `$NATIVE_MODULE`, or the dynamic module of `make native`.
fn native_module() -> PathBuf {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/librelease-track.so");
    std::env::var_os("NATIVE_MODULE").unwrap_or_else(|| own.into()).into()
}

impl Plugin {
    /// The dynamic module, for this Envoy.
    pub(super) fn native(binary: &Path) -> Result<Self, Failed> {
        let module = native_module();
        if !module.is_file() {
            return Err(format!("there is no {}: `make native` builds it", module.display()).into());
        }
        Ok(Self::Native { knows_direction: mesh::envoy::version(binary)? >= (1, 40) })
    }

    fn type_url(&self) -> &'static str {
        match self {
            Self::Wasm => "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            Self::Native { .. } => {
                "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"
            }
        }
    }
}

/// What tells a listener from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listener {
    config: String,
    environment: BTreeMap<String, String>,
    direction: Direction,
    cluster: Option<String>,
    tracked_cluster: Option<String>,
    mtls: bool,
    /// The text of the pod that calls, as Istio's proxies keep it.
    caller: Option<String>,
    /// The metadata of the endpoint that is chosen.
    endpoint: Option<String>,
    /// The plugin comes by a file, which [`update`] writes anew.
    is_discovered: bool,
}

/// What a discovered plugin has at first.
const ACCEPTED: &str = r#"{"tracks": [{"name": "v2"}]}"#;

impl Listener {
    /// Those that a case needs.
    pub(super) fn of(case: &Case) -> Vec<Self> {
        match &case.act {
            Act::Requests(steps) => steps.iter().map(|step| Self::of_step(case, step)).collect(),
            Act::Refused(_) => vec![Self {
                config: ACCEPTED.to_owned(),
                environment: BTreeMap::new(),
                direction: Direction::Outbound,
                cluster: None,
                tracked_cluster: None,
                mtls: false,
                caller: None,
                endpoint: None,
                is_discovered: true,
            }],
        }
    }

    pub(super) fn of_step(case: &Case, step: &Step) -> Self {
        let properties = step.properties();
        let property = |path: &[u8]| {
            let (_, value) = properties.iter().find(|(known, _)| known == path)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let fields = [
            ("namespace", CallerField::Namespace),
            ("service", CallerField::App),
            ("revision", CallerField::Version),
        ];
        let fields = fields.map(|(name, field)| Some((name, property(field.property())?)));
        let pairs: Vec<_> =
            fields.iter().flatten().map(|(name, value)| format!(",{name}={value}")).collect();
        Self {
            config: case.config.clone(),
            environment: case.environment.clone(),
            direction: step.direction,
            cluster: step.cluster.clone(),
            tracked_cluster: step.tracked_cluster.clone(),
            mtls: step.mtls,
            caller: (!pairs.is_empty()).then(|| format!("type=deployment{}", pairs.concat())),
            endpoint: property(peer::ENDPOINT),
            is_discovered: false,
        }
    }
}

/// Writes the bootstrap, and what it refers to, into `folder`. Returns its path, and ports that
/// must be held until it is ready.
pub(super) fn write(
    folder: &Path,
    plugin: &Plugin,
    node: &Node,
    admin: SocketAddr,
    listeners: &BTreeMap<Listener, Port>,
    upstream: SocketAddr,
) -> io::Result<(PathBuf, Vec<Port>)> {
    let mut endpoints: BTreeMap<&String, BTreeSet<&Option<String>>> = BTreeMap::new();
    for listener in listeners.keys() {
        for name in listener.cluster.iter().chain(&listener.tracked_cluster) {
            endpoints.entry(name).or_default().insert(&listener.endpoint);
        }
    }
    let clusters = endpoints.into_iter().map(|(name, endpoints)| {
        let mut cluster = cluster(name, upstream);
        tell_apart(&mut cluster, &endpoints);
        cluster
    });
    let mut clusters: Vec<_> = clusters.collect();
    let mut all = Vec::new();
    let mut inner_ports = Vec::new();
    for (number, (key, port)) in listeners.iter().enumerate() {
        let name = format!("listener-{number}");
        let mut listener = listener(folder, plugin, &name, key)?;
        listener["address"] = address(port.address());
        if key.mtls {
            // A plain listener in front, so that only Envoys speak TLS.
            let inner = Port::any()?;
            listener["address"] = address(inner.address());
            let mut tls = cluster(&name, inner.address());
            inner_ports.push(inner);
            tls["transport_socket"] = tls_socket("UpstreamTlsContext");
            clusters.push(tls);
            all.push(front(&name, port.address()));
        }
        all.push(listener);
    }
    let bootstrap = json!({
        "node": {"id": node.id, "cluster": "cases", "metadata": {"LABELS": node.labels}},
        "admin": {"address": address(admin), "ignore_global_conn_limit": true},
        "static_resources": {"listeners": all, "clusters": clusters},
    });
    let path = folder.join("bootstrap.json");
    std::fs::write(&path, bootstrap.to_string())?;
    Ok((path, inner_ports))
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn cluster(name: &str, endpoint: SocketAddr) -> Value {
    json!({
        "name": name,
        "connect_timeout": "30s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(endpoint)}}]}],
        },
    })
}

/// One endpoint in place of several, which only their metadata tell apart.
fn tell_apart(cluster: &mut Value, workloads: &BTreeSet<&Option<String>>) {
    let all = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"];
    let endpoint = all[0].take();
    let of = |workload: &&Option<String>| {
        let mut endpoint = endpoint.clone();
        endpoint["metadata"] = chosen(workload);
        if let Some(workload) = workload {
            endpoint["metadata"]["filter_metadata"]["istio"] = json!({"workload": workload});
        }
        endpoint
    };
    *all = workloads.iter().map(of).collect();
    cluster["lb_subset_config"] = json!({"subset_selectors": [{"keys": ["workload"]}]});
}

/// What an endpoint has, and a route that wants it.
fn chosen(workload: &Option<String>) -> Value {
    json!({"filter_metadata": {"envoy.lb": {"workload": workload.as_deref().unwrap_or_default()}}})
}

fn front(name: &str, at: SocketAddr) -> Value {
    json!({
        "name": format!("{name}-front"),
        "address": address(at),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "front",
                "cluster": name,
            },
        }]}],
    })
}

/// One certificate for both ends, which trust each other.
fn tls_socket(context: &str) -> Value {
    let certificate = json!({"inline_string": include_str!("cert.pem")});
    let mut typed = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}"),
        "common_tls_context": {
            "tls_certificates": [{
                "certificate_chain": certificate,
                "private_key": {"inline_string": include_str!("key.pem")},
            }],
            "validation_context": {"trusted_ca": certificate},
        },
    });
    if context == "DownstreamTlsContext" {
        typed["require_client_certificate"] = true.into();
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": typed})
}

/// Without its address.
fn listener(folder: &Path, plugin: &Plugin, name: &str, key: &Listener) -> io::Result<Value> {
    let route = |headers: Value, cluster: &Option<String>| {
        let matched = json!({"prefix": "/", "headers": headers});
        match cluster {
            Some(cluster) => json!({
                "match": matched,
                "route": {
                    "cluster": cluster,
                    "metadata_match": chosen(&key.endpoint),
                    "timeout": "0s",
                    // Once, if an upstream answers so.
                    "internal_redirect_policy": {"redirect_response_codes": [302]},
                },
            }),
            // Envoy responds itself, with the path as it then is.
            None => json!({"match": matched, "redirect": {"https_redirect": true}}),
        }
    };
    let is_tracked = json!([{"name": "x-release-track", "present_match": true}]);
    let tracked = key.tracked_cluster.is_some().then(|| route(is_tracked, &key.tracked_cluster));
    let routes: Vec<_> = tracked.into_iter().chain([route(json!([]), &key.cluster)]).collect();
    let configured =
        configured(plugin, "release-track", &key.config, &key.environment, key.direction);
    let plugin_filter = if key.is_discovered {
        discovered(folder, plugin, &configured)?
    } else {
        json!({"name": "release-track", "typed_config": configured})
    };
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    });
    let caller = key.caller.as_deref().map(kept);
    let filters: Vec<_> = caller.into_iter().chain([plugin_filter, router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "codec_type": "HTTP1",
        "stat_prefix": name,
        // What Envoy would do to a request by itself.
        "use_remote_address": false,
        "skip_xff_append": true,
        "generate_request_id": false,
        "preserve_external_request_id": true,
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        // Its limits, which are not what is tested.
        "max_request_headers_kb": 8192,
        "common_http_protocol_options": {"max_headers_count": 10_000},
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": filters,
    });
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }]});
    if key.mtls {
        chain["transport_socket"] = tls_socket("DownstreamTlsContext");
    }
    let direction = match key.direction {
        Direction::Unspecified => "UNSPECIFIED",
        Direction::Inbound => "INBOUND",
        Direction::Outbound => "OUTBOUND",
    };
    Ok(json!({"name": name, "traffic_direction": direction, "filter_chains": [chain]}))
}

/// The caller, kept as Istio's `peer_metadata` does: as far as a dynamic module can tell.
fn kept(caller: &str) -> Value {
    json!({
        "name": "caller",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": "downstream_peer_obj",
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": caller}},
            }],
        },
    })
}

fn configured(
    plugin: &Plugin,
    name: &str,
    config: &str,
    environment: &BTreeMap<String, String>,
    direction: Direction,
) -> Value {
    if let Plugin::Native { knows_direction } = plugin {
        return json!({
            "@type": plugin.type_url(),
            "dynamic_module_config": {"module": {"local": {"filename": native_module()}}, "do_not_close": true},
            "filter_name": match direction {
                Direction::Inbound if !knows_direction => "release-track/inbound",
                Direction::Outbound if !knows_direction => "release-track/outbound",
                _ => "release-track",
            },
            "filter_config": text(config),
        });
    }
    json!({
        "@type": plugin.type_url(),
        "config": {
            "name": name,
            "root_id": name,
            "failure_policy": "FAIL_CLOSED",
            "configuration": text(config),
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": exchange::MODULE}},
                "environment_variables": {"key_values": environment},
                // Before 1.39 the environment did not tell one VM from another.
                "configuration": text(&format!("{environment:?}")),
            },
        },
    })
}

fn text(value: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value})
}

/// As Istio has it: a listener that waits for the plugin, which comes by a file.
fn discovered(folder: &Path, plugin: &Plugin, configured: &Value) -> io::Result<Value> {
    let path = folder.join(DISCOVERED);
    publish(folder, "release-track", configured)?;
    Ok(json!({
        "name": "discovered",
        "config_discovery": {
            "config_source": {
                "path_config_source": {"path": path},
                "resource_api_version": "V3",
            },
            "type_urls": [plugin.type_url()],
        },
    }))
}

const DISCOVERED: &str = "discovered.json";

/// Has a running Envoy take the configuration of a case. `name` tells its lines in the log.
pub(super) fn update(folder: &Path, plugin: &Plugin, name: &str, case: &Case) -> io::Result<()> {
    let direction = Direction::Outbound;
    let configured = configured(plugin, name, &case.config, &case.environment, direction);
    publish(folder, name, &configured)
}

/// Envoy notices a file that is moved to the place of the old one.
fn publish(folder: &Path, version: &str, configured: &Value) -> io::Result<()> {
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "discovered",
        "typed_config": configured,
    });
    let response = json!({"version_info": version, "resources": [resource]});
    let next = folder.join("next.json");
    std::fs::write(&next, response.to_string())?;
    std::fs::rename(next, folder.join(DISCOVERED))
}
