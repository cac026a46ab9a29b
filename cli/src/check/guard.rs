//! Ramps that nothing stops.

use super::valid::Valid;
use crate::input::yaml::{Member, Node};
use crate::report::Diagnostic;
use release_track::config::{field_path, item_path};

pub(super) fn check<'a>(valid: &Valid<'a>) -> Vec<Diagnostic<'a>> {
    let tracks = valid.source.node.get("tracks").into_iter().flat_map(Node::items);
    let unguarded = tracks.enumerate().filter(|(_, track)| track.get("guard").is_none());
    unguarded.filter_map(|(place, track)| ramp(valid, &item_path("tracks", place), track)).collect()
}

/// The ramp of a track, or else the first one of its rules.
fn ramp<'a>(valid: &Valid<'a>, track_path: &str, track: &'a Node) -> Option<Diagnostic<'a>> {
    let of = |path: &str, node: &'a Node| -> Option<(String, &'a Member)> {
        let ramp = node.get("share")?.member("ramp")?;
        Some((field_path(&field_path(path, "share"), "ramp"), ramp))
    };
    let rules = track.get("match").into_iter().flat_map(Node::items).enumerate();
    let mut of_rules = rules
        .filter_map(|(index, rule)| of(&item_path(&field_path(track_path, "match"), index), rule));
    let (path, ramp) = of(track_path, track).or_else(|| of_rules.next())?;
    Some(Diagnostic {
        is_error: false,
        code: "ramp-without-guard",
        file: valid.source.file,
        span: ramp.key.clone(),
        path,
        value: None,
        message: "this share grows whether or not the track's responses fail".to_owned(),
        hint: Some("add guard: {} to the track, which stops its shares by itself".to_owned()),
    })
}
