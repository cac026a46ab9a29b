//! Services, their subsets and the endpoints behind them.

use super::proxy::DOMAIN;
use crate::manifest::{
    Destination, DestinationRule, Error, Labels, Manifests, Object, Service, ServicePort, selects,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Plugins of this namespace are for every proxy.
pub const ROOT_NAMESPACE: &str = "istio-system";

/// A pod, as callers know it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub namespace: String,
    pub labels: Labels,
    /// By the pod's own port: where its sidecar listens.
    pub ports: BTreeMap<u16, SocketAddr>,
}

/// Where a host name of a manifest leads.
pub struct Registry<'a> {
    manifests: &'a Manifests,
    endpoints: &'a [Endpoint],
}

impl<'a> Registry<'a> {
    pub fn new(manifests: &'a Manifests, endpoints: &'a [Endpoint]) -> Self {
        Registry { manifests, endpoints }
    }

    pub fn manifests(&self) -> &'a Manifests {
        self.manifests
    }

    pub fn services(&self) -> impl Iterator<Item = &'a Object<Service>> {
        self.manifests.services.iter()
    }

    /// The service that `host` means in an object of `namespace`.
    pub fn service(&self, host: &str, namespace: &str) -> Option<&'a Object<Service>> {
        let full_name = full_name(host, namespace);
        self.services().find(|s| service_name(s) == full_name)
    }

    pub fn rules(
        &self,
        service: &Object<Service>,
    ) -> impl Iterator<Item = &'a Object<DestinationRule>> {
        let name = service_name(service);
        let rules = self.manifests.destination_rules.iter();
        rules.filter(move |rule| full_name(&rule.spec.host, &rule.namespace) == name)
    }

    /// Where the service's pods listen that also carry these labels.
    pub fn addresses(
        &self,
        service: &Object<Service>,
        port: &ServicePort,
        labels: &Labels,
    ) -> Vec<SocketAddr> {
        let meant = self.endpoints.iter().filter(|endpoint| {
            endpoint.namespace == service.namespace
                && selects(&service.spec.selector, &endpoint.labels)
                && selects(labels, &endpoint.labels)
        });
        meant.filter_map(|endpoint| endpoint.ports.get(&port.target()).copied()).collect()
    }

    /// The name of the cluster that a route leads to. A subset that does not exist makes a cluster
    /// that does not exist, to which Envoy answers 503, as in Istio.
    pub fn cluster_of<T>(
        &self,
        object: &Object<T>,
        field: &str,
        destination: &Destination,
    ) -> Result<String, Error> {
        let Some(service) = self.service(&destination.host, &object.namespace) else {
            let message = format!("there is no Service `{}`", destination.host);
            return Err(object.error(format!("{field}.host"), message));
        };
        let ports = &service.spec.ports;
        let port = match (&destination.port, ports.as_slice()) {
            (Some(wanted), _) => ports.iter().find(|p| p.port == wanted.number),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let Some(port) = port else {
            let has: Vec<_> = ports.iter().map(|p| p.port.to_string()).collect();
            let message = format!("must name one of the service's ports: {}", has.join(", "));
            return Err(object.error(format!("{field}.port"), message));
        };
        let subset = destination.subset.as_deref().unwrap_or_default();
        Ok(outbound(service, port, subset))
    }

    /// The plugin for a proxy of this namespace and these labels.
    pub fn plugin(
        &self,
        namespace: &str,
        labels: &Labels,
    ) -> Result<Option<&'a Object<crate::manifest::WasmPlugin>>, Error> {
        let mut meant = self.manifests.wasm_plugins.iter().filter(|plugin| {
            let selector = plugin.spec.selector.as_ref();
            (plugin.namespace == ROOT_NAMESPACE || plugin.namespace == namespace)
                && selector.is_none_or(|selector| selects(&selector.match_labels, labels))
        });
        let plugin = meant.next();
        match meant.next() {
            Some(second) => Err(second.error("spec.selector", "a second plugin for one proxy")),
            None => Ok(plugin),
        }
    }
}

pub(super) fn service_name(service: &Object<Service>) -> String {
    full_name(&service.name, &service.namespace)
}

/// A host without a dot is a service of the object's own namespace.
pub(super) fn full_name(host: &str, namespace: &str) -> String {
    if host.contains('.') { host.into() } else { format!("{host}.{namespace}.svc.{DOMAIN}") }
}

/// Istio's name for a cluster that leads to a service; `subset` may be empty.
pub(super) fn outbound(service: &Object<Service>, port: &ServicePort, subset: &str) -> String {
    format!("outbound|{}|{subset}|{}", port.port, service_name(service))
}
