//! A proxy, as its stats tell.

use release_track::config::Fingerprint;
use release_track::istio::node::{Kind, Pod};
use release_track::istio::stats::{Metric, Stat};
use release_track::vocabulary::Family;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone)]
pub(super) struct Proxy {
    /// `NAMESPACE/POD`, or an address.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) pod: Pod,
    pub(super) state: State,
    pub(super) stats: Stats,
}

/// What has become of the filter there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It works, with this configuration.
    InForce(Fingerprint),
    /// It works, and does not tell its configuration.
    Untold,
    /// It waits for a good configuration.
    Neutral,
    /// There is none.
    Absent,
    /// There is another filter in its place, since its image could not be fetched: whether that
    /// refuses every request, if it is known.
    NotFetched { refuses: Option<bool> },
    /// The proxy does not respond: why.
    Silent(String),
}

impl State {
    pub(super) fn words(&self) -> String {
        match self {
            Self::InForce(fingerprint) => fingerprint.to_string(),
            Self::Untold => "in force".to_owned(),
            Self::Neutral => "neutral".to_owned(),
            Self::Absent => "no filter".to_owned(),
            Self::NotFetched { .. } => "not fetched".to_owned(),
            Self::Silent(_) => "no response".to_owned(),
        }
    }
}

/// What is counted, and in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) counts: BTreeMap<Stat, u64>,
    /// By track, in 0.01 %.
    pub(super) shares: BTreeMap<String, u64>,
    /// Tracks whose shares a guard has stopped.
    pub(super) stopped: BTreeSet<String>,
    configuration: Option<u64>,
    /// How many Wasm VMs there are.
    vms: Option<u64>,
    /// How often the agent has fetched an image, and how often it could not.
    fetches: u64,
    failed_fetches: u64,
}

impl Stats {
    /// A metric of ours, and its value.
    pub(super) fn add(&mut self, metric: Metric, value: u64) {
        match metric {
            // Labels that are no longer told apart.
            Metric::Counter(stat) => *self.counts.entry(stat).or_default() += value,
            Metric::Share(track) => drop(self.shares.insert(track, value)),
            Metric::GuardStopped(track) if value > 0 => drop(self.stopped.insert(track)),
            Metric::GuardStopped(_) => {}
            Metric::Configuration => self.configuration = Some(value),
        }
    }

    /// Somebody else's: `metric` is named as Prometheus does, without what Envoy puts in front.
    pub(super) fn add_other(&mut self, metric: &str, result: Option<&str>, value: u64) {
        if metric.ends_with(VMS) {
            self.vms = Some(value);
        } else if metric.ends_with(FETCHES) && result == Some("success") {
            self.fetches += value;
        } else if metric.ends_with(FETCHES) {
            self.failed_fetches += value;
        }
    }

    /// As far as the stats tell.
    pub(super) fn state(&self) -> State {
        match self.configuration {
            // What a VM has told outlives it.
            _ if self.vms == Some(0) => self.without_filter(),
            Some(number) => Fingerprint::from_number(number).map_or(State::Neutral, State::InForce),
            None if !self.counts.is_empty() => State::Untold,
            None => self.without_filter(),
        }
    }

    fn without_filter(&self) -> State {
        match (self.fetches, self.failed_fetches) {
            (0, 1..) => State::NotFetched { refuses: None },
            _ => State::Absent,
        }
    }

    /// What was counted since; a proxy that began anew has counted all of it since.
    pub(super) fn since(&mut self, before: &Self) {
        for (stat, count) in &mut self.counts {
            let counted = before.counts.get(stat).copied().unwrap_or_default();
            *count = count.checked_sub(counted).unwrap_or(*count);
        }
    }
}

/// `wasm.envoy.wasm.runtime.v8.active` (Envoy: `wasm_vm.cc`).
const VMS: &str = "wasm_runtime_v8_active";
/// Of Istio's agent (`pkg/wasm/monitoring.go`), by its `result`.
const FETCHES: &str = "wasm_remote_fetch_count";
/// What of Envoy's stats is read: an expression for its `filter`.
pub(super) const FILTER: &str = r"release_track|wasm\.runtime\.v8\.active";

/// An agent that has fetched an image at some time, and at another could not, does not tell what was
/// last. All fetch the same one: where nobody has the filter now, it is not to be had.
pub(super) fn settle(proxies: &mut [Proxy]) {
    let is_without =
        |proxy: &Proxy| matches!(proxy.state, State::Absent | State::NotFetched { .. });
    if proxies.iter().all(is_without) {
        let failed = proxies.iter_mut().filter(|proxy| proxy.stats.failed_fetches > 0);
        for proxy in failed.filter(|proxy| proxy.state == State::Absent) {
            proxy.state = State::NotFetched { refuses: None };
        }
    }
}

impl Proxy {
    /// `NAMESPACE/APP VERSION`, as far as that is known.
    pub(super) fn workload(&self) -> String {
        let Pod { namespace, app, version } = &self.pod;
        let mut words = match (&**namespace, &**app) {
            (_, "") => return self.name.clone(),
            ("", app) => app.to_owned(),
            (namespace, app) => format!("{namespace}/{app}"),
        };
        if !version.is_empty() {
            words += &format!(" {version}");
        }
        words
    }

    /// By what it counts, if nothing else tells.
    pub(super) fn kind(&self) -> Kind {
        let counts = |family| self.stats.counts.keys().any(|stat| stat.family == family);
        match self.kind {
            Kind::Unknown if counts(Family::Arrivals) => Kind::Sidecar,
            Kind::Unknown if counts(Family::Decisions) => Kind::Gateway,
            known => known,
        }
    }

    /// How often something of a family was counted, by track.
    pub(super) fn of(&self, family: Family) -> impl Iterator<Item = (&Stat, u64)> {
        let counts = self.stats.counts.iter().map(|(stat, count)| (stat, *count));
        counts.filter(move |(stat, count)| stat.family == family && *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(configuration: Option<u64>, vms: Option<u64>, fetches: [u64; 2]) -> Stats {
        let [fetches, failed_fetches] = fetches;
        Stats { configuration, vms, fetches, failed_fetches, ..Stats::default() }
    }

    #[test]
    fn what_a_proxys_stats_tell_of_the_filter() {
        let in_force = State::InForce(Fingerprint::from_number(7).unwrap());
        let not_fetched = State::NotFetched { refuses: None };
        for (stats, state) in [
            (stats(Some(7), Some(3), [1, 0]), in_force.clone()),
            (stats(Some(7), None, [1, 4]), in_force),
            (stats(Some(0), Some(3), [1, 0]), State::Neutral),
            (stats(Some(7), Some(0), [1, 0]), State::Absent),
            (stats(Some(7), Some(0), [0, 4]), not_fetched.clone()),
            (stats(None, None, [0, 4]), not_fetched),
            (stats(None, Some(2), [1, 4]), State::Absent),
            (stats(None, None, [0, 0]), State::Absent),
        ] {
            assert_eq!(stats.state(), state, "{stats:?}");
        }
    }

    #[test]
    fn what_others_count_is_known_by_its_name() {
        let mut stats = Stats::default();
        stats.add_other("envoy_wasm_envoy_wasm_runtime_v8_active", None, 3);
        stats.add_other("istio_agent_wasm_remote_fetch_count", Some("success"), 1);
        stats.add_other("istio_agent_wasm_remote_fetch_count", Some("download_failure"), 2);
        stats.add_other("istio_agent_wasm_remote_fetch_count", Some("manifest_failure"), 4);
        stats.add_other("istio_agent_scrapes_total", None, 8);
        assert_eq!((stats.vms, stats.fetches, stats.failed_fetches), (Some(3), 1, 6));
    }

    #[test]
    fn a_proxy_that_began_anew_has_counted_all_of_it_since() {
        let stat =
            |value: &str| Stat { family: Family::Events, track: None, value: value.to_owned() };
        let counted = |counts: [u64; 3]| {
            let mut stats = Stats::default();
            for (value, count) in ["conflict", "stripped", "neutral"].into_iter().zip(counts) {
                stats.add(Metric::Counter(stat(value)), count);
            }
            stats
        };
        let mut now = counted([5, 1, 0]);
        now.since(&counted([3, 4, 0]));
        assert_eq!(now.counts.into_values().collect::<Vec<_>>(), [2, 0, 1]);
    }
}
