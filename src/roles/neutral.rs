//! No good configuration has come yet. Nothing is decided, stamped or refused, and a gateway still
//! removes what a client sent to choose a track: by the names that carriers have by default.

use crate::carrier::propagator::Treatment;
use crate::host::Facts;
use crate::host::explain::Step;
use crate::istio::node::Kind;
use crate::plan::{Effects, Plan, Source};
use crate::track::Carried;

pub(crate) fn plan(facts: &mut impl Facts, kind: Kind) -> Plan {
    facts.explain(Step::Nothing("no good configuration has come yet"));
    let treatment = match kind {
        Kind::Gateway => Treatment::Clear,
        Kind::Sidecar | Kind::Waypoint | Kind::Unknown => Treatment::Leave,
    };
    Plan::new(Carried::Baseline, Source::Neutral, treatment, Effects::default())
}
