//! An HTTP stream: headers, bodies and trailers in, what the filter made of
//! them out.

use crate::context::{Context, Half, HttpStream, LocalReply, Reachable};
use crate::headers::Kind;
use crate::vm::{Ended, Worker};
use crate::{Callback, HeaderMap, Path, Value, Vm};

/// What the filter did with a part of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It goes on to the next filter.
    Continue,
    /// It waits until the filter resumes the stream.
    Pause,
    /// The client is answered by the filter, or by the proxy because the VM is
    /// dead.
    Reply(Reply),
}

/// A local reply, as the client gets it: after the filter's own response phase.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// For the access log: `wasm_fail_stream` if the VM is dead.
    pub details: Vec<u8>,
}

/// One request and its response. Streams of one VM may be open side by side.
pub struct Stream {
    vm: Vm,
    id: u32,
    /// What is left of it once it has ended.
    ended: Option<Box<HttpStream>>,
}

#[derive(Clone, Copy)]
enum Way {
    Request,
    Response,
}

impl HttpStream {
    fn half(&mut self, way: Way) -> &mut Half {
        match way {
            Way::Request => &mut self.request,
            Way::Response => &mut self.response,
        }
    }
}

impl Stream {
    pub(crate) fn new(vm: Vm, id: u32) -> Self {
        Self { vm, id, ended: None }
    }

    /// Sets a property that only this stream can read, such as
    /// `xds.cluster_name` or `connection.mtls`.
    pub fn set_property(&mut self, path: impl Into<Path>, value: impl Into<Value>) {
        let (path, value) = (path.into(), value.into());
        self.with(|stream| stream.properties.put(&path.0, value));
    }

    /// The request's headers arrive, pseudo headers first. Names are put in
    /// lower case; order and duplicates are kept, but for the few headers that
    /// Envoy joins.
    pub fn request_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> Outcome {
        let headers = HeaderMap::from_lines(Kind::Request, headers);
        self.headers(Way::Request, headers, end_of_stream)
    }

    /// The upstream's headers arrive, `:status` first.
    pub fn response_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> Outcome {
        let headers = HeaderMap::from_lines(Kind::Response, headers);
        self.headers(Way::Response, headers, end_of_stream)
    }

    /// A piece of the request's body arrives. While the filter pauses, the host
    /// holds pieces back and shows them as one.
    pub fn request_body(&mut self, piece: impl AsRef<[u8]>, end_of_stream: bool) -> Outcome {
        self.body(Way::Request, piece.as_ref(), end_of_stream)
    }

    /// A piece of the response's body arrives.
    pub fn response_body(&mut self, piece: impl AsRef<[u8]>, end_of_stream: bool) -> Outcome {
        self.body(Way::Response, piece.as_ref(), end_of_stream)
    }

    /// The request's trailers arrive.
    pub fn request_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> Outcome {
        self.trailers(Way::Request, HeaderMap::from_lines(Kind::Trailers, trailers))
    }

    /// The response's trailers arrive.
    pub fn response_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> Outcome {
        self.trailers(Way::Response, HeaderMap::from_lines(Kind::Trailers, trailers))
    }

    /// The stream ends, complete or not: it is logged and forgotten.
    pub fn end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let mut worker = self.vm.lock();
        create(&mut worker, self.id);
        let mut reachable = |reachable| {
            if let Some(stream) = worker.stream(self.id) {
                stream.request.headers_reachable = reachable;
                stream.request.trailers_reachable = reachable;
                stream.response.headers_reachable = reachable;
                stream.response.trailers_reachable = reachable;
            }
            (reachable == Reachable::ReadOnly).then(|| worker.call(Callback::Log, self.id, &[]));
        };
        reachable(Reachable::ReadOnly);
        reachable(Reachable::No);
        worker.call(Callback::Done, self.id, &[]);
        if let Some(Context::Stream(stream)) = worker.delete(self.id) {
            self.ended = Some(stream);
        }
        worker.tidy();
    }

    /// The request's headers as they go on.
    #[must_use]
    pub fn request(&self) -> HeaderMap {
        self.view(|stream| stream.request.headers.clone())
    }

    /// The response's headers as they go on, those of a local reply included.
    #[must_use]
    pub fn response(&self) -> HeaderMap {
        self.view(|stream| stream.response.headers.clone())
    }

    /// The bytes of the request's body that have gone on.
    #[must_use]
    pub fn forwarded_request_body(&self) -> Vec<u8> {
        self.view(|stream| stream.request.forwarded.clone())
    }

    /// The bytes of the response's body that have gone on.
    #[must_use]
    pub fn forwarded_response_body(&self) -> Vec<u8> {
        self.view(|stream| stream.response.forwarded.clone())
    }

    /// How often the filter made the proxy choose the route again: by any write
    /// to the request's headers, or by `clear_route_cache`.
    #[must_use]
    pub fn route_cache_clears(&self) -> usize {
        self.view(|stream| stream.route_cache_clears)
    }

    /// Whether the request waits for the filter.
    #[must_use]
    pub fn request_paused(&self) -> bool {
        self.view(|stream| stream.request.paused)
    }

    /// Whether the response waits for the filter.
    #[must_use]
    pub fn response_paused(&self) -> bool {
        self.view(|stream| stream.response.paused)
    }

    /// The number of the stream's context.
    #[must_use]
    pub fn context(&self) -> u32 {
        self.id
    }

    fn with<R: Default>(&mut self, change: impl FnOnce(&mut HttpStream) -> R) -> R {
        match &mut self.ended {
            Some(stream) => change(stream),
            None => self.vm.lock().stream(self.id).map(change).unwrap_or_default(),
        }
    }

    fn view<R>(&self, look: impl FnOnce(&HttpStream) -> R) -> R {
        match &self.ended {
            Some(stream) => look(stream),
            None => match self.vm.lock().stream(self.id) {
                Some(stream) => look(stream),
                None => look(&HttpStream::new(0)),
            },
        }
    }

    fn headers(&mut self, way: Way, headers: HeaderMap, end_of_stream: bool) -> Outcome {
        let mut worker = self.vm.lock();
        create(&mut worker, self.id);
        let count = headers.len() as u32;
        if let Some(stream) = worker.stream(self.id) {
            if let Way::Response = way {
                stream.response_code = status_of(&headers);
            }
            let half = stream.half(way);
            half.headers = headers;
            half.headers_reachable = Reachable::Yes;
        }
        let callback = match way {
            Way::Request => Callback::RequestHeaders,
            Way::Response => Callback::ResponseHeaders,
        };
        let ended = worker.call(callback, self.id, &[count, end_of_stream.into()]);
        self.conclude(&mut worker, way, ended)
    }

    fn body(&mut self, way: Way, piece: &[u8], end_of_stream: bool) -> Outcome {
        let mut worker = self.vm.lock();
        let mut size = 0;
        if let Some(stream) = worker.stream(self.id) {
            let held = stream.half(way).held.get_or_insert_default();
            held.extend(piece);
            size = held.len() as u32;
        }
        let callback = match way {
            Way::Request => Callback::RequestBody,
            Way::Response => Callback::ResponseBody,
        };
        let ended = worker.call(callback, self.id, &[size, end_of_stream.into()]);
        self.conclude(&mut worker, way, ended)
    }

    fn trailers(&mut self, way: Way, trailers: HeaderMap) -> Outcome {
        let mut worker = self.vm.lock();
        let count = trailers.len() as u32;
        if let Some(stream) = worker.stream(self.id) {
            let half = stream.half(way);
            half.trailers = trailers;
            half.trailers_reachable = Reachable::Yes;
        }
        let callback = match way {
            Way::Request => Callback::RequestTrailers,
            Way::Response => Callback::ResponseTrailers,
        };
        let ended = worker.call(callback, self.id, &[count]);
        self.conclude(&mut worker, way, ended)
    }

    /// What a callback's end means for the stream.
    fn conclude(&self, worker: &mut Worker, way: Way, ended: Ended) -> Outcome {
        const PAUSE: u32 = 1;
        let stopped = worker.state().stop_iteration;
        let Some(stream) = worker.stream(self.id) else {
            return Outcome::Continue;
        };
        let outcome = if ended == Ended::Dead {
            Outcome::Reply(Reply {
                status: 503,
                headers: HeaderMap::from_lines(Kind::Response, [(":status", "503")]),
                body: Vec::new(),
                details: b"wasm_fail_stream".to_vec(),
            })
        } else if let Some(reply) = stream.pending_reply.take() {
            Outcome::Reply(self.reply(worker, way, reply))
        } else if stopped
            || matches!(ended, Ended::Returned(action) if action == PAUSE || action > 2)
        {
            stream.half(way).paused = true;
            Outcome::Pause
        } else {
            stream.half(way).pass_on();
            Outcome::Continue
        };
        worker.tidy();
        outcome
    }

    /// Builds a local reply as Envoy does (`Utility::prepareLocalReply`,
    /// `source/common/http/utility.cc`) and takes it through the filter's
    /// response phase, unless the response is under way already.
    fn reply(&self, worker: &mut Worker, way: Way, reply: LocalReply) -> Reply {
        let LocalReply { status, details, body, headers: additional, grpc_status } = reply;
        let is_grpc = worker.stream(self.id).is_some_and(|stream| {
            let content_type = stream.request.headers.get("content-type").unwrap_or_default();
            content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+")
        });
        let mut headers = HeaderMap::from_lines(Kind::Response, [(":status", status.to_string())]);
        for (name, value) in additional {
            headers.add(&name, &value);
        }
        let mut body = body;
        if is_grpc {
            headers.replace(b":status", b"200");
            headers.replace(b"content-type", b"application/grpc");
            let code = u32::try_from(grpc_status).unwrap_or_else(|_| grpc_code(status));
            headers.replace(b"grpc-status", code.to_string().as_bytes());
            if !body.is_empty() {
                headers.replace(b"grpc-message", &percent_encode(&body));
                body.clear();
            }
        } else if !body.is_empty() {
            headers.replace(b"content-length", body.len().to_string().as_bytes());
            if headers.get("content-type").is_none() {
                headers.replace(b"content-type", b"text/plain");
            }
        }
        if let Way::Request = way {
            let count = headers.len() as u32;
            if let Some(stream) = worker.stream(self.id) {
                stream.response_code = Some(status);
                stream.request.held = None;
                stream.response.headers = headers.clone();
                stream.response.headers_reachable = Reachable::Yes;
            }
            let end_of_stream = body.is_empty();
            worker.call(Callback::ResponseHeaders, self.id, &[count, end_of_stream.into()]);
            if let Some(stream) = worker.stream(self.id) {
                stream.pending_reply = None;
                stream.response.pass_on();
                headers = stream.response.headers.clone();
                stream.response.held = (!end_of_stream).then(|| body.clone());
            }
            if !end_of_stream {
                worker.call(Callback::ResponseBody, self.id, &[body.len() as u32, 1]);
                if let Some(stream) = worker.stream(self.id) {
                    body = stream.response.held.clone().unwrap_or_default();
                    stream.response.pass_on();
                }
            }
        } else if let Some(stream) = worker.stream(self.id) {
            stream.response.headers = headers.clone();
        }
        let status = status_of(&headers).and_then(|code| code.try_into().ok());
        Reply { status: status.unwrap_or(0), headers, body, details }
    }
}

/// The number in `:status`.
fn status_of(headers: &HeaderMap) -> Option<u32> {
    std::str::from_utf8(headers.get(":status")?).ok()?.parse().ok()
}

/// Tells the guest of the stream, once.
fn create(worker: &mut Worker, id: u32) {
    let Some(stream) = worker.stream(id).filter(|stream| !stream.created) else {
        return;
    };
    stream.created = true;
    let root = stream.root;
    worker.call(Callback::ContextCreate, id, &[root]);
}

/// `Grpc::Utility::httpToGrpcStatus`, `source/common/grpc/status.cc`.
fn grpc_code(http: u32) -> u32 {
    const INTERNAL: u32 = 13;
    const UNAUTHENTICATED: u32 = 16;
    const PERMISSION_DENIED: u32 = 7;
    const UNIMPLEMENTED: u32 = 12;
    const UNAVAILABLE: u32 = 14;
    const UNKNOWN: u32 = 2;
    match http {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// As gRPC wants it in `grpc-message`: everything but printable ASCII, and `%`.
fn percent_encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte == b'%' || !(b' '..=b'~').contains(&byte) {
            out.extend(format!("%{byte:02X}").bytes());
        } else {
            out.push(byte);
        }
    }
    out
}
