//! The core on a proxy that is not there, and the module on an Envoy that is not there, on the same
//! scenarios.

use crate::abi::fake::{self, Envoy};
use crate::node::Node;
use release_track::exchange::{Exchange, Request, exchange};
use release_track::filter::Filter;
use release_track::istio::peer;
use release_track::istio::stats::Stat;
use scenarios::Scenario;
use std::collections::BTreeMap;
use std::mem::take;

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
        (envoy.caller, envoy.endpoint) = (None, None);
        for (path, value) in &request.properties {
            let value = String::from_utf8_lossy(value);
            if path == peer::ENDPOINT {
                envoy.endpoint = Some(value.into());
            } else if let Some(field) = path.strip_prefix(b"filter_state\0downstream_peer\0") {
                let caller = envoy.caller.get_or_insert_with(|| "type=deployment".into());
                caller.push_str(&format!(",{}={value}", String::from_utf8_lossy(field)));
            }
        }
    });
}

/// What must be equal of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    reply: Option<(u32, String)>,
    /// If there is no reply.
    request: fake::Lines,
    /// Without the status of a reply.
    response: fake::Lines,
    counts: BTreeMap<String, u64>,
    /// How often the route is chosen again: once, if a header of the request was written.
    reroutes: usize,
}

/// What both did.
#[derive(Debug, Default)]
pub struct Same {
    /// They take the configuration, else they are neutral.
    pub took: bool,
    pub seen: Vec<Seen>,
    /// Questions for a waypoint's caller and endpoint.
    pub asked: usize,
    /// Calls of Envoy that could have failed.
    pub calls: usize,
}

/// # Errors
/// Where they differ.
pub fn compare(scenario: &Scenario) -> Result<Same, String> {
    fake::begin(envoy(scenario));
    let config = fake::configure("release-track", &scenario.config);
    let mut proxy = scenario.proxy();
    let filter = Filter::configure(&mut proxy, scenario.config.as_bytes());
    let (config, filter) = match (config, filter) {
        (Some(config), Some(filter)) => (config, filter),
        (None, None) => return Ok(Same::default()),
        (config, _) => return Err(format!("only one takes it: the module: {}", config.is_some())),
    };
    let mut seen = Vec::new();
    for (number, request) in scenario.requests.iter().enumerate() {
        let by_core = Seen::of(exchange(&filter, &mut proxy, request));
        receive(request);
        fake::with(|envoy| envoy.metrics.clear());
        config.pass_lines(&request.headers, &request.response);
        let by_module = Seen::by_module();
        if by_core != by_module {
            return Err(format!("request {number}: {by_core:#?}\nthe module: {by_module:#?}"));
        }
        seen.push(by_core);
    }
    let (asked, calls) = fake::with(|envoy| (envoy.asked_for_peers, envoy.calls));
    if asked > 0 && !scenario.node.starts_with("waypoint~") {
        return Err(format!("it is no waypoint, and asks for {asked} peers"));
    }
    Ok(Same { took: !filter.is_neutral(), seen, asked, calls })
}

impl Seen {
    fn of(exchange: Exchange) -> Self {
        let Exchange { request, reply, mut response, counts, writes, .. } = exchange;
        let reroutes = usize::from(reply.is_none() && writes > 0);
        if reply.is_some() {
            response.retain(|(name, _)| name != b":status");
        }
        let request = if reply.is_some() { Vec::new() } else { request };
        let short = |(name, by): (String, u64)| {
            (Stat::parse(&name).map_or_else(|| name.clone(), |stat| stat.short()), by)
        };
        let counts = counts.into_iter().map(short).collect();
        Self { reply, request, response, counts, reroutes }
    }

    fn by_module() -> Self {
        let (request, response, reply, reroutes) = fake::with(|envoy| {
            let (request, response) = (take(&mut envoy.request), take(&mut envoy.response));
            (request, response, envoy.reply.take(), envoy.reroutes)
        });
        let metrics = fake::with(|envoy| take(&mut envoy.metrics));
        let counts = metrics.into_iter().filter_map(|(name, by)| {
            let (family, labels) = name.strip_prefix("release_track.")?.split_once(' ')?;
            let family = family.strip_suffix("_total")?;
            let values = labels.split(' ').filter_map(|label| Some(label.split_once('=')?.1));
            let words: Vec<_> = std::iter::once(family).chain(values).collect();
            (by > 0).then(|| (words.join(" "), by))
        });
        let counts = counts.collect();
        match reply {
            Some((status, response, body)) => {
                let reply = Some((status, body));
                Self { reply, request: Vec::new(), response, counts, reroutes }
            }
            None => Self { reply: None, request, response, counts, reroutes },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SCENARIOS: u64 = 1000;
    /// Of these many bytes each.
    const BYTES: usize = 1500;

    pub(crate) fn scenario(number: u64) -> Scenario {
        let mut bytes = vec![0; BYTES];
        fastrand::Rng::with_seed(number << 32).fill(&mut bytes);
        Scenario::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_core_and_the_module_do_the_same() {
        let (mut refused, mut tracked, mut replied, mut rerouted, mut asked) = (0, 0, 0, 0, 0);
        for number in 0..SCENARIOS {
            let scenario = scenario(number);
            let Same { took, seen, asked: of_peers, .. } =
                compare(&scenario).unwrap_or_else(|differ| {
                    panic!("scenario {number}: {differ}\n{scenario}");
                });
            refused += u64::from(!took);
            asked += of_peers;
            for seen in seen {
                tracked += u64::from(!seen.counts.is_empty());
                replied += u64::from(seen.reply.is_some());
                rerouted += seen.reroutes;
            }
        }
        // Else there was nothing to compare.
        assert!(refused < SCENARIOS / 2 && tracked > SCENARIOS / 2, "{refused} {tracked}");
        assert!(replied > 0 && rerouted > 0 && asked > 0, "{replied} {rerouted} {asked}");
    }
}
