//! Routes. pilot: networking/core/route/route.go, httproute.go and gateway.go.

use super::cluster::PASSTHROUGH;
use super::proxy::{Proxy, Role};
use super::registry::{self, ROOT_NAMESPACE, Registry};
use crate::manifest::{
    Error, HttpMatch, HttpRoute, Object, Service, StringMatch, VirtualService, selects,
};
use serde_json::{Map, Value, json};

/// The one route configuration that an Envoy discovers: a sidecar's for its application's calls, or
/// the gateway's.
pub fn routes(proxy: &Proxy, registry: &Registry<'_>) -> Result<Value, Error> {
    let virtual_hosts = match proxy.role {
        Role::Router { .. } => gateway_hosts(proxy, registry)?,
        Role::Sidecar { .. } => sidecar_hosts(proxy, registry)?,
    };
    Ok(configuration(proxy, virtual_hosts))
}

/// In place of [`routes`]: 404 for everybody.
pub fn no_routes(proxy: &Proxy) -> Value {
    configuration(proxy, Vec::new())
}

fn configuration(proxy: &Proxy, virtual_hosts: Vec<Value>) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": proxy.role.route_configuration(),
        "virtual_hosts": virtual_hosts,
        // A route to a subset that does not exist (yet) is no reason to refuse all others.
        "validate_clusters": false,
        "ignore_port_in_host_matching": matches!(proxy.role, Role::Router { .. }),
    })
}

impl Role {
    pub(super) fn route_configuration(&self) -> &'static str {
        match self {
            Role::Router { .. } => "http.80",
            Role::Sidecar { .. } => "http_proxy",
        }
    }
}

fn gateway_hosts(proxy: &Proxy, registry: &Registry<'_>) -> Result<Vec<Value>, Error> {
    let manifests = registry.manifests();
    let mut hosts = Vec::new();
    for gateway in &manifests.gateways {
        if gateway.namespace != proxy.namespace || !selects(&gateway.spec.selector, &proxy.labels) {
            continue;
        }
        let [server] = &gateway.spec.servers;
        let place = Place {
            proxy,
            registry,
            gateways: &[format!("{}/{}", gateway.namespace, gateway.name), gateway.name.clone()],
            port: server.port.number,
        };
        for service in &manifests.virtual_services {
            if !place.has(service) {
                continue;
            }
            let meant = |host: &&String| server.hosts.iter().any(|s| s == "*" || s == *host);
            for host in service.spec.hosts.iter().filter(meant) {
                hosts.push(json!({
                    "name": format!("{host}:{}", place.port),
                    "domains": [host],
                    "routes": place.routes(service)?,
                }));
            }
        }
    }
    Ok(hosts)
}

fn sidecar_hosts(proxy: &Proxy, registry: &Registry<'_>) -> Result<Vec<Value>, Error> {
    let mut hosts = Vec::new();
    for service in registry.services() {
        let name = registry::service_name(service);
        for port in &service.spec.ports {
            let place = Place { proxy, registry, gateways: &["mesh".into()], port: port.port };
            let routes = match place.virtual_service(service)? {
                Some(virtual_service) => place.routes(virtual_service)?,
                None => {
                    let cluster = registry::outbound(service, port, "");
                    vec![route("default", json!({"prefix": "/"}), cluster)]
                }
            };
            hosts.push(json!({
                "name": format!("{name}:{}", port.port),
                "domains": domains(service, proxy, port.port),
                "routes": routes,
            }));
        }
    }
    hosts.push(json!({
        "name": "allow_any",
        "domains": ["*"],
        "routes": [route("allow_any", json!({"prefix": "/"}), PASSTHROUGH.into())],
    }));
    Ok(hosts)
}

/// The names by which a proxy's application may call a service; the short one only within its
/// namespace.
fn domains(service: &Object<Service>, proxy: &Proxy, port: u16) -> Vec<String> {
    let Object { name, namespace, .. } = service;
    let mut names = vec![
        registry::service_name(service),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}"),
    ];
    if *namespace == proxy.namespace {
        names.push(name.clone());
    }
    let with_port = names.iter().map(|name| format!("{name}:{port}"));
    let mut domains: Vec<_> = with_port.collect();
    // Clients leave the default port out.
    if port == 80 {
        domains.append(&mut names);
    }
    domains
}

/// Where a VirtualService is looked at: its meaning depends on it.
struct Place<'a> {
    proxy: &'a Proxy,
    registry: &'a Registry<'a>,
    /// Names of the gateway here, or `mesh`.
    gateways: &'a [String],
    port: u16,
}

impl Place<'_> {
    fn has(&self, service: &Object<VirtualService>) -> bool {
        // A gateway without a namespace is one of the VirtualService's own namespace.
        service.spec.gateways.iter().any(|gateway| {
            self.gateways.first().is_some_and(|full| gateway == full)
                || (service.namespace == ROOT_NAMESPACE && self.gateways.contains(gateway))
        })
    }

    fn virtual_service(
        &self,
        service: &Object<Service>,
    ) -> Result<Option<&Object<VirtualService>>, Error> {
        let name = registry::service_name(service);
        let mut found = None;
        for candidate in &self.registry.manifests().virtual_services {
            if !self.has(candidate) {
                continue;
            }
            for (index, host) in candidate.spec.hosts.iter().enumerate() {
                let field = format!("spec.hosts[{index}]");
                if self.registry.service(host, &candidate.namespace).is_none() {
                    return Err(candidate.error(
                        field,
                        format!("there is no Service `{host}`, which gateway `mesh` needs"),
                    ));
                }
                if registry::full_name(host, &candidate.namespace) == name
                    && found.replace(candidate).is_some()
                {
                    let message = format!("a second VirtualService for `{host}`");
                    return Err(candidate.error(field, message));
                }
            }
        }
        Ok(found)
    }

    /// In the order of the file: the first entry that matches wins.
    fn routes(&self, service: &Object<VirtualService>) -> Result<Vec<Value>, Error> {
        let mut routes = Vec::new();
        for (index, http) in service.spec.http.iter().enumerate() {
            let action = self.action(service, &format!("spec.http[{index}]"), http)?;
            let name = http.name.as_deref().unwrap_or_default();
            if http.matches.is_empty() {
                routes.push(json!({"name": name, "match": {"prefix": "/"}, "route": action}));
            }
            for entry in http.matches.iter().filter(|entry| self.applies(entry)) {
                let name = match &entry.name {
                    Some(entry) => format!("{name}.{entry}"),
                    None => name.into(),
                };
                routes.push(json!({"name": name, "match": matcher(entry), "route": action}));
            }
        }
        Ok(routes)
    }

    /// What istiod decides, before any request: the caller and the port.
    fn applies(&self, entry: &HttpMatch) -> bool {
        let port = entry.port.is_none_or(|port| port == self.port);
        if !entry.gateways.is_empty() {
            // The source is then not looked at (route.go, sourceMatchHTTP).
            return port && entry.gateways.iter().any(|g| self.gateways.contains(g));
        }
        let namespace = entry.source_namespace.as_deref();
        port && selects(&entry.source_labels, &self.proxy.labels)
            && namespace.is_none_or(|namespace| namespace == self.proxy.namespace)
    }

    fn action(
        &self,
        service: &Object<VirtualService>,
        field: &str,
        http: &HttpRoute,
    ) -> Result<Value, Error> {
        let mut clusters = Vec::new();
        for (index, to) in http.route.iter().enumerate() {
            let field = format!("{field}.route[{index}].destination");
            let name = self.registry.cluster_of(service, &field, &to.destination)?;
            clusters.push(json!({"name": name, "weight": to.weight.unwrap_or(1)}));
        }
        let mut action = json!({"timeout": http.timeout.as_deref().unwrap_or("0s")});
        match clusters.as_mut_slice() {
            [] => {
                return Err(
                    service.error(format!("{field}.route"), "must name a destination".to_owned())
                );
            }
            [only] => action["cluster"] = only["name"].take(),
            _ => action["weighted_clusters"] = json!({"clusters": clusters}),
        }
        Ok(action)
    }
}

fn route(name: &str, matcher: Value, cluster: String) -> Value {
    json!({"name": name, "match": matcher, "route": {"cluster": cluster, "timeout": "0s"}})
}

/// What Envoy decides, per request.
fn matcher(entry: &HttpMatch) -> Value {
    let mut matcher = match &entry.uri {
        Some(StringMatch::Exact(path)) => json!({"path": path}),
        Some(StringMatch::Prefix(path)) => json!({"prefix": path}),
        Some(StringMatch::Regex(regex)) => json!({"safe_regex": {"regex": regex}}),
        Some(StringMatch::Present) | None => json!({"prefix": "/"}),
    };
    if entry.ignore_uri_case {
        matcher["case_sensitive"] = false.into();
    }
    let pseudo =
        [(":method", &entry.method), (":authority", &entry.authority), (":scheme", &entry.scheme)];
    let pseudo = pseudo.into_iter().filter_map(|(name, m)| Some((name, m.as_ref()?)));
    let named = entry.headers.iter().map(|(name, m)| (name.as_str(), m));
    let mut headers: Vec<Value> = pseudo.chain(named).map(|(name, m)| header(name, m)).collect();
    for (name, condition) in &entry.without_headers {
        let mut header = header(name, condition);
        header["invert_match"] = true.into();
        if *condition != StringMatch::Present {
            header["treat_missing_header_as_empty"] = true.into();
        }
        headers.push(header);
    }
    if !headers.is_empty() {
        matcher["headers"] = headers.into();
    }
    if !entry.query_params.is_empty() {
        let parameters = entry.query_params.iter();
        matcher["query_parameters"] =
            parameters.map(|(name, m)| condition(name, m)).collect::<Vec<_>>().into();
    }
    matcher
}

fn header(name: &str, condition_: &StringMatch) -> Value {
    condition(&name.to_ascii_lowercase(), condition_)
}

/// HeaderMatcher and QueryParameterMatcher have these fields in common.
fn condition(name: &str, condition: &StringMatch) -> Value {
    let mut matcher = Map::from_iter([("name".to_owned(), name.into())]);
    let string_match = match condition {
        StringMatch::Present => {
            matcher.insert("present_match".into(), true.into());
            return matcher.into();
        }
        StringMatch::Exact(value) => json!({"exact": value}),
        StringMatch::Prefix(value) => json!({"prefix": value}),
        StringMatch::Regex(value) => json!({"safe_regex": {"regex": value}}),
    };
    matcher.insert("string_match".into(), string_match);
    matcher.into()
}
