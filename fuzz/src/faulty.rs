//! A proxy of which one call fails.

use release_track::host::fake::FakeHost;
use release_track::host::header_map::HeaderMap;
use release_track::host::{Facts, Host, Incoming, Status};

/// A fake host. The call after `calls_before` others answers `status` and does nothing.
pub struct Faulty {
    pub proxy: FakeHost,
    pub calls_before: u32,
    pub status: u32,
}

impl Faulty {
    fn call<T>(
        &mut self,
        call: impl FnOnce(&mut FakeHost) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let fails = self.calls_before == 0;
        self.calls_before = self.calls_before.wrapping_sub(1);
        if fails { Err(Status(self.status)) } else { call(&mut self.proxy) }
    }
}

impl AsMut<FakeHost> for Faulty {
    fn as_mut(&mut self) -> &mut FakeHost {
        &mut self.proxy
    }
}

impl<'h> Incoming<'h> for Faulty {
    fn request_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        self.call(FakeHost::request_headers)
    }

    fn response_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        self.call(FakeHost::response_headers)
    }
}

impl Facts for Faulty {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        self.call(|proxy| proxy.property(path))
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        self.call(FakeHost::now_ms)
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        self.call(|proxy| proxy.shared_data(key))
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        self.call(FakeHost::random)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.proxy.environment(name)
    }
}

impl Host for Faulty {
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.call(|proxy| proxy.set_request_header(name, value))
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status> {
        self.call(|proxy| proxy.remove_request_header(name))
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        self.call(|proxy| proxy.set_shared_data(key, value, cas))
    }

    fn define_counter(&mut self, name: &str) -> Result<u32, Status> {
        self.call(|proxy| proxy.define_counter(name))
    }

    fn increment(&mut self, counter: u32) -> Result<(), Status> {
        self.call(|proxy| proxy.increment(counter))
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, Status> {
        self.call(|proxy| proxy.define_gauge(name))
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        self.call(|proxy| proxy.record(gauge, value))
    }

    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status> {
        self.call(|proxy| proxy.reply(status, body))
    }

    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.call(|proxy| proxy.set_response_header(name, value))
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.call(|proxy| proxy.add_response_header(name, value))
    }
}
