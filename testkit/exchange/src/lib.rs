//! An exchange with the compiled module in the test host, in the types in which the core tells
//! its own ([`release_track::exchange`]), so that the two can be compared; and [cases](case) as
//! exchanges.

#![forbid(unsafe_code)]

pub mod case;

use proxy_wasm_test_host::{
    Callback, Error, HeaderMap, Host, Journal, Module, Outcome, Plugin, Stream, Vm, VmConfig,
};
use release_track::exchange::{Exchange, Lines, Log, Request};
use release_track::host::Verdict;
use release_track::host::fake::FakeHost;
use std::collections::BTreeMap;
use std::time::Duration;

/// `make build` leaves it there.
pub const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/release-track.wasm");

/// The compiled module.
///
/// # Errors
/// In words: it is missing, or no module.
pub fn module() -> Result<Module, String> {
    Module::from_file(MODULE).map_err(|error| format!("{error}; `make build` makes the module"))
}

/// A VM on a host that is like a fake one: its properties, time and environment.
///
/// # Errors
/// As [`Host::vm_with`].
pub fn vm(module: &Module, like: &FakeHost, config: VmConfig) -> Result<Vm, Error> {
    let host = Host::new();
    host.set_time(Duration::from_millis(like.now_ms));
    for (path, value) in &like.properties {
        let path = text(path);
        let path: Vec<_> = path.split('\0').collect();
        host.set_property(&path[..], &value[..]);
    }
    let environment = like.environment.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    host.vm_with(module, VmConfig { environment, ..config })
}

/// A stream for a request, whose headers are still to come.
#[must_use]
pub fn open(plugin: &Plugin, request: &Request) -> Stream {
    plugin.vm().host().advance(Duration::from_millis(request.after_ms));
    let mut stream = plugin.stream();
    stream.set_property("xds.listener_direction", request.direction);
    stream.set_property("connection.mtls", request.mtls);
    for (path, value) in &request.properties {
        let path = text(path);
        let path: Vec<_> = path.split('\0').collect();
        stream.set_property(&path[..], &value[..]);
    }
    choose_route(&mut stream, request, &request.headers);
    stream
}

/// As Envoy does when a request arrives, and again once a header was written.
fn choose_route(stream: &mut Stream, request: &Request, headers: &Lines) {
    let is_tracked = || headers.iter().any(|(name, _)| name == b"x-release-track");
    let tracked = request.tracked_cluster.as_ref().filter(|_| is_tracked());
    if let Some(other) = &request.cluster {
        stream.set_property("xds.cluster_name", tracked.unwrap_or(other).as_str());
    }
}

/// The request's headers arrive.
pub fn send(stream: &mut Stream, request: &Request) -> Outcome {
    stream.request_headers(pairs(&request.headers), true)
}

/// The headers of the upstream's response arrive.
pub fn respond(stream: &mut Stream, request: &Request) -> Outcome {
    if request.tracked_cluster.is_some() {
        let headers = lines(&stream.request());
        choose_route(stream, request, &headers);
    }
    stream.response_headers(pairs(&request.response), true)
}

/// A whole exchange, and the journal of all its callbacks. A log that nobody has taken before is
/// taken with it.
#[must_use]
pub fn exchange(plugin: &Plugin, request: &Request) -> (Exchange, Journal) {
    let vm = plugin.vm();
    let before = counters(vm.host());
    vm.open_journal();
    let mut stream = open(plugin, request);
    let outcome = send(&mut stream, request);
    if outcome == Outcome::Continue {
        respond(&mut stream, request);
    }
    stream.end();
    let journal = vm.close_journal();
    let grown = |(name, count): (String, u64)| {
        let by = count - before.get(&name).copied().unwrap_or_default();
        (by > 0).then_some((name, by))
    };
    let exchange = Exchange {
        verdict: match outcome {
            Outcome::Continue => Verdict::Continue,
            Outcome::Pause | Outcome::Reply(_) => Verdict::Replied,
        },
        request: lines(&stream.request()),
        response: lines(&stream.response()),
        reply: match outcome {
            Outcome::Continue | Outcome::Pause => None,
            Outcome::Reply(reply) => Some((reply.status.into(), text(&reply.body))),
        },
        counts: counters(vm.host()).into_iter().filter_map(grown).collect(),
        calls: calls(&journal.of(Callback::RequestHeaders)),
        writes: stream.route_cache_clears(),
        log: take_log(vm.host()),
        steps: Vec::new(),
    };
    (exchange, journal)
}

/// How often each hostcall was made, by its name as [`FakeHost::calls`] has it.
#[must_use]
pub fn calls(journal: &Journal) -> BTreeMap<String, usize> {
    let name =
        |name: &str| name.trim_start_matches("proxy_").trim_end_matches("_nanoseconds").into();
    journal.counts().into_iter().map(|(call, count)| (name(call), count)).collect()
}

/// What has been logged since it was last taken.
#[must_use]
pub fn take_log(host: &Host) -> Log {
    host.take_logs().iter().map(|line| (line.level as u32, text(&line.message))).collect()
}

#[must_use]
pub fn lines(headers: &HeaderMap) -> Lines {
    headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Lines as the test host takes them.
pub fn pairs(lines: &Lines) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.iter().map(|(name, value)| (&**name, &**value))
}

fn counters(host: &Host) -> BTreeMap<String, u64> {
    host.metrics().counters().map(|(name, count)| (text(name), count)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
