//! The graph's buttons, pressed without a browser: what its page is told.

use demo::control::{Control, Switches};
use demo::graph::router;
use demo::release::PreviewKey;
use demo::stage::{Project, Setup, Stage};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mesh::envoy;
use release_track::config::Config;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a page may wait to be told something.
const PATIENCE: Duration = Duration::from_secs(60);
const MOVES: usize = 50;

/// A page: what it posts, and what it is told.
struct Page {
    graph: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    events: Response<Incoming>,
    told: Vec<u8>,
}

impl Page {
    async fn open(graph: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(format!("http://{graph}/events")).body(Full::default()).unwrap();
        let events = client.request(request).await.unwrap();
        Self { graph, client, events, told: Vec::new() }
    }

    async fn post(&self, path: &str, body: Value) {
        let request = Request::post(format!("http://{}{path}", self.graph))
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(body.to_string())).unwrap();
        let response = self.client.request(request).await.unwrap();
        assert!(response.status().is_success(), "{path} {body}: {}", response.status());
    }

    /// The first state that is so.
    async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let state = timeout(PATIENCE, async {
            loop {
                last = self.next().await;
                if is_so(&last) {
                    return last.clone();
                }
            }
        });
        state.await.unwrap_or_else(|_| panic!("the page was last told {last}"))
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.told.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.told.drain(..end + 2).collect();
                if let Some(data) = event.strip_prefix(b"data: ") {
                    return serde_json::from_slice(data).unwrap();
                }
                continue;
            }
            let frame = self.events.body_mut().frame().await.unwrap().unwrap();
            self.told.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// Switches, sends requests at once, and waits until all are told of and the filter has been
    /// asked about them.
    async fn switch_and_send(&mut self, name: &str, to: impl Into<Value>, requests: u64) -> Value {
        let to = to.into();
        self.post("/switch", json!({name: to})).await;
        self.post("/traffic", json!({"requests": requests})).await;
        self.until(|state| {
            let is_asked = match state["filter"]["says"].as_str() {
                Some("same") => state["filter"]["arrivals"] != 0,
                says => says != Some("later"),
            };
            state["switches"][name] == to
                && state["requests"] == requests
                && state["sending"].is_null()
                && is_asked
        })
        .await
    }
}

/// The story's mesh with these manifests on top, and a page that looks at its graph.
async fn with_page<F: Future<Output = ()>>(overlays: &[&str], act: impl FnOnce(Page) -> F) {
    with_mesh(overlays, async |control, config| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let graph = listener.local_addr().unwrap();
        tokio::spawn(async move {
            axum::serve(listener, router(control, config, [])).await.unwrap();
        });
        act(Page::open(graph).await).await;
    })
    .await;
}

async fn with_mesh<F: Future<Output = ()>>(
    overlays: &[&str],
    act: impl FnOnce(Control, Config) -> F,
) {
    let mut project = Project::here().unwrap();
    project.overlays = overlays.iter().map(|overlay| project.manifests.join(overlay)).collect();
    project.preview_key = Some(PreviewKey::random().unwrap());
    let config = project.plugin_config().unwrap();
    let setup = Setup {
        envoy: envoy::Options::new(envoy::find().unwrap()),
        project,
        gateway_port: None,
        program: env!("CARGO_BIN_EXE_demo").into(),
        switches: Switches::STORY,
    };
    let stage = Stage::start(setup, |_, _| {}).await.unwrap();
    stage.run(async |control: Control| act(control, config).await).await.unwrap();
}

/// As on a cluster: all that it knows is what the gateway answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_elsewhere_is_drawn_from_its_answers() {
    with_mesh(&[], async |control, _| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["graph", "--listen=127.0.0.1:0", "--gateway", &control.gateway().to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let address = line.strip_prefix("The traffic graph: http://").unwrap();
        let mut page = Page::open(address.trim_end_matches('/').parse().unwrap()).await;
        for (filter, crossed, lost) in [(true, 0, 0), (false, 10, 20)] {
            control.set_filter(filter).await.unwrap();
            page.post("/clear", Value::Null).await;
            page.post("/traffic", json!({"requests": 60})).await;
            let is_done = |state: &Value| state["requests"] == 60 && state["sending"].is_null();
            let state = page.until(is_done).await;
            assert_eq!((&state["crossed"], &state["lost"]), (&json!(crossed), &json!(lost)));
            let served = state["workloads"].as_array().unwrap().iter();
            let served = served.map(|workload| workload["served"].as_u64().unwrap()).sum::<u64>();
            // The frontend, the advertisement, the forecast, and the tester's recommendation.
            assert_eq!(served, if filter { 200 } else { 180 }, "{state}");
        }
    })
    .await;
}

/// Whoever moves the slider sends traffic at once: both witnesses have to count it, each time.
#[tokio::test(flavor = "multi_thread")]
async fn the_share_is_moved_many_times_and_nobody_is_accused() {
    with_page(&[], async |mut page| {
        for number in 0..MOVES {
            let percent = number * 35 % 105;
            let state = page.switch_and_send("share", percent, 6).await;
            assert_eq!(state["filter"]["says"], "same", "move {number}: {state}");
            assert_eq!((&state["crossed"], &state["lost"]), (&json!(0), &json!(0)), "{state}");
        }
    })
    .await;
}

/// The testers of a further track are among those who are sent, and are missed where they get
/// another.
#[tokio::test(flavor = "multi_thread")]
async fn a_further_track_has_its_tester() {
    with_page(&["examples/weather/v3"], async |mut page| {
        let of = |state: &Value, lost: bool| {
            let words = state["words"].as_array().unwrap();
            let tester = words.iter().find(|words| words["user"] == "tester-v3");
            let tester = tester.unwrap_or_else(|| panic!("no tester-v3: {state}"));
            assert_eq!(tester["lost"], lost, "{state}");
            (tester["path"].as_str().unwrap().to_owned(), tester["count"].as_u64().unwrap())
        };
        let (path, count) = of(&page.switch_and_send("forward", "header", 60).await, false);
        assert_eq!((&*path, count), ("frontend v1 -> forecast v3 -> recommendation v1", 10));
        let state = page.switch_and_send("forward", "none", 60).await;
        let (path, count) = of(&state, true);
        assert_eq!((&*path, count), ("frontend v1 -> forecast v1", 10));
        assert_eq!((&state["crossed"], &state["lost"]), (&json!(0), &json!(10)));
        let state = page.switch_and_send("routes", "original", 60).await;
        assert_eq!(state["lost"], 20, "half of the tester's, and all of tester-v3's");
    })
    .await;
}
