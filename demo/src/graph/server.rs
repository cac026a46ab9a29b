//! The graph's page, its event stream and its buttons.

use super::guard::Guard;
use super::journeys::{Counts, Journeys};
use super::releases::Workload;
use super::traffic::{self, Answer};
use super::witness::{Says, Witness};
use crate::control::{Control, Routes, Switches};
use crate::release::Percent;
use crate::weather::Forward;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use release_track::config::Config;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

/// How often the filter's counters are read, while somebody looks at the page.
const COUNTING: Duration = Duration::from_millis(500);
/// How often a page is told, at most.
const PERIOD: Duration = Duration::from_millis(150);
const MOST_REQUESTS: usize = 1_000;
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// Everything below `/` of the graph's own server. Needs a Tokio runtime.
///
/// `workloads` are those that run; `config` is what the filter is told about them and of accounts.
pub fn router(
    control: Control,
    config: Config,
    workloads: impl IntoIterator<Item = Workload>,
) -> Router {
    let (tell, news) = mpsc::channel(64);
    let (publish, state) = watch::channel(Arc::from("{}"));
    let mut journeys = Journeys::new(config, workloads);
    let further = journeys.further_testers().into();
    let desk = Desk {
        control: control.clone(),
        journeys,
        filter: Witness::default(),
        filter_says: Says::default(),
        guard: None,
        applying: false,
        sending: None,
    };
    tokio::spawn(desk.run(news, publish));
    let graph = Graph { control, further, tell, state, busy: Arc::default() };
    page()
        .route("/events", get(|State(graph): State<Graph>| async { events(graph.state) }))
        .route("/traffic", post(send_traffic))
        .route("/switch", post(switch))
        .route("/clear", post(clear))
        .with_state(graph)
}

#[derive(Clone)]
struct Graph {
    control: Control,
    /// Accounts that tracks beyond the first name.
    further: Arc<[String]>,
    tell: mpsc::Sender<News>,
    state: watch::Receiver<Arc<str>>,
    /// Held by whoever switches or sends traffic, so that no request meets half a switch.
    busy: Arc<Mutex<()>>,
}

impl Graph {
    /// Tells the desk, and returns once it counts anew: what is sent before that would be counted by
    /// one witness alone.
    async fn settle(&self, news: fn(oneshot::Sender<()>) -> News) {
        let (done, is_done) = oneshot::channel();
        let _ = self.tell.send(news(done)).await;
        let _ = is_done.await;
    }
}

/// What a browser loads.
pub(super) fn page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let text = |kind, text| get(move || async move { asset(kind, text) });
    Router::new()
        .route("/", text("text/html; charset=utf-8", include_str!("../../assets/graph.html")))
        .route("/graph.css", text("text/css", include_str!("../../assets/graph.css")))
        .route("/graph.js", text("text/javascript", include_str!("../../assets/graph.js")))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

/// Each message holds a whole state of the page.
pub(super) fn events(
    state: watch::Receiver<Arc<str>>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let events = WatchStream::new(state).map(|state| Ok(sse::Event::default().data(state)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

// The buttons take JSON only: no other site's form can press them.

#[derive(Deserialize)]
pub(super) struct Traffic {
    requests: usize,
}

impl Traffic {
    /// The number of requests, or what to say of it.
    pub(super) fn wanted(self) -> Result<usize, (StatusCode, String)> {
        if self.requests > MOST_REQUESTS {
            let problem = format!("At most {MOST_REQUESTS} requests at once.");
            return Err((StatusCode::BAD_REQUEST, problem));
        }
        Ok(self.requests)
    }
}

async fn send_traffic(State(graph): State<Graph>, Json(traffic): Json<Traffic>) -> Response {
    let requests = match traffic.wanted() {
        Ok(requests) => requests,
        Err(problem) => return problem.into_response(),
    };
    let Ok(busy) = graph.busy.clone().try_lock_owned() else {
        return (StatusCode::CONFLICT, "The demo is busy; try again in a moment.").into_response();
    };
    tokio::spawn(async move {
        let _busy = busy;
        let _ = graph.tell.send(News::Sending(Some(Sending { sent: 0, of: requests }))).await;
        let (answer, mut answers) = mpsc::unbounded_channel();
        let gateway = graph.control.gateway().to_string();
        let sender =
            traffic::send(&gateway, requests, &graph.further, move |Answer { served, .. }| {
                let _ = answer.send(served.is_some());
            });
        let teller = async {
            let mut sent = 0;
            while let Some(good) = answers.recv().await {
                sent += 1;
                let _ = graph.tell.send(News::Answered { good, sent }).await;
            }
        };
        tokio::join!(sender, teller);
        let _ = graph.tell.send(News::Sending(None)).await;
    });
    StatusCode::ACCEPTED.into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    Filter(Filter),
    Routes(Routes),
    Forward(Forward),
    Share(Percent),
    Fails(Fails),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fails {
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Filter {
    On,
    Off,
}

async fn switch(State(graph): State<Graph>, Json(switch): Json<Switch>) -> Response {
    let _busy = graph.busy.lock().await;
    let _ = graph.tell.send(News::Applying).await;
    let done = match switch {
        Switch::Filter(filter) => graph.control.set_filter(filter == Filter::On).await,
        Switch::Routes(routes) => graph.control.set_routes(routes).await,
        Switch::Forward(forward) => graph.control.set_forward(forward).await,
        Switch::Share(share) => graph.control.set_share(share).await,
        Switch::Fails(fails) => graph.control.set_fails(fails == Fails::Yes).await,
    };
    graph.settle(News::Applied).await;
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let problem = format!("The switch failed: {error:#}");
            (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response()
        }
    }
}

async fn clear(State(graph): State<Graph>, Json(()): Json<()>) -> StatusCode {
    graph.settle(News::Clear).await;
    StatusCode::NO_CONTENT
}

/// Where all news arrive: keeps the journeys, and tells the pages.
struct Desk {
    control: Control,
    journeys: Journeys,
    filter: Witness,
    filter_says: Says,
    guard: Option<Guard>,
    applying: bool,
    sending: Option<Sending>,
}

enum News {
    Applying,
    Applied(oneshot::Sender<()>),
    Sending(Option<Sending>),
    Answered { good: bool, sent: usize },
    Clear(oneshot::Sender<()>),
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Sending {
    pub(super) sent: usize,
    pub(super) of: usize,
}

/// What the page draws; `assets/graph.js` reads it.
#[derive(Serialize)]
struct Page<'a> {
    /// Address of the weather page.
    page: String,
    switches: Switches,
    /// Version 2 of the forecast does.
    fails: bool,
    applying: bool,
    sending: Option<Sending>,
    filter: &'a Says,
    guard: Option<&'a Guard>,
    #[serde(flatten)]
    counts: Counts<'a>,
}

impl Desk {
    async fn run(mut self, mut news: mpsc::Receiver<News>, publish: watch::Sender<Arc<str>>) {
        let mut events = self.control.events();
        let mut switches = self.control.switches();
        let mut in_force = *switches.borrow_and_update();
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counting = interval(COUNTING);
        counting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.restart_filter().await;
        let mut stale = true;
        loop {
            tokio::select! {
                // What was heard before a switch belongs before it, and a switch before that it is applied.
                biased;
                event = events.recv() => match event {
                    Ok(event) => self.journeys.record(&event),
                    Err(RecvError::Lagged(events)) => self.journeys.missed(events),
                    Err(RecvError::Closed) => return,
                },
                changed = switches.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.journeys.switched(in_force);
                    in_force = *switches.borrow_and_update();
                    self.restart_filter().await;
                }
                news = news.recv() => match news {
                    Some(news) => self.hear(news).await,
                    None => return,
                },
                // While a switch is applied the mesh has no time to answer.
                _ = counting.tick(), if !self.applying && publish.receiver_count() > 1 => {
                    let (says, guard) = self.ask_filter(in_force).await;
                    if (&says, &guard) == (&self.filter_says, &self.guard) {
                        continue;
                    }
                    (self.filter_says, self.guard) = (says, guard);
                }
                _ = period.tick(), if stale => {
                    publish.send_replace(self.page(in_force));
                    stale = false;
                    continue;
                }
            }
            stale = true;
        }
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Applying => self.applying = true,
            News::Applied(done) => {
                self.applying = false;
                let _ = done.send(());
            }
            News::Sending(sending) => self.sending = sending,
            News::Answered { good, sent } => {
                if !good {
                    self.journeys.request_failed();
                }
                if let Some(sending) = &mut self.sending {
                    sending.sent = sent;
                }
            }
            News::Clear(done) => {
                self.journeys.clear();
                self.restart_filter().await;
                let _ = done.send(());
            }
        }
    }

    async fn restart_filter(&mut self) {
        // What cannot be read now begins at nothing; the page then says that the two differ.
        let (counters, _) = self.control.counters().await.unwrap_or_default();
        self.filter.restart(counters);
        (self.filter_says, self.guard) = (Says::Later, None);
    }

    async fn ask_filter(&mut self, switches: Switches) -> (Says, Option<Guard>) {
        if !switches.filter || switches.routes == Routes::Original {
            return (Says::Nothing, None);
        }
        let Ok((counters, in_force)) = self.control.counters().await else {
            return (Says::Later, None);
        };
        let says = self.filter.hear(counters, &self.journeys);
        let counted = self.filter.counted().unwrap_or_default();
        let track = self.journeys.track();
        let guard = track.and_then(|track| Guard::of(track, switches, &counted, &in_force));
        (says, guard)
    }

    fn page(&self, switches: Switches) -> Arc<str> {
        let page = Page {
            page: format!("http://{}/", self.control.gateway()),
            switches,
            fails: *self.control.fails().borrow(),
            applying: self.applying,
            sending: self.sending,
            filter: &self.filter_says,
            guard: self.guard.as_ref(),
            counts: self.journeys.counts(),
        };
        serde_json::to_string(&page).expect("a page has nothing but text keys").into()
    }
}
