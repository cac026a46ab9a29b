//! Header maps that order, join and alias as Envoy's do.

use std::fmt;

/// Which of a stream's maps this is; the rules differ a little.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Request,
    Response,
    Trailers,
}

/// An ordered list of headers: names in lower case, values bytes.
///
/// The rules are those of Envoy's `HeaderMapImpl`
/// (`source/common/http/header_map_impl.cc`): pseudo headers come first; a
/// replaced header moves to the end; `host` is another name of `:authority` in
/// a request; and a few headers that Envoy keeps in fixed places exist once
/// only, so that a second line is joined to the first with a comma.
#[derive(Clone, Eq, PartialEq)]
pub struct HeaderMap {
    kind: Kind,
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl HeaderMap {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, lines: Vec::new() }
    }

    pub(crate) fn from_lines<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        kind: Kind,
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut map = Self::new(kind);
        for (name, value) in lines {
            map.add(name.as_ref(), value.as_ref());
        }
        map
    }

    /// A request's headers as Envoy keeps the lines that a client sends.
    pub fn of_request<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::from_lines(Kind::Request, lines)
    }

    /// A response's headers as Envoy keeps the lines that an upstream sends.
    pub fn of_response<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::from_lines(Kind::Response, lines)
    }

    /// The first value of a header, or `None` where it is absent.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = self.canonical(name.as_ref());
        self.lines.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_slice())
    }

    /// Every value of a header, in order.
    #[must_use]
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        let name = self.canonical(name.as_ref());
        self.lines.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// All lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn pairs(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.lines
    }

    /// The bytes of all names and values, which is what Envoy calls a map's size.
    pub(crate) fn byte_size(&self) -> usize {
        self.lines.iter().map(|(n, v)| n.len() + v.len()).sum()
    }

    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.canonical(name);
        if is_single(self.kind, &name)
            && let Some((_, present)) = self.lines.iter_mut().find(|(n, _)| *n == name)
        {
            if !present.is_empty() && !value.is_empty() {
                present.push(b',');
            }
            present.extend(value);
            return;
        }
        let at = if name.first() == Some(&b':') {
            self.lines.iter().take_while(|(n, _)| n.first() == Some(&b':')).count()
        } else {
            self.lines.len()
        };
        self.lines.insert(at, (name, value.to_vec()));
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        let name = self.canonical(name);
        self.lines.retain(|(n, _)| *n != name);
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    fn canonical(&self, name: &[u8]) -> Vec<u8> {
        let name = name.to_ascii_lowercase();
        if self.kind == Kind::Request && name == b"host" { b":authority".to_vec() } else { name }
    }
}

impl fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(n, v)| (n.escape_ascii().to_string(), v.escape_ascii().to_string())),
            )
            .finish()
    }
}

/// Headers that a map holds once: `INLINE_*_HEADERS` in Envoy's
/// `envoy/http/header_map.h`, and those that its extensions register. This is
/// what a stock Envoy 1.40 does.
fn is_single(kind: Kind, name: &[u8]) -> bool {
    const REQUEST: &[&str] = &[
        ":authority",
        ":method",
        ":path",
        ":protocol",
        ":scheme",
        "accept",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "authorization",
        "cache-control",
        "cdn-loop",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "grpc-accept-encoding",
        "grpc-timeout",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "origin",
        "pragma",
        "proxy-connection",
        "proxy-status",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-client-trace-id",
        "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
        "x-envoy-downstream-service-cluster",
        "x-envoy-downstream-service-node",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-external-address",
        "x-envoy-force-trace",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-internal",
        "x-envoy-ip-tags",
        "x-envoy-is-timeout-retry",
        "x-envoy-max-retries",
        "x-envoy-original-host",
        "x-envoy-original-path",
        "x-envoy-retriable-header-names",
        "x-envoy-retriable-status-codes",
        "x-envoy-retry-grpc-on",
        "x-envoy-retry-on",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-alt-response",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-stream-duration-ms",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-request-id",
    ];
    const RESPONSE: &[&str] = &[
        ":status",
        "access-control-allow-origin",
        "age",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "expires",
        "grpc-message",
        "grpc-status",
        "keep-alive",
        "last-modified",
        "location",
        "proxy-connection",
        "proxy-status",
        "server",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
        "x-envoy-degraded",
        "x-envoy-immediate-health-check-fail",
        "x-envoy-upstream-canary",
        "x-envoy-upstream-healthchecked-cluster",
        "x-envoy-upstream-service-time",
        "x-request-id",
    ];
    let singles: &[&str] = match kind {
        Kind::Request => REQUEST,
        Kind::Response => RESPONSE,
        Kind::Trailers => &["grpc-message", "grpc-status"],
    };
    singles.iter().any(|single| single.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(map: &HeaderMap) -> Vec<String> {
        map.iter().map(|(n, v)| format!("{}: {}", n.escape_ascii(), v.escape_ascii())).collect()
    }

    #[test]
    fn order_and_duplicates_are_kept_and_names_lower_cased() {
        let map = HeaderMap::from_lines(
            Kind::Request,
            [("X-Dup", "1"), (":method", "GET"), ("a", ""), ("x-dup", "2")],
        );
        assert_eq!(lines(&map), [":method: GET", "x-dup: 1", "a: ", "x-dup: 2"]);
        assert_eq!(map.get("X-DUP"), Some(&b"1"[..]));
        assert_eq!(map.get_all("x-dup"), [b"1", b"2"]);
        assert_eq!(map.get("a"), Some(&b""[..]));
        assert_eq!(map.get("b"), None);
    }

    #[test]
    fn replacing_collapses_duplicates_and_moves_to_the_end() {
        let mut map = HeaderMap::from_lines(Kind::Request, [("d", "1"), ("x", "y"), ("d", "2")]);
        map.replace(b"D", b"3");
        assert_eq!(lines(&map), ["x: y", "d: 3"]);
    }

    #[test]
    fn host_is_the_authority_of_a_request_only() {
        let mut map = HeaderMap::from_lines(Kind::Request, [("Host", "a")]);
        assert_eq!(lines(&map), [":authority: a"]);
        map.replace(b"host", b"b");
        assert_eq!(map.get(":authority"), Some(&b"b"[..]));
        let response = HeaderMap::from_lines(Kind::Response, [("host", "a")]);
        assert_eq!(lines(&response), ["host: a"]);
    }

    #[test]
    fn headers_with_a_fixed_place_are_joined() {
        let map = HeaderMap::from_lines(
            Kind::Request,
            [("x-request-id", "a"), ("x-request-id", "b"), ("cookie", "a"), ("cookie", "b")],
        );
        assert_eq!(lines(&map), ["x-request-id: a,b", "cookie: a", "cookie: b"]);
    }
}
