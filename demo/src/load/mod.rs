//! The load client: mixed visitors over many connections, and what they were served.
//!
//! It observes and has no opinion: what should have come out is for whoever reads the report.

mod client;
mod report;
mod response;
mod visitor;

use crate::weather::Forward;
use anyhow::{Context, Result, ensure};
use client::Connection;
pub use client::Http;
use hyper::Uri;
use hyper::header::{ACCEPT, HeaderValue};
pub use report::{Latency, Outcome, Report};
pub use response::Response;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
pub use visitor::{VISITORS, Visitor};

/// Sends mixed requests to a gateway of the weather app, and prints a report in JSON.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the gateway is.
    #[arg(long, default_value = "http://127.0.0.1:8080/")]
    pub url: Uri,
    #[arg(long, default_value_t = 2000)]
    pub requests: u64,
    /// Half of them per protocol, when there are two.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    #[arg(long, value_enum, value_delimiter = ',', default_value = "1,2")]
    pub http: Vec<Http>,
    /// What the applications forward: for some, clients must send an id.
    #[arg(long, value_enum, env = "FORWARD", default_value = "request-id")]
    pub forward: Forward,
    /// Requests per second, at most, over all connections; as fast as it goes without.
    #[arg(long)]
    pub rate: Option<f64>,
}

/// Sends all requests; `each` sees every response as it comes.
pub async fn run(options: &Options, mut each: impl FnMut(&Response)) -> Result<Report> {
    ensure!(options.connections > 0, "at least one connection is needed");
    ensure!(!options.http.is_empty(), "at least one protocol is needed");
    let to = address(&options.url).await?;
    let start = Instant::now();
    let random = RandomState::new();
    let (sender, mut responses) = mpsc::channel(1024);
    let mut connections = JoinSet::new();
    for index in 0..options.connections {
        let visit = Visit {
            index,
            http: options.http[index % options.http.len()],
            options: options.clone(),
            start,
            random: random.clone(),
            responses: sender.clone(),
        };
        connections.spawn(visit.run(to));
    }
    drop(sender);
    let mut report = Report::default();
    while let Some(response) = responses.recv().await {
        each(&response);
        report.add(&response);
    }
    report.finish(start.elapsed());
    Ok(report)
}

/// One connection's share of the requests.
struct Visit {
    index: usize,
    http: Http,
    options: Options,
    start: Instant,
    random: RandomState,
    responses: mpsc::Sender<Response>,
}

impl Visit {
    async fn run(self, to: SocketAddr) {
        let Options { requests, connections, http, forward, .. } = &self.options;
        let mut connection = Connection::new(self.http, to);
        let numbers = (self.index as u64..*requests).step_by(*connections);
        for (turn, number) in numbers.enumerate() {
            self.wait_for(number).await;
            // Every kind comes over every protocol.
            let visitor = VISITORS[(self.index / http.len() + turn) % VISITORS.len()];
            let mut headers = visitor.headers(*forward, self.trace_id(number));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let start = Instant::now();
            let body = connection.get(&self.options.url, headers).await;
            let seconds = start.elapsed().as_secs_f64();
            let served = body.and_then(|body| {
                serde_json::from_slice(&body).context("the response is no call tree")
            });
            let served = served.map_err(|error| format!("{error:#}"));
            let response = Response { visitor, http: self.http, seconds, served };
            if self.responses.send(response).await.is_err() {
                return;
            }
        }
    }

    async fn wait_for(&self, number: u64) {
        if let Some(rate) = self.options.rate {
            let due = Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until((self.start + due).into()).await;
        }
    }

    /// Distinct for every request of a run, and from those of other runs.
    fn trace_id(&self, number: u64) -> u128 {
        let high = self.random.hash_one((number, 'h'));
        let low = self.random.hash_one((number, 'l'));
        u128::from(high) << 64 | u128::from(low)
    }
}

async fn address(url: &Uri) -> Result<SocketAddr> {
    let host = url.host().context("the URL names no host")?;
    let port = url.port_u16().unwrap_or(80);
    let mut addresses = tokio::net::lookup_host((host, port)).await?;
    addresses.next().with_context(|| format!("{host} has no address"))
}
