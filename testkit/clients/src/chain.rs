//! Both ends of the chain. They speak HTTP/1.1, and gRPC as far as the standard health service needs
//! it, whose `status` stands for the version: 1 or 2. Under `/stream/` the backend tells every line of its
//! standard input to whoever listens, and the frontend relays that.

use anyhow::{Context, Result, bail, ensure};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use clap::ValueEnum;
use clients::setups::Format;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::client::conn::{http1, http2};
use hyper::upgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// How the middle is called, and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Http,
    /// A unary gRPC call.
    Unary,
    /// A gRPC call whose response is a stream.
    Stream,
}

/// What the backend tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) version: String,
    /// What came with the request; of a gRPC call nothing is known.
    pub(crate) headers: BTreeMap<String, String>,
}

/// Calls the middle, with a new trace of a format or with none, and hands on what the backend tells.
pub(crate) async fn frontend(listen: SocketAddr, egress: SocketAddr) -> Result<ExitCode> {
    let call = async move |Path((middle, protocol, format)): Path<(String, String, String)>| {
        let protocol = Protocol::from_str(&protocol, false).unwrap_or(Protocol::Http);
        // No format of that name is no trace.
        let mut trace = Format::from_str(&format, false)
            .map(|format| format.headers(fastrand::u128(1..), fastrand::u64(1..)))
            .unwrap_or_default();
        // Of somebody else, with what SDKs like to write anew.
        trace.push(("baggage", "theirs=a%20b;p=1".into()));
        let told = match protocol {
            Protocol::Http => call(egress, &middle, &trace).await,
            Protocol::Unary => call_grpc(egress, &middle, "Check", &trace).await,
            Protocol::Stream => call_grpc(egress, &middle, "Watch", &trace).await,
        };
        told.map(Json).map_err(bad_gateway)
    };
    let relay =
        async move |request: Request<Body>| relay(egress, request).await.map_err(bad_gateway);
    let router = Router::new()
        .route("/{middle}/{protocol}/{format}", get(call))
        .route("/stream/{kind}", any(relay));
    serve(listen, router).await
}

fn bad_gateway(error: anyhow::Error) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, format!("{error:#}"))
}

/// What a stream needs to be one.
const OF_STREAMS: [HeaderName; 7] = [
    header::ACCEPT,
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::TE,
    header::UPGRADE,
];

/// A stream of the backend's, for as long as both ends keep it open.
async fn relay(egress: SocketAddr, mut request: Request<Body>) -> Result<Response> {
    let from = upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let is_grpc = head.headers.contains_key(header::TE);
    let host = if is_grpc { "backend-grpc:3000" } else { "backend:3000" };
    let mut call = Request::builder().method(head.method);
    for name in OF_STREAMS {
        if let Some(value) = head.headers.get(&name) {
            call = call.header(name, value);
        }
    }
    let path = head.uri.path();
    let stream = TokioIo::new(TcpStream::connect(egress).await?);
    let mut response = if is_grpc {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(call.uri(format!("http://{host}{path}")).body(body)?).await?
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(call.uri(path).header(header::HOST, host).body(body)?).await?
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let to = upgrade::on(&mut response);
        tokio::spawn(async move {
            let (mut from, mut to) = (TokioIo::new(from.await?), TokioIo::new(to.await?));
            anyhow::Ok(copy_bidirectional(&mut from, &mut to).await?)
        });
    }
    Ok(response.map(Body::new))
}

async fn call(egress: SocketAddr, middle: &str, trace: &[(&str, String)]) -> Result<Told> {
    let mut request = Request::get("/").header(header::HOST, format!("{middle}:3000"));
    for (name, value) in trace {
        request = request.header(*name, value);
    }
    let stream = TokioIo::new(TcpStream::connect(egress).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let (head, body) =
        sender.send_request(request.body(Empty::<Bytes>::new())?).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    let told = serde_json::from_slice(&body);
    told.with_context(|| format!("{} {}", head.status, String::from_utf8_lossy(&body)))
}

/// An empty message, with the prefix that each message has: not compressed, and its length.
const EMPTY: &[u8] = &[0; 5];

async fn call_grpc(
    egress: SocketAddr,
    middle: &str,
    method: &str,
    trace: &[(&str, String)],
) -> Result<Told> {
    let mut request = Request::post(format!("http://{middle}:3000{HEALTH}/{method}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    for (name, value) in trace {
        request = request.header(*name, value);
    }
    let stream = TokioIo::new(TcpStream::connect(egress).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    let request = request.body(Full::new(Bytes::from_static(EMPTY)))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?;
    // Where nothing is sent it is among the headers.
    let status = body.trailers().and_then(|trailers| trailers.get(STATUS));
    let status = status.or(head.headers.get(STATUS)).cloned();
    ensure!(status.is_some_and(|status| status == "0"), "{head:?}, {:?}", body.trailers());
    // A message with one field of one byte: number 1, a varint.
    match body.to_bytes().chunks(7).collect::<Vec<_>>()[..] {
        [[0, 0, 0, 0, 2, 0x08, version], ..] => {
            Ok(Told { version: format!("v{version}"), headers: BTreeMap::new() })
        }
        ref messages => bail!("not the backend's response: {messages:?}"),
    }
}

const HEALTH: &str = "/grpc.health.v1.Health";
const STATUS: &str = "grpc-status";

#[derive(Clone)]
struct Backend {
    version: u8,
    said: broadcast::Sender<String>,
}

pub(crate) async fn backend(version: u8, listen: SocketAddr) -> Result<ExitCode> {
    let backend = Backend { version, said: broadcast::Sender::new(16) };
    let said = backend.said.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            // Nobody has to listen.
            let _ = said.send(format!("{line} from v{version}"));
        }
    });
    let tell = async |State(backend): State<Backend>, headers: HeaderMap| {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers =
            headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        Json(Told { version: format!("v{}", backend.version), headers: headers.collect() })
    };
    let check = async |State(backend): State<Backend>| messages(backend.version, 1);
    let watch = async |State(backend): State<Backend>| messages(backend.version, 2);
    let router = Router::new()
        .route("/", get(tell))
        .route(&format!("{HEALTH}/Check"), post(check))
        .route(&format!("{HEALTH}/Watch"), post(watch))
        .route("/stream/websocket", get(web_socket))
        .route("/stream/events", get(events))
        .route("/stream/Follow", post(follow));
    serve(listen, router.with_state(backend)).await
}

impl Backend {
    fn lines(&self) -> impl Stream<Item = String> + Send + use<> {
        stream::unfold(self.said.subscribe(), async |mut said| {
            Some((said.recv().await.ok()?, said))
        })
    }
}

/// As RFC 6455 has it, for the key of its section 1.3 alone.
async fn web_socket(State(backend): State<Backend>, mut request: Request<Body>) -> Response {
    let lines = backend.lines();
    let socket = upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut socket, mut lines) = (TokioIo::new(socket.await?), pin!(lines));
        while let Some(line) = lines.next().await {
            // A whole message, of text, not masked, and how long it is.
            let mut frame = vec![0x81, line.len() as u8];
            frame.extend(line.as_bytes());
            socket.write_all(&frame).await?;
        }
        anyhow::Ok(())
    });
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn events(State(backend): State<Backend>) -> impl IntoResponse {
    Sse::new(backend.lines().map(|line| Ok::<_, Infallible>(Event::default().data(line))))
}

/// A gRPC call without an end, whose messages are texts.
async fn follow(State(backend): State<Backend>) -> Response {
    let frames = backend.lines().map(|line| {
        let mut message = vec![0];
        message.extend((line.len() as u32).to_be_bytes());
        message.extend(line.as_bytes());
        Ok::<_, Infallible>(Frame::data(Bytes::from(message)))
    });
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(StreamBody::new(frames)))
        .into_response()
}

fn messages(version: u8, count: usize) -> Response {
    let message = Bytes::from(vec![0, 0, 0, 0, 2, 0x08, version]);
    let mut ok = HeaderMap::new();
    ok.insert(STATUS, HeaderValue::from_static("0"));
    let frames = std::iter::repeat_n(message, count).map(Frame::data).chain([Frame::trailers(ok)]);
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

async fn serve(listen: SocketAddr, router: Router) -> Result<ExitCode> {
    axum::serve(TcpListener::bind(listen).await?, router).await?;
    Ok(ExitCode::SUCCESS)
}
