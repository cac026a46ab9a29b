//! Connections to the gateway. Nothing is ever asked twice.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response, Uri, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

/// The protocol to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub enum Http {
    #[value(name = "1")]
    #[serde(rename = "HTTP/1.1")]
    One,
    /// Without TLS, by prior knowledge.
    #[value(name = "2")]
    #[serde(rename = "HTTP/2")]
    Two,
}

/// One connection, opened when it is needed.
pub(super) struct Connection {
    http: Http,
    to: SocketAddr,
    sender: Option<Sender>,
}

enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    pub(super) fn new(http: Http, to: SocketAddr) -> Self {
        Connection { http, to, sender: None }
    }

    /// `GET uri`; the body of a 200.
    pub(super) async fn get(&mut self, uri: &Uri, headers: HeaderMap) -> Result<Bytes> {
        let response = tokio::time::timeout(PATIENCE, self.ask(uri, headers)).await;
        let response = response.unwrap_or_else(|_| {
            bail!("no response within {} s", PATIENCE.as_secs());
        });
        if response.is_err() {
            self.sender = None;
        }
        response
    }

    async fn ask(&mut self, uri: &Uri, headers: HeaderMap) -> Result<Bytes> {
        // A connection that the other side has closed is no failed request.
        let is_open = match &mut self.sender {
            None => false,
            Some(Sender::One(sender)) => sender.ready().await.is_ok(),
            Some(Sender::Two(sender)) => sender.ready().await.is_ok(),
        };
        if !is_open {
            self.sender = None;
        }
        let sender = match &mut self.sender {
            Some(sender) => sender,
            None => self.sender.insert(Sender::connect(self.http, self.to).await?),
        };
        let response = sender.send(uri, headers).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != hyper::StatusCode::OK {
            bail!("{status} {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

impl Sender {
    async fn connect(http: Http, to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        Ok(match http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        })
    }

    async fn send(&mut self, uri: &Uri, headers: HeaderMap) -> Result<Response<Incoming>> {
        let authority = uri.authority().map_or("", |a| a.as_str());
        let request = match self {
            Sender::One(_) => Request::get(uri.path()).header(header::HOST, authority),
            Sender::Two(_) => Request::get(uri.clone()),
        };
        let mut request = request.body(Empty::new())?;
        request.headers_mut().extend(headers);
        Ok(match self {
            Sender::One(sender) => sender.send_request(request).await?,
            Sender::Two(sender) => sender.send_request(request).await?,
        })
    }
}
