//! How requests ended that were decided here: counted, and told to the guards.

use super::metrics::Metrics;
use crate::guard::{Guards, Turns};
use crate::host::header_map::HeaderMap;
use crate::host::{Host, Incoming};
use crate::track::{Carried, Names};
use crate::vocabulary::{Class, Event};

/// The response to a request that followed this, the upstream's or the proxy's own. `true` if a
/// guard has stopped shares, or tries them again.
#[inline(never)]
pub(crate) fn observe<'h>(
    host: &mut (impl Host + Incoming<'h>),
    follows: Carried,
    guards: &Guards,
    names: &Names,
    metrics: &Metrics,
) -> bool {
    let Ok(headers) = host.response_headers() else { return false };
    let Some(class) = class(&headers) else { return false };
    metrics.answered(host, follows, class);
    let has_failed = matches!(class, Class::ServerError | Class::Grpc);
    let Turns { stopped, resumed } = guards.count(host, names, follows, has_failed);
    (0..resumed).for_each(|_| metrics.happened(host, Event::GuardResumed));
    (0..stopped).for_each(|_| metrics.happened(host, Event::GuardStopped));
    stopped + resumed > 0
}

/// `None`: no status, or one of no class.
fn class(headers: &HeaderMap<'_>) -> Option<Class> {
    let class = match headers.first(b":status")?.first()? {
        // 101 Switching Protocols: the client got what it asked for.
        b'1' | b'2' => Class::Success,
        b'3' => Class::Redirect,
        b'4' => Class::ClientError,
        b'5' => return Some(Class::ServerError),
        _ => return None,
    };
    let grpc_failed = headers.first(b"grpc-status").is_some_and(is_servers_fault);
    Some(if grpc_failed { Class::Grpc } else { class })
}

/// Unknown, deadline exceeded, resource exhausted, unimplemented, internal, unavailable, data loss
/// (gRPC: `statuscodes.md`). Envoy's own responses to gRPC calls are 200 with 14.
fn is_servers_fault(grpc_status: &[u8]) -> bool {
    matches!(grpc_status, b"2" | b"4" | b"8" | b"12" | b"13" | b"14" | b"15")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_one_class() {
        let class = |lines: &[(&str, &str)]| class(&lines.iter().collect()).map(Class::label);
        for (status, want) in [
            ("101", Some("2xx")),
            ("200", Some("2xx")),
            ("304", Some("3xx")),
            ("421", Some("4xx")),
            ("503", Some("5xx")),
            ("600", None),
            ("", None),
        ] {
            assert_eq!(class(&[(":status", status)]), want, "{status}");
        }
        assert_eq!(class(&[]), None);
        for code in 0..=17 {
            let failed = [2, 4, 8, 12, 13, 14, 15].contains(&code);
            let got = class(&[(":status", "200"), ("grpc-status", &code.to_string())]);
            assert_eq!(got, Some(if failed { "grpc" } else { "2xx" }), "{code}");
        }
        assert_eq!(class(&[(":status", "500"), ("grpc-status", "0")]), Some("5xx"));
    }
}
