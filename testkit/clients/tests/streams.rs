//! Long streams on real Envoys: what a stream follows is decided when it opens, and stays so while the
//! share, and then the routes, go.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A helper of tests may fail as a test does.

use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::http::request;
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::manifest::Manifests;
use mesh::{App, Config, Mesh, Settings, envoy};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stays_where_it_was_decided_until_its_pod_goes() {
    let mut mesh = start().await;
    let mut first = open(&mesh).await;
    assert_eq!(tell(&mut mesh, "one", &mut first).await, all("one from v2"));
    assert_eq!(active(&mesh, "v2").await, 3);

    // A rollback, step by step: the share, then the routes and subsets.
    let mut config = mesh.config().clone();
    decide(&mut config, 0);
    mesh.apply(config.clone()).await.unwrap();
    let mut second = open(&mesh).await;
    assert_eq!(tell(&mut mesh, "two", &mut first).await, all("two from v2"));
    assert_eq!(next(&mut second).await, all("two from v1"));
    for routes in &mut config.manifests.virtual_services {
        routes
            .spec
            .http
            .retain(|http| !http.matches.iter().any(|m| m.headers.contains_key("x-release-track")));
    }
    for rule in &mut config.manifests.destination_rules {
        rule.spec.subsets.retain(|subset| subset.name != "v2");
    }
    mesh.apply(config).await.unwrap();
    assert_eq!(tell(&mut mesh, "three", &mut first).await, all("three from v2"));
    assert_eq!(next(&mut second).await, all("three from v1"));

    // What is left ends with the pod; whoever connects again is decided anew.
    mesh.kill_envoy("frontend-v2-0").await.unwrap();
    assert_eq!(next(&mut first).await, [const { None }; 3]);
    let mut first = open(&mesh).await;
    assert_eq!(tell(&mut mesh, "four", &mut first).await, all("four from v1"));
    assert_eq!(next(&mut second).await, all("four from v1"));
    mesh.stop().await;
}

fn all(line: &str) -> [Option<String>; 3] {
    [(); 3].map(|()| Some(line.to_owned()))
}

async fn start() -> Mesh {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = Settings {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        gateway_port: None,
        app: App { program: env!("CARGO_BIN_EXE_clients").into(), environment: Vec::new() },
    };
    let mut config = Config {
        manifests: Manifests::load([folder.join("mesh.yaml")]).unwrap(),
        filter: Some(folder.join("../../dist/release-track.wasm")),
    };
    decide(&mut config, 100);
    Mesh::start(settings, config, |_, _| {}).await.unwrap().0
}

/// By a share of everybody.
fn decide(config: &mut Config, percent: u32) {
    let tracks = json!([{
        "name": "v2",
        "share": {"percent": percent},
        "workloads": {"frontend": "v2", "backend": "v2"},
    }]);
    for plugin in &mut config.manifests.wasm_plugins {
        plugin.spec.plugin_config.insert("tracks".into(), tracks.clone());
        plugin.spec.plugin_config.insert("identity".into(), json!({"header": "x-account"}));
    }
}

/// A stream, by its client, and what it has read and not yet told.
struct Follower {
    from: From,
    read: Vec<u8>,
    text: Text,
}

/// The first text of what was read, and where it ends.
type Text = fn(&[u8]) -> Option<(&[u8], usize)>;

enum From {
    Body(Incoming),
    Socket(TokioIo<Upgraded>),
}

/// One of each kind.
async fn open(mesh: &Mesh) -> [Follower; 3] {
    let gateway = mesh.gateway();
    [web_socket(gateway).await, events(gateway).await, grpc(gateway).await]
}

/// With the key of RFC 6455, section 1.3.
async fn web_socket(gateway: SocketAddr) -> Follower {
    let (mut sender, connection) = http1::handshake(connect(gateway).await).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = Request::get("/stream/websocket")
        .header(header::HOST, "streams.example")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    let response = sender.send_request(ours(request)).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let socket = TokioIo::new(upgrade::on(response).await.unwrap());
    Follower { from: From::Socket(socket), read: Vec::new(), text: frame }
}

async fn events(gateway: SocketAddr) -> Follower {
    let (mut sender, connection) = http1::handshake(connect(gateway).await).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/stream/events")
        .header(header::HOST, "streams.example")
        .header(header::ACCEPT, "text/event-stream");
    let response = sender.send_request(ours(request)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Follower { from: From::Body(response.into_body()), read: Vec::new(), text: event }
}

async fn grpc(gateway: SocketAddr) -> Follower {
    let connected = http2::handshake(TokioExecutor::new(), connect(gateway).await).await;
    let (mut sender, connection) = connected.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://streams.example/stream/Follow")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    let response = sender.send_request(ours(request)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    Follower { from: From::Body(response.into_body()), read: Vec::new(), text: message }
}

async fn connect(gateway: SocketAddr) -> TokioIo<TcpStream> {
    TokioIo::new(TcpStream::connect(gateway).await.unwrap())
}

fn ours(request: request::Builder) -> Request<Empty<Bytes>> {
    request.header("x-account", "somebody").body(Empty::new()).unwrap()
}

/// Every backend tells its followers this; what ours hear.
async fn tell(mesh: &mut Mesh, line: &str, followers: &mut [Follower; 3]) -> [Option<String>; 3] {
    mesh.tell(line).await.unwrap();
    next(followers).await
}

async fn next(followers: &mut [Follower; 3]) -> [Option<String>; 3] {
    let next = followers.iter_mut().map(|follower| tokio::time::timeout(PATIENCE, follower.next()));
    let next: Vec<_> = join_all(next).await.into_iter().map(Result::unwrap).collect();
    next.try_into().unwrap()
}

impl Follower {
    /// `None`: it has ended, in whatever way.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((text, end)) = (self.text)(&self.read) {
                let text = String::from_utf8(text.into()).unwrap();
                self.read.drain(..end);
                return Some(text);
            }
            match &mut self.from {
                From::Body(body) => self.read.extend(body.frame().await?.ok()?.into_data().ok()?),
                From::Socket(socket) => {
                    let count = socket.read_buf(&mut self.read).await.ok()?;
                    if count == 0 {
                        return None;
                    }
                }
            }
        }
    }
}

/// A whole message of text, not masked, and how long it is.
fn frame(read: &[u8]) -> Option<(&[u8], usize)> {
    let ([kind, length], rest) = read.split_first_chunk()?;
    assert_eq!(*kind, 0x81);
    Some((rest.get(..usize::from(*length))?, 2 + usize::from(*length)))
}

/// `data: TEXT` and an empty line.
fn event(read: &[u8]) -> Option<(&[u8], usize)> {
    let end = read.windows(2).position(|two| two == b"\n\n")?;
    Some((read[..end].strip_prefix(b"data: ").unwrap(), end + 2))
}

/// Not compressed, how long it is, itself.
fn message(read: &[u8]) -> Option<(&[u8], usize)> {
    let (prefix, rest) = read.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
    Some((rest.get(..length)?, prefix.len() + length))
}

/// Streams that the gateway has open to a version of the frontend, as docs/operations.md has one look.
async fn active(mesh: &Mesh, version: &str) -> u64 {
    let gateway = mesh.pods()[0].envoy().unwrap();
    let gauges = format!(r"^cluster\.outbound\|3000\|{version}\|frontend.*\.upstream_rq_active$");
    let gauges = gateway.admin().stats(&gauges).await.unwrap();
    gauges.iter().filter_map(|(_, value)| value.as_u64()).sum()
}
