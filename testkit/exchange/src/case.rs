//! A case: the proxy that it runs on, its requests, and what was seen of them.

use cases::{Bindings, Case, Responder, Seen, Step};
use release_track::exchange::{Exchange, Lines, Request};
use release_track::host::Verdict;
use release_track::host::fake::FakeHost;

/// The proxy of a case, before it is configured.
#[must_use]
pub fn proxy(case: &Case) -> FakeHost {
    let labels: Vec<_> = case.node.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
    let mut proxy = FakeHost::node(&case.node.id, &labels);
    proxy.now_ms = case.now_ms;
    proxy.environment = case.environment.clone();
    proxy
}

/// The request of a step, with what earlier steps have bound.
#[must_use]
pub fn request(step: &Step, bindings: &Bindings) -> Request {
    let lines = |lines: Vec<(String, Vec<u8>)>| -> Lines {
        lines.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect()
    };
    Request {
        after_ms: step.after_ms,
        direction: step.direction as i64,
        cluster: step.cluster.clone(),
        tracked_cluster: step.tracked_cluster.clone(),
        mtls: step.mtls,
        properties: step.properties(),
        headers: lines(step.headers(bindings)),
        response: lines(step.response_headers(bindings)),
    }
}

/// An exchange, for [`Step::check`].
#[must_use]
pub fn seen(exchange: Exchange) -> Seen {
    let text = |lines: Lines| {
        let name = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
        lines.into_iter().map(|(n, value)| (name(n), value)).collect()
    };
    let warnings = exchange.warnings().count();
    Seen {
        responder: match (exchange.verdict, exchange.reply) {
            (Verdict::Continue, None) => Responder::Upstream(text(exchange.request)),
            (_, reply) => {
                let (status, body) = reply.unwrap_or_default();
                Responder::Proxy { status: status as u16, body: body.into_bytes() }
            }
        },
        response: text(exchange.response),
        counts: exchange.counts,
        writes: Some(exchange.writes),
        calls: Some(exchange.calls),
        warnings: Some(warnings),
    }
}
