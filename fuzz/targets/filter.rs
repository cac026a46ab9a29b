#![no_main]
//! The whole filter, on a proxy that works and on one of which one call fails.
//!
//! The last three bytes of the input say which call that is and what it answers; the others are a
//! scenario.

use fuzz::Faulty;
use fuzz::baggage::{members, ours};
use libfuzzer_sys::fuzz_target;
use release_track::carrier::mint;
use release_track::carrier::request_id::Uuid;
use release_track::carrier::trace_id::Source;
use release_track::config::{Config, Isolation};
use release_track::decide::identity::Identity;
use release_track::decide::rules::Subject;
use release_track::exchange::{Lines, Passed, Request, pass};
use release_track::filter::Filter;
use release_track::host::Verdict;
use release_track::host::fake::FakeHost;
use release_track::track::Carried;
use scenarios::Scenario;

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

fn values<'a>(lines: &'a Lines, name: &[u8]) -> Vec<&'a Vec<u8>> {
    lines.iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect()
}

// === What holds ===

fn sound(scenario: &Scenario, config: &Config) {
    let mut proxy = scenario.proxy();
    let filter = Filter::configure(&mut proxy, scenario.config.as_bytes()).expect("it is valid");
    for request in &scenario.requests {
        proxy.receive(request);
        let mut innocent = proxy.clone();
        innocent.headers = without_carriers(config, &proxy.headers);
        let Passed { verdict, response, .. } = pass(&filter, &mut proxy);
        goes_on(config, &proxy, verdict);
        if verdict == Verdict::Replied {
            continue;
        }
        untouched(config, request, &proxy.headers);
        assert!(!config.dry_run || response.cookies().is_empty(), "a dry run sets no cookie");
        if scenario.node.starts_with("router~") && config.edge.gateway && !config.trust_incoming {
            guarded(config, request, &proxy.headers);
            if !reads_carriers(config) {
                pass(&filter, &mut innocent);
                let header = config.header.as_bytes();
                let stamped = |proxy: &FakeHost| -> Vec<Vec<u8>> {
                    values(&proxy.headers, header).into_iter().cloned().collect()
                };
                // Where it leaves the mesh there may be nothing to strip, and then it counts.
                if !may_leave(request) {
                    assert_eq!(proxy.response, innocent.response);
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
        let passed = values(&proxy.response, b"set-cookie").len();
        let sent = values(&request.response, b"set-cookie").len();
        assert_eq!(passed, sent + response.cookies().len());
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

/// A header that may be given a minted trace, or have a tag in its trace id spoilt.
fn is_trace(config: &Config, name: &[u8]) -> bool {
    let name: Vec<u8> = name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
    config.propagation.mint.is_on() && mint::HEADERS.iter().any(|trace| trace.as_bytes() == name)
}

/// Headers that are no carriers pass as they came, but for traces where some are minted, the cookie
/// that an identity is put in, and the path that a link is taken from.
fn untouched(config: &Config, request: &Request, now: &Lines) {
    let others = |lines: &Lines| -> Lines {
        let ours = |name: &[u8]| {
            matches!(name, b"cookie" | b":path")
                || is_carrier(config, name)
                || is_trace(config, name)
        };
        lines.iter().filter(|(name, _)| !ours(name)).cloned().collect()
    };
    assert_eq!(others(&request.headers), others(now));
}

/// After an edge, every carrier says what was decided there, if anything.
fn guarded(config: &Config, request: &Request, now: &Lines) {
    let header = values(now, config.header.as_bytes());
    let decided = header.first().map(|value| config.names.read(value));
    assert!(header.len() <= 1 && !matches!(decided, Some(None | Some(Carried::Other))), "{now:?}");
    let lines: Vec<_> = values(now, b"baggage").into_iter().cloned().collect();
    let said: Vec<_> = members(&lines).iter().filter_map(|member| ours(member)).collect();
    // Without room in the baggage, the header says it alone.
    assert!(said.is_empty() || said.iter().eq(header.iter().copied()), "{said:?} {header:?}");
    if config.egress.strip && may_leave(request) {
        return;
    }
    if config.propagation.mint.is_on() {
        for tag in traces(config, now) {
            assert_eq!(Some(tag), decided, "a trace id says what nobody decided: {now:?}");
        }
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
    let alias = now.iter().find(|(name, _)| is_carrier(config, name) && !known(name));
    assert_eq!(alias, None);
}

/// What the trace ids in plain forms are tagged with.
fn traces(config: &Config, now: &Lines) -> Vec<Option<Carried>> {
    let ids = |name: &[u8], field: usize| -> Vec<_> {
        let lines = values(now, name).into_iter();
        lines.filter_map(|line| line.split(|b| *b == b'-').nth(field)).collect()
    };
    let ids = [ids(b"traceparent", 1), ids(b"b3", 0), ids(b"x-b3-traceid", 0)].concat();
    let dashed = ids
        .into_iter()
        .filter(|id| id.len() == 32)
        .map(|id| [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join(&b'-'));
    let tagger = &config.propagation.tagger;
    dashed.filter_map(|id| tagger.extract(Uuid::parse(&id)?)).map(Some).collect()
}

/// The cluster's name is one of a host that may be outside the mesh.
fn may_leave(request: &Request) -> bool {
    let mut clusters = request.cluster.iter().chain(&request.tracked_cluster);
    clusters.any(|name| name == "PassthroughCluster" || name.starts_with("outbound|"))
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
    let sources = Source::defaults().iter().any(|source| source.header() == &*config.header);
    identity || by_rule || sources
}

// === On a proxy that fails ===

fn faulty(scenario: &Scenario, config: &Config, calls_before: u32, status: u32) {
    let mut host = Faulty { proxy: scenario.proxy(), calls_before, status };
    let filter = Filter::configure(&mut host, scenario.config.as_bytes());
    let filter = filter.expect("it was read");
    for request in &scenario.requests {
        host.proxy.receive(request);
        let Passed { verdict, .. } = pass(&filter, &mut host);
        goes_on(config, &host.proxy, verdict);
        untouched(config, request, &host.proxy.headers);
    }
}
