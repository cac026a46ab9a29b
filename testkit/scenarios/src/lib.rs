//! A proxy, a configuration and the requests that pass it, made of arbitrary bytes: for tests
//! that compare two engines, or that look for what must never happen.
//!
//! The configurations are made from [`release_track::config::schema`], so that a new
//! field takes part by itself. Most are valid. Names and values come from few words ([`words`]),
//! so that rules meet requests, and requests meet again.

#![forbid(unsafe_code)]

mod config;
mod request;
pub mod words;

use arbitrary::{Result, Unstructured};
use release_track::config::Config;
use release_track::exchange::Request;
use release_track::host::fake::FakeHost;
use std::fmt;

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
    pub requests: Vec<Request>,
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
            Self { config, node, labels, environment, now_ms: words::NOW_MS, requests: Vec::new() };
        let mut now_ms = scenario.now_ms;
        for _ in 0..u.int_in_range(1..=4)? {
            let mut request = request::arbitrary(u, parsed.as_ref(), now_ms)?;
            if node.starts_with("waypoint~") {
                request.properties = request::peers(u)?;
            }
            now_ms += request.after_ms;
            scenario.requests.push(request);
        }
        Ok(scenario)
    }

    /// The proxy, before it is configured.
    #[must_use]
    pub fn proxy(&self) -> FakeHost {
        let mut proxy = FakeHost::node(self.node, &self.labels);
        proxy.now_ms = self.now_ms;
        let environment = self.environment.iter();
        proxy.environment = environment.map(|(n, v)| ((*n).into(), (*v).into())).collect();
        proxy
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "config: {}", self.config)?;
        writeln!(f, "node: {} {:?} {:?}", self.node, self.labels, self.environment)?;
        for (number, request) in self.requests.iter().enumerate() {
            let Request {
                direction,
                cluster,
                tracked_cluster,
                mtls,
                properties,
                after_ms,
                headers,
                response,
            } = request;
            writeln!(
                f,
                "request {number}: direction {direction}, {cluster:?} or {tracked_cluster:?}, mtls {mtls}, after {after_ms} ms"
            )?;
            for (name, value) in properties.iter().chain(headers).chain(response) {
                writeln!(f, "  {}: {}", name.escape_ascii(), value.escape_ascii())?;
            }
        }
        Ok(())
    }
}
