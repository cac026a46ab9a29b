//! The core on a proxy that is not there, and the module on an Envoy that is not there, on the same
//! scenarios.

use crate::abi::fake::{self, Envoy};
use crate::node::Node;
use release_track::exchange::{Exchange, Request, exchange};
use release_track::filter::Filter;
use release_track::istio::stats::Stat;
use scenarios::Scenario;
use std::collections::BTreeMap;

const SCENARIOS: u64 = 1000;
/// Of these many bytes each.
const BYTES: usize = 1500;

#[test]
fn the_core_and_the_module_do_the_same() {
    let (mut refused, mut tracked, mut replied) = (0, 0, 0);
    for number in 0..SCENARIOS {
        let scenario = scenario(number);
        let (took, all) = compare(&scenario).unwrap_or_else(|differ| {
            panic!("scenario {number}: {differ}\n{scenario}");
        });
        refused += u64::from(!took);
        for seen in all {
            tracked += u64::from(!seen.counts.is_empty());
            replied += u64::from(seen.reply.is_some());
        }
    }
    // Else there was nothing to compare.
    assert!(
        refused < SCENARIOS / 2 && tracked > SCENARIOS / 2 && replied > 0,
        "{refused} {tracked}"
    );
}

pub(crate) fn scenario(number: u64) -> Scenario {
    let mut bytes = vec![0; BYTES];
    fastrand::Rng::with_seed(number << 32).fill(&mut bytes);
    Scenario::from_bytes(&bytes).unwrap()
}

/// The Envoy of a scenario.
pub(crate) fn envoy(scenario: &Scenario) -> Envoy {
    let environment = scenario.environment.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    Envoy {
        node: Node::new(scenario.node, &scenario.labels),
        environment: environment.collect(),
        now_ms: scenario.now_ms,
        ..Envoy::default()
    }
}

/// What it knows when this request comes.
pub(crate) fn receive(request: &Request) {
    fake::with(|envoy| {
        envoy.now_ms += request.after_ms;
        envoy.direction = Some(request.direction as u64);
        (envoy.cluster, envoy.mtls) = (request.cluster.clone(), request.mtls);
        envoy.tracked_cluster = request.tracked_cluster.clone();
    });
}

/// What must be equal of an exchange.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    reply: Option<(u32, String)>,
    /// If there is no reply.
    request: fake::Lines,
    /// Without the status of a reply.
    response: fake::Lines,
    counts: BTreeMap<String, u64>,
}

/// Whether both take the configuration (else they are neutral), and what both did.
fn compare(scenario: &Scenario) -> Result<(bool, Vec<Seen>), String> {
    fake::begin(envoy(scenario));
    let config = fake::configure("release-track", &scenario.config);
    let mut proxy = scenario.proxy();
    let filter = Filter::configure(&mut proxy, scenario.config.as_bytes());
    let (config, filter) = match (config, filter) {
        (Some(config), Some(filter)) => (config, filter),
        (None, None) => return Ok((false, Vec::new())),
        (config, _) => return Err(format!("only one takes it: the module: {}", config.is_some())),
    };
    let mut all = Vec::new();
    for (number, request) in scenario.requests.iter().enumerate() {
        let by_core = Seen::of(exchange(&filter, &mut proxy, request));
        receive(request);
        let before = fake::with(|envoy| envoy.metrics.clone());
        config.pass_lines(&request.headers, &request.response);
        let by_module = Seen::by_module(&before);
        if by_core != by_module {
            return Err(format!("request {number}: {by_core:#?}\nthe module: {by_module:#?}"));
        }
        all.push(by_core);
    }
    Ok((!filter.is_neutral(), all))
}

impl Seen {
    fn of(exchange: Exchange) -> Self {
        let Exchange { request, reply, mut response, counts, .. } = exchange;
        if reply.is_some() {
            response.retain(|(name, _)| name != b":status");
        }
        let request = if reply.is_some() { Vec::new() } else { request };
        let short = |(name, by): (String, u64)| (Stat::parse(&name).unwrap().short(), by);
        Self { reply, request, response, counts: counts.into_iter().map(short).collect() }
    }

    fn by_module(before: &BTreeMap<String, u64>) -> Self {
        let Envoy { request, response, reply, metrics, .. } = fake::with(|envoy| envoy.clone());
        let counts = metrics.into_iter().filter_map(|(name, count)| {
            let by = count - before.get(&name).copied().unwrap_or_default().min(count);
            let (family, labels) = name.strip_prefix("release_track.")?.split_once(' ')?;
            let family = family.strip_suffix("_total")?;
            let values = labels.split(' ').filter_map(|label| Some(label.split_once('=')?.1));
            let words: Vec<_> = std::iter::once(family).chain(values).collect();
            (by > 0).then(|| (words.join(" "), by))
        });
        let counts = counts.collect();
        match reply {
            Some((status, response, body)) => {
                Self { reply: Some((status, body)), request: Vec::new(), response, counts }
            }
            None => Self { reply: None, request, response, counts },
        }
    }
}
