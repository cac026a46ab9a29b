//! Metrics with labels of their own: the core names them in Istio's convention, for proxies whose
//! metrics have none, and here the names are taken apart again.
//!
//! Envoy makes a metric when it first changes. So that each is there at zero before it first
//! counts, all are changed by nothing with the first request.

use crate::abi;
use release_track::istio::stats::{self, Stat};

/// A counter or a gauge: Envoy's id of its family, and the values of its labels.
#[derive(Debug)]
struct Metric {
    family: usize,
    values: Vec<Box<str>>,
}

/// The metrics of a configuration. The core knows each by its place here.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Names of families, with Envoy's ids.
    families: Vec<(String, usize)>,
    counters: Vec<Metric>,
    gauges: Vec<Metric>,
}

impl Metric {
    fn values(&self) -> [&str; 2] {
        let mut values = self.values.iter().map(|value| &**value);
        [values.next().unwrap_or_default(), values.next().unwrap_or_default()]
    }

    fn with_values<T>(&self, call: impl FnOnce(usize, &[&str]) -> T) -> T {
        let values = self.values();
        call(self.family, values.get(..self.values.len()).unwrap_or_default())
    }
}

impl Metrics {
    /// The id of a counter of the core's; `None`: Envoy has no such counter, or refuses it.
    pub(crate) fn define_counter(&mut self, envoy: &abi::Config<'_>, name: &str) -> Option<u32> {
        let Stat { family, track, value } = Stat::parse(name)?;
        let (labels, values) = match track {
            Some(track) => (vec!["track", family.column()], vec![track.into(), value.into()]),
            None => (vec![family.column()], vec![value.into()]),
        };
        let family = self.family(family.label(), |name| envoy.define_counter(name, &labels))?;
        self.counters.push(Metric { family, values });
        u32::try_from(self.counters.len() - 1).ok()
    }

    pub(crate) fn define_gauge(&mut self, envoy: &abi::Config<'_>, name: &str) -> Option<u32> {
        let (label, track) = match stats::Metric::parse(name)? {
            stats::Metric::Share(track) => (stats::SHARE, Some(track)),
            stats::Metric::GuardStopped(track) => (stats::GUARD_STOPPED, Some(track)),
            stats::Metric::Configuration => (stats::CONFIGURATION, None),
            stats::Metric::Counter(_) => return None,
        };
        let labels: &[&str] = if track.is_some() { &["track"] } else { &[] };
        let family = self.family(label, |name| envoy.define_gauge(name, labels))?;
        let values = track.into_iter().map(Into::into).collect();
        self.gauges.push(Metric { family, values });
        u32::try_from(self.gauges.len() - 1).ok()
    }

    fn family(&mut self, label: &str, define: impl FnOnce(&str) -> Option<usize>) -> Option<usize> {
        let name = format!("release_track.{label}");
        if let Some((_, id)) = self.families.iter().find(|(known, _)| *known == name) {
            return Some(*id);
        }
        let id = define(&name)?;
        self.families.push((name, id));
        Some(id)
    }

    /// `false`: there is none, or Envoy refuses.
    pub(crate) fn increment(&self, envoy: &abi::Stream<'_>, counter: u32, by: u64) -> bool {
        self.counters.get(counter as usize).is_some_and(|metric| {
            metric.with_values(|family, values| envoy.increment_counter(family, values, by))
        })
    }

    pub(crate) fn record(&self, envoy: &abi::Stream<'_>, gauge: u32, value: u64) -> bool {
        self.gauges.get(gauge as usize).is_some_and(|metric| {
            metric.with_values(|family, values| envoy.set_gauge(family, values, value))
        })
    }

    /// Has Envoy make every counter.
    pub(crate) fn begin(&self, envoy: &abi::Stream<'_>) {
        for metric in &self.counters {
            metric.with_values(|family, values| envoy.increment_counter(family, values, 0));
        }
    }
}
