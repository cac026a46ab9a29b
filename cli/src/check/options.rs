//! Settings that contradict what stands around them.

use super::valid::Valid;
use crate::input::yaml::{Node, Span};
use crate::report::Diagnostic;
use release_track::config::{field_path, item_path};

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
        && !environment.iter().any(|(known, _)| known == variable)
    {
        found.push(warning(
            "unset-variable",
            name.span.clone(),
            "preview.keysFrom",
            format!("vmConfig.env sets no variable {variable}: preview links will be off"),
            "add it under vmConfig.env beside pluginConfig, with valueFrom: HOST if the proxy has it",
        ));
    }
    // Behind another key it only goes on to be read.
    for (field, count) in [("propagation", 1), ("preview", usize::MAX)] {
        let keys = root.at(&[field, "keys"]).into_iter().flat_map(Node::items).enumerate();
        let is_published = |key: &Node| key.text().is_some_and(|text| text == PUBLISHED_KEY);
        for (index, key) in keys.take(count).filter(|(_, key)| is_published(key)) {
            found.push(warning(
                "published-key",
                key.span.clone(),
                &item_path(&format!("{field}.keys"), index),
                "this key is published: whoever reads the documentation has it".to_owned(),
                &format!("make one of your own: release-track key {field}"),
            ));
        }
    }
    words(valid, root, "", &mut found);
    found
}

/// The default of `propagation.keys`.
const PUBLISHED_KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// Names that YAML takes for something else than they say.
fn words<'a>(valid: &Valid<'a>, node: &Node, path: &str, found: &mut Vec<Diagnostic<'a>>) {
    for (index, item) in node.items().iter().enumerate() {
        words(valid, item, &item_path(path, index), found);
    }
    for member in node.members() {
        let path = field_path(path, &member.name);
        let written = valid.source.file.text.get(member.key.clone()).unwrap_or_default();
        let is_plain = !written.is_empty()
            && written.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
        if is_plain && written != member.name {
            found.push(Diagnostic {
                is_error: false,
                code: "yaml-word",
                file: valid.source.file,
                span: member.key.clone(),
                path: path.clone(),
                value: None,
                message: format!("YAML takes the name {written} for {}", member.name),
                hint: Some(format!("write '{written}'")),
            });
        }
        words(valid, &member.node, &path, found);
    }
}

/// Whether a track is ever decided by itself.
pub(super) fn decides(track: &Node) -> bool {
    track.get("share").is_some()
        || track.get("match").is_some_and(|rules| !rules.items().is_empty())
}
