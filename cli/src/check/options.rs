//! Settings that contradict what stands around them.

use super::Valid;
use crate::input::manifest::Configuration;
use crate::input::yaml::{Node, Span};
use crate::report::Diagnostic;

pub(super) fn check<'a>(valid: &Valid<'a>) -> Vec<Diagnostic<'a>> {
    let warning = |code, span: Span, path: &str, message: String, hint: &str| Diagnostic {
        is_error: false,
        code,
        file: valid.source.file,
        span,
        path: path.to_owned(),
        value: None,
        message,
        hint: Some(hint.to_owned()),
    };
    let mut found = Vec::new();
    let root = valid.source.node;
    let mut tracks = root.get("tracks").into_iter().flat_map(Node::items);
    let nobody = !valid.config.edge.gateway && valid.config.edge.inbound.is_empty();
    if let Some(edge) = root.get("edge")
        && nobody
        && tracks.any(decides)
    {
        found.push(warning(
            "nobody-decides",
            edge.span.clone(),
            "edge",
            "tracks have rules or shares, but no proxy decides by them".to_owned(),
            "leave edge out for the gateways, or list the apps whose sidecars decide",
        ));
    }
    if let Some(environment) = &valid.source.environment
        && let Some(name) = root.at(&["preview", "keysFrom"])
        && let Some(variable) = name.text()
        && !environment.iter().any(|known| known == variable)
    {
        found.push(warning(
            "unset-variable",
            name.span.clone(),
            "preview.keysFrom",
            format!("vmConfig.env sets no variable {variable}: preview links will be off"),
            "add it under vmConfig.env beside pluginConfig, with valueFrom: HOST if the proxy has it",
        ));
    }
    found
}

/// Whether a track is ever decided by itself.
pub(super) fn decides(track: &Node) -> bool {
    track.get("share").is_some()
        || track.get("match").is_some_and(|rules| !rules.items().is_empty())
}

/// Two filters in one proxy undo each other.
pub(super) fn twice<'a>(configurations: &'a [Configuration<'a>]) -> Vec<Diagnostic<'a>> {
    let mut found = Vec::new();
    for (index, one) in configurations.iter().enumerate() {
        let Some(namespace) = &one.everywhere_in else { continue };
        let earlier = configurations[..index].iter().find(|other| {
            other.everywhere_in.as_ref() == Some(namespace) && other.object != one.object
        });
        if let Some(earlier) = earlier {
            found.push(Diagnostic {
                is_error: false,
                code: "two-filters",
                file: one.file,
                span: one.node.span.clone(),
                path: one.object.clone(),
                value: None,
                message: format!(
                    "the proxies of {namespace} get this filter twice, also from {}; two undo each other",
                    earlier.object
                ),
                hint: Some("put all tracks into one of them".to_owned()),
            });
        }
    }
    found
}
