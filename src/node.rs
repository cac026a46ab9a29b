//! Which proxy this is, as its node metadata tells: read once, when a configuration arrives.

use crate::config::{App, Config, Labels, Workload};
use crate::host::Host;
use crate::track::TrackId;

/// What kind of proxy (Istio: `NodeType`, the first field of the node id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `router~`: an ingress or egress gateway.
    Gateway,
    Sidecar,
    Waypoint,
    Unknown,
}

/// The side of a sidecar that a request passes (Envoy: `xds.listener_direction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// The proxy's place in the mesh, under one configuration.
#[derive(Debug)]
pub struct Node {
    /// `router~10.0.0.9~NAME.NAMESPACE~NAMESPACE.svc.cluster.local`
    pub id: String,
    pub kind: Kind,
    pub pod: Pod,
    /// The tracks that the pod belongs to: their `workloads` list it.
    pub tracks: Vec<TrackId>,
    /// The tracks whose `workloads` list the pod's app, in whatever version.
    pub listed: Vec<TrackId>,
    /// The domain of the mesh's services: the fourth field of the id.
    pub dns_domain: String,
    /// `edge` lists this sidecar's app.
    pub decides_inbound: bool,
}

/// A pod, as `workloads` names it.
#[derive(Debug, Default)]
pub struct Pod {
    pub namespace: String,
    pub app: String,
    pub version: String,
}

impl Pod {
    fn is_of(&self, app: &App) -> bool {
        *app.app == *self.app
            && app.namespace.as_ref().is_none_or(|namespace| **namespace == *self.namespace)
    }
}

impl Node {
    pub fn read(host: &mut impl Host, config: &Config) -> Self {
        let id = text(host, b"xds\0node\0id");
        let mut fields = id.split('~');
        let kind = match fields.next() {
            Some("router") => Kind::Gateway,
            Some("sidecar") => Kind::Sidecar,
            Some("waypoint") => Kind::Waypoint,
            _ => Kind::Unknown,
        };
        let namespace =
            fields.nth(1).and_then(|name| name.rsplit_once('.')).map_or("", |(_, ns)| ns);
        let Labels { app, version } = &config.labels;
        let pod = Pod {
            namespace: namespace.to_owned(),
            app: text(host, &label(app)),
            version: text(host, &label(version)),
        };
        let of = |belongs: &dyn Fn(&Workload) -> bool| {
            let tracks = (0..).map(TrackId).zip(&config.workloads);
            tracks.filter(|(_, w)| w.iter().any(belongs)).map(|(track, _)| track).collect()
        };
        let tracks = of(&|w| pod.is_of(&w.app) && *w.version == *pod.version);
        let listed = of(&|w| pod.is_of(&w.app));
        let dns_domain = fields.next().unwrap_or_default().to_owned();
        let listed_inbound = config.edge.inbound.iter().any(|app| pod.is_of(app));
        let decides_inbound = kind == Kind::Sidecar && listed_inbound;
        Self { kind, pod, tracks, listed, dns_domain, decides_inbound, id }
    }

    /// The track that the pod belongs to, if that is one and no more.
    pub fn own_track(&self) -> Option<TrackId> {
        match *self.tracks {
            [track] => Some(track),
            _ => None,
        }
    }
}

fn label(name: &str) -> Vec<u8> {
    [b"xds\0node\0metadata\0LABELS\0".as_slice(), name.as_bytes()].concat()
}

fn text(host: &mut impl Host, property: &[u8]) -> String {
    let bytes = host.property(property).ok().flatten().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

impl Direction {
    /// Of the listener that the request at hand came in by. It is a property of the request:
    /// both listeners of a proxy may share one configured plugin.
    pub fn read(host: &mut impl Host) -> Option<Self> {
        let bytes = host.property(b"xds\0listener_direction").ok().flatten()?;
        match i64::from_le_bytes(bytes.try_into().ok()?) {
            1 => Some(Self::Inbound),
            2 => Some(Self::Outbound),
            _ => None,
        }
    }
}
