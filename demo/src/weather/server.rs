//! One service of the app, served.

use super::calls::{Caller, Content, ServiceResponse};
use super::forecast::{self, Forecast};
use super::forward::Forward;
use super::page::{CONTENT_SECURITY_POLICY, Page};
use super::service::Service;
use crate::call::{Call, Event, Served};
use crate::release::{self, PREVIEW_KEY, PREVIEW_TRACK};
use anyhow::{Context, Result};
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use clap::ValueEnum;
use release_track::decide::token::Key;
use release_track::track::Name;
use serde::Deserialize;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves one workload of the weather app.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[arg(long, value_enum)]
    pub service: Service,
    /// Told in every response; decides what is called and how the page looks.
    #[arg(long)]
    pub version: String,
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:3000")]
    pub listen: SocketAddr,
    /// Where calls to other services go, whatever their name; without it, to their name.
    #[arg(long, env = "EGRESS")]
    pub egress: Option<SocketAddr>,
    /// What is passed on from a request to the calls that are made for it.
    #[arg(long, value_enum, env = "FORWARD", default_value = "request-id")]
    pub forward: Forward,
    /// Take lines `forward <what>` and `fail [<service> <version>]...` on standard input.
    #[arg(long, env = "SWITCHABLE")]
    pub switchable: bool,
    /// Offer a preview link, signed with this key of 32 to 128 hex digits.
    #[arg(long, env = PREVIEW_KEY, hide_env_values = true, value_parser = key, requires = "preview_track")]
    pub preview_key: Option<Key>,
    /// The track that it is for.
    #[arg(long, env = PREVIEW_TRACK, value_parser = name)]
    pub preview_track: Option<Name>,
}

fn key(text: &str) -> Result<Key, &'static str> {
    Key::parse(text).ok_or("a key is 32 to 128 hex digits")
}

fn name(text: &str) -> Result<Name, &'static str> {
    Name::parse(text).ok_or("a track's name is 1 to 63 letters, digits, or any of . _ -")
}

/// Serves until the process is told to end.
pub async fn serve(options: Options) -> Result<()> {
    let (forward, now) = watch::channel(options.forward);
    let (fails, failing) = watch::channel(false);
    if options.switchable {
        let workload = [options.service.name().to_owned(), options.version.clone()];
        std::thread::spawn(move || take_switches(&workload, &forward, &fails));
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let app = Arc::new(App {
        service: options.service,
        version: options.version,
        forward: now,
        failing,
        caller: Caller::new(options.egress),
        preview: options.preview_key.zip(options.preview_track),
        said: Mutex::new(std::io::stdout()),
    });
    let router = match options.service {
        Service::Frontend => Router::new()
            .route("/", get(front))
            .route("/weather.js", get(script))
            .route("/track", get(track))
            .route("/login", post(log_in))
            .route("/logout", post(log_out)),
        _ => Router::new().route("/", get(behind)),
    };
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // A response is one small write: never wait for more.
        let _ = stream.set_nodelay(true);
    });
    tokio::select! {
        served = axum::serve(listener, router.with_state(app)) => Ok(served?),
        ended = told_to_end() => ended,
    }
}

async fn told_to_end() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {},
        _ = interrupt.recv() => {},
    }
    Ok(())
}

/// Lines `forward <what>`, and `fail [<service> <version>]...`: these fail from now on, and no
/// others. Each is answered on standard output by the same line, once it is in force.
fn take_switches(
    workload: &[String; 2],
    forward: &watch::Sender<Forward>,
    fails: &watch::Sender<bool>,
) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        match (words.next(), line.split_once(' ').map(|(_, what)| Forward::from_str(what, false))) {
            (Some("forward"), Some(Ok(what))) => {
                forward.send_replace(what);
            }
            (Some("fail"), _) => {
                let failing: Vec<_> = words.collect();
                fails.send_replace(failing.chunks(2).any(|failing| failing == workload));
            }
            _ => {
                eprintln!("not understood: {line}");
                continue;
            }
        }
        println!("{line}");
    }
}

struct App {
    service: Service,
    version: String,
    forward: watch::Receiver<Forward>,
    /// Every response is 500.
    failing: watch::Receiver<bool>,
    caller: Caller,
    /// What signs preview links, and the track that they are for.
    preview: Option<(Key, Name)>,
    said: Mutex<std::io::Stdout>,
}

#[derive(Deserialize)]
struct Question {
    city: Option<String>,
    #[serde(rename = "release-track")]
    preview: Option<String>,
}

/// The default name of a preview's parameter and cookie, which the demo leaves as it is.
const PREVIEW: &str = "release-track";

/// Who asks the frontend; nobody asks the others.
#[derive(Default)]
struct Visitor {
    user: Option<String>,
    preview: bool,
}

impl App {
    /// Makes the calls of this service, and tells on standard output what it has served.
    async fn respond(
        &self,
        path_and_query: &str,
        city: Option<&str>,
        headers: &HeaderMap,
        visitor: Visitor,
    ) -> ServiceResponse {
        let text = |name| {
            let value = headers.get(HeaderName::from_static(name))?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let forwarded = self.forward.borrow().pick(headers);
        let mut response = ServiceResponse {
            served: Served {
                service: self.service.name().into(),
                version: self.version.clone(),
                track: text("x-release-track"),
                request_id: text("x-request-id"),
                calls: Vec::new(),
            },
            content: self.content(city),
        };
        for service in self.service.calls(&self.version) {
            let (call, content) =
                self.caller.call(*service, path_and_query, forwarded.clone()).await;
            response.served.calls.push(call);
            response.content.merge(content);
        }
        let Visitor { user, preview } = visitor;
        self.say(Event { user, preview, served: response.served.clone() });
        response
    }

    /// What a service cannot be reached for is left out; but where one fails that was called, its
    /// caller fails, too.
    fn status(&self, served: &Served) -> StatusCode {
        match *self.failing.borrow() || served.calls.iter().any(Call::has_failed_inside) {
            true => StatusCode::INTERNAL_SERVER_ERROR,
            false => StatusCode::OK,
        }
    }

    fn content(&self, city: Option<&str>) -> Content {
        let mut content = Content::default();
        match self.service {
            Service::Frontend => {}
            Service::Forecast => content.forecast = Some(Forecast::of(city)),
            Service::Advertisement => content.advertisement = Some(forecast::advertisement(city)),
            Service::Recommendation => {
                content.recommendation = Some(forecast::recommendation(city));
            }
        }
        content
    }

    fn say(&self, event: Event) {
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        let mut said = self.said.lock().unwrap_or_else(|e| e.into_inner());
        // Whoever listened may be gone.
        let _ = said.write_all(&line);
    }
}

/// Every service but the frontend.
async fn behind(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Response {
    let path_and_query = uri.path_and_query().map_or("/", |p| p.as_str());
    let city = question.city.as_deref();
    let response = app.respond(path_and_query, city, &headers, Visitor::default()).await;
    (app.status(&response.served), Json(response)).into_response()
}

async fn front(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Response {
    let path_and_query = uri.path_and_query().map_or("/", |p| p.as_str());
    let user = cookie(&headers, "user");
    let is_asked = question.preview.is_some() || cookie(&headers, PREVIEW).is_some();
    let visitor = Visitor { user: user.clone(), preview: is_asked };
    let city = question.city.as_deref();
    let ServiceResponse { served, content } =
        app.respond(path_and_query, city, &headers, visitor).await;
    let status = app.status(&served);
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("application/json")) {
        return (status, Json(served)).into_response();
    }
    let preview = app.preview.as_ref().map(|(key, track)| release::link(key, track));
    let page = Page {
        user: user.as_deref(),
        preview: preview.as_deref(),
        city: forecast::city(city),
        served: &served,
        forecast: content.forecast.as_ref(),
        recommendation: content.recommendation.as_deref(),
        advertisement: content.advertisement.as_deref(),
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        // Who asks decides what it shows.
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(page.render())).into_response()
}

async fn script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/javascript"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("../../assets/weather.js"))
}

/// Nothing but the edge's own words, in the response's header: a page cannot read the headers that
/// it came with.
async fn track() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")])
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// Anybody may be anybody: it is a demo.
async fn log_in(Form(Login { user }): Form<Login>) -> Response {
    let user = user.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if user.is_empty() || user.len() > 64 || !user.chars().all(plain) {
        let problem = "A name has up to 64 letters, digits, or any of - _ . @";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    let session = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    // After others, as real sites do.
    let cookies = AppendHeaders([
        (header::SET_COOKIE, format!("session={session:x}; Path=/; HttpOnly; SameSite=Lax")),
        (header::SET_COOKIE, "theme=light; Path=/; SameSite=Lax".into()),
        (header::SET_COOKIE, format!("user={user}; Path=/; HttpOnly; SameSite=Lax")),
    ]);
    (cookies, Redirect::to("/")).into_response()
}

async fn log_out() -> Response {
    let gone = [(header::SET_COOKIE, "user=; Path=/; Max-Age=0")];
    (gone, Redirect::to("/")).into_response()
}

/// The first cookie of this name, on whichever line.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines
        .flat_map(|line| line.split(';').map(str::to_owned).collect::<Vec<_>>())
        .find_map(|pair| Some(pair.trim().strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}
