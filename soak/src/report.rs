//! What came out, and whether it is what should have.

use crate::memory;
use crate::options::Broken;
use crate::responses::Responses;
use demo::weather::Forward;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) broken: Option<Broken>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) updates: u64,
    pub(crate) killed: Option<Killed>,
    pub(crate) replaced: Option<String>,
    pub(crate) memory: Option<memory::Report>,
    /// Everything that should not be; empty is good.
    pub(crate) faults: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mode {
    pub(crate) forward: Forward,
    pub(crate) seconds: f64,
    #[serde(flatten)]
    pub(crate) responses: Responses,
    /// What nobody has scraped of counters that began anew with an update: so much of each.
    pub(crate) may_miss: u64,
    /// Counters of the filter that are not what the answers say: pod, counter, expected, counted.
    pub(crate) differences: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Killed {
    pub(crate) pod: String,
    /// What nobody has scraped before it was killed.
    pub(crate) arrivals_not_scraped: u64,
    /// How many there can be at the most.
    pub(crate) bound: u64,
    pub(crate) calls_failed: u64,
}

impl Report {
    /// Everything that should not be, in words.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let calls_may_fail = self.killed.as_ref().map_or(0, |killed| killed.calls_failed);
        for mode in &self.modes {
            let responses = &mode.responses;
            let mut none = |what: &str, count: u64| {
                if count > 0 {
                    faults.push(format!("{:?}: {count} {what}", mode.forward));
                }
            };
            none("requests crossed", responses.crossed);
            none("requests met another release than their own", responses.wrong);
            none("calls lost their track", responses.lost - responses.lost_as_announced);
            none("requests failed", responses.failed);
            none("counters differ from the responses", mode.differences.len() as u64);
        }
        let calls_failed: u64 = self.modes.iter().map(|mode| mode.responses.calls_failed).sum();
        if calls_failed > calls_may_fail {
            faults.push(format!(
                "{} calls failed that did not go to the killed sidecar",
                calls_failed - calls_may_fail
            ));
        }
        if let Some(killed) = &self.killed
            && killed.arrivals_not_scraped > killed.bound
        {
            faults.push(format!(
                "{}: {} arrivals are missing, and at most {} can be",
                killed.pod, killed.arrivals_not_scraped, killed.bound
            ));
        }
        for pod in self.memory.iter().flat_map(|memory| &memory.pods) {
            if !pod.is_flat() {
                faults.push(format!("{}: its memory grows with the requests: {pod:?}", pod.pod));
            }
        }
        faults
    }
}
