//! The probe in this host.

use crate::script::{self, Answer, Listener, Request};
use crate::upstream;
use proxy_wasm_test_host::{
    HeaderMap, Host, LogLevel, Module, Outcome, Plugin, Quirk, Reply, Stream, Value, VmConfig,
};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct Proxy {
    host: Host,
    plugins: BTreeMap<Listener, Plugin>,
    held: Option<Stream>,
}

impl Proxy {
    pub(crate) fn start(probe: &Path, quirk: Option<Quirk>) -> Self {
        let host = Host::new();
        if let Some(quirk) = quirk {
            host.misbehave(quirk);
        }
        host.set_property("xds.node.id", script::NODE_ID);
        host.set_property("xds.node.cluster", "probe");
        host.set_property("xds.node.metadata", property(&script::metadata()));
        host.set_log_level(LogLevel::Warn);
        let module = Module::from_file(probe).expect("a module");
        let listeners = [(Listener::Inbound, "vm one"), (Listener::Outbound, "vm two")];
        let plugins = listeners.map(|(listener, configuration)| {
            let config = VmConfig {
                vm_id: script::VM_ID.to_owned(),
                configuration: configuration.into(),
                environment: vec![("PROBE".to_owned(), "environment".to_owned())],
                ..VmConfig::default()
            };
            let vm = host.vm_with(&module, config).expect("a VM");
            let plugin = vm.configure_as("probe", "probe-root", "first");
            (listener, plugin.expect("a configuration in force"))
        });
        Self { host, plugins: plugins.into(), held: None }
    }

    /// Up to the upstream, or to an answer without it.
    fn begin(&mut self, request: &Request) -> Result<Stream, Answer> {
        let plugin = &self.plugins[&request.listener];
        let mut stream = plugin.stream();
        let direction = match request.listener {
            Listener::Inbound => 1_i64,
            Listener::Outbound => 2,
        };
        stream.set_property("xds.listener_direction", direction);
        let route = route(request.headers.iter().copied());
        stream.set_property("xds.route_name", route);
        stream.set_property("xds.cluster_name", route);
        stream.set_property("xds.virtual_host_name", "probe-host");
        stream.set_property("xds.filter_chain_name", "");
        stream.set_property("request.protocol", "HTTP/1.1");
        stream.set_property("request.time", 0_i64);
        stream.set_property("connection.mtls", false);
        stream.set_property("connection.id", 1_u64);
        stream.set_property("destination.port", 15006_i64);
        // As Envoy's connection manager hands them to the filters.
        let length = request.body.map_or(0, <[u8]>::len).to_string();
        let mut headers: Vec<(&str, &[u8])> = vec![
            (":authority", script::HOST.as_bytes()),
            (":path", request.path.as_bytes()),
            (":method", if request.body.is_some() { b"POST" } else { b"GET" }),
            (":scheme", b"http"),
            ("x-request-id", script::REQUEST_ID.as_bytes()),
        ];
        headers.extend(request.headers);
        if request.body.is_some() {
            headers.push(("content-length", length.as_bytes()));
        }
        headers.push(("x-forwarded-proto", b"http"));
        let mut outcome = stream.request_headers(headers, request.body.is_none());
        if outcome == Outcome::Pause {
            plugin.vm().tick();
            assert!(!stream.request_paused(), "{} waits for ever", request.path);
            outcome = Outcome::Continue;
        }
        if let (Outcome::Continue, Some(body)) = (&outcome, request.body) {
            outcome = stream.request_body(body, true);
        }
        match outcome {
            Outcome::Continue => Ok(stream),
            Outcome::Reply(reply) => {
                stream.end();
                Err(local_answer(reply))
            }
            Outcome::Pause => panic!("{} waits for ever", request.path),
        }
    }

    fn finish(&mut self, request: &Request, mut stream: Stream) -> Answer {
        let (headers, body) =
            upstream::answer(via(request, &stream), &stream.forwarded_request_body());
        let headers = [(":status".to_owned(), b"200".to_vec())].into_iter().chain(headers);
        let mut outcome = stream.response_headers(headers, false);
        if outcome == Outcome::Pause {
            self.plugins[&request.listener].vm().tick();
            assert!(!stream.response_paused(), "{} waits for ever", request.path);
            outcome = Outcome::Continue;
        }
        if outcome == Outcome::Continue {
            outcome = stream.response_body(body, true);
        }
        stream.end();
        match outcome {
            Outcome::Continue => answer(&stream.response(), stream.forwarded_response_body()),
            Outcome::Reply(reply) => local_answer(reply),
            Outcome::Pause => panic!("{} waits for ever", request.path),
        }
    }
}

impl script::Proxy for Proxy {
    fn exchange(&mut self, request: &Request) -> Answer {
        match self.begin(request) {
            Ok(stream) => self.finish(request, stream),
            Err(answer) => answer,
        }
    }

    fn hold(&mut self) {
        self.held = self.begin(&HELD).ok();
    }

    fn release(&mut self) -> Answer {
        let held = self.held.take().expect("a held request");
        self.finish(&HELD, held)
    }

    fn tick(&mut self) {
        self.plugins[&Listener::Inbound].vm().tick();
    }

    fn update(&mut self, configuration: &str) {
        for plugin in self.plugins.values_mut() {
            let updated = plugin.update(configuration);
            assert_eq!(updated.is_err(), ["refuse", "trap"].contains(&configuration));
        }
    }

    fn metrics(&mut self) -> BTreeMap<String, String> {
        let metrics = self.host.metrics();
        let mut seen: BTreeMap<_, _> = metrics
            .counters()
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_string()))
            .collect();
        if let Some(value) = metrics.gauge("probe_gauge") {
            seen.insert("probe_gauge".to_owned(), value.to_string());
        }
        seen
    }
}

const HELD: Request =
    Request { listener: Listener::Inbound, path: "/held", headers: &[], body: None };

/// The route that these headers take.
fn route<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> &'static str {
    let special = ("x-probe-route", &b"special"[..]);
    match headers.into_iter().any(|header| header == special) {
        true => "special",
        false => "usual",
    }
}

/// The route that the request took: chosen before the filter, and again only if
/// the filter had it chosen again.
fn via(request: &Request, stream: &Stream) -> &'static str {
    if stream.route_cache_clears() == 0 {
        return route(request.headers.iter().copied());
    }
    let headers = stream.request();
    route(headers.iter().filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, value))))
}

fn local_answer(reply: Reply) -> Answer {
    answer(&reply.headers, reply.body)
}

fn answer(headers: &HeaderMap, body: Vec<u8>) -> Answer {
    let status = headers.get(":status").expect("a status");
    let status = std::str::from_utf8(status).expect("a number");
    let lines = headers
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
        .collect();
    Answer { status: status.parse().expect("a number"), headers: lines, body }
}

fn property(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => number.as_f64().expect("a number").into(),
        Json::Bool(yes) => (*yes).into(),
        Json::Object(map) => Value::Map(
            map.iter().map(|(key, value)| (key.clone().into_bytes(), property(value))).collect(),
        ),
        Json::Null | Json::Array(_) => panic!("not in the metadata"),
    }
}
