//! A request arrives at a pod. Where the sidecar decides, too, it does so for requests that come
//! without a track.

use crate::carrier::propagator::{Propagator, Treatment};
use crate::carrier::view::View;
use crate::decide::{Decided, Decider};
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::cluster::Egress;
use crate::plan::{Effects, Plan, Source};
use crate::track::Carried;
use crate::vocabulary::Role;

/// The sidecar carries on what was decided.
pub(crate) fn carry(facts: &mut impl Facts, view: &View<'_>, propagator: &Propagator) -> Plan {
    facts.explain(Step::Role(Role::Inbound));
    let extracted = propagator.extract(facts, view);
    let follows = extracted.map_or(Carried::Baseline, |extracted| extracted.says);
    Plan::new(follows, Source::Unsaid, Treatment::HandOver, Effects::default()).arriving()
}

/// The sidecar decides. What another workload of the mesh says is believed: its certificate proves
/// that it went through a proxy of the mesh.
pub(crate) fn decide(
    facts: &mut impl Facts,
    view: &View<'_>,
    decider: &Decider,
    propagator: &Propagator,
    egress: &Egress,
) -> Plan {
    facts.explain(Step::Role(Role::InboundEdge));
    let is_believed = decider.trusts
        || matches!(facts.property(b"connection\0mtls"), Ok(Some(value)) if *value == [1]);
    let carried = if is_believed { propagator.extract(facts, view) } else { None };
    let Decided { follows, reason, effects } = decider.decide(facts, view, carried, egress);
    let treatment = if is_believed { Treatment::HandOver } else { Treatment::Guard };
    Plan::new(follows, Source::Decided(reason), treatment, effects).arriving()
}
