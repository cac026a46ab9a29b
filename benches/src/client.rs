//! A client that waits for each response before it sends the next request.

use crate::plan::{Protocol, Route};
use crate::proxy::status;
use anyhow::{Result, bail};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A connection that is kept.
pub(crate) enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr, protocol: Protocol) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        // How a connection ends shows in the request that it was for.
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    /// Sends a request and reads its response to the end. Returns the route that it took, and how
    /// long that lasted.
    pub(crate) async fn ask(
        &mut self,
        request: &Request<Empty<Bytes>>,
    ) -> Result<(Route, Duration)> {
        let request = request.clone();
        let began = Instant::now();
        let response: hyper::Response<Incoming> = match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        body.collect().await?;
        let took = began.elapsed();
        let taken = [Route::V1, Route::V2].into_iter().find(|route| status(*route) == head.status);
        match taken {
            Some(route) => Ok((route, took)),
            None => bail!("the response is {}", head.status),
        }
    }
}

/// A GET with these headers.
pub(crate) fn request(
    protocol: Protocol,
    headers: &[(String, String)],
) -> Result<Request<Empty<Bytes>>> {
    const AUTHORITY: &str = "forecast:3002";
    let mut request = match protocol {
        Protocol::Http1 => Request::get("/forecast?place=1").header("host", AUTHORITY),
        Protocol::Http2 => Request::get(format!("http://{AUTHORITY}/forecast?place=1")),
    };
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Ok(request.body(Empty::new())?)
}
