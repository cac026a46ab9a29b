//! What the host keeps for each context of a VM.

use crate::headers::Kind;
use crate::pairs::Pairs;
use crate::{HeaderMap, Value};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) enum Context {
    /// Number 0, which stands for the VM itself.
    Vm,
    /// One configuration of a plugin.
    Root(Root),
    Stream(Box<HttpStream>),
}

#[derive(Default)]
pub(crate) struct Root {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) tick_period: Duration,
    /// No new stream uses it.
    pub(crate) retired: bool,
    /// `proxy_on_done` returned false; `proxy_done` is to come.
    pub(crate) waits_for_done: bool,
    /// `proxy_done` came; `proxy_on_delete` is to run.
    pub(crate) finished: bool,
}

/// What a guest asked to be answered instead of the upstream.
pub(crate) struct LocalReply {
    pub(crate) status: u32,
    pub(crate) details: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Pairs,
    /// Below 0: derived from the status.
    pub(crate) grpc_status: i32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    Read,
    /// Of all reading, only this is impossible while logging.
    Measure,
    Write,
}

/// Whether a guest reaches a map now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reachable {
    #[default]
    No,
    /// While logging.
    ReadOnly,
    Yes,
}

/// One direction of a stream.
pub(crate) struct Half {
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) headers_reachable: Reachable,
    pub(crate) trailers_reachable: Reachable,
    /// The guest returned `Pause` and has not resumed.
    pub(crate) paused: bool,
    /// The body that the guest holds back or looks at, while it can.
    pub(crate) held: Option<Vec<u8>>,
    pub(crate) forwarded: Vec<u8>,
}

impl Half {
    fn new(kind: Kind) -> Self {
        Self {
            headers: HeaderMap::new(kind),
            trailers: HeaderMap::new(Kind::Trailers),
            headers_reachable: Reachable::No,
            trailers_reachable: Reachable::No,
            paused: false,
            held: None,
            forwarded: Vec::new(),
        }
    }

    /// What goes on is out of the guest's reach.
    pub(crate) fn pass_on(&mut self) {
        self.paused = false;
        self.headers_reachable = Reachable::No;
        self.trailers_reachable = Reachable::No;
        if let Some(held) = self.held.take() {
            self.forwarded.extend(held);
        }
    }
}

pub(crate) struct HttpStream {
    pub(crate) root: u32,
    /// `proxy_on_context_create` has run.
    pub(crate) created: bool,
    pub(crate) request: Half,
    pub(crate) response: Half,
    /// What the test says of the stream.
    pub(crate) properties: Value,
    /// What the guest set itself.
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) route_cache_clears: usize,
    /// As it arrived, or as the guest asked for.
    pub(crate) response_code: Option<u32>,
    pub(crate) pending_reply: Option<LocalReply>,
}

impl HttpStream {
    pub(crate) fn new(root: u32) -> Self {
        Self {
            root,
            created: false,
            request: Half::new(Kind::Request),
            response: Half::new(Kind::Response),
            properties: Value::map(),
            filter_state: BTreeMap::new(),
            route_cache_clears: 0,
            response_code: None,
            pending_reply: None,
        }
    }

    /// A header map by the ABI's number, if it exists in this phase and may be
    /// used so.
    pub(crate) fn map(&mut self, number: u32, access: Access) -> Option<&mut HeaderMap> {
        let (reachable, map) = match number {
            0 => (self.request.headers_reachable, &mut self.request.headers),
            1 => (self.request.trailers_reachable, &mut self.request.trailers),
            2 => (self.response.headers_reachable, &mut self.response.headers),
            3 => (self.response.trailers_reachable, &mut self.response.trailers),
            _ => return None,
        };
        let allowed = match access {
            Access::Read => reachable != Reachable::No,
            Access::Measure | Access::Write => reachable == Reachable::Yes,
        };
        if !allowed {
            return None;
        }
        if number == 0 && access == Access::Write {
            self.route_cache_clears += 1;
        }
        Some(map)
    }

    /// A body by the ABI's number, if the guest can reach it now.
    pub(crate) fn body(&mut self, number: u32) -> Option<&mut Vec<u8>> {
        match number {
            0 => self.request.held.as_mut(),
            1 => self.response.held.as_mut(),
            _ => None,
        }
    }

    /// One direction goes on. Whichever it is, the request is then out of the
    /// guest's reach, and the response's headers are not.
    pub(crate) fn resume(&mut self, request: bool) {
        if request {
            self.request.pass_on();
            return;
        }
        let reachable = self.response.headers_reachable;
        self.response.pass_on();
        self.response.headers_reachable = reachable;
        self.request.headers_reachable = Reachable::No;
        self.request.trailers_reachable = Reachable::No;
    }

    /// Attributes that Envoy derives from the headers
    /// (`source/extensions/filters/common/expr/context.cc`).
    pub(crate) fn derived_property(&self, path: &[&[u8]]) -> Option<Value> {
        if path == [&b"response"[..], b"code"] {
            return self.response_code.map(|code| Value::Int(code.into()));
        }
        let half = match *path.first()? {
            b"request" => &self.request,
            b"response" => &self.response,
            _ => return None,
        };
        if half.headers_reachable == Reachable::No {
            return None;
        }
        let header = |name: &[u8]| {
            let values = half.headers.get_all(name);
            (!values.is_empty()).then(|| Value::Bytes(values.join(&b","[..])))
        };
        let path_and_query = || {
            let path = half.headers.get(":path")?;
            let end = path.iter().position(|byte| *byte == b'?');
            Some(end.map_or((path, &b""[..]), |end| (&path[..end], &path[end + 1..])))
        };
        match path {
            [_, b"headers", name] => header(name),
            [b"request", b"path"] => header(b":path"),
            [b"request", b"url_path"] => path_and_query().map(|(path, _)| path.into()),
            [b"request", b"query"] => path_and_query().map(|(_, query)| query.into()),
            [b"request", b"host"] => header(b":authority"),
            [b"request", b"method"] => header(b":method"),
            [b"request", b"scheme"] => header(b":scheme"),
            [b"request", b"referer"] => header(b"referer"),
            [b"request", b"useragent"] => header(b"user-agent"),
            [b"request", b"id"] => header(b"x-request-id"),
            _ => None,
        }
    }
}
