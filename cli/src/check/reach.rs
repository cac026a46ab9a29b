//! Which proxies take a plugin, and whether one of them takes the filter twice.

use crate::input::manifest::{Configuration, Object};
use crate::input::yaml::Node;
use crate::report::Diagnostic;

/// Istio's, unless its meshConfig names another.
pub(super) const ROOT_NAMESPACE: &str = "istio-system";

/// The GatewayClass of waypoints.
const WAYPOINT: &str = "istio-waypoint";

/// What Istio gives a plugin to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach<'a> {
    /// The sidecars and gateways of the plugin's namespace; the root namespace's, of the mesh.
    Namespace,
    /// Only waypoints take what names them, and nothing else: all of the mesh.
    Waypoints,
    /// One waypoint, or what is sent through one: kind and name of a target in the namespace.
    Waypoint(Vec<(&'a str, &'a str)>),
    /// What a selector or `targetRefs` name, which the files do not tell.
    Named,
}

impl<'a> Reach<'a> {
    /// By Istio's rules (pilot/pkg/model/policyattachment.go, `ShouldAttachPolicy`), with the
    /// Gateways that stand in the files.
    pub(super) fn of(plugin: &Object<'a>, objects: &[Object<'a>]) -> Self {
        let spec = |name: &str| plugin.node.at(&["spec", name]);
        let targets: Vec<_> =
            plugin.list(&["spec", "targetRefs"]).chain(spec("targetRef")).collect();
        if targets.is_empty() {
            return if spec("selector").is_some() { Self::Named } else { Self::Namespace };
        }
        let text = |target: &'a Node, name| target.get(name).and_then(Node::text).unwrap_or("");
        let targets: Vec<_> = targets
            .into_iter()
            .map(|target| (text(target, "kind"), text(target, "name")))
            .collect();
        let is_waypoint = |name| {
            objects.iter().any(|object| {
                (object.kind, object.name, object.namespace) == ("Gateway", name, plugin.namespace)
                    && object.group == "gateway.networking.k8s.io"
                    && object.text(&["spec", "gatewayClassName"]) == Some(WAYPOINT)
            })
        };
        if targets.iter().all(|target| *target == ("GatewayClass", WAYPOINT)) {
            Self::Waypoints
        } else if targets.iter().all(|(kind, name)| match *kind {
            "Service" | "ServiceEntry" => true,
            "Gateway" => is_waypoint(*name),
            _ => false,
        }) {
            Self::Waypoint(targets)
        } else {
            Self::Named
        }
    }
}

/// Two filters in one proxy undo each other.
pub(super) fn twice<'a>(
    configurations: &'a [Configuration<'a>],
    objects: &[Object<'a>],
) -> Vec<Diagnostic<'a>> {
    let mut earlier: Vec<(&Configuration<'_>, &str, Reach<'_>)> = Vec::new();
    let mut found = Vec::new();
    for one in configurations {
        let Some((plugin, _)) = &one.plugin else { continue };
        let namespace = plugin.namespace.unwrap_or("default");
        let reach = Reach::of(plugin, objects);
        let meets = earlier.iter().find(|(other, there, its)| {
            other.object != one.object && meet((namespace, &reach), (there, its))
        });
        found.extend(meets.map(|(other, ..)| Diagnostic {
            is_error: false,
            code: "two-filters",
            file: one.file,
            span: one.node.span.clone(),
            path: one.object.clone(),
            value: None,
            message: format!(
                "proxies get this filter a second time, also from {}, and the two undo each other",
                other.object
            ),
            hint: Some("keep one of them, with the tracks of both".to_owned()),
        }));
        earlier.push((one, namespace, reach));
    }
    found
}

fn meet(one: (&str, &Reach<'_>), other: (&str, &Reach<'_>)) -> bool {
    match (one.1, other.1) {
        (Reach::Namespace, Reach::Namespace) => {
            one.0 == other.0 || [one.0, other.0].contains(&ROOT_NAMESPACE)
        }
        (Reach::Namespace, Reach::Named) => one.0 == ROOT_NAMESPACE,
        (Reach::Named, Reach::Namespace) => other.0 == ROOT_NAMESPACE,
        (Reach::Waypoints, Reach::Waypoints | Reach::Waypoint(_))
        | (Reach::Waypoint(_), Reach::Waypoints) => true,
        (Reach::Waypoint(targets), Reach::Waypoint(others)) => {
            one.0 == other.0 && targets.iter().any(|target| others.contains(target))
        }
        (Reach::Named, Reach::Named)
        | (Reach::Waypoints | Reach::Waypoint(_), Reach::Namespace | Reach::Named)
        | (Reach::Namespace | Reach::Named, Reach::Waypoints | Reach::Waypoint(_)) => false,
    }
}
