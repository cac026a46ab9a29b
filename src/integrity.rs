//! Whether a request that arrives at a pod belongs there.

use crate::host::Host;
use crate::instance::Instance;
use crate::metrics::Outcome;
use crate::request::Request;
use crate::step::Step;
use crate::track::Carried;

/// What the arrival means; `None` for ordinary baseline traffic.
fn outcome(instance: &Instance, follows: Carried) -> Option<Outcome> {
    let node = &instance.node;
    match follows {
        Carried::Track(track) if node.tracks.contains(&track) => Some(Outcome::Match),
        Carried::Track(track) if !node.tracks.is_empty() || node.listed.contains(&track) => {
            Some(Outcome::Crossed)
        }
        Carried::Other if !node.tracks.is_empty() => Some(Outcome::Crossed),
        Carried::Track(_) | Carried::Other => Some(Outcome::Baseline),
        Carried::Baseline => (!node.tracks.is_empty()).then_some(Outcome::Stray),
    }
}

/// Counts an arrival. Mirrored requests are nobody's: they are not counted.
pub(crate) fn check(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    follows: Carried,
) -> Option<Outcome> {
    let outcome = outcome(instance, follows).filter(|_| !is_mirrored(request))?;
    host.explain(Step::Arrived { track: instance.label(follows), outcome: outcome.label() });
    instance.metrics.arrived(host, follows, outcome);
    Some(outcome)
}

/// Envoy appends `-shadow` to the host of a mirrored request, before its port
/// (`Router::Filter::maybeDoShadowing`).
fn is_mirrored(request: &Request<'_>) -> bool {
    request.headers.lines(b":authority").any(|authority| {
        let host = match authority.iter().rposition(|b| *b == b':') {
            Some(at) => authority.get(..at).unwrap_or_default(),
            None => authority,
        };
        host.ends_with(b"-shadow") || authority.ends_with(b"-shadow")
    })
}

/// What a client is told whose request met the wrong version.
pub(crate) fn refusal(instance: &Instance, follows: Carried) -> String {
    let pod = &instance.node.pod;
    format!(
        "release-track: misdirected request: track {} met {} version {}\n",
        instance.label(follows),
        pod.app,
        pod.version
    )
}
