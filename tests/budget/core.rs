//! Allocations of the core, counted natively. What the proxy hands over, such as the header map,
//! is not its own.

use crate::request;
use allocation_counter::{measure, opt_out};
use cases::{Case, Step};
use exchange::case;
use release_track::exchange::pass;
use release_track::filter::Filter;
use release_track::host::fake::FakeHost;
use release_track::host::header_map::HeaderMap;
use release_track::host::{Facts, Host, Incoming, Status};

/// For the last of the steps, which have been taken once before: what a first request sets up is
/// kept.
pub(crate) fn allocations(case: &Case, steps: &[Step]) -> u64 {
    let mut proxy = case::proxy(case);
    let filter = Filter::configure(&mut proxy, case.config.as_bytes()).unwrap();
    let mut proxy = Uncounted(proxy);
    let mut last = 0;
    for step in steps.iter().chain(steps) {
        last = of_step(&mut proxy, &filter, step);
    }
    last
}

fn of_step(proxy: &mut Uncounted, filter: &Filter, step: &Step) -> u64 {
    proxy.0.receive(&request(step));
    let counted = measure(|| {
        pass(filter, proxy);
    });
    counted.count_total
}

/// A proxy whose own allocations do not count.
struct Uncounted(FakeHost);

impl AsMut<FakeHost> for Uncounted {
    fn as_mut(&mut self) -> &mut FakeHost {
        &mut self.0
    }
}

fn uncounted<T>(call: impl FnOnce() -> T) -> T {
    let mut result = None;
    opt_out(|| result = Some(call()));
    result.unwrap()
}

impl<'h> Incoming<'h> for Uncounted {
    fn request_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        uncounted(|| self.0.request_headers())
    }

    fn response_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        uncounted(|| self.0.response_headers())
    }
}

impl Facts for Uncounted {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        uncounted(|| self.0.property(path))
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        uncounted(|| self.0.now_ms())
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        uncounted(|| self.0.shared_data(key))
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        uncounted(|| self.0.random())
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        uncounted(|| self.0.environment(name))
    }
}

impl Host for Uncounted {
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        uncounted(|| self.0.set_request_header(name, value))
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status> {
        uncounted(|| self.0.remove_request_header(name))
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        uncounted(|| self.0.set_shared_data(key, value, cas))
    }

    fn define_counter(&mut self, name: &str) -> Result<u32, Status> {
        uncounted(|| self.0.define_counter(name))
    }

    fn increment(&mut self, counter: u32) -> Result<(), Status> {
        uncounted(|| self.0.increment(counter))
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, Status> {
        uncounted(|| self.0.define_gauge(name))
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        uncounted(|| self.0.record(gauge, value))
    }

    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status> {
        uncounted(|| self.0.reply(status, body))
    }

    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        uncounted(|| self.0.set_response_header(name, value))
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        uncounted(|| self.0.add_response_header(name, value))
    }
}
