//! The calling pod's own track: of the pod that a sidecar serves, or of a waypoint's caller.

use crate::host::Facts;
use crate::istio::node::Workload;
use crate::istio::peer::CallerField;
use crate::track::TrackId;

/// Who lends a track to calls that say nothing.
#[derive(Debug)]
pub enum Lender {
    Nobody,
    /// This proxy's own pod.
    Pod(TrackId),
    /// Whoever calls, if it is one of these.
    Caller(Vec<(Workload, TrackId)>),
}

impl Lender {
    /// A caller of two tracks lends none. Most callers belong to none, so its app is asked first,
    /// and of most nothing else.
    pub(super) fn lends(&self, facts: &mut impl Facts) -> Option<TrackId> {
        let callers = match self {
            Self::Nobody => return None,
            Self::Pod(track) => return Some(*track),
            Self::Caller(callers) => callers,
        };
        let app = CallerField::App.read(facts)?;
        let is_app = |w: &Workload| w.app.app.as_bytes() == app;
        if !callers.iter().any(|(workload, _)| is_app(workload)) {
            return None;
        }
        let version = CallerField::Version.read(facts)?;
        let is_version = |w: &Workload| is_app(w) && w.version.as_bytes() == version;
        if !callers.iter().any(|(workload, _)| is_version(workload)) {
            return None;
        }
        let namespace = CallerField::Namespace.read(facts)?;
        let mut tracks = callers.iter().filter_map(|(workload, track)| {
            let own = workload.app.namespace.as_ref();
            let is_there = own.is_none_or(|own| own.as_bytes() == namespace);
            (is_there && is_version(workload)).then_some(*track)
        });
        let first = tracks.next()?;
        tracks.all(|other| other == first).then_some(first)
    }
}
