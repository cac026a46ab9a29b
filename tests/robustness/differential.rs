//! The core as it runs natively, and the compiled module, on the same scenarios.
//!
//! `SEED=7 cargo test --test robustness differential` begins with other scenarios; `SCENARIOS`
//! says how many there are.

use crate::{module, say};
use exchange::{pairs, take_log, vm};
use proxy_wasm_test_host::{HeaderMap, VmConfig};
use release_track::exchange::{Exchange, Lines, Request, exchange};
use release_track::filter::Filter;
use release_track::host::Verdict;
use scenarios::Scenario;
use std::collections::BTreeMap;
use std::env;

const SCENARIOS: u64 = 3000;
/// Of these many bytes each.
const BYTES: usize = 1500;

/// Values by name, in order.
type Headers = BTreeMap<String, Vec<String>>;

/// What must be equal of an exchange; the order of headers of several names need not be.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    verdict: Verdict,
    reply: Option<(u32, String)>,
    request: Headers,
    response: Headers,
    counts: BTreeMap<String, u64>,
    calls: BTreeMap<String, usize>,
    writes: usize,
    log: Vec<(u32, String)>,
}

#[test]
fn the_native_core_and_the_module_do_the_same() {
    let number = |name: &str, default| env::var(name).map_or(default, |n| n.parse().unwrap());
    let (seed, count) = (number("SEED", 0), number("SCENARIOS", SCENARIOS));
    let (mut refused, mut requests, mut tracked) = (0, 0, 0);
    for number in 0..count {
        let mut bytes = vec![0; BYTES];
        fastrand::Rng::with_seed(seed ^ number << 32).fill(&mut bytes);
        let Some(scenario) = Scenario::from_bytes(&bytes) else {
            panic!("scenario {number}: not enough bytes");
        };
        match compare(&scenario) {
            Ok((took, all)) => {
                refused += u64::from(!took);
                requests += all.len();
                tracked += all.iter().filter(|seen| !seen.counts.is_empty()).count();
            }
            Err(differ) => panic!("SEED={seed}, scenario {number}: {differ}\n{scenario}"),
        }
    }
    say(&format!(
        "{requests} requests of {count} scenarios compared; {refused} configurations refused"
    ));
    // Else there was nothing to compare.
    assert!(refused < count / 2 && tracked > requests / 4, "{refused} refused, {tracked} counted");
}

/// Whether both take the configuration (else they refuse it in the same words, and are neutral if it
/// is the first), and what both did. `Err`: how they differ.
fn compare(scenario: &Scenario) -> Result<(bool, Vec<Seen>), String> {
    let mut native = scenario.proxy();
    let vm = vm(module(), &native, VmConfig { trial: false, ..VmConfig::default() }).unwrap();
    let filter = Filter::configure(&mut native, scenario.config.as_bytes());
    let plugin = vm.configure(&scenario.config);
    equal("log", &release_track::exchange::take_log(), &take_log(vm.host()))?;
    let (filter, plugin) = match (filter, plugin) {
        (Some(filter), Ok(plugin)) => (filter, plugin),
        (None, Err(_)) if vm.trap().is_none() => return Ok((false, Vec::new())),
        (_, plugin) => return Err(format!("the configuration: {:?}", plugin.map(|_| ()).err())),
    };
    let mut all = Vec::new();
    for (number, request) in scenario.requests.iter().enumerate() {
        // What the module draws is the native core's too: an identity, a trace and its span.
        native.drawn = vm
            .host()
            .next_random(4 * 16)
            .chunks(16)
            .filter_map(|bytes| bytes.try_into().ok())
            .collect();
        let by_module = Seen::of(exchange::exchange(&plugin, request).0);
        let natively = Seen::of(exchange(&filter, &mut native, &as_envoy_keeps(request)));
        equal(&format!("request {number}"), &natively, &by_module)?;
        all.push(natively);
    }
    let shared = vm.host().all_shared_data("").into_iter().map(|(key, entry)| (key, entry.0));
    let natively = native.shared.iter().map(|(key, (value, _))| (key.clone(), value.clone()));
    equal("shared data", &natively.collect::<Vec<_>>(), &shared.collect())?;
    match vm.trap() {
        Some(trap) => Err(trap.to_string()),
        None => Ok((!filter.is_neutral(), all)),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("{what}: natively {one:#?}\nthe module: {other:#?}"))
}

impl Seen {
    fn of(exchange: Exchange) -> Self {
        let Exchange {
            verdict,
            request,
            reply,
            response,
            counts,
            mut calls,
            writes,
            log,
            steps: _,
        } = exchange;
        // Natively the log is no hostcall. Its lines are compared.
        calls.remove("log");
        let mut response = by_name(&response);
        if reply.is_some() {
            // The proxy's own.
            response.retain(|name, _| !name.starts_with("content-"));
        }
        Self { verdict, reply, request: by_name(&request), response, counts, calls, writes, log }
    }
}

/// Envoy joins the lines of some headers, and so does the test host.
fn as_envoy_keeps(request: &Request) -> Request {
    Request {
        headers: exchange::lines(&HeaderMap::of_request(pairs(&request.headers))),
        response: exchange::lines(&HeaderMap::of_response(pairs(&request.response))),
        ..request.clone()
    }
}

fn by_name(lines: &Lines) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.entry(text(name)).or_default().push(text(value));
    }
    headers
}

/// For people to read, too.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
