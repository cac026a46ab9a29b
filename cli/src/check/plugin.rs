//! What the object around a configuration says of the filter.

use super::reach::{ROOT_NAMESPACE, Reach};
use super::valid::Valid;
use crate::input::manifest::Object;
use crate::input::yaml::Node;
use crate::report::Diagnostic;

pub(super) fn check<'a>(valid: &Valid<'a>, objects: &[Object<'a>]) -> Vec<Diagnostic<'a>> {
    let Some((object, plugin)) = valid.source.plugin else { return Vec::new() };
    let warning = |code, node: &Node, path: &str, message: &str, hint: String| Diagnostic {
        is_error: false,
        code,
        file: object.file,
        span: node.span.clone(),
        path: path.to_owned(),
        value: None,
        message: message.to_owned(),
        hint: Some(hint),
    };
    let mut found = Vec::new();
    if let Some(phase) = object.node.at(&["spec", "phase"])
        && phase.text() == Some("STATS")
    {
        found.push(warning(
            "late-phase",
            phase,
            "phase",
            "in this phase authentication and authorization see what clients forge",
            "write AUTHN, or AUTHZ where a rule reads what authentication sets".to_owned(),
        ));
    }
    if let Some(strategy) = plugin.get("failStrategy")
        && strategy.text() == Some("FAIL_CLOSE")
    {
        found.push(warning(
            "fail-close",
            strategy,
            "failStrategy",
            "should the module ever fail at run time, that proxy answers 503 until it restarts",
            "write FAIL_RELOAD (Istio 1.27 and later): the next request gets a new VM".to_owned(),
        ));
    }
    if let Some(url) = plugin.get("url")
        && let Some(text) = url.text()
        && is_latest(text)
    {
        found.push(warning(
            "latest-image",
            url,
            "url",
            "the image is whichever is the latest when an agent fetches it",
            "name a version, or better its digest: make push prints it".to_owned(),
        ));
    }
    if let Some(namespace) = object.node.at(&["metadata", "namespace"])
        && let Some(name) = namespace.text()
        && name != ROOT_NAMESPACE
        && !matches!(Reach::of(&object, objects), Reach::Waypoint(_))
    {
        found.push(warning(
            "one-namespace",
            namespace,
            "metadata.namespace",
            "only the proxies of this namespace get the filter: elsewhere a client's header is believed, and tracks end",
            format!("put it into the root namespace ({ROOT_NAMESPACE}, if meshConfig names no other)"),
        ));
    }
    if let Some(selector) = object.node.at(&["spec", "selector"]) {
        found.push(warning(
            "some-proxies",
            selector,
            "selector",
            "only the proxies that this selects get the filter: elsewhere a client's header is believed, and tracks end",
            "leave it out: one plugin serves gateways and sidecars alike".to_owned(),
        ));
    }
    found
}

/// An image without a version: `oci://registry.example.com/release-track`, or with the tag latest.
fn is_latest(url: &str) -> bool {
    let (scheme, image) = url.split_once("://").unwrap_or(("oci", url));
    let last = image.rsplit('/').next().unwrap_or(image);
    scheme == "oci"
        && !last.contains('@')
        && matches!(last.split_once(':'), None | Some((_, "latest")))
}
