//! Tracks and the routes that should follow them, one file for each question:
//!
//! - `reach`: does each request find its route?
//! - `lead`: does each route lead to its track's pods, and leave the header as it is?
//! - `callers`: does it hold for whoever calls?
//! - `beside`: does anything but the header choose a track's pods?
//! - `outside`: does a track leave the mesh?

mod beside;
mod callers;
mod lead;
mod outside;
mod pods;
mod reach;
mod ways;

use super::tracks::{self, Track};
use super::valid::Valid;
use crate::input::yaml::Span;
use crate::report::Diagnostic;
use crate::routing::{Route, Routing, Table};
use std::collections::HashSet;

/// A configuration, and the routes around it.
struct View<'v, 'a> {
    valid: &'v Valid<'a>,
    tracks: Vec<Track<'a>>,
    routing: &'v Routing<'a>,
    /// The names of services that have routes for callers inside of the mesh.
    in_mesh: &'v HashSet<&'a str>,
}

impl View<'_, '_> {
    /// The name of the header that carries tracks, in lower case.
    fn header(&self) -> &str {
        &self.valid.config.header
    }
}

pub(super) fn check<'a>(valid: &[Valid<'a>], routing: &Routing<'a>) -> Vec<Diagnostic<'a>> {
    let mut found = Vec::new();
    if routing.tables.is_empty() {
        return found;
    }
    let in_mesh = routing.tables.iter().filter(|table| table.callers.mesh);
    let in_mesh = in_mesh.flat_map(|table| &table.hosts).map(|host| host.name()).collect();
    let views = valid.iter().map(|valid| View {
        valid,
        tracks: tracks::read(valid),
        routing,
        in_mesh: &in_mesh,
    });
    let views: Vec<_> = views.collect();
    for view in &views {
        found.extend(reach::tracks(view));
        for table in &routing.tables {
            let ways = ways::of(view, table);
            found.extend(reach::check(view, table, &ways));
            found.extend(lead::check(view, table, &ways));
            found.extend(callers::check(view, table, &ways));
            found.extend(beside::check(view, table, &ways));
            found.extend(outside::check(view, table, &ways));
        }
    }
    found.extend(reach::unknown(&views, routing));
    // A route is in as many tables as it has hosts, and in the eyes of each configuration.
    let mut seen = HashSet::new();
    found.retain(|one| {
        let place = (std::ptr::from_ref(one.file), one.span.start);
        let place = (one.code != lead::NO_RULE).then_some(place);
        seen.insert((one.code, place, one.message.clone()))
    });
    found
}

/// Something about a route.
fn warning<'a>(
    route: &Route<'a>,
    code: &'static str,
    span: &Span,
    message: String,
    hint: impl Into<String>,
) -> Diagnostic<'a> {
    Diagnostic {
        is_error: false,
        code,
        file: route.object.file,
        span: span.clone(),
        path: route.object.to_string(),
        value: None,
        message,
        hint: Some(hint.into()),
    }
}

/// Where a route stands, as seen from a table: its line, and its object where that is another.
fn place(table: &Table<'_>, route: &Route<'_>) -> String {
    let line = route.object.file.position(route.node.span.start).0;
    match std::ptr::eq(route.object.node, table.object.node) {
        true => format!("line {line}"),
        false => format!("line {line} of {} ({})", route.object.file.name, route.object),
    }
}
