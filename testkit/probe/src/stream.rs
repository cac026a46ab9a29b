//! Streams: the path of a request says what to do.
//!
//! | path | what happens |
//! | --- | --- |
//! | `/headers`, `/writes`, `/data`, `/properties` | calls of that kind, in the request phase |
//! | `/other` | shared data of another VM |
//! | `/phases` | every later phase: which maps and properties are there |
//! | `/body` | both bodies: held back to their end, then changed |
//! | `/route?..` | one write to the header `x-probe-route` |
//! | `/reply..` | a local response |
//! | `/pause`, `/pause-response` | waits for a tick |
//! | `/action?..` | that action for the request's headers |
//! | `/trap` | an unreachable instruction |
//! | `/configuration` | a local response with the configuration of the stream's root |
//! | `/report` | a local response with the report |
//! | anything else | nothing |

use crate::report::{self, Pairs, note};
use crate::{abi, root};
use std::cell::RefCell;
use std::collections::BTreeMap;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

thread_local! {
    /// The root of each stream.
    static ROOTS: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
    /// The path of each stream.
    static PATHS: RefCell<BTreeMap<u32, String>> = const { RefCell::new(BTreeMap::new()) };
    static PAUSED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

fn path_of(context: u32) -> String {
    PATHS.with_borrow(|paths| paths.get(&context).cloned().unwrap_or_default())
}

/// Notes that a callback came, if the order of callbacks is wanted.
fn order(context: u32, callback: &str) {
    let path = path_of(context);
    if path.starts_with("/phases") || path.starts_with("/reply") || path.starts_with("/body") {
        note("order of callbacks", path, callback.to_owned());
    }
}

pub(crate) fn on_create(context: u32, root: u32) {
    ROOTS.with_borrow_mut(|roots| roots.insert(context, root));
    if report::first_time("stream") {
        note("stream", "context is above its root's", context > root);
        note("stream", "headers when created", abi::get_pairs(REQUEST).map(Pairs));
        note("stream", "direction when created", abi::get_property(b"xds\0listener_direction"));
    }
}

pub(crate) fn on_request_headers(context: u32, count: usize, end: bool) -> u32 {
    let path = abi::get_header(REQUEST, ":path").unwrap_or_default();
    let path = String::from_utf8_lossy(&path).into_owned();
    PATHS.with_borrow_mut(|paths| paths.insert(context, path.clone()));
    order(context, "request headers");
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    match path {
        "/report" => {
            let _ = abi::send_local_response(200, report::take_json().as_bytes(), b"", -1);
        }
        "/configuration" => {
            let root = ROOTS.with_borrow(|roots| roots.get(&context).copied().unwrap_or(0));
            let _ = abi::send_local_response(200, &root::configuration(root), b"", -1);
        }
        "/headers" => headers(count, end),
        "/writes" => writes(),
        "/singles" => singles("which headers are single", REQUEST),
        "/data" => data(),
        "/properties" => properties(),
        "/phases" => phase("request headers", count, end),
        // The body's length will change.
        "/body" | "/body-replace" | "/body-reply" => {
            note("request body", "content-length", abi::remove_header(REQUEST, "content-length"));
        }
        "/other" => other(),
        "/route" => route(query),
        "/reply" => return reply(query),
        "/pause" => {
            PAUSED.with_borrow_mut(|paused| paused.push(context));
            return PAUSE;
        }
        "/action" => return query.parse().unwrap_or(0),
        "/trap" => core::arch::wasm32::unreachable(),
        _ => {}
    }
    CONTINUE
}

/// The headers as they arrive, and reading them one by one.
fn headers(count: usize, end: bool) {
    let phase = "headers";
    note(phase, "pairs", abi::get_pairs(REQUEST).map(Pairs));
    note(phase, "count", count);
    note(phase, "end of stream", end);
    note(phase, "size", abi::get_map_size(REQUEST));
    for name in [
        "x-dup",
        "X-DUP",
        "x-empty",
        "x-bytes",
        "x-missing",
        "cookie",
        "host",
        ":authority",
        ":path",
        ":method",
        ":scheme",
        "x-request-id",
        "",
    ] {
        note(phase, format_args!("get {name}"), abi::get_header(REQUEST, name));
    }
    for map in 1..10 {
        reach_map(phase, map);
    }
    for buffer in [0, 1, 2, 3, 4, 5, 6, 7, 9] {
        note(phase, format_args!("buffer {buffer}"), abi::get_buffer(buffer, 0, 10));
        note(phase, format_args!("change buffer {buffer}"), abi::set_buffer(buffer, 0, 9, b"x"));
    }
}

/// Every kind of access to a header map.
pub(crate) fn reach_map(phase: &str, map: u32) {
    note(phase, format_args!("map {map}: get"), abi::get_header(map, "x-none"));
    note(phase, format_args!("map {map}: pairs"), abi::get_pairs(map).map(Pairs));
    note(phase, format_args!("map {map}: size"), abi::get_map_size(map));
    note(phase, format_args!("map {map}: add"), abi::add_header(map, "x-added", b"1"));
    note(phase, format_args!("map {map}: replace"), abi::replace_header(map, "x-replaced", b"1"));
    note(phase, format_args!("map {map}: remove"), abi::remove_header(map, "x-none"));
}

/// Writing, and what the map looks like after each step.
fn writes() {
    let phase = "writes";
    let before = abi::get_pairs(REQUEST).unwrap_or_default();
    let step = |what: &str, answer: Result<(), abi::Failure>| {
        note(phase, what, answer);
        note(phase, format_args!("after: {what}"), abi::get_pairs(REQUEST).map(Pairs));
    };
    step("replace x-dup", abi::replace_header(REQUEST, "X-Dup", b"new"));
    step("replace a new name", abi::replace_header(REQUEST, "X-New", b"1"));
    step("replace by nothing", abi::replace_header(REQUEST, "x-new", b""));
    step("add x-dup", abi::add_header(REQUEST, "x-dup", b"more"));
    step("add bytes", abi::add_header(REQUEST, "x-added", b"\xe9\xff"));
    step("add nothing", abi::add_header(REQUEST, "x-added", b""));
    step("remove x-dup", abi::remove_header(REQUEST, "X-DUP"));
    step("remove what is not there", abi::remove_header(REQUEST, "x-dup"));
    step("replace host", abi::replace_header(REQUEST, "host", b"other"));
    step("replace :path", abi::replace_header(REQUEST, ":path", b"/other"));
    step("add a pseudo header", abi::add_header(REQUEST, ":probe", b"1"));
    step("add x-request-id", abi::add_header(REQUEST, "x-request-id", b"second"));
    step("spaces", abi::replace_header(REQUEST, "x-new", b" a b "));
    step("a name with a space", abi::replace_header(REQUEST, "x new", b"1"));
    step("remove it", abi::remove_header(REQUEST, "x new"));
    step("a line break", abi::replace_header(REQUEST, "x-new", b"a\r\nb"));
    step("a zero byte", abi::replace_header(REQUEST, "x-new", b"a\0b"));
    step("remove it", abi::remove_header(REQUEST, "x-new"));
    step("no name", abi::add_header(REQUEST, "", b"1"));
    step("remove it", abi::remove_header(REQUEST, ""));
    step("add cookie", abi::add_header(REQUEST, "cookie", b"second=2"));
    let pairs = Pairs::of(&[("X-B", b"1"), (":method", b"PUT"), ("x-a", b""), ("x-b", b"2")]);
    step("set pairs", abi::set_pairs(REQUEST, &pairs.0));
    step("set malformed pairs", abi::set_pairs(REQUEST, b"\x05\0\0\0x"));
    step("set no pairs", abi::set_pairs(REQUEST, b"\0\0\0\0"));
    note(phase, "size of nothing", abi::get_map_size(REQUEST));
    step("set the old pairs", abi::set_pairs(REQUEST, &before));
    step("a path without a host", abi::get_header(REQUEST, "host").map(|_| ()));
}

/// Names of which a map holds one line only.
fn singles(phase: &str, map: u32) {
    const NAMES: &str = ":authority :method :path :protocol :scheme :status accept \
        accept-encoding accept-language access-control-allow-origin \
        access-control-request-headers access-control-request-method age alt-svc \
        authorization b3 baggage cache-control cdn-loop connection content-encoding \
        content-length content-type cookie date etag expect expires forwarded from \
        grpc-accept-encoding grpc-message grpc-status grpc-timeout host if-match \
        if-modified-since if-none-match if-range if-unmodified-since keep-alive \
        last-modified location max-forwards origin pragma proxy-authenticate \
        proxy-connection proxy-status range referer retry-after server set-cookie te \
        traceparent tracestate trailer transfer-encoding upgrade user-agent vary via \
        warning www-authenticate x-amzn-trace-id x-b3-flags x-b3-parentspanid \
        x-b3-sampled x-b3-spanid x-b3-traceid x-client-trace-id x-cloud-trace-context \
        x-datadog-trace-id x-envoy-attempt-count x-envoy-decorator-operation \
        x-envoy-degraded x-envoy-downstream-service-cluster \
        x-envoy-downstream-service-node x-envoy-expected-rq-timeout-ms \
        x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout \
        x-envoy-immediate-health-check-fail x-envoy-internal x-envoy-ip-tags \
        x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host \
        x-envoy-original-method x-envoy-original-path x-envoy-overloaded \
        x-envoy-peer-metadata x-envoy-peer-metadata-id x-envoy-rate-limited \
        x-envoy-retriable-header-names x-envoy-retriable-status-codes \
        x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name \
        x-envoy-upstream-canary x-envoy-upstream-healthchecked-cluster \
        x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-timeout-alt-response \
        x-envoy-upstream-rq-timeout-ms x-envoy-upstream-service-time \
        x-envoy-upstream-stream-duration-ms x-forwarded-client-cert x-forwarded-for \
        x-forwarded-host x-forwarded-port x-forwarded-proto x-ot-span-context \
        x-request-id x-other";
    let before = abi::get_pairs(map).unwrap_or_default();
    for name in NAMES.split_ascii_whitespace() {
        let _ = abi::set_pairs(map, &Pairs::of::<&str>(&[]).0);
        for value in ["1", "", "2"] {
            let _ = abi::add_header(map, name, value.as_bytes());
        }
        note(phase, name, abi::get_pairs(map).map(Pairs));
    }
    note(phase, "the old pairs", abi::set_pairs(map, &before));
}

/// Shared data and metrics.
fn data() {
    let phase = "shared data";
    let number = |key: &str| abi::get_shared(key).map_or(0, |(_, cas)| cas);
    let value = |key: &str| abi::get_shared(key).map(|(value, _)| value);
    note(phase, "get a missing key", value("a"));
    note(phase, "set a missing key with a number", abi::set_shared("a", b"1", 777));
    note(phase, "get it", value("a"));
    let first = number("a");
    note(phase, "its number is not 0", first != 0);
    note(phase, "set with 0", abi::set_shared("a", b"2", 0));
    note(phase, "the number has grown", number("a") > first);
    note(phase, "set with the old number", abi::set_shared("a", b"3", first));
    note(phase, "get it", value("a"));
    note(phase, "set with the number", abi::set_shared("a", b"4", number("a")));
    note(phase, "get it", value("a"));
    note(phase, "set it to nothing", abi::set_shared("a", b"", 0));
    note(phase, "get it", value("a"));
    note(phase, "its number is not 0", number("a") != 0);
    note(phase, "set another", abi::set_shared("b", b"\0\xff", 0));
    note(phase, "get it", value("b"));
    note(phase, "numbers are the process's", number("b") == number("a") + 1);
    note(phase, "set the empty key", abi::set_shared("", b"empty", 0));
    note(phase, "get it", value(""));
    note(phase, "for the other VM", abi::set_shared("other", b"from the first VM", 0));

    let phase = "metrics";
    let [counter, gauge, histogram] = [0, 1, 2].map(|kind| {
        let name = ["probe_counter", "probe_gauge", "probe_histogram"][kind as usize];
        let id = abi::define_metric(kind, name);
        note(phase, format_args!("define {name}: type of its id"), id.map(|id| id % 4));
        id.unwrap_or(0)
    });
    note(phase, "define type 3", abi::define_metric(3, "probe_nothing"));
    let again = abi::define_metric(0, "probe_counter").unwrap_or(0);
    note(phase, "a name defined again has the same id", again == counter);
    for (what, id, by) in [
        ("counter by 0", counter, 0),
        ("counter by -1", counter, -1),
        ("counter by 3", counter, 3),
        ("counter again by 2", again, 2),
        ("gauge by 0", gauge, 0),
        ("gauge by 5", gauge, 5),
        ("gauge by -2", gauge, -2),
        ("histogram by 1", histogram, 1),
        ("unknown counter by 1", 400_000, 1),
        ("unknown gauge by 1", 400_001, 1),
        ("unknown type by 1", 400_003, 1),
    ] {
        note(phase, format_args!("increment {what}"), abi::increment_metric(id, by));
        note(phase, format_args!("after: increment {what}"), abi::get_metric(id));
    }
    for (what, id, value) in [
        ("counter 10", counter, 10),
        ("counter 0", counter, 0),
        ("gauge 7", gauge, 7),
        ("histogram 9", histogram, 9),
        ("unknown counter", 400_000, 1),
        ("unknown histogram", 400_002, 1),
        ("unknown type", 400_003, 1),
    ] {
        note(phase, format_args!("record {what}"), abi::record_metric(id, value));
        note(phase, format_args!("after: record {what}"), abi::get_metric(id));
    }
}

/// What a VM with the same id sees of the first one's shared data.
fn other() {
    let shared = abi::get_shared("other");
    note("other VM", "get", shared.clone().map(|(value, _)| value));
    let number = shared.map_or(0, |(_, number)| number);
    note("other VM", "set with its number", abi::set_shared("other", b"and back", number));
    note("other VM", "set with a wrong number", abi::set_shared("other", b"never", number));
    note("other VM", "vm configuration", abi::get_buffer(6, 0, 100));
    let counter = abi::define_metric(0, "probe_counter").unwrap_or(0);
    note("other VM", "a counter of the same name", abi::get_metric(counter));
}

fn properties() {
    let phase = "properties";
    root::properties(phase);
    for path in [
        "request.headers.x-dup",
        "request.headers.X-DUP",
        "request.headers.x-missing",
        "request.headers.x-empty",
        "request.headers.x-bytes",
        "request.path",
        "request.url_path",
        "request.query",
        "request.host",
        "request.method",
        "request.scheme",
        "request.referer",
        "request.useragent",
        "request.id",
        "request.protocol",
        "request.nothing",
        "response.code",
        "response.headers.x-dup",
        "connection.mtls",
        "connection.nothing",
        "destination.nothing",
        "xds.filter_chain_name",
    ] {
        let parts = path.replace('.', "\0");
        note(phase, format_args!("property {path}"), abi::get_property(parts.as_bytes()));
    }
    for path in ["connection.id", "destination.port", "request.time"] {
        let parts = path.replace('.', "\0");
        let size = abi::get_property(parts.as_bytes()).map(|value| value.len());
        note(phase, format_args!("size of property {path}"), size);
    }
    for (name, value) in [("x-dup", "new"), (":path", "/new?query"), ("x-request-id", "new")] {
        note(
            phase,
            format_args!("write {name}"),
            abi::replace_header(REQUEST, name, value.as_bytes()),
        );
    }
    for path in ["request.headers.x-dup", "request.path", "request.query", "request.id"] {
        let parts = path.replace('.', "\0");
        note(phase, format_args!("{path} after that"), abi::get_property(parts.as_bytes()));
    }
    note(phase, "set", abi::set_property(b"mine", b"1\xff"));
    note(phase, "get it", abi::get_property(b"mine"));
    note(phase, "get it from the filter state", abi::get_property(b"filter_state\0wasm.mine"));
    note(phase, "set it again", abi::set_property(b"mine", b""));
    note(phase, "get it", abi::get_property(b"mine"));
    note(phase, "get below it", abi::get_property(b"mine\0below"));
    note(phase, "set in parts", abi::set_property(b"in\0parts", b"2"));
    note(phase, "get in parts", abi::get_property(b"in\0parts"));
    note(phase, "set the plugin's name", abi::set_property(b"plugin_name", b"2"));
    note(phase, "get the plugin's name", abi::get_property(b"plugin_name"));
}

/// The proxy writes its own `date` and `server` before a stream is logged.
fn without_date(pairs: Vec<u8>) -> Pairs {
    let pairs = Pairs(pairs);
    let Some(mut lines) = pairs.decode() else {
        return pairs;
    };
    lines.retain(|(name, _)| *name != b"date" && *name != b"server");
    Pairs::of(&lines)
}

/// What can be reached in a phase.
fn phase(phase: &str, count: usize, end: bool) {
    note(phase, "count", count);
    note(phase, "end of stream", end);
    for map in 0..4 {
        note(phase, format_args!("map {map}: get x-dup"), abi::get_header(map, "x-dup"));
        note(phase, format_args!("map {map}: pairs"), abi::get_pairs(map).map(without_date));
        note(phase, format_args!("map {map}: size"), abi::get_map_size(map));
        let name = format!("x-{}", phase.replace(' ', "-"));
        note(phase, format_args!("map {map}: add"), abi::add_header(map, &name, b"1"));
        note(phase, format_args!("map {map}: replace"), abi::replace_header(map, &name, b"1"));
        note(phase, format_args!("map {map}: remove"), abi::remove_header(map, "x-none"));
    }
    for path in [
        "request.path",
        "request.headers.x-dup",
        "response.code",
        "response.headers.x-dup",
        "xds.listener_direction",
        "xds.cluster_name",
        "mine",
    ] {
        let parts = path.replace('.', "\0");
        note(phase, format_args!("property {path}"), abi::get_property(parts.as_bytes()));
    }
    note(phase, "set property", abi::set_property(b"mine", phase.as_bytes()));
    note(phase, "plugin configuration", abi::get_buffer(7, 0, 10));
    note(phase, "request body", abi::get_buffer(0, 0, 10));
    note(phase, "response body", abi::get_buffer(1, 0, 10));
}

fn route(query: &str) {
    const NAME: &str = "x-probe-route";
    let _ = match query {
        "add" => abi::add_header(REQUEST, NAME, b"special"),
        "replace" => abi::replace_header(REQUEST, NAME, b"special"),
        "remove" => abi::remove_header(REQUEST, NAME),
        "pairs" => {
            let pairs = Pairs(abi::get_pairs(REQUEST).unwrap_or_default());
            let mut lines = pairs.decode().unwrap_or_default();
            lines.push((NAME.as_bytes(), b"special"));
            abi::set_pairs(REQUEST, &Pairs::of(&lines).0)
        }
        _ => Ok(()),
    };
    note("route", query, abi::get_property(b"xds\0route_name"));
}

/// A local response, by the query: `status[,grpc status[,body]]`.
fn reply(query: &str) -> u32 {
    let headers = Pairs::of(&[("X-Probe-Reply", b"1"), ("x-probe-reply", b"2")]);
    let mut parts = query.split(',');
    let status = parts.next().and_then(|part| part.parse().ok()).unwrap_or(200);
    let grpc_status = parts.next().and_then(|part| part.parse().ok()).unwrap_or(-1);
    let body = parts.next().unwrap_or_default();
    let answer = match body {
        "typed" => {
            let headers = Pairs::of(&[("content-type", b"text/probe"), ("server", b"probe")]);
            abi::send_local_response(status, b"typed", &headers.0, grpc_status)
        }
        "utf8" => {
            abi::send_local_response(status, "50 % \u{e9}\n".as_bytes(), &headers.0, grpc_status)
        }
        "twice" => {
            let first = abi::send_local_response(status, b"first", &headers.0, grpc_status);
            note("reply", "the first", first);
            abi::send_local_response(418, b"second", b"", grpc_status)
        }
        _ => abi::send_local_response(status, body.as_bytes(), &headers.0, grpc_status),
    };
    note("reply", query, answer);
    note("reply", "the request's headers are there still", abi::get_map_size(REQUEST).is_ok());
    if body == "paused" { PAUSE } else { CONTINUE }
}

pub(crate) fn resume_paused() {
    for context in PAUSED.take() {
        note("resume", "effective context", abi::set_effective_context(context));
        note("resume", "path", abi::get_header(REQUEST, ":path"));
        let (map, stream) = match path_of(context).as_str() {
            "/pause-response" => (RESPONSE, 1),
            _ => (REQUEST, 0),
        };
        note("resume", "write", abi::add_header(map, "x-probe-resumed", b"1"));
        note("resume", "continue", abi::continue_stream(stream));
        note("resume", "write", abi::add_header(map, "x-probe-resumed", b"2"));
    }
}

pub(crate) fn on_request_body(context: u32, size: usize, end: bool) -> u32 {
    order_of_body(context, "request body", end);
    body(context, "request body", 0, size, end)
}

pub(crate) fn on_response_body(context: u32, size: usize, end: bool) -> u32 {
    order_of_body(context, "response body", end);
    body(context, "response body", 1, size, end)
}

/// In how many pieces a body comes is chance.
fn order_of_body(context: u32, callback: &str, end: bool) {
    if end {
        order(context, callback);
    }
}

fn body(context: u32, phase: &str, buffer: u32, size: usize, end: bool) -> u32 {
    if !path_of(context).starts_with("/body") {
        return CONTINUE;
    }
    if !end {
        return PAUSE;
    }
    note(phase, "size", size);
    note(phase, "length", abi::get_buffer_length(buffer));
    note(phase, "bytes", abi::get_buffer(buffer, 0, size));
    note(phase, "bytes 2+3", abi::get_buffer(buffer, 2, 3));
    note(phase, "bytes past the end", abi::get_buffer(buffer, 100, 3));
    note(phase, "the other body", abi::get_buffer(1 - buffer, 0, 10));
    note(phase, "request headers", abi::get_header(REQUEST, ":path"));
    note(phase, "response headers", abi::get_header(RESPONSE, ":status"));
    let step = |what: &str, answer| {
        note(phase, what, answer);
        note(phase, format_args!("after: {what}"), abi::get_buffer(buffer, 0, 100));
    };
    step("prepend", abi::set_buffer(buffer, 0, 0, b"<"));
    step("append", abi::set_buffer(buffer, size + 1, 0, b">"));
    step("change the middle", abi::set_buffer(buffer, 2, 3, b"x"));
    step("change the front", abi::set_buffer(buffer, 0, 3, b"x"));
    if phase == "request body" && path_of(context).contains("reply") {
        note(phase, "reply", abi::send_local_response(413, b"too large", b"", -1));
    }
    if path_of(context).contains("replace") {
        step("replace", abi::set_buffer(buffer, 0, 1000, b"replaced"));
    }
    CONTINUE
}

pub(crate) fn on_response_headers(context: u32, count: usize, end: bool) -> u32 {
    order(context, "response headers");
    let path = path_of(context);
    if path.starts_with("/phases") {
        phase("response headers", count, end);
        let name = "x-probe-written";
        note("response headers", "replace", abi::replace_header(RESPONSE, "X-Dup", b"new"));
        note("response headers", "add", abi::add_header(RESPONSE, name, b"1"));
        note("response headers", "add", abi::add_header(RESPONSE, "set-cookie", b"c=3"));
        note("response headers", "pairs", abi::get_pairs(RESPONSE).map(Pairs));
    } else if path.starts_with("/body") {
        note("response body", "content-length", abi::remove_header(RESPONSE, "content-length"));
    } else if path == "/singles" {
        singles("which response headers are single", RESPONSE);
    } else if path.starts_with("/reply") {
        note("reply", "pairs", abi::get_pairs(RESPONSE).map(Pairs));
        note("reply", "end of stream", end);
        note("reply", "path", abi::get_header(REQUEST, ":path"));
        note("reply", "code", abi::get_property(b"response\0code"));
        note("reply", "add", abi::add_header(RESPONSE, "x-probe-added", b"1"));
    } else if path == "/pause-response" {
        PAUSED.with_borrow_mut(|paused| paused.push(context));
        return PAUSE;
    } else if path == "/late-reply" {
        let headers = Pairs::of(&[("x-probe-reply", b"late")]);
        let answer = abi::send_local_response(418, b"late", &headers.0, -1);
        note("late reply", "send", answer);
    }
    CONTINUE
}

pub(crate) fn on_log(context: u32) {
    order(context, "log");
    if path_of(context).starts_with("/phases") {
        phase("log", 0, false);
    }
}

pub(crate) fn on_done(context: u32) -> bool {
    order(context, "done");
    if path_of(context).starts_with("/phases") {
        phase("done", 0, false);
    }
    true
}

pub(crate) fn on_delete(context: u32) {
    order(context, "delete");
    PATHS.with_borrow_mut(|paths| paths.remove(&context));
    ROOTS.with_borrow_mut(|roots| roots.remove(&context));
}
