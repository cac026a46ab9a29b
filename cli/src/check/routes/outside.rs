//! Does a track leave the mesh? The filter judges by the route that a request has before it stamps,
//! and by the name of that route's host alone.

use super::ways::Way;
use super::{View, warning};
use crate::report::Diagnostic;
use crate::routing::{Destination, Route, Table};

pub(super) fn check<'a>(
    view: &View<'_, 'a>,
    table: &Table<'a>,
    ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    if !view.valid.config.egress.strip {
        return Vec::new();
    }
    let tracks = ways.iter().filter(|way| way.asks && way.followers.tracks().next().is_some());
    let found = tracks.flat_map(|way| {
        let route = |way: &Way<'_, '_>| table.routes.get(way.route);
        let baseline = without_track(table, ways, way).and_then(route);
        let shut_out = baseline.and_then(|route| shut_out(view, route));
        let led_out = route(way).and_then(|route| led_out(view, route));
        // One host, and one thing to do about it.
        let is_told = |one: &Diagnostic<'_>| shut_out.as_ref().is_some_and(|o| o.hint == one.hint);
        let led_out = led_out.filter(|one| !is_told(one));
        shut_out.into_iter().chain(led_out)
    });
    found.collect()
}

/// The way that requests of a track's way have without our header.
fn without_track<'w, 't, 'a>(
    table: &Table<'a>,
    ways: &'w [Way<'t, 'a>],
    track: &Way<'t, 'a>,
) -> Option<&'w Way<'t, 'a>> {
    let mut same = ways.iter().filter(|way| {
        let holds = way.rest.iter().all(|condition| track.rest.contains(condition));
        !way.asks && way.followers.baseline && holds
    });
    if table.ordered { same.next() } else { same.max_by_key(|way| way.rest.len()) }
}

/// Baseline's route, which the filter takes for the way out: nothing is stamped.
fn shut_out<'a>(view: &View<'_, 'a>, route: &Route<'a>) -> Option<Diagnostic<'a>> {
    let to = route.used().find(|to| is_judged_outside(view, to))?;
    let host = to.written;
    Some(warning(
        route,
        "judged-outside",
        &to.host_span,
        format!(
            "requests are judged by this route before they are stamped, and {host} is outside of \
             the mesh by its name: no track is followed here"
        ),
        match is_outside(view, to) {
            true => format!("{}, and {} wherever a route leads there", listed(to), removed(view)),
            false => listed(to),
        },
    ))
}

/// A track's own route that leads outside, or that the filter takes for one that does.
fn led_out<'a>(view: &View<'_, 'a>, route: &Route<'a>) -> Option<Diagnostic<'a>> {
    let leaks = |to: &&Destination<'a>| {
        let mut edits = route.edits.iter().chain(&to.edits);
        let is_removed = edits.any(|edit| edit.header == view.header() && edit.value.is_none());
        is_outside(view, to) && !is_removed
    };
    if let Some(to) = route.destinations().iter().find(leaks) {
        let host = to.written;
        return Some(warning(
            route,
            "track-leaves-mesh",
            &to.host_span,
            format!(
                "a track's route leads to {host}, outside of the mesh, and the header may go along"
            ),
            match is_judged_outside(view, to) {
                true => format!(
                    "keep tracks inside, or {} on this route and {}",
                    removed(view),
                    listed(to)
                ),
                false => format!("keep tracks inside, or {} on this route", removed(view)),
            },
        ));
    }
    let to = route.destinations().iter().find(|to| is_judged_outside(view, to))?;
    let host = to.written;
    Some(warning(
        route,
        "judged-outside",
        &to.host_span,
        format!(
            "a request that brings the header is judged by this route, and {host} is outside of \
             the mesh by its name: the header is removed, and baseline's route has the request"
        ),
        listed(to),
    ))
}

fn listed(to: &Destination<'_>) -> String {
    format!("list {} in egress.meshDomains", to.written.trim_start_matches("*."))
}

fn removed(view: &View<'_, '_>) -> String {
    format!("remove {} and baggage (headers.request.remove)", view.header())
}

/// Whether a destination is outside of the mesh, as far as the given files tell.
pub(super) fn is_outside(view: &View<'_, '_>, to: &Destination<'_>) -> bool {
    let mut entries = view.routing.entries.iter();
    match entries.find(|(entry, _)| entry.covers(to.written, to.host)) {
        Some((_, is_outside)) => *is_outside,
        None => is_judged_outside(view, to),
    }
}

/// Whether the filter takes a destination for outside, which sees its name and nothing else.
fn is_judged_outside(view: &View<'_, '_>, to: &Destination<'_>) -> bool {
    // Istio completes a name without a dot by the namespace and the mesh's domain.
    to.written.contains('.')
        && !to.written.split('.').any(|label| label == "svc")
        && !view.valid.config.egress.mesh_domains.contain(to.written.as_bytes())
}
