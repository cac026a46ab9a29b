//! A proxy, a configuration and the requests that pass it, made of arbitrary bytes: for tests
//! that compare two engines, or that look for what must never happen.
//!
//! The configurations are made from the tables of [`release_track::config::schema`], so that a new
//! field takes part by itself. Most are valid. Names and values come from few words ([`words`]),
//! so that rules meet requests, and requests meet again.

#![forbid(unsafe_code)]

mod config;
mod request;
pub mod words;

use arbitrary::{Result, Unstructured};
use release_track::config::Config;
use std::fmt;

/// Header lines: names in lower case, values any bytes.
pub type Lines = Vec<(String, Vec<u8>)>;

/// What happens to one filter.
#[derive(Clone)]
pub struct Scenario {
    /// `pluginConfig`
    pub config: String,
    /// Of Istio's form, or none.
    pub node: &'static str,
    /// The pod's.
    pub labels: [(&'static str, &'static str); 2],
    /// The plugin's environment variables.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Milliseconds of the Unix epoch.
    pub now_ms: u64,
    pub steps: Vec<Step>,
}

/// A request and its answer.
#[derive(Clone)]
pub struct Step {
    /// The listener's: 0 unspecified, 1 inbound, 2 outbound.
    pub direction: i64,
    /// The route's.
    pub cluster: Option<&'static str>,
    pub mtls: bool,
    /// How long after the step before it.
    pub after_ms: u64,
    /// Pseudo headers first.
    pub request: Lines,
    /// `:status` first.
    pub answer: Lines,
}

impl Scenario {
    /// Any bytes are a scenario, but for those that end too soon.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::arbitrary(&mut Unstructured::new(bytes)).ok()
    }

    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let node = *u.choose(&words::NODES)?;
        let labels = [("app", *u.choose(&words::APPS)?), ("version", *u.choose(&words::VERSIONS)?)];
        let environment = match u.int_in_range(0..=3)? {
            0 => Vec::new(),
            1 => vec![(words::VARIABLE, "no key")],
            _ => vec![(words::VARIABLE, words::KEYS[0])],
        };
        let config = config::arbitrary(u)?;
        let parsed = Config::parse(config.as_bytes()).ok();
        let mut scenario =
            Self { config, node, labels, environment, now_ms: words::NOW_MS, steps: Vec::new() };
        let mut now_ms = scenario.now_ms;
        for _ in 0..u.int_in_range(1..=4)? {
            let step = Step::arbitrary(u, parsed.as_ref(), now_ms)?;
            now_ms += step.after_ms;
            scenario.steps.push(step);
        }
        Ok(scenario)
    }
}

impl Step {
    fn arbitrary(u: &mut Unstructured<'_>, config: Option<&Config>, now_ms: u64) -> Result<Self> {
        let after_ms = *u.choose(&[0, 0, 1, 999, 30_000, 59_999, 60_000, 86_400_000])?;
        Ok(Self {
            direction: *u.choose(&[2, 1, 2, 1, 2, 1, 0, 7])?,
            cluster: *u.choose(&words::CLUSTERS)?,
            mtls: u.arbitrary()?,
            after_ms,
            request: request::arbitrary(u, config, now_ms + after_ms)?,
            answer: request::answer(u)?,
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "config: {}", self.config)?;
        writeln!(f, "node: {} {:?} {:?}", self.node, self.labels, self.environment)?;
        for (number, step) in self.steps.iter().enumerate() {
            let Step { direction, cluster, mtls, after_ms, .. } = step;
            writeln!(
                f,
                "step {number}: direction {direction}, {cluster:?}, mtls {mtls}, after {after_ms} ms"
            )?;
            for (name, value) in step.request.iter().chain(&step.answer) {
                writeln!(f, "  {name}: {}", value.escape_ascii())?;
            }
        }
        Ok(())
    }
}
