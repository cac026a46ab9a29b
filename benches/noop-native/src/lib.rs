//! A dynamic module that does nothing: its cost is Envoy's. Every hook that Envoy asks for is there
//! (Envoy: `source/extensions/dynamic_modules/abi/abi.h`).

use std::ffi::{c_char, c_void};

type Ptr = *const c_void;

/// What stands for a configuration and for a stream: anything but null.
static SOMETHING: u8 = 0;

/// `envoy_dynamic_module_type_on_http_filter_..._status`
const CONTINUE: u32 = 0;

#[repr(C)]
pub struct Buffer {
    data: *const u8,
    size: usize,
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    c"v0.2.0".as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(_: Ptr, _: Buffer, _: Buffer) -> Ptr {
    (&raw const SOMETHING).cast()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(_: Ptr, _: Ptr) -> Ptr {
    (&raw const SOMETHING).cast()
}

macro_rules! idle {
    ($($hook:ident($($argument:ty),*) $(-> $status:ty)?;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $hook($(_: $argument),*) $(-> $status)? {
                $(CONTINUE as $status)?
            }
        )*
    };
}

idle! {
    envoy_dynamic_module_on_http_filter_config_destroy(Ptr);
    envoy_dynamic_module_on_http_filter_destroy(Ptr);
    envoy_dynamic_module_on_http_filter_request_headers(Ptr, Ptr, bool) -> u32;
    envoy_dynamic_module_on_http_filter_request_body(Ptr, Ptr, bool) -> u32;
    envoy_dynamic_module_on_http_filter_request_trailers(Ptr, Ptr) -> u32;
    envoy_dynamic_module_on_http_filter_response_headers(Ptr, Ptr, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_body(Ptr, Ptr, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_trailers(Ptr, Ptr) -> u32;
    envoy_dynamic_module_on_http_filter_stream_complete(Ptr, Ptr);
    envoy_dynamic_module_on_http_filter_http_callout_done(Ptr, Ptr, u64, u32, Ptr, usize, Ptr, usize);
    envoy_dynamic_module_on_http_filter_http_stream_headers(Ptr, Ptr, u64, Ptr, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(Ptr, Ptr, u64, Ptr, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(Ptr, Ptr, u64, Ptr, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(Ptr, Ptr, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(Ptr, Ptr, u64, u32);
    envoy_dynamic_module_on_http_filter_scheduled(Ptr, Ptr, u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(Ptr, Ptr);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(Ptr, Ptr);
}
