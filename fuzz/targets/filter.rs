#![no_main]
//! The whole filter, on a proxy that works and on one of which one call fails.
//!
//! The last three bytes of the input say which call that is and what it answers; the others are a
//! scenario.

use fuzz::baggage::{members, ours};
use fuzz::{Faulty, Lines};
use libfuzzer_sys::fuzz_target;
use release_track::plan::Response;
use release_track::carrier::request_id::Uuid;
use release_track::carrier::trace_id::Source;
use release_track::config::{Config, Isolation};
use release_track::filter::Filter;
use release_track::host::{Host, Verdict};
use release_track::decide::rules::Subject;
use release_track::host::fake::FakeHost;
use release_track::track::Carried;
use scenarios::{Scenario, Step};

fuzz_target!(|input: &[u8]| {
    let Some((bytes, fault)) = input.split_last_chunk::<3>() else { return };
    let Some(scenario) = Scenario::from_bytes(bytes) else { return };
    let Ok(config) = Config::parse(scenario.config.as_bytes()) else { return };
    sound(&scenario, &config);
    let [low, high, status] = *fault;
    let calls_before = u16::from_le_bytes([low, high]).into();
    // 0 would be a success.
    let status = if status == 0 { u32::MAX } else { status.into() };
    faulty(&scenario, &config, calls_before, status);
});

fn proxy(scenario: &Scenario) -> FakeHost {
    let mut proxy = FakeHost::node(scenario.node, &scenario.labels);
    proxy.now_ms = scenario.now_ms;
    let environment = scenario.environment.iter();
    proxy.environment = environment.map(|(n, v)| ((*n).into(), (*v).into())).collect();
    proxy
}

fn send(host: &mut impl Host, filter: &Filter) -> (Verdict, Answer) {
    let mut answer = Response::default();
    (filter.on_request(host, &mut answer), answer)
}

/// The request is at hand, as the client sent it.
fn begin(proxy: &mut FakeHost, step: &Step) {
    let mut property = |name: &str, value: Option<Vec<u8>>| match value {
        Some(value) => proxy.properties.insert(name.into(), value),
        None => proxy.properties.remove(name.as_bytes()),
    };
    property("xds\0listener_direction", Some(step.direction.to_le_bytes().into()));
    property("xds\0cluster_name", step.cluster.map(Into::into));
    property("connection\0mtls", Some(vec![step.mtls.into()]));
    proxy.now_ms += step.after_ms;
    proxy.headers = lines(&step.request);
    proxy.response = lines(&step.answer);
    proxy.replied = None;
}

fn lines(lines: &scenarios::Lines) -> Lines {
    lines.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect()
}

fn values<'a>(lines: &'a Lines, name: &[u8]) -> Vec<&'a Vec<u8>> {
    lines.iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect()
}

// === What holds ===

fn sound(scenario: &Scenario, config: &Config) {
    let mut proxy = proxy(scenario);
    let filter = Filter::configure(&mut proxy, scenario.config.as_bytes()).expect("it is valid");
    for step in &scenario.steps {
        begin(&mut proxy, step);
        let mut innocent = proxy.clone();
        innocent.headers = without_carriers(config, &proxy.headers);
        let (verdict, answer) = send(&mut proxy, &filter);
        goes_on(config, &proxy, verdict);
        if verdict == Verdict::Replied {
            continue;
        }
        untouched(config, step, &proxy.headers);
        assert!(!config.dry_run || answer.cookies.is_empty(), "a dry run sets no cookie");
        if scenario.node.starts_with("router~") && config.edge.gateway && !config.trust_incoming {
            guarded(config, step, &proxy.headers);
            if !reads_carriers(config) {
                let (_, innocents) = send(&mut innocent, &filter);
                let header = config.header.as_bytes();
                let stamped = |proxy: &FakeHost| -> Vec<Vec<u8>> {
                    values(&proxy.headers, header).into_iter().cloned().collect()
                };
                // Where it leaves the mesh there may be nothing to strip, and then it counts.
                if !leaves(&proxy) {
                    assert_eq!(answer, innocents, "what the client sent changes the answer");
                    assert_eq!(stamped(&proxy), stamped(&innocent));
                    // Baggage may be too full for ours, that is the client's loss.
                    let decided = |proxy: &FakeHost| -> Vec<_> {
                        let all = proxy.counted().into_iter();
                        all.filter(|(name, _)| name.ends_with("decisions_total")).collect()
                    };
                    assert_eq!(decided(&proxy), decided(&innocent));
                }
            }
        }
        filter.on_response(&mut proxy, &answer);
        let passed = proxy.response.iter().filter(|(n, _)| n == b"set-cookie").count();
        let sent = step.answer.iter().filter(|(n, _)| n == "set-cookie").count();
        assert_eq!(passed, sent + answer.cookies.len() * usize::from(answer.at_edge));
    }
}

/// A request is answered here only where that was asked for.
fn goes_on(config: &Config, proxy: &FakeHost, verdict: Verdict) {
    match (verdict, &proxy.replied) {
        (Verdict::Continue, None) => {}
        (Verdict::Replied, Some((421, _))) => {
            assert!(config.isolation == Isolation::Enforce && !config.dry_run);
        }
        other => panic!("{other:?}"),
    }
}

/// What an application may take for a carrier: equal but for dashes.
fn is_carrier(config: &Config, name: &[u8]) -> bool {
    let dashed = |name: &[u8]| -> Vec<u8> {
        name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect()
    };
    watched(config).any(|carrier| dashed(carrier.as_bytes()) == dashed(name))
}

/// The names that the filter reads carriers from.
fn watched(config: &Config) -> impl Iterator<Item = &str> {
    let sources = config.propagation.correlate.sources().iter().map(|source| source.header());
    sources.chain([&*config.header, "x-request-id", "baggage"])
}

/// Headers that are no carriers pass as they came, but for the cookie that an identity is put in
/// and the path that a link is taken from.
fn untouched(config: &Config, step: &Step, now: &Lines) {
    let others = |lines: &Lines| -> Lines {
        let ours = |name: &[u8]| matches!(name, b"cookie" | b":path") || is_carrier(config, name);
        lines.iter().filter(|(name, _)| !ours(name)).cloned().collect()
    };
    assert_eq!(others(&lines(&step.request)), others(now));
}

/// After an edge, every carrier says what was decided there, if anything.
fn guarded(config: &Config, step: &Step, now: &Lines) {
    let header = values(now, config.header.as_bytes());
    let decided = header.first().map(|value| config.names.read(value));
    assert!(header.len() <= 1 && !matches!(decided, Some(None | Some(Carried::Other))), "{now:?}");
    let lines: Vec<_> = values(now, b"baggage").into_iter().cloned().collect();
    let said: Vec<_> = members(&lines).iter().filter_map(|member| ours(member)).collect();
    // Without room in the baggage, the header says it alone.
    assert!(said.is_empty() || said.iter().eq(header.iter().copied()), "{said:?} {header:?}");
    if config.egress.strip && may_leave(step) {
        return;
    }
    let ids = values(now, b"x-request-id");
    assert!(ids.len() <= 1);
    let tag = ids.first().and_then(|id| config.propagation.tagger.extract(Uuid::parse(id)?));
    let tags = config.propagation.request_id && !config.dry_run;
    match (tag, decided) {
        (None, _) => {}
        (Some(tag), Some(decided)) if tags => assert_eq!(Some(tag), decided),
        (Some(tag), _) => panic!("an id says {tag:?}, and nobody decided so"),
    }
    let known = |name: &[u8]| watched(config).any(|known| known.as_bytes() == name);
    let twin = now.iter().find(|(name, _)| is_carrier(config, name) && !known(name));
    assert_eq!(twin, None);
}

/// The cluster's name is one of a host that may be outside the mesh.
fn may_leave(step: &Step) -> bool {
    step.cluster.is_some_and(|name| name == "PassthroughCluster" || name.starts_with("outbound|"))
}

fn leaves(proxy: &FakeHost) -> bool {
    let cluster = proxy.properties.get(&b"xds\0cluster_name"[..]);
    cluster.is_some_and(|name| name == b"PassthroughCluster" || name.starts_with(b"outbound|"))
}

/// The request of a client that brings no carrier.
fn without_carriers(config: &Config, lines: &Lines) -> Lines {
    lines.iter().filter(|(name, _)| !is_carrier(config, name)).cloned().collect()
}

/// The configuration itself says that a carrier decides: as identity, or in a rule.
fn reads_carriers(config: &Config) -> bool {
    let identity = match &config.identity {
        Identity::Header(name) => is_carrier(config, name.as_bytes()),
        Identity::Cookie(_) | Identity::QueryParam(_) => false,
    };
    let by_rule = config.rules.subjects().any(|subject| match subject {
        Subject::Header(name) => is_carrier(config, name),
        _ => false,
    });
    let sources = Source::ALL.iter().any(|source| source.header() == &*config.header);
    identity || by_rule || sources
}

// === On a proxy that fails ===

fn faulty(scenario: &Scenario, config: &Config, calls_before: u32, status: u32) {
    let mut host = Faulty { proxy: proxy(scenario), calls_before, status };
    let filter = Filter::configure(&mut host, scenario.config.as_bytes());
    let filter = filter.expect("it was read");
    for step in &scenario.steps {
        begin(&mut host.proxy, step);
        let (verdict, answer) = send(&mut host, &filter);
        goes_on(config, &host.proxy, verdict);
        untouched(config, step, &host.proxy.headers);
        filter.on_response(&mut host, &answer);
    }
}
