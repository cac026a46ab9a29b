//! A cluster, through kubectl: whoever may ask has a login there already.
//!
//! The API server asks the pods in our place (`pods/proxy`): their agents, which have the metrics of
//! the proxy beside their own.

use super::exposition::samples;
use super::proxy::{FILTER, Proxy, State, Stats, settle};
use super::source::each;
use crate::failure::Failure;
use release_track::istio::node::{Kind, Pod};
use release_track::istio::stats::Metric;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use url::form_urlencoded;

/// Where Istio's agent serves metrics (`status/server.go`).
const AGENT_PORT: u16 = 15_020;
const PROXY: &str = "istio-proxy";
const PATIENCE: &str = "--request-timeout=20s";
/// In one response.
const MOST_PODS: usize = 500;

pub(super) struct Cluster {
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) context: Option<String>,
    /// All, if there is none.
    pub(super) namespaces: Vec<String>,
    /// The pod labels that name a workload.
    pub(super) labels: [String; 2],
}

/// `v1.PodList`
#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<ApiPod>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    rest: String,
}

#[derive(Deserialize)]
struct ApiPod {
    metadata: ObjectMeta,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectMeta {
    name: String,
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    phase: String,
}

impl ApiPod {
    /// A sidecar may be an init container that goes on (Kubernetes 1.29).
    fn proxy(&self) -> Option<&Container> {
        let PodSpec { containers, init_containers } = &self.spec;
        let is_up = self.status.phase == "Running" && self.metadata.deletion_timestamp.is_none();
        let mut all = containers.iter().chain(init_containers).filter(|_| is_up);
        all.find(|container| container.name == PROXY)
    }
}

impl Cluster {
    pub(super) fn read(&self) -> Result<Vec<Proxy>, Failure> {
        let paths: Vec<_> = match &*self.namespaces {
            [] => vec!["/api/v1/pods".to_owned()],
            some => some.iter().map(|name| format!("/api/v1/namespaces/{name}/pods")).collect(),
        };
        let mut pods = Vec::new();
        for path in paths {
            let mut rest = String::new();
            loop {
                let page = form_urlencoded::Serializer::new(String::new())
                    .append_pair("limit", &MOST_PODS.to_string())
                    .append_pair("continue", &rest)
                    .finish();
                let list = self.get(&format!("{path}?{page}")).map_err(Failure::usage)?;
                let list: PodList = serde_json::from_slice(&list)
                    .map_err(|error| Failure::usage(format!("{path}: {error}")))?;
                pods.extend(list.items.into_iter().filter(|pod| pod.proxy().is_some()));
                rest = list.metadata.rest;
                if rest.is_empty() {
                    break;
                }
            }
        }
        let mut proxies = each(&pods, |pod| self.proxy(pod));
        settle(&mut proxies);
        Ok(proxies)
    }

    fn proxy(&self, pod: &ApiPod) -> Proxy {
        let ObjectMeta { name, namespace, labels, .. } = &pod.metadata;
        let filter = form_urlencoded::byte_serialize(FILTER.as_bytes()).collect::<String>();
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{name}:{AGENT_PORT}/proxy/stats/prometheus?filter={filter}"
        );
        let mut stats = Stats::default();
        let state = match self.get(&path) {
            Ok(text) => {
                for sample in samples(&String::from_utf8_lossy(&text)) {
                    let value = sample.value as u64;
                    match Metric::of_prometheus(sample.name, |label| sample.label(label)) {
                        Some(metric) => stats.add(metric, value),
                        None => stats.add_other(sample.name, sample.label("result"), value),
                    }
                }
                stats.state()
            }
            Err(why) => State::Silent(why),
        };
        let mut words = pod.proxy().into_iter().flat_map(|proxy| &proxy.args);
        let kind = words.find_map(|word| match Kind::parse(word) {
            Kind::Unknown => None,
            kind => Some(kind),
        });
        let label = |name: &String| labels.get(name).cloned().unwrap_or_default();
        let [app, version] = self.labels.each_ref().map(label);
        Proxy {
            name: format!("{namespace}/{name}"),
            kind: kind.unwrap_or(Kind::Unknown),
            pod: Pod { namespace: namespace.clone(), app, version },
            state,
            stats,
        }
    }

    /// What the API server has under a path.
    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut kubectl = Command::new("kubectl");
        if let Some(file) = &self.kubeconfig {
            kubectl.arg("--kubeconfig").arg(file);
        }
        if let Some(context) = &self.context {
            kubectl.args(["--context", context]);
        }
        let output = kubectl.args([PATIENCE, "get", "--raw", path]).output();
        let output = output.map_err(|error| format!("kubectl: {error}"))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("kubectl: {}", said.trim().replace('\n', "; ")))
    }
}
