//! Each hostcall of each case fails with each status, one at a time.
//!
//! Whatever the proxy answers, the filter never traps, and the request goes on: to the upstream,
//! or to the client with the 421 that `isolation: enforce` asks for. WASI and the allocation of
//! memory never fail here.

use crate::{module, say};
use cases::{Act, Bindings, Case};
use exchange::{case, exchange, lines, open, pairs, respond, send, vm};
use proxy_wasm_test_host::{Call, HeaderMap, Outcome, Plugin, Status, Vm, VmConfig};
use release_track::carrier::{baggage, mint};
use release_track::exchange::{Lines, Request};
use release_track::host::Verdict;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lines that the filter may write, whatever the configuration. `header` names one more.
const OURS: [&str; 8] = [
    "x-release-track",
    "baggage",
    "x-request-id",
    "cookie",
    ":path",
    "set-cookie",
    "cache-control",
    "vary",
];

#[test]
fn a_request_survives_every_status_of_every_call() {
    let tried = AtomicUsize::new(0);
    let cases = cases::load(cases::FOLDER).unwrap();
    let wrong = each(&cases, |case| {
        let Act::Requests(steps) = &case.act else { return Vec::new() };
        let request = |step| case::request(step, &Bindings::default());
        let requests: Vec<_> = steps.iter().map(request).collect();
        let mut wrong = Vec::new();
        for number in 0..requests.len() {
            let faults = Faults::new(case, &requests, number);
            wrong.extend(faults.run());
            tried.fetch_add(faults.tried.get(), Ordering::Relaxed);
        }
        wrong
    });
    say(&format!("{} faults of hostcalls tried in requests and answers", tried.into_inner()));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_configuration_survives_every_status_of_every_call() {
    let tried = AtomicUsize::new(0);
    let mut seen = BTreeSet::new();
    let mut cases = cases::load(cases::FOLDER).unwrap();
    cases.retain(|case| seen.insert((case.config.clone(), case.environment.clone())));
    // What is refused for its size alone makes the calls of any other that is refused, after
    // seconds of reading in the interpreter.
    const LARGE: usize = 64 << 10;
    let all = cases.len();
    cases.retain(|case| config(case).len() < LARGE);
    assert!(all - cases.len() < 10, "{} configurations are too large", all - cases.len());
    let wrong = each(&cases, |case| configure_with_faults(case, &tried));
    say(&format!("{} faults of hostcalls tried in configurations", tried.into_inner()));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong, over all cases, on all processors.
fn each(cases: &[Case], check: impl Fn(&Case) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let lines = check(case).into_iter();
                    let lines = lines.map(|line| format!("{}: {}: {line}", case.file, case.name));
                    wrong.lock().unwrap().extend(lines);
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

// === A proxy for a case ===

/// A VM of a process of its own, for a case.
fn start(case: &Case) -> Vm {
    // A trial would make the buckets of remembered ids, and the calls that make them are tried too.
    let config = VmConfig { trial: false, ..VmConfig::default() };
    vm(module(), &case::proxy(case), config).unwrap()
}

/// The case's configuration with few buckets for remembered ids, if it does not say how many, and
/// with short lists: thousands of calls that make one bucket each tell no more than three, and
/// thousands of accounts no more than some.
fn config(case: &Case) -> String {
    const BUCKETS: u32 = 3;
    const ITEMS: usize = 20;
    let Ok(mut config) = serde_json::from_str::<serde_json::Value>(&case.config) else {
        return case.config.clone();
    };
    if let Some(config) = config.as_object_mut() {
        let propagation = config.entry("propagation").or_insert_with(|| serde_json::json!({}));
        if let Some(propagation) = propagation.as_object_mut() {
            propagation.entry("slots").or_insert(BUCKETS.into());
        }
    }
    shorten(&mut config, ITEMS);
    config.to_string()
}

/// Cuts every list, and every object that has more fields than any but one of free names.
fn shorten(value: &mut serde_json::Value, items: usize) {
    match value {
        serde_json::Value::Array(list) => {
            list.truncate(items);
            list.iter_mut().for_each(|item| shorten(item, items));
        }
        serde_json::Value::Object(fields) => {
            let mut room = 2 * items;
            fields.retain(|_, _| {
                room = room.saturating_sub(1);
                room > 0
            });
            fields.values_mut().for_each(|field| shorten(field, items));
        }
        _ => {}
    }
}

// === A request ===

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Request,
    Response,
}

/// What becomes of a request that nothing fails for.
struct Sound {
    outcome: Outcome,
    request: Lines,
    response: Lines,
    calls: BTreeMap<Phase, Vec<Call>>,
}

/// One request of a case, and the faults tried there.
struct Faults<'a> {
    case: &'a Case,
    config: String,
    before: &'a [Request],
    request: &'a Request,
    sound: Sound,
    /// It leaves something behind in the proxy or in the filter: the next one then makes other
    /// calls, so that each fault needs a VM of its own.
    leaves_traces: bool,
    tried: std::cell::Cell<usize>,
}

impl<'a> Faults<'a> {
    fn new(case: &'a Case, requests: &'a [Request], number: usize) -> Self {
        let config = config(case);
        let (before, request) = (&requests[..number], &requests[number]);
        let plugin = prepare(case, &config, before);
        let sound = sound(&plugin, request);
        let leaves_traces = number > 0
            || sound
                .calls
                .values()
                .flatten()
                .any(|call| matches!(call.name, "proxy_set_shared_data" | "proxy_log"));
        Self { case, config, before, request, sound, leaves_traces, tried: 0.into() }
    }

    fn run(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut shared = prepare(self.case, &self.config, self.before);
        for (phase, calls) in &self.sound.calls {
            for (k, call) in calls.iter().enumerate() {
                for status in Status::FAILURES {
                    if self.leaves_traces || shared.vm().trap().is_some() {
                        shared = prepare(self.case, &self.config, self.before);
                    }
                    self.tried.set(self.tried.get() + 1);
                    let lines = self.fail(&shared, *phase, k, *call, status).into_iter();
                    let of = format!("{phase:?}: call {k}, {}, answers {status:?}", call.name);
                    wrong.extend(lines.map(|line| format!("{of}: {line}")));
                }
            }
        }
        if !self.leaves_traces && shared.vm().trap().is_none() {
            let again = sound(&shared, self.request);
            let of = |sound: &Sound| {
                (sound.outcome.clone(), masked(&sound.request), masked(&sound.response))
            };
            if of(&again) != of(&self.sound) {
                wrong.push("after all the faults, a request is not what it was before".into());
            }
        }
        wrong
    }

    /// What is wrong with the request if one call fails.
    fn fail(
        &self,
        plugin: &Plugin,
        phase: Phase,
        k: usize,
        call: Call,
        status: Status,
    ) -> Vec<String> {
        let vm = plugin.vm();
        let mut wrong = Vec::new();
        let mut stream = open(plugin, self.request);
        if phase == Phase::Request {
            vm.inject(k, status);
        }
        let outcome = send(&mut stream, self.request);
        let mut hit = vm.end_injection();
        let request = lines(&stream.request());
        match (&outcome, &self.sound.outcome) {
            (Outcome::Continue, _) => {}
            (Outcome::Reply(reply), _) if reply.status == 421 && self.enforces() => {}
            (outcome, _) => wrong.push(format!("the request does not go on: {outcome:?}")),
        }
        if outcome == Outcome::Continue {
            if phase == Phase::Response {
                vm.inject(k, status);
            }
            let outcome = respond(&mut stream, self.request);
            if phase == Phase::Response {
                hit = vm.end_injection();
            }
            if outcome != Outcome::Continue {
                wrong.push(format!("the response does not go on: {outcome:?}"));
            }
            let sent = HeaderMap::of_request(pairs(&self.request.headers));
            wrong.extend(changed("request", &lines(&sent), &request, self.header()));
            wrong.extend(self.traces_changed(&lines(&sent), &request));
            let sent = HeaderMap::of_response(pairs(&self.request.response));
            let response = lines(&stream.response());
            wrong.extend(changed("response", &lines(&sent), &response, self.header()));
        }
        stream.end();
        if hit != Some(call.name) {
            wrong.push(format!("expected that call to be made again, got {hit:?}"));
        }
        // What only counts or tells decides nothing.
        if matches!(call.name, "proxy_increment_metric" | "proxy_log")
            && (&outcome, masked(&request)) != (&self.sound.outcome, masked(&self.sound.request))
        {
            wrong.push(format!("the request is another: {outcome:?}, {}", shown(&request)));
        }
        wrong.extend(vm.trap().map(|trap| trap.to_string()));
        wrong
    }

    /// A trace that a client sent may be spoilt, which leaves one line; one is added only where the
    /// configuration mints that format and there was none.
    fn traces_changed(&self, before: &Lines, now: &Lines) -> Option<String> {
        let config: serde_json::Value = serde_json::from_str(&self.config).unwrap_or_default();
        let mints = |name: &str| !config["propagation"]["mint"][name].is_null();
        let is_wrong = |name: &&&str| {
            let of = |headers: &Lines| -> Vec<_> {
                let named = headers.iter().filter(|(other, _)| other == name.as_bytes());
                named.map(|(_, value)| value.clone()).collect()
            };
            let (before, now) = (of(before), of(now));
            let is_minted = before.is_empty() && mints(name);
            // Of one that may hold our member too, nothing else may be left.
            let may_go = baggage::ALIASES.contains(name) || mint::ENCODED.contains(name);
            let is_removed = now.is_empty() && may_go;
            before != now && !is_removed && !(now.len() == 1 && (is_minted || !before.is_empty()))
        };
        let name = mint::HEADERS.iter().find(is_wrong)?;
        Some(format!("{name}: {} became {}", shown(before), shown(now)))
    }

    fn enforces(&self) -> bool {
        self.config.contains(r#""isolation":"enforce""#)
    }

    /// The configured header.
    fn header(&self) -> Option<String> {
        let config: serde_json::Value = serde_json::from_str(&self.config).ok()?;
        Some(config.get("header")?.as_str()?.to_ascii_lowercase())
    }
}

/// A configured VM, after these requests.
fn prepare(case: &Case, config: &str, before: &[Request]) -> Plugin {
    let plugin = start(case).configure(config).unwrap();
    for request in before {
        sound(&plugin, request);
    }
    plugin
}

fn sound(plugin: &Plugin, request: &Request) -> Sound {
    let vm = plugin.vm();
    let mut stream = open(plugin, request);
    vm.open_journal();
    let outcome = send(&mut stream, request);
    let calls = proxy_calls(vm);
    let sent = lines(&stream.request());
    vm.open_journal();
    if outcome == Outcome::Continue {
        respond(&mut stream, request);
    }
    let calls = BTreeMap::from([(Phase::Request, calls), (Phase::Response, proxy_calls(vm))]);
    let response = lines(&stream.response());
    stream.end();
    Sound { outcome, request: sent, response, calls }
}

/// Of the journal, without WASI's.
fn proxy_calls(vm: &Vm) -> Vec<Call> {
    vm.close_journal().calls().filter(|call| call.name.starts_with("proxy_")).collect()
}

/// What has changed of the headers that are not the filter's to write.
fn changed(what: &str, before: &Lines, now: &Lines, header: Option<String>) -> Option<String> {
    let others = |headers: &Lines| -> Lines {
        let mut others = headers.clone();
        others.retain(|(name, _)| {
            let known = |ours: &str| dashed(name) == dashed(ours.as_bytes());
            !OURS.iter().any(|ours| known(ours))
                && !header.as_deref().is_some_and(known)
                // Aliases of the carriers are removed at an edge: names with other marks than
                // dashes, and other carriers of baggage.
                && name.iter().skip(1).all(|b| b.is_ascii_alphanumeric() || *b == b'-')
                && !baggage::ALIASES.iter().any(|alias| known(alias))
                && !mint::HEADERS.iter().any(|trace| known(trace))
                // Caches that go by a header of their own.
                && !(what == "response" && (known("surrogate-control") || name.ends_with(b"-cache-control")))
        });
        others
    };
    let (before, now) = (others(before), others(now));
    (before != now).then(|| format!("{what}: {} became {}", shown(&before), shown(&now)))
}

fn dashed(name: &[u8]) -> Vec<u8> {
    name.iter().map(|b| if b.is_ascii_alphanumeric() || *b == b':' { *b } else { b'-' }).collect()
}

/// Without what is random: new identities, 32 hex digits in a cookie, and minted traces and their
/// spans, 32 and 16 in a trace context.
fn masked(headers: &Lines) -> Lines {
    let mask = |value: &[u8], random: &[usize]| -> Vec<u8> {
        let words = value.split_inclusive(|b| !b.is_ascii_hexdigit());
        let digits = |word: &[u8]| word.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        words.filter(|word| !random.contains(&digits(word))).flatten().copied().collect()
    };
    let masked = headers.iter().map(|(name, value)| {
        let value = match &name[..] {
            b"cookie" | b"set-cookie" => mask(value, &[32]),
            b"traceparent" | b"b3" => mask(value, &[16, 32]),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    masked.collect()
}

fn shown(headers: &Lines) -> String {
    let line = |(n, v): &(Vec<u8>, Vec<u8>)| format!("{}: {}", n.escape_ascii(), v.escape_ascii());
    headers.iter().map(line).collect::<Vec<_>>().join(", ")
}

// === A configuration ===

fn configure_with_faults(case: &Case, tried: &AtomicUsize) -> Vec<String> {
    let config = config(case);
    let vm = start(case);
    vm.open_journal();
    let _ = vm.configure(&config);
    let calls: Vec<Call> = {
        let journal = vm.close_journal();
        journal.calls().filter(|call| call.name.starts_with("proxy_")).collect()
    };
    let mut wrong = Vec::new();
    // A configuration that cannot be read cannot be given fewer buckets ([`config`]) either.
    const REPEATED: usize = 200;
    let mut made = BTreeMap::new();
    for (k, call) in calls.iter().enumerate() {
        let times: &mut usize = made.entry(call.name).or_default();
        *times += 1;
        if *times > REPEATED {
            continue;
        }
        for status in Status::FAILURES {
            tried.fetch_add(1, Ordering::Relaxed);
            let vm = start(case);
            vm.inject(k, status);
            let configured = vm.configure(&config);
            let mut problem = match vm.end_injection() {
                hit if hit != Some(call.name) => Some(format!("that call was not made: {hit:?}")),
                _ => None,
            };
            // As the first of its process none is refused, not even one that cannot be read.
            match &configured {
                Ok(plugin) => problem = problem.or(send_all(case, plugin)),
                Err(error) => problem = Some(error.to_string()),
            }
            let of = format!("call {k}, {}, answers {status:?}", call.name);
            wrong.extend(problem.map(|problem| format!("{of}: {problem}")));
        }
    }
    wrong
}

/// What becomes of the case's first request under a configuration that came with a fault.
fn send_all(case: &Case, plugin: &Plugin) -> Option<String> {
    let Act::Requests(steps) = &case.act else { return None };
    let request = case::request(steps.first()?, &Bindings::default());
    let (exchange, _) = exchange(plugin, &request);
    let problem = match (exchange.verdict, exchange.reply) {
        (Verdict::Continue, None) | (Verdict::Replied, Some((421, _))) => None,
        other => Some(format!("a request does not go on: {other:?}")),
    };
    plugin.vm().trap().map(|trap| trap.to_string()).or(problem)
}
