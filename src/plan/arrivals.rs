//! Whether a request that arrives at a pod belongs there.

use crate::carrier::view::View;
use crate::istio::node::{App, Pod, Workload};
use crate::track::{Carried, TrackId};
use crate::vocabulary::Outcome;

/// The pod at which requests arrive.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) pod: Pod,
    /// The tracks that the pod belongs to: their `workloads` list it.
    pub(crate) tracks: Vec<TrackId>,
    /// The tracks whose `workloads` list the pod's app, in whatever version.
    pub(crate) listed: Vec<TrackId>,
    /// The tracks whose `fallback` lists the pod's app.
    pub(crate) stands_in_for: Vec<TrackId>,
}

/// All pods at which requests may arrive, by track.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    pub(crate) workloads: Vec<Vec<Workload>>,
    pub(crate) fallbacks: Vec<Vec<App>>,
}

impl Endpoints {
    /// Each, with its track.
    pub(crate) fn pods(&self) -> Vec<(Workload, TrackId)> {
        let tracks = self.workloads.iter().zip((0..).map(TrackId));
        tracks
            .flat_map(|(list, track)| list.iter().map(move |workload| (workload.clone(), track)))
            .collect()
    }

    /// One of them.
    pub(crate) fn arrivals(&self, pod: Pod) -> Arrivals {
        fn of<T>(lists: &[Vec<T>], is: impl Fn(&T) -> bool) -> Vec<TrackId> {
            let tracks = lists.iter().zip((0..).map(TrackId));
            tracks.filter(|(list, _)| list.iter().any(&is)).map(|(_, track)| track).collect()
        }
        let of_pod = |w: &Workload| pod.is_of(&w.app) && *w.version == *pod.version;
        Arrivals {
            tracks: of(&self.workloads, of_pod),
            listed: of(&self.workloads, |w| pod.is_of(&w.app)),
            stands_in_for: of(&self.fallbacks, |app| pod.is_of(app)),
            pod,
        }
    }
}

impl Arrivals {
    /// What the arrival means; `None` for ordinary baseline traffic, and for mirrored requests that
    /// did not cross. Any client may say that its request is mirrored.
    pub(crate) fn outcome(&self, view: &View<'_>, follows: Carried) -> Option<Outcome> {
        let outcome = self.meets(follows)?;
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

    /// The same of a request that is not mirrored.
    pub(crate) fn meets(&self, follows: Carried) -> Option<Outcome> {
        Some(match follows {
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
        })
    }

    /// What a client is told whose request met the wrong version.
    pub(crate) fn refusal(&self, track: &str) -> String {
        let Pod { app, version, .. } = &self.pod;
        format!("release-track: misdirected request: track {track} met {app} version {version}\n")
    }
}

/// Envoy appends `-shadow` to the host of a mirrored request, before its port
/// (`Router::Filter::maybeDoShadowing`).
pub(super) fn is_mirrored(view: &View<'_>) -> bool {
    view.headers.lines(b":authority").any(|authority| {
        let host = match authority.iter().rposition(|b| *b == b':') {
            Some(at) => authority.get(..at).unwrap_or_default(),
            None => authority,
        };
        host.ends_with(b"-shadow") || authority.ends_with(b"-shadow")
    })
}
