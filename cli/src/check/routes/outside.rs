//! Does a track leave the mesh? The filter sees only where the route led before it stamped.

use super::{View, warning, ways};
use crate::report::Diagnostic;
use crate::routing::{Destination, Table};

pub(super) fn check<'a>(view: &View<'_, 'a>, table: &Table<'a>) -> Option<Diagnostic<'a>> {
    if !view.valid.config.egress.strip {
        return None;
    }
    let header = view.header();
    let ways = ways::of(view, table);
    let followed = ways.iter().filter(|way| way.asks && way.followers.tracks().next().is_some());
    let routes = followed.filter_map(|way| table.routes.get(way.route));
    let mut routes = routes.filter(|route| {
        !route.edits.iter().any(|edit| edit.header == header && edit.value.is_none())
    });
    let (route, to) = routes.find_map(|route| {
        Some((route, route.destinations().iter().find(|one| leaves(view, one))?))
    })?;
    Some(warning(
        route,
        "track-leaves-mesh",
        &to.host_span,
        format!(
            "a track's route leads to {}, outside of the mesh, and the header may go along",
            to.written
        ),
        format!(
            "keep tracks inside the mesh, or remove {header} and baggage on this route \
             (headers.request.remove)"
        ),
    ))
}

/// Whether a destination is outside of the mesh, as far as the given files tell.
fn leaves(view: &View<'_, '_>, to: &Destination<'_>) -> bool {
    let entries = &view.routing.entries;
    let entry = entries.iter().find(|(entry, _)| entry.covers(to.written, to.host));
    match (entry, &view.valid.config.egress.mesh_domains) {
        (Some((_, is_outside)), _) => *is_outside,
        // Istio completes a name without a dot by the namespace and the mesh's domain.
        (None, _) if !to.written.contains('.') => false,
        (None, Some(domains)) => domains.exclude(format!("outbound|||{}", to.written).as_bytes()),
        (None, None) => !to.written.split('.').any(|label| label == "svc"),
    }
}
