//! Whether a request leaves the mesh, by the name of its route's cluster.
//!
//! ```
//! use release_track::istio::cluster::Domains;
//!
//! let domains = Domains::of_mesh("weather.svc.cluster.local", "weather");
//! assert!(!domains.exclude(b"outbound|80|v2|forecast.weather.svc.cluster.local"));
//! assert!(domains.exclude(b"outbound|443||api.example.com"));
//! assert!(domains.exclude(b"PassthroughCluster"));
//! ```

use crate::host::Facts;

/// Services of other clusters of the mesh (Kubernetes multi-cluster services, KEP-1645).
const CLUSTERSET: &str = "svc.clusterset.local";

/// The domains whose hosts are inside the mesh.
#[derive(Debug, Default)]
pub struct Domains(Vec<Box<str>>);

impl Domains {
    pub fn new(domains: Vec<Box<str>>) -> Self {
        Self(domains)
    }

    /// The domains of a mesh whose proxies have this DNS domain, the fourth field of their node
    /// ids: `NAMESPACE.svc.cluster.local`.
    pub fn of_mesh(dns_domain: &str, namespace: &str) -> Self {
        let own = dns_domain.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('.'));
        let own = own.unwrap_or(dns_domain);
        Self([own, CLUSTERSET].into_iter().filter(|d| !d.is_empty()).map(Into::into).collect())
    }

    /// These, and others.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether a host is one of these domains, or under one.
    pub fn contain(&self, host: &[u8]) -> bool {
        self.0.iter().any(|domain| {
            host.strip_suffix(domain.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."))
        })
    }

    /// Whether a cluster is outside: one of those for hosts that nobody declared (Istio:
    /// `pilot/pkg/networking/util`), or `outbound|PORT|SUBSET|HOST` and `inbound-vip|PORT|SUBSET|HOST`
    /// of a host under none of the domains (Istio: `model.BuildSubsetKey`). Every other name is
    /// inside: the table in docs/trust-boundary.md has them all.
    pub fn exclude(&self, cluster: &[u8]) -> bool {
        if matches!(cluster, b"PassthroughCluster" | b"AllowAnyDynamicDNSCluster") {
            return true;
        }
        let mut fields = cluster.splitn(4, |b| *b == b'|');
        let kind = fields.next();
        match fields.nth(2) {
            Some(host) => matches!(kind, Some(b"outbound" | b"inbound-vip")) && !self.contain(host),
            None => false,
        }
    }
}

/// Where the route of a request leads, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It has no cluster: a redirect, or a response of the proxy itself.
    Nowhere,
    Inside,
    Outside,
}

/// What leaves the mesh, under one configuration.
#[derive(Debug)]
pub struct Egress {
    /// What leaves is stripped; if not, outside counts as inside.
    pub strip: bool,
    pub domains: Domains,
}

impl Egress {
    /// Where the request at hand goes.
    pub fn leads(&self, facts: &mut impl Facts) -> Leads {
        match facts.property(b"xds\0cluster_name") {
            Ok(Some(cluster)) if self.strip && self.domains.exclude(&cluster) => Leads::Outside,
            Ok(Some(cluster)) if !cluster.is_empty() => Leads::Inside,
            _ => Leads::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_is_what_no_domain_holds() {
        let domains = Domains::of_mesh("weather.svc.cluster.local", "weather");
        for inside in [
            "outbound|3002|v2|forecast.weather.svc.cluster.local",
            "outbound|80||web.other.svc.cluster.local",
            "outbound|80||web.other.svc.clusterset.local",
            "inbound-vip|80|http|web.other.svc.cluster.local",
            "inbound|3000||",
            "outbound_.80_._.example.com",
            "BlackHoleCluster",
            "InboundPassthroughCluster",
            "UnknownService",
            "encap",
            "outbound|80|",
            "",
        ] {
            assert!(!domains.exclude(inside.as_bytes()), "{inside}");
        }
        for outside in [
            "PassthroughCluster",
            "AllowAnyDynamicDNSCluster",
            "outbound|80||*.partner.example",
            "outbound|80||legacy",
            "outbound|443||api.example.com",
            "outbound|443||notsvc.cluster.local",
            "outbound|443||svc.cluster.local.example.com",
            "inbound-vip|443||api.example.com",
        ] {
            assert!(domains.exclude(outside.as_bytes()), "{outside}");
        }
    }

    #[test]
    fn configured_domains_are_inside_too() {
        let more = Domains::new(vec!["corp.example".into()]);
        let domains = Domains::of_mesh("weather.svc.cluster.local", "weather").and(more);
        for host in ["web.corp.example", "corp.example", "forecast.weather.svc.cluster.local"] {
            assert!(domains.contain(host.as_bytes()), "{host}");
        }
        assert!(!domains.contain(b"notcorp.example"));
    }

    #[test]
    fn the_meshs_domain_is_the_nodes_without_its_namespace() {
        let holds = |domain: &str, ns: &str, host: &str| {
            Domains::of_mesh(domain, ns).contain(host.as_bytes())
        };
        assert!(holds("a.svc.corp.net", "a", "x.b.svc.corp.net"));
        assert!(holds("corp.net", "a", "x.corp.net"));
        assert!(!holds("", "", "x.corp.net"));
        assert!(!holds("a.svc.corp.net", "a", "x.b.svc.cluster.local"));
    }
}
