//! The graph of a mesh that runs elsewhere, on a cluster say: drawn from the responses to the requests
//! that its button sends, in which each application process names itself. Nothing is switched there.

use super::journeys::{Counts, Journeys};
use super::releases::Workload;
use super::server::{Sending, Traffic, events, page};
use super::traffic::{self, Answer};
use crate::call::{Call, Event, Served};
use crate::weather::Service;
use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::ValueEnum;
use mesh::manifest::Manifests;
use release_track::config::Config;
use serde::Serialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// The rule of the story.
const STORY: &str = include_str!("../../../wasmplugin/wasmplugin.yaml");

/// Draws the traffic graph of the weather app on a mesh elsewhere, by requests to its gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The gateway: HOST:PORT.
    #[arg(long, env = "GATEWAY")]
    pub gateway: String,
    /// Where the page is.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// The WasmPlugin that is installed there; by default the one of the story.
    #[arg(long)]
    pub plugin: Option<PathBuf>,
}

pub async fn serve(options: Options) -> Result<()> {
    let manifests = match &options.plugin {
        Some(file) => Manifests::load([file])?,
        None => Manifests::read(Path::new("the story's WasmPlugin"), STORY)?,
    };
    let plugin = manifests.wasm_plugins.first().context("no WasmPlugin in there")?;
    let json = Value::Object(plugin.spec.plugin_config.clone()).to_string();
    let config = Config::parse(json.as_bytes())?;
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", options.listen))?;
    println!("The traffic graph: http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, router(options.gateway, config)).await?)
}

/// Everything below `/`.
fn router(gateway: String, config: Config) -> Router {
    let mut journeys = Journeys::new(config, workloads());
    let further = journeys.further_testers().into();
    let (publish, _) = watch::channel(Arc::from("{}"));
    let desk = Desk { journeys, sending: None, publish };
    desk.tell();
    let graph = Graph { gateway, further, desk: Arc::new(Mutex::new(desk)) };
    page()
        .route("/events", get(|State(graph): State<Graph>| async move { events(graph.states()) }))
        .route("/traffic", post(send_traffic))
        .route("/clear", post(clear))
        .with_state(graph)
}

/// Those that are there whatever tracks there are.
fn workloads() -> impl Iterator<Item = Workload> {
    let version = "v1".to_owned();
    let of = move |service: &Service| Workload {
        service: service.name().into(),
        version: version.clone(),
    };
    Service::value_variants().iter().map(of)
}

#[derive(Clone)]
struct Graph {
    gateway: String,
    further: Arc<[String]>,
    desk: Arc<Mutex<Desk>>,
}

impl Graph {
    fn change<T>(&self, change: impl FnOnce(&mut Desk) -> T) -> T {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut desk);
        desk.tell();
        changed
    }

    fn states(&self) -> watch::Receiver<Arc<str>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).publish.subscribe()
    }
}

struct Desk {
    journeys: Journeys,
    sending: Option<Sending>,
    publish: watch::Sender<Arc<str>>,
}

/// As the other page, without what cannot be known.
#[derive(Serialize)]
struct Page<'a> {
    page: Option<String>,
    switches: Option<()>,
    sending: Option<Sending>,
    #[serde(flatten)]
    counts: Counts<'a>,
}

impl Desk {
    fn tell(&self) {
        let counts = self.journeys.counts();
        let page = Page { page: None, switches: None, sending: self.sending, counts };
        let text = serde_json::to_string(&page).expect("a page has nothing but text keys");
        self.publish.send_replace(text.into());
    }

    fn hear(&mut self, answer: Answer) {
        match answer.served {
            Some(served) => self.record(answer.user, served),
            None => self.journeys.request_failed(),
        }
        if let Some(sending) = &mut self.sending {
            sending.sent += 1;
        }
    }

    /// Each process of the tree tells what it served; the account is known to the first alone.
    fn record(&mut self, user: Option<String>, served: Served) {
        for call in &served.calls {
            if let Call::Served(callee) = call {
                self.record(None, callee.clone());
            }
        }
        self.journeys.record(&Event { user, preview: false, served });
    }
}

async fn send_traffic(State(graph): State<Graph>, Json(traffic): Json<Traffic>) -> Response {
    let requests = match traffic.wanted() {
        Ok(requests) => requests,
        Err(problem) => return problem.into_response(),
    };
    let begins = graph.change(|desk| {
        let is_free = desk.sending.is_none();
        desk.sending.get_or_insert(Sending { sent: 0, of: requests });
        is_free
    });
    if !begins {
        return (StatusCode::CONFLICT, "Requests are under way; try again in a moment.")
            .into_response();
    }
    tokio::spawn(async move {
        let (tell, mut answers) = mpsc::unbounded_channel();
        let sender = traffic::send(&graph.gateway, requests, &graph.further, move |answer| {
            let _ = tell.send(answer);
        });
        let hearer = async {
            while let Some(answer) = answers.recv().await {
                graph.change(|desk| desk.hear(answer));
            }
        };
        tokio::join!(sender, hearer);
        graph.change(|desk| desk.sending = None);
    });
    StatusCode::ACCEPTED.into_response()
}

async fn clear(State(graph): State<Graph>, Json(()): Json<()>) -> StatusCode {
    graph.change(|desk| desk.journeys.clear());
    StatusCode::NO_CONTENT
}
