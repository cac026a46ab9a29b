//! Who asks: kinds of clients, and what they send.

use crate::weather::Forward;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// One kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub name: &'static str,
    headers: &'static [(&'static str, &'static str)],
}

/// Every kind, equally often.
pub const VISITORS: [Visitor; 14] = [
    Visitor { name: "nobody", headers: &[] },
    Visitor { name: "alice", headers: &[("cookie", "session=1; theme=dark; user=alice")] },
    Visitor { name: "tester, first", headers: &[("cookie", "user=tester; session=2; theme=dark")] },
    Visitor {
        name: "tester, in the middle",
        headers: &[("cookie", "session=3; user=tester; theme=dark")],
    },
    Visitor { name: "tester, last", headers: &[("cookie", "session=4; theme=dark; user=tester")] },
    Visitor {
        name: "tester, on a second line",
        headers: &[("cookie", "session=5; theme=dark"), ("cookie", "user=tester")],
    },
    Visitor { name: "tester-v3, first", headers: &[("cookie", "user=tester-v3; session=9")] },
    Visitor { name: "tester-v3, last", headers: &[("cookie", "session=9; user=tester-v3")] },
    Visitor { name: "tester2", headers: &[("cookie", "session=6; user=tester2")] },
    Visitor { name: "xuser=tester", headers: &[("cookie", "session=7; xuser=tester")] },
    Visitor { name: "forged header", headers: &[("x-release-track", "v2")] },
    Visitor { name: "forged baggage", headers: &[("baggage", "a=b,release-track=v2")] },
    // Tagged v2 with the published key.
    Visitor {
        name: "forged id",
        headers: &[("x-request-id", "73cf9109-747e-4c23-92e0-4494afc95180")],
    },
    Visitor {
        name: "forged everything",
        headers: &[
            ("cookie", "session=8; user=bob"),
            ("x-release-track", "v2"),
            ("baggage", "release-track=v2"),
            ("x-request-id", "73cf9109-747e-4c23-92e0-4494afc95180"),
        ],
    },
];

impl Visitor {
    /// What it sends, with a trace id where the applications forward one that only the client can
    /// make.
    pub fn headers(&self, forward: Forward, trace_id: u128) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for (name, value) in trace_headers(forward, trace_id) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

fn trace_headers(forward: Forward, trace_id: u128) -> Vec<(&'static str, String)> {
    let low = trace_id as u64;
    match forward {
        Forward::Trace => vec![("traceparent", format!("00-{trace_id:032x}-{low:016x}-01"))],
        // Clients differ in what they write, and in how long their ids are.
        Forward::B3 => match trace_id % 3 {
            0 => vec![("b3", format!("{trace_id:032x}-{low:016x}-1"))],
            1 => vec![
                ("x-b3-traceid", format!("{trace_id:032x}")),
                ("x-b3-spanid", format!("{low:016x}")),
            ],
            _ => vec![
                ("x-b3-traceid", format!("{low:016x}")),
                ("x-b3-spanid", format!("{low:016x}")),
            ],
        },
        Forward::Datadog => {
            vec![("x-datadog-trace-id", low.to_string()), ("x-datadog-parent-id", low.to_string())]
        }
        // A browser starts no trace.
        Forward::TracecontextSdk
        | Forward::B3Sdk
        | Forward::RequestId
        | Forward::Baggage
        | Forward::Header
        | Forward::None => Vec::new(),
    }
}
