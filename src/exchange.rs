//! One exchange: a request that passes the filter on a [`FakeHost`], and its response.
//!
//! Whoever runs the filter natively (tests, fuzzing, `release-track explain`) does it here, in the
//! order in which a proxy calls it.
//!
//! ```
//! use release_track::exchange::{Request, exchange};
//! use release_track::filter::Filter;
//! use release_track::host::fake::FakeHost;
//!
//! let id = "sidecar~10.0.0.1~forecast-1.weather~weather.svc.cluster.local";
//! let mut proxy = FakeHost::node(id, &[("app", "forecast"), ("version", "v1")]);
//! let tracks = br#"{"tracks": [{"name": "v2", "workloads": {"forecast": "v2"}}]}"#;
//! let filter = Filter::configure(&mut proxy, tracks).unwrap();
//!
//! // A request of v2 arrives at a pod of v1.
//! let headers = vec![(b"x-release-track".to_vec(), b"v2".to_vec())];
//! let request = Request { direction: 1, headers, ..Request::default() };
//! let crossed = "release_track.track=.=v2;.;outcome=.=crossed;.;arrivals_total";
//! assert_eq!(exchange(&filter, &mut proxy, &request).counts[crossed], 1);
//! ```

use crate::filter::Filter;
use crate::host::fake::{self, FakeHost};
use crate::host::{Host, Incoming, Verdict};
use crate::plan::Response;
use std::collections::BTreeMap;

/// Headers in order, names in lower case.
pub type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// Lines of the proxy's log, each with its level (proxy-wasm ABI 0.2.1, `proxy_log_level_t`).
pub type Log = Vec<(u32, String)>;

/// A request as it reaches the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How long after the request before it, in milliseconds.
    pub after_ms: u64,
    /// Of the listener: 0 unspecified, 1 inbound, 2 outbound (Envoy: `TrafficDirection`).
    pub direction: i64,
    /// Of the route; `None`: it has none.
    pub cluster: Option<String>,
    /// Of the route that a request with `x-release-track` has instead, also once the filter has
    /// written the header; `None`: there is only the one.
    pub tracked_cluster: Option<String>,
    /// The connection is mutual TLS.
    pub mtls: bool,
    /// What else the proxy tells of this request alone: paths, segments joined by NUL, and values.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// Pseudo headers first.
    pub headers: Lines,
    /// The upstream's response, `:status` first.
    pub response: Lines,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub verdict: Verdict,
    /// The request's headers when they left the filter.
    pub request: Lines,
    /// Status and body, if the proxy responded itself.
    pub reply: Option<(u32, String)>,
    /// The response's headers when they left the filter.
    pub response: Lines,
    /// By how much counters grew, by their stats' names.
    pub counts: BTreeMap<String, u64>,
    /// How often each hostcall was made in the request phase, by its name without `proxy_`. The
    /// native core logs without one.
    pub calls: BTreeMap<String, usize>,
    /// How often a request header was written or removed.
    pub writes: usize,
    pub log: Log,
    /// The steps of the decisions, in words. Only the native core tells them.
    pub steps: Vec<String>,
}

impl Exchange {
    /// Lines of the log of level warning and above.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        warnings(&self.log)
    }
}

/// What this thread has logged since it was last taken.
pub fn take_log() -> Log {
    fake::logged().into_iter().map(|(level, line)| (number(level), line)).collect()
}

/// As Proxy-Wasm numbers levels: from trace, 0, to error, 4.
fn number(level: log::Level) -> u32 {
    5 - level as u32
}

/// Lines of level warning and above.
pub fn warnings(log: &Log) -> impl Iterator<Item = &str> {
    log.iter()
        .filter(|(level, _)| *level >= number(log::Level::Warn))
        .map(|(_, line)| line.as_str())
}

impl FakeHost {
    /// A request reaches the proxy.
    pub fn receive(&mut self, request: &Request) {
        let mut property = |name: &str, value: Option<Vec<u8>>| match value {
            Some(value) => self.properties.insert(name.into(), value),
            None => self.properties.remove(name.as_bytes()),
        };
        property("xds\0listener_direction", Some(request.direction.to_le_bytes().into()));
        property("xds\0cluster_name", request.cluster.clone().map(String::into_bytes));
        self.routes = request.tracked_cluster.clone().zip(request.cluster.clone());
        property("connection\0mtls", Some(vec![request.mtls.into()]));
        for (path, _) in std::mem::replace(&mut self.of_request, request.properties.clone()) {
            self.properties.remove(&path);
        }
        self.properties.extend(request.properties.iter().cloned());
        self.now_ms += request.after_ms;
        self.headers = request.headers.clone();
        self.response = request.response.clone();
        self.replied = None;
        self.choose_route();
        self.calls.clear();
    }

    /// As a proxy does again once a header was written.
    fn choose_route(&mut self) {
        let Some((tracked, other)) = &self.routes else { return };
        let is_tracked = self.headers.iter().any(|(name, _)| name == b"x-release-track");
        let cluster = if is_tracked { tracked } else { other };
        self.properties.insert(b"xds\0cluster_name".to_vec(), cluster.clone().into_bytes());
    }
}

impl AsMut<Self> for FakeHost {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// What the filter kept of a request that has passed it.
#[derive(Debug)]
pub struct Passed {
    pub verdict: Verdict,
    pub response: Response,
    /// As [`Exchange::calls`].
    pub calls: BTreeMap<&'static str, usize>,
}

/// The request that the proxy has received passes the filter, and so does its response: the
/// upstream's, or the proxy's own. `host` is the proxy, or stands before it. Allocates nothing but
/// what the filter and the host do.
pub fn pass<'h>(
    filter: &Filter,
    host: &mut (impl Host + Incoming<'h> + AsMut<FakeHost>),
) -> Passed {
    let mut response = Response::default();
    let verdict = filter.on_request(host, &mut response);
    let proxy = host.as_mut();
    let calls = std::mem::take(&mut proxy.calls);
    proxy.choose_route();
    if let Some((status, _)) = &proxy.replied {
        proxy.response = vec![(b":status".to_vec(), status.to_string().into_bytes())];
    }
    filter.on_response(host, &response);
    Passed { verdict, response, calls }
}

/// A whole exchange. It takes the log of this thread; steps and counters from before stay.
pub fn exchange(filter: &Filter, proxy: &mut FakeHost, request: &Request) -> Exchange {
    proxy.receive(request);
    let before = proxy.counted();
    let steps = proxy.steps.len();
    let Passed { verdict, calls, .. } = pass(filter, proxy);
    let grown = |(name, count): (String, u64)| {
        let by = count - before.get(&name).copied().unwrap_or_default();
        (by > 0).then_some((name, by))
    };
    let write =
        |name: &&str| matches!(*name, "replace_header_map_value" | "remove_header_map_value");
    Exchange {
        verdict,
        request: proxy.headers.clone(),
        reply: proxy.replied.clone(),
        response: proxy.response.clone(),
        counts: proxy.counted().into_iter().filter_map(grown).collect(),
        writes: calls.iter().filter(|(name, _)| write(name)).map(|(_, count)| count).sum(),
        calls: calls.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        log: take_log(),
        steps: proxy.steps.split_off(steps),
    }
}
