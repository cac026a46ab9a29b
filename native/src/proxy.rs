//! Envoy as the core sees it: while a configuration arrives, and while a request or its response
//! passes.

use crate::abi::{self, Map};
use crate::caller;
use crate::counters::Metrics;
use crate::module::Settings;
use crate::node::Node;
use crate::process;
use release_track::host::header_map::HeaderMap;
use release_track::host::{Facts, Host, Incoming, Status};
use release_track::istio::peer;

/// What Proxy-Wasm hosts say of what they cannot do here (`proxy_status_t`).
const BAD_ARGUMENT: Status = Status(2);
const INTERNAL_FAILURE: Status = Status(10);

fn done(is_done: bool) -> Result<(), Status> {
    if is_done { Ok(()) } else { Err(INTERNAL_FAILURE) }
}

/// Envoy while a configuration arrives. There is no request.
pub(crate) struct Startup<'a> {
    pub(crate) envoy: &'a abi::Config<'a>,
    pub(crate) node: &'a Node,
    pub(crate) metrics: Metrics,
    /// What gauges are to say, once there is a request to set them with.
    pub(crate) recorded: Vec<(u32, u64)>,
}

impl Facts for Startup<'_> {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        let path = path.strip_prefix(b"xds\0node\0").unwrap_or_default();
        Ok(self.node.property(path).map(Into::into))
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        process::now_ms().ok_or(INTERNAL_FAILURE)
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        process::random().ok_or(INTERNAL_FAILURE)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        process::environment(name)
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        Ok(process::shared().get(key))
    }
}

impl Host for Startup<'_> {
    fn set_request_header(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn remove_request_header(&mut self, _name: &[u8]) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn set_response_header(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn add_response_header(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn reply(&mut self, _status: u32, _body: &str) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        process::shared().set(key, value, cas)
    }

    fn define_counter(&mut self, name: &str) -> Result<u32, Status> {
        self.metrics.define_counter(self.envoy, name).ok_or(INTERNAL_FAILURE)
    }

    fn increment(&mut self, _counter: u32) -> Result<(), Status> {
        Err(BAD_ARGUMENT)
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, Status> {
        self.metrics.define_gauge(self.envoy, name).ok_or(INTERNAL_FAILURE)
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        self.recorded.push((gauge, value));
        Ok(())
    }
}

/// What the core wants written. It is written when the core is done, for until then it reads
/// headers that Envoy lends.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    headers: Vec<Write>,
    /// Status and body of the response that the proxy gives itself.
    pub(crate) reply: Option<(u32, String)>,
}

#[derive(Debug)]
enum Write {
    Set(Map, Vec<u8>, Vec<u8>),
    Add(Map, Vec<u8>, Vec<u8>),
    Remove(Map, Vec<u8>),
}

impl Writes {
    /// Writes the headers. If one of the request's is among them, the route is chosen again, once.
    #[inline]
    pub(crate) fn apply(self, envoy: &mut abi::Stream<'_>) {
        if !self.headers.is_empty() {
            self.write(envoy);
        }
    }

    fn write(self, envoy: &mut abi::Stream<'_>) {
        let mut is_rerouted = false;
        for write in self.headers {
            let (map, is_written) = match &write {
                Write::Set(map, name, value) => (*map, envoy.set_header(*map, name, value)),
                Write::Add(map, name, value) => (*map, envoy.add_header(*map, name, value)),
                Write::Remove(map, name) => (*map, envoy.remove_header(*map, name)),
            };
            is_rerouted |= is_written && map == Map::RequestHeaders;
        }
        if is_rerouted {
            envoy.clear_route_cache();
        }
    }

    /// The headers of a response that begins with none.
    pub(crate) fn of_response(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let line = |write| match write {
            Write::Set(Map::ResponseHeaders, name, value)
            | Write::Add(Map::ResponseHeaders, name, value) => Some((name, value)),
            Write::Set(..) | Write::Add(..) | Write::Remove(..) => None,
        };
        self.headers.into_iter().filter_map(line).collect()
    }
}

/// Envoy while a request or its response passes.
pub(crate) struct Proxy<'a> {
    pub(crate) envoy: &'a abi::Stream<'a>,
    pub(crate) settings: &'a Settings,
    /// The status of the proxy's own response, which Envoy does not show to the module.
    pub(crate) own_response: Option<&'a str>,
    pub(crate) writes: Writes,
}

impl<'a> Proxy<'a> {
    pub(crate) fn new(envoy: &'a abi::Stream<'a>, settings: &'a Settings) -> Self {
        Self { envoy, settings, own_response: None, writes: Writes::default() }
    }

    fn headers(&self, map: Map) -> Result<HeaderMap<'a>, Status> {
        self.envoy.headers(map).map(HeaderMap::lent).ok_or(BAD_ARGUMENT)
    }

    fn write(&mut self, write: Write) -> Result<(), Status> {
        self.writes.headers.push(write);
        Ok(())
    }
}

impl<'a> Incoming<'a> for Proxy<'a> {
    fn request_headers(&mut self) -> Result<HeaderMap<'a>, Status> {
        self.headers(Map::RequestHeaders)
    }

    fn response_headers(&mut self) -> Result<HeaderMap<'a>, Status> {
        match self.own_response {
            Some(status) => Ok(HeaderMap::lent(vec![(b":status", status.as_bytes())])),
            None => self.headers(Map::ResponseHeaders),
        }
    }
}

impl Facts for Proxy<'_> {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        Ok(match path {
            b"xds\0cluster_name" => self.envoy.cluster_name().map(Into::into),
            b"xds\0listener_direction" => {
                self.settings.direction(self.envoy).map(|direction| direction.to_le_bytes().into())
            }
            b"connection\0mtls" => Some(vec![self.envoy.is_mtls().into()]),
            // Waypoints alone are asked for these.
            peer::ENDPOINT => self.envoy.endpoint_metadata("istio", "workload"),
            _ => path.strip_prefix(b"filter_state\0downstream_peer\0").and_then(|field| {
                let caller = self.envoy.filter_state(caller::KEY)?;
                caller::field(&caller, field).map(Into::into)
            }),
        })
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        process::now_ms().ok_or(INTERNAL_FAILURE)
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        process::random().ok_or(INTERNAL_FAILURE)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        process::environment(name)
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        Ok(process::shared().get(key))
    }
}

impl Host for Proxy<'_> {
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.write(Write::Set(Map::RequestHeaders, name.into(), value.into()))
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status> {
        self.write(Write::Remove(Map::RequestHeaders, name.into()))
    }

    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.write(Write::Set(Map::ResponseHeaders, name.into(), value.into()))
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.write(Write::Add(Map::ResponseHeaders, name.into(), value.into()))
    }

    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status> {
        self.writes.reply = Some((status, body.to_owned()));
        Ok(())
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        process::shared().set(key, value, cas)
    }

    fn define_counter(&mut self, _name: &str) -> Result<u32, Status> {
        Err(BAD_ARGUMENT)
    }

    fn increment(&mut self, counter: u32) -> Result<(), Status> {
        done(self.settings.metrics.increment(self.envoy, counter, 1))
    }

    fn define_gauge(&mut self, _name: &str) -> Result<u32, Status> {
        Err(BAD_ARGUMENT)
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        done(self.settings.metrics.record(self.envoy, gauge, value))
    }
}
