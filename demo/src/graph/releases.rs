//! Which workloads make up a release, and so when a call has crossed.

use crate::call::{Call, Served};
use release_track::config::Config;
use std::collections::BTreeMap;
use std::fmt;

/// A service in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    pub service: String,
    pub version: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{} {}", self.service, self.version)
    }
}

impl From<&Served> for Workload {
    fn from(served: &Served) -> Self {
        Workload { service: served.service.clone(), version: served.version.clone() }
    }
}

/// The tracks of the filter's configuration, each with its `workloads`. What no track lists is
/// baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Releases {
    tracks: Vec<Track>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Track {
    name: String,
    /// Service to version.
    workloads: BTreeMap<String, String>,
}

/// A request's way through the applications.
#[derive(Debug, PartialEq, Eq)]
pub struct Journey {
    /// The track that all its workloads belong to, the one that was due if that may be it; `None` is
    /// baseline. With a crossed call: the track of those before it.
    pub track: Option<String>,
    /// Every call, the caller before what it called for it. The first one comes from the gateway.
    pub hops: Vec<Hop>,
    /// Calls that were not answered.
    pub failed: u64,
    /// The way in words, as far as it leads through services that have a track.
    pub words: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Hop {
    /// `None` is the gateway.
    pub from: Option<Workload>,
    pub to: Workload,
    pub crossed: bool,
}

impl Releases {
    /// What the filter is told: a WasmPlugin's `pluginConfig`.
    pub fn new(config: &Config) -> Self {
        let tracks = config.names.iter().zip(&config.workloads);
        Releases {
            tracks: tracks
                .map(|((_, name), workloads)| Track {
                    name: name.to_string(),
                    // The demo has one namespace.
                    workloads: workloads
                        .iter()
                        .map(|workload| {
                            (workload.app.app.to_string(), workload.version.to_string())
                        })
                        .collect(),
                })
                .collect(),
        }
    }

    /// Names, in the order of the configuration.
    pub fn tracks(&self) -> impl Iterator<Item = &str> {
        self.tracks.iter().map(|track| track.name.as_str())
    }

    /// The track that lists this workload.
    pub fn track_of(&self, workload: &Workload) -> Option<&str> {
        let track = self.tracks.iter().find(|track| track.has(workload))?;
        Some(&track.name)
    }

    /// Follows a request. A call has crossed if no release, be it a track or baseline, has all the
    /// workloads that were met so far and the one that answered. `due` is the track that it should be
    /// on: not every way tells baseline from a track.
    pub fn follow(&self, root: &Served, due: Option<&str>) -> Journey {
        let everything = std::iter::once(None).chain(self.tracks.iter().map(Some));
        let mut walk = Walk {
            releases: self,
            possible: everything.collect(),
            hops: Vec::new(),
            failed: 0,
            ways: Vec::new(),
        };
        let root_words = Workload::from(root).to_string();
        walk.visit(None, root, root_words.clone(), false);
        let is_due = |track: &&Option<&Track>| track.map(|track| &*track.name) == due;
        let track = walk.possible.iter().find(is_due).or(walk.possible.first());
        let track = track.copied().flatten();
        Journey {
            track: track.map(|track| track.name.clone()),
            hops: walk.hops,
            failed: walk.failed,
            words: if walk.ways.is_empty() { root_words } else { walk.ways.join(", ") },
        }
    }

    /// Whether a request of this release (`None`: baseline) belongs on that workload.
    fn fits(&self, release: Option<&Track>, workload: &Workload) -> bool {
        match release.and_then(|track| track.workloads.get(&workload.service)) {
            Some(version) => *version == workload.version,
            None => self.track_of(workload).is_none(),
        }
    }

    /// Whether any track has a version of its own of this service.
    fn is_released(&self, service: &str) -> bool {
        self.tracks.iter().any(|track| track.workloads.contains_key(service))
    }
}

impl Track {
    fn has(&self, workload: &Workload) -> bool {
        self.workloads.get(&workload.service) == Some(&workload.version)
    }
}

/// Goes through a tree of calls, and strikes off the releases that do not fit.
struct Walk<'a> {
    releases: &'a Releases,
    /// Never empty; baseline first.
    possible: Vec<Option<&'a Track>>,
    hops: Vec<Hop>,
    failed: u64,
    ways: Vec<String>,
}

impl Walk<'_> {
    /// `words` tells the way here; `told` is whether it says anything about a release beyond the
    /// first hop.
    fn visit(&mut self, from: Option<Workload>, served: &Served, words: String, told: bool) {
        let here = Workload::from(served);
        let mut fitting = self.possible.clone();
        fitting.retain(|release| self.releases.fits(*release, &here));
        let crossed = fitting.is_empty();
        if !crossed {
            self.possible = fitting;
        }
        self.hops.push(Hop { from, to: here.clone(), crossed });
        if served.calls.is_empty() && told {
            self.ways.push(words);
            return;
        }
        for call in &served.calls {
            match call {
                Call::Served(next) => {
                    let words = format!("{words} -> {}", Workload::from(next));
                    let told = told || self.releases.is_released(&next.service);
                    self.visit(Some(here.clone()), next, words, told);
                }
                Call::Failed { service, .. } => {
                    self.failed += 1;
                    match call.failed_inside() {
                        Some(next) => {
                            let words = format!("{words} -> {} (failed)", Workload::from(&next));
                            self.visit(Some(here.clone()), &next, words, true);
                        }
                        None => self.ways.push(format!("{words} -> {service} (no response)")),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases() -> Releases {
        let config = br#"{"tracks": [
            {"name": "v2", "workloads": {"frontend": "v2", "weather/forecast": "v2"}},
            {"name": "v3", "workloads": {"forecast": "v3"}},
            {"name": "idle"}
        ]}"#;
        Releases::new(&Config::parse(config).unwrap())
    }

    /// `frontend` and what follows, each calling the next; the first one also calls advertisement
    /// v1.
    fn chain(hops: &[&str]) -> Served {
        let (first, rest) = hops.split_first().unwrap();
        let (service, version) = first.split_once(' ').unwrap();
        let mut calls = Vec::new();
        if service == "frontend" {
            calls.push(Call::Served(chain(&["advertisement v1"])));
        }
        match rest.first() {
            Some(&"forecast") => {
                calls.push(Call::Failed { service: "forecast".into(), error: "503".into() })
            }
            Some(_) => calls.push(Call::Served(chain(rest))),
            None => {}
        }
        Served {
            service: service.into(),
            version: version.into(),
            // What a header claims decides nothing here.
            track: Some("v9".into()),
            request_id: None,
            calls,
        }
    }

    #[test]
    fn what_has_crossed() {
        let cases: &[(&[&str], Option<&str>, &[&str])] = &[
            (&["frontend v1", "forecast v1"], None, &[]),
            (&["frontend v2", "forecast v2", "recommendation v1"], Some("v2"), &[]),
            (&["frontend v1", "forecast v3", "recommendation v1"], Some("v3"), &[]),
            (&["frontend v2", "forecast v1"], Some("v2"), &["forecast v1"]),
            (&["frontend v2", "forecast v3"], Some("v2"), &["forecast v3"]),
            (&["frontend v1", "forecast v2", "recommendation v1"], None, &["forecast v2"]),
        ];
        for (hops, track, crossed) in cases {
            let journey = releases().follow(&chain(hops), None);
            assert_eq!(journey.track.as_deref(), *track, "{hops:?}");
            let found: Vec<_> = journey.hops.iter().filter(|hop| hop.crossed).collect();
            let found: Vec<_> = found.iter().map(|hop| hop.to.to_string()).collect();
            assert_eq!(found, *crossed, "{hops:?}");
            assert_eq!(journey.words, hops.join(" -> "));
        }
    }

    #[test]
    fn every_call_is_a_hop() {
        let journey =
            releases().follow(&chain(&["frontend v2", "forecast v2", "recommendation v1"]), None);
        let hops: Vec<_> = journey
            .hops
            .iter()
            .map(|Hop { from, to, .. }| {
                let from = from.as_ref().map_or("gateway".into(), Workload::to_string);
                format!("{from} -> {to}")
            })
            .collect();
        assert_eq!(
            hops,
            [
                "gateway -> frontend v2",
                "frontend v2 -> advertisement v1",
                "frontend v2 -> forecast v2",
                "forecast v2 -> recommendation v1",
            ]
        );
    }

    #[test]
    fn a_failed_call_is_told() {
        let journey = releases().follow(&chain(&["frontend v1", "forecast"]), None);
        assert_eq!(journey.failed, 1);
        assert_eq!(journey.words, "frontend v1 -> forecast (no response)");
        let mut served = chain(&["frontend v2", "forecast"]);
        let forecast = serde_json::to_string(&chain(&["forecast v2"])).unwrap();
        let error = format!("500 Internal Server Error {forecast}");
        served.calls[1] = Call::Failed { service: "forecast".into(), error };
        let journey = releases().follow(&served, None);
        assert_eq!(journey.failed, 1);
        assert_eq!(journey.words, "frontend v2 -> forecast v2 (failed)");
        assert_eq!(journey.hops.last().unwrap().to.to_string(), "forecast v2");
        // Without any service that has a track there is only the first one to name.
        assert_eq!(releases().follow(&chain(&["frontend v1"]), None).words, "frontend v1");
    }
}
