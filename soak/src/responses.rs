//! The responses of one mode, counted, and what the filter must have counted for them.

use crate::expected;
use demo::call::{Call, Served};
use demo::counters::Counters;
use demo::graph::{Releases, Workload};
use demo::load::Response;
use demo::weather::Forward;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many examples of a fault are kept.
const EXAMPLES: usize = 5;

/// What the applications say to the requests of one mode.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Responses {
    pub(crate) requests: u64,
    /// By the track of the account; `baseline` is none.
    pub(crate) by_track: BTreeMap<&'static str, u64>,
    /// Requests that met two releases on their way.
    pub(crate) crossed: u64,
    /// Requests that met a release other than their account's from the start.
    pub(crate) wrong: u64,
    /// Calls of a tracked request that arrived without its track.
    pub(crate) lost: u64,
    /// Of those, the ones that the design announces: an application that forwards nothing, on a
    /// baseline pod.
    pub(crate) lost_as_announced: u64,
    /// Requests without a response of the application.
    pub(crate) failed: u64,
    /// Calls between the applications that were not answered.
    pub(crate) calls_failed: u64,
    pub(crate) examples: Vec<String>,
    #[serde(skip)]
    forward: Forward,
    #[serde(skip)]
    releases: Releases,
    #[serde(skip)]
    counters: Counters,
}

impl Responses {
    pub(crate) fn new(forward: Forward, releases: Releases) -> Self {
        Responses {
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

    /// What the filter must have counted for all responses so far.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn add(&mut self, response: &Response) {
        let track = expected::track(&response.visitor);
        self.requests += 1;
        *self.by_track.entry(track.unwrap_or("baseline")).or_default() += 1;
        let served = match &response.served {
            Ok(served) => served,
            Err(error) => {
                self.failed += 1;
                self.example(response, error);
                return;
            }
        };
        let reason = if track.is_some() { "match" } else { "baseline" };
        let decided = format!("decisions {} {reason}", track.unwrap_or("baseline"));
        self.counters.count("istio-ingressgateway", decided, 1);
        let found =
            (self.crossed, self.wrong, self.lost - self.lost_as_announced, self.calls_failed);
        let crossed = self.releases.follow(served, track).hops.iter().any(|hop| hop.crossed);
        self.crossed += u64::from(crossed);
        let wrong = served.version != expected::version(track, &served.service);
        self.wrong += u64::from(wrong && !crossed);
        self.hop(served, track);
        let now = (self.crossed, self.wrong, self.lost - self.lost_as_announced, self.calls_failed);
        if now != found {
            self.example(response, &served.to_string());
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

    fn example(&mut self, response: &Response, what: &str) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{}: {what}", response.visitor.name));
        }
    }
}
