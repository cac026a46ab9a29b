//! What the filter counted, next to what the applications saw: two witnesses of the same requests.

use super::journeys::Journeys;
use super::releases::Workload;
use crate::counters::Counters;
use serde::Serialize;
use std::collections::BTreeMap;

/// The filter, by its counters since the last switch.
#[derive(Default)]
pub(super) struct Witness {
    start: Counters,
    last: Option<(u64, Counters)>,
}

/// What they say; `assets/graph.js` reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "says")]
pub(super) enum Says {
    /// There is no filter.
    #[default]
    Nothing,
    /// Requests are under way, or something has not been told yet.
    Later,
    /// What the applications saw.
    Same { arrivals: u64, crossed: u64 },
    /// A line for everything that the two do not agree on.
    Other { differences: Vec<String> },
}

impl Witness {
    /// Counts from `counters` on.
    pub(super) fn restart(&mut self, counters: Counters) {
        *self = Witness { start: counters, last: None };
    }

    /// What was counted since, if anything was read since.
    pub(super) fn counted(&self) -> Option<Counters> {
        self.last.as_ref().map(|(_, counters)| counters.since(&self.start))
    }

    /// Compares, once neither of the two has anything new.
    pub(super) fn hear(&mut self, counters: Counters, journeys: &Journeys) -> Says {
        let now = Some((journeys.served(), counters));
        let before = std::mem::replace(&mut self.last, now);
        match &self.last {
            Some((_, counters)) if before == self.last => {
                compare(&counters.since(&self.start), journeys)
            }
            _ => Says::Later,
        }
    }
}

fn compare(counted: &Counters, journeys: &Journeys) -> Says {
    let seen: BTreeMap<String, (&Workload, u64)> = journeys
        .arrivals()
        .into_iter()
        .map(|(workload, count)| {
            (format!("{}-{}", workload.service, workload.version), (workload, count))
        })
        .collect();
    let mut arrivals: BTreeMap<&str, u64> = BTreeMap::new();
    let mut crossed = 0;
    for (deployment, counter, count) in counted.iter() {
        if counter.starts_with("arrivals ") {
            *arrivals.entry(deployment).or_default() += count;
            crossed += if counter.ends_with(" crossed") { count } else { 0 };
        }
    }
    let mut differences = Vec::new();
    for (deployment, (workload, seen)) in &seen {
        let counted = arrivals.get(&**deployment).copied().unwrap_or_default();
        if counted != *seen {
            differences
                .push(format!("{workload}: {seen} calls on a track, the filter counted {counted}"));
        }
    }
    for (deployment, counted) in arrivals.iter().filter(|(name, _)| !seen.contains_key(**name)) {
        differences.push(format!("{deployment}: no call on a track, the filter counted {counted}"));
    }
    if crossed != journeys.crossed() {
        let seen = journeys.crossed();
        differences.push(format!("crossed calls: {seen}, the filter counted {crossed}"));
    }
    if differences.is_empty() {
        Says::Same { arrivals: arrivals.values().sum(), crossed }
    } else {
        Says::Other { differences }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Event, Served};
    use release_track::config::Config;

    /// A tester's request on the story's releases; `forecast` is the version that it met there.
    fn journeys(forecast: &str) -> Journeys {
        let config =
            br#"{"tracks": [{"name": "v2", "workloads": {"frontend": "v2", "forecast": "v2"}}]}"#;
        let served = |service: &str, version: &str, calls| Served {
            service: service.into(),
            version: version.into(),
            track: None,
            request_id: None,
            calls,
        };
        let mut journeys = Journeys::new(Config::parse(config).unwrap(), []);
        let calls = vec![Call::Served(served("forecast", forecast, Vec::new()))];
        journeys.record(&Event {
            user: None,
            preview: false,
            served: served("frontend", "v2", calls),
        });
        journeys
    }

    fn counters(counts: &[(&str, &str)]) -> Counters {
        let mut counters = Counters::default();
        counts.iter().for_each(|(pod, name)| counters.count(pod, (*name).into(), 1));
        counters
    }

    const STORY: [(&str, &str); 3] = [
        ("istio-ingressgateway", "decisions v2 match"),
        ("frontend-v2", "arrivals v2 match"),
        ("forecast-v2", "arrivals v2 match"),
    ];

    #[test]
    fn both_say_the_same() {
        let says = compare(&counters(&STORY), &journeys("v2"));
        assert_eq!(says, Says::Same { arrivals: 2, crossed: 0 });
        let crossed = [STORY[0], STORY[1], ("forecast-v1", "arrivals v2 crossed")];
        let says = compare(&counters(&crossed), &journeys("v1"));
        assert_eq!(says, Says::Same { arrivals: 2, crossed: 1 });
    }

    #[test]
    fn every_difference_is_told() {
        let says = |counts: &[(&str, &str)], journeys: &Journeys| match compare(
            &counters(counts),
            journeys,
        ) {
            Says::Other { differences } => differences.len(),
            says => panic!("{says:?}"),
        };
        // A track that was lost on the way: the applications saw it cross, the filter could not.
        assert_eq!(says(&STORY[..2], &journeys("v1")), 2);
        assert_eq!(says(&STORY[..2], &journeys("v2")), 1);
        let stray = [&STORY[..], &[("forecast-v1", "arrivals v2 crossed")]].concat();
        assert_eq!(says(&stray, &journeys("v2")), 2);
    }

    #[test]
    fn it_waits_until_nothing_is_new() {
        let journeys = journeys("v2");
        let mut filter = Witness::default();
        filter.restart(counters(&[]));
        assert_eq!(filter.hear(counters(&STORY[..2]), &journeys), Says::Later);
        assert_eq!(filter.hear(counters(&STORY), &journeys), Says::Later);
        assert_eq!(
            filter.hear(counters(&STORY), &journeys),
            Says::Same { arrivals: 2, crossed: 0 }
        );
        filter.restart(counters(&STORY));
        filter.hear(counters(&STORY), &journeys);
        assert!(matches!(filter.hear(counters(&STORY), &journeys), Says::Other { .. }));
    }
}
