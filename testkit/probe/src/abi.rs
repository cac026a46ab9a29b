//! The ABI: what the host exports to us, and what we export to the host.

#![allow(unsafe_code)]

use crate::{root, stream};
use std::ptr::null_mut;

/// Anything but `Ok`, by number.
pub(crate) type Failure = u32;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, pairs: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, pairs: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_size(map: u32, size: *mut usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_buffer_status(buffer: u32, length: *mut usize, flags: *mut u32) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        bytes: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_status(code: *mut u32, message: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_done() -> u32;
}

fn check(status: u32) -> Result<(), Failure> {
    if status == 0 { Ok(()) } else { Err(status) }
}

/// Calls for bytes that the host leaves in memory that it has us allocate.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failure> {
    let (mut data, mut size) = (null_mut(), 0);
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // The host got this memory from `proxy_on_memory_allocate` with this size,
    // and gives it up.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

pub(crate) fn log(level: u32, message: &str) -> Result<(), Failure> {
    check(unsafe { proxy_log(level, message.as_ptr(), message.len()) })
}

pub(crate) fn get_log_level() -> Result<u32, Failure> {
    let mut level = 99;
    check(unsafe { proxy_get_log_level(&raw mut level) }).map(|()| level)
}

pub(crate) fn get_time() -> Result<u64, Failure> {
    let mut time = 0;
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) }).map(|()| time)
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), Failure> {
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(crate) fn get_property(path: &[u8]) -> Result<Vec<u8>, Failure> {
    take(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), Failure> {
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn get_header(map: u32, name: &str) -> Result<Vec<u8>, Failure> {
    take(|data, size| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)
    })
}

pub(crate) fn add_header(map: u32, name: &str, value: &[u8]) -> Result<(), Failure> {
    check(unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), Failure> {
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn remove_header(map: u32, name: &str) -> Result<(), Failure> {
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

pub(crate) fn get_pairs(map: u32) -> Result<Vec<u8>, Failure> {
    take(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

pub(crate) fn set_pairs(map: u32, pairs: &[u8]) -> Result<(), Failure> {
    check(unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) })
}

pub(crate) fn get_map_size(map: u32) -> Result<usize, Failure> {
    let mut size = 0;
    check(unsafe { proxy_get_header_map_size(map, &raw mut size) }).map(|()| size)
}

pub(crate) fn get_buffer(buffer: u32, start: usize, length: usize) -> Result<Vec<u8>, Failure> {
    take(|data, size| unsafe { proxy_get_buffer_bytes(buffer, start, length, data, size) })
}

pub(crate) fn get_buffer_length(buffer: u32) -> Result<usize, Failure> {
    let (mut length, mut flags) = (0, 0);
    check(unsafe { proxy_get_buffer_status(buffer, &raw mut length, &raw mut flags) })
        .map(|()| length)
}

pub(crate) fn set_buffer(
    buffer: u32,
    start: usize,
    length: usize,
    bytes: &[u8],
) -> Result<(), Failure> {
    check(unsafe { proxy_set_buffer_bytes(buffer, start, length, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn get_shared(key: &str) -> Result<(Vec<u8>, u32), Failure> {
    let mut cas = 0;
    take(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    })
    .map(|value| (value, cas))
}

pub(crate) fn set_shared(key: &str, value: &[u8], cas: u32) -> Result<(), Failure> {
    check(unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    })
}

pub(crate) fn define_metric(kind: u32, name: &str) -> Result<u32, Failure> {
    let mut id = 0;
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) }).map(|()| id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), Failure> {
    check(unsafe { proxy_increment_metric(id, offset) })
}

pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), Failure> {
    check(unsafe { proxy_record_metric(id, value) })
}

pub(crate) fn get_metric(id: u32) -> Result<u64, Failure> {
    let mut value = 0;
    check(unsafe { proxy_get_metric(id, &raw mut value) }).map(|()| value)
}

pub(crate) fn send_local_response(
    status: u32,
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Result<(), Failure> {
    let details = "probe";
    check(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

pub(crate) fn continue_stream(stream: u32) -> Result<(), Failure> {
    check(unsafe { proxy_continue_stream(stream) })
}

pub(crate) fn call_foreign(name: &str, argument: &[u8]) -> Result<Vec<u8>, Failure> {
    take(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            data,
            size,
        )
    })
}

pub(crate) fn set_effective_context(context: u32) -> Result<(), Failure> {
    check(unsafe { proxy_set_effective_context(context) })
}

pub(crate) fn get_status() -> Result<(u32, Vec<u8>), Failure> {
    let mut code = 99;
    take(|data, size| unsafe { proxy_get_status(&raw mut code, data, size) })
        .map(|message| (code, message))
}

pub(crate) fn done() -> Result<(), Failure> {
    check(unsafe { proxy_done() })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Vec::leak(vec![0; size]).as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    if root == 0 {
        root::on_create(context);
    } else {
        stream::on_create(context, root);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(root: u32, configuration_size: usize) -> bool {
    root::on_vm_start(root, configuration_size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, configuration_size: usize) -> bool {
    root::on_configure(root, configuration_size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    root::on_tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, headers: usize, end: u32) -> u32 {
    stream::on_request_headers(context, headers, end != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> u32 {
    stream::on_request_body(context, size, end != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, headers: usize, end: u32) -> u32 {
    stream::on_response_headers(context, headers, end != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: usize, end: u32) -> u32 {
    stream::on_response_body(context, size, end != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    stream::on_log(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> bool {
    if root::on_done(context) { !root::waits(context) } else { stream::on_done(context) }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    if !root::on_delete(context) {
        stream::on_delete(context);
    }
}
