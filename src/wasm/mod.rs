//! The filter in a proxy: the SDK's callbacks on one side, [`Host`] on the other.
//!
//! No decision is taken here.

mod hostcalls;

use crate::filter::Filter;
use crate::host::header_map::HeaderMap;
use crate::host::{Facts, Host, Incoming, Status, Verdict};
use crate::plan::Response;
use hostcalls::{Map, Metric};
use log::{LevelFilter, Log, Metadata, Record};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

proxy_wasm::main! {{
    // The first logger stays, and there is none before this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { filter: None }));
}}

/// The proxy's log. The SDK's own logger panics where the proxy refuses a line.
struct Logger;

impl Log for Logger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Where the log itself fails there is nobody left to tell.
        let _ = hostcalls::log(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

/// The proxy at the other end of the hostcalls. It keeps no state: the proxy itself knows which
/// request is at hand.
struct Proxy;

impl<'h> Incoming<'h> for Proxy {
    fn request_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        hostcalls::header_map(Map::RequestHeaders).map(HeaderMap::from_serialized)
    }

    fn response_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        hostcalls::header_map(Map::ResponseHeaders).map(HeaderMap::from_serialized)
    }
}

impl Facts for Proxy {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        match hostcalls::property(path) {
            Ok(value) => Ok(Some(value)),
            Err(Status::NOT_FOUND) => Ok(None),
            Err(status) => Err(status),
        }
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        hostcalls::current_time().map(|nanoseconds| nanoseconds / 1_000_000)
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        match hostcalls::shared_data(key) {
            Ok(found) => Ok(Some(found)),
            Err(Status::NOT_FOUND) => Ok(None),
            Err(status) => Err(status),
        }
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        hostcalls::random()
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Host for Proxy {
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        hostcalls::replace_header(Map::RequestHeaders, name, value)
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status> {
        hostcalls::remove_header(Map::RequestHeaders, name)
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        hostcalls::set_shared_data(key, value, cas)
    }

    fn define_counter(&mut self, name: &str) -> Result<u32, Status> {
        hostcalls::define_metric(Metric::Counter, name)
    }

    fn increment(&mut self, counter: u32) -> Result<(), Status> {
        hostcalls::increment(counter)
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, Status> {
        hostcalls::define_metric(Metric::Gauge, name)
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        hostcalls::record(gauge, value)
    }

    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status> {
        hostcalls::local_response(status, "release_track", body)
    }

    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        hostcalls::replace_header(Map::ResponseHeaders, name, value)
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        hostcalls::add_header(Map::ResponseHeaders, name, value)
    }
}

struct Root {
    filter: Option<Rc<Filter>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = hostcalls::plugin_configuration(size).unwrap_or_default();
        match Filter::configure(&mut Proxy, &json) {
            Some(filter) => {
                if let Some(period) = filter.ticks() {
                    let _ = hostcalls::set_tick_period(period);
                }
                self.filter = Some(Rc::new(filter));
                true
            }
            None => false,
        }
    }

    fn on_tick(&mut self) {
        if let Some(filter) = &self.filter {
            filter.on_tick(&mut Proxy);
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { filter: self.filter.clone(), response: Response::default() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request. It holds on to the configuration it began with.
struct Stream {
    filter: Option<Rc<Filter>>,
    response: Response,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        let Some(filter) = &self.filter else { return Action::Continue };
        match filter.on_request(&mut Proxy, &mut self.response) {
            Verdict::Continue => Action::Continue,
            Verdict::Replied => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        if let Some(filter) = &self.filter {
            filter.on_response(&mut Proxy, &self.response);
        }
        Action::Continue
    }
}
