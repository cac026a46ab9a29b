//! The one place that writes: a plan, once; and what a response gets.

use super::arrivals::{Arrivals, Endpoints, is_mirrored};
use super::intent::{Arrival, Plan, Rare, Source};
use super::metrics::Metrics;
use super::response::{self, Response};
use crate::carrier::Edit;
use crate::carrier::propagator::{Change, Propagator};
use crate::carrier::view::View;
use crate::host::explain::Step;
use crate::host::{Host, Incoming, Verdict};
use crate::istio::cluster::{Egress, Leads};
use crate::istio::peer;
use crate::track::Carried;
use crate::vocabulary::{Carrier, Event, Family};

/// Applies a plan. What its response gets is left in `response`.
///
/// Nothing is written that changes nothing: every write makes Envoy choose the route again. Where
/// the proxy refuses, the request goes on as it is.
#[inline(never)]
pub(crate) fn apply(
    host: &mut impl Host,
    view: &View<'_>,
    plan: Plan,
    arrivals: &Arrivals,
    propagator: &Propagator,
    metrics: &Metrics,
    response: &mut Response,
) -> Verdict {
    let Plan { treatment, stamps, .. } = plan;
    let decisions = if plan.is_dry { Family::DryDecisions } else { Family::Decisions };
    match plan.source {
        Source::Decided(reason) => {
            metrics.decided(host, decisions, plan.follows, reason);
            response.decided = Some(plan.follows);
        }
        Source::Carried(carrier) => metrics.propagated(host, plan.follows, carrier),
        Source::Neutral => metrics.happened(host, Event::Neutral),
        Source::Left(decided) => {
            if let Some((follows, reason)) = decided {
                metrics.decided(host, decisions, follows, reason);
            }
            if propagator.is_borne(view) {
                metrics.happened(host, Event::Stripped);
            }
        }
        Source::Unsaid => {}
    }
    if let Some(rare) = plan.effects.0 {
        apply_rare(host, *rare, propagator, metrics, response);
    }
    match plan.arrival {
        Arrival::None | Arrival::Open => {}
        Arrival::Later => {
            let is_tracked = stamps != Carried::Baseline;
            response.passes = (is_tracked && !is_mirrored(view)).then_some(stamps);
        }
        Arrival::Counted(outcome) => metrics.arrived(host, stamps, outcome),
        Arrival::Refused(outcome) => {
            metrics.arrived(host, stamps, outcome);
            let refusal = arrivals.refusal(propagator.names().label(stamps));
            if host.reply(421, &refusal).is_ok() {
                return Verdict::Replied;
            }
        }
    }
    let mut change = |carrier| match propagator.change(host, view, carrier, treatment, stamps) {
        Change::None => {}
        Change::Header(name, value) => {
            response.is_stamped |= carrier == Carrier::Header && matches!(value, Edit::Set(_));
            edit(host, name.as_bytes(), value);
        }
        Change::NoRoom(name, value) => {
            edit(host, name.as_bytes(), value);
            metrics.happened(host, Event::BaggageFull);
        }
        Change::Headers(edits) => {
            edits.into_iter().for_each(|(name, value)| edit(host, name.as_bytes(), value));
        }
        Change::Remember(name) => {
            let conflicts = propagator.remember(host, view, name);
            (0..conflicts).for_each(|_| metrics.happened(host, Event::Conflict));
        }
        Change::Contradict => {
            let conflicts = propagator.contradict(host, view);
            (0..conflicts).for_each(|_| metrics.happened(host, Event::Conflict));
        }
    };
    if propagator.is_plain(view, stamps) {
        change(Carrier::RequestId);
    } else {
        Carrier::each(change);
    }
    for (header, value) in propagator.aliases(view, treatment) {
        host.explain(Step::Distrusted { header });
        edit(host, header, value);
    }
    Verdict::Continue
}

#[cold]
fn apply_rare(
    host: &mut impl Host,
    rare: Rare,
    propagator: &Propagator,
    metrics: &Metrics,
    response: &mut Response,
) {
    for (follows, reason) in rare.passed_over {
        metrics.decided(host, Family::DryDecisions, follows, reason);
    }
    for event in rare.events {
        metrics.happened(host, event);
    }
    if let Some(path) = rare.path {
        edit(host, b":path", Edit::Set(path));
    }
    if let Some(cookie) = rare.cookie {
        edit(host, b"cookie", Edit::Set(cookie));
    }
    if let Some(renewal) = &rare.renewal {
        propagator.renew(host, renewal);
    }
    response.additions = rare.response;
}

fn edit(host: &mut impl Host, name: &[u8], edit: Edit) {
    let _ = match edit {
        Edit::Keep => Ok(()),
        Edit::Set(value) => host.set_request_header(name, &value),
        Edit::Remove => host.remove_request_header(name),
    };
}

/// Counts what a request of a track met behind a waypoint. A response of the proxy's own is no
/// pod's.
pub(crate) fn count_arrival(
    host: &mut impl Host,
    response: &Response,
    endpoints: &Endpoints,
    metrics: &Metrics,
) {
    if let Some(follows) = response.passes
        && let Some(pod) = peer::endpoint(host)
        && let Some(outcome) = endpoints.arrivals(pod).meets(follows)
    {
        metrics.arrived(host, follows, outcome);
    }
}

/// Counts a request that took its track out of the mesh. Once the header is written Envoy chooses
/// the route again, and where that leads is known when the response comes.
pub(crate) fn count_leak(
    host: &mut impl Host,
    response: &Response,
    egress: &Egress,
    metrics: &Metrics,
) {
    if response.is_stamped && egress.strip && egress.leads(host) == Leads::Outside {
        metrics.happened(host, Event::Leaked);
    }
}

/// Adds to a response what its request left for it. `header` is the configured one; `vary` are
/// the request headers that every response at an edge depends on.
pub(crate) fn respond<'h>(
    host: &mut (impl Host + Incoming<'h>),
    response: &Response,
    header: &str,
    vary: &[Box<str>],
) {
    if response.decided.is_none() {
        return;
    }
    let additions = &response.additions;
    for cookie in &additions.cookies {
        let _ = host.add_response_header(b"set-cookie", cookie.as_bytes());
    }
    if let Some(exposed) = &additions.exposed {
        let _ = host.set_response_header(header.as_bytes(), exposed.as_bytes());
    }
    if vary.is_empty() && !additions.are_private() {
        return;
    }
    let Ok(headers) = host.response_headers() else { return };
    for (name, value) in response::merged(&headers, additions, vary) {
        let _ = host.set_response_header(name, &value);
    }
}
