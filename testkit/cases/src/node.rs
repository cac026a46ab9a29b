//! The proxies that cases run on.

use std::collections::BTreeMap;

/// A proxy, as its node metadata tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// `sidecar~10.0.0.1~frontend-v1.weather~weather.svc.cluster.local`
    pub id: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
}

/// Of the listener (Envoy: `TrafficDirection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Unspecified = 0,
    Inbound = 1,
    Outbound = 2,
}

impl Direction {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "unspecified" => Some(Self::Unspecified),
            "inbound" => Some(Self::Inbound),
            "outbound" => Some(Self::Outbound),
            _ => None,
        }
    }

    /// The route's cluster where a case names none.
    pub(crate) fn cluster(self) -> &'static str {
        match self {
            Self::Inbound => "inbound|3000||",
            Self::Outbound | Self::Unspecified => {
                "outbound|3000||frontend.weather.svc.cluster.local"
            }
        }
    }
}

/// `gateway`, `waypoint`, or `APP VERSION inbound` and `APP VERSION outbound` for the sidecar of
/// a pod in the namespace `weather`.
pub(crate) fn parse(text: &str) -> Option<(Node, Direction)> {
    let pod = |kind: &str, name: &str, namespace: &str, labels: &[(&str, &str)]| Node {
        id: format!("{kind}~10.0.0.1~{name}.{namespace}~{namespace}.svc.cluster.local"),
        labels: labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
    };
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["gateway"] => {
            let labels = [("app", "weather-gateway")];
            Some((pod("router", "weather-gateway", "istio-system", &labels), Direction::Outbound))
        }
        ["waypoint"] => Some((pod("waypoint", "waypoint", "weather", &[]), Direction::Inbound)),
        [app, version, direction] => {
            let labels = [("app", app), ("version", version)];
            let name = format!("{app}-{version}");
            Some((pod("sidecar", &name, "weather", &labels), Direction::parse(direction)?))
        }
        _ => None,
    }
}
