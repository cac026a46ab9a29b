//! What a run has seen.

use super::client::Http;
use super::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub requests: u64,
    /// Requests without a response, or with one but 200.
    pub failed: u64,
    pub seconds: f64,
    pub requests_per_second: f64,
    /// Of requests with a response.
    pub latency: Latency,
    /// What kinds of visitors got, and how often.
    pub outcomes: Vec<Outcome>,
    #[serde(skip)]
    counts: BTreeMap<(&'static str, Http, String), u64>,
    #[serde(skip)]
    latencies: Vec<f32>,
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    pub p50: f32,
    pub p90: f32,
    pub p99: f32,
    pub max: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub visitor: &'static str,
    pub http: Http,
    /// As [`crate::call::Served`] is displayed, or an error.
    pub served: String,
    pub count: u64,
}

impl Report {
    pub(super) fn add(&mut self, response: &Response) {
        self.requests += 1;
        let served = match &response.served {
            Ok(served) => {
                self.latencies.push((response.seconds * 1e3) as f32);
                served.to_string()
            }
            Err(error) => {
                self.failed += 1;
                error.clone()
            }
        };
        *self.counts.entry((response.visitor.name, response.http, served)).or_default() += 1;
    }

    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
        self.requests_per_second = self.requests as f64 / self.seconds;
        self.latencies.sort_by(f32::total_cmp);
        let at = |share: f64| {
            let last = self.latencies.len().saturating_sub(1);
            self.latencies.get((last as f64 * share) as usize).copied().unwrap_or_default()
        };
        self.latency = Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) };
        let counts = std::mem::take(&mut self.counts).into_iter();
        self.outcomes = counts
            .map(|((visitor, http, served), count)| Outcome { visitor, http, served, count })
            .collect();
    }
}
