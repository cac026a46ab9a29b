//! A pod makes a call: it follows what its carriers say, else what is remembered of it, else the
//! pod itself.

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
    facts.explain(Step::Role(Role::Outbound));
    let mut renewal = None;
    let extracted = propagator.extract_from_call(facts, view, &mut renewal);
    let follows = extracted.map_or(Carried::Baseline, |extracted| extracted.says);
    let mut effects = Effects::default();
    if let Some(renewal) = renewal {
        effects.renew(renewal);
    }
    if leaving(facts, view, propagator, egress, follows) {
        return Plan::leaving(None, Treatment::Strip, effects);
    }
    let counts = follows != Carried::Baseline || propagator.says_baseline();
    let carrier = extracted.map(|extracted| extracted.carrier);
    let source = if counts { Source::Carried(carrier) } else { Source::Unsaid };
    Plan::new(follows, source, Treatment::Call, effects)
}
