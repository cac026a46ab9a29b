//! Whose pods a destination has.

use super::View;
use crate::check::tracks::Track;
use crate::routing::{Destination, Host, Labels, Versions};

/// Whose pods a destination's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pods<'a> {
    /// All of them belong to the track at this place of the list.
    Track(usize),
    /// An app of some track, and a version that is no track's.
    Baseline { app: &'a str, version: &'a str },
    /// Versions of an app of some track, which its labels do not tell apart.
    Mixed { app: &'a str },
    /// No app of any track, or nothing is known.
    Unknown,
}

/// Reads destinations by the labels that a configuration goes by.
pub(super) struct Reader<'v, 'a> {
    pub(super) tracks: &'v [Track<'a>],
    versions: &'v Versions<'a>,
    app: &'v str,
    version: &'v str,
}

impl<'v, 'a> Reader<'v, 'a> {
    pub(super) fn of(view: &'v View<'_, 'a>) -> Self {
        let labels = &view.valid.config.labels;
        let versions = &view.routing.versions;
        Self { tracks: &view.tracks, versions, app: &labels.app, version: &labels.version }
    }

    /// Whose pods a destination has; several answers where an object lies there in several forms.
    pub(super) fn pods(&self, destination: &Destination<'a>) -> Vec<Pods<'a>> {
        let Host::Service { name, namespace } = destination.host else { return Vec::new() };
        let labels = self.versions.labels(destination);
        if labels.is_empty() {
            return vec![self.guess(name, namespace, destination)];
        }
        labels.iter().map(|labels| self.read(name, namespace, destination, labels)).collect()
    }

    fn read(
        &self,
        service: &'a str,
        namespace: Option<&str>,
        destination: &Destination<'a>,
        labels: &Labels<'a>,
    ) -> Pods<'a> {
        let app = labels.get(self.app).copied().unwrap_or(service);
        if !self.is_known(app, namespace) {
            return Pods::Unknown;
        }
        match (labels.get(self.version), &destination.subset) {
            (Some(version), _) => self.of_version(app, namespace, version),
            // The rest of its labels may say it, in words of their own.
            (None, Some(_)) if labels.keys().any(|name| *name != self.app) => Pods::Unknown,
            (None, _) => Pods::Mixed { app },
        }
    }

    /// Without labels, names are usually those of versions: the subset v2, the service forecast-v2.
    fn guess(
        &self,
        service: &'a str,
        namespace: Option<&str>,
        destination: &Destination<'a>,
    ) -> Pods<'a> {
        let (app, version) = match &destination.subset {
            Some((subset, _)) => (service, Some(*subset)),
            None => match service.rsplit_once('-') {
                Some((app, version)) if self.is_known(app, namespace) => (app, Some(version)),
                _ => (service, None),
            },
        };
        match version.map(|version| self.of_version(app, namespace, version)) {
            Some(found @ Pods::Track(_)) => found,
            _ => Pods::Unknown,
        }
    }

    /// Whether a track's requests do not belong at these pods.
    pub(super) fn is_foreign(
        &self,
        pods: Pods<'_>,
        track: &Track<'_>,
        to: &Destination<'_>,
    ) -> bool {
        let namespace = match to.host {
            Host::Service { namespace, .. } => namespace,
            Host::Other(_) => None,
        };
        match pods {
            Pods::Track(other) => other != track.place,
            // What has no version of the track's serves it from baseline.
            Pods::Baseline { app, .. } => track.has(app, namespace),
            Pods::Mixed { app } => {
                track.has(app, namespace)
                    && !(track.falls_back(app, namespace) && self.prefers(to, track, app))
            }
            Pods::Unknown => false,
        }
    }

    /// Whether a destination has other versions of an app than the track's only for when none of
    /// the track's pods is healthy.
    pub(super) fn prefers(&self, to: &Destination<'_>, track: &Track<'_>, app: &str) -> bool {
        let mut versions = track.of(app, None).flat_map(|member| &member.versions);
        versions.any(|version| self.versions.prefers(to, &format!("{}={version}", self.version)))
    }

    /// Of which app a destination's pods are, if the files have their labels.
    pub(super) fn app(&self, to: &Destination<'a>) -> Option<&'a str> {
        let labels = self.versions.labels(to);
        Some(labels.first()?.get(self.app).copied().unwrap_or_else(|| to.host.name()))
    }

    fn of_version(&self, app: &'a str, namespace: Option<&str>, version: &'a str) -> Pods<'a> {
        let is_its = |track: &Track<'_>| match track.members.is_empty() {
            true => track.name == version,
            false => track.of(app, namespace).any(|member| member.versions.contains(&version)),
        };
        match self.tracks.iter().position(is_its) {
            Some(track) => Pods::Track(track),
            None => Pods::Baseline { app, version },
        }
    }

    /// Whether the tracks have anything to say of an app. One without workloads may have any.
    fn is_known(&self, app: &str, namespace: Option<&str>) -> bool {
        let may_have = |track: &Track<'_>| track.members.is_empty() || track.has(app, namespace);
        self.tracks.iter().any(may_have)
    }
}
