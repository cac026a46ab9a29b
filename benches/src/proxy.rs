//! The Envoys: one for every node, in each a listener for every variant.
//!
//! A listener is as small as it can be and still be a place where a filter is worth its cost:
//! the variant's filter; a fault that responds, in place of an upstream; the router. The fault
//! looks at the route, as any filter does, and responds with 202 on the route of v2: so a response
//! tells which route its request took.

use crate::plan::{Direction, Node, Route, Situation};
use crate::variant::{Filters, Variant};
use anyhow::{Context as _, Result};
use mesh::envoy::{Envoy, Options};
use mesh::ports::Port;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// For a start under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a listener is told from another by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) direction: Direction,
    pub(crate) variant: Variant,
}

/// A running Envoy.
pub(crate) struct Proxy {
    pub(crate) envoy: Envoy,
    listeners: BTreeMap<Place, SocketAddr>,
    _ports: Vec<Port>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts an Envoy. It may not be ready yet.
    pub(crate) async fn start(
        binary: &Path,
        name: &str,
        node: &Node,
        workers: usize,
        filters: &Filters,
        places: impl IntoIterator<Item = Place>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let places: BTreeSet<_> = places.into_iter().collect();
        let mut ports = vec![Port::any()?];
        let admin = ports[0].address();
        let mut listeners = BTreeMap::new();
        let mut configured = Vec::new();
        for (number, place) in places.into_iter().enumerate() {
            let port = Port::any()?;
            configured.push(listener(number, port.address(), &place, filters)?);
            listeners.insert(place, port.address());
            ports.push(port);
        }
        let clusters = [Route::V1, Route::V2].map(|route| {
            json!({
                "name": cluster(route),
                "load_assignment": {"cluster_name": cluster(route)},
            })
        });
        let bootstrap = json!({
            "node": {"id": node.id, "cluster": "benchmark", "metadata": {"LABELS": node.labels}},
            "admin": {"address": address(admin)},
            "static_resources": {
                "listeners": configured,
                "clusters": clusters,
            },
        });
        let path = folder.path().join("bootstrap.json");
        std::fs::write(&path, bootstrap.to_string())?;
        let options = Options { workers, log_level: "error".into(), ..Options::new(binary) };
        let envoy = Envoy::start(name, &options, &path, admin).await?;
        Ok(Self { envoy, listeners, _ports: ports, _folder: folder })
    }

    pub(crate) async fn ready(&self) -> Result<()> {
        Ok(self.envoy.ready(PATIENCE).await?)
    }

    pub(crate) fn address(&self, place: &Place) -> Result<SocketAddr> {
        let address = self.listeners.get(place).copied();
        address.with_context(|| {
            format!("{} has no listener for {place:?}", self.envoy.process().name())
        })
    }

    pub(crate) async fn stop(self) {
        self.envoy.kill();
        self.envoy.process().ended().await;
    }
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

/// The cluster of the route of v1, which is the route before a filter says more.
pub(crate) const CLUSTER_V1: &str = "outbound|3002|v1|forecast.weather.svc.cluster.local";

fn cluster(route: Route) -> &'static str {
    match route {
        Route::V1 => CLUSTER_V1,
        Route::V2 => "outbound|3002|v2|forecast.weather.svc.cluster.local",
    }
}

/// The status of the response to a request that took this route.
pub(crate) fn status(route: Route) -> u16 {
    match route {
        Route::V1 => 200,
        Route::V2 => 202,
    }
}

fn fault(route: Route) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"http_status": status(route), "percentage": {"numerator": 100}},
    })
}

fn listener(number: usize, at: SocketAddr, place: &Place, filters: &Filters) -> Result<Value> {
    let name = format!("listener-{number}");
    let mut chain: Vec<Value> = filters.of(&place.variant)?.into_iter().collect();
    chain.push(json!({"name": "envoy.filters.http.fault", "typed_config": fault(Route::V1)}));
    chain.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": false,
        "route_config": {"virtual_hosts": [{
            "name": "forecast",
            "domains": ["*"],
            "routes": [
                {
                    "match": {"prefix": "/", "headers": [{
                        "name": "x-release-track",
                        "string_match": {"exact": "v2"},
                    }]},
                    "route": {"cluster": cluster(Route::V2)},
                    "typed_per_filter_config": {"envoy.filters.http.fault": fault(Route::V2)},
                },
                {"match": {"prefix": "/"}, "route": {"cluster": cluster(Route::V1)}},
            ],
        }]},
        "http_filters": chain,
    });
    Ok(json!({
        "name": name,
        "address": address(at),
        "traffic_direction": match place.direction {
            Direction::Inbound => "INBOUND",
            Direction::Outbound => "OUTBOUND",
        },
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    }))
}

/// The listeners that a situation's variants need.
pub(crate) fn places(situation: &Situation, variants: &[Variant]) -> Vec<Place> {
    let directions = match situation.before {
        Some(_) => vec![Direction::Inbound, situation.direction],
        None => vec![situation.direction],
    };
    let places = directions.into_iter().flat_map(|direction| {
        variants.iter().map(move |variant| Place { direction, variant: variant.clone() })
    });
    places.collect()
}
