//! A request enters at a gateway, which decides what it follows.
//!
//! Nothing that a client sends may choose a track but by the rules: the carriers it brings are
//! removed, or replaced by what was decided.

use super::leaving;
use crate::carrier::propagator::{Propagator, Treatment};
use crate::carrier::view::View;
use crate::decide::{Decided, Decider};
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::Egress;
use crate::plan::{Plan, Source};
use crate::vocabulary::Role;

#[inline(never)]
pub(crate) fn decide(
    facts: &mut impl Facts,
    view: &View<'_>,
    decider: &Decider,
    propagator: &Propagator,
    egress: &Egress,
) -> Plan {
    facts.explain(Step::Role(Role::Gateway));
    let carried = if decider.trusts { propagator.extract(facts, view) } else { None };
    let Decided { follows, reason, effects } = decider.decide(facts, view, carried, egress);
    // An egress gateway is a gateway too. What a client sent is guarded against all the same: an
    // application outside may send it back.
    if leaving(facts, view, propagator, egress, follows) {
        let treatment = if decider.trusts { Treatment::Strip } else { Treatment::Clear };
        return Plan::leaving(Some((follows, reason)), treatment, effects);
    }
    let treatment = if decider.trusts { Treatment::HandOver } else { Treatment::Guard };
    Plan::new(follows, Source::Decided(reason), treatment, effects)
}
