//! Envoy's ABI for dynamic modules, as far as the filter needs it (Envoy:
//! `source/extensions/dynamic_modules/abi/abi.h`, versions 0.1.0 of Envoy 1.38 to 0.2.0 of 1.40;
//! all that is declared here is the same in these).
//!
//! The functions that Envoy has are declared here, and wrapped so that nothing else need be unsafe;
//! `hooks` are those that Envoy calls.
#![allow(unsafe_code)]

mod hooks;

#[cfg(any(test, feature = "stand-in"))]
pub(crate) mod fake;

use log::Level;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr::null;

/// The version that the module says it was made for. Envoy warns of another one, and goes on.
const VERSION: &CStr = c"v0.2.0";

/// `envoy_dynamic_module_type_http_header_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Map {
    RequestHeaders = 0,
    ResponseHeaders = 2,
}

/// `envoy_dynamic_module_type_attribute_id`: those that are read.
const CONNECTION_MTLS: u32 = 29;
const XDS_LISTENER_DIRECTION: u32 = 59;

/// `envoy_dynamic_module_type_metadata_source`: of the endpoint that was chosen.
const HOST: u32 = 3;

/// `envoy_dynamic_module_type_metrics_result`
const SUCCESS: u32 = 0;

/// `envoy_dynamic_module_type_envoy_buffer`, and `..._module_buffer`: bytes of the one or the other.
#[derive(Clone, Copy)]
#[repr(C)]
struct Buffer {
    data: *const u8,
    size: usize,
}

/// `envoy_dynamic_module_type_envoy_http_header`, and `..._module_http_header`
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    name: Buffer,
    value: Buffer,
}

unsafe extern "C" {
    fn envoy_dynamic_module_callback_log(level: u32, message: Buffer);
    fn envoy_dynamic_module_callback_log_enabled(level: u32) -> bool;

    fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: *mut c_void,
        name: Buffer,
        labels: *const Buffer,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: *mut c_void,
        name: Buffer,
        labels: *const Buffer,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_increment_counter(
        stream: *mut c_void,
        id: usize,
        values: *const Buffer,
        values_size: usize,
        by: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_set_gauge(
        stream: *mut c_void,
        id: usize,
        values: *const Buffer,
        values_size: usize,
        value: u64,
    ) -> u32;

    fn envoy_dynamic_module_callback_http_get_headers_size(stream: *mut c_void, map: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_headers(
        stream: *mut c_void,
        map: u32,
        headers: *mut Header,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(
        stream: *mut c_void,
        map: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_add_header(
        stream: *mut c_void,
        map: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_clear_route_cache(stream: *mut c_void);
    fn envoy_dynamic_module_callback_http_send_response(
        stream: *mut c_void,
        status: u32,
        headers: *const Header,
        headers_size: usize,
        body: Buffer,
        details: Buffer,
    );

    fn envoy_dynamic_module_callback_http_get_cluster_name(
        stream: *mut c_void,
        name: *mut Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_filter_get_attribute_int(
        stream: *mut c_void,
        attribute: u32,
        value: *mut u64,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_filter_get_attribute_bool(
        stream: *mut c_void,
        attribute: u32,
        value: *mut bool,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_metadata_string(
        stream: *mut c_void,
        source: u32,
        namespace: Buffer,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_filter_state_typed(
        stream: *mut c_void,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
}

#[cfg(not(any(test, feature = "stand-in")))]
#[link(name = "c")]
unsafe extern "C" {
    fn getrandom(buffer: *mut u8, size: usize, flags: u32) -> isize;
}

impl Buffer {
    const NONE: Self = Self { data: null(), size: 0 };

    fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), size: bytes.len() }
    }

    /// # Safety
    /// The bytes are there for as long as `'a`.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: Level, line: &str) {
    let level = match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    };
    // SAFETY: bytes that are read during the call; likewise in every call below.
    unsafe { envoy_dynamic_module_callback_log(level, Buffer::of(line.as_bytes())) }
}

/// Whether the log wants lines of level info.
fn is_verbose() -> bool {
    unsafe { envoy_dynamic_module_callback_log_enabled(2) }
}

/// 128 random bits of the system.
#[cfg(not(any(test, feature = "stand-in")))]
pub(crate) fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let written = unsafe { getrandom(bytes.as_mut_ptr(), bytes.len(), 0) };
    (written == bytes.len() as isize).then_some(bytes)
}

/// A configuration that has arrived, as Envoy sees it (`DynamicModuleHttpFilterConfig`).
pub(crate) struct Config<'a>(*mut c_void, PhantomData<&'a ()>);

impl Config<'_> {
    /// The id of the counter of this name. Each set of values of its labels is a counter of its own.
    pub(crate) fn define_counter(&self, name: &str, labels: &[&str]) -> Option<usize> {
        self.define(envoy_dynamic_module_callback_http_filter_config_define_counter, name, labels)
    }

    /// The same of a gauge.
    pub(crate) fn define_gauge(&self, name: &str, labels: &[&str]) -> Option<usize> {
        self.define(envoy_dynamic_module_callback_http_filter_config_define_gauge, name, labels)
    }

    fn define(&self, define: Define, name: &str, labels: &[&str]) -> Option<usize> {
        let mut id = 0;
        let name = Buffer::of(name.as_bytes());
        let labels: Vec<_> = labels.iter().map(|label| Buffer::of(label.as_bytes())).collect();
        let result = unsafe { define(self.0, name, labels.as_ptr(), labels.len(), &mut id) };
        (result == SUCCESS).then_some(id)
    }
}

/// The calls that define a metric: configuration, name, labels and how many, where the id goes.
type Define = unsafe extern "C" fn(*mut c_void, Buffer, *const Buffer, usize, *mut usize) -> u32;

/// A request and its response, as Envoy sees them while it calls the module
/// (`DynamicModuleHttpFilter`).
pub(crate) struct Stream<'a>(*mut c_void, PhantomData<&'a mut ()>);

impl Stream<'_> {
    /// All headers, as they stand: Envoy lends them until one is written.
    pub(crate) fn headers(&self, map: Map) -> Option<Vec<(&[u8], &[u8])>> {
        let map = map as u32;
        let size = unsafe { envoy_dynamic_module_callback_http_get_headers_size(self.0, map) };
        let mut headers = Vec::with_capacity(size);
        // SAFETY: there is room for as many as Envoy says there are.
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_get_headers(self.0, map, headers.as_mut_ptr())
        };
        if !is_there {
            return None;
        }
        // SAFETY: Envoy has filled in all of them.
        unsafe { headers.set_len(size) };
        let pair = |Header { name, value }: Header| {
            // SAFETY: whoever writes a header needs this stream for himself.
            unsafe { (name.bytes(), value.bytes()) }
        };
        Some(headers.into_iter().map(pair).collect())
    }

    /// Sets a header to this one value. An empty one removes it.
    pub(crate) fn set_header(&mut self, map: Map, name: &[u8], value: &[u8]) -> bool {
        let (name, value) = (Buffer::of(name), Buffer::of(value));
        unsafe { envoy_dynamic_module_callback_http_set_header(self.0, map as u32, name, value) }
    }

    pub(crate) fn add_header(&mut self, map: Map, name: &[u8], value: &[u8]) -> bool {
        let (name, value) = (Buffer::of(name), Buffer::of(value));
        unsafe { envoy_dynamic_module_callback_http_add_header(self.0, map as u32, name, value) }
    }

    pub(crate) fn remove_header(&mut self, map: Map, name: &[u8]) -> bool {
        let name = Buffer::of(name);
        unsafe {
            envoy_dynamic_module_callback_http_set_header(self.0, map as u32, name, Buffer::NONE)
        }
    }

    /// Has the route be chosen again.
    pub(crate) fn clear_route_cache(&mut self) {
        unsafe { envoy_dynamic_module_callback_http_clear_route_cache(self.0) }
    }

    /// Responds in place of the upstream. Envoy may end the stream meanwhile.
    fn reply(&mut self, status: u32, headers: &[(Vec<u8>, Vec<u8>)], body: &str, details: &str) {
        let header = |(name, value): &(Vec<u8>, Vec<u8>)| Header {
            name: Buffer::of(name),
            value: Buffer::of(value),
        };
        let headers: Vec<_> = headers.iter().map(header).collect();
        unsafe {
            envoy_dynamic_module_callback_http_send_response(
                self.0,
                status,
                headers.as_ptr(),
                headers.len(),
                Buffer::of(body.as_bytes()),
                Buffer::of(details.as_bytes()),
            )
        }
    }

    pub(crate) fn increment_counter(&self, id: usize, values: &[&str], by: u64) -> bool {
        with_buffers(values, |values, size| unsafe {
            envoy_dynamic_module_callback_http_filter_increment_counter(
                self.0, id, values, size, by,
            )
        })
    }

    pub(crate) fn set_gauge(&self, id: usize, values: &[&str], value: u64) -> bool {
        with_buffers(values, |values, size| unsafe {
            envoy_dynamic_module_callback_http_filter_set_gauge(self.0, id, values, size, value)
        })
    }

    /// `xds.cluster_name`: of the request's route, as it stands.
    pub(crate) fn cluster_name(&self) -> Option<&[u8]> {
        let mut name = Buffer::NONE;
        let is_there =
            unsafe { envoy_dynamic_module_callback_http_get_cluster_name(self.0, &mut name) };
        // SAFETY: the cluster outlives the call, and the route is chosen again only by a write.
        is_there.then(|| unsafe { name.bytes() })
    }

    /// `xds.listener_direction`: 0 unspecified, 1 inbound, 2 outbound. Envoy has it since 1.40.
    pub(crate) fn listener_direction(&self) -> Option<u64> {
        let mut direction = 0;
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_filter_get_attribute_int(
                self.0,
                XDS_LISTENER_DIRECTION,
                &mut direction,
            )
        };
        is_there.then_some(direction)
    }

    /// `connection.mtls`: the client has shown a certificate.
    pub(crate) fn is_mtls(&self) -> bool {
        let mut is_mtls = false;
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_filter_get_attribute_bool(
                self.0,
                CONNECTION_MTLS,
                &mut is_mtls,
            )
        };
        is_there && is_mtls
    }

    /// A text in the metadata of the endpoint that was chosen. Copied at once: it is the
    /// endpoint's, which may be updated.
    pub(crate) fn endpoint_metadata(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        let (namespace, key) = (Buffer::of(namespace.as_bytes()), Buffer::of(key.as_bytes()));
        let mut value = Buffer::NONE;
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_get_metadata_string(
                self.0, HOST, namespace, key, &mut value,
            )
        };
        // SAFETY: Envoy lends it until the hook is over.
        is_there.then(|| unsafe { value.bytes() }.to_vec())
    }

    /// The text that an object in the filter state makes of itself. Copied at once: Envoy keeps
    /// one until it is asked again.
    pub(crate) fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        let mut value = Buffer::NONE;
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_get_filter_state_typed(
                self.0,
                Buffer::of(key.as_bytes()),
                &mut value,
            )
        };
        // SAFETY: as above.
        is_there.then(|| unsafe { value.bytes() }.to_vec())
    }
}

/// No metric has more than two labels.
fn with_buffers(values: &[&str], call: impl FnOnce(*const Buffer, usize) -> u32) -> bool {
    let mut buffers = [Buffer::NONE; 2];
    for (buffer, value) in buffers.iter_mut().zip(values) {
        *buffer = Buffer::of(value.as_bytes());
    }
    call(buffers.as_ptr(), values.len().min(buffers.len())) == SUCCESS
}
