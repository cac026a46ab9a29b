//! Changes that proxies must not get in one step: each has its configuration at its own time, and
//! meanwhile those with the old one and those with the new one serve the same request.

use super::options::decides;
use super::valid::Valid;
use crate::input::manifest::Configuration;
use crate::input::yaml::{Node, Span};
use crate::report::Diagnostic;
use release_track::config::item_path;
use release_track::config::schema::{CONFIG, Field, PROPAGATION};

pub(super) fn check<'a>(old: &Configuration<'_>, new: &Valid<'a>) -> Vec<Diagnostic<'a>> {
    let warning = |span: &Span, path: String, message: String, hint: String| Diagnostic {
        is_error: false,
        code: "one-step",
        file: new.source.file,
        span: span.clone(),
        path,
        value: None,
        message,
        hint: Some(hint),
    };
    let mut found = Vec::new();
    let (before, after) = (tracks(old.node), tracks(new.source.node));
    for (place, (name, track)) in after.iter().enumerate() {
        let is_new = !before.iter().any(|(known, _)| known == name);
        if is_new && decides(track) {
            found.push(warning(
                track.get("name").map_or(&track.span, |name| &name.span),
                item_path("tracks", place),
                format!("track {name} is new, and requests follow it before every proxy knows it"),
                "first apply it without match and share; when all proxies have that, with them"
                    .to_owned(),
            ));
        }
    }
    let root = new.source.node;
    let whole = root.member("tracks").map_or(&root.span, |member| &member.key);
    for (name, track) in &before {
        if decides(track) && !after.iter().any(|(known, _)| known == name) {
            found.push(warning(
                whole,
                "tracks".to_owned(),
                format!("track {name} is gone, and requests that follow it are still under way"),
                "first remove its match and share; when its requests are over, the track"
                    .to_owned(),
            ));
        }
    }
    let text = |node: &Node, name| node.get(name).and_then(Node::text).map(str::to_lowercase);
    let header = |node: &Node| text(node, "header").unwrap_or_else(|| default(CONFIG, "header"));
    if header(old.node) != header(root) {
        found.push(warning(
            root.member("header").map_or(whole, |member| &member.node.span),
            "header".to_owned(),
            format!(
                "the header was {}: until all proxies agree, tracks are lost",
                header(old.node)
            ),
            "change it while no track is decided, and the routes with it".to_owned(),
        ));
    }
    let (old_keys, new_keys) = (keys(old.node), keys(root));
    let unread = new_keys.first().is_some_and(|key| !old_keys.contains(key));
    let dropped = old_keys.first().is_some_and(|key| !new_keys.contains(key));
    if unread || dropped {
        let node = root.at(&["propagation", "keys"]);
        found.push(warning(
            node.map_or(whole, |node| &node.span),
            "propagation.keys".to_owned(),
            if unread {
                "proxies with the old configuration cannot read ids that are tagged with the new first key"
            } else {
                "ids that were tagged with the old first key can no longer be read"
            }
            .to_owned(),
            "rotate in three steps: add the new key as the second, make it the first, remove the old"
                .to_owned(),
        ));
    }
    found
}

fn tracks(configuration: &Node) -> Vec<(&str, &Node)> {
    let tracks = configuration.get("tracks").into_iter().flat_map(Node::items);
    tracks.filter_map(|track| Some((track.get("name")?.text()?, track))).collect()
}

/// The keys of tagged ids, in one case.
fn keys(configuration: &Node) -> Vec<String> {
    let keys = configuration.at(&["propagation", "keys"]).map_or(&[][..], Node::items);
    let keys: Vec<_> = keys.iter().filter_map(Node::text).map(str::to_ascii_lowercase).collect();
    match keys.is_empty() {
        true => vec![default(PROPAGATION, "keys").trim_matches(['[', ']']).to_owned()],
        false => keys,
    }
}

fn default(fields: &[Field], name: &str) -> String {
    let field = fields.iter().find(|field| field.name == name);
    field.and_then(|field| field.default).unwrap_or_default().to_owned()
}
