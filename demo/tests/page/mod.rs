//! The page, asked for at the gateway.

use demo::stage::Stage;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Status and body.
pub(crate) async fn get(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> (u16, Bytes) {
    let mut request = Request::get(format!("http://{}{path}", stage.mesh().gateway()))
        .header("accept", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}
