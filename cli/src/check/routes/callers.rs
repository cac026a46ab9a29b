//! Does a route hold for whoever calls?

use super::ways::Way;
use super::{View, warning};
use crate::report::Diagnostic;
use crate::routing::{Condition, Host, Place, Table};
use std::collections::HashMap;

pub(super) fn check<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    let mut found = bound(view, table, ways);
    found.extend(gateways_only(view, table));
    found
}

/// What a condition says of the caller, and where.
fn source<'c>(condition: &'c Condition<'_>) -> Option<(String, &'c Place)> {
    match condition {
        Condition::SourceLabels { labels, place } => {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            Some((format!("pods with {}", labels.join(",")), place))
        }
        Condition::Source { field: "gateways", value, place } => {
            Some((format!("the gateways {value}"), place))
        }
        Condition::Source { value, place, .. } => Some((format!("the namespace {value}"), place)),
        _ => None,
    }
}

/// A track's route that some callers pass by.
fn bound<'a>(view: &View<'_, 'a>, table: &Table<'a>, ways: &[Way<'_, 'a>]) -> Vec<Diagnostic<'a>> {
    let asking = || ways.iter().filter(|way| way.asks && way.followers.tracks().next().is_some());
    let others = |way: &Way<'_, 'a>| {
        let rest = way.rest.iter().copied().filter(|condition| source(condition).is_none());
        let tracks: Vec<_> = way.followers.tracks().collect();
        (tracks, rest.cloned().collect::<Vec<_>>())
    };
    // Two routes for the same requests divide the callers among them.
    let mut counts = HashMap::new();
    for way in asking() {
        *counts.entry(others(way)).or_insert(0) += 1;
    }
    let bound = asking().filter_map(|way| {
        let (who, Place(span)) = way.rest.iter().find_map(|condition| source(condition))?;
        if counts.get(&others(way)) != Some(&1) {
            return None;
        }
        let route = table.routes.get(way.route)?;
        let names = way.followers.tracks().filter_map(|place| view.tracks.get(place));
        let names: Vec<_> = names.map(|track| track.name).collect();
        Some(warning(
            route,
            "bound-to-caller",
            span,
            format!(
                "only {who} find this route: whoever else calls for track {} gets another version",
                names.join(", ")
            ),
            format!("leave the caller out: {} says enough", view.header()),
        ))
    });
    bound.collect()
}

/// Calls inside of the mesh pass by a table that is only gateways'.
fn gateways_only<'a>(view: &View<'_, 'a>, table: &Table<'a>) -> Option<Diagnostic<'a>> {
    if table.callers.mesh || table.callers.gateways.is_empty() {
        return None;
    }
    let route = table.routes.first()?;
    let host = table.hosts.iter().find(|host| {
        let Host::Service { name, namespace } = host else { return false };
        let is_member = view.tracks.iter().any(|track| track.has(name, *namespace));
        is_member && !view.in_mesh.contains(name)
    })?;
    let place = table.object.node.at(&["spec", "gateways"]).unwrap_or(table.object.node);
    Some(warning(
        route,
        "gateways-only",
        &place.span,
        format!("these routes to {host} are only gateways': calls inside of the mesh pass them by"),
        "add mesh to gateways, or leave gateways out where no gateway needs the routes",
    ))
}
