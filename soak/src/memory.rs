//! Whether the memory of each Envoy stays flat: in a phase without updates, at rest, next to a mesh
//! without the filter.

use crate::options::Options;
use crate::stage;
use anyhow::Result;
use demo::counters::deployment;
use demo::load;
use demo::stage::{Project, Stage};
use demo::weather::Forward;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// By how much an Envoy may grow beyond one without the filter, after the first tenth.
const ALLOWED: i64 = 2 << 20;

/// Memory is compared over this part of all requests, once per mesh.
const PART: u64 = 10;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Each with an id of its own, through each of the two meshes.
    pub(crate) requests: u64,
    pub(crate) pods: Vec<Pod>,
}

/// Resident memory in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    pub(crate) pod: String,
    pub(crate) after_a_tenth: u64,
    pub(crate) at_the_end: u64,
    pub(crate) without_the_filter_after_a_tenth: u64,
    pub(crate) without_the_filter_at_the_end: u64,
}

impl Pod {
    pub(crate) fn is_flat(&self) -> bool {
        let grown = |from: u64, to: u64| to as i64 - from as i64;
        let with = grown(self.after_a_tenth, self.at_the_end);
        let without =
            grown(self.without_the_filter_after_a_tenth, self.without_the_filter_at_the_end);
        with <= without.max(0) + ALLOWED
    }
}

/// Sends the same requests through both, trace ids among them, which the filter remembers.
pub(crate) async fn compare(
    with: &mut Stage,
    project: &Project,
    options: &Options,
) -> Result<Report> {
    let forward = Forward::Trace;
    let requests = options.requests / PART;
    let mut without = stage::start(project.clone(), false).await?;
    let mut sizes = Vec::new();
    for meshed in [with, &mut without] {
        for part in [requests / 10, requests - requests / 10] {
            let load = stage::load(meshed, options, forward, part)?;
            load::run(&load, |_| ()).await?;
            sizes.push(at_rest(meshed).await);
        }
    }
    without.stop().await;
    let of = |sizes: &BTreeMap<String, u64>, pod| sizes.get(pod).copied().unwrap_or_default();
    let [tenth, end, without_tenth, without_end] = &sizes[..] else { unreachable!() };
    let pods = end.keys().map(|pod| Pod {
        pod: pod.clone(),
        after_a_tenth: of(tenth, pod),
        at_the_end: of(end, pod),
        without_the_filter_after_a_tenth: of(without_tenth, pod),
        without_the_filter_at_the_end: of(without_end, pod),
    });
    Ok(Report { requests, pods: pods.collect() })
}

async fn at_rest(stage: &Stage) -> BTreeMap<String, u64> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pods = stage.mesh().pods().iter();
    pods.filter_map(|pod| {
        let size = pod.envoy()?.process().resident_memory()?;
        Some((deployment(pod.name()).to_owned(), size))
    })
    .collect()
}
