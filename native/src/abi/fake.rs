//! An Envoy that is not there: the functions that the module calls, for tests and fuzzing. What it
//! knows and what it was told is a thread's own. It lends for as long as Envoy promises, and no longer.

use super::hooks::*;
use super::{Buffer, CONNECTION_MTLS, HOST, Header, SUCCESS, XDS_LISTENER_DIRECTION};
use crate::caller;
use crate::module;
use crate::node::Node;
use crate::shared::SharedData;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// What Envoy knows, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct Envoy {
    pub(crate) node: Node,
    pub(crate) environment: BTreeMap<String, String>,
    /// Milliseconds of the Unix epoch.
    pub(crate) now_ms: u64,
    /// The last "random" number: they are counted from one.
    pub(crate) random: u128,
    /// Of the process: its threads may have both together.
    pub(crate) shared: Arc<SharedData>,
    pub(crate) panics: Arc<AtomicU64>,
    pub(crate) request: Lines,
    pub(crate) response: Lines,
    pub(crate) cluster: Option<String>,
    /// Of the route that requests with `x-release-track` have instead.
    pub(crate) tracked_cluster: Option<String>,
    /// `None`: it does not tell.
    pub(crate) direction: Option<u64>,
    pub(crate) asked_for_direction: usize,
    pub(crate) mtls: bool,
    /// As Istio's object writes it.
    pub(crate) caller: Option<String>,
    /// `istio.workload` of the endpoint's metadata.
    pub(crate) endpoint: Option<String>,
    /// Whoever is no waypoint asks for neither.
    pub(crate) asked_for_peers: usize,
    /// What was lent of the filter state.
    pub(crate) serialized: String,
    /// Names, and those of their labels.
    pub(crate) families: Vec<(String, Vec<String>)>,
    /// By name with labels and their values.
    pub(crate) metrics: BTreeMap<String, u64>,
    pub(crate) reroutes: usize,
    pub(crate) reply: Option<(u32, Lines, String)>,
    pub(crate) log: Vec<(u32, String)>,
    /// Calls so far, without those that cannot fail.
    pub(crate) calls: usize,
    /// The call of this number fails.
    pub(crate) fails: Option<usize>,
}

impl Envoy {
    /// The cluster of the route that is chosen as the request stands.
    fn route(&self) -> Option<&String> {
        let is_tracked = self.request.iter().any(|(name, _)| name == b"x-release-track");
        let tracked = self.tracked_cluster.as_ref().filter(|_| is_tracked);
        self.cluster.as_ref().map(|cluster| tracked.unwrap_or(cluster))
    }
}

thread_local! {
    static ENVOY: RefCell<Envoy> = RefCell::default();
    /// The module's stream, while there is one.
    static STREAM: Cell<*mut module::Stream<'static>> = const { Cell::new(null_mut()) };
}

pub(crate) fn with<T>(change: impl FnOnce(&mut Envoy) -> T) -> T {
    ENVOY.with_borrow_mut(change)
}

/// A call that may fail.
fn call<T>(failed: T, call: impl FnOnce(&mut Envoy) -> T) -> T {
    with(|envoy| {
        envoy.calls += 1;
        if envoy.fails == Some(envoy.calls) { failed } else { call(envoy) }
    })
}

/// How often a hook has panicked in this process.
pub(crate) fn panics() -> u64 {
    with(|envoy| {
        let told = envoy.metrics.get("release_track.panics_total").copied().unwrap_or_default();
        told + envoy.panics.load(Relaxed)
    })
}

/// Another process, or another thread of one.
pub(crate) fn begin(process: Envoy) {
    with(|envoy| *envoy = process);
}

/// What the process knows, of this thread.
pub(crate) mod process {
    use super::{call, with};
    use crate::node::Node;
    use crate::shared::SharedData;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    pub(crate) fn now_ms() -> Option<u64> {
        call(None, |envoy| Some(envoy.now_ms))
    }

    pub(crate) fn random() -> Option<[u8; 16]> {
        call(None, |envoy| {
            envoy.random += 1;
            Some(envoy.random.to_be_bytes())
        })
    }

    pub(crate) fn environment(name: &str) -> Option<String> {
        with(|envoy| envoy.environment.get(name).cloned())
    }

    pub(crate) fn node() -> Box<Node> {
        Box::new(with(|envoy| envoy.node.clone()))
    }

    pub(crate) fn shared() -> Arc<SharedData> {
        with(|envoy| envoy.shared.clone())
    }

    pub(crate) fn panics() -> Arc<AtomicU64> {
        with(|envoy| envoy.panics.clone())
    }
}

impl Envoy {
    fn lines(&mut self, map: u32) -> &mut Lines {
        if map == 0 { &mut self.request } else { &mut self.response }
    }

    /// For a write: whatever was lent of these is gone.
    fn lines_anew(&mut self, map: u32) -> &mut Lines {
        let lines = self.lines(map);
        *lines = lines.clone();
        lines
    }

    fn metric(&self, id: usize, values: &[Buffer]) -> Option<String> {
        let (name, labels) = self.families.get(id)?;
        assert_eq!(labels.len(), values.len(), "{name}");
        let pair = |(label, value): (&String, &Buffer)| format!("{label}={}", text(*value));
        let pairs: Vec<_> = labels.iter().zip(values).map(pair).collect();
        Some(if pairs.is_empty() { name.clone() } else { format!("{name} {}", pairs.join(" ")) })
    }
}

fn bytes(buffer: Buffer) -> Vec<u8> {
    unsafe { buffer.bytes() }.to_vec()
}

fn text(buffer: Buffer) -> String {
    String::from_utf8_lossy(&bytes(buffer)).into_owned()
}

unsafe fn list<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, size) } }
}

// === A request through the hooks ===

/// A configuration that the module has taken.
pub(crate) struct Configured(*const module::Config);

// SAFETY: Envoy's workers share one, and the compiler has proved that a `Config` may be shared.
unsafe impl Sync for Configured {}

impl Drop for Configured {
    fn drop(&mut self) {
        envoy_dynamic_module_on_http_filter_config_destroy(self.0);
    }
}

pub(crate) fn configure(name: &str, json: &str) -> Option<Configured> {
    envoy_dynamic_module_on_program_init();
    let (name, json) = (name.to_owned(), json.to_owned());
    let lent = (Buffer::of(name.as_bytes()), Buffer::of(json.as_bytes()));
    let config = envoy_dynamic_module_on_http_filter_config_new(null_mut(), lent.0, lent.1);
    (!config.is_null()).then_some(Configured(config))
}

impl Configured {
    /// A request with these headers, and its response, pass. Whether the request went on.
    pub(crate) fn pass(&self, request: &[(&str, &str)], response: &[(&str, &str)]) -> bool {
        let lines = |lines: &[(&str, &str)]| -> Lines {
            lines.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
        };
        self.pass_lines(&lines(request), &lines(response))
    }

    pub(crate) fn pass_lines(&self, request: &Lines, response: &Lines) -> bool {
        with(|envoy| {
            (envoy.request, envoy.response) = (request.clone(), response.clone());
            (envoy.reply, envoy.reroutes) = (None, 0);
        });
        let stream = envoy_dynamic_module_on_http_filter_new(self.0, null_mut());
        STREAM.set(stream);
        let status = envoy_dynamic_module_on_http_filter_request_headers(null_mut(), stream, true);
        if status == 0 {
            envoy_dynamic_module_on_http_filter_response_headers(null_mut(), stream, true);
        }
        end_stream();
        status == 0
    }
}

fn end_stream() {
    let stream = STREAM.replace(null_mut());
    if !stream.is_null() {
        envoy_dynamic_module_on_http_filter_destroy(stream);
    }
}

// === What Envoy has ===

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log(level: u32, message: Buffer) {
    with(|envoy| envoy.log.push((level, text(message))));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log_enabled(_level: u32) -> bool {
    true
}

unsafe fn define(name: Buffer, labels: *const Buffer, size: usize, id: *mut usize) -> u32 {
    let labels = unsafe { list(labels, size) }.iter().map(|label| text(*label)).collect();
    call(3, |envoy| {
        envoy.families.push((text(name), labels));
        unsafe { *id = envoy.families.len() - 1 };
        SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_counter(
    _config: *mut c_void,
    name: Buffer,
    labels: *const Buffer,
    labels_size: usize,
    id: *mut usize,
) -> u32 {
    unsafe { define(name, labels, labels_size, id) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
    _config: *mut c_void,
    name: Buffer,
    labels: *const Buffer,
    labels_size: usize,
    id: *mut usize,
) -> u32 {
    unsafe { define(name, labels, labels_size, id) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_increment_counter(
    _stream: *mut c_void,
    id: usize,
    values: *const Buffer,
    values_size: usize,
    by: u64,
) -> u32 {
    let values = unsafe { list(values, values_size) };
    call(1, |envoy| match envoy.metric(id, values) {
        Some(name) => {
            *envoy.metrics.entry(name).or_default() += by;
            SUCCESS
        }
        None => 1,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_set_gauge(
    _stream: *mut c_void,
    id: usize,
    values: *const Buffer,
    values_size: usize,
    value: u64,
) -> u32 {
    let values = unsafe { list(values, values_size) };
    call(1, |envoy| match envoy.metric(id, values) {
        Some(name) => {
            envoy.metrics.insert(name, value);
            SUCCESS
        }
        None => 1,
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_headers_size(
    _stream: *mut c_void,
    map: u32,
) -> usize {
    with(|envoy| envoy.lines(map).len())
}

/// What it lends stands in its own lines, and goes with the next write.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_get_headers(
    _stream: *mut c_void,
    map: u32,
    headers: *mut Header,
) -> bool {
    call(false, |envoy| {
        for (number, (name, value)) in envoy.lines(map).iter().enumerate() {
            let header = Header { name: Buffer::of(name), value: Buffer::of(value) };
            unsafe { headers.add(number).write(header) };
        }
        true
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_set_header(
    _stream: *mut c_void,
    map: u32,
    name: Buffer,
    value: Buffer,
) -> bool {
    call(false, |envoy| {
        let (name, value) = (bytes(name), bytes(value));
        let lines = envoy.lines_anew(map);
        lines.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            lines.push((name, value));
        }
        true
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_add_header(
    _stream: *mut c_void,
    map: u32,
    name: Buffer,
    value: Buffer,
) -> bool {
    call(false, |envoy| {
        let line = (bytes(name), bytes(value));
        envoy.lines_anew(map).push(line);
        true
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_clear_route_cache(_stream: *mut c_void) {
    with(|envoy| {
        envoy.reroutes += 1;
        envoy.cluster = envoy.cluster.clone();
        envoy.tracked_cluster = envoy.tracked_cluster.clone();
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_send_response(
    _stream: *mut c_void,
    status: u32,
    headers: *const Header,
    headers_size: usize,
    body: Buffer,
    _details: Buffer,
) {
    let headers = unsafe { list(headers, headers_size) };
    let lines = headers.iter().map(|header| (bytes(header.name), bytes(header.value))).collect();
    with(|envoy| envoy.reply = Some((status, lines, text(body))));
    // Envoy may do so before it returns.
    end_stream();
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_get_cluster_name(
    _stream: *mut c_void,
    name: *mut Buffer,
) -> bool {
    call(false, |envoy| match envoy.route() {
        Some(cluster) => {
            unsafe { *name = Buffer::of(cluster.as_bytes()) };
            true
        }
        None => false,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_get_attribute_int(
    _stream: *mut c_void,
    attribute: u32,
    value: *mut u64,
) -> bool {
    assert_eq!(attribute, XDS_LISTENER_DIRECTION);
    with(|envoy| envoy.asked_for_direction += 1);
    call(false, |envoy| match envoy.direction {
        Some(direction) => {
            unsafe { *value = direction };
            true
        }
        None => false,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_get_attribute_bool(
    _stream: *mut c_void,
    attribute: u32,
    value: *mut bool,
) -> bool {
    assert_eq!(attribute, CONNECTION_MTLS);
    call(false, |envoy| {
        unsafe { *value = envoy.mtls };
        true
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_get_metadata_string(
    _stream: *mut c_void,
    source: u32,
    namespace: Buffer,
    key: Buffer,
    value: *mut Buffer,
) -> bool {
    assert_eq!((source, text(namespace), text(key)), (HOST, "istio".into(), "workload".into()));
    with(|envoy| envoy.asked_for_peers += 1);
    call(false, |envoy| match &envoy.endpoint {
        Some(endpoint) => {
            unsafe { *value = Buffer::of(endpoint.as_bytes()) };
            true
        }
        None => false,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_get_filter_state_typed(
    _stream: *mut c_void,
    key: Buffer,
    value: *mut Buffer,
) -> bool {
    assert_eq!(text(key), caller::KEY);
    with(|envoy| envoy.asked_for_peers += 1);
    call(false, |envoy| match envoy.caller.clone() {
        Some(caller) => {
            envoy.serialized = caller;
            unsafe { *value = Buffer::of(envoy.serialized.as_bytes()) };
            true
        }
        None => false,
    })
}
