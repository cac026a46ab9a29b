//! The core as it runs natively, and the compiled module, on the same scenarios.
//!
//! `SEED=7 cargo test --test robustness differential` begins with other scenarios; `SCENARIOS`
//! says how many there are.

use crate::{module, say};
use proxy_wasm_test_host::{HeaderMap, Host, LogLevel, Outcome, Plugin, Stream, VmConfig};
use release_track::filter::Filter;
use release_track::host::Verdict;
use release_track::host::fake::{self, FakeHost};
use release_track::plan::Response;
use scenarios::{Lines, Scenario, Step};
use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

const SCENARIOS: u64 = 3000;
/// Of these many bytes each.
const BYTES: usize = 1500;

/// Values by name, in order.
type Headers = BTreeMap<String, Vec<String>>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Status and body, if the proxy answered itself.
    replied: Option<(u32, String)>,
    request: Headers,
    answer: Headers,
    /// All counters so far that are not zero.
    counted: BTreeMap<String, u64>,
    /// Level and text.
    logged: Vec<(u32, String)>,
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
            Ok(None) => refused += 1,
            Ok(Some(steps)) => {
                requests += scenario.steps.len();
                tracked += steps.iter().filter(|seen| !seen.counted.is_empty()).count();
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

/// `Ok(None)`: both refuse the configuration, in the same words. `Err`: how they differ.
fn compare(scenario: &Scenario) -> Result<Option<Vec<Seen>>, String> {
    let mut native = FakeHost::node(scenario.node, &scenario.labels);
    native.now_ms = scenario.now_ms;
    let set = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    native.environment = scenario.environment.iter().map(set).collect();
    let host = Host::new();
    host.set_time(Duration::from_millis(scenario.now_ms));
    host.set_node(scenario.node, scenario.labels);
    let environment = scenario.environment.iter().map(set).collect();
    let config = VmConfig { environment, trial: false, ..VmConfig::default() };
    let vm = host.vm_with(module(), config).unwrap();

    let filter = Filter::configure(&mut native, scenario.config.as_bytes());
    let plugin = vm.configure(&scenario.config);
    let (one, other) = (native_log(), module_log(&host));
    equal("log", &one, &other)?;
    let (filter, plugin) = match (filter, plugin) {
        (Some(filter), Ok(plugin)) => (filter, plugin),
        (None, Err(_)) if vm.trap().is_none() => return Ok(None),
        (_, plugin) => return Err(format!("the configuration: {:?}", plugin.map(|_| ()).err())),
    };
    let mut all = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let by_module = in_module(&plugin, step);
        // The ids that the module draws are the native core's too.
        if let Some(drawn) = drawn(&by_module.answer) {
            native.random = drawn.wrapping_sub(1);
        }
        let natively = natively(&mut native, &filter, step);
        equal(&format!("step {number}"), &natively, &by_module)?;
        all.push(natively);
    }
    let shared = host.all_shared_data("").into_iter().map(|(key, entry)| (key, entry.0));
    let natively = native.shared.iter().map(|(key, (value, _))| (key.clone(), value.clone()));
    equal("shared data", &natively.collect::<Vec<_>>(), &shared.collect())?;
    match vm.trap() {
        Some(trap) => Err(trap.to_string()),
        None => Ok(Some(all)),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("{what}: natively {one:#?}\nthe module: {other:#?}"))
}

// === The module ===

fn in_module(plugin: &Plugin, step: &Step) -> Seen {
    let host = plugin.vm().host();
    host.advance(Duration::from_millis(step.after_ms));
    let mut stream: Stream = plugin.stream();
    stream.set_property("xds.listener_direction", step.direction);
    stream.set_property("connection.mtls", step.mtls);
    if let Some(cluster) = step.cluster {
        stream.set_property("xds.cluster_name", cluster);
    }
    let mut seen = Seen::default();
    match stream.request_headers(pairs(&step.request), true) {
        Outcome::Continue => {
            stream.response_headers(pairs(&step.answer), true);
        }
        Outcome::Reply(reply) => seen.replied = Some((reply.status.into(), text(&reply.body))),
        Outcome::Pause => seen.replied = Some((0, String::new())),
    }
    stream.end();
    seen.request = by_name(stream.request().iter());
    seen.answer = by_name(stream.response().iter());
    if seen.replied.is_some() {
        // The proxy's own.
        seen.answer.retain(|name, _| !name.starts_with("content-"));
    }
    let metrics = host.metrics();
    let counters = metrics.counters().filter(|(_, count)| *count > 0);
    seen.counted = counters.map(|(name, count)| (text(name), count)).collect();
    seen.logged = module_log(host);
    seen
}

fn module_log(host: &Host) -> Vec<(u32, String)> {
    let level = |level: LogLevel| level as u32;
    host.take_logs().iter().map(|line| (level(line.level), text(&line.message))).collect()
}

/// The identity in a cookie that was set for a year: 128 bits in hex.
fn drawn(answer: &Headers) -> Option<u128> {
    let mut cookies = answer.get("set-cookie")?.iter();
    cookies.find_map(|cookie| {
        let cookie = cookie.contains("; Max-Age=31536000;").then_some(cookie)?;
        let (_, value) = cookie.split(';').next()?.split_once('=')?;
        u128::from_str_radix(value, 16).ok()
    })
}

// === The native core ===

fn natively(host: &mut FakeHost, filter: &Filter, step: &Step) -> Seen {
    let mut property = |name: &str, value: Option<Vec<u8>>| match value {
        Some(value) => host.properties.insert(name.into(), value),
        None => host.properties.remove(name.as_bytes()),
    };
    property("xds\0listener_direction", Some(step.direction.to_le_bytes().into()));
    property("xds\0cluster_name", step.cluster.map(Into::into));
    property("connection\0mtls", Some(vec![step.mtls.into()]));
    host.now_ms += step.after_ms;
    let lines = |map: HeaderMap| map.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
    host.headers = lines(HeaderMap::of_request(pairs(&step.request)));
    host.replied = None;
    let mut answer = Response::default();
    let replied = match filter.on_request(host, &mut answer) {
        Verdict::Continue => None,
        Verdict::Replied => {
            let (status, body) = host.replied.take().unwrap_or_default();
            Some((status, text(body.as_bytes())))
        }
    };
    host.response = lines(match &replied {
        None => HeaderMap::of_response(pairs(&step.answer)),
        Some((status, _)) => HeaderMap::of_response([(":status", status.to_string())]),
    });
    filter.on_response(host, &answer);
    let borrowed = |lines: &[(Vec<u8>, Vec<u8>)]| by_name(lines.iter().map(|(n, v)| (&**n, &**v)));
    let counted = host.counted().into_iter();
    Seen {
        replied,
        request: borrowed(&host.headers),
        answer: borrowed(&host.response),
        counted: counted.map(|(name, count)| (text(name.as_bytes()), count)).collect(),
        logged: native_log(),
    }
}

fn native_log() -> Vec<(u32, String)> {
    // As Proxy-Wasm numbers levels: from trace, 0, to error, 4.
    let level = |level: log::Level| 5 - level as u32;
    let lines = fake::logged().into_iter();
    lines.map(|(at, line)| (level(at), text(line.as_bytes()))).collect()
}

fn pairs(lines: &Lines) -> impl Iterator<Item = (&str, &[u8])> {
    lines.iter().map(|(name, value)| (&**name, &**value))
}

fn by_name<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Headers {
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
