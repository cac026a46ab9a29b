//! The one place that writes: a plan, once; and what a response gets.

use super::response::{self, Response};
use super::{Metrics, Plan};
use crate::carrier::Edit;
use crate::carrier::propagator::{Change, Propagator};
use crate::carrier::view::View;
use crate::host::{Host, Verdict};
use crate::vocabulary::{Event, Family};

/// Applies a plan. What its response gets is left in `response`.
///
/// Nothing is written that changes nothing: every write makes Envoy choose the route again. Where
/// the proxy refuses, the request goes on as it is.
pub(crate) fn apply(
    host: &mut impl Host,
    view: &View<'_>,
    plan: Plan<'_>,
    propagator: &Propagator,
    metrics: &Metrics,
    response: &mut Response,
) -> Verdict {
    let family = if plan.is_dry { Family::DryDecisions } else { Family::Decisions };
    if let Some((follows, reason)) = plan.decided {
        metrics.decided(host, family, follows, reason);
    }
    for (follows, reason) in &plan.effects.passed_over {
        metrics.decided(host, Family::DryDecisions, *follows, *reason);
    }
    if let Some((follows, carrier)) = plan.carried {
        metrics.propagated(host, follows, carrier);
    }
    if let Some((follows, outcome)) = plan.arrived {
        metrics.arrived(host, follows, outcome);
    }
    if plan.is_stripped {
        metrics.happened(host, Event::Stripped);
    }
    for _ in 0..plan.effects.invalid_tokens {
        metrics.happened(host, Event::TokenInvalid);
    }
    if let Some(refusal) = &plan.refusal
        && host.reply(421, refusal).is_ok()
    {
        return Verdict::Replied;
    }

    if let Some(path) = plan.effects.path {
        edit(host, b":path", Edit::Set(path));
    }
    if let Some(cookie) = plan.effects.cookie {
        edit(host, b"cookie", Edit::Set(cookie));
    }
    for change in plan.changes {
        match change {
            Change::None => {}
            Change::Header(name, value) => edit(host, name.as_bytes(), value),
            Change::NoRoom(name, value) => {
                edit(host, name.as_bytes(), value);
                metrics.happened(host, Event::BaggageFull);
            }
            Change::Remember(name) => {
                for _ in 0..propagator.remember(host, view, name) {
                    metrics.happened(host, Event::Conflict);
                }
            }
            Change::Contradict => {
                for _ in 0..propagator.contradict(host, view) {
                    metrics.happened(host, Event::Conflict);
                }
            }
        }
    }
    for name in plan.aliases {
        edit(host, name, Edit::Remove);
    }
    if let Some(renewal) = &plan.effects.renewal {
        propagator.renew(host, renewal);
    }
    *response = plan.effects.response;
    Verdict::Continue
}

fn edit(host: &mut impl Host, name: &[u8], edit: Edit) {
    let _ = match edit {
        Edit::Keep => Ok(()),
        Edit::Set(value) => host.set_request_header(name, &value),
        Edit::Remove => host.remove_request_header(name),
    };
}

/// Adds to a response what its request left for it. `header` is the configured one; `vary` are
/// the request headers that every response at an edge depends on.
pub(crate) fn respond(host: &mut impl Host, response: &Response, header: &str, vary: &[Box<str>]) {
    if !response.at_edge {
        return;
    }
    for cookie in &response.cookies {
        let _ = host.add_response_header(b"set-cookie", cookie.as_bytes());
    }
    if let Some(exposed) = &response.exposed {
        let _ = host.set_response_header(header.as_bytes(), exposed.as_bytes());
    }
    if vary.is_empty() && !response.is_private() {
        return;
    }
    let Ok(headers) = host.response_headers() else { return };
    for (name, value) in response::merged(&headers, response, vary) {
        let _ = host.set_response_header(name, &value);
    }
}
