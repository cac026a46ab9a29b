//! Which proxy this is, as its node metadata tells: read once, when a configuration arrives.

use crate::host::Facts;

/// What kind of proxy (Istio: `NodeType`, the first field of the node id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `router~`: an ingress or egress gateway.
    Gateway,
    Sidecar,
    Waypoint,
    Unknown,
}

impl Kind {
    pub fn parse(node_type: &str) -> Self {
        match node_type {
            "router" => Self::Gateway,
            "sidecar" => Self::Sidecar,
            "waypoint" => Self::Waypoint,
            _ => Self::Unknown,
        }
    }
}

/// The side of a sidecar that a request passes (Envoy: `xds.listener_direction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// The names of the pod labels that are read.
#[derive(Debug)]
pub struct Labels {
    pub app: Box<str>,
    pub version: Box<str>,
}

/// An application, by its app label; in one namespace, or in any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub namespace: Option<Box<str>>,
    pub app: Box<str>,
}

/// The pods of one version of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub app: App,
    pub version: Box<str>,
}

/// A proxy's place in the mesh.
#[derive(Debug)]
pub struct Node {
    /// `router~10.0.0.9~NAME.NAMESPACE~NAMESPACE.svc.cluster.local`
    pub id: String,
    pub kind: Kind,
    pub pod: Pod,
    /// The domain of the mesh's services: the fourth field of the id.
    pub dns_domain: String,
}

/// A pod, as `workloads` names it.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub namespace: String,
    pub app: String,
    pub version: String,
}

impl Pod {
    /// Whether it is a pod of this application, in whatever version.
    pub fn is_of(&self, app: &App) -> bool {
        *app.app == *self.app
            && app.namespace.as_ref().is_none_or(|namespace| **namespace == *self.namespace)
    }
}

impl Node {
    pub fn read(facts: &mut impl Facts, labels: &Labels) -> Self {
        let id = text(facts, b"xds\0node\0id");
        let mut fields = id.split('~');
        let kind = Kind::parse(fields.next().unwrap_or_default());
        let namespace =
            fields.nth(1).and_then(|name| name.rsplit_once('.')).map_or("", |(_, ns)| ns);
        let pod = Pod {
            namespace: namespace.to_owned(),
            app: text(facts, &label(&labels.app)),
            version: text(facts, &label(&labels.version)),
        };
        let dns_domain = fields.next().unwrap_or_default().to_owned();
        Self { kind, pod, dns_domain, id }
    }
}

fn label(name: &str) -> Vec<u8> {
    [b"xds\0node\0metadata\0LABELS\0".as_slice(), name.as_bytes()].concat()
}

fn text(facts: &mut impl Facts, property: &[u8]) -> String {
    let bytes = facts.property(property).ok().flatten().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

impl Direction {
    /// Of the listener that the request at hand came in by. It is a property of the request:
    /// both listeners of a proxy may share one configured plugin.
    pub fn read(facts: &mut impl Facts) -> Option<Self> {
        let bytes = facts.property(b"xds\0listener_direction").ok().flatten()?;
        match i64::from_le_bytes(bytes.try_into().ok()?) {
            1 => Some(Self::Inbound),
            2 => Some(Self::Outbound),
            _ => None,
        }
    }
}
