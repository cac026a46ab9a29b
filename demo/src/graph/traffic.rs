//! The mix of requests that the page's button sends.

use crate::call::Served;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::interval;

/// The headers of a browser, one kind of visitor after the other.
const VISITORS: [&[(&str, &str)]; 6] = [
    // As browsers send it: other cookies were set before the login.
    &[("cookie", "session=4711; theme=dark; user=tester")],
    &[("cookie", "session=4712; user=alice")],
    &[],
    &[("cookie", "user=tester; session=4713")],
    PLAIN,
    // Wants version 2 without being a tester.
    &[("cookie", "session=4714; user=mallory"), ("x-release-track", "v2")],
];

/// In its place come the testers of further tracks.
const PLAIN: &[(&str, &str)] = &[("cookie", "theme=light; user=bob")];

/// Slow enough to watch.
const PAUSE: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a visitor was answered.
pub(super) struct Answer {
    pub(super) user: Option<String>,
    /// What the applications saw; `None`: no response, or not a 200.
    pub(super) served: Option<Served>,
}

/// Sends so many requests to the gateway, each of a visitor with an identity of its own, the same
/// ones each time. `further` are the testers of tracks beyond the first. Tells each answer.
pub(super) async fn send(
    gateway: &str,
    requests: usize,
    further: &[String],
    mut answered: impl FnMut(Answer),
) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut pending = JoinSet::new();
    let mut pace = interval(PAUSE);
    let mut further = further.iter().map(|user| format!("theme=light; user={user}")).cycle();
    for (number, visitor) in VISITORS.iter().cycle().take(requests).enumerate() {
        pace.tick().await;
        let mut request =
            Request::get(format!("http://{gateway}/")).header(header::ACCEPT, "application/json");
        let mut user = None;
        match if *visitor == PLAIN { further.next() } else { None } {
            Some(cookies) => {
                user = user_of(&cookies);
                request = request.header(header::COOKIE, cookies);
            }
            None => {
                for (name, value) in *visitor {
                    user = user.or_else(|| user_of(value));
                    request = request.header(*name, *value);
                }
            }
        }
        // HTTP/1.1 may have several lines of cookies.
        let request = request.header(header::COOKIE, format!("release-track-id=visitor-{number}"));
        let request = request.body(Empty::new()).expect("constant headers");
        let response = client.request(request);
        pending.spawn(async {
            let served = tokio::time::timeout(PATIENCE, served(response)).await;
            Answer { user, served: served.ok().flatten() }
        });
        while let Some(answer) = pending.try_join_next() {
            answered(answer.unwrap_or(Answer { user: None, served: None }));
        }
    }
    while let Some(answer) = pending.join_next().await {
        answered(answer.unwrap_or(Answer { user: None, served: None }));
    }
}

async fn served(response: ResponseFuture) -> Option<Served> {
    let response = response.await.ok().filter(|response| response.status() == StatusCode::OK)?;
    let body = response.into_body().collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}

/// The account among the cookies.
fn user_of(cookies: &str) -> Option<String> {
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("user=")).map(str::to_owned)
}
