//! What is done to a proxy, and what is seen: by the probe inside it, by the
//! client, and in its metrics.

use crate::upstream::Lines;
use serde_json::Value;
use std::collections::BTreeMap;

/// `[call, answer]` lines of each phase.
pub(crate) type Report = BTreeMap<String, Vec<(String, String)>>;

/// The probe runs in two VMs of one process. The first has a listener for
/// inbound traffic, the second one for outbound.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Listener {
    Inbound,
    Outbound,
}

pub(crate) const VM_ID: &str = "probe-vm";
pub(crate) const NODE_ID: &str = "sidecar~10.0.0.1~probe-1.shop~shop.svc.cluster.local";
pub(crate) const REQUEST_ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
pub(crate) const HOST: &str = "probe.test";

pub(crate) struct Request {
    pub(crate) listener: Listener,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static [u8])],
    pub(crate) body: Option<&'static [u8]>,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Lines,
    pub(crate) body: Vec<u8>,
}

/// Something that runs the probe.
pub(crate) trait Proxy {
    /// One request from start to end.
    fn exchange(&mut self, request: &Request) -> Answer;
    /// Sends a request for `/held` that the upstream holds back.
    fn hold(&mut self);
    /// Lets the upstream answer it.
    fn release(&mut self) -> Answer;
    /// Lets time pass until the probe has had a tick.
    fn tick(&mut self);
    /// Replaces the configuration of both listeners' plugins, which refuse
    /// `refuse` and trap on `trap`.
    fn update(&mut self, configuration: &str);
    /// The probe's own metrics, by name.
    fn metrics(&mut self) -> BTreeMap<String, String>;
}

/// A request that tells which configuration is in force.
pub(crate) fn configuration_of(listener: Listener) -> Request {
    Request { listener, path: "/configuration", headers: &[], body: None }
}

/// Does everything and returns all that was seen.
pub(crate) fn run(proxy: &mut impl Proxy) -> Report {
    let mut seen = Report::new();
    let mut client = Vec::new();

    let get = |path| Request { listener: Listener::Inbound, path, headers: &[], body: None };
    let many_headers: &[(&str, &[u8])] = &[
        ("X-Dup", b"1"),
        ("x-empty", b""),
        ("cookie", b"a=1"),
        ("x-dup", b"2"),
        ("x-bytes", b"\xe9"),
        ("cookie", b"b=2"),
        ("user-agent", b"probe"),
    ];
    let with_headers = |path| Request { headers: many_headers, ..get(path) };
    let special: &[(&str, &[u8])] = &[("x-probe-route", b"special")];
    let grpc: &[(&str, &[u8])] = &[("content-type", b"application/grpc")];
    let mut exchanges = vec![
        with_headers("/headers?a=b"),
        with_headers("/writes"),
        get("/singles"),
        get("/data"),
        with_headers("/properties?a=b?c"),
        with_headers("/phases"),
        Request { body: Some(b"the request's body"), ..get("/phases") },
        get("/route?none"),
        get("/route?add"),
        get("/route?replace"),
        get("/route?pairs"),
        Request { headers: special, ..get("/route?remove") },
        get("/reply?200"),
        get("/reply?421,-1,body"),
        get("/reply?421,-1,paused"),
        get("/reply?421,-1,typed"),
        get("/reply?421,-1,twice"),
        get("/reply?403,-1,utf8"),
        get("/late-reply"),
        get("/pause"),
        get("/pause-response"),
        get("/action?2"),
    ];
    for path in [
        "/reply?421",
        "/reply?403,-1,utf8",
        "/reply?401",
        "/reply?503,7",
        "/reply?404",
        "/reply?200",
        "/reply?429",
        "/reply?400",
        "/reply?500",
        "/reply?502",
    ] {
        exchanges.push(Request { headers: grpc, ..get(path) });
    }
    for path in ["/body", "/body-replace", "/body-reply"] {
        exchanges.push(Request { body: Some(b"the request's body"), ..get(path) });
    }
    let mut client_sees = |what: &str, answer: Answer| {
        client.push((what.to_owned(), show(&answer)));
    };
    for request in &exchanges {
        let answer = proxy.exchange(request);
        client_sees(request.path, answer);
    }
    proxy.tick();
    add_report(&mut seen, "", proxy, Listener::Inbound);

    let answer = proxy.exchange(&Request { listener: Listener::Outbound, ..get("/other") });
    client_sees("/other", answer);
    add_report(&mut seen, "outbound ", proxy, Listener::Outbound);

    // A new configuration is a new root in the same VM, if it is accepted. The
    // old one ends with its last stream.
    proxy.hold();
    proxy.update("second");
    client_sees("after an update", proxy.exchange(&get("/")));
    add_report(&mut seen, "after an update ", proxy, Listener::Inbound);
    client_sees("open during the update", proxy.release());
    client_sees("to see a tick", proxy.exchange(&get("/pause")));
    add_report(&mut seen, "after the old streams ", proxy, Listener::Inbound);
    proxy.update("third");
    add_report(&mut seen, "after another update ", proxy, Listener::Inbound);
    for bad in ["refuse", "trap"] {
        proxy.update(bad);
        client_sees(bad, proxy.exchange(&configuration_of(Listener::Inbound)));
        add_report(&mut seen, &format!("after {bad} "), proxy, Listener::Inbound);
    }

    // A trap takes all streams of its VM along, and only those.
    proxy.hold();
    client_sees("/trap", proxy.exchange(&get("/trap")));
    client_sees("after the trap", proxy.exchange(&get("/")));
    client_sees("open during the trap", proxy.release());
    client_sees(
        "the other VM after the trap",
        proxy.exchange(&Request { listener: Listener::Outbound, ..get("/") }),
    );

    seen.insert("client".to_owned(), client);
    seen.insert("metrics".to_owned() + " outside", proxy.metrics().into_iter().collect());
    seen
}

fn add_report(seen: &mut Report, prefix: &str, proxy: &mut impl Proxy, listener: Listener) {
    let answer = proxy.exchange(&Request { listener, path: "/report", headers: &[], body: None });
    let report: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| {
            let body = String::from_utf8_lossy(&answer.body);
            panic!("the probe's report is not JSON: {error}: {body}")
        });
    for (phase, lines) in report {
        seen.insert(format!("{prefix}{phase}"), lines);
    }
}

/// The part of an answer that depends on the filter.
fn show(answer: &Answer) -> String {
    let headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            name.starts_with("x-") || name.starts_with("grpc-") || name == "content-type"
        })
        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
        .collect();
    format!("{} [{}] \"{}\"", answer.status, headers.join(" | "), answer.body.escape_ascii())
}

/// The lines that only one of two reports has, in order.
pub(crate) fn differences(envoy: &Report, host: &Report) -> Vec<String> {
    let phases: std::collections::BTreeSet<_> = envoy.keys().chain(host.keys()).collect();
    let mut differences = Vec::new();
    for phase in phases {
        let none = Vec::new();
        let (envoy, host) = (envoy.get(phase).unwrap_or(&none), host.get(phase).unwrap_or(&none));
        for at in 0..envoy.len().max(host.len()) {
            let (e, h) = (envoy.get(at), host.get(at));
            if e == h {
                continue;
            }
            for (sign, line) in [("-", e), ("+", h)] {
                if let Some((call, answer)) = line {
                    differences.push(format!("{sign} {phase}: {call}: {answer}"));
                }
            }
        }
    }
    differences
}

/// The number of answers in a report.
pub(crate) fn size(report: &Report) -> usize {
    report.values().map(Vec::len).sum()
}

/// The node's metadata.
pub(crate) fn metadata() -> Value {
    serde_json::json!({
        "NAME": "probe-1",
        "LABELS": {"app": "probe", "version": "v2", "app.kubernetes.io/name": "probe"},
        "NUMBER": 2.5,
        "FLAG": true,
    })
}
