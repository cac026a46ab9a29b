//! The filter's counters, scraped from every Envoy, or worked out from the responses.

use anyhow::{Context, Result};
use mesh::{Mesh, Pod};
use release_track::istio::stats::{Metric, Stat};
use std::collections::{BTreeMap, BTreeSet};

/// Counts by deployment and counter (`arrivals v2 match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    counts: BTreeMap<(String, String), u64>,
    /// Deployments that have been counted already, since their Envoys began anew.
    forgotten: BTreeSet<&'static str>,
}

impl Counters {
    pub async fn scrape(mesh: &Mesh) -> Result<Self> {
        let mut all = Self::default();
        for pod in mesh.pods() {
            all.add(&Self::of_pod(pod).await?);
        }
        Ok(all)
    }

    pub async fn of_pod(pod: &Pod) -> Result<Self> {
        let envoy = pod.envoy().with_context(|| format!("{} has no Envoy", pod.name()))?;
        let mut counters = Self::default();
        for (name, value) in envoy.admin().stats(r"release_track\.").await? {
            if let (Some(stat), Some(count)) = (Stat::parse(&name), value.as_u64()) {
                counters.count(deployment(pod.name()), stat.short(), count);
            }
        }
        Ok(counters)
    }

    /// Deployment, counter, count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts.iter().map(|((deployment, name), count)| (&**deployment, &**name, *count))
    }

    pub fn count(&mut self, deployment: &str, counter: String, by: u64) {
        if by > 0 {
            *self.counts.entry((deployment.to_owned(), counter)).or_default() += by;
        }
    }

    pub fn add(&mut self, other: &Self) {
        for ((deployment, counter), count) in &other.counts {
            self.count(deployment, counter.clone(), *count);
        }
    }

    pub fn forget(&mut self, deployment: &'static str) {
        self.forgotten.insert(deployment);
    }

    pub fn forgotten(&self) -> &BTreeSet<&'static str> {
        &self.forgotten
    }

    pub fn without(&self, deployments: &BTreeSet<&'static str>) -> Self {
        self.filtered(|name| !deployments.contains(name))
    }

    pub fn of(&self, deployment: &str) -> Self {
        self.filtered(|name| name == deployment)
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let counts = self.counts.iter().filter(|((deployment, _), _)| keep(deployment));
        Counters {
            counts: counts.map(|(key, count)| (key.clone(), *count)).collect(),
            forgotten: BTreeSet::new(),
        }
    }

    /// What has been counted since.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (key, count) in &mut since.counts {
            *count = count.saturating_sub(before.counts.get(key).copied().unwrap_or_default());
        }
        since.counts.retain(|_, count| *count > 0);
        since
    }

    /// What those have counted that have begun anew since, as `now` tells.
    pub fn gone(&self, now: &Self) -> Self {
        let mut gone = self.clone();
        gone.counts.retain(|key, count| now.counts.get(key).is_none_or(|now| now < count));
        gone
    }

    /// These have begun anew.
    pub fn restart(&mut self, gone: &Self) {
        self.counts.retain(|key, _| !gone.counts.contains_key(key));
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Where `counted` is more than expected, or less by more than `may_miss`, in words.
    pub fn differences(&self, counted: &Self, may_miss: u64) -> Vec<String> {
        let keys: BTreeSet<_> = self.counts.keys().chain(counted.counts.keys()).collect();
        let of = |counters: &Self, key| counters.counts.get(key).copied().unwrap_or_default();
        keys.into_iter()
            .map(|key| (key, of(self, key), of(counted, key)))
            .filter(|(_, expected, counted)| counted > expected || expected - counted > may_miss)
            .map(|((deployment, counter), expected, counted)| {
                format!("{deployment}: {counter}: expected {expected}, counted {counted}")
            })
            .collect()
    }

    /// How much less than expected a deployment has counted; what it counted beyond that is no
    /// comfort.
    pub fn missing(&self, counted: &Self, deployment: &str) -> u64 {
        let (expected, counted) = (self.of(deployment), counted.of(deployment));
        expected.since(&counted).counts.values().sum()
    }
}

/// The shares at the gateway: what its gauges tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// By track, in 0.01 %.
    pub shares: BTreeMap<String, u64>,
    /// Tracks whose shares a guard has stopped.
    pub stopped: BTreeSet<String>,
}

impl InForce {
    pub async fn scrape(mesh: &Mesh) -> Result<Self> {
        let gateway = mesh.pods().iter().find(|pod| pod.is_gateway());
        let envoy = gateway.and_then(Pod::envoy).context("the gateway has no Envoy")?;
        let mut in_force = Self::default();
        for (name, value) in envoy.admin().stats(r"release_track\.").await? {
            match (Metric::parse(&name), value.as_u64()) {
                (Some(Metric::Share(track)), Some(share)) => {
                    in_force.shares.insert(track, share);
                }
                (Some(Metric::GuardStopped(track)), Some(1..)) => {
                    in_force.stopped.insert(track);
                }
                _ => {}
            }
        }
        Ok(in_force)
    }
}

/// `forecast-v2-1` is a pod of `forecast-v2`; a gateway is its own.
pub fn deployment(pod: &str) -> &str {
    match pod.rsplit_once('-') {
        Some((deployment, number)) if number.bytes().all(|b| b.is_ascii_digit()) => deployment,
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(counts: &[(&str, u64)]) -> Counters {
        let mut counters = Counters::default();
        counts.iter().for_each(|(name, by)| counters.count("pod", (*name).into(), *by));
        counters
    }

    #[test]
    fn a_pod_is_of_its_deployment() {
        assert_eq!(deployment("forecast-v2-10"), "forecast-v2");
        assert_eq!(deployment("istio-ingressgateway"), "istio-ingressgateway");
    }

    #[test]
    fn every_difference_is_told() {
        let expected = counters(&[("a", 2), ("b", 1)]);
        assert_eq!(expected.differences(&expected, 0), [""; 0]);
        let counted = counters(&[("a", 1), ("c", 1)]);
        assert_eq!(expected.differences(&counted, 0).len(), 3);
        // More than expected is never right.
        assert_eq!(expected.differences(&counted, 1).len(), 1);
        assert_eq!(expected.missing(&counted, "pod"), 2);
        assert_eq!(counters(&[("a", 5)]).since(&expected), counters(&[("a", 3)]));
    }

    #[test]
    fn counters_that_begin_anew_are_found() {
        let end = counters(&[("a", 2), ("b", 3), ("c", 1)]);
        let gone = end.gone(&counters(&[("a", 1), ("b", 3), ("d", 1)]));
        assert_eq!(gone, counters(&[("a", 2), ("c", 1)]));
        let mut before = counters(&[("a", 1), ("b", 1)]);
        assert_eq!(gone.since(&before), counters(&[("a", 1), ("c", 1)]));
        before.restart(&gone);
        assert_eq!(before, counters(&[("b", 1)]));
    }
}
