//! Whether a request that arrives at a pod belongs there.

use crate::carrier::view::View;
use crate::istio::node::Pod;
use crate::track::{Carried, TrackId};
use crate::vocabulary::Outcome;

/// The pod at which requests arrive.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) pod: Pod,
    /// The tracks that the pod belongs to: their `workloads` list it.
    pub(crate) tracks: Vec<TrackId>,
    /// The tracks whose `workloads` list the pod's app, in whatever version.
    pub(crate) listed: Vec<TrackId>,
    /// The tracks whose `fallback` lists the pod's app.
    pub(crate) stands_in_for: Vec<TrackId>,
}

impl Arrivals {
    /// What the arrival means; `None` for ordinary baseline traffic, and for mirrored requests that
    /// did not cross. Any client may say that its request is mirrored.
    pub(crate) fn outcome(&self, view: &View<'_>, follows: Carried) -> Option<Outcome> {
        let outcome = match follows {
            Carried::Track(track) if self.tracks.contains(&track) => Outcome::Match,
            Carried::Track(track)
                if self.tracks.is_empty() && self.stands_in_for.contains(&track) =>
            {
                Outcome::Fallback
            }
            Carried::Track(track) if !self.tracks.is_empty() || self.listed.contains(&track) => {
                Outcome::Crossed
            }
            Carried::Other if !self.tracks.is_empty() => Outcome::Crossed,
            Carried::Track(_) | Carried::Other => Outcome::Baseline,
            Carried::Baseline if self.tracks.is_empty() => return None,
            Carried::Baseline => Outcome::Stray,
        };
        match outcome {
            _ if !is_mirrored(view) => Some(outcome),
            Outcome::Crossed => Some(Outcome::Mirrored),
            Outcome::Match
            | Outcome::Baseline
            | Outcome::Stray
            | Outcome::Fallback
            | Outcome::Mirrored => None,
        }
    }

    /// What a client is told whose request met the wrong version.
    pub(crate) fn refusal(&self, track: &str) -> String {
        let Pod { app, version, .. } = &self.pod;
        format!("release-track: misdirected request: track {track} met {app} version {version}\n")
    }
}

/// Envoy appends `-shadow` to the host of a mirrored request, before its port
/// (`Router::Filter::maybeDoShadowing`).
fn is_mirrored(view: &View<'_>) -> bool {
    view.headers.lines(b":authority").any(|authority| {
        let host = match authority.iter().rposition(|b| *b == b':') {
            Some(at) => authority.get(..at).unwrap_or_default(),
            None => authority,
        };
        host.ends_with(b"-shadow") || authority.ends_with(b"-shadow")
    })
}
