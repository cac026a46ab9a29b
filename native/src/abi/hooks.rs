//! What Envoy calls. A panic ends here: the request goes on as it is.
//!
//! Envoy calls a configuration's hooks on its main thread, and a stream's on the worker that has it.
//! It asks for all of these where it loads the module (Envoy:
//! `source/extensions/filters/http/dynamic_modules/filter_config.cc`); those that do nothing are for
//! bodies, trailers, and what the filter never starts.

use super::{Buffer, Config, Stream, VERSION};
use crate::module;
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;

/// `envoy_dynamic_module_type_on_http_filter_..._status`
const CONTINUE: u32 = 0;
const STOP_ITERATION: u32 = 1;

fn guarded<T>(otherwise: T, hook: impl FnOnce() -> T) -> T {
    // What the hook was about to change is either whole, or is made whole before it is used again.
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|panic| {
        // To drop what a panic carries could panic once more.
        std::mem::forget(panic);
        module::has_panicked();
        otherwise
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    guarded(null(), || {
        module::init(super::is_verbose());
        VERSION.as_ptr()
    })
}

/// Null: the configuration is refused.
#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    config: *mut c_void,
    name: Buffer,
    json: Buffer,
) -> *const module::Config {
    guarded(null(), || {
        // SAFETY: Envoy lends both during the call.
        let (name, json) = unsafe { (name.bytes(), json.bytes()) };
        match module::Config::new(&Config(config, PhantomData), name, json) {
            Some(config) => Box::into_raw(Box::new(config)).cast_const(),
            None => null(),
        }
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(
    config: *const module::Config,
) {
    // Envoy calls it for a configuration that was refused, too.
    if !config.is_null() {
        // SAFETY: it comes from the hook above, and Envoy hands it back once.
        guarded((), || drop(unsafe { Box::from_raw(config.cast_mut()) }));
    }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const module::Config,
    _stream: *mut c_void,
) -> *mut module::Stream<'static> {
    // SAFETY: Envoy's filter holds on to its configuration (`DynamicModuleHttpFilter::config_`).
    let config = unsafe { &*config };
    Box::into_raw(Box::new(module::Stream::new(config)))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_destroy(
    stream: *mut module::Stream<'static>,
) {
    // SAFETY: it comes from the hook above, and Envoy hands it back once.
    guarded((), || drop(unsafe { Box::from_raw(stream) }));
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: *mut c_void,
    stream: *mut module::Stream<'static>,
    _end_of_stream: bool,
) -> u32 {
    let reply = guarded(None, || {
        // SAFETY: Envoy calls one hook of a stream at a time.
        let stream = unsafe { &mut *stream };
        stream.on_request(&mut Stream(envoy, PhantomData))
    });
    match reply {
        None => CONTINUE,
        Some(module::Reply { status, headers, body }) => {
            // The stream of the module is not borrowed any more: Envoy may drop it in here.
            Stream(envoy, PhantomData).reply(status, &headers, &body, "release_track");
            STOP_ITERATION
        }
    }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: *mut c_void,
    stream: *mut module::Stream<'static>,
    _end_of_stream: bool,
) -> u32 {
    guarded((), || {
        // SAFETY: as above.
        let stream = unsafe { &mut *stream };
        stream.on_response(&mut Stream(envoy, PhantomData));
    });
    CONTINUE
}

/// Hooks that Envoy wants to find, and that have nothing to do.
macro_rules! idle {
    ($($hook:ident($($argument:ty),*) $(-> $status:ty)?;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub(super) extern "C" fn $hook($(_: $argument),*) $(-> $status)? {
                $(CONTINUE as $status)?
            }
        )*
    };
}

type Ptr = *const c_void;

idle! {
    envoy_dynamic_module_on_http_filter_request_body(Ptr, Ptr, bool) -> u32;
    envoy_dynamic_module_on_http_filter_request_trailers(Ptr, Ptr) -> u32;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::fake;

    #[test]
    fn a_panic_ends_at_the_hook_and_is_told_once() {
        envoy_dynamic_module_on_program_init();
        assert_eq!(guarded(7, || panic!("of a test")), 7);
        for _ in 0..3 {
            module::tell_panic("this is\nwhat is wrong");
        }
        let log = fake::with(|envoy| envoy.log.clone());
        let told: Vec<_> = log.iter().filter(|(_, line)| line.contains("what is wrong")).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].1.contains("this is what is wrong"), "{told:?}");
    }
}
