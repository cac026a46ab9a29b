//! A request passes a waypoint, or a gateway that does not decide: its route is chosen there. A
//! waypoint also stands for what is missing at both ends: it follows its caller where no carrier
//! says anything, and tells by the response which pod it met.

use super::leaving;
use crate::carrier::propagator::{Propagator, Treatment};
use crate::carrier::view::View;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::Egress;
use crate::plan::{Effects, Plan, Source};
use crate::track::Carried;
use crate::vocabulary::Role;

#[inline(never)]
pub(crate) fn decide(
    facts: &mut impl Facts,
    view: &View<'_>,
    propagator: &Propagator,
    egress: &Egress,
) -> Plan {
    facts.explain(Step::Role(Role::Waypoint));
    let extracted = propagator.extract_from_call(facts, view, &mut None);
    let follows = extracted.map_or(Carried::Baseline, |extracted| extracted.says);
    let effects = Effects::default();
    if leaving(facts, view, propagator, egress, follows) {
        return Plan::leaving(None, Treatment::Strip, effects);
    }
    let carrier = extracted.map(|extracted| extracted.carrier);
    let counts = follows != Carried::Baseline;
    let source = if counts { Source::Carried(carrier) } else { Source::Unsaid };
    Plan::new(follows, source, Treatment::Pass, effects).passing()
}
