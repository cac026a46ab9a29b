//! What an application passes on from the request that it serves to the calls that it makes for it.

use axum::http::{HeaderMap, HeaderValue};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forward {
    /// `x-request-id`, which Istio asks of every application.
    RequestId,
    /// W3C Baggage, as OpenTelemetry does.
    Baggage,
    /// `x-release-track` itself.
    Header,
    /// W3C Trace Context.
    Trace,
    /// Zipkin's headers, single and multiple.
    B3,
    /// Datadog's headers.
    Datadog,
    /// What a tracing SDK does that knows W3C Trace Context alone: it goes on with the trace that
    /// arrives, and starts one where none does.
    TracecontextSdk,
    /// The same, of one that knows B3 alone.
    B3Sdk,
    /// Nothing.
    None,
}

impl Forward {
    /// Header names, lower case.
    pub fn headers(self) -> &'static [&'static str] {
        match self {
            Forward::RequestId => &["x-request-id"],
            Forward::Baggage => &["baggage"],
            Forward::Header => &["x-release-track"],
            Forward::Trace | Forward::TracecontextSdk => &["traceparent", "tracestate"],
            Forward::B3 | Forward::B3Sdk => &[
                "b3",
                "x-b3-traceid",
                "x-b3-spanid",
                "x-b3-parentspanid",
                "x-b3-sampled",
                "x-b3-flags",
            ],
            Forward::Datadog => {
                &["x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority"]
            }
            Forward::None => &[],
        }
    }

    /// What an SDK makes anew where a request comes without a trace.
    fn start(self, id: u128) -> Option<(&'static str, String)> {
        let span = id as u64 | 1;
        match self {
            Forward::TracecontextSdk => {
                Some(("traceparent", format!("00-{id:032x}-{span:016x}-01")))
            }
            Forward::B3Sdk => Some(("b3", format!("{id:032x}-{span:016x}-1"))),
            Forward::RequestId
            | Forward::Baggage
            | Forward::Header
            | Forward::Trace
            | Forward::B3
            | Forward::Datadog
            | Forward::None => None,
        }
    }

    /// The lines of `from` that the application copies, as they are; for an SDK, the trace that it
    /// starts where there are none.
    pub fn pick(self, from: &HeaderMap) -> HeaderMap {
        let mut picked = HeaderMap::new();
        for name in self.headers() {
            for value in from.get_all(*name) {
                picked.append(*name, value.clone());
            }
        }
        let mut random = [0; 16];
        if picked.is_empty()
            && getrandom::fill(&mut random).is_ok()
            && let Some((name, value)) = self.start(u128::from_be_bytes(random))
            && let Ok(value) = HeaderValue::try_from(value)
        {
            picked.insert(name, value);
        }
        picked
    }
}
