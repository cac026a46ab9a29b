//! A Prometheus that scrapes the proxies, with the labels of `extraStatTags`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use super::proxy::{Proxy, State, Stats};
use crate::failure::Failure;
use crate::http::{self, How};
use release_track::istio::node::{Kind, Pod};
use release_track::istio::stats::Metric;
use release_track::vocabulary::Family;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::Agent;
use url::{Host, Url};

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_RESPONSE: u64 = 256 << 20;

const GAUGES: [&str; 3] = ["configuration", "share", "guard_stopped"];

pub(super) struct Prometheus {
    agent: Agent,
    url: Url,
    /// What was counted in this time.
    over: Duration,
    /// The labels that name a workload.
    labels: [String; 2],
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

/// An instant vector.
#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    /// When, and the value.
    value: (f64, String),
}

impl Prometheus {
    pub(super) fn new(url: Url, over: Duration, labels: [String; 2]) -> Self {
        let directly = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => true,
        };
        let how = How { patience: PATIENCE, insecure: false, directly };
        // Prometheus has what Envoy's pod labels are called there.
        let labels = labels.map(|label| label.replace(['.', '/', '-'], "_"));
        Self { agent: http::agent(&how), url, over, labels }
    }

    pub(super) fn read(&self) -> Result<Vec<Proxy>, Failure> {
        let mut proxies = BTreeMap::new();
        for family in Family::ALL {
            let metric = format!("release_track_{}", family.label());
            let query = format!("increase({metric}[{}s])", self.over.as_secs().max(1));
            self.add(&metric, &query, &mut proxies)?;
        }
        for gauge in GAUGES {
            let metric = format!("release_track_{gauge}");
            self.add(&metric, &metric, &mut proxies)?;
        }
        let proxies = proxies.into_values().map(|mut proxy| {
            proxy.state = proxy.stats.state();
            proxy
        });
        Ok(proxies.collect())
    }

    fn add(
        &self,
        metric: &str,
        query: &str,
        proxies: &mut BTreeMap<String, Proxy>,
    ) -> Result<(), Failure> {
        for Series { metric: labels, value } in self.query(query)? {
            let label = |name: &str| labels.get(name).map(String::as_str);
            let Some(read) = Metric::of_prometheus(metric, label) else { continue };
            let (_, value) = value;
            let value: f64 = value.parse().unwrap_or_default();
            // An increase is extrapolated; what is there at all is at least one.
            let value = if value > 0.0 { value.round().max(1.0) as u64 } else { 0 };
            let of = |name: &str| label(name).unwrap_or_default().to_owned();
            let namespace = of("namespace");
            let name = match label("pod").or(label("instance")) {
                Some(name) if namespace.is_empty() => name.to_owned(),
                Some(name) => format!("{namespace}/{name}"),
                None => "(without pod and instance)".to_owned(),
            };
            let [app, version] = self.labels.each_ref().map(|label| of(label));
            let proxy = proxies.entry(name.clone()).or_insert_with(|| Proxy {
                name,
                kind: Kind::Unknown,
                pod: Pod { namespace, app, version },
                state: State::Absent,
                stats: Stats::default(),
            });
            proxy.stats.add(read, value);
        }
        Ok(())
    }

    fn query(&self, query: &str) -> Result<Vec<Series>, Failure> {
        let failed = |why: String| Failure::usage(format!("{}: {why}", self.url));
        let mut url = self.url.clone();
        let segments = url.path_segments_mut().map(|mut segments| {
            segments.pop_if_empty().extend(["api", "v1", "query"]);
        });
        segments.map_err(|()| failed("not the address of a Prometheus".to_owned()))?;
        url.query_pairs_mut().append_pair("query", query);
        let response = self.agent.get(url.as_str()).call();
        let response = response.map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        let body = http::read(response, MAX_RESPONSE).map_err(|error| failed(error.to_string()))?;
        let response: Response = serde_json::from_slice(&body)
            .map_err(|_| failed(format!("it responds {status}, and not as a Prometheus")))?;
        match response.data {
            Some(data) => Ok(data.result),
            None => Err(failed(response.error)),
        }
    }
}
