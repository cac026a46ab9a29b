//! What an application passes on from the request that it serves to the calls that it makes for it.

use axum::http::HeaderMap;
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
            Forward::Trace => &["traceparent", "tracestate"],
            Forward::B3 => &[
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

    /// The lines of `from` that the application copies, as they are.
    pub fn pick(self, from: &HeaderMap) -> HeaderMap {
        let mut picked = HeaderMap::new();
        for name in self.headers() {
            for value in from.get_all(*name) {
                picked.append(*name, value.clone());
            }
        }
        picked
    }
}
