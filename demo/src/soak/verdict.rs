//! Whether what came out is what should have.

use super::{Report, expected};
use crate::{
    call::{Call, Served},
    counters::Counters,
    graph::{Releases, Workload},
    load::Answer,
    weather::Forward,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many examples of a fault are kept.
const EXAMPLES: usize = 5;

/// The answers of one mode.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    pub requests: u64,
    /// By the track of the account; `baseline` is none.
    pub by_track: BTreeMap<&'static str, u64>,
    /// Requests that met two releases on their way.
    pub crossed: u64,
    /// Requests that met a release other than their account's from the start.
    pub wrong: u64,
    /// Calls of a tracked request that arrived without its track.
    pub lost: u64,
    /// Of those, the ones that the design announces: an application that forwards nothing, on a baseline pod.
    pub lost_as_announced: u64,
    /// Requests without an answer of the application.
    pub failed: u64,
    /// Calls between the applications that were not answered.
    pub calls_failed: u64,
    pub examples: Vec<String>,
    #[serde(skip)]
    forward: Forward,
    #[serde(skip)]
    releases: Releases,
    #[serde(skip)]
    counters: Counters,
}

impl Tally {
    pub(super) fn new(forward: Forward, releases: Releases) -> Self {
        Tally {
            requests: 0,
            by_track: BTreeMap::new(),
            crossed: 0,
            wrong: 0,
            lost: 0,
            lost_as_announced: 0,
            failed: 0,
            calls_failed: 0,
            examples: Vec::new(),
            forward,
            releases,
            counters: Counters::default(),
        }
    }

    /// What the filter must have counted for all answers so far.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn add(&mut self, answer: &Answer) {
        let track = expected::track(&answer.visitor);
        self.requests += 1;
        *self.by_track.entry(track.unwrap_or("baseline")).or_default() += 1;
        let served = match &answer.served {
            Ok(served) => served,
            Err(error) => {
                self.failed += 1;
                self.example(answer, error);
                return;
            }
        };
        let reason = if track.is_some() { "match" } else { "baseline" };
        let decided = format!("decisions {} {reason}", track.unwrap_or("baseline"));
        self.counters.count("istio-ingressgateway", decided, 1);
        let found =
            (self.crossed, self.wrong, self.lost - self.lost_as_announced, self.calls_failed);
        let crossed = self.releases.follow(served).hops.iter().any(|hop| hop.crossed);
        self.crossed += u64::from(crossed);
        let wrong = served.version != expected::version(track, &served.service);
        self.wrong += u64::from(wrong && !crossed);
        self.hop(served, track);
        let now = (self.crossed, self.wrong, self.lost - self.lost_as_announced, self.calls_failed);
        if now != found {
            self.example(answer, &served.to_string());
        }
    }

    /// A pod that was reached. `track` is the one that its caller has.
    fn hop(&mut self, served: &Served, track: Option<&str>) {
        let pod = Workload::from(served);
        let deployment = format!("{}-{}", pod.service, pod.version);
        let arrived = served.track.as_deref();
        let own = self.releases.track_of(&pod).map(str::to_owned);
        if track.is_some() && arrived != track {
            self.lost += 1;
        }
        if let Some(outcome) = self.outcome(arrived, &pod, own.as_deref()) {
            let counter = format!("arrivals {} {outcome}", arrived.unwrap_or("baseline"));
            self.counters.count(&deployment, counter, 1);
        }
        let carrier = expected::carrier(self.forward, own.is_some());
        for call in &served.calls {
            if let (Some(track), Some(carrier)) = (arrived, carrier) {
                self.counters.count(&deployment, format!("propagation {track} {carrier}"), 1);
            }
            match call {
                Call::Served(callee) => {
                    if carrier.is_none() && arrived.is_some() && callee.track.is_none() {
                        self.lost_as_announced += 1;
                    }
                    self.hop(callee, arrived);
                }
                Call::Failed { .. } => self.calls_failed += 1,
            }
        }
    }

    fn outcome(
        &self,
        arrived: Option<&str>,
        pod: &Workload,
        own: Option<&str>,
    ) -> Option<&'static str> {
        let track = match arrived {
            Some(track) => track,
            None => return own.map(|_| "stray"),
        };
        let listed = expected::version(Some(track), &pod.service) != "v1";
        Some(match own {
            Some(own) if own == track => "match",
            Some(_) => "crossed",
            None if listed => "crossed",
            None => "baseline",
        })
    }

    fn example(&mut self, answer: &Answer, what: &str) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{}: {what}", answer.visitor.name));
        }
    }
}

/// Everything that should not be, in words.
pub(super) fn faults(report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    let calls_may_fail = report.killed.as_ref().map_or(0, |killed| killed.calls_failed);
    for mode in &report.modes {
        let tally = &mode.tally;
        let mut none = |what: &str, count: u64| {
            if count > 0 {
                faults.push(format!("{:?}: {count} {what}", mode.forward));
            }
        };
        none("requests crossed", tally.crossed);
        none("requests met another release than their own", tally.wrong);
        none("calls lost their track", tally.lost - tally.lost_as_announced);
        none("requests failed", tally.failed);
        none("counters differ from the answers", mode.differences.len() as u64);
    }
    let calls_failed: u64 = report.modes.iter().map(|mode| mode.tally.calls_failed).sum();
    if calls_failed > calls_may_fail {
        faults.push(format!(
            "{} calls failed that did not go to the killed sidecar",
            calls_failed - calls_may_fail
        ));
    }
    if let Some(killed) = &report.killed
        && killed.arrivals_not_scraped > killed.bound
    {
        faults.push(format!(
            "{}: {} arrivals are missing, and at most {} can be",
            killed.pod, killed.arrivals_not_scraped, killed.bound
        ));
    }
    for pod in report.memory.iter().flat_map(|memory| &memory.pods) {
        if !pod.is_flat() {
            faults.push(format!("{}: its memory grows with the requests: {pod:?}", pod.pod));
        }
    }
    faults
}
