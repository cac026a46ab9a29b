//! The calls that one service makes to another.

use super::forecast::Forecast;
use super::service::Service;
use crate::call::{Call, Served};
use axum::http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(15);

/// What one service's response to another holds.
#[derive(Serialize, Deserialize)]
pub(super) struct ServiceResponse {
    #[serde(flatten)]
    pub(super) served: Served,
    pub(super) content: Content,
}

/// What a page needs from below; a service fills in what it knows.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    pub(super) forecast: Option<Forecast>,
    pub(super) advertisement: Option<String>,
    pub(super) recommendation: Option<String>,
}

impl Content {
    pub(super) fn merge(&mut self, other: Content) {
        self.forecast = self.forecast.take().or(other.forecast);
        self.advertisement = self.advertisement.take().or(other.advertisement);
        self.recommendation = self.recommendation.take().or(other.recommendation);
    }
}

#[derive(Clone)]
pub(super) enum Caller {
    Direct(Client<HttpConnector, Empty<Bytes>>),
    Egress(Client<Egress, Empty<Bytes>>),
}

impl Caller {
    pub(super) fn new(egress: Option<SocketAddr>) -> Self {
        let client = Client::builder(TokioExecutor::new());
        match egress {
            None => Caller::Direct(client.build_http()),
            Some(address) => Caller::Egress(client.build(Egress(address))),
        }
    }

    /// Never fails: what went wrong is the response's place in the tree.
    pub(super) async fn call(
        &self,
        service: Service,
        path_and_query: &str,
        headers: HeaderMap,
    ) -> (Call, Content) {
        let response = tokio::time::timeout(PATIENCE, self.ask(service, path_and_query, headers));
        let error = match response.await {
            Ok(Ok(ServiceResponse { served, content })) => return (Call::Served(served), content),
            Ok(Err(error)) => error,
            Err(_) => format!("no response within {} s", PATIENCE.as_secs()),
        };
        let service = service.name().into();
        (Call::Failed { service, error }, Content::default())
    }

    async fn ask(
        &self,
        service: Service,
        path_and_query: &str,
        headers: HeaderMap,
    ) -> Result<ServiceResponse, String> {
        let uri = format!("http://{}:{}{path_and_query}", service.name(), service.port());
        let mut request = Request::get(uri).body(Empty::new()).map_err(|e| e.to_string())?;
        *request.headers_mut() = headers;
        let json = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::ACCEPT, json);
        let response = match self {
            Caller::Direct(client) => client.request(request).await,
            Caller::Egress(client) => client.request(request).await,
        };
        let (head, body) = response.map_err(|e| e.to_string())?.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        if !head.status.is_success() {
            return Err(format!("{} {}", head.status, String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|e| e.to_string())
    }
}

/// Connects to one address whatever the URI says; the URI keeps naming the service.
#[derive(Clone)]
pub(super) struct Egress(SocketAddr);

impl tower_service::Service<Uri> for Egress {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
