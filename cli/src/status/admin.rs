//! Envoys' own administration.
//!
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin>

use super::proxy::{FILTER, Proxy, State, Stats};
use super::source::each;
use crate::http::{self, How};
use release_track::istio::node::{Kind, Pod};
use release_track::istio::stats::Metric;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::Agent;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(20);
const MAX_RESPONSE: u64 = 256 << 20;

pub(super) struct Admin {
    agent: Agent,
    addresses: Vec<Url>,
    /// The pod labels that name a workload.
    labels: [String; 2],
}

/// `/server_info`
#[derive(Deserialize)]
struct ServerInfo {
    node: Node,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    id: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, rename = "LABELS")]
    labels: BTreeMap<String, String>,
}

/// `/stats?format=json`
#[derive(Deserialize)]
struct AllStats {
    stats: Vec<OneStat>,
}

/// Histograms have no name.
#[derive(Deserialize)]
struct OneStat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Value,
}

impl Admin {
    pub(super) fn new(addresses: Vec<Url>, labels: [String; 2]) -> Self {
        let how = How { patience: PATIENCE, insecure: false, directly: true };
        Self { agent: http::agent(&how), addresses, labels }
    }

    pub(super) fn read(&self) -> Vec<Proxy> {
        each(&self.addresses, |address| {
            self.ask_all(address).unwrap_or_else(|why| Proxy {
                name: words(address),
                kind: Kind::Unknown,
                pod: Pod::default(),
                state: State::Silent(why),
                stats: Stats::default(),
            })
        })
    }

    fn ask_all(&self, address: &Url) -> Result<Proxy, String> {
        let Node { id, metadata } = self.ask::<ServerInfo>(address, "server_info", &[])?.node;
        let filter = [("format", "json"), ("filter", FILTER)];
        let mut stats = Stats::default();
        for OneStat { name, value } in self.ask::<AllStats>(address, "stats", &filter)?.stats {
            let Some(value) = value.as_u64() else { continue };
            match Metric::parse(&name) {
                Some(metric) => stats.add(metric, value),
                None => stats.add_other(&name.replace('.', "_"), None, value),
            }
        }
        let dump = self.ask(address, "config_dump", &[("resource", "ecds_filters")]);
        // An Envoy that discovers nothing has no such part.
        let state = dump.ok().as_ref().and_then(stand_in).unwrap_or_else(|| stats.state());
        let mut fields = id.split('~');
        let kind = Kind::parse(fields.next().unwrap_or_default());
        let pod = fields.nth(1).unwrap_or_default();
        let (pod, namespace) = pod.rsplit_once('.').unwrap_or((pod, ""));
        let label = |name: &String| metadata.labels.get(name).cloned().unwrap_or_default();
        let [app, version] = self.labels.each_ref().map(label);
        let name = match pod {
            "" => words(address),
            pod => format!("{namespace}/{pod}"),
        };
        let pod = Pod { namespace: namespace.to_owned(), app, version };
        Ok(Proxy { name, kind, pod, state, stats })
    }

    fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        address: &Url,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, String> {
        let mut url = address.clone();
        // An address is no `mailto:`.
        url.path_segments_mut().expect("it is http").pop_if_empty().push(path);
        url.query_pairs_mut().extend_pairs(query);
        let response = self.agent.get(url.as_str()).call().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => {}
            status => return Err(format!("it responds {status} to {path}")),
        }
        let body = http::read(response, MAX_RESPONSE).map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))
    }
}

/// `HOST:PORT`
fn words(address: &Url) -> String {
    address.as_str().trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// What an agent has put in the filter's place (Istio: `pkg/wasm/convert.go`).
fn stand_in(dump: &Value) -> Option<State> {
    let filters = dump["configs"].as_array()?.iter().map(|config| &config["ecds_filter"]);
    let mut prefixes =
        filters.filter_map(|filter| filter["typed_config"]["rules_stat_prefix"].as_str());
    prefixes.find_map(|prefix| match prefix {
        "wasm-default-deny" => Some(State::NotFetched { refuses: Some(true) }),
        "wasm-default-allow" => Some(State::NotFetched { refuses: Some(false) }),
        _ => None,
    })
}
