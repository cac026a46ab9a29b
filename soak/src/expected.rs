//! What the design promises each visitor, in each mode of forwarding.

use demo::load::Visitor;
use demo::weather::Forward;

/// The track that a visitor's account puts it on.
pub(crate) fn track(visitor: &Visitor) -> Option<&'static str> {
    let name = visitor.name;
    if name.starts_with("tester-v3,") {
        Some("v3")
    } else if name.starts_with("tester,") {
        Some("v2")
    } else {
        None
    }
}

/// The version of a service on a track.
pub(crate) fn version(track: Option<&str>, service: &str) -> &'static str {
    match (track, service) {
        (Some("v2"), "frontend" | "forecast") => "v2",
        (Some("v3"), "forecast") => "v3",
        _ => "v1",
    }
}

/// The carrier that tells a sidecar the track of a call which its pod makes, or why it can not: an
/// application that forwards nothing, on a pod that belongs to no track.
pub(crate) fn carrier(forward: Forward, pod_has_track: bool) -> Option<&'static str> {
    match forward {
        Forward::RequestId => Some("request_id"),
        Forward::Baggage => Some("baggage"),
        Forward::Header => Some("header"),
        Forward::Trace | Forward::B3 | Forward::Datadog => Some("remembered"),
        Forward::TracecontextSdk | Forward::B3Sdk => Some("trace_id"),
        Forward::None => pod_has_track.then_some("workload"),
    }
}
