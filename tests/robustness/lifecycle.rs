//! Configurations that come, change and go; VMs that start anew; memory that stays where it was.

use crate::module;
use exchange::{lines, respond};
use proxy_wasm_test_host::{Callback, Error, Host, Outcome, Plugin, Stream};
use release_track::exchange::{Lines, Request};
use release_track::host::Verdict;

const STORY: &str = r#"{"tracks":[{"name":"v2","match":[{"cookies":{"user":{"exact":"tester"}}}],
    "workloads":{"frontend":"v2","forecast":"v2"}}]}"#;
const GATEWAY: &str = "router~10.0.0.9~ingress.istio-system~istio-system.svc.cluster.local";
const POD: &str = "sidecar~10.0.0.1~recommendation-1.weather~weather.svc.cluster.local";
const TRACEPARENT: &str = "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01";
const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
const TAGGED_V2: &str = "73cf9109-747e-4c23-92e0-4494afc95180";

const INBOUND: i64 = 1;
const OUTBOUND: i64 = 2;

/// Headers besides those of every request.
type More<'a> = &'a [(&'a str, &'a str)];

fn proxy(node: &str) -> Host {
    let host = Host::new();
    host.set_node(node, [("app", "recommendation"), ("version", "v1")]);
    host
}

/// The only configuration of the only VM of a proxy.
fn start(node: &str, config: &str) -> Plugin {
    proxy(node).vm(module()).unwrap().configure(config).unwrap()
}

fn sent(direction: i64, more: More<'_>) -> Request {
    let lines = |lines: More<'_>| -> Lines {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let every = [(":method", "GET"), (":path", "/"), (":authority", "weather.example")];
    Request {
        direction,
        headers: lines(&[&every, more].concat()),
        response: lines(&[(":status", "200")]),
        ..Request::default()
    }
}

fn open(plugin: &Plugin, direction: i64) -> Stream {
    exchange::open(plugin, &sent(direction, &[]))
}

fn request(stream: &mut Stream, more: More<'_>) -> Lines {
    assert_eq!(exchange::send(stream, &sent(OUTBOUND, more)), Outcome::Continue);
    lines(&stream.request())
}

fn response(stream: &mut Stream) -> Lines {
    assert_eq!(respond(stream, &sent(OUTBOUND, &[])), Outcome::Continue);
    lines(&stream.response())
}

/// A whole exchange; the request's headers as the upstream gets them.
fn send(plugin: &Plugin, direction: i64, more: More<'_>) -> Lines {
    let (exchange, _) = exchange::exchange(plugin, &sent(direction, more));
    assert_eq!((exchange.verdict, plugin.vm().trap()), (Verdict::Continue, None));
    exchange.request
}

/// The track header after a whole exchange.
fn track(plugin: &Plugin, direction: i64, lines: More<'_>) -> Option<String> {
    header(&send(plugin, direction, lines), "x-release-track")
}

fn header(headers: &Lines, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(known, _)| known == name.as_bytes())?;
    Some(value.escape_ascii().to_string())
}

const TESTER: More<'_> = &[("cookie", "a=b; user=tester")];
const TRACKED: More<'_> = &[("x-release-track", "v2"), ("traceparent", TRACEPARENT)];

fn v2() -> Option<String> {
    Some("v2".into())
}

/// A configuration that is refused, and where.
const BAD: [(&str, &str); 4] = [
    ("", "an object with the field tracks"),
    ("{", "not valid JSON"),
    (r#"{"tracks":[]}"#, "tracks"),
    (r#"{"tracks":[{"name":"v2","matches":[]}]}"#, "tracks[0].matches"),
];

fn errors(host: &Host) -> Vec<String> {
    host.take_logs().iter().map(ToString::to_string).filter(|l| l.contains("refused")).collect()
}

#[test]
fn a_bad_first_configuration_decides_nothing_and_a_good_one_may_follow() {
    for (bad, place) in BAD {
        let host = proxy(GATEWAY);
        let vm = host.vm(module()).unwrap();
        let neutral = vm.configure(bad).unwrap();
        let errors = errors(&host);
        assert!(errors.len() == 1 && errors[0].contains(place), "{bad}: {errors:?}");
        assert_eq!(track(&neutral, OUTBOUND, TESTER), None, "{bad}");
        assert_eq!(vm.trap(), None);
        assert_eq!(track(&vm.configure(STORY).unwrap(), OUTBOUND, TESTER), v2());
    }
}

#[test]
fn a_bad_update_keeps_the_old_configuration_in_force() {
    let mut plugin = start(GATEWAY, STORY);
    for (bad, place) in BAD {
        assert!(matches!(plugin.update(bad), Err(Error::Refused(Callback::Configure))), "{bad}");
        let errors = errors(plugin.vm().host());
        assert!(errors.len() == 1 && errors[0].contains(place), "{bad}: {errors:?}");
        assert_eq!(track(&plugin, OUTBOUND, TESTER), v2());
    }
    assert_eq!(plugin.vm().open_contexts(), 1);
    plugin.update(STORY.replace("tester", "beta")).unwrap();
    assert_eq!(track(&plugin, OUTBOUND, TESTER), None);
}

#[test]
fn a_stream_ends_under_the_configuration_that_it_began_with() {
    let old = STORY.replacen('{', r#"{"expose":true,"header":"x-old","#, 1);
    let new = STORY.replacen('{', r#"{"header":"x-new","#, 1);
    let mut plugin = start(GATEWAY, &old);
    let mut decided = open(&plugin, OUTBOUND);
    let mut accepted = open(&plugin, OUTBOUND);
    assert_eq!(header(&request(&mut decided, TESTER), "x-old"), v2());
    plugin.update(&new).unwrap();

    let fresh = send(&plugin, OUTBOUND, TESTER);
    assert_eq!((header(&fresh, "x-old"), header(&fresh, "x-new")), (None, v2()));
    let late = request(&mut accepted, TESTER);
    assert_eq!((header(&late, "x-old"), header(&late, "x-new")), (v2(), None));
    for mut stream in [decided, accepted] {
        let exposed = Some("v2; reason=match".to_owned());
        assert_eq!(header(&response(&mut stream), "x-old"), exposed);
        stream.end();
    }
    // The old root context has gone with its last stream.
    assert_eq!((plugin.vm().open_contexts(), plugin.vm().trap()), (1, None));
}

#[test]
fn configurations_of_one_vm_do_not_meet() {
    let one = start(GATEWAY, STORY);
    let vm = one.vm().clone();
    let other = STORY.replace("tester", "beta").replace(r#""name":"v2""#, r#""name":"v3""#);
    let other = vm.configure_as("other", "other", other).unwrap();
    let beta: More<'_> = &[("cookie", "user=beta")];
    let mut both = [open(&one, OUTBOUND), open(&other, OUTBOUND)];
    let tracks = both.each_mut().map(|s| header(&request(s, beta), "x-release-track"));
    assert_eq!(tracks, [None, Some("v3".into())]);
    let tracks = [&one, &other].map(|plugin| track(plugin, OUTBOUND, TESTER));
    assert_eq!(tracks, [v2(), None]);
    both.iter_mut().for_each(|stream| {
        response(stream);
        stream.end();
    });
    one.remove();
    assert_eq!(track(&other, OUTBOUND, beta).as_deref(), Some("v3"));
    assert_eq!((vm.open_contexts(), vm.trap()), (1, None));
}

#[test]
fn a_mebibyte_of_configuration_is_read() {
    const MEBIBYTE: usize = 1 << 20;
    let accounts: Vec<_> = (0..).map(|n| format!("\"account-{n:08}\"")).take(60_000).collect();
    let list = format!(r#"{{"in":[{}]}}"#, accounts.join(","));
    let config = STORY.replace(r#"{"exact":"tester"}"#, &list);
    assert!(config.len() > MEBIBYTE, "{}", config.len());
    let plugin = start(GATEWAY, &config);
    for (user, expected) in
        [("account-00000000", v2()), ("account-00059999", v2()), ("account-00060000", None)]
    {
        let cookie = format!("user={user}");
        assert_eq!(track(&plugin, OUTBOUND, &[("cookie", &cookie)]), expected, "{user}");
    }

    let host = proxy(GATEWAY);
    let bad = format!(r#"{{"tracks":"{}"}}"#, "x".repeat(MEBIBYTE));
    assert!(host.vm(module()).unwrap().configure(bad).is_ok());
    let errors = errors(&host);
    // It is one line for people, however much was wrong.
    assert!(errors.len() == 1 && errors[0].len() < 300, "{errors:?}");
}

#[test]
fn what_a_sidecar_remembers_outlives_its_vm() {
    let plugin = start(POD, STORY);
    let host = plugin.vm().host().clone();
    send(&plugin, INBOUND, TRACKED);
    drop(plugin);
    let again = host.vm(module()).unwrap().configure(STORY).unwrap();
    assert_eq!(track(&again, OUTBOUND, &[("traceparent", TRACEPARENT)]), v2());
    assert_eq!(track(&again, OUTBOUND, &[("x-request-id", TAGGED_V2)]), v2());
    // An update keeps it too, and forgets the tracks that are gone.
    let mut again = again;
    again.update(STORY.replace(r#""name":"v2""#, r#""name":"v3""#)).unwrap();
    assert_ne!(track(&again, OUTBOUND, &[("traceparent", TRACEPARENT)]).as_deref(), Some("v3"));
    again.update(STORY).unwrap();
    assert_eq!(track(&again, OUTBOUND, &[("traceparent", TRACEPARENT)]), v2());
}

#[test]
fn a_tagged_id_outlives_the_process() {
    let id = send(&start(POD, STORY), INBOUND, &[("x-release-track", "v2"), ("x-request-id", ID)]);
    let id = header(&id, "x-request-id").unwrap();
    assert_eq!(id, TAGGED_V2);
    let again = start(POD, STORY);
    assert_eq!(track(&again, OUTBOUND, &[("x-request-id", &id)]), v2());
    // What was only remembered is gone with the process, and no track is invented.
    assert_eq!(track(&again, OUTBOUND, &[("traceparent", TRACEPARENT)]), None);
}

/// Requests of every kind that a proxy sees, whole ones and such that end early, `count` of them,
/// a hundred side by side.
fn traffic(plugin: &Plugin, count: usize) {
    let kinds: [(i64, More<'_>); 6] = [
        (INBOUND, &[]),
        (INBOUND, TRACKED),
        (OUTBOUND, &[("traceparent", TRACEPARENT), ("x-request-id", ID)]),
        (OUTBOUND, &[("x-request-id", TAGGED_V2), ("baggage", "a=1,b=2")]),
        (OUTBOUND, TESTER),
        (INBOUND, &[("baggage", "release-track=v9,a=1"), ("b3", "x")]),
    ];
    let mut streams = Vec::new();
    for number in 0..count {
        let (direction, lines) = kinds[number % kinds.len()];
        let mut stream = open(plugin, direction);
        if number % 7 != 0 {
            request(&mut stream, lines);
        }
        if number % 5 != 0 {
            response(&mut stream);
        }
        streams.push(stream);
        if streams.len() == 100 {
            streams.drain(..).for_each(|mut stream| stream.end());
        }
    }
    streams.iter_mut().for_each(Stream::end);
}

#[test]
fn ten_thousand_contexts_leave_the_memory_where_it_was() {
    for node in [GATEWAY, POD] {
        let plugin = start(node, STORY);
        let vm = plugin.vm();
        traffic(&plugin, 500);
        let before = vm.memory_size();
        traffic(&plugin, 10_000);
        assert_eq!(vm.memory_size(), before, "{node}");
        assert_eq!((vm.open_contexts(), vm.trap()), (1, None));
    }
}

#[test]
fn a_hundred_updates_leave_the_memory_where_it_was() {
    let few_buckets = STORY.replacen('{', r#"{"propagation":{"slots":8},"#, 1);
    let mut plugin = start(POD, &few_buckets);
    let mut update = |times: usize| {
        for _ in 0..times {
            let mut stream = open(&plugin, INBOUND);
            request(&mut stream, TRACKED);
            plugin.update(&few_buckets).unwrap();
            response(&mut stream);
            stream.end();
        }
        (plugin.vm().memory_size(), plugin.vm().open_contexts(), plugin.vm().trap())
    };
    let before = update(10);
    assert_eq!(update(100), before);
    assert_eq!((before.1, before.2), (1, None));
}

#[test]
fn changes_of_slots_make_no_more_keys_than_the_most_slots_need() {
    let with =
        |slots: u32| STORY.replacen('{', &format!(r#"{{"propagation":{{"slots":{slots}}},"#), 1);
    let host = proxy(POD);
    let mut plugin = host.vm(module()).unwrap().configure(with(40)).unwrap();
    let keys = || host.all_shared_data("").len();
    let before = keys();
    for slots in (1..=40).rev().chain([17, 3, 40]) {
        plugin.update(with(slots)).unwrap();
        send(&plugin, INBOUND, TRACKED);
        let follows = track(&plugin, OUTBOUND, &[("traceparent", TRACEPARENT)]);
        assert_eq!((follows.as_deref(), keys()), (Some("v2"), before), "{slots} slots");
    }
    plugin.update(with(50)).unwrap();
    assert_eq!(keys(), before + 10);
}
