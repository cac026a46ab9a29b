//! The parts that a proxy plays for a request. Each reads a view of the request and facts of the
//! host, and returns what it decided; none knows of another.

pub(crate) mod gateway;
pub(crate) mod inbound;
pub(crate) mod neutral;
pub(crate) mod outbound;
pub(crate) mod waypoint;

use crate::carrier::propagator::Propagator;
use crate::carrier::view::View;
use crate::host::Facts;
use crate::istio::cluster::{Egress, Leads};
use crate::track::Carried;

#[cfg(test)]
mod tests;

/// Whether a request leaves the mesh: its track is then removed, and nothing stamped. The route's
/// cluster is read only if there is something to remove or to stamp.
#[inline(never)]
fn leaving(
    facts: &mut impl Facts,
    view: &View<'_>,
    propagator: &Propagator,
    egress: &Egress,
    follows: Carried,
) -> bool {
    let concerns = matches!(follows, Carried::Track(_)) || propagator.is_borne(view);
    concerns && egress.strip && egress.leads(facts) == Leads::Outside
}
